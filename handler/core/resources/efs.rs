//! EFS file systems, each with a mount target per availability zone.
//!
//! A file system is found by its creation token, which is the name of the forge. The same token never creates a second
//! one.

use crate::error::ServiceError;
use crate::resource::{Change, Feature, Kind, MutatingCall, Resource, TagChanges, Tags, Takes, Traits};
use std::collections::BTreeMap;
use std::time::Duration;

/// EFS file systems.
#[derive(Debug)]
pub struct Efs;

/// The desired state of a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// One subnet per availability zone ID.
    pub subnets: BTreeMap<String, String>,
    /// The security groups of its mount targets.
    pub security_groups: Vec<String>,
}

/// The observed state of a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its ID, known from the first answer on.
    pub id: String,
    /// Availability zone IDs that have a mount target, with its ID.
    pub mount_targets: BTreeMap<String, String>,
    /// Whether unread files move to a cheaper storage class.
    pub tiered: bool,
    /// The VPC that its mount targets are in, once it has any.
    pub vpc: Option<String>,
}

/// A mutating EFS call on file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Starts its creation; its mount targets follow once it is available.
    Create(Tags),
    /// Creates a mount target.
    CreateMountTarget {
        /// The file system's ID.
        id: String,
        /// The subnet.
        subnet: String,
        /// Its security groups.
        security_groups: Vec<String>,
    },
    /// Moves unread files to a cheaper storage class.
    Tier(String),
    /// Deletes the mount target of this ID.
    DeleteMountTarget(String),
    /// Deletes the file system of this ID; EFS refuses while it has mount targets.
    Delete(String),
    /// Sets tags.
    Tag {
        /// The file system's ID.
        id: String,
        /// The tags.
        tags: Tags,
    },
    /// Removes tags.
    Untag {
        /// The file system's ID.
        id: String,
        /// The keys of the tags.
        keys: Vec<String>,
    },
}

impl MutatingCall for Call {
    fn action(&self) -> &'static str {
        match self {
            Self::Create(_) => "elasticfilesystem:CreateFileSystem",
            Self::CreateMountTarget { .. } => "elasticfilesystem:CreateMountTarget",
            Self::Tier(_) => "elasticfilesystem:PutLifecycleConfiguration",
            Self::DeleteMountTarget(_) => "elasticfilesystem:DeleteMountTarget",
            Self::Delete(_) => "elasticfilesystem:DeleteFileSystem",
            Self::Tag { .. } => "elasticfilesystem:TagResource",
            Self::Untag { .. } => "elasticfilesystem:UntagResource",
        }
    }

    fn tolerates(&self, refusal: &ServiceError) -> bool {
        match self {
            Self::Create(_) | Self::CreateMountTarget { .. } => refusal.is_taken(),
            Self::DeleteMountTarget(_) | Self::Delete(_) => refusal.is_not_found(),
            _ => false,
        }
    }
}

impl Resource for Efs {
    const KIND: Kind = Kind::Efs;
    const TRAITS: Traits = Traits {
        noun: "EFS file system",
        settles: Takes::seconds(4, 90),
        stops: Takes::NOTHING,
        goes: Takes::seconds(4, 30),
        quota: None,
        outlives_instances: true,
        rests_on_absence: true,
        update_detaches: false,
        finds_users_for: Duration::ZERO,
        keeps_references: true,
        feature: Some(Feature::Efs),
    };
    type Spec = Spec;
    type Observed = Observed;
    type Call = Call;

    fn drift(spec: &Spec, observed: &Observed) -> Vec<Change> {
        let mut changes = Vec::new();
        for (zone, subnet) in missing(spec, observed) {
            Change::note(&mut changes, &format!("MountTargets.{zone}"), &"", &subnet.as_str());
        }
        Change::note(&mut changes, "LifecyclePolicies", &observed.tiered, &true);
        changes
    }

    fn create(_name: &str, _spec: &Spec, tags: &Tags) -> Vec<Call> {
        vec![Call::Create(tags.clone())]
    }

    fn update(_name: &str, spec: &Spec, observed: &Observed) -> Vec<Call> {
        let target = |subnet: &String| Call::CreateMountTarget {
            id: observed.id.clone(),
            subnet: subnet.clone(),
            security_groups: spec.security_groups.clone(),
        };
        let tier = (!observed.tiered).then(|| Call::Tier(observed.id.clone()));
        missing(spec, observed).map(|(_, subnet)| target(subnet)).chain(tier).collect()
    }

    fn set_tags(observed: &Observed, changes: &TagChanges) -> Vec<Call> {
        let id = || observed.id.clone();
        changes.calls(|tags| Call::Tag { id: id(), tags }, |keys| Call::Untag { id: id(), keys })
    }

    fn delete(observed: &Observed) -> Vec<Call> {
        if observed.mount_targets.is_empty() {
            return vec![Call::Delete(observed.id.clone())];
        }
        observed.mount_targets.values().cloned().map(Call::DeleteMountTarget).collect()
    }
}

fn missing<'a>(spec: &'a Spec, observed: &Observed) -> impl Iterator<Item = (&'a String, &'a String)> {
    spec.subnets.iter().filter(|(zone, _)| !observed.mount_targets.contains_key(*zone))
}
