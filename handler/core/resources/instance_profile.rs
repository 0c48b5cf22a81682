//! IAM instance profiles, which pass a role to EC2 instances.

use crate::error::ServiceError;
use crate::resource::{Change, Kind, MutatingCall, Resource, ResourceId, TagChanges, Tags, Takes, Traits};
use std::time::Duration;

/// IAM instance profiles.
#[derive(Debug)]
pub struct InstanceProfile;

/// The desired state of an instance profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The name of the role inside.
    pub role: String,
}

/// The observed state of an instance profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The names of the roles inside; IAM allows one.
    pub roles: Vec<String>,
}

/// A mutating IAM call on instance profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Creates it with these tags.
    Create(Tags),
    /// Adds the role of this name.
    AddRole(String),
    /// Removes the role of this name.
    RemoveRole(String),
    /// Sets tags.
    Tag(Tags),
    /// Removes tags by key.
    Untag(Vec<String>),
    /// Deletes it; IAM refuses while a role is inside.
    Delete,
}

impl MutatingCall for Call {
    fn action(&self) -> &'static str {
        match self {
            Self::Create(_) => "iam:CreateInstanceProfile",
            Self::AddRole(_) => "iam:AddRoleToInstanceProfile",
            Self::RemoveRole(_) => "iam:RemoveRoleFromInstanceProfile",
            Self::Tag(_) => "iam:TagInstanceProfile",
            Self::Untag(_) => "iam:UntagInstanceProfile",
            Self::Delete => "iam:DeleteInstanceProfile",
        }
    }

    fn tolerates(&self, refusal: &ServiceError) -> bool {
        match self {
            Self::Create(_) => refusal.is_taken(),
            // A role is inside already; the next look shows which.
            Self::AddRole(_) => refusal.code.starts_with("LimitExceeded"),
            Self::RemoveRole(_) | Self::Delete => refusal.is_not_found(),
            Self::Tag(_) | Self::Untag(_) => false,
        }
    }
}

impl Resource for InstanceProfile {
    const KIND: Kind = Kind::InstanceProfile;
    const TRAITS: Traits = Traits {
        noun: "instance profile",
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

    fn drift(spec: &Spec, observed: &Observed) -> Vec<Change> {
        let mut changes = Vec::new();
        Change::note(&mut changes, "Roles", &observed.roles, &vec![spec.role.clone()]);
        changes
    }

    fn create(_name: &str, spec: &Spec, tags: &Tags) -> Vec<Call> {
        vec![Call::Create(tags.clone()), Call::AddRole(spec.role.clone())]
    }

    fn created(spec: &Spec) -> Option<(Observed, Vec<ResourceId>)> {
        Some((Observed { roles: vec![spec.role.clone()] }, vec![ResourceId::new(Kind::Role, &spec.role)]))
    }

    fn update(_name: &str, spec: &Spec, observed: &Observed) -> Vec<Call> {
        let others = observed.roles.iter().filter(|role| **role != spec.role);
        let add = (!observed.roles.contains(&spec.role)).then(|| Call::AddRole(spec.role.clone()));
        others.cloned().map(Call::RemoveRole).chain(add).collect()
    }

    fn set_tags(_observed: &Observed, changes: &TagChanges) -> Vec<Call> {
        changes.calls(Call::Tag, Call::Untag)
    }

    fn delete(observed: &Observed) -> Vec<Call> {
        observed.roles.iter().cloned().map(Call::RemoveRole).chain([Call::Delete]).collect()
    }
}
