//! PURE. The next observation: when, and of which kinds.

use super::history::{Attempt, Attempted};
use super::{History, Situation, is_unsettled};
use crate::plan::{Action, Plan, Step};
use crate::registry::Desired;
use crate::resource::{Kind, Phase, ResourceId, Takes};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Pause before a deletion is tried again without a look.
pub(super) const DELETE_AGAIN: Duration = Duration::from_millis(1500);
/// Resources that are due within this time are observed together.
const TOGETHER: Duration = Duration::from_millis(500);
/// How many seconds of waiting a look is worth: while something is created or changed; while all is deleted; and when only
/// the deletions are left after which nothing takes long, so that every second counts.
const WORTH: f64 = 0.15;
const WORTH_OF_DELETING: f64 = 0.6;
const WORTH_OF_LAST_DELETIONS: f64 = 0.35;
/// The shortest and the longest interval between looks, in seconds.
const INTERVALS: (f64, f64) = (1.5, 12.0);

/// When a pending resource may lead on, and the kind to observe then; none if its step is tried again without a look.
#[derive(Debug)]
struct Due {
    at: Duration,
    kind: Option<Kind>,
}

/// The next observation: the pause before it, and the kinds. `None` if nothing is pending.
///
/// It comes when the first of the next steps may become possible, and is of the resource for which that step waits longest: no
/// step follows from the others. The unseen users of a resource are of later kinds.
pub(super) fn next_look(
    plan: &Plan,
    history: &History,
    situation: &Situation<'_>,
) -> Option<(Duration, BTreeSet<Kind>)> {
    let schedule = Schedule::of(plan, history, situation);
    let mut looks: Vec<(Duration, Vec<Due>)> = Vec::new();
    for group in schedule.awaited() {
        let mut due: Vec<_> = group.into_iter().map(|id| schedule.due(id)).collect();
        let last = due.iter().map(|due| due.at).max()?;
        due.retain(|due| due.at + TOGETHER >= last);
        looks.push((last, due));
    }
    for (id, _) in history.attempts.iter().filter(|(id, attempt)| attempt.has_unseen_cause(id.kind)) {
        let at = schedule.due(id).at;
        let users = situation.kinds.iter().filter(|kind| **kind > id.kind);
        looks.push((at, users.map(|kind| Due { at, kind: Some(*kind) }).collect()));
    }
    let now = situation.now.mono;
    let first = looks.iter().map(|(at, _)| *at).min()?.max(now);
    let due = looks.into_iter().filter(|(at, _)| *at <= first + TOGETHER).flat_map(|(_, due)| due);
    Some((first.saturating_sub(now), due.filter_map(|due| due.kind).collect()))
}

/// The resources that are pending, and what follows from them.
struct Schedule<'a> {
    plan: &'a Plan,
    history: &'a History,
    situation: &'a Situation<'a>,
    pending: BTreeSet<&'a ResourceId>,
}

impl<'a> Schedule<'a> {
    fn of(plan: &'a Plan, history: &'a History, situation: &'a Situation<'a>) -> Self {
        let has_failed = |step: &Step| history.failure(&step.id, step.action.as_str()).is_some();
        let ready = plan.ready().filter(|step| !has_failed(step) && !is_unsettled(step, history, situation));
        let pending = plan.settling.iter().map(|(id, _)| id).chain(ready.map(|step| &step.id)).collect();
        Self { plan, history, situation, pending }
    }

    /// The pending resources, in groups: a step becomes possible once a whole group is no longer pending. If none does, all of
    /// them are one group.
    fn awaited(&self) -> Vec<Vec<&'a ResourceId>> {
        let ends = |id: &&ResourceId| self.pending.contains(id) && self.is_last_change(id);
        let mut groups: Vec<Vec<&ResourceId>> =
            self.plan.steps.iter().map(|step| step.after.iter().collect()).collect();
        groups.retain(|group| !group.is_empty() && group.iter().all(ends));
        for id in self.pending.iter().filter(|id| !ends(id)) {
            let users = self.users(id);
            if users.iter().all(ends) {
                groups.push([&users[..], &[id]].concat());
            }
        }
        if groups.is_empty() && !self.pending.is_empty() {
            groups.push(self.pending.iter().copied().collect());
        }
        groups
    }

    /// The resources of the forge that have to be deleted before the next step of an unwanted one.
    fn users(&self, id: &'a ResourceId) -> Vec<&'a ResourceId> {
        let is_refused = self.history.attempts.get(id).is_some_and(Attempt::is_refused);
        if self.desired(id).is_some() || is_refused {
            return Vec::new();
        }
        let Situation { inventory, owner, .. } = self.situation;
        inventory.referrers(id).filter(|user| owner.owns(&user.tags)).map(|user| &user.id).collect()
    }

    fn desired(&self, id: &ResourceId) -> Option<&Desired> {
        self.situation.desired.iter().find(|desired| desired.id == *id)
    }

    /// Whether a pending resource needs no further step: AWS deletes it, or works on the last change of one that is wanted.
    fn is_last_change(&self, id: &ResourceId) -> bool {
        let attempt = self.history.attempts.get(id);
        if attempt.is_some_and(Attempt::is_refused) {
            return false;
        }
        let is_accepted = attempt.is_some_and(Attempt::is_accepted);
        match (self.desired(id), self.situation.inventory.get(id)) {
            (Some(desired), Some(existing)) => {
                matches!(existing.phase, Phase::Settling(_)) && desired.drift(existing).is_empty()
            }
            (Some(_), None) => is_accepted,
            (None, existing) => {
                is_accepted && attempt.is_some_and(|attempt| attempt.action == Action::Delete)
                    || existing.is_some_and(|existing| matches!(existing.phase, Phase::Deleting(_)))
            }
        }
    }

    /// When a resource is observed next.
    ///
    /// A change is observed one interval after AWS may first have completed it, and then at intervals: a look at the very first
    /// moment would hardly ever find it completed. If it is complete once it has been accepted, it is observed at once.
    fn due(&self, id: &ResourceId) -> Due {
        let at = |times: &BTreeMap<Kind, Duration>| times.get(&id.kind).copied().unwrap_or_default();
        let looked = at(&self.history.looked);
        let due = |at| Due { at, kind: Some(id.kind) };
        match self.history.attempts.get(id) {
            Some(attempt) if attempt.is_for_users_that_are_gone(id.kind) => {
                Due { at: attempt.last + DELETE_AGAIN, kind: None }
            }
            Some(Attempt { result: Attempted::Accepted { takes }, last, .. }) => {
                if takes.is_nothing() && looked <= *last {
                    return due(*last);
                }
                let from = looked.max(*last + takes.least);
                due(from + self.interval(*takes, from.saturating_sub(*last)))
            }
            // Nothing is known of its change.
            _ => {
                let waited = self.situation.now.mono.saturating_sub(self.history.progress);
                due(looked.max(at(&self.history.written)) + self.interval(Takes::NOTHING, waited))
            }
        }
    }

    /// The interval before the next observation of a change that AWS accepted so long ago.
    ///
    /// If a change may be completed at any moment until `takes.most`, and a look is worth `c` seconds of waiting, the sum of
    /// both is least with intervals of √(2·c·rest). So they shrink towards the usual end, and grow after it. The interval is
    /// also longer the more environments and queues of the account are in transition, because all share 50 calls per second
    /// with Nextflow. The forge's ID determines the jitter.
    fn interval(&self, takes: Takes, age: Duration) -> Duration {
        let Situation { inventory, seed, .. } = self.situation;
        let rest = takes.most.abs_diff(age).as_secs_f64();
        let base = (2.0 * self.worth() * rest).sqrt().clamp(INTERVALS.0, INTERVALS.1);
        #[allow(clippy::cast_precision_loss)] // at most a hundred
        let crowd = inventory.in_transition() as f64 * 0.15;
        let looks = self.history.looks;
        let seed = seed.bytes().fold(looks, |hash, byte| hash.wrapping_mul(31) ^ u32::from(byte));
        let jitter = 0.9 + 0.2 * f64::from(seed % 1000) / 1000.0;
        Duration::from_secs_f64(f64::max(base, crowd) * jitter)
    }

    /// How many seconds of waiting a look is worth.
    fn worth(&self) -> f64 {
        let mut later = self.plan.steps.iter().filter(|step| !self.pending.contains(&step.id));
        if !self.situation.desired.is_empty() {
            WORTH
        } else if self.pending.iter().all(|id| self.is_last_change(id))
            && later.all(|step| step.id.kind.traits().goes.is_nothing())
        {
            WORTH_OF_LAST_DELETIONS
        } else {
            WORTH_OF_DELETING
        }
    }
}

#[cfg(test)]
mod tests;
