//! PURE. What to do next, given the plan, what has been tried, and the time: every row of the engine's table.

mod history;

pub use history::History;

use crate::error::{Error, Result};
use crate::inventory::Inventory;
use crate::next::history::Attempted;
use crate::owner::Owner;
use crate::plan::{Action, Plan, Step};
use crate::port::{Now, Timestamp};
use crate::registry::{Desired, Existing, Write};
use crate::resource::{Kind, ResourceId};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long IAM may take to show a role to the other services; two minutes have been seen.
const IAM_LAG: Duration = Duration::from_secs(150);
/// How long an accepted change may stay invisible before it is made again.
const VISIBLE: Duration = Duration::from_secs(10);
/// How often the same change is made before it is said not to converge.
const TRIES: u32 = 6;
/// How often AWS is made to look again at an environment whose references are not young, before it is made anew.
const REVALIDATIONS: u32 = 2;

/// What to do next.
#[derive(Debug, PartialEq)]
pub enum Next<'p> {
    /// All is as desired, and the looks that show it count.
    Finish,
    /// Take these steps, side by side.
    Act(Vec<&'p Step>),
    /// Look again at these kinds after a pause.
    Look {
        /// How long to wait before.
        after: Duration,
        /// What to look at.
        kinds: BTreeSet<Kind>,
    },
}

/// What the rules depend on.
#[derive(Debug)]
pub struct Situation<'a> {
    /// What is desired.
    pub desired: &'a [Desired],
    /// What has been observed.
    pub inventory: &'a Inventory,
    /// Whose the forge is.
    pub owner: &'a Owner,
    /// The kinds that belong to the operation.
    pub kinds: &'a [Kind],
    /// The clocks.
    pub now: Now,
    /// From when on an absence proves something, by the monotonic clock.
    pub settled: Duration,
    /// Chooses the jitter of pauses.
    pub seed: &'a str,
}

/// Decides.
///
/// # Errors
///
/// What no waiting mends; everything that did not depend on it has been done.
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
    let kinds = kinds_to_look_at(plan, history, situation);
    let pause = history.pause(situation);
    let until_settled = situation.settled.saturating_sub(now);
    if is_held && (kinds.is_empty() || until_settled <= pause) {
        return Ok(Next::Look { after: until_settled, kinds: unsettled(history, situation).collect() });
    }
    Ok(Next::Look { after: pause, kinds })
}

/// The kinds whose absences prove nothing yet.
fn unsettled<'a>(history: &'a History, situation: &'a Situation<'_>) -> impl Iterator<Item = Kind> + 'a {
    situation.kinds.iter().copied().filter(|kind| !history.has_looked(*kind, situation.settled))
}

/// Whether a step rests on an absence that nothing proves yet. Every kind may hold a user of what goes, so all must have
/// been looked at since absences count.
fn is_unsettled(step: &Step, history: &History, situation: &Situation<'_>) -> bool {
    let rests_on_absence = step.action == Action::Delete && step.id.kind.traits().rests_on_absence;
    rests_on_absence && unsettled(history, situation).next().is_some()
}

/// Fails on what no waiting mends.
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

/// Whether the account has no room for what is to be made; better said at once than by the last resource of a forge.
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
    /// It rests on an absence that nothing proves yet.
    Unsettled,
}

/// Whether a step that is ready is taken now.
fn judge(step: &Step, history: &History, situation: &Situation<'_>) -> Result<Judged> {
    let now = situation.now.mono;
    if is_unsettled(step, history, situation) {
        return Ok(Judged::Unsettled);
    }
    let Some(attempt) = history.attempts.get(&step.id).filter(|last| last.action == step.action.as_str())
    else {
        return Ok(Judged::Take);
    };
    let is_accepted = matches!(attempt.result, Attempted::Accepted);
    let again = match attempt.result {
        Attempted::Failed(_) => false,
        Attempted::Accepted => now >= attempt.last + VISIBLE,
        // One look lies between two tries.
        Attempted::Refused { .. } => history.has_looked(step.id.kind, attempt.last),
    };
    // Repairs and deletions are bounded by time: Batch accepts them and fails later.
    let is_bounded = matches!(step.action, Action::Create | Action::Update(_));
    if again && is_accepted && is_bounded && attempt.tries >= TRIES {
        return Err(Error::NotConverging(step.id.to_string()));
    }
    Ok(if again { Judged::Take } else { Judged::Skip })
}

/// What to look at on the next tick: only what is pending, and what may be the unseen cause of a refusal. What uses a
/// resource is of a later kind.
fn kinds_to_look_at(plan: &Plan, history: &History, situation: &Situation<'_>) -> BTreeSet<Kind> {
    let unseen = history
        .attempts
        .iter()
        .filter(|(_, attempt)| matches!(&attempt.result, Attempted::Refused { has_unseen_cause: true, .. }));
    let users = unseen.flat_map(|(id, _)| situation.kinds.iter().copied().filter(|kind| *kind >= id.kind));
    let settling = plan.settling.iter().map(|(id, _)| id.kind);
    let ready = plan.ready().filter(|step| !is_unsettled(step, history, situation)).map(|step| step.id.kind);
    users.chain(settling).chain(ready).collect()
}

/// What to look at after steps have been taken, and how long to wait before; `accepted` are the kinds of the steps
/// that AWS took.
pub fn after_acting(
    plan: &Plan,
    history: &History,
    situation: &Situation<'_>,
    accepted: &BTreeSet<Kind>,
) -> (Duration, BTreeSet<Kind>) {
    let kinds = kinds_to_look_at(plan, history, situation);
    // What IAM and EC2 make is there at once; Batch and the file systems take their time.
    let at_once = accepted.iter().any(|kind| kind.traits().is_immediate);
    (if at_once { Duration::ZERO } else { history.pause(situation) }, kinds)
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
        (Action::Repair(reason), _, Some(existing)) => repair(existing, reason, history, situation)?,
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

/// Mends a broken resource: makes AWS look again as long as its references may be too young, then twice more; then it
/// is made anew once, if nothing refers to it. AWS does not document that naming the same role is enough.
fn repair(
    existing: &Existing,
    reason: &str,
    history: &History,
    situation: &Situation<'_>,
) -> Result<Vec<Write>> {
    let is_held = situation.inventory.referrers(&existing.id).next().is_some();
    let repairs = history.repairs.get(&existing.id).copied().unwrap_or_default();
    match repairs {
        _ if is_young(existing, situation.inventory, &situation.now) => Ok(existing.revalidate()),
        0..REVALIDATIONS => Ok(existing.revalidate()),
        // Disabled, then deleted; the next plan makes it anew.
        REVALIDATIONS..=3 if !is_held => Ok(existing.delete()),
        _ => Err(Error::Broken { resource: existing.id.to_string(), reason: reason.to_owned() }),
    }
}

/// Whether something that a resource refers to is so young that its service may not know it yet.
pub fn is_young(existing: &Existing, inventory: &Inventory, now: &Now) -> bool {
    let created = existing.refs.iter().filter_map(|id| inventory.get(id)?.created).max();
    created.is_some_and(|created| now.since(Timestamp::from_secs(created)) < IAM_LAG)
}

/// The resource of another owner that refers to one of ours.
fn foreign_referrer<'a>(id: &'a ResourceId, situation: &Situation<'a>) -> Option<&'a str> {
    let named_like_ours =
        situation.inventory.referrers(id).find(|referrer| !situation.owner.owns(&referrer.tags));
    let outside = situation.inventory.foreign_referrer(id);
    outside.or(named_like_ours.map(|referrer| referrer.id.name.as_str()))
}

#[cfg(test)]
mod tests;
