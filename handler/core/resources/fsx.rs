//! FSx for Lustre file systems.
//!
//! FSx has no lookup by token or tag, so all file systems are listed and identified by their tags. The client token of
//! the creation is derived from forge, stack and spec, so a repeated call creates no second one.

use crate::error::ServiceError;
use crate::name::{STACK_TAG, hash8};
use crate::resource::{Change, Feature, Kind, MutatingCall, Resource, TagChanges, Tags, Takes, Traits};
use std::time::Duration;

/// FSx for Lustre file systems.
#[derive(Debug)]
pub struct Fsx;

/// The desired state of a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Capacity in GiB.
    pub size: i32,
    /// The deployment type, e.g. `SCRATCH_2`.
    pub deployment_type: String,
    /// Throughput in MB/s per TiB; only persistent file systems have it.
    pub throughput: Option<i32>,
    /// Its subnet.
    pub subnet: String,
    /// Its security groups.
    pub security_groups: Vec<String>,
}

/// The observed state of a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its ID, known from the first answer on.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// Its DNS name.
    pub dns_name: String,
    /// The generated mount name.
    pub mount_name: String,
    /// Capacity in GiB: the coming one while it grows.
    pub size: i32,
    /// AWS's reason if its last growth has failed.
    pub failed_growth: Option<String>,
    /// The deployment type.
    pub deployment_type: String,
    /// Throughput in MB/s per TiB; only persistent file systems have it.
    pub throughput: Option<i32>,
    /// The VPC that it is in.
    pub vpc: String,
}

/// A mutating FSx call on file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Starts its creation.
    Create {
        /// Makes a repeated call harmless.
        client_token: String,
        /// Its desired state.
        spec: Spec,
        /// Its tags.
        tags: Tags,
    },
    /// Grows it.
    Grow {
        /// The file system's ID.
        id: String,
        /// The capacity in GiB.
        size: i32,
    },
    /// Deletes the file system of this ID. Lustre takes no final backup unless asked for one.
    Delete(String),
    /// Sets tags.
    Tag {
        /// The file system's ARN.
        arn: String,
        /// The tags.
        tags: Tags,
    },
    /// Removes tags.
    Untag {
        /// The file system's ARN.
        arn: String,
        /// The keys of the tags.
        keys: Vec<String>,
    },
}

impl MutatingCall for Call {
    fn action(&self) -> &'static str {
        match self {
            Self::Create { .. } => "fsx:CreateFileSystem",
            Self::Grow { .. } => "fsx:UpdateFileSystem",
            Self::Delete(_) => "fsx:DeleteFileSystem",
            Self::Tag { .. } => "fsx:TagResource",
            Self::Untag { .. } => "fsx:UntagResource",
        }
    }

    fn tolerates(&self, refusal: &ServiceError) -> bool {
        match self {
            Self::Create { .. } => refusal.is_taken(),
            Self::Delete(_) => refusal.is_not_found(),
            _ => false,
        }
    }
}

impl Resource for Fsx {
    const KIND: Kind = Kind::Fsx;
    const TRAITS: Traits = Traits {
        noun: "FSx file system",
        settles: Takes::seconds(60, 480),
        stops: Takes::NOTHING,
        goes: Takes::seconds(60, 300),
        quota: None,
        outlives_instances: true,
        rests_on_absence: true,
        update_detaches: false,
        finds_users_for: Duration::ZERO,
        keeps_references: true,
        feature: Some(Feature::Fsx),
    };
    type Spec = Spec;
    type Observed = Observed;
    type Call = Call;

    /// A file system can only grow.
    fn drift(spec: &Spec, observed: &Observed) -> Vec<Change> {
        let mut changes = Vec::new();
        if spec.size > observed.size {
            Change::note(&mut changes, "StorageCapacity", &observed.size, &spec.size);
        }
        changes
    }

    fn create(name: &str, spec: &Spec, tags: &Tags) -> Vec<Call> {
        let client_token = client_token(name, spec, tags);
        vec![Call::Create { client_token, spec: spec.clone(), tags: tags.clone() }]
    }

    fn update(_name: &str, spec: &Spec, observed: &Observed) -> Vec<Call> {
        let grow = || Call::Grow { id: observed.id.clone(), size: spec.size };
        (spec.size > observed.size).then(grow).into_iter().collect()
    }

    fn set_tags(observed: &Observed, changes: &TagChanges) -> Vec<Call> {
        let arn = || observed.arn.clone();
        changes.calls(|tags| Call::Tag { arn: arn(), tags }, |keys| Call::Untag { arn: arn(), keys })
    }

    fn failed_update(observed: &Observed) -> Option<&str> {
        observed.failed_growth.as_deref()
    }

    fn delete(observed: &Observed) -> Vec<Call> {
        vec![Call::Delete(observed.id.clone())]
    }
}

/// The same for every attempt of one stack, and different for another stack with the same forge ID, or if a field has
/// changed that a file system cannot change: FSx refuses a token with other parameters, and remembers it even after the
/// file system is deleted.
fn client_token(name: &str, spec: &Spec, tags: &Tags) -> String {
    let Spec { size: _, deployment_type, throughput, subnet, security_groups } = spec;
    let fixed = (deployment_type, throughput, subnet, security_groups);
    format!("{name}-{}", hash8(&serde_json::json!([tags.get(STACK_TAG), fixed])))
}
