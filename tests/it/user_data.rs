//! The user data of instances: as golden texts, before ShellCheck, and run by bash in a sandbox.

#![allow(clippy::unwrap_used, reason = "in a test everything that is not as it should be ends the test")]

mod hostile;
mod sandbox;

use expect_test::expect_file;
use sandbox::{Sandbox, script_of, tool};
use tower_forge_core::user_data::{Architecture, AwsCli, Boot, EfsMount, FsxMount, LIMIT, user_data};

/// An instance with the AWS CLI and nothing else that is optional.
fn minimal() -> Boot {
    Boot {
        forge_id: "2CeQImw0JjWrMM0tRDGRZ7".to_owned(),
        region: "eu-west-1".to_owned(),
        log_group: None,
        architecture: Architecture::X86_64,
        aws_cli: AwsCli::Vital,
        nvme_scratch: false,
        fusion: false,
        efs: None,
        fsx: None,
        ecs_config: vec![],
    }
}

fn fusion() -> Boot {
    Boot { aws_cli: AwsCli::None, fusion: true, ..minimal() }
}

fn nvme() -> Boot {
    Boot { nvme_scratch: true, ..fusion() }
}

fn logged(boot: Boot) -> Boot {
    Boot { log_group: Some("/tower-forge/2CeQImw0JjWrMM0tRDGRZ7".to_owned()), ..boot }
}

fn with_efs(boot: Boot) -> Boot {
    let efs = EfsMount { id: "fs-0123456789abcdef0".to_owned(), path: "/mnt/efs".to_owned() };
    Boot { efs: Some(efs), ..boot }
}

fn with_fsx(boot: Boot) -> Boot {
    let dns_name = "fs-0fedcba9876543210.fsx.eu-west-1.amazonaws.com".to_owned();
    let fsx = FsxMount { dns_name, mount_name: "abcdefgh".to_owned(), path: "/mnt/fsx".to_owned() };
    Boot { fsx: Some(fsx), ..boot }
}

/// All that there is, though a stack may not ask for all of it at once.
fn everything() -> Boot {
    let ecs_config = ["ECS_IMAGE_PULL_BEHAVIOR=default", "ECS_INSTANCE_ATTRIBUTES={\"lab\": \"it's $HOME\"}"];
    Boot {
        aws_cli: AwsCli::Vital,
        architecture: Architecture::Arm64,
        ecs_config: ecs_config.map(str::to_owned).to_vec(),
        ..with_efs(with_fsx(logged(nvme())))
    }
}

fn variants() -> Vec<Boot> {
    let mut variants = vec![minimal(), fusion(), nvme(), logged(minimal()), everything()];
    variants.extend([with_efs(minimal()), with_fsx(minimal()), with_efs(with_fsx(nvme()))]);
    variants
}

/// The golden files are also read by Python's parser of MIME, which is cloud-init's, in `tests/user_data`.
#[test]
fn texts_are_as_before() {
    let check = |boot: &Boot, golden: expect_test::ExpectFile| golden.assert_eq(&user_data(boot).unwrap());
    check(&logged(minimal()), expect_file!["../golden/user_data/minimal.txt"]);
    check(&logged(nvme()), expect_file!["../golden/user_data/fusion-nvme.txt"]);
    check(&everything(), expect_file!["../golden/user_data/everything.txt"]);
}

#[test]
fn shellcheck_finds_nothing() {
    // SC2329: a function is never called by name. All are called, but through `step`.
    // SC2016: anything that looks like a variable stands between single quotes, as every argument does.
    let arguments = ["--shell=bash", "--exclude=SC2016,SC2329", "-"];
    for boot in variants() {
        let (ok, output) = tool("shellcheck", &arguments, script_of(&user_data(&boot).unwrap()));
        assert!(ok, "{output}");
    }
}

#[test]
fn all_of_it_leaves_half_of_the_limit_to_ecs_config() {
    assert!(user_data(&everything()).unwrap().len() < LIMIT * 5 / 8);
}

#[test]
fn what_does_not_fit_is_refused_with_its_size() {
    let fits = user_data(&minimal()).unwrap().len();
    let line = |length: usize| vec![format!("A={}", "x".repeat(length - 2))];
    // A line costs its quotes, a backslash, a line break and two spaces besides.
    let room = LIMIT - fits - 7;
    assert_eq!(user_data(&Boot { ecs_config: line(room), ..minimal() }).unwrap().len(), LIMIT);
    let error = user_data(&Boot { ecs_config: line(room + 1), ..minimal() }).unwrap_err();
    assert_eq!(error.size, LIMIT + 1);
    assert!(error.to_string().contains("16385 bytes"), "{error}");
}

#[test]
fn the_agents_settings_come_first_and_the_users_last() {
    let sandbox = Sandbox::new("ecs");
    sandbox.write("etc/ecs/ecs.config", "ECS_CLUSTER=Batch_1");
    let run = sandbox.run(&everything());
    assert_eq!(run.code, 0, "{}", run.output);
    let lines: Vec<_> = sandbox.read("etc/ecs/ecs.config").lines().map(str::to_owned).collect();
    let expected = [
        "ECS_CLUSTER=Batch_1",
        "ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE=true",
        "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true",
        "ECS_CONTAINER_CREATE_TIMEOUT=10m",
        "ECS_CONTAINER_START_TIMEOUT=10m",
        "ECS_CONTAINER_STOP_TIMEOUT=10m",
        "ECS_MANIFEST_PULL_TIMEOUT=10m",
        "ECS_TASK_METADATA_RPS_LIMIT=120,180",
        "ECS_IMAGE_PULL_BEHAVIOR=default",
        "ECS_INSTANCE_ATTRIBUTES={\"lab\": \"it's $HOME\"}",
    ];
    assert_eq!(lines, expected);
    assert!(
        !run.calls.iter().any(|call| call.contains("docker") || call.starts_with("systemctl")),
        "{:?}",
        run.calls
    );
}

#[test]
fn a_second_run_adds_nothing() {
    let sandbox = Sandbox::new("twice");
    let files = ["etc/ecs/ecs.config", "etc/fstab", "etc/sysctl.d/99-tower-forge.conf"];
    assert_eq!(sandbox.run(&everything()).code, 0);
    let first = files.map(|file| sandbox.read(file));
    assert_eq!(sandbox.run(&everything()).code, 0);
    assert_eq!(files.map(|file| sandbox.read(file)), first);
}

#[test]
fn dirty_pages_are_limited() {
    let sandbox = Sandbox::new("kernel");
    let run = sandbox.run(&fusion());
    assert_eq!(run.commands(), ["sysctl --load=/etc/sysctl.d/99-tower-forge.conf"]);
    let settings = sandbox.read("etc/sysctl.d/99-tower-forge.conf");
    assert_eq!(settings, "vm.dirty_bytes = 1258291200\nvm.dirty_background_bytes = 629145600\n");
}

#[test]
fn logs_go_to_the_forges_group() {
    let sandbox = Sandbox::new("logs");
    let run = sandbox.run(&logged(fusion()));
    assert_eq!(run.code, 0, "{}", run.output);
    let expected = [
        "sysctl --load=/etc/sysctl.d/99-tower-forge.conf",
        "rpm --query --quiet amazon-cloudwatch-agent",
        "dnf --assumeyes --quiet install amazon-cloudwatch-agent",
        "amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s \
         -c file:/opt/aws/amazon-cloudwatch-agent/etc/tower-forge.json",
    ];
    assert_eq!(run.commands(), expected);
    let settings = sandbox.read("opt/aws/amazon-cloudwatch-agent/etc/tower-forge.json");
    let settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
    assert_eq!(settings["agent"]["region"], "eu-west-1");
    let files = settings["logs"]["logs_collected"]["files"]["collect_list"].as_array().unwrap();
    assert_eq!(files.len(), 5);
    assert_eq!(files[0]["file_path"], "/var/log/tower-forge.log");
    assert_eq!(files[0]["log_stream_name"], "{instance_id}/tower-forge");
    assert!(files.iter().all(|file| file["log_group_name"] == "/tower-forge/2CeQImw0JjWrMM0tRDGRZ7"));
}

#[test]
fn a_package_that_is_there_is_not_fetched() {
    let sandbox = Sandbox::new("installed");
    sandbox.succeed("rpm");
    let run = sandbox.run(&with_efs(fusion()));
    assert!(!run.calls.iter().any(|call| call.starts_with("dnf")), "{:?}", run.calls);
}

#[test]
fn the_aws_cli_is_aws_own_archive_of_one_version() {
    for (architecture, machine) in [(Architecture::X86_64, "x86_64"), (Architecture::Arm64, "aarch64")] {
        let sandbox = Sandbox::new(machine);
        let run = sandbox.run(&Boot { architecture, ..minimal() });
        assert_eq!(run.code, 0, "{}", run.output);
        let commands = run.commands();
        let [_, rpm, dnf, curl, hash, unzip, aws] = commands[..] else { panic!("{commands:?}") };
        assert_eq!((rpm, dnf), ("rpm --query --quiet unzip", "dnf --assumeyes --quiet install unzip"));
        assert!(curl.starts_with("curl --fail --silent --show-error --location --proto =https"), "{curl}");
        let url = format!(" https://awscli.amazonaws.com/awscli-exe-linux-{machine}-2.36.31.zip");
        assert!(curl.ends_with(&url), "{curl}");
        assert_eq!(hash, "sha256sum --check --status");
        assert!(unzip.starts_with("unzip -q "), "{unzip}");
        assert_eq!(aws, "aws --version");
        // All of it is in the folder above the command's, which Nextflow mounts into tasks.
        let shim = sandbox.read("home/ec2-user/miniconda/bin/aws");
        assert!(shim.starts_with("#!/bin/bash\nLD_LIBRARY_PATH="), "{shim}");
        assert!(shim.ends_with("/home/ec2-user/miniconda/dist/aws \"$@\"\n"), "{shim}");
        assert!(sandbox.exists("home/ec2-user/miniconda/dist/aws"));
    }
}

/// Whether the agent was kept off and the instance shut down.
fn is_unfit(run: &sandbox::Run) -> bool {
    run.calls.ends_with(&["systemctl mask --now --no-block ecs".to_owned(), "shutdown -h +2".to_owned()])
}

#[test]
fn an_instance_without_the_aws_cli_takes_no_job() {
    let sandbox = Sandbox::new("no-download");
    sandbox.fail("curl", 1000);
    let run = sandbox.run(&minimal());
    assert!(run.code == 1 && is_unfit(&run), "{}", run.output);
    assert_eq!(run.calls.iter().filter(|call| call.starts_with("curl ")).count(), 5);
    assert!(run.output.contains("failed: AWS CLI"), "{}", run.output);

    // The real sha256sum, of an archive that is not AWS's.
    let sandbox = Sandbox::new("wrong-hash");
    sandbox.use_real("sha256sum");
    let run = sandbox.run(&minimal());
    assert!(run.code == 1 && is_unfit(&run), "{}", run.output);
    assert!(run.output.contains("does not have the SHA-256 96ab904b"), "{}", run.output);
    assert!(
        !run.calls.iter().any(|call| call.starts_with("unzip")),
        "it is not even unpacked: {:?}",
        run.calls
    );
}

#[test]
fn an_image_with_its_own_aws_cli_needs_no_download() {
    let sandbox = Sandbox::new("spare");
    sandbox.fail("curl", 1000);
    let run = sandbox.run(&Boot { aws_cli: AwsCli::Spare, ..minimal() });
    assert!(run.code == 1 && !is_unfit(&run), "{}", run.output);
}

#[test]
fn an_image_may_bring_the_aws_cli() {
    let sandbox = Sandbox::new("image");
    sandbox.run(&minimal());
    sandbox.forget_calls();
    let run = sandbox.run(&minimal());
    assert_eq!(run.commands(), ["sysctl --load=/etc/sysctl.d/99-tower-forge.conf", "aws --version"]);
}

#[test]
fn one_nvme_disk_is_formatted_and_mounted() {
    let sandbox = Sandbox::new("one-disk");
    sandbox.disks(1);
    let run = sandbox.run(&nvme());
    assert_eq!(run.code, 0, "{}", run.output);
    let expected = [
        "sysctl --load=/etc/sysctl.d/99-tower-forge.conf",
        "lsblk --nodeps --noheadings --paths --output NAME,MODEL",
        "mkfs.xfs -f -L fusion /dev/nvme1n1",
        "mount -o noatime /dev/nvme1n1 /scratch/fusion",
    ];
    assert_eq!(run.commands(), expected);
    assert_eq!(sandbox.read("etc/fstab"), "LABEL=fusion /scratch/fusion xfs defaults,noatime,nofail 0 2\n");
    assert_eq!(sandbox.mode("scratch/fusion"), 0o1777);
}

#[test]
fn several_nvme_disks_become_one_striped_volume() {
    let sandbox = Sandbox::new("disks");
    sandbox.disks(3);
    let run = sandbox.run(&nvme());
    assert_eq!(run.code, 0, "{}", run.output);
    let expected = [
        "rpm --query --quiet lvm2",
        "dnf --assumeyes --quiet install lvm2",
        "pvcreate --yes --force /dev/nvme1n1 /dev/nvme2n1 /dev/nvme3n1",
        "vgcreate --yes scratch_fusion /dev/nvme1n1 /dev/nvme2n1 /dev/nvme3n1",
        "lvcreate --yes --wipesignatures y --name volume --stripes 3 --extents 100%FREE scratch_fusion",
        "mkfs.xfs -f -L fusion /dev/scratch_fusion/volume",
        "mount -o noatime /dev/scratch_fusion/volume /scratch/fusion",
    ];
    assert_eq!(run.commands()[2..], expected);
}

#[test]
fn without_an_nvme_disk_the_cache_is_on_the_root_volume() {
    let sandbox = Sandbox::new("no-disk");
    sandbox.disks(0);
    let run = sandbox.run(&nvme());
    assert_eq!(run.code, 1);
    assert!(run.output.contains("this instance has no NVMe disk"), "{}", run.output);
    assert_eq!(sandbox.mode("scratch/fusion"), 0o1777);
    assert!(!sandbox.exists("etc/fstab"));
    assert!(
        !run.calls.iter().any(|call| call.starts_with("mkfs") || call.starts_with("shutdown")),
        "{:?}",
        run.calls
    );
}

#[test]
fn file_systems_are_mounted_now_and_after_a_reboot() {
    let sandbox = Sandbox::new("shared");
    let run = sandbox.run(&with_efs(with_fsx(fusion())));
    assert_eq!(run.code, 0, "{}", run.output);
    let expected = [
        "rpm --query --quiet amazon-efs-utils",
        "dnf --assumeyes --quiet install amazon-efs-utils",
        "mountpoint --quiet /mnt/efs",
        "chattr +i /mnt/efs",
        "mount /mnt/efs",
        "rpm --query --quiet lustre-client",
        "dnf --assumeyes --quiet install lustre-client",
        "mountpoint --quiet /mnt/fsx",
        "chattr +i /mnt/fsx",
        "mount /mnt/fsx",
    ];
    assert_eq!(run.commands()[1..], expected);
    let fstab = "fs-0123456789abcdef0:/ /mnt/efs efs _netdev,nofail,noresvport,tls 0 0\n\
                 fs-0fedcba9876543210.fsx.eu-west-1.amazonaws.com@tcp:/abcdefgh /mnt/fsx lustre \
                 _netdev,nofail,relatime,flock 0 0\n";
    assert_eq!(sandbox.read("etc/fstab"), fstab);
    assert_eq!(sandbox.mode("mnt/efs"), 0o1777);
}

#[test]
fn a_file_system_with_data_keeps_its_mode() {
    let sandbox = Sandbox::new("data");
    sandbox.write("mnt/efs/genome.fa", "");
    let before = sandbox.mode("mnt/efs");
    assert_eq!(sandbox.run(&with_efs(fusion())).code, 0);
    assert_eq!(sandbox.mode("mnt/efs"), before);
}

#[test]
fn what_is_mounted_already_is_left_alone() {
    let sandbox = Sandbox::new("mounted");
    sandbox.succeed("mountpoint");
    let run = sandbox.run(&with_efs(fusion()));
    assert_eq!(run.code, 0, "{}", run.output);
    assert!(
        !run.calls.iter().any(|call| call.starts_with("mount ") || call.starts_with("chattr")),
        "{:?}",
        run.calls
    );
}

#[test]
fn amazon_linux_2_has_lustre_among_its_extras() {
    let sandbox = Sandbox::new("extras");
    sandbox.succeed("amazon-linux-extras");
    let run = sandbox.run(&with_fsx(fusion()));
    assert_eq!(run.commands()[1], "amazon-linux-extras install -y lustre");
    assert_eq!(run.code, 0, "{}", run.output);
}

#[test]
fn a_file_system_that_is_still_being_made_is_waited_for() {
    let sandbox = Sandbox::new("late");
    sandbox.fail("mount", 4);
    let run = sandbox.run(&with_efs(fusion()));
    assert_eq!(run.code, 0, "{}", run.output);
    assert_eq!(run.calls.iter().filter(|call| *call == "mount /mnt/efs").count(), 5);
    assert_eq!(run.calls.iter().filter(|call| *call == "sleep 20").count(), 4);
}

#[test]
fn without_its_file_system_an_instance_takes_no_job() {
    let sandbox = Sandbox::new("unfit");
    sandbox.fail("mount", 1000);
    let run = sandbox.run(&with_efs(with_fsx(logged(minimal()))));
    assert_eq!(run.code, 1);
    assert_eq!(run.calls.iter().filter(|call| *call == "mount /mnt/efs").count(), 30);
    assert!(run.output.contains("failed: EFS, FSx for Lustre"), "{}", run.output);
    let end = &run.calls[run.calls.len() - 2..];
    assert_eq!(end, ["systemctl mask --now --no-block ecs", "shutdown -h +2"]);
}

/// Each command fails in turn: every log names it, and the commands that do not need it run all the same.
#[test]
fn a_step_that_fails_is_named_and_the_others_go_on() {
    let steps = [
        ("sysctl", "kernel settings"),
        ("amazon-cloudwatch-agent-ctl", "CloudWatch agent"),
        ("lsblk", "Fusion scratch on NVMe disks"),
        ("pvcreate", "Fusion scratch on NVMe disks"),
        ("vgcreate", "Fusion scratch on NVMe disks"),
        ("lvcreate", "Fusion scratch on NVMe disks"),
        ("mkfs.xfs", "Fusion scratch on NVMe disks"),
        ("curl", "AWS CLI"),
        ("sha256sum", "AWS CLI"),
        ("unzip", "AWS CLI"),
        ("aws", "AWS CLI"),
    ];
    for (command, step) in steps {
        let sandbox = Sandbox::new(&format!("failing-{command}"));
        sandbox.disks(2);
        sandbox.fail(command, 1000);
        let run = sandbox.run(&everything());
        assert_eq!(run.code, 1, "{command}");
        let said = format!("failed: {step}");
        assert!(run.output.contains(&said), "{command}: {}", run.output);
        assert!(sandbox.read("var/log/tower-forge.log").contains(&said), "{command}");
        assert!(
            run.calls.contains(&format!("logger --tag tower-forge -- {said}")),
            "{command}: {:?}",
            run.calls
        );
        for mounted in ["mount /mnt/efs", "mount /mnt/fsx"] {
            assert!(run.calls.iter().any(|call| call == mounted), "{command}: {:?}", run.calls);
        }
        assert!(
            sandbox.exists("etc/ecs/ecs.config") && sandbox.mode("scratch/fusion") == 0o1777,
            "{command}"
        );
        assert_eq!(is_unfit(&run), step == "AWS CLI", "{command}: {:?}", run.calls);
    }
}

#[test]
fn a_download_that_fails_once_is_tried_again() {
    let sandbox = Sandbox::new("again");
    sandbox.fail("dnf", 1);
    sandbox.fail("curl", 2);
    let run = sandbox.run(&with_efs(minimal()));
    assert_eq!(run.code, 0, "{}", run.output);
    assert_eq!(run.calls.iter().filter(|call| *call == "sleep 15").count(), 3);
}
