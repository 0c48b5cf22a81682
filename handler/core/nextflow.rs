//! Nextflow's configuration for a forge: the attribute `NextflowConfig`, which a pipeline includes.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value};

use crate::user_data::SCRATCH;

/// The data for Nextflow's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a property of the stack, and they are independent")]
pub struct NextflowConfig {
    /// The region of the forge.
    pub region: String,
    /// The queue of the pipeline's tasks.
    pub compute_queue: String,
    /// The queue of tasks with the label `dragen`.
    pub dragen_queue: Option<String>,
    /// The work directory.
    pub work_dir: String,
    /// The path of the AWS CLI on the instances; not with Fusion.
    pub cli_path: Option<String>,
    /// Tasks read and write S3 through Fusion.
    pub fusion: bool,
    /// Containers are provisioned through Wave.
    pub wave: bool,
    /// Fusion saves the state of tasks that lose their instance.
    pub snapshots: bool,
    /// Fusion's cache is on the instances' NVMe disks.
    pub nvme_scratch: bool,
    /// The instances are Graviton.
    pub arm64: bool,
    /// The instance paths that each task mounts: `/path` or `/host:/container`.
    pub volumes: Vec<String>,
    /// The role of the tasks.
    pub job_role: Option<String>,
    /// The execution role of the tasks.
    pub execution_role: Option<String>,
    /// The log group of the tasks, if it is not Batch's default.
    pub log_group: Option<String>,
    /// The share of the tasks in a queue with fair-share scheduling.
    pub share_identifier: Option<String>,
    /// The instances are Spot instances.
    pub spot: bool,
    /// Environment variables of the tasks.
    pub environment: BTreeMap<String, String>,
    /// Settings for the launcher of the head job, which Nextflow does not use.
    pub head_job: Map<String, Value>,
    /// The user's additional configuration, which is last and so takes precedence.
    pub extra: Option<String>,
}

/// The configuration as text.
pub fn nextflow_config(config: &NextflowConfig) -> String {
    let mut text = Text::default();
    if !config.head_job.is_empty() {
        // Nextflow has no setting for these. JSON has no line breaks of its own, so the comment ends where it should.
        text.line(&format!("// headJob: {}", Value::Object(config.head_job.clone())));
    }
    text.setting("workDir", &quoted(&config.work_dir));
    text.scope("process", |text| process(config, text));
    text.scope("aws", |text| {
        text.setting("region", &quoted(&config.region));
        text.scope("batch", |text| batch(config, text));
    });
    if config.fusion {
        text.scope("fusion", |text| {
            text.setting("enabled", "true");
            if config.snapshots {
                text.setting("snapshots", "true");
            }
        });
    }
    if config.wave {
        text.scope("wave", |text| text.setting("enabled", "true"));
    }
    if !config.environment.is_empty() {
        text.scope("env", |text| {
            for (name, value) in &config.environment {
                text.setting(name, &quoted(value));
            }
        });
    }
    if let Some(extra) = &config.extra {
        text.text += extra.trim_end();
        text.text += "\n";
    }
    text.text
}

/// The length of a text as a JSON string, as in the response to CloudFormation.
pub fn json_len(text: &str) -> usize {
    Value::from(text).to_string().len()
}

/// The scope `process`.
fn process(config: &NextflowConfig, text: &mut Text) {
    text.setting("executor", "'awsbatch'");
    text.setting("queue", &quoted(&config.compute_queue));
    if config.arm64 {
        text.setting("arch", "'linux/arm64'");
    }
    if config.fusion {
        // Fusion keeps the files that a task works on in its own cache; a copy in a scratch folder is a second one.
        text.setting("scratch", "false");
    }
    if config.spot {
        // The signals that end a task with its instance, and 175, with which Fusion says that no snapshot was made.
        let retried = "{ task.exitStatus in ((130..145) + 104 + 175) ? 'retry' : 'terminate' }";
        text.setting("errorStrategy", retried);
        text.setting("maxRetries", "3");
    }
    if let Some(queue) = &config.dragen_queue {
        text.scope("withLabel: 'dragen'", |text| text.setting("queue", &quoted(queue)));
    }
}

/// The scope `aws.batch`.
fn batch(config: &NextflowConfig, text: &mut Text) {
    let texts = [
        ("cliPath", &config.cli_path),
        ("jobRole", &config.job_role),
        ("executionRole", &config.execution_role),
        ("logsGroup", &config.log_group),
        ("shareIdentifier", &config.share_identifier),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            text.setting(name, &quoted(value));
        }
    }
    let scratch = (config.fusion && config.nvme_scratch).then(|| format!("{SCRATCH}:/tmp"));
    let volumes: Vec<_> = scratch.iter().chain(&config.volumes).map(|volume| quoted(volume)).collect();
    if !volumes.is_empty() {
        text.setting("volumes", &format!("[{}]", volumes.join(", ")));
    }
    if config.spot {
        // Batch itself tries again, and only tasks that the loss of an instance ended. Nextflow's default is no retry.
        text.setting("maxSpotAttempts", "5");
    }
    // A task that no instance type of the queue can hold would otherwise wait for ever.
    text.setting("terminateUnschedulableJobs", "true");
}

/// A Groovy string literal for exactly these characters. Between single quotes `$` has no meaning.
fn quoted(text: &str) -> String {
    let mut quoted = "'".to_owned();
    for c in text.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted += "\\n",
            '\r' => quoted += "\\r",
            '\t' => quoted += "\\t",
            c if c.is_control() => {
                write!(quoted, "\\u{:04x}", u32::from(c)).expect("a String takes all that is written to it");
            }
            c => quoted.push(c),
        }
    }
    quoted + "'"
}

/// Text with lines indented by scope.
#[derive(Default)]
struct Text {
    text: String,
    depth: usize,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.text += &"    ".repeat(self.depth);
        self.text += line;
        self.text += "\n";
    }

    fn setting(&mut self, name: &str, value: &str) {
        self.line(&format!("{name} = {value}"));
    }

    fn scope(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.line(&format!("{name} {{"));
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.line("}");
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{ExpectFile, expect_file};
    use proptest::prelude::*;

    use super::*;

    fn minimal() -> NextflowConfig {
        NextflowConfig {
            region: "eu-west-1".to_owned(),
            compute_queue: "TowerForge-2CeQImw0JjWrMM0tRDGRZ7-work".to_owned(),
            work_dir: "s3://genomics/work".to_owned(),
            cli_path: Some(crate::user_data::CLI_PATH.to_owned()),
            ..NextflowConfig::default()
        }
    }

    fn fusion() -> NextflowConfig {
        NextflowConfig { cli_path: None, fusion: true, wave: true, spot: true, ..minimal() }
    }

    fn role(name: &str) -> String {
        format!("arn:aws:iam::123456789012:role/{name}")
    }

    /// The golden files are also read by an independent parser of Groovy, in `tests/nextflow`.
    fn check(config: &NextflowConfig, golden: &ExpectFile) {
        golden.assert_eq(&nextflow_config(config));
    }

    #[test]
    fn on_demand_instances_need_queue_work_directory_and_cli() {
        check(&minimal(), &expect_file!["../../tests/golden/nextflow/minimal.config"]);
    }

    #[test]
    fn spot_instances_bring_retries() {
        let config = NextflowConfig { spot: true, execution_role: Some(role("Execution")), ..minimal() };
        check(&config, &expect_file!["../../tests/golden/nextflow/spot.config"]);
    }

    #[test]
    fn fusion_needs_wave_and_no_cli() {
        check(&fusion(), &expect_file!["../../tests/golden/nextflow/fusion.config"]);
    }

    #[test]
    fn every_setting_has_its_place() {
        let config = NextflowConfig {
            dragen_queue: Some("TowerForge-2CeQImw0JjWrMM0tRDGRZ7-dragen".to_owned()),
            snapshots: true,
            nvme_scratch: true,
            arm64: true,
            volumes: vec!["/mnt/efs".to_owned(), "/mnt/fsx:/data:ro".to_owned()],
            job_role: Some(role("Job")),
            execution_role: Some(role("Execution")),
            log_group: Some("/lab/jobs".to_owned()),
            share_identifier: Some("nf".to_owned()),
            environment: BTreeMap::from([("LAB".to_owned(), "it's ours".to_owned())]),
            head_job: Map::from_iter([
                ("cpus".to_owned(), 4.into()),
                ("preRunScript".to_owned(), "echo hello\necho '*/ // ${x}'".into()),
            ]),
            extra: Some("process.maxRetries = 7 // ours\n\n".to_owned()),
            ..fusion()
        };
        check(&config, &expect_file!["../../tests/golden/nextflow/everything.config"]);
    }

    #[test]
    fn a_string_stays_a_string() {
        let work_dir = "it's ${1 + 1} $HOME \"x\" \\n \\u0027 \\' \n\r\t\u{1} ü /* // */".to_owned();
        let config = NextflowConfig { work_dir, ..minimal() };
        check(&config, &expect_file!["../../tests/golden/nextflow/hostile.config"]);
    }

    #[test]
    fn the_length_is_that_of_the_json_string() {
        assert_eq!(json_len("a'\n\"é"), r#""a'\n\"é""#.len());
        let everything = nextflow_config(&fusion());
        assert_eq!(json_len(&everything), serde_json::to_string(&everything).unwrap().len());
    }

    /// Reads a string of Groovy between single quotes: its characters, and the rest.
    fn read(text: &str) -> Option<(String, &str)> {
        let mut value = String::new();
        let mut rest = text.strip_prefix('\'')?;
        loop {
            let c = rest.chars().next()?;
            rest = &rest[c.len_utf8()..];
            match c {
                '\'' => return Some((value, rest)),
                '\n' | '\r' => return None,
                '\\' => {
                    let escaped = rest.chars().next()?;
                    rest = &rest[escaped.len_utf8()..];
                    value.push(match escaped {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'u' => {
                            let code = u32::from_str_radix(rest.get(..4)?, 16).ok()?;
                            rest = &rest[4..];
                            char::from_u32(code)?
                        }
                        '\\' | '\'' => escaped,
                        _ => return None,
                    });
                }
                c => value.push(c),
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_quoted(text in r#"(['"\\$\{\}\n\r\t\x00\x1f]|[un0-9']|\PC|.){0,20}"#) {
            let quoted = quoted(&text);
            prop_assert_eq!(read(&quoted), Some((text, "")));
        }
    }
}
