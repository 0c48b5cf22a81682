//! The user data of a launch template: the boot script of an instance.
//!
//! It is one shell script. Its functions are the files in `user_data/`, which are the same for every forge. Only the
//! calls at the end of the script differ, in their quoted arguments. The script is wrapped as MIME multipart, because
//! Batch adds another part.

pub mod check;

use std::collections::HashSet;

use serde_json::json;

/// EC2's limit for user data, before base64.
pub const LIMIT: usize = 16 * 1024;

/// The path of the AWS CLI that an instance without Fusion installs. Nextflow pipelines know it from the images of old, which
/// had the CLI of Miniconda there.
pub const CLI_PATH: &str = "/home/ec2-user/miniconda/bin/aws";

/// The path of Fusion's cache.
pub const SCRATCH: &str = "/scratch/fusion";

/// The version of the AWS CLI that instances install.
const AWS_CLI_VERSION: &str = "2.36.31";

/// Settings of every ECS agent.
const ECS_SETTINGS: [&str; 8] = [
    "ECS_IMAGE_PULL_BEHAVIOR=once",
    "ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE=true",
    "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true",
    "ECS_CONTAINER_CREATE_TIMEOUT=10m",
    "ECS_CONTAINER_START_TIMEOUT=10m",
    "ECS_CONTAINER_STOP_TIMEOUT=10m",
    "ECS_MANIFEST_PULL_TIMEOUT=10m",
    // The default makes the jobs of a large instance fail to get their credentials.
    "ECS_TASK_METADATA_RPS_LIMIT=120,180",
];

/// The log files sent to CloudWatch, and the last word of their streams' names.
const LOG_FILES: [(&str, &str); 5] = [
    ("/var/log/tower-forge.log", "tower-forge"),
    ("/var/log/cloud-init.log", "cloud-init"),
    ("/var/log/cloud-init-output.log", "cloud-init-output"),
    ("/var/log/ecs/ecs-init.log", "ecs-init"),
    ("/var/log/ecs/ecs-agent.log", "ecs-agent"),
];

/// A processor architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Intel and AMD.
    X86_64,
    /// Graviton.
    Arm64,
}

impl Architecture {
    /// Its name in Linux and in the file names of AWS's archives.
    fn machine(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// The SHA-256 of AWS's archive of the AWS CLI, `awscli-exe-linux-<machine>-<version>.zip`. AWS publishes signatures, but
    /// no hashes. For another version, download both archives, verify AWS's signatures, and hash the archives.
    fn aws_cli_sha256(self) -> &'static str {
        match self {
            Self::X86_64 => "96ab904b1fec2b49972685aecc1d2e8c0fd0c981d7a81f5dc5d2dd725ace05f1",
            Self::Arm64 => "7c024344fa8fac7cfefb099d0ad7f75c33c26a0b1296e93edbe92810d3fd45dd",
        }
    }
}

/// Whether an instance installs the AWS CLI for the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsCli {
    /// It does not: jobs under Fusion need none.
    None,
    /// It does, and no job runs on an instance without it.
    Vital,
    /// It does, but jobs use the one of `CliPath`. That property can be removed later, and instances stay as they are.
    Spare,
}

/// An EFS file system to mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EfsMount {
    /// Its ID, `fs-…`.
    pub id: String,
    /// Its mount path.
    pub path: String,
}

/// An FSx for Lustre file system to mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsxMount {
    /// The DNS name of the file system.
    pub dns_name: String,
    /// The mount name from FSx.
    pub mount_name: String,
    /// Its mount path.
    pub path: String,
}

/// The boot settings of an instance.
///
/// *Assumptions.* Strings have passed [`check`]. Even so, no content can become a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// The forge that the instance belongs to.
    pub forge_id: String,
    /// The region that the logs go to.
    pub region: String,
    /// The log group that the CloudWatch agent writes to; without it there is no agent.
    pub log_group: Option<String>,
    /// The architecture of the instance types.
    pub architecture: Architecture,
    /// The AWS CLI for the jobs.
    pub aws_cli: AwsCli,
    /// Puts Fusion's cache on the instance's NVMe disks.
    pub nvme_scratch: bool,
    /// Creates the folder of Fusion's cache.
    pub fusion: bool,
    /// An EFS file system.
    pub efs: Option<EfsMount>,
    /// An FSx for Lustre file system.
    pub fsx: Option<FsxMount>,
    /// Lines of `ecs.config` that have passed [`check::check_ecs_line`]. They override ours with the same key.
    pub ecs_config: Vec<String>,
}

/// The user data would not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the user data has {size} bytes, and EC2 allows {LIMIT}; shorten EcsConfig")]
pub struct TooLong {
    /// Its size in bytes.
    pub size: usize,
}

/// The user data of an instance, as text, not yet in base64.
pub fn user_data(boot: &Boot) -> Result<String, TooLong> {
    let text = multipart(&script(boot));
    if text.len() > LIMIT { Err(TooLong { size: text.len() }) } else { Ok(text) }
}

/// The script alone.
fn script(boot: &Boot) -> String {
    let (files, calls): (Vec<_>, Vec<_>) = steps(boot).into_iter().unzip();
    let mut script = include_str!("user_data/common.sh").to_owned();
    for file in files.into_iter().flatten() {
        script += "\n";
        script += file;
    }
    script += "\n# ";
    script += &one_line(&boot.forge_id);
    script += "\n";
    for call in calls {
        script += &call;
        script += "\n";
    }
    script + "finish\n"
}

/// The files and the call of each step, in the order of the steps.
fn steps(boot: &Boot) -> Vec<(Vec<&'static str>, String)> {
    let mut steps = vec![
        (vec![include_str!("user_data/ecs.sh")], call("step", "ECS agent", "ecs_settings", &ecs_lines(boot))),
        (vec![include_str!("user_data/kernel.sh")], call("step", "kernel settings", "kernel_settings", &[])),
    ];
    if let Some(log_group) = &boot.log_group {
        let settings = cloudwatch_settings(log_group, &boot.region);
        let call = call("step", "CloudWatch agent", "cloudwatch_agent", &[&settings]);
        steps.push((vec![include_str!("user_data/cloudwatch.sh")], call));
    }
    if boot.nvme_scratch {
        let call = call("step", "Fusion scratch on NVMe disks", "nvme_scratch", &[]);
        steps.push((vec![include_str!("user_data/nvme.sh")], call));
    }
    // After the disks: the folder has the mode of the file system mounted there.
    if boot.fusion {
        let call = call("step", "Fusion scratch", "scratch_folder", &[]);
        steps.push((vec![include_str!("user_data/scratch.sh")], call));
    }
    let aws_cli = match boot.aws_cli {
        AwsCli::None => None,
        AwsCli::Vital => Some("vital_step"),
        AwsCli::Spare => Some("step"),
    };
    if let Some(runner) = aws_cli {
        let archive = [boot.architecture.machine(), AWS_CLI_VERSION, boot.architecture.aws_cli_sha256()];
        steps
            .push((vec![include_str!("user_data/aws_cli.sh")], call(runner, "AWS CLI", "aws_cli", &archive)));
    }
    let mut shared = vec![include_str!("user_data/shared.sh")];
    if let Some(EfsMount { id, path }) = &boot.efs {
        let mut files = std::mem::take(&mut shared);
        files.push(include_str!("user_data/efs.sh"));
        steps.push((files, call("vital_step", "EFS", "efs", &[id, path])));
    }
    if let Some(FsxMount { dns_name, mount_name, path }) = &boot.fsx {
        let mut files = std::mem::take(&mut shared);
        files.push(include_str!("user_data/lustre.sh"));
        steps.push((files, call("vital_step", "FSx for Lustre", "lustre", &[dns_name, mount_name, path])));
    }
    steps
}

/// The lines for `ecs.config`: ours, except those that the user sets, and then the user's.
fn ecs_lines(boot: &Boot) -> Vec<&str> {
    let key = |line: &str| line.split_once('=').map_or(line, |(key, _)| key).to_owned();
    let users: HashSet<String> = boot.ecs_config.iter().map(|line| key(line)).collect();
    let ours = ECS_SETTINGS.into_iter().filter(|line| !users.contains(&key(line)));
    ours.chain(boot.ecs_config.iter().map(String::as_str)).collect()
}

/// The settings of the CloudWatch agent.
fn cloudwatch_settings(log_group: &str, region: &str) -> String {
    let files: Vec<_> = LOG_FILES
        .iter()
        .map(|(path, name)| {
            // The agent itself puts the instance's ID in.
            let stream = format!("{{instance_id}}/{name}");
            json!({"file_path": path, "log_group_name": log_group, "log_stream_name": stream})
        })
        .collect();
    json!({
        "agent": {"run_as_user": "root", "region": region},
        "logs": {"logs_collected": {"files": {"collect_list": files}}},
    })
    .to_string()
}

/// A line of the script's end.
fn call(runner: &str, name: &str, function: &str, arguments: &[&str]) -> String {
    let arguments = arguments.iter().map(|argument| format!(" \\\n  {}", quoted(argument)));
    format!("{runner} {} {function}{}", quoted(name), arguments.collect::<String>())
}

/// A shell word for exactly these characters, except NUL, which no argument can contain.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', r"'\''"))
}

/// Text that cannot break out of a comment line.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

/// A script as the only part of a MIME message. Batch requires an empty line before every boundary.
fn multipart(script: &str) -> String {
    let mut boundary = "==tower-forge==".to_owned();
    while script.contains(&boundary) {
        boundary += "=";
    }
    format!(
        "MIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=\"{boundary}\"\n\
         \n\
         --{boundary}\n\
         Content-Type: text/x-shellscript; charset=\"us-ascii\"\n\
         MIME-Version: 1.0\n\
         Content-Transfer-Encoding: 7bit\n\
         Content-Disposition: attachment; filename=\"tower-forge.sh\"\n\
         \n\
         {script}\n\
         --{boundary}--\n"
    )
}
