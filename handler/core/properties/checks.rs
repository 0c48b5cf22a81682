//! The format of single values.
//!
//! Every value for a shell, `ecs.config`, an ARN or a Nextflow configuration passes one of these checks first, so that
//! none can break out. They check the format only, not the existence of a resource.

use super::WorkDir;
use crate::user_data::check;

/// Whether a text has only certain characters, and between `min` and `max` of them.
fn made_of(text: &str, min: usize, max: usize, ok: impl Fn(char) -> bool) -> bool {
    text.chars().all(ok) && (min..=max).contains(&text.chars().count())
}

/// A forge ID.
pub(super) fn forge_id(text: &str) -> bool {
    made_of(text, 1, 22, |c| c.is_ascii_alphanumeric())
}

/// An ID such as `subnet-0123abcd`.
pub(super) fn aws_id(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|id| made_of(id, 8, 40, |c| matches!(c, '0'..='9' | 'a'..='f')))
}

/// Printable ASCII of one line.
pub(super) fn printable(text: &str, max: usize) -> bool {
    made_of(text, 1, max, |c| c.is_ascii_graphic() || c == ' ')
}

/// A bucket's name.
pub(super) fn bucket(name: &str) -> bool {
    made_of(name, 3, 63, |c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && !name.contains("..")
}

/// Bucket and prefix of `s3://bucket/prefix`.
pub(super) fn s3(text: &str) -> Option<(String, String)> {
    let rest = text.strip_prefix("s3://")?;
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_matches('/');
    let safe = prefix.is_empty() || path_characters(prefix) && !prefix.contains("//");
    (bucket(name) && safe).then(|| (name.to_owned(), prefix.to_owned()))
}

/// The bucket of `s3://bucket/path`, or of its name alone.
pub(super) fn bucket_of(text: &str) -> Option<String> {
    if bucket(text) { Some(text.to_owned()) } else { s3(text).map(|(name, _)| name) }
}

/// `bucket` or `bucket/prefix` of a bucket's name, or of an S3 URL with or without a prefix; `*` for all buckets.
pub(super) fn read_bucket(text: &str) -> Option<String> {
    if text == "*" || bucket(text) {
        return Some(text.to_owned());
    }
    let (name, prefix) = s3(text)?;
    Some(if prefix.is_empty() { name } else { format!("{name}/{prefix}") })
}

/// Nextflow's work directory.
pub(super) fn work_dir(text: &str) -> Option<WorkDir> {
    match s3(text) {
        Some((bucket, prefix)) => Some(WorkDir::S3 { bucket, prefix }),
        None => path(text).map(WorkDir::Path),
    }
}

fn path_characters(text: &str) -> bool {
    made_of(text, 1, 512, |c| c.is_ascii_alphanumeric() || "-_.+=@/".contains(c))
}

/// An absolute path that a shell takes as one word, without a slash at its end.
pub(super) fn path(text: &str) -> Option<String> {
    let path = text.trim_end_matches('/');
    let plain = path.strip_prefix('/')?.split('/').all(|part| !matches!(part, "" | "." | ".."));
    (path_characters(path) && plain).then(|| path.to_owned())
}

/// Whether a path is another one or below it.
pub(super) fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A directory that may be covered by a mount, without a slash at its end.
pub(super) fn mount(text: &str) -> Option<String> {
    let path = text.trim_end_matches('/');
    check::check_mount_path(path).is_ok().then(|| path.to_owned())
}

/// The path of the AWS CLI. Nextflow refuses a path that does not end in `/bin/aws`, and mounts the directory above `bin`
/// into every task, so that must not be the root of the file system.
pub(super) fn cli_path(text: &str) -> Option<String> {
    path(text).filter(|path| path.strip_suffix("/bin/aws").is_some_and(|above| !above.is_empty()))
}

/// Host paths as Nextflow writes them: `/host`, `/host:/container` or `/host:/container:ro`.
pub(super) fn volume(text: &str) -> bool {
    let parts: Vec<_> = text.split(':').collect();
    match parts.as_slice() {
        [host] => path(host).is_some(),
        [host, container] => path(host).is_some() && path(container).is_some(),
        [host, container, mode] => {
            path(host).is_some() && path(container).is_some() && matches!(*mode, "ro" | "rw")
        }
        _ => false,
    }
}

/// An instance type, a family, or one of Batch's own bundles of families.
pub(super) fn instance_type(text: &str) -> bool {
    let name = |part: &str| {
        made_of(part, 2, 24, |c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    is_bundle(text)
        || match text.split_once('.') {
            Some((family, size)) => is_family(family) && name(size),
            None => is_family(text),
        }
}

fn is_family(text: &str) -> bool {
    made_of(text, 2, 24, |c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.contains(|c: char| c.is_ascii_digit())
}

/// Whether a name stands for several families of Batch's choice.
pub(super) fn is_bundle(text: &str) -> bool {
    matches!(text, "optimal" | "default_x86_64" | "default_arm64")
}

/// The letters after the generation in a family's name: `gd` of `m6gd.large`. They name the family's features.
fn abilities(instance_type: &str) -> &str {
    let family = instance_type.split(['.', '-']).next().unwrap_or_default();
    family
        .trim_start_matches(|c: char| c.is_ascii_lowercase())
        .trim_start_matches(|c: char| c.is_ascii_digit())
}

/// Whether an instance type is Graviton: a `g` after the generation.
pub(super) fn is_arm64(instance_type: &str) -> bool {
    instance_type == "default_arm64"
        || !is_bundle(instance_type)
            && (abilities(instance_type).contains('g') || instance_type.split('.').next() == Some("a1"))
}

/// Whether an instance type surely has no NVMe disks: a bundle, or a general family without a `d`.
/// Families whose name does not show their disks are accepted.
pub(super) fn lacks_nvme(instance_type: &str) -> bool {
    let general = instance_type.starts_with(['c', 'm', 'r', 't'])
        && instance_type[1..].starts_with(|c: char| c.is_ascii_digit());
    is_bundle(instance_type) || general && !abilities(instance_type).contains('d')
}

/// A DRAGEN instance type.
pub(super) fn dragen_instance_type(text: &str) -> bool {
    matches!(text, "f1.2xlarge" | "f1.4xlarge" | "f1.16xlarge" | "f2.6xlarge" | "f2.12xlarge" | "f2.48xlarge")
}

/// An environment variable's name.
pub(super) fn variable(name: &str) -> bool {
    made_of(name, 1, 128, |c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// A text of several lines, without control characters.
pub(super) fn block(text: &str, max_bytes: usize) -> bool {
    text.len() <= max_bytes && text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t' | '\r'))
}

/// A share identifier, of which Batch takes letters and digits (Batch API, `SubmitJob`).
pub(super) fn share_identifier(text: &str) -> bool {
    made_of(text, 1, 255, |c| c.is_ascii_alphanumeric())
}

/// A log group's name.
pub(super) fn log_group(text: &str) -> bool {
    made_of(text, 1, 512, |c| c.is_ascii_alphanumeric() || "._-/#".contains(c))
}

/// The components of an ARN whose characters are all harmless in JSON, in a policy and in a shell.
pub(super) struct Arn<'a> {
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) account: &'a str,
    pub(super) resource: &'a str,
}

/// Reads an ARN.
pub(super) fn arn(text: &str) -> Option<Arn<'_>> {
    let safe = made_of(text, 20, 2048, |c| c.is_ascii_alphanumeric() || "-_.+=@,/:".contains(c));
    let parts: Vec<_> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", "aws" | "aws-cn" | "aws-us-gov", service, region, account, resource]
            if safe
                && (matches!(*account, "" | "aws") || made_of(account, 12, 12, |c| c.is_ascii_digit())) =>
        {
            Some(Arn { service, region, account, resource })
        }
        _ => None,
    }
}

/// An IAM ARN of a kind (`role`, `policy`).
pub(super) fn iam_arn(kind: &str, text: &str) -> bool {
    arn(text).is_some_and(|arn| {
        let name = arn.resource.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/'));
        arn.service == "iam"
            && arn.region.is_empty()
            && !arn.account.is_empty()
            && name.is_some_and(|n| !n.is_empty())
    })
}

/// A KMS key: an ID, an alias, or the ARN of either in this region.
pub(super) fn kms_key(text: &str, region: &str) -> bool {
    let id =
        |text: &str| made_of(text, 36, 40, |c| matches!(c, '0'..='9' | 'a'..='f' | '-') || "mrk".contains(c));
    let alias = |text: &str| {
        text.strip_prefix("alias/")
            .is_some_and(|name| made_of(name, 1, 250, |c| c.is_ascii_alphanumeric() || "/_-".contains(c)))
    };
    let named = |resource: &str| resource.strip_prefix("key/").is_some_and(id) || alias(resource);
    id(text)
        || alias(text)
        || arn(text).is_some_and(|a| a.service == "kms" && a.region == region && named(a.resource))
}

/// Whether a text matches one of several patterns, in which `*` stands for any text.
pub(super) fn allowed(text: &str, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| wildcard(pattern, text))
}

fn wildcard(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == text };
    text.strip_prefix(head).is_some_and(|rest| {
        rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| wildcard(tail, &rest[at..]))
    })
}
