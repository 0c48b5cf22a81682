//! IAM, EC2 and CloudWatch Logs.

use crate::account::{Version, refusal};
use crate::executor::S;
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use tower_forge_core::error::ServiceError;
use tower_forge_core::registry::{Existing, Observed};
use tower_forge_core::resource::{Kind, Phase, ResourceId, Tags};
use tower_forge_core::resources::{instance_profile, launch_template, log_group, role};

type Landed = Result<(), ServiceError>;

/// A role or profile in IAM's words.
fn words(id: &ResourceId, of_role: &str) -> String {
    if id.kind == Kind::Role {
        format!("{of_role} {}", id.name)
    } else {
        format!("Instance Profile {}", id.name)
    }
}

fn missing(id: &ResourceId) -> ServiceError {
    refusal("NoSuchEntity", format!("{} cannot be found.", words(id, "The role with name")))
}

fn exists(id: &ResourceId) -> ServiceError {
    refusal("EntityAlreadyExists", format!("{} already exists.", words(id, "Role with name")))
}

impl World {
    fn newborn(&self, id: &ResourceId, tags: &Tags, refs: Vec<ResourceId>, observed: Observed) -> Version {
        let rng = &self.sim.rng;
        let delay = match id.kind {
            // EC2 is rarely as slow as IAM.
            Kind::LaunchTemplate if self.chance(50) => rng.range(S, 30 * S),
            Kind::LaunchTemplate => 0,
            _ if self.chance(100) => rng.range(8 * S, 120 * S),
            _ => rng.range(S, 8 * S),
        };
        Version {
            ready: self.now() + delay,
            ..Version::of(Existing {
                id: id.clone(),
                tags: tags.clone(),
                phase: Phase::Settled,
                refs,
                created: (id.kind != Kind::LogGroup).then(|| self.seconds()),
                observed,
            })
        }
    }

    /// A call on a role.
    pub(crate) fn land_on_role(&self, id: &ResourceId, call: &role::Call) -> Landed {
        use role::Call;
        let now = self.truth(id);
        if let Call::Create { trust, boundary, tags } = call {
            if now.is_some() {
                return Err(exists(id));
            }
            let (trust, boundary) = (trust.clone(), boundary.clone());
            let (managed, inline) = (BTreeSet::new(), BTreeMap::new());
            let observed = Observed::Role(Arc::new(role::Observed { trust, managed, inline, boundary }));
            self.put(self.newborn(id, tags, Vec::new(), observed));
            return Ok(());
        }
        let Some(now) = now else { return Err(missing(id)) };
        let Observed::Role(observed) = &now.existing.observed else { return Err(missing(id)) };
        match call {
            Call::Delete => return self.delete_role(id, observed),
            Call::Detach(arn) if !observed.managed.contains(arn) => {
                return Err(refusal("NoSuchEntity", format!("Policy {arn} was not found.")));
            }
            Call::DeletePolicy(name) if !observed.inline.contains_key(name) => {
                let text = format!("The role policy with name {name} cannot be found.");
                return Err(refusal("NoSuchEntity", text));
            }
            Call::Tag(tags) => self.edit_tags(id, tags, &[]),
            Call::Untag(keys) => self.edit_tags(id, &Tags::new(), keys),
            _ => {}
        }
        self.edit(id, |version| {
            let Observed::Role(observed) = &mut version.existing.observed else { return };
            let observed = Arc::make_mut(observed);
            match call {
                Call::Attach(arn) => drop(observed.managed.insert(arn.clone())),
                Call::Detach(arn) => drop(observed.managed.remove(arn)),
                Call::Put(name, document) => drop(observed.inline.insert(name.clone(), document.clone())),
                Call::DeletePolicy(name) => drop(observed.inline.remove(name)),
                Call::SetTrust(trust) => observed.trust = trust.clone(),
                Call::SetBoundary(arn) => observed.boundary = Some(arn.clone()),
                Call::RemoveBoundary => observed.boundary = None,
                Call::Tag(_) | Call::Untag(_) | Call::Create { .. } | Call::Delete => {}
            }
        });
        Ok(())
    }

    fn delete_role(&self, id: &ResourceId, observed: &role::Observed) -> Landed {
        let conflict = |text: &str| Err(refusal("DeleteConflict", text));
        let is_profile = |user: &Rc<Version>| user.existing.id.kind == Kind::InstanceProfile;
        let is_inside = self.account.borrow().referrers(id).any(is_profile);
        if is_inside {
            return conflict("Cannot delete entity, must remove roles from instance profile first.");
        }
        if !observed.managed.is_empty() {
            return conflict("Cannot delete entity, must detach all policies first.");
        }
        if !observed.inline.is_empty() {
            return conflict("Cannot delete entity, must delete policies first.");
        }
        self.remove(id);
        self.note_lost_role(id);
        Ok(())
    }

    /// A call on an instance profile.
    pub(crate) fn land_on_profile(&self, id: &ResourceId, call: &instance_profile::Call) -> Landed {
        use instance_profile::Call;
        let now = self.truth(id);
        if let Call::Create(tags) = call {
            if now.is_some() {
                return Err(exists(id));
            }
            let observed =
                Observed::InstanceProfile(Arc::new(instance_profile::Observed { roles: Vec::new() }));
            self.put(self.newborn(id, tags, Vec::new(), observed));
            return Ok(());
        }
        let of_role = |role: &str| ResourceId::new(Kind::Role, role);
        if let Call::AddRole(role) = call
            && self.truth(&of_role(role)).is_none()
        {
            return Err(missing(&of_role(role)));
        }
        let Some(now) = now else { return Err(missing(id)) };
        let Observed::InstanceProfile(observed) = &now.existing.observed else { return Err(missing(id)) };
        let roles = match call {
            Call::AddRole(_) if !observed.roles.is_empty() => {
                let text = "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1";
                return Err(refusal("LimitExceeded", text));
            }
            Call::AddRole(role) => vec![role.clone()],
            Call::RemoveRole(role) if observed.roles.contains(role) => Vec::new(),
            Call::RemoveRole(role) => return Err(missing(&of_role(role))),
            Call::Delete if !observed.roles.is_empty() => {
                let text = "Cannot delete entity, must remove roles from instance profile first.";
                return Err(refusal("DeleteConflict", text));
            }
            Call::Delete => {
                self.remove(id);
                return Ok(());
            }
            Call::Tag(tags) => {
                self.edit_tags(id, tags, &[]);
                return Ok(());
            }
            Call::Untag(keys) => {
                self.edit_tags(id, &Tags::new(), keys);
                return Ok(());
            }
            Call::Create(_) => return Ok(()),
        };
        self.edit(id, |version| {
            version.existing.refs = roles.iter().map(|role| of_role(role)).collect();
            version.existing.observed =
                Observed::InstanceProfile(Arc::new(instance_profile::Observed { roles }));
        });
        Ok(())
    }

    /// A call on a launch template.
    pub(crate) fn land_on_template(&self, id: &ResourceId, call: &launch_template::Call) -> Landed {
        use launch_template::Call;
        let now = self.truth(id);
        if let Call::Create { tags, .. } = call {
            if now.is_some() {
                let code = "InvalidLaunchTemplateName.AlreadyExistsException";
                return Err(refusal(code, "Launch template name already in use."));
            }
            let template_id = format!("lt-{:017x}", self.fresh());
            let observed =
                Observed::LaunchTemplate(Arc::new(launch_template::Observed { template_id, stranger: None }));
            self.put(self.newborn(id, tags, Vec::new(), observed));
            return Ok(());
        }
        let (Call::Delete(of) | Call::Tag { id: of, .. } | Call::Untag { id: of, .. }) = call else {
            return Ok(());
        };
        let is_it = now.is_some_and(|now| match &now.existing.observed {
            Observed::LaunchTemplate(observed) => observed.template_id == *of,
            _ => false,
        });
        if !is_it {
            let text = format!("The specified launch template, with template ID {of}, does not exist.");
            return Err(refusal("InvalidLaunchTemplateId.NotFound", text));
        }
        match call {
            Call::Delete(_) => self.remove(id),
            Call::Tag { tags, .. } => self.edit_tags(id, tags, &[]),
            Call::Untag { keys, .. } => self.edit_tags(id, &Tags::new(), keys),
            Call::Create { .. } => {}
        }
        Ok(())
    }

    /// A call on a log group.
    pub(crate) fn land_on_log_group(&self, id: &ResourceId, call: &log_group::Call) -> Landed {
        use log_group::Call;
        let now = self.truth(id);
        let text = "The specified log group does not exist.";
        match (call, now) {
            (Call::Create(_), Some(_)) => {
                return Err(refusal(
                    "ResourceAlreadyExistsException",
                    "The specified log group already exists",
                ));
            }
            (Call::Create(tags), None) => {
                let arn = format!("arn:aws:logs:eu-west-1:123456789012:log-group:{}", id.name);
                let observed =
                    Observed::LogGroup(Arc::new(log_group::Observed { arn, retention_days: None }));
                self.put(self.newborn(id, tags, Vec::new(), observed));
            }
            (_, None) => return Err(refusal("ResourceNotFoundException", text)),
            (Call::Retain(days), Some(_)) => self.edit(id, |version| {
                let Observed::LogGroup(observed) = &mut version.existing.observed else { return };
                Arc::make_mut(observed).retention_days = Some(*days);
            }),
            (Call::Tag { tags, .. }, Some(_)) => self.edit_tags(id, tags, &[]),
            (Call::Untag { keys, .. }, Some(_)) => self.edit_tags(id, &Tags::new(), keys),
            (Call::Delete, Some(_)) => self.remove(id),
        }
        Ok(())
    }
}
