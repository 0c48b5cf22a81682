//! PURE. The plan: the steps from the observed state to the desired state.
//!
//! A plan holds every step that is still needed, also those that have to wait for others; [`Plan::ready`] gives those
//! that can be taken now. It is made afresh after each look, so it never has to be right about the future.
//!
//! Make before break: desired resources are made first, and unwanted ones go only when all that is desired stands and
//! nothing observed refers to them any more.

use crate::inventory::Inventory;
use crate::owner::{Owner, describe_owner};
use crate::registry::{Desired, Existing};
use crate::resource::{Change, Phase, ResourceId};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;

/// An action on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make it.
    Create,
    /// Change it in place.
    Update(Vec<Change>),
    /// Revalidate it, or recreate it.
    Repair(String),
    /// Stop it, so that it can be deleted.
    Disable,
    /// Delete it.
    Delete,
}

impl Action {
    /// Its name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update(_) => "update",
            Self::Repair(_) => "repair",
            Self::Disable => "disable",
            Self::Delete => "delete",
        }
    }

    fn mark(&self) -> char {
        match self {
            Self::Create => '+',
            Self::Update(_) | Self::Repair(_) => '~',
            Self::Disable | Self::Delete => '-',
        }
    }
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The resource.
    pub id: ResourceId,
    /// The action.
    pub action: Action,
    /// Why, in words.
    pub why: String,
    /// The resources that it waits for; empty if it can be taken now.
    pub after: Vec<ResourceId>,
}

/// The steps from the observed to the desired state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps, in an order in which they could be taken one by one.
    pub steps: Vec<Step>,
    /// Resources in transition, with AWS's status.
    pub settling: Vec<(ResourceId, String)>,
    /// Desired resources of another owner, with that owner.
    pub conflicts: Vec<(ResourceId, String)>,
    /// Desired resources that do not become valid by themselves, with AWS's reason.
    pub broken: Vec<(ResourceId, String)>,
}

/// Compares the desired resources, given in an order of creation, with the observed ones.
pub fn plan(desired: &[Desired], inventory: &Inventory, owner: &Owner) -> Plan {
    let mut plan = Plan::default();
    let mut done = BTreeSet::new();
    for resource in desired {
        if plan_desired(resource, inventory, owner, &done, &mut plan) {
            done.insert(resource.id.clone());
        }
    }
    let pending: Vec<ResourceId> =
        desired.iter().map(|resource| &resource.id).filter(|id| !done.contains(*id)).cloned().collect();
    let kept = kept(desired, inventory);
    // Leaves first: queues before environments before the references of these.
    let unwanted = inventory
        .resources
        .values()
        .rev()
        .filter(|existing| !kept.contains(&existing.id) && owner.owns(&existing.tags));
    for existing in unwanted {
        plan_unwanted(existing, inventory, owner, &pending, &kept, &mut plan);
    }
    plan
}

/// Plans one desired resource; returns whether it stands as desired.
fn plan_desired(
    resource: &Desired,
    inventory: &Inventory,
    owner: &Owner,
    done: &BTreeSet<ResourceId>,
    plan: &mut Plan,
) -> bool {
    let id = &resource.id;
    let after: Vec<ResourceId> = resource.after.iter().filter(|id| !done.contains(*id)).cloned().collect();
    let mut step = |action: Action, why: String| {
        plan.steps.push(Step { id: id.clone(), action, why, after: after.clone() });
        false
    };
    let Some(existing) = inventory.get(id) else {
        return step(Action::Create, "it does not exist".to_owned());
    };
    if !owner.owns(&existing.tags) {
        plan.conflicts.push((id.clone(), describe_owner(&existing.tags)));
        return false;
    }
    // What is only left as it is may be anybody's: the sweep looks at forges that another deployment has made.
    if let Some(stranger) = existing.stranger().filter(|_| resource.spec.is_some()) {
        plan.conflicts
            .push((id.clone(), format!("{stranger}, who made it under this name and with these tags")));
        return false;
    }
    let drift = resource.drift(existing);
    match &existing.phase {
        Phase::Settling(status) | Phase::Deleting(status) => {
            plan.settling.push((id.clone(), status.clone()));
            false
        }
        Phase::Broken(reason) if !resource.is_draining => {
            if !existing.revalidate().is_empty() {
                return step(Action::Repair(reason.clone()), reason.clone());
            }
            plan.broken.push((id.clone(), reason.clone()));
            false
        }
        // A draining environment finishes its jobs; its faults no longer matter.
        _ if drift.is_empty() => true,
        _ => {
            let fields: Vec<&str> = drift.iter().map(|change| change.field.as_str()).collect();
            let why = format!("{} differs", fields.join(", "));
            step(Action::Update(drift), why)
        }
    }
}

/// The desired resources and their current references: a template lives as long as its environments.
fn kept(desired: &[Desired], inventory: &Inventory) -> BTreeSet<ResourceId> {
    let mut kept: BTreeSet<ResourceId> = desired.iter().map(|resource| resource.id.clone()).collect();
    let mut queue: Vec<ResourceId> = kept.iter().cloned().collect();
    while let Some(id) = queue.pop() {
        if !id.kind.traits().keeps_references {
            continue;
        }
        for reference in inventory.get(&id).into_iter().flat_map(|existing| &existing.refs) {
            if kept.insert(reference.clone()) {
                queue.push(reference.clone());
            }
        }
    }
    kept
}

fn plan_unwanted(
    existing: &Existing,
    inventory: &Inventory,
    owner: &Owner,
    pending: &[ResourceId],
    kept: &BTreeSet<ResourceId>,
    plan: &mut Plan,
) {
    let id = &existing.id;
    if let Phase::Settling(status) | Phase::Deleting(status) = &existing.phase {
        plan.settling.push((id.clone(), status.clone()));
        return;
    }
    let mut after = pending.to_vec();
    if existing.is_enabled() {
        let why = "it is not wanted any more and must stop first".to_owned();
        plan.steps.push(Step { id: id.clone(), action: Action::Disable, why, after });
        return;
    }
    // A reference of another owner is not waited for: it would never go.
    let ours = |existing: &&Existing| owner.owns(&existing.tags);
    after.extend(inventory.referrers(id).filter(ours).map(|referrer| referrer.id.clone()));
    // Instances write to the log group and to file systems until the last of them has gone. Those that stay do not
    // use it: a file system that has failed was never mounted.
    if id.kind.traits().outlives_instances {
        let later = inventory.resources.values().filter(ours).map(|existing| &existing.id);
        let later = later.filter(|other| !other.kind.traits().outlives_instances && other.kind > id.kind);
        after.extend(later.filter(|other| !kept.contains(*other)).cloned());
    }
    after.sort();
    after.dedup();
    plan.steps.push(Step {
        id: id.clone(),
        action: Action::Delete,
        why: "it is not wanted any more".to_owned(),
        after,
    });
}

impl Plan {
    /// Whether nothing is left to do or to wait for.
    pub fn is_done(&self) -> bool {
        self.steps.is_empty()
            && self.settling.is_empty()
            && self.conflicts.is_empty()
            && self.broken.is_empty()
    }

    /// The steps that can be taken now.
    pub fn ready(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.after.is_empty())
    }

    /// The pending resources, a line for each, with AWS's status if there is one.
    pub fn pending(&self) -> Vec<String> {
        let settling = self.settling.iter().map(|(id, status)| format!("{id} ({status})"));
        settling
            .chain(self.steps.iter().map(|step| format!("{} of {}", step.action.as_str(), step.id)))
            .collect()
    }

    /// The plan as data, for a preview.
    pub fn to_json(&self) -> Value {
        let step = |step: &Step| {
            let changes = match &step.action {
                Action::Update(changes) => changes.as_slice(),
                _ => &[],
            };
            let changes = changes
                .iter()
                .map(|Change { field, from, to }| json!({"field": field, "from": from, "to": to}));
            json!({
                "mark": step.action.mark().to_string(),
                "action": step.action.as_str(),
                "kind": step.id.kind.to_string(),
                "name": step.id.name,
                "why": step.why,
                "changes": changes.collect::<Vec<_>>(),
                "after": step.after.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        };
        json!({
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
            "settling": self.settling.iter().map(|(id, status)| json!({"resource": id.to_string(), "status": status})).collect::<Vec<_>>(),
            "conflicts": self.conflicts.iter().map(|(id, owner)| json!({"resource": id.to_string(), "owner": owner})).collect::<Vec<_>>(),
            "broken": self.broken.iter().map(|(id, why)| json!({"resource": id.to_string(), "why": why})).collect::<Vec<_>>(),
        })
    }
}

/// The plan for a person: a line per step with its mark, and its changes below.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_done() {
            return writeln!(f, "nothing to do");
        }
        for Step { id, action, why, .. } in &self.steps {
            writeln!(f, "{} {:<19} {}  ({})", action.mark(), id.kind, id.name, why)?;
            if let Action::Update(changes) = action {
                for Change { field, from, to } in changes {
                    writeln!(f, "      {field}: {from} -> {to}")?;
                }
            }
        }
        for (id, status) in &self.settling {
            writeln!(f, "… {:<19} {}  ({status})", id.kind, id.name)?;
        }
        for (id, owner) in &self.conflicts {
            writeln!(f, "! {:<19} {}  (belongs to {owner})", id.kind, id.name)?;
        }
        for (id, why) in &self.broken {
            writeln!(f, "! {:<19} {}  ({why})", id.kind, id.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
