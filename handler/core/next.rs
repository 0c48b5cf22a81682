//! PURE. The next action, given the plan, earlier attempts and the time: every row of the engine's decision table.

mod history;
mod looks;

pub use history::History;

use crate::error::{Error, Result};
use crate::inventory::Inventory;
use crate::name::RELEASED_TAG;
use crate::next::history::{Attempted, Cause};
use crate::next::looks::{DELETE_AGAIN, next_look};
use crate::owner::Owner;
use crate::plan::{Action, Plan, Step};
use crate::port::{Now, Timestamp};
use crate::registry::{Desired, Existing, Write};
use crate::resource::{Change, Kind, ResourceId};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long IAM may take to propagate a role to other services; two minutes have been observed.
const IAM_LAG: Duration = Duration::from_secs(150);
/// How long an accepted change may stay invisible before it is repeated.
const VISIBLE: Duration = Duration::from_secs(10);
/// How often the same change is made before it counts as not converging.
const TRIES: u32 = 6;
/// How often an environment whose references are not young is revalidated before it is recreated.
const REVALIDATIONS: u32 = 2;

/// The next action.
#[derive(Debug, PartialEq)]
pub enum Next<'p> {
    /// The desired state has been reached, and the observations that show it count.
    Finish,
    /// Take these steps concurrently.
    Act(Vec<&'p Step>),
    /// Observe these kinds again after a pause.
    Look {
        /// The pause.
        after: Duration,
        /// The kinds.
        kinds: BTreeSet<Kind>,
    },
}

/// The input of the rules.
#[derive(Debug)]
pub struct Situation<'a> {
    /// The desired state.
    pub desired: &'a [Desired],
    /// The observed state.
    pub inventory: &'a Inventory,
    /// The owner of the forge.
    pub owner: &'a Owner,
    /// The kinds that belong to the operation.
    pub kinds: &'a [Kind],
    /// The clocks.
    pub now: Now,
    /// From when on absences count, by the monotonic clock.
    pub settled: Duration,
    /// Chooses the jitter of pauses.
    pub seed: &'a str,
}

/// Decides on the next action.
///
/// # Errors
///
/// A failure that waiting does not resolve; all independent steps have been taken.
pub fn next<'p>(plan: &'p Plan, history: &History, situation: &Situation<'_>) -> Result<Next<'p>> {
    refuse(plan, situation.inventory)?;
    let now = situation.now.mono;
    if plan.is_done() {
        let mut stale: BTreeSet<Kind> = situation
            .kinds
            .iter()
            .copied()
            .filter(|kind| !history.is_fresh(*kind, situation.settled))
            .collect();
        let unseen = history.unseen(situation);
        stale.extend(unseen.iter().map(|(kind, _)| *kind));
        if stale.is_empty() {
            return Ok(Next::Finish);
        }
        let until = unseen.iter().map(|(_, until)| *until).fold(situation.settled, Duration::max);
        return Ok(Next::Look { after: until.saturating_sub(now), kinds: stale });
    }
    let mut chosen = Vec::new();
    let mut is_held = false;
    for step in plan.ready() {
        match judge(step, history, situation)? {
            Judged::Take => chosen.push(step),
            Judged::Skip => {}
            Judged::Unsettled => is_held = true,
        }
    }
    if !chosen.is_empty() {
        return Ok(Next::Act(chosen));
    }
    let waits = !plan.settling.is_empty()
        || plan.ready().any(|step| history.failure(&step.id, step.action.as_str()).is_none());
    if !waits {
        return Err(history.stuck(plan));
    }
    let look = next_look(plan, history, situation);
    let until_settled = situation.settled.saturating_sub(now);
    Ok(match look {
        Some((after, kinds)) if !is_held || after < until_settled => Next::Look { after, kinds },
        _ => Next::Look { after: until_settled, kinds: unsettled(history, situation).collect() },
    })
}

/// The kinds that were not observed since an absence counts as proof.
fn unsettled<'a>(history: &'a History, situation: &'a Situation<'_>) -> impl Iterator<Item = Kind> + 'a {
    situation.kinds.iter().copied().filter(|kind| !history.has_looked(*kind, situation.settled))
}

/// Whether an update stops a resource that a queue may still need: an old observation may not show that.
fn stops(step: &Step, situation: &Situation<'_>) -> bool {
    let drains = situation.desired.iter().any(|desired| desired.id == step.id && desired.is_draining);
    drains && situation.inventory.get(&step.id).is_some_and(Existing::is_enabled)
}

/// Whether a step rests on an absence that is not proven yet. Every kind may hold a user of the resource to delete, so all
/// of them must have been observed since an absence counts as proof.
fn is_unsettled(step: &Step, history: &History, situation: &Situation<'_>) -> bool {
    let traits = step.id.kind.traits();
    let rests_on_absence = match &step.action {
        Action::Delete => traits.rests_on_absence,
        Action::Update(changes) => {
            let is_of_tags = changes.iter().all(Change::is_of_tag);
            // An old observation may show the forge as released that this stack has adopted since.
            let releases = changes.iter().any(|change| change.sets_tag(RELEASED_TAG));
            releases || (traits.update_detaches || stops(step, situation)) && !is_of_tags
        }
        // If everything is deleted, nothing else can need it.
        Action::Disable => !situation.desired.is_empty(),
        Action::Create | Action::Repair(_) => false,
    };
    rests_on_absence && unsettled(history, situation).next().is_some()
}

/// Fails on problems that waiting does not resolve.
fn refuse(plan: &Plan, inventory: &Inventory) -> Result<()> {
    let conflicts = plan
        .conflicts
        .iter()
        .map(|(id, owner)| Error::NotOurs { resource: id.to_string(), owner: owner.clone() });
    let broken = plan
        .broken
        .iter()
        .map(|(id, reason)| Error::Broken { resource: id.to_string(), reason: reason.clone() });
    let full = Kind::ALL.iter().filter_map(|kind| over_quota(plan, *kind, inventory.total(*kind)));
    let errors: Vec<Error> = conflicts.chain(broken).chain(full).collect();
    if errors.is_empty() { Ok(()) } else { Err(Error::all(errors)) }
}

/// An error if the account has no room for the planned resources, reported before the first of them is created.
fn over_quota(plan: &Plan, kind: Kind, has: usize) -> Option<Error> {
    let quota = kind.traits().quota?;
    let needs =
        plan.steps.iter().filter(|step| step.id.kind == kind && step.action == Action::Create).count();
    (needs > 0 && has + needs > quota).then(|| {
        Error::Refused(format!(
            "this account has {has} {kind}s in this region and needs {needs} more; the AWS Batch quota of {quota} \
             cannot be raised; delete some, or use another region"
        ))
    })
}

enum Judged {
    Take,
    Skip,
    /// It depends on an absence that is not proven yet.
    Unsettled,
}

/// Whether to take a ready step now.
fn judge(step: &Step, history: &History, situation: &Situation<'_>) -> Result<Judged> {
    if is_unsettled(step, history, situation) {
        return Ok(Judged::Unsettled);
    }
    let Some(attempt) = history.attempts.get(&step.id).filter(|last| last.is_to(&step.action)) else {
        return Ok(Judged::Take);
    };
    let is_accepted = attempt.is_accepted();
    let again = match &attempt.result {
        Attempted::Failed(_) => false,
        Attempted::Accepted { .. } => history.has_looked(step.id.kind, attempt.last + VISIBLE),
        // Most likely it stays denied, so each further try comes after twice the time.
        Attempted::Refused { since, cause: Cause::Denied, .. } => {
            history.has_looked(step.id.kind, attempt.last + attempt.last.saturating_sub(*since))
        }
        _ if attempt.is_for_users_that_are_gone(step.id.kind) => {
            situation.now.mono >= attempt.last + DELETE_AGAIN
        }
        // One look lies between two tries.
        Attempted::Refused { .. } | Attempted::CutShort => history.has_looked(step.id.kind, attempt.last),
    };
    // Repairs and deletions are bounded by time: Batch accepts them and fails later.
    let is_bounded = matches!(step.action, Action::Create | Action::Update(_));
    let existing = situation.inventory.get(&step.id);
    if again
        && is_accepted
        && let Some(reason) = existing.and_then(Existing::failed_update)
    {
        return Err(Error::Broken { resource: step.id.to_string(), reason: reason.to_owned() });
    }
    if again && is_accepted && is_bounded && attempt.tries_of(&step.action) >= TRIES {
        return Err(Error::NotConverging(step.id.to_string()));
    }
    Ok(if again { Judged::Take } else { Judged::Skip })
}

/// Enters the result of an accepted step into the inventory, if it needs no observation: a deletion that is complete, changed
/// tags, a creation whose result the spec determines. Returns whether it did.
pub fn enter(step: &Step, desired: &[Desired], inventory: &mut Inventory, now: &Now) -> bool {
    let desired = desired.iter().find(|desired| desired.id == step.id);
    match (&step.action, desired) {
        (Action::Delete, _) if step.id.kind.traits().goes.is_nothing() => inventory.remove(&step.id),
        (Action::Update(changes), Some(desired)) if changes.iter().all(Change::is_of_tag) => {
            inventory.change_tags(desired);
        }
        (Action::Create, Some(desired)) => match desired.created(now.wall.secs()) {
            Some(created) => inventory.insert(created),
            None => return false,
        },
        _ => return false,
    }
    true
}

/// The calls of a step.
///
/// # Errors
///
/// The resource is broken for good, or another owner's resource holds it.
pub fn writes(step: &Step, history: &History, situation: &Situation<'_>) -> Result<Vec<Write>> {
    let existing = situation.inventory.get(&step.id);
    let desired = situation.desired.iter().find(|desired| desired.id == step.id);
    Ok(match (&step.action, desired, existing) {
        (Action::Create, Some(desired), _) => desired.create(),
        (Action::Update(_), Some(desired), Some(existing)) => desired.update(existing),
        (Action::Repair(reason), desired, Some(existing)) => {
            repair(desired, existing, reason, history, situation)?
        }
        (Action::Delete, _, Some(existing)) => {
            if let Some(holder) = foreign_referrer(&step.id, situation) {
                return Err(Error::Refused(format!(
                    "{} is attached to job queue {holder}, which this forge does not own; detach it, then delete \
                     again",
                    step.id
                )));
            }
            existing.delete()
        }
        (Action::Disable, _, Some(existing)) => existing.delete(),
        _ => Vec::new(),
    })
}

/// Repairs a broken resource: revalidates it as long as its references may be too young, then twice more. Then it is
/// recreated once, if nothing refers to it and no job runs in it. AWS does not document that setting the same role is enough.
fn repair(
    desired: Option<&Desired>,
    existing: &Existing,
    reason: &str,
    history: &History,
    situation: &Situation<'_>,
) -> Result<Vec<Write>> {
    let is_held = situation.inventory.referrers(&existing.id).next().is_some()
        || situation.inventory.foreign_referrer(&existing.id).is_some();
    // Until it is disabled, this may not be known.
    let has_jobs = !existing.is_enabled() && existing.is_busy();
    let repairs = history.repairs.get(&existing.id).copied().unwrap_or_default();
    if !recreates(existing, history, situation) {
        // An update has AWS check it too, and the cause may be in it: a role that somebody has changed.
        let update = desired.map(|desired| desired.update(existing)).unwrap_or_default();
        return Ok(if update.is_empty() { existing.revalidate() } else { update });
    }
    if is_held || has_jobs || repairs >= REVALIDATIONS + 2 {
        return Err(Error::Broken { resource: existing.id.to_string(), reason: reason.to_owned() });
    }
    // Disabled, then deleted; the next plan makes it anew.
    Ok(existing.delete())
}

/// Whether revalidating a broken resource is of no use any more.
fn recreates(existing: &Existing, history: &History, situation: &Situation<'_>) -> bool {
    let repairs = history.repairs.get(&existing.id).copied().unwrap_or_default();
    repairs >= REVALIDATIONS && !is_young(existing, history, situation)
}

/// Whether a resource refers to something so young, or changed so recently, that its service may not know it yet.
fn is_young(existing: &Existing, history: &History, situation: &Situation<'_>) -> bool {
    let Situation { inventory, now, .. } = situation;
    existing.refs.iter().any(|id| {
        let created = inventory.get(id).and_then(|reference| reference.created);
        created.is_some_and(|created| now.since(Timestamp::from_secs(created)) < IAM_LAG)
            || history.has_changed(id, now.mono.saturating_sub(IAM_LAG))
            || inventory.get(id).is_some_and(|reference| is_young(reference, history, situation))
    })
}

/// The foreign resource that refers to one of the forge's resources.
fn foreign_referrer<'a>(id: &'a ResourceId, situation: &Situation<'a>) -> Option<&'a str> {
    let named_like_ours =
        situation.inventory.referrers(id).find(|referrer| !situation.owner.owns(&referrer.tags));
    let outside = situation.inventory.foreign_referrer(id);
    outside.or(named_like_ours.map(|referrer| referrer.id.name.as_str()))
}

#[cfg(test)]
mod tests;
