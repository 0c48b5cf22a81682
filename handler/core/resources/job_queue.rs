//! AWS Batch job queues. Their names never change.

use super::name_of;
use crate::error::ServiceError;
use crate::resource::{Change, Kind, MutatingCall, Resource, TagChanges, Tags, Takes, Traits};
use std::time::Duration;

/// Why Batch may find a RUNNABLE job unschedulable.
const REASONS: [&str; 3] = [
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
];

/// Batch job queues.
#[derive(Debug)]
pub struct JobQueue;

/// The desired state of a job queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Queues with a higher number have precedence on a shared environment.
    pub priority: i32,
    /// The ARNs of its environments, the first tried first.
    pub order: Vec<String>,
    /// Seconds after which an unschedulable job is cancelled.
    pub time_limit: Option<i32>,
    /// The ARN of its scheduling policy. It can be replaced, but neither added nor removed.
    pub scheduling_policy: Option<String>,
}

/// The observed state of a job queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its ARN.
    pub arn: String,
    /// Whether it accepts jobs.
    pub enabled: bool,
    /// Its priority.
    pub priority: i32,
    /// The ARNs of its environments, the first tried first.
    pub order: Vec<String>,
    /// Actions on unschedulable jobs: (reason, seconds), sorted.
    pub time_limits: Vec<(String, i32)>,
    /// The ARN of its scheduling policy.
    pub scheduling_policy: Option<String>,
}

impl Spec {
    /// The observed queue without the environments for which `goes` is true.
    pub fn without(observed: &Observed, goes: impl Fn(&str) -> bool) -> Self {
        let order = observed.order.iter().filter(|arn| !goes(name_of(arn)));
        Self {
            priority: observed.priority,
            order: order.cloned().collect(),
            time_limit: observed.time_limits.first().map(|(_, seconds)| *seconds),
            scheduling_policy: observed.scheduling_policy.clone(),
        }
    }

    /// Actions on unschedulable jobs: (reason, seconds).
    pub fn time_limits(&self) -> Vec<(String, i32)> {
        let limits = |seconds: i32| REASONS.iter().map(|reason| ((*reason).to_owned(), seconds)).collect();
        self.time_limit.map(limits).unwrap_or_default()
    }
}

/// A mutating Batch call on job queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Starts its creation.
    Create {
        /// Its desired state.
        spec: Spec,
        /// Its tags.
        tags: Tags,
    },
    /// Changes the given fields.
    Update {
        /// The queue's ARN.
        arn: String,
        /// The changes.
        update: Update,
    },
    /// Deletes it; Batch refuses while it is enabled, and terminates its jobs.
    Delete {
        /// The queue's ARN.
        arn: String,
    },
    /// Sets tags.
    Tag {
        /// The queue's ARN.
        arn: String,
        /// The tags.
        tags: Tags,
    },
    /// Removes tags.
    Untag {
        /// The queue's ARN.
        arn: String,
        /// The keys of the tags.
        keys: Vec<String>,
    },
}

/// The fields of an update of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Whether it accepts jobs.
    pub enabled: Option<bool>,
    /// Its priority.
    pub priority: Option<i32>,
    /// The ARNs of its environments.
    pub order: Option<Vec<String>>,
    /// Actions on unschedulable jobs.
    pub time_limits: Option<Vec<(String, i32)>>,
    /// The ARN of its scheduling policy.
    pub scheduling_policy: Option<String>,
}

impl MutatingCall for Call {
    fn action(&self) -> &'static str {
        match self {
            Self::Create { .. } => "batch:CreateJobQueue",
            Self::Update { .. } => "batch:UpdateJobQueue",
            Self::Delete { .. } => "batch:DeleteJobQueue",
            Self::Tag { .. } => "batch:TagResource",
            Self::Untag { .. } => "batch:UntagResource",
        }
    }

    fn tolerates(&self, refusal: &ServiceError) -> bool {
        match self {
            Self::Create { .. } => refusal.is_taken(),
            Self::Delete { .. } => refusal.is_not_found(),
            _ => false,
        }
    }
}

impl Resource for JobQueue {
    const KIND: Kind = Kind::JobQueue;
    const TRAITS: Traits = Traits {
        noun: "job queue",
        settles: Takes::seconds(2, 20),
        stops: Takes::seconds(2, 30),
        // With the time for which Batch still finds its relationship to an environment.
        goes: Takes::seconds(2, 50),
        quota: Some(50),
        outlives_instances: false,
        rests_on_absence: false,
        update_detaches: true,
        finds_users_for: Duration::ZERO,
        keeps_references: false,
        feature: None,
    };
    type Spec = Spec;
    type Observed = Observed;
    type Call = Call;

    fn drift(spec: &Spec, observed: &Observed) -> Vec<Change> {
        let mut changes = Vec::new();
        let state = if observed.enabled { "ENABLED" } else { "DISABLED" };
        let names = |order: &[String]| order.iter().map(|arn| name_of(arn).to_owned()).collect::<Vec<_>>();
        Change::note(&mut changes, "state", &state, &"ENABLED");
        Change::note(&mut changes, "priority", &observed.priority, &spec.priority);
        let (from, to) = (names(&observed.order), names(&spec.order));
        Change::note(&mut changes, "computeEnvironmentOrder", &from, &to);
        Change::note(&mut changes, "jobStateTimeLimitActions", &observed.time_limits, &spec.time_limits());
        if spec.scheduling_policy.is_some() {
            let (from, to) = (&observed.scheduling_policy, &spec.scheduling_policy);
            Change::note(&mut changes, "schedulingPolicyArn", from, to);
        }
        changes
    }

    fn create(_name: &str, spec: &Spec, tags: &Tags) -> Vec<Call> {
        vec![Call::Create { spec: spec.clone(), tags: tags.clone() }]
    }

    fn update(_name: &str, spec: &Spec, observed: &Observed) -> Vec<Call> {
        let policy = &spec.scheduling_policy;
        let update = Update {
            enabled: (!observed.enabled).then_some(true),
            priority: (observed.priority != spec.priority).then_some(spec.priority),
            order: (observed.order != spec.order).then(|| spec.order.clone()),
            time_limits: (observed.time_limits != spec.time_limits()).then(|| spec.time_limits()),
            scheduling_policy: policy.clone().filter(|_| *policy != observed.scheduling_policy),
        };
        let arn = observed.arn.clone();
        (update != Update::default()).then_some(Call::Update { arn, update }).into_iter().collect()
    }

    fn set_tags(observed: &Observed, changes: &TagChanges) -> Vec<Call> {
        let arn = || observed.arn.clone();
        changes.calls(|tags| Call::Tag { arn: arn(), tags }, |keys| Call::Untag { arn: arn(), keys })
    }

    fn delete(observed: &Observed) -> Vec<Call> {
        let arn = observed.arn.clone();
        if observed.enabled {
            return vec![Call::Update { arn, update: Update { enabled: Some(false), ..Update::default() } }];
        }
        vec![Call::Delete { arn }]
    }

    fn is_enabled(observed: &Observed) -> bool {
        observed.enabled
    }
}
