//! A folder in which bash runs user data, with stand-ins for all that would change the machine.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tower_forge_core::user_data::{Boot, user_data};

/// The script of every stand-in: it notes its call, prints the prepared output, and fails as often as it
/// is told to.
const STAND_IN: &str = r#"#!/bin/bash
name=${0##*/}
echo "$name $*" >>"$SANDBOX/calls"
if [[ -e $SANDBOX/output/$name ]]; then cat "$SANDBOX/output/$name"; fi
if [[ -e $SANDBOX/failures/$name ]]; then
  left=$(<"$SANDBOX/failures/$name")
  echo $((left - 1)) >"$SANDBOX/failures/$name"
  if ((left > 0)); then
    echo "$name fails" >&2
    exit 3
  fi
fi
install() {
  mkdir -p "${1%/*}"
  ln -sf "$SANDBOX/stand-in" "$1"
}
case $name in
  curl)
    while (($# > 1)) && [[ $1 != --output ]]; do shift; done
    cat "$SANDBOX/stand-in" >"$2"
    ;;
  unzip) install "$4/aws/dist/aws" ;;
  dnf)
    if [[ $* == *amazon-cloudwatch-agent ]]; then
      install "$TOWER_FORGE_ROOT/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl"
    fi
    ;;
esac
"#;

const STAND_INS: [&str; 19] = [
    "chattr",
    "curl",
    "dnf",
    "logger",
    "lsblk",
    "lvcreate",
    "mkfs.xfs",
    "mount",
    "mountpoint",
    "pvcreate",
    "rpm",
    "sha256sum",
    "shutdown",
    "sleep",
    "sysctl",
    "systemctl",
    "unzip",
    "vgcreate",
    "yum",
];

/// A folder with the roots of an instance and the stand-ins.
pub(super) struct Sandbox {
    folder: PathBuf,
}

/// The result of a run.
pub(super) struct Run {
    pub(super) code: i32,
    pub(super) output: String,
    /// The calls of stand-ins, in order, with the paths of an instance.
    pub(super) calls: Vec<String>,
}

impl Run {
    /// The calls, but those that only tell or wait.
    pub(super) fn commands(&self) -> Vec<&str> {
        let telling = |call: &&str| !call.starts_with("logger ") && !call.starts_with("sleep ");
        self.calls.iter().map(String::as_str).filter(telling).collect()
    }
}

impl Sandbox {
    /// An empty instance: no package is installed, nothing is mounted, there are two NVMe disks.
    pub(super) fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("user_data").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        for part in ["bin", "failures", "output", "tmp", "root/var/log", "root/etc"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        fs::write(folder.join("stand-in"), STAND_IN).unwrap();
        fs::set_permissions(folder.join("stand-in"), fs::Permissions::from_mode(0o755)).unwrap();
        let sandbox = Self { folder };
        for name in STAND_INS {
            sandbox.install(name);
        }
        sandbox.fail("rpm", 1000);
        sandbox.fail("mountpoint", 1000);
        sandbox.disks(2);
        sandbox
    }

    fn install(&self, name: &str) {
        symlink(self.folder.join("stand-in"), self.folder.join("bin").join(name)).unwrap();
    }

    /// A command fails so many times.
    pub(super) fn fail(&self, name: &str, times: usize) {
        fs::write(self.folder.join("failures").join(name), times.to_string()).unwrap();
    }

    /// A command is that of this machine.
    pub(super) fn use_real(&self, name: &str) {
        fs::remove_file(self.folder.join("bin").join(name)).unwrap();
    }

    /// A command is there, and succeeds.
    pub(super) fn succeed(&self, name: &str) {
        self.fail(name, 0);
        if !STAND_INS.contains(&name) {
            self.install(name);
        }
    }

    /// The root volume, an EBS volume, and so many instance store disks.
    pub(super) fn disks(&self, count: usize) {
        let volume = |number| format!("/dev/nvme{number}n1 Amazon Elastic Block Store\n");
        let disk = |number| format!("/dev/nvme{number}n1 Amazon EC2 NVMe Instance Storage\n");
        let disks: String = (1..=count).map(disk).collect();
        fs::write(self.folder.join("output/lsblk"), volume(0) + &disks + &volume(9)).unwrap();
    }

    /// Runs the user data of an instance, as cloud-init does.
    pub(super) fn run(&self, boot: &Boot) -> Run {
        let text = user_data(boot).unwrap();
        let file = self.folder.join("tower-forge.sh");
        fs::write(&file, script_of(&text)).unwrap();
        let root = self.folder.join("root");
        let output = Command::new("/bin/bash")
            .arg(&file)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.folder.join("bin").display()))
            .env("SANDBOX", &self.folder)
            .env("TMPDIR", self.folder.join("tmp"))
            .env("TOWER_FORGE_ROOT", &root)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let calls = fs::read_to_string(self.folder.join("calls")).unwrap_or_default();
        let calls = calls.replace(root.to_str().unwrap(), "");
        Run {
            code: output.status.code().unwrap(),
            output: String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
            calls: calls.lines().map(str::to_owned).collect(),
        }
    }

    /// Forgets the calls so far.
    pub(super) fn forget_calls(&self) {
        fs::remove_file(self.folder.join("calls")).unwrap();
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let file = self.folder.join("root").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder.join("root").join(path)).unwrap()
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.folder.join("root").join(path).exists()
    }

    /// The permission bits of a file.
    pub(super) fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.folder.join("root").join(path)).unwrap().permissions().mode() & 0o7777
    }
}

/// The script in a MIME text of ours.
pub(super) fn script_of(text: &str) -> &str {
    let start = text.find("\n\n#!/bin/bash\n").unwrap() + 2;
    let end = text.rfind("\n--==").unwrap();
    &text[start..end]
}

/// Whether a tool accepts a text, and its output. It is looked for as `make` installs it, then in PATH.
pub(super) fn tool(name: &str, arguments: &[&str], input: &str) -> (bool, String) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let installed = [".venv/bin", ".tools/bin"].map(|folder| package.join(folder).join(name));
    let program = installed.into_iter().find(|file| file.exists()).unwrap_or_else(|| PathBuf::from(name));
    let mut child = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{} cannot be started ({error}); `make` installs it", program.display())
        });
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}
