//! The invariants of the forge that two stacks name: one stack at a time writes to it, and it changes hands as a whole.

use crate::account::Version;
use crate::executor::Ms;
use crate::host::Host;
use crate::judge::{creates, deletes, disables, stops};
use crate::stacks::Stack;
use crate::world::{LAG, V, World};
use std::collections::{HashMap, HashSet};
use tower_forge_core::claim::{Item, Verb};
use tower_forge_core::name::{ForgeId, RELEASED_TAG, STACK_TAG};
use tower_forge_core::registry::{Call, Write};
use tower_forge_core::resource::{Kind, MutatingCall as _, ResourceId, Tags};
use tower_forge_core::resources::job_queue;

/// The ID that both stacks name.
pub(crate) const FORGE: &str = "Lab7";
/// The work queue of that forge.
pub(crate) const WORK_QUEUE: &str = "TowerForge-Lab7-work";

/// The memory of these invariants.
#[derive(Default)]
pub(crate) struct Shared {
    /// Until when an invocation held the forge.
    held_until: HashMap<String, Ms>,
    /// The order in which invocations claimed the forge.
    claims: HashMap<String, u64>,
    /// The newest claim on the forge whose holder has looked at it.
    looked: u64,
    /// When each invocation first looked at the forge.
    first_look: HashMap<String, Ms>,
    /// When an operation of each stack last changed the forge.
    changed: [Ms; 2],
    /// The invocations that have released the forge.
    released: HashSet<String>,
    /// The stack that owned the work queue last; nobody while it is released.
    owner: Option<Stack>,
}

impl Shared {
    /// The table has been lost: nobody holds the forge.
    pub(crate) fn lose_table(&mut self, now: Ms) {
        for until in self.held_until.values_mut() {
            *until = now.min(*until);
        }
    }

    /// An invocation looks at a forge. Returns whether this may not show the other stack's changes.
    pub(crate) fn note_look(&mut self, now: Ms, stack: Stack, by: &str, forge: &ForgeId) -> bool {
        if forge.as_str() != FORGE || self.claim_of(by) == 0 {
            return false;
        }
        self.looked = self.looked.max(self.claim_of(by));
        self.first_look.entry(by.to_owned()).or_insert(now);
        let changed = self.changed[stack.other() as usize];
        changed > 0 && changed + LAG > now
    }

    fn claim_of(&self, by: &str) -> u64 {
        self.claims.get(by).copied().unwrap_or_default()
    }
}

/// Whether a resource belongs to the forge that both stacks name.
pub(crate) fn is_of_it(id: &ResourceId) -> bool {
    let rest = ["TowerForge-", "/tower-forge/"].iter().find_map(|prefix| id.name.strip_prefix(prefix));
    rest.and_then(|rest| rest.strip_prefix(FORGE))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The tags that a call sets on a queue, and the keys that it removes.
fn tags_of(call: &Call) -> (Option<&Tags>, &[String]) {
    match call {
        Call::JobQueue(call) => match &**call {
            job_queue::Call::Tag { tags, .. } => (Some(tags), &[]),
            job_queue::Call::Untag { keys, .. } => (None, keys),
            _ => (None, &[]),
        },
        _ => (None, &[]),
    }
}

impl World {
    /// The item of the forge has changed: it was claimed, or released.
    pub(crate) fn judge_forge(&self, is_claim: bool, before: Option<&Item>, after: &Item) {
        let now = self.now();
        let mut judge = self.judge.borrow_mut();
        let by = &after.by;
        if !is_claim {
            judge.shared.held_until.insert(by.clone(), now);
            // A forge that is given back as busy still has an earlier holder of the same stack.
            if !after.busy {
                judge.shared.released.insert(by.clone());
            }
            return;
        }
        // In an empty table a late first try finds nothing to compare; the claim is stale later.
        if judge.shared.released.contains(by) && self.ledger.borrow().lost_at.is_none() {
            self.fail(format!("{by} claims the forge again, which it has released"));
        }
        if let Some(before) = before.filter(|before| before.by != *by) {
            let is_older = judge.claim_of(by) < judge.claim_of(&before.by);
            if judge.stack_of(by) == judge.stack_of(&before.by) && is_older {
                self.fail(format!(
                    "{by} takes the forge from {}, the newer holder of its resource",
                    before.by
                ));
            }
            if before.busy && before.stack != after.stack {
                self.count("a stale claim on a forge is taken over");
            }
            let until = judge.shared.held_until.entry(before.by.clone()).or_insert(now);
            *until = now.min(*until);
        }
        if judge.shared.held_until.insert(by.clone(), Ms::MAX) != Some(Ms::MAX) {
            let claim = judge.next_claim();
            judge.shared.claims.insert(by.clone(), claim);
        }
    }

    /// An operation sends a call to the forge only while it holds it. A sweep has no claim on it.
    pub(crate) fn judge_sending_to_shared(&self, host: &Host, write: &Write) {
        if host.verb.is_none() || !is_of_it(&write.id) {
            return;
        }
        let by = host.by.borrow();
        let until = self.judge.borrow().shared.held_until.get(&*by).copied().unwrap_or_default();
        // A late claim of the resource in a table that was lost, and is empty, is heeded without one of the forge.
        let claims_late = self.ledger.borrow().lost_at.is_some_and(|lost| until <= lost);
        if claims_late && self.judge.borrow().is_named(&by) {
            return;
        }
        if until.saturating_add(V) < self.now() {
            self.fail(format!(
                "{by} sends {} on {}, and does not hold the forge",
                write.call.action(),
                write.id
            ));
        }
    }

    /// A call of a stack's invocation takes effect on the forge.
    pub(crate) fn judge_landing_on_shared(&self, stack: Stack, by: &str, verb: Option<Verb>, write: &Write) {
        let (id, call) = (&write.id, &write.call);
        if !is_of_it(id) {
            return;
        }
        let what = || format!("{by}: {} on {id}", call.action());
        let is_lost = self.ledger.borrow().lost_at.is_some();
        let is_stale = {
            let judge = self.judge.borrow();
            verb.is_some() && judge.shared.claim_of(by) < judge.shared.looked
        };
        if verb.is_some() {
            self.judge.borrow_mut().shared.changed[stack as usize] = self.now();
        }
        // Once the table has been lost nobody knows who held the forge before.
        if is_stale && !is_lost {
            self.fail(format!("{} lands after the first look of the forge's next holder", what()));
        }
        let queue = self.truth(&ResourceId::new(Kind::JobQueue, WORK_QUEUE));
        if let Some(queue) = &queue {
            let owner = queue.owner().filter(|_| !queue.is_released());
            self.judge.borrow_mut().shared.owner = owner;
        }
        let Some(now) = self.truth(id) else { return };
        let takes_away =
            deletes(call) || disables(call) || matches!(call, Call::ComputeEnvironment(call) if stops(call));
        let has_all = self.judge.borrow().shared.owner == Some(stack);
        // The work queue says that a forge is released. Once it is gone, whoever names the forge may delete the rest.
        let is_kept = queue.is_some() && now.is_released();
        if is_kept && now.owner() != Some(stack) && takes_away && !has_all {
            self.fail(format!("{} takes away what another stack has released", what()));
        }
        if verb.is_none() && now.is_released() && self.is_held_by_another(stack) {
            self.fail(format!("{} is a sweep, and another stack adopts the forge", what()));
        }
        if id.name == WORK_QUEUE && !creates(call) {
            self.judge_queue(stack, by, now.is_released(), call);
        }
    }

    fn is_held_by_another(&self, stack: Stack) -> bool {
        let ledger = self.ledger.borrow();
        ledger.forge(FORGE).is_some_and(|item| item.busy && item.stack != stack.id())
    }

    /// The work queue changes hands, as the last resource. Retiring resources are adopted behind it, because it must let
    /// go of them first.
    fn judge_queue(&self, stack: Stack, by: &str, is_released: bool, call: &Call) {
        let (tags, removed) = tags_of(call);
        let releases = !is_released && tags.is_some_and(|tags| tags.contains_key(RELEASED_TAG));
        let adopts = is_released && removed.iter().any(|key| key == RELEASED_TAG);
        if !releases && !adopts {
            return;
        }
        let is_behind =
            |kind: Kind| matches!(kind, Kind::ComputeEnvironment | Kind::LaunchTemplate | Kind::Role);
        let account = self.account.borrow();
        let waits = |id: &ResourceId, version: &Version| {
            if releases {
                version.owner() == Some(stack) && !version.is_released()
            } else {
                version.is_released() && !is_behind(id.kind)
            }
        };
        // The first look may not show resources that the stack itself has just created, released or adopted.
        let looked = self.judge.borrow().shared.first_look.get(by).copied().unwrap_or_default();
        let known = looked.saturating_sub(LAG);
        let early = account.all().find(|(id, version)| {
            let is_other = is_of_it(id) && id.name != WORK_QUEUE;
            let has_waited = || account.was(id, known).is_some_and(|was| waits(id, was));
            is_other && waits(id, version) && has_waited()
        });
        if let Some((early, _)) = early {
            self.fail(format!("{by}: the work queue changes hands before {early}"));
        }
        self.count(if releases { "a forge is released" } else { "a forge is adopted" });
    }

    /// Counts that a call gives the work queue another owner.
    pub(crate) fn count_adoption(&self, write: &Write) {
        let Some(stack) = tags_of(&write.call).0.and_then(|tags| tags.get(STACK_TAG)) else { return };
        let Some(now) = self.truth(&write.id).filter(|_| write.id.name == WORK_QUEUE) else { return };
        if now.owner().is_some_and(|owner| owner.id() != stack) {
            self.count("a forge is adopted by another stack");
        }
    }
}
