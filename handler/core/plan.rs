//! PURE. What is to be done, decided before anything is done: from what is wanted and what is there to a plan.
//!
//! A plan holds every step that is still needed, also those that have to wait for others; what may be done now
//! is [`Plan::ready`]. It is made afresh after each look, so it never has to be right about the future.
//!
//! Make before break: what is wanted is made first, and what is not wanted goes only when all that is wanted
//! stands, and nothing that is there refers to it any more.

use crate::inventory::Inventory;
use crate::name::{FORGE_TAG, LOGICAL_TAG, RELEASED_TAG, STACK_TAG};
use crate::resource::{Change, Kind, Part, PartId, Phase, Seen, Tags};
use crate::resources::compute_environment::is_iam_lag;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;

/// Whose a forge is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The forge.
    pub forge_id: String,
    /// The stack, by its ARN.
    pub stack_id: String,
    /// The resource of the stack.
    pub logical_id: String,
    /// Whether it may take over what another stack has released: it names the forge's ID itself.
    pub adopts: bool,
}

impl Owner {
    /// The tags by which its parts are known.
    pub fn tags(&self) -> Tags {
        let tags =
            [(FORGE_TAG, &self.forge_id), (STACK_TAG, &self.stack_id), (LOGICAL_TAG, &self.logical_id)];
        tags.into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect()
    }

    /// Whether a part with these tags may be changed and deleted on its behalf.
    pub fn owns(&self, tags: &Tags) -> bool {
        let is = |key: &str, value: &str| tags.get(key).map(String::as_str) == Some(value);
        let released = self.adopts && tags.contains_key(RELEASED_TAG);
        let of_this_stack = is(STACK_TAG, &self.stack_id) && is(LOGICAL_TAG, &self.logical_id);
        is(FORGE_TAG, &self.forge_id) && (of_this_stack || released)
    }
}

/// Who a part with these tags belongs to, in words.
pub fn owner_in_words(tags: &Tags) -> String {
    let tag = |key: &str| tags.get(key).map(String::as_str);
    match (tag(FORGE_TAG), tag(STACK_TAG)) {
        (Some(forge), Some(stack)) => {
            let logical = tag(LOGICAL_TAG).unwrap_or("an unnamed resource");
            format!("forge {forge} of {logical} in stack {stack}")
        }
        (Some(forge), None) => format!("forge {forge} of an unknown stack"),
        _ => "somebody else: it bears no tag of Tower Forge".to_owned(),
    }
}

/// What to do about one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make it.
    Create,
    /// Change it in place.
    Update(Vec<Change>),
    /// Have AWS look again at what made it invalid.
    Repair(String),
    /// Stop it, so that it can be deleted.
    Disable,
    /// Delete it.
    Delete,
}

impl Action {
    /// One word.
    pub fn word(&self) -> &'static str {
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
    /// The part.
    pub id: PartId,
    /// What to do.
    pub action: Action,
    /// Why, in words.
    pub why: String,
    /// What it has to wait for; empty if it can be taken now.
    pub after: Vec<PartId>,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps, in an order in which they could be taken one by one.
    pub steps: Vec<Step>,
    /// What is on its way, with AWS's last word on it.
    pub settling: Vec<(PartId, String)>,
    /// What is wanted and belongs to somebody else, with whose it is.
    pub conflicts: Vec<(PartId, String)>,
    /// What is wanted and will not stand by itself, with AWS's reason.
    pub broken: Vec<(PartId, String)>,
}

/// Compares what is wanted, given in an order in which it can be made, with what is there.
pub fn plan(wanted: &[Part], there: &Inventory, owner: &Owner) -> Plan {
    let mut plan = Plan::default();
    let mut done = BTreeSet::new();
    for part in wanted {
        if plan_wanted(part, there, owner, &done, &mut plan) {
            done.insert(part.id.clone());
        }
    }
    let pending: Vec<PartId> =
        wanted.iter().map(|part| &part.id).filter(|id| !done.contains(*id)).cloned().collect();
    let kept = kept(wanted, there);
    // Leaves first: queues before environments before what those refer to.
    for seen in there.parts.values().rev().filter(|seen| owner.owns(&seen.tags) && !kept.contains(&seen.id)) {
        plan_unwanted(seen, there, owner, &pending, &kept, &mut plan);
    }
    plan
}

/// Plans one wanted part; returns whether it stands as wanted.
fn plan_wanted(
    part: &Part,
    there: &Inventory,
    owner: &Owner,
    done: &BTreeSet<PartId>,
    plan: &mut Plan,
) -> bool {
    let id = &part.id;
    let after: Vec<PartId> = part.needs.iter().filter(|need| !done.contains(*need)).cloned().collect();
    let mut step = |action: Action, why: String| {
        plan.steps.push(Step { id: id.clone(), action, why, after: after.clone() });
        false
    };
    let Some(seen) = there.parts.get(id) else {
        return step(Action::Create, "it does not exist".to_owned());
    };
    if !owner.owns(&seen.tags) {
        plan.conflicts.push((id.clone(), owner_in_words(&seen.tags)));
        return false;
    }
    let drift = part.drift(seen);
    match &seen.phase {
        Phase::Settling(status) => {
            plan.settling.push((id.clone(), status.clone()));
            false
        }
        // It only finishes its jobs; what is wrong with it no longer matters.
        Phase::Broken(_) if is_retiring(part) && drift.is_empty() => true,
        Phase::Broken(why) if !is_retiring(part) => {
            if id.kind == Kind::ComputeEnvironment && is_iam_lag(why) {
                return step(Action::Repair(why.clone()), why.clone());
            }
            plan.broken.push((id.clone(), why.clone()));
            false
        }
        _ if drift.is_empty() => true,
        _ => {
            let fields: Vec<&str> = drift.iter().map(|change| change.field.as_str()).collect();
            let why = format!("{} differs", fields.join(", "));
            step(Action::Update(drift), why)
        }
    }
}

fn is_retiring(part: &Part) -> bool {
    use crate::resource::Spec;
    use crate::resources::compute_environment::Duty;
    matches!(&part.spec, Spec::ComputeEnvironment(spec) if spec.duty == Duty::Retiring)
}

/// What is wanted, and what that refers to as it is there: a template lives as long as an environment of it.
fn kept(wanted: &[Part], there: &Inventory) -> BTreeSet<PartId> {
    let mut kept: BTreeSet<PartId> = wanted.iter().map(|part| part.id.clone()).collect();
    let mut queue: Vec<PartId> = kept.iter().cloned().collect();
    while let Some(id) = queue.pop() {
        // A queue that will let go of an environment does not keep it.
        if id.kind == Kind::JobQueue {
            continue;
        }
        for reference in there.parts.get(&id).into_iter().flat_map(|seen| &seen.refs) {
            if kept.insert(reference.clone()) {
                queue.push(reference.clone());
            }
        }
    }
    kept
}

fn plan_unwanted(
    seen: &Seen,
    there: &Inventory,
    owner: &Owner,
    pending: &[PartId],
    kept: &BTreeSet<PartId>,
    plan: &mut Plan,
) {
    let id = &seen.id;
    if let Phase::Settling(status) = &seen.phase {
        plan.settling.push((id.clone(), status.clone()));
        return;
    }
    let mut after = pending.to_vec();
    if seen.is_enabled() {
        let why = "it is not wanted any more and must stop first".to_owned();
        plan.steps.push(Step { id: id.clone(), action: Action::Disable, why, after });
        return;
    }
    // What somebody else has pointed at our part is not waited for: it would never go.
    let ours = |seen: &&Seen| owner.owns(&seen.tags);
    after.extend(there.holders(id).filter(ours).map(|holder| holder.id.clone()));
    // Instances write to the log group and to file systems until the last of them has gone. Those that stay do
    // not use what goes: a file system that has failed was never mounted.
    if matches!(id.kind, Kind::Efs | Kind::Fsx | Kind::LogGroup) {
        let environments = there.of(Kind::ComputeEnvironment).filter(ours);
        after.extend(environments.map(|seen| seen.id.clone()).filter(|id| !kept.contains(id)));
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

    /// What is still to come, a line for each part, with AWS's last word where there is one.
    pub fn pending(&self) -> Vec<String> {
        let settling = self.settling.iter().map(|(id, status)| format!("{id} ({status})"));
        settling
            .chain(self.steps.iter().map(|step| format!("{} of {}", step.action.word(), step.id)))
            .collect()
    }

    /// The plan as data, for whoever asked for a preview.
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
                "action": step.action.word(),
                "kind": step.id.kind.to_string(),
                "name": step.id.name,
                "why": step.why,
                "changes": changes.collect::<Vec<_>>(),
                "after": step.after.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        };
        json!({
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
            "settling": self.settling.iter().map(|(id, status)| json!({"part": id.to_string(), "status": status})).collect::<Vec<_>>(),
            "conflicts": self.conflicts.iter().map(|(id, owner)| json!({"part": id.to_string(), "owner": owner})).collect::<Vec<_>>(),
            "broken": self.broken.iter().map(|(id, why)| json!({"part": id.to_string(), "why": why})).collect::<Vec<_>>(),
        })
    }
}

/// The plan for a person: a line per step with its mark, and below it what changes.
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
