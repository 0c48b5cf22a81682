//! IAM roles.
//!
//! Calls on one role are sequential, because IAM refuses parallel changes of a role; different roles are changed
//! concurrently.

use crate::error::ServiceError;
use crate::resource::{Change, Kind, MutatingCall, Resource, ResourceId, TagChanges, Tags, Takes, Traits};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Most characters of all inline policies of a role together, without white space; IAM's quota cannot be raised.
const INLINE_QUOTA: usize = 10_240;

/// IAM roles.
#[derive(Debug)]
pub struct Role;

/// The desired state of a role.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Who may assume it.
    pub trust: Value,
    /// ARNs of managed policies.
    pub managed: BTreeSet<String>,
    /// Inline policies by name.
    pub inline: BTreeMap<String, Value>,
    /// The ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// Whether to remove policies beyond this spec, and to change the boundary. Not for a role that is only needed
    /// until its environments are deleted.
    pub exact: bool,
}

/// The observed state of a role.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Who may assume it.
    pub trust: Value,
    /// ARNs of managed policies.
    pub managed: BTreeSet<String>,
    /// Inline policies by name.
    pub inline: BTreeMap<String, Value>,
    /// The ARN of the permissions boundary.
    pub boundary: Option<String>,
}

/// A mutating IAM call on role.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Creates it.
    Create {
        /// Who may assume it.
        trust: Value,
        /// The ARN of the permissions boundary.
        boundary: Option<String>,
        /// Its tags.
        tags: Tags,
    },
    /// Attaches the managed policy of this ARN.
    Attach(String),
    /// Detaches the managed policy of this ARN.
    Detach(String),
    /// Writes an inline policy: name and document.
    Put(String, Value),
    /// Deletes the inline policy of this name.
    DeletePolicy(String),
    /// Replaces the trust policy.
    SetTrust(Value),
    /// Sets the permissions boundary to this ARN.
    SetBoundary(String),
    /// Removes the permissions boundary.
    RemoveBoundary,
    /// Sets tags.
    Tag(Tags),
    /// Removes tags by key.
    Untag(Vec<String>),
    /// Deletes it; IAM refuses while policies are attached.
    Delete,
}

impl MutatingCall for Call {
    fn action(&self) -> &'static str {
        match self {
            Self::Create { .. } => "iam:CreateRole",
            Self::Attach(_) => "iam:AttachRolePolicy",
            Self::Detach(_) => "iam:DetachRolePolicy",
            Self::Put(..) => "iam:PutRolePolicy",
            Self::DeletePolicy(_) => "iam:DeleteRolePolicy",
            Self::SetTrust(_) => "iam:UpdateAssumeRolePolicy",
            Self::SetBoundary(_) => "iam:PutRolePermissionsBoundary",
            Self::RemoveBoundary => "iam:DeleteRolePermissionsBoundary",
            Self::Tag(_) => "iam:TagRole",
            Self::Untag(_) => "iam:UntagRole",
            Self::Delete => "iam:DeleteRole",
        }
    }

    fn tolerates(&self, refusal: &ServiceError) -> bool {
        match self {
            Self::Create { .. } => refusal.is_taken(),
            Self::Detach(_) | Self::DeletePolicy(_) | Self::Delete => refusal.is_not_found(),
            _ => false,
        }
    }
}

impl Resource for Role {
    const KIND: Kind = Kind::Role;
    const TRAITS: Traits = Traits {
        noun: "role",
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
        let text = |value: &Value| value.to_string();
        if spec.trust != observed.trust {
            Change::note(
                &mut changes,
                "AssumeRolePolicyDocument",
                &text(&observed.trust),
                &text(&spec.trust),
            );
        }
        if spec.exact {
            Change::note(&mut changes, "PermissionsBoundary", &observed.boundary, &spec.boundary);
        }
        for arn in spec.managed.difference(&observed.managed) {
            Change::note(&mut changes, "ManagedPolicies", &"", &arn.as_str());
        }
        let excess = Excess::of(spec, observed);
        for arn in &excess.managed {
            Change::note(&mut changes, "ManagedPolicies", &arn.as_str(), &"");
        }
        for (name, document) in &spec.inline {
            if observed.inline.get(name) != Some(document) {
                let from = observed.inline.get(name).map(text).unwrap_or_default();
                Change::note(&mut changes, &format!("Policies.{name}"), &from, &text(document));
            }
        }
        for name in &excess.inline {
            let from = text(&observed.inline[name]);
            Change::note(&mut changes, &format!("Policies.{name}"), &from, &String::new());
        }
        changes
    }

    fn create(_name: &str, spec: &Spec, tags: &Tags) -> Vec<Call> {
        let (trust, boundary) = (spec.trust.clone(), spec.boundary.clone());
        let mut calls = vec![Call::Create { trust, boundary, tags: tags.clone() }];
        calls.extend(missing_policies(spec, &BTreeSet::new(), &BTreeMap::new()));
        calls
    }

    fn created(spec: &Spec) -> Option<(Observed, Vec<ResourceId>)> {
        let Spec { trust, managed, inline, boundary, exact: _ } = spec.clone();
        Some((Observed { trust, managed, inline, boundary }, Vec::new()))
    }

    fn update(_name: &str, spec: &Spec, observed: &Observed) -> Vec<Call> {
        let mut calls = Vec::new();
        if spec.exact && spec.boundary != observed.boundary {
            calls.push(spec.boundary.clone().map_or(Call::RemoveBoundary, Call::SetBoundary));
        }
        if spec.trust != observed.trust {
            calls.push(Call::SetTrust(spec.trust.clone()));
        }
        let missing = missing_policies(spec, &observed.managed, &observed.inline);
        let excess = Excess::of(spec, observed).removal();
        // Rights are added before others are removed, unless there is no room for both.
        let order =
            if fit_together(&spec.inline, &observed.inline) { [missing, excess] } else { [excess, missing] };
        calls.extend(order.into_iter().flatten());
        calls
    }

    fn set_tags(_observed: &Observed, changes: &TagChanges) -> Vec<Call> {
        changes.calls(Call::Tag, Call::Untag)
    }

    fn delete(observed: &Observed) -> Vec<Call> {
        let all = Excess {
            managed: observed.managed.iter().cloned().collect(),
            inline: observed.inline.keys().cloned().collect(),
        };
        let mut calls = all.removal();
        calls.push(Call::Delete);
        calls
    }
}

fn missing_policies(spec: &Spec, managed: &BTreeSet<String>, inline: &BTreeMap<String, Value>) -> Vec<Call> {
    let attach = spec.managed.difference(managed).cloned().map(Call::Attach);
    let differs = spec.inline.iter().filter(|(name, document)| inline.get(*name) != Some(*document));
    attach.chain(differs.map(|(name, document)| Call::Put(name.clone(), document.clone()))).collect()
}

/// Whether IAM allows a role the inline policies that it has and those that it should have at the same time.
fn fit_together(desired: &BTreeMap<String, Value>, observed: &BTreeMap<String, Value>) -> bool {
    let others = observed.iter().filter(|(name, _)| !desired.contains_key(*name));
    let size: usize = desired.iter().chain(others).map(|(_, document)| document.to_string().len()).sum();
    size <= INLINE_QUOTA
}

/// The policies of a role that are not in its spec.
struct Excess {
    managed: Vec<String>,
    inline: Vec<String>,
}

impl Excess {
    fn of(spec: &Spec, observed: &Observed) -> Self {
        if !spec.exact {
            return Self { managed: Vec::new(), inline: Vec::new() };
        }
        let inline = observed.inline.keys().filter(|name| !spec.inline.contains_key(*name));
        Self {
            managed: observed.managed.difference(&spec.managed).cloned().collect(),
            inline: inline.cloned().collect(),
        }
    }

    fn removal(self) -> Vec<Call> {
        let detach = self.managed.into_iter().map(Call::Detach);
        detach.chain(self.inline.into_iter().map(Call::DeletePolicy)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inline(policies: &[(&str, usize)]) -> BTreeMap<String, Value> {
        policies.iter().map(|(name, size)| ((*name).to_owned(), "x".repeat(size - 2).into())).collect()
    }

    #[test]
    fn policies_are_added_before_others_are_removed_unless_there_is_no_room_for_both() {
        let first = |size: usize| {
            let (trust, managed) = (Value::Null, BTreeSet::new());
            let desired = inline(&[("new", size), ("both", 100)]);
            let observed = inline(&[("old", 5_000), ("both", 4_000)]);
            let spec = Spec {
                trust: trust.clone(),
                managed: managed.clone(),
                inline: desired,
                boundary: None,
                exact: true,
            };
            let calls =
                Role::update("role", &spec, &Observed { trust, managed, inline: observed, boundary: None });
            assert_eq!(calls.len(), 3);
            calls.into_iter().next()
        };
        assert!(matches!(first(5_140), Some(Call::Put(name, _)) if name == "both"));
        assert_eq!(first(5_141), Some(Call::DeletePolicy("old".to_owned())));
    }
}
