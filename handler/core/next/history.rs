//! PURE. The attempts and observations of one invocation, and their consequences for refusals and pauses.

use super::{Situation, is_young, recreates};
use crate::error::{Error, Result, ServiceError, chain};
use crate::plan::{Action, Plan, Step};
use crate::registry::Desired;
use crate::resource::{Kind, ResourceId, Takes};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a transient refusal is tolerated.
const PATIENCE: Duration = Duration::from_mins(3);
/// How long tag-based permissions may take to know a new resource.
const TAG_LAG: Duration = Duration::from_mins(1);

/// The attempts and observations of one invocation on one forge. The ages of resources come from AWS.
#[derive(Debug, Default)]
pub struct History {
    pub(super) attempts: BTreeMap<ResourceId, Attempt>,
    created: BTreeMap<ResourceId, Duration>,
    pub(super) repairs: BTreeMap<ResourceId, u32>,
    /// The resources whose deletion AWS has accepted.
    pub deleted: BTreeSet<ResourceId>,
    /// The start of the last observation of each kind.
    pub(super) looked: BTreeMap<Kind, Duration>,
    /// When each kind was last written to, if the result is not known without an observation.
    pub(super) written: BTreeMap<Kind, Duration>,
    pub(super) progress: Duration,
    pub(super) looks: u32,
    /// The last attempt to create each resource, whatever its result.
    begun: BTreeMap<ResourceId, Duration>,
    /// The last attempt to stop or delete each resource, whatever its result.
    stopped: BTreeMap<ResourceId, Duration>,
    /// The last desired state sent for each resource, whatever its result, and when.
    sent: BTreeMap<ResourceId, (Desired, Duration)>,
    /// The read lag.
    read_lag: Duration,
}

/// The last attempt on one resource.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) action: Action,
    pub(super) last: Duration,
    pub(super) tries: u32,
    pub(super) result: Attempted,
}

/// The cause of a transient refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It is known, and passes.
    Known,
    /// Another resource that may not have been observed yet.
    Unseen,
    /// Tag-based permissions may not cover a new resource yet, or never will.
    Denied,
}

impl Attempt {
    /// Whether it was an attempt of this sort.
    pub(super) fn is_to(&self, action: &Action) -> bool {
        self.action.as_str() == action.as_str()
    }

    /// How often exactly this was accepted in succession: an update to other values is another action.
    pub(super) fn tries_of(&self, action: &Action) -> u32 {
        if self.action == *action { self.tries } else { 0 }
    }

    pub(super) fn is_accepted(&self) -> bool {
        matches!(self.result, Attempted::Accepted { .. })
    }

    pub(super) fn is_refused(&self) -> bool {
        matches!(self.result, Attempted::Refused { .. } | Attempted::CutShort)
    }

    /// Whether something refused it that may not have been observed yet.
    pub(super) fn has_unseen_cause(&self, kind: Kind) -> bool {
        matches!(self.result, Attempted::Refused { cause: Cause::Unseen, .. })
            && !self.is_for_users_that_are_gone(kind)
    }

    /// Whether AWS refused a deletion for users that are gone, as far as is known.
    pub(super) fn is_for_users_that_are_gone(&self, kind: Kind) -> bool {
        let Attempted::Refused { since, cause: Cause::Unseen, .. } = self.result else { return false };
        self.action == Action::Delete && self.last.saturating_sub(since) < kind.traits().finds_users_for
    }
}

#[derive(Clone, Debug)]
pub(super) enum Attempted {
    /// AWS accepted it; how long it takes.
    Accepted { takes: Takes },
    /// A transient refusal; since when, and why.
    Refused { since: Duration, reason: String, cause: Cause },
    /// AWS refused it for good.
    Failed(Error),
    /// The permit expired before its last call.
    CutShort,
}

impl History {
    /// The history of an invocation whose reads lag so far behind its writes.
    pub fn with_read_lag(read_lag: Duration) -> Self {
        Self { read_lag, ..Self::default() }
    }

    /// Records that a step's calls were sent, though perhaps not all of them.
    pub fn note_sent(&mut self, step: &Step, situation: &Situation<'_>) {
        let now = situation.now.mono;
        match &step.action {
            Action::Create => drop(self.begun.insert(step.id.clone(), now)),
            Action::Disable | Action::Delete => drop(self.stopped.insert(step.id.clone(), now)),
            Action::Repair(_) => {
                let existing = situation.inventory.get(&step.id);
                if existing.is_some_and(|existing| recreates(existing, self, situation)) {
                    self.stopped.insert(step.id.clone(), now);
                }
            }
            Action::Update(_) => {}
        }
        let desired = situation.desired.iter().find(|desired| desired.id == step.id);
        if let (Action::Create | Action::Update(_), Some(desired)) = (&step.action, desired) {
            self.sent.insert(step.id.clone(), (desired.clone(), now));
        }
    }

    /// Kinds that this invocation has changed and may still observe in the old state, and from when on an observation
    /// counts.
    ///
    /// A resource that it started to create is gone only if such an observation does not show it: a Delete that
    /// recreates the service role must not leave it behind. And if the desired state differs from the last one sent, or a
    /// desired resource was stopped to be recreated, an old observation may show it.
    pub(super) fn unseen(&self, situation: &Situation<'_>) -> Vec<(Kind, Duration)> {
        let absent = self.begun.iter().filter(|(id, _)| situation.inventory.get(id).is_none());
        let turned = situation.desired.iter().filter_map(|desired| {
            let (sent, at) = self.sent.get(&desired.id)?;
            (sent.spec != desired.spec || sent.tags != desired.tags).then_some((&desired.id, at))
        });
        let stopped = situation.desired.iter().filter_map(|desired| self.stopped.get_key_value(&desired.id));
        let doubtful = absent.chain(turned).chain(stopped).map(|(id, at)| (id.kind, *at + self.read_lag));
        doubtful.filter(|(kind, until)| !self.has_looked(*kind, *until)).collect()
    }

    /// Whether a kind was observed since its last write, and since observations count.
    pub(super) fn is_fresh(&self, kind: Kind, settled: Duration) -> bool {
        let written = self.written.get(&kind).copied();
        self.has_looked(kind, settled) && written.is_none_or(|written| self.has_looked(kind, written))
    }

    pub(super) fn has_looked(&self, kind: Kind, since: Duration) -> bool {
        self.looked.get(&kind).is_some_and(|looked| *looked >= since)
    }

    /// Records an observation that started at `begun`.
    pub fn note_look(&mut self, kinds: &BTreeSet<Kind>, begun: Duration) {
        self.looks += 1;
        self.looked.extend(kinds.iter().map(|kind| (*kind, begun)));
    }

    /// Forgets the refusals of resources that no longer need a step, so that a later one gets its full time.
    pub fn forget_settled(&mut self, plan: &Plan) {
        self.attempts.retain(|id, attempt| {
            !matches!(attempt.result, Attempted::Refused { .. })
                || plan.steps.iter().any(|step| step.id == *id)
        });
    }

    /// Records the result of a step. Returns the error if it stops further creations.
    pub fn note_step(&mut self, step: &Step, result: Result<()>, situation: &Situation<'_>) -> Option<Error> {
        let now = situation.now.mono;
        let action = step.action.clone();
        let before = self.attempts.get(&step.id).filter(|attempt| attempt.is_to(&action)).cloned();
        let tries = before.as_ref().map_or(0, |attempt| attempt.tries_of(&action));
        let err = match result {
            Ok(()) => {
                self.progress = now;
                self.note_success(step, situation);
                let traits = step.id.kind.traits();
                let takes = match step.action {
                    Action::Disable => traits.stops,
                    Action::Delete => traits.goes,
                    Action::Create | Action::Update(_) | Action::Repair(_) => traits.settles,
                };
                let result = Attempted::Accepted { takes };
                self.attempts
                    .insert(step.id.clone(), Attempt { action, last: now, tries: tries + 1, result });
                return None;
            }
            Err(err) => err,
        };
        self.written.insert(step.id.kind, now);
        let since = match before.map(|attempt| attempt.result) {
            Some(Attempted::Refused { since, .. }) => since,
            _ => now,
        };
        let result = match self.transient(&err, &step.id, now.saturating_sub(since), now) {
            Some((reason, cause)) => Attempted::Refused { since, reason, cause },
            None => Attempted::Failed(err.clone()),
        };
        let ends = matches!(result, Attempted::Failed(_))
            && !matches!(step.action, Action::Disable | Action::Delete);
        self.attempts.insert(step.id.clone(), Attempt { action, last: now, tries, result });
        ends.then_some(err)
    }

    /// Records that a step was cut short.
    pub fn note_cut(&mut self, step: &Step, now: Duration) {
        let action = step.action.clone();
        let tries = self.attempts.get(&step.id).map_or(0, |attempt| attempt.tries_of(&action));
        self.written.insert(step.id.kind, now);
        self.attempts
            .insert(step.id.clone(), Attempt { action, last: now, tries, result: Attempted::CutShort });
    }

    /// Records that the result of an accepted step has to be observed.
    pub fn note_unseen(&mut self, step: &Step, now: Duration) {
        self.written.insert(step.id.kind, now);
    }

    fn note_success(&mut self, step: &Step, situation: &Situation<'_>) {
        let now = situation.now.mono;
        match &step.action {
            Action::Create => drop(self.created.insert(step.id.clone(), now)),
            Action::Delete => drop(self.deleted.insert(step.id.clone())),
            Action::Repair(_) => {
                let young = situation
                    .inventory
                    .get(&step.id)
                    .is_some_and(|existing| is_young(existing, self, situation));
                *self.repairs.entry(step.id.clone()).or_default() += u32::from(!young);
            }
            _ => {}
        }
    }

    /// Why a refusal is transient, if it is.
    fn transient(
        &self,
        err: &Error,
        id: &ResourceId,
        refused_for: Duration,
        now: Duration,
    ) -> Option<(String, Cause)> {
        let source: &ServiceError = err.service()?;
        if source.is_denied() {
            let fresh = self.created.get(id).is_some_and(|created| now < *created + TAG_LAG);
            return fresh.then(|| ("tag-based permissions do not cover it yet".to_owned(), Cause::Denied));
        }
        let reason = source.transient()?;
        // How long an account stays throttled is not for us to judge.
        let believed = source.is_throttled() || refused_for < PATIENCE;
        let cause = if source.has_unseen_cause() { Cause::Unseen } else { Cause::Known };
        believed.then(|| (format!("{reason}: {}", source.message), cause))
    }

    /// Whether this invocation has changed a resource after `since`.
    pub(super) fn has_changed(&self, id: &ResourceId, since: Duration) -> bool {
        self.attempts.get(id).is_some_and(|attempt| attempt.is_accepted() && attempt.last > since)
    }

    pub(super) fn failure(&self, id: &ResourceId, action: &str) -> Option<&Error> {
        match self
            .attempts
            .get(id)
            .filter(|attempt| attempt.action.as_str() == action)
            .map(|attempt| &attempt.result)
        {
            Some(Attempted::Failed(err)) => Some(err),
            _ => None,
        }
    }

    fn failures(&self) -> impl Iterator<Item = &Error> {
        self.attempts.values().filter_map(|attempt| match &attempt.result {
            Attempted::Failed(err) => Some(err),
            _ => None,
        })
    }

    pub(super) fn stuck(&self, plan: &Plan) -> Error {
        let failed: Vec<Error> = self.failures().cloned().collect();
        if failed.is_empty() { Error::NotConverging(plan.pending().join("; ")) } else { Error::all(failed) }
    }

    /// The pending resources, with AWS's last status or refusal of each.
    pub fn pending(&self, plan: &Plan) -> Vec<String> {
        let refused = self.attempts.iter().filter_map(|(id, attempt)| match &attempt.result {
            Attempted::Refused { reason, .. } => Some(format!("{id}: {reason}")),
            _ => None,
        });
        plan.pending().into_iter().chain(refused).chain(self.failures().map(chain)).collect()
    }
}

#[cfg(test)]
mod tests;
