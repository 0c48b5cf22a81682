//! The reports of the local AWS: everything that exists, and every call that was made.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// Tags by key.
pub(crate) type Tags = BTreeMap<String, String>;

/// Everything that exists in an account, sorted. Two states are equal when nothing differs.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) roles: Vec<Role>,
    pub(crate) instance_profiles: Vec<InstanceProfile>,
    pub(crate) launch_templates: Vec<LaunchTemplate>,
    pub(crate) compute_environments: Vec<ComputeEnvironment>,
    pub(crate) job_queues: Vec<JobQueue>,
    /// Jobs, with those that were killed.
    pub(crate) jobs: Vec<Value>,
    pub(crate) efs: Vec<FileSystem>,
    pub(crate) fsx: Vec<FileSystem>,
    pub(crate) log_groups: Vec<LogGroup>,
}

/// An IAM role.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) trust: Value,
    /// ARNs of the managed policies.
    pub(crate) managed: Vec<String>,
    /// Inline policies by name.
    pub(crate) inline: BTreeMap<String, Value>,
    pub(crate) tags: Tags,
    pub(crate) boundary: Option<String>,
    pub(crate) path: String,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// An IAM instance profile.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct InstanceProfile {
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
    pub(crate) tags: Tags,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// An EC2 launch template.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LaunchTemplate {
    pub(crate) name: String,
    pub(crate) id: String,
    /// Its newest version, the user data in plain text.
    pub(crate) data: Value,
    pub(crate) tags: Tags,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// A Batch compute environment.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ComputeEnvironment {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) state: String,
    pub(crate) status: String,
    pub(crate) status_reason: Option<String>,
    pub(crate) service_role: Option<String>,
    /// As Batch's own API spells it.
    pub(crate) compute_resources: Value,
    pub(crate) tags: Tags,
    pub(crate) running_jobs: Value,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// A Batch job queue.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct JobQueue {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) state: String,
    pub(crate) status: String,
    pub(crate) priority: i64,
    /// ARNs of the environments, the first choice first.
    pub(crate) order: Vec<String>,
    pub(crate) time_limits: Value,
    pub(crate) scheduling_policy: Option<String>,
    pub(crate) tags: Tags,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// An EFS or FSx file system.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct FileSystem {
    pub(crate) id: String,
    pub(crate) tags: Tags,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

/// A `CloudWatch` log group.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LogGroup {
    pub(crate) name: String,
    pub(crate) retention: Option<i64>,
    pub(crate) tags: Tags,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

impl State {
    /// Everything that exists, as (kind, name or ID, tags); jobs are no resource of it.
    pub(crate) fn resources(&self) -> Vec<(&'static str, &str, &Tags)> {
        let mut resources: Vec<(&'static str, &str, &Tags)> = Vec::new();
        resources.extend(self.roles.iter().map(|it| ("role", it.name.as_str(), &it.tags)));
        resources
            .extend(self.instance_profiles.iter().map(|it| ("instance profile", it.name.as_str(), &it.tags)));
        resources
            .extend(self.launch_templates.iter().map(|it| ("launch template", it.name.as_str(), &it.tags)));
        resources.extend(
            self.compute_environments.iter().map(|it| ("compute environment", it.name.as_str(), &it.tags)),
        );
        resources.extend(self.job_queues.iter().map(|it| ("job queue", it.name.as_str(), &it.tags)));
        resources.extend(self.efs.iter().map(|it| ("EFS file system", it.id.as_str(), &it.tags)));
        resources.extend(self.fsx.iter().map(|it| ("FSx file system", it.id.as_str(), &it.tags)));
        resources.extend(self.log_groups.iter().map(|it| ("log group", it.name.as_str(), &it.tags)));
        resources
    }

    /// How many of each kind there are.
    pub(crate) fn count(&self) -> BTreeMap<&'static str, usize> {
        let mut count = BTreeMap::new();
        for (kind, _, _) in self.resources() {
            *count.entry(kind).or_default() += 1;
        }
        count
    }

    /// The role of this name.
    pub(crate) fn role(&self, name: &str) -> &Role {
        self.roles.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("no role {name}"))
    }

    /// The queue of this name.
    pub(crate) fn queue(&self, name: &str) -> &JobQueue {
        self.job_queues.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("no queue {name}"))
    }

    /// The environment of this name or ARN.
    pub(crate) fn environment(&self, name: &str) -> &ComputeEnvironment {
        self.compute_environments
            .iter()
            .find(|it| it.name == name || it.arn == name)
            .unwrap_or_else(|| panic!("no environment {name}"))
    }

    /// The environment that a queue tries first.
    pub(crate) fn first_environment(&self, queue: &str) -> &ComputeEnvironment {
        self.environment(self.queue(queue).order.first().expect("a queue has an environment"))
    }
}

/// A call that reached the local AWS.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Call {
    pub(crate) seq: u64,
    /// Seconds of AWS's time.
    pub(crate) at: f64,
    /// The process that made it.
    pub(crate) app: Option<String>,
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) mutating: bool,
    /// Names and ARNs.
    pub(crate) resources: Vec<String>,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    /// The fault that struck it.
    pub(crate) fault: Option<String>,
    /// How the policy judged it.
    pub(crate) authz: Vec<Value>,
    /// Its parameters.
    pub(crate) request: Value,
}

/// Calls in the order in which they arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(pub(crate) Vec<Call>);

impl Calls {
    /// Those of this operation, as `CreateJobQueue`.
    pub(crate) fn of(&self, operation: &str) -> Calls {
        self.filter(|call| call.operation == operation)
    }

    /// Those that came after this one.
    pub(crate) fn since(&self, seq: u64) -> Calls {
        self.filter(|call| call.seq > seq)
    }

    /// Those of one process.
    pub(crate) fn by(&self, app: &str) -> Calls {
        self.filter(|call| call.app.as_deref() == Some(app))
    }

    /// Those that would change a resource; invoking the function itself does not, nor does the claim.
    pub(crate) fn mutating(&self) -> Calls {
        self.filter(|call| call.mutating && call.service != "lambda" && call.service != "dynamodb")
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many of each `service:Operation`.
    pub(crate) fn by_operation(&self) -> BTreeMap<String, usize> {
        let mut count = BTreeMap::new();
        for call in &self.0 {
            *count.entry(format!("{}:{}", call.service, call.operation)).or_default() += 1;
        }
        count
    }

    /// The number of the last one.
    pub(crate) fn last_seq(&self) -> u64 {
        self.0.iter().map(|call| call.seq).max().unwrap_or(0)
    }

    fn filter(&self, wanted: impl Fn(&Call) -> bool) -> Calls {
        Calls(self.0.iter().filter(|call| wanted(call)).cloned().collect())
    }
}
