//! Checks of values for the user data. Each error is a sentence for the stack author.

use super::SCRATCH;

/// Folders of the system and of the forge: nothing is mounted on, in or above them.
const OCCUPIED: [&str; 17] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home/ec2-user",
    "/lib",
    "/lib64",
    "/opt/aws",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    SCRATCH,
    "/sys",
    "/tmp",
    "/usr",
    "/var",
];

/// Checks a path that a file system is to be mounted at.
pub fn check_mount_path(path: &str) -> Result<(), String> {
    let Some(relative) = path.strip_prefix('/') else {
        return Err(format!("{path:?} is not an absolute path"));
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let proper = |name: &str| !name.is_empty() && name != "." && name != ".." && name.chars().all(plain);
    if path.len() > 255 || !relative.split('/').all(proper) {
        return Err(format!(
            "{path:?} is not a plain path: names of letters, digits, '.', '_' and '-' with single slashes between them"
        ));
    }
    let within = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}/"));
    match OCCUPIED.iter().find(|taken| within(path, taken) || within(taken, path)) {
        Some(taken) => Err(format!("{path} cannot be a mount path, because the instance uses {taken}")),
        None => Ok(()),
    }
}

/// The lines of `EcsConfig` without comments and empty lines.
pub fn ecs_config_lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// Checks one line of `ecs.config`. Errors do not repeat the value, which may be a password.
pub fn check_ecs_line(line: &str) -> Result<(), String> {
    let Some((key, _)) = line.split_once('=') else {
        return Err("each line must be NAME=value".to_owned());
    };
    let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if key.is_empty() || key.starts_with(|c: char| c.is_ascii_digit()) || !key.chars().all(upper) {
        return Err(format!("{key:?} is not a variable's name of capital letters, digits and '_'"));
    }
    if !line.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return Err(format!("the value of {key} has characters other than printable ASCII"));
    }
    let is_proxy_with_a_password = key.ends_with("_PROXY") && line.contains('@');
    match key {
        "ECS_BACKEND_HOST" | "ECS_ACCEPT_INSECURE_CERT" => {
            Err("the agent talks to ECS alone, over TLS that it verifies".to_owned())
        }
        _ if key.starts_with("AWS_") => {
            Err("instances have the region and the credentials of the forge".to_owned())
        }
        _ if is_proxy_with_a_password => {
            Err("user data is widely readable; use a proxy that needs no password".to_owned())
        }
        "ECS_CLUSTER" => Err("AWS Batch chooses the cluster of its instances".to_owned()),
        "ECS_ENGINE_AUTH_DATA" => Err("user data is widely readable; keep images in ECR instead".to_owned()),
        _ => Ok(()),
    }
}

/// Checks the DNS name of an FSx for Lustre file system.
pub fn check_fsx_dns(name: &str) -> Result<(), String> {
    let labels: Vec<&str> = name.split('.').collect();
    let plain = |label: &&str| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let id = labels[0].strip_prefix("fs-").unwrap_or_default();
    let well_formed = (8..=40).contains(&id.len())
        && id.chars().all(|c| c.is_ascii_hexdigit())
        && labels.len() >= 5
        && labels[1] == "fsx"
        && labels.iter().all(plain);
    if well_formed {
        Ok(())
    } else {
        Err(format!(
            "{name:?} is not the DNS name of an FSx file system, as in fs-0123456789abcdef0.fsx.eu-west-1.amazonaws.com"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_path_is_plain_and_free() {
        for good in ["/mnt/efs", "/data", "/mnt/my-lab_1.2/work", "/home/data", "/efs"] {
            assert_eq!(check_mount_path(good), Ok(()), "{good}");
        }
        let refused = [
            ("", "absolute"),
            ("mnt/efs", "absolute"),
            ("s3://bucket", "absolute"),
            ("/", "plain"),
            ("/mnt/", "plain"),
            ("/mnt//efs", "plain"),
            ("/mnt/../etc", "plain"),
            ("/mnt/./efs", "plain"),
            ("/mnt/e f", "plain"),
            ("/mnt/e\nf", "plain"),
            ("/mnt/$(id)", "plain"),
            ("/mnt/é", "plain"),
            ("/etc", "uses /etc"),
            ("/var/lib/docker", "uses /var"),
            ("/home", "uses /home/ec2-user"),
            ("/home/ec2-user/data", "uses /home/ec2-user"),
            ("/scratch", "uses /scratch/fusion"),
            ("/opt", "uses /opt/aws"),
        ];
        for (bad, why) in refused {
            let message = check_mount_path(bad).unwrap_err();
            assert!(message.contains(why), "{bad}: {message}");
        }
        assert!(check_mount_path(&format!("/{}", "x".repeat(255))).is_err());
    }

    #[test]
    fn ecs_config_is_lines_of_settings() {
        let text = "# pull\nECS_IMAGE_PULL_BEHAVIOR=default\r\n\n  ECS_INSTANCE_ATTRIBUTES={\"lab\": \"it's\"}\nEMPTY=\n";
        let lines =
            ["ECS_IMAGE_PULL_BEHAVIOR=default", "ECS_INSTANCE_ATTRIBUTES={\"lab\": \"it's\"}", "EMPTY="];
        assert_eq!(ecs_config_lines(text), lines);
        assert!(lines.into_iter().all(|line| check_ecs_line(line).is_ok()));
        assert!(ecs_config_lines("").is_empty());
        let refused = [
            ("ECS_X", "NAME=value"),
            ("=1", "not a variable's name"),
            ("ecs_x=1", "not a variable's name"),
            ("1X=1", "not a variable's name"),
            ("A B=1", "not a variable's name"),
            ("X;rm=1", "not a variable's name"),
            ("ECS_X=\u{7}", "printable ASCII"),
            ("ECS_X=ü", "printable ASCII"),
            ("ECS_CLUSTER=other", "AWS Batch chooses"),
            ("ECS_BACKEND_HOST=https://attacker.example", "ECS alone"),
            ("ECS_ACCEPT_INSECURE_CERT=true", "ECS alone"),
            ("AWS_SECRET_ACCESS_KEY=x", "credentials of the forge"),
            ("HTTP_PROXY=http://user:word@proxy:3128", "no password"),
            ("ECS_ENGINE_AUTH_DATA={}", "widely readable"),
        ];
        for (bad, why) in refused {
            let message = check_ecs_line(bad).unwrap_err();
            assert!(message.contains(why), "{bad:?}: {message}");
        }
    }

    #[test]
    fn an_fsx_name_is_a_file_systems_dns_name() {
        for good in [
            "fs-0123456789abcdef0.fsx.eu-west-1.amazonaws.com",
            "fs-01234567.fsx.cn-north-1.amazonaws.com.cn",
        ] {
            assert_eq!(check_fsx_dns(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "fs-0123456789abcdef0",
            "lustre.example.com",
            "fs-0123456789abcdef0.efs.eu-west-1.amazonaws.com",
            "fs-xyz0123456.fsx.eu-west-1.amazonaws.com",
            "fs-0123456789abcdef0.fsx.eu-west-1.amazonaws.com@tcp:/fsx",
            "fs-0123456789abcdef0.fsx..amazonaws.com",
            "fs-0123456789abcdef0.fsx.eu-west-1.amazonaws.com\n",
        ] {
            assert!(check_fsx_dns(bad).is_err(), "{bad:?}");
        }
    }
}
