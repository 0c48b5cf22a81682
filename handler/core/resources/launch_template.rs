//! EC2 launch templates: one immutable template per generation, version 1.
//!
//! An environment with a custom service role never uses a new version of its template, so versions would be useless.

use crate::error::ServiceError;
use crate::resource::{Change, Kind, MutatingCall, Resource, TagChanges, Tags, Takes, Traits};
use std::time::Duration;

/// EC2 launch templates.
#[derive(Debug)]
pub struct LaunchTemplate;

/// The content of a launch template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The root volume.
    pub root: RootVolume,
    /// The user data, as MIME multipart text.
    pub user_data: String,
    /// The tags of instances and volumes.
    pub instance_tags: Tags,
}

/// The root volume of an instance, a gp3 volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootVolume {
    /// The name of the image's root device.
    pub device: String,
    /// Size in GiB.
    pub size: i32,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The KMS key, if not the account's default.
    pub kms_key: Option<String>,
    /// I/O operations per second, if not gp3's 3000.
    pub iops: Option<i32>,
    /// Throughput in MiB/s, if not gp3's 125.
    pub throughput: Option<i32>,
}

/// The observed state of a launch template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its ID.
    pub template_id: String,
    /// Who made it, if it was not the function. Whoever may create templates can give them any name and any tags, and
    /// instances would run his user data with the rights of the forge.
    pub stranger: Option<String>,
}

/// A mutating EC2 call on launch template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Creates it.
    Create {
        /// Its content, which never changes.
        content: Spec,
        /// Its tags.
        tags: Tags,
    },
    /// Sets tags.
    Tag {
        /// The template's ID.
        id: String,
        /// The tags.
        tags: Tags,
    },
    /// Removes tags.
    Untag {
        /// The template's ID.
        id: String,
        /// The keys of the tags.
        keys: Vec<String>,
    },
    /// Deletes the template of this ID.
    Delete(String),
}

impl MutatingCall for Call {
    fn action(&self) -> &'static str {
        match self {
            Self::Create { .. } => "ec2:CreateLaunchTemplate",
            Self::Tag { .. } => "ec2:CreateTags",
            Self::Untag { .. } => "ec2:DeleteTags",
            Self::Delete(_) => "ec2:DeleteLaunchTemplate",
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

impl Resource for LaunchTemplate {
    const KIND: Kind = Kind::LaunchTemplate;
    const TRAITS: Traits = Traits {
        noun: "launch template",
        settles: Takes::NOTHING,
        stops: Takes::NOTHING,
        goes: Takes::NOTHING,
        quota: None,
        outlives_instances: false,
        rests_on_absence: true,
        update_detaches: false,
        finds_users_for: Duration::ZERO,
        keeps_references: true,
        feature: None,
    };
    type Spec = Spec;
    type Observed = Observed;
    type Call = Call;

    /// None: its content is immutable, and a change creates another template.
    fn drift(_spec: &Spec, _observed: &Observed) -> Vec<Change> {
        Vec::new()
    }

    fn create(_name: &str, spec: &Spec, tags: &Tags) -> Vec<Call> {
        vec![Call::Create { content: spec.clone(), tags: tags.clone() }]
    }

    fn update(_name: &str, _spec: &Spec, _observed: &Observed) -> Vec<Call> {
        Vec::new()
    }

    fn set_tags(observed: &Observed, changes: &TagChanges) -> Vec<Call> {
        let id = || observed.template_id.clone();
        changes.calls(|tags| Call::Tag { id: id(), tags }, |keys| Call::Untag { id: id(), keys })
    }

    fn stranger(observed: &Observed) -> Option<&str> {
        observed.stranger.as_deref()
    }

    fn delete(observed: &Observed) -> Vec<Call> {
        vec![Call::Delete(observed.template_id.clone())]
    }
}
