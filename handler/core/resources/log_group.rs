//! CloudWatch log groups for the agent on a forge's instances.

use crate::error::ServiceError;
use crate::resource::{Change, Kind, MutatingCall, Resource, TagChanges, Tags, Takes, Traits};
use std::time::Duration;

/// CloudWatch log groups.
#[derive(Debug)]
pub struct LogGroup;

/// The desired state of a log group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Retention of events in days.
    pub retention_days: i32,
}

/// The observed state of a log group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its ARN, without the `:*` that stands for its streams.
    pub arn: String,
    /// Retention of events in days; `None` keeps them forever.
    pub retention_days: Option<i32>,
}

/// A mutating CloudWatch Logs call on log group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Creates it with these tags.
    Create(Tags),
    /// Sets the retention of events in days.
    Retain(i32),
    /// Sets tags.
    Tag {
        /// The group's ARN.
        arn: String,
        /// The tags.
        tags: Tags,
    },
    /// Removes tags.
    Untag {
        /// The group's ARN.
        arn: String,
        /// The keys of the tags.
        keys: Vec<String>,
    },
    /// Deletes it with its events.
    Delete,
}

impl MutatingCall for Call {
    fn action(&self) -> &'static str {
        match self {
            Self::Create(_) => "logs:CreateLogGroup",
            Self::Retain(_) => "logs:PutRetentionPolicy",
            Self::Tag { .. } => "logs:TagResource",
            Self::Untag { .. } => "logs:UntagResource",
            Self::Delete => "logs:DeleteLogGroup",
        }
    }

    fn tolerates(&self, refusal: &ServiceError) -> bool {
        match self {
            Self::Create(_) => refusal.is_taken(),
            Self::Delete => refusal.is_not_found(),
            _ => false,
        }
    }
}

impl Resource for LogGroup {
    const KIND: Kind = Kind::LogGroup;
    const TRAITS: Traits = Traits {
        noun: "log group",
        settles: Takes::NOTHING,
        stops: Takes::NOTHING,
        goes: Takes::NOTHING,
        quota: None,
        outlives_instances: true,
        rests_on_absence: true,
        update_detaches: false,
        finds_users_for: Duration::ZERO,
        keeps_references: true,
        feature: None,
    };
    type Spec = Spec;
    type Observed = Observed;
    type Call = Call;

    fn drift(spec: &Spec, observed: &Observed) -> Vec<Change> {
        let mut changes = Vec::new();
        Change::note(&mut changes, "retentionInDays", &observed.retention_days, &Some(spec.retention_days));
        changes
    }

    fn create(_name: &str, spec: &Spec, tags: &Tags) -> Vec<Call> {
        vec![Call::Create(tags.clone()), Call::Retain(spec.retention_days)]
    }

    fn update(_name: &str, spec: &Spec, observed: &Observed) -> Vec<Call> {
        let differs = observed.retention_days != Some(spec.retention_days);
        differs.then_some(Call::Retain(spec.retention_days)).into_iter().collect()
    }

    fn set_tags(observed: &Observed, changes: &TagChanges) -> Vec<Call> {
        let arn = || observed.arn.clone();
        changes.calls(|tags| Call::Tag { arn: arn(), tags }, |keys| Call::Untag { arn: arn(), keys })
    }

    fn delete(_observed: &Observed) -> Vec<Call> {
        vec![Call::Delete]
    }
}
