//! The invariants that hold at every step.

use crate::account::Version;
use crate::executor::{Ms, S};
use crate::host::Host;
use crate::shared::{self, Shared};
use crate::stacks::Stack;
use crate::world::{V, World};
use std::collections::{BTreeMap, HashMap};
use tower_forge_core::claim::{Item, Verb};
use tower_forge_core::event::parse_rfc3339;
use tower_forge_core::name::{FORGE_TAG, ForgeId, RETIRING_TAG};
use tower_forge_core::network::Network;
use tower_forge_core::registry::{Call, Write};
use tower_forge_core::resource::{Kind, MutatingCall as _, ResourceId};
use tower_forge_core::resources::{
    compute_environment, efs, fsx, instance_profile, job_queue, launch_template, role,
};

/// The memory of the invariants.
#[derive(Default)]
pub(crate) struct Judge {
    /// Until when an invocation was named.
    named_until: HashMap<String, Ms>,
    /// The order in which invocations were named.
    claims: HashMap<String, u64>,
    /// For which stack each works.
    stacks: HashMap<String, Stack>,
    count: u64,
    /// When each was named.
    named_since: HashMap<String, Ms>,
    /// Which operation has replaced an environment that retires.
    retired_by: HashMap<ResourceId, String>,
    /// The newest claim on the resource of each stack whose holder has looked.
    looked: [u64; 2],
    /// Answers by operation: SUCCESS or not, physical ID, heeded or not.
    pub(crate) answers: BTreeMap<String, Vec<(bool, String, bool)>>,
    /// The memory of the invariants of a forge that two stacks name.
    pub(crate) shared: Shared,
}

impl Judge {
    /// The stack for which an invocation works, if it has claimed.
    pub(crate) fn stack_of(&self, by: &str) -> Option<Stack> {
        self.stacks.get(by).copied()
    }

    /// The place of the newest claim of an invocation on the resource of its stack, among all claims.
    pub(crate) fn claim_of(&self, by: &str) -> u64 {
        self.claims.get(by).copied().unwrap_or_default()
    }

    /// Whether an invocation is named as the holder of its resource now.
    pub(crate) fn is_named(&self, by: &str) -> bool {
        self.named_until.get(by) == Some(&Ms::MAX)
    }

    /// The place of the next claim.
    pub(crate) fn next_claim(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

/// Reads status and physical ID from a body.
pub(crate) fn read_body(body: &str) -> (bool, String) {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    (body["Status"] == "SUCCESS", body["PhysicalResourceId"].as_str().unwrap_or_default().to_owned())
}

fn holder(item: &Item) -> Option<&str> {
    (item.outcome.is_none() || item.by.starts_with("sweep/")).then_some(item.by.as_str())
}

/// Whether a call deletes a resource.
pub(crate) fn deletes(call: &Call) -> bool {
    match call {
        Call::Role(call) => matches!(**call, role::Call::Delete),
        Call::InstanceProfile(call) => matches!(**call, instance_profile::Call::Delete),
        Call::LaunchTemplate(call) => matches!(**call, launch_template::Call::Delete(_)),
        Call::ComputeEnvironment(call) => matches!(**call, compute_environment::Call::Delete),
        Call::JobQueue(call) => matches!(**call, job_queue::Call::Delete { .. }),
        Call::Efs(call) => matches!(**call, efs::Call::Delete(_) | efs::Call::DeleteMountTarget(_)),
        Call::Fsx(call) => matches!(**call, fsx::Call::Delete(_)),
        Call::LogGroup(_) => false,
    }
}

/// Whether a call makes a resource useless for its users.
fn empties(call: &Call) -> bool {
    let strips = match call {
        Call::Role(call) => matches!(**call, role::Call::Detach(_)),
        Call::InstanceProfile(call) => matches!(**call, instance_profile::Call::RemoveRole(_)),
        _ => false,
    };
    strips
        || deletes(call) && matches!(call, Call::Role(_) | Call::InstanceProfile(_) | Call::LaunchTemplate(_))
}

/// Whether a call stops a queue.
pub(crate) fn disables(call: &Call) -> bool {
    matches!(call, Call::JobQueue(call) if matches!(&**call,
        job_queue::Call::Update { update, .. } if update.enabled == Some(false)))
}

/// Whether an environment takes no more jobs.
pub(crate) fn stops(call: &compute_environment::Call) -> bool {
    matches!(call, compute_environment::Call::Update(update) if update.enabled == Some(false))
}

/// Whether a queue would get more environments than Batch takes, or none.
fn names_too_many(call: &Call) -> bool {
    let order = match call {
        Call::JobQueue(call) => match &**call {
            job_queue::Call::Create { spec, .. } => Some(&spec.order),
            job_queue::Call::Update { update, .. } => update.order.as_ref(),
            _ => None,
        },
        _ => None,
    };
    order.is_some_and(|order| !(1..=3).contains(&order.len()))
}

/// Whether a call creates a resource.
pub(crate) fn creates(call: &Call) -> bool {
    call.action().contains(":Create") && !call.action().ends_with("Tags")
}

impl World {
    /// The item of the resource of a stack has changed.
    pub(crate) fn judge_item(&self, stack: Stack, before: Option<&Item>, after: &Item) {
        let now = self.now();
        let outcomes = (before.and_then(|item| item.outcome.as_ref()), after.outcome.as_ref());
        if let (Some(old), Some(new)) = outcomes
            && old.operation == new.operation
            && old.body != new.body
        {
            self.fail(format!("the outcome of an operation changes: {} becomes {}", old.body, new.body));
        }
        if let (Some(old), None) = outcomes
            && old.operation == after.operation
        {
            self.fail(format!("{} begins again what has been answered", after.by));
        }
        let mut judge = self.judge.borrow_mut();
        if let Some(new) =
            outcomes.1.filter(|new| outcomes.0.is_none_or(|old| old.operation != new.operation))
        {
            let fails = !read_body(&new.body).0;
            let heeded =
                judge.answers.get(&new.operation).into_iter().flatten().any(|answer| answer.0 && answer.2);
            // A table that was lost has no outcomes: a late leg begins again, and CloudFormation does not wait for it.
            let is_lost = self.ledger.borrow().lost_at.is_some();
            if fails && heeded && !is_lost {
                self.fail("CloudFormation has heeded SUCCESS of an operation, and the item says FAILED");
            }
        }
        let (was, is) = (before.and_then(holder), holder(after));
        if was == is {
            return;
        }
        if let Some(was) = was {
            judge.named_until.insert(was.to_owned(), now);
        }
        if let Some(is) = is {
            judge.named_until.insert(is.to_owned(), Ms::MAX);
            if before.is_none_or(|before| before.by != is) {
                let count = judge.next_claim();
                judge.stacks.insert(is.to_owned(), stack);
                judge.claims.insert(is.to_owned(), count);
                judge.named_since.insert(is.to_owned(), now);
            }
        }
    }

    /// The table has been lost: nobody is named.
    pub(crate) fn lose_table(&self) {
        let now = self.now();
        let mut ledger = self.ledger.borrow_mut();
        for item in Stack::ALL.into_iter().filter_map(|stack| ledger.of(stack)) {
            if let Some(was) = holder(&item) {
                self.judge.borrow_mut().named_until.insert(was.to_owned(), now);
            }
        }
        self.judge.borrow_mut().shared.lose_table(now);
        ledger.items.clear();
        ledger.lost_at = Some(now);
        drop(ledger);
        // The next operation does not know that others have just written, and may see AWS as it was before.
        self.disturb();
        self.count("the table is lost");
        self.say(|| "somebody restores the table, empty".to_owned());
    }

    /// An invocation looks.
    pub(crate) fn judge_look(&self, by: &str, forge: &ForgeId) {
        let mut judge = self.judge.borrow_mut();
        let Some(stack) = judge.stack_of(by) else { return };
        let looked = judge.looked[stack as usize].max(judge.claim_of(by));
        judge.looked[stack as usize] = looked;
        let may_be_old = judge.shared.note_look(self.now(), stack, by, forge);
        // An invocation that woke up and has lost the resource changes nothing any more. And without its item nobody knows
        // when another stack changed the forge.
        let until = judge.named_until.get(by).copied().unwrap_or_default();
        let is_named = until.saturating_add(V) >= self.now();
        if may_be_old && is_named && self.ledger.borrow().lost_at.is_none() {
            self.fail(format!("{by} looks at the forge before reads show the other stack's changes"));
        }
    }

    /// An invocation sends a call.
    pub(crate) fn judge_sending(&self, host: &Host, write: &Write) {
        let until = self.judge.borrow().named_until.get(&*host.by.borrow()).copied().unwrap_or_default();
        if until.saturating_add(V) < self.now() {
            let since = self.now().saturating_sub(until) / S;
            let action = write.call.action();
            self.fail(format!(
                "{} sends {action} on {}, not named since {since} s",
                host.by.borrow(),
                write.id
            ));
        }
        self.judge_sending_to_shared(host, write);
    }

    /// Whether a newer claim has looked before a call takes effect that an older claim has sent.
    fn lands_late(&self, stack: Stack, by: &str) -> bool {
        let judge = self.judge.borrow();
        // Nobody waits for a call of somebody whom the table named before it was lost.
        let lost_at = self.ledger.borrow().lost_at;
        let is_forgotten = judge.named_since.get(by).is_some_and(|since| Some(*since) <= lost_at);
        judge.claim_of(by) < judge.looked[stack as usize] && !is_forgotten
    }

    /// A call takes effect.
    pub(crate) fn judge_landing(&self, by: &str, verb: Option<Verb>, write: &Write) {
        let (id, call) = (&write.id, &write.call);
        let what = || format!("{by}: {} on {id}", call.action());
        let Some(stack) = self.judge.borrow().stack_of(by) else {
            return self.fail(format!("{} and has never claimed", what()));
        };
        if self.ledger.borrow().of(stack).is_some_and(|item| item.by != by) {
            self.count("superseded with a call under way");
        }
        if self.lands_late(stack, by) {
            self.fail(format!("{} lands after a newer claim's first look", what()));
        }
        if names_too_many(call) {
            self.fail(format!("{} names more than three environments, or none", what()));
        }
        self.judge_landing_on_shared(stack, by, verb, write);
        let Some(now) = self.truth(id) else { return };
        let owner = now.owner();
        // A released forge is everybody's who names it; a sweep names nothing.
        let is_adopted = now.is_released() && verb.is_some() && shared::is_of_it(id);
        if owner != Some(stack) && !is_adopted && !creates(call) {
            self.fail(format!("{} touches what belongs to somebody else", what()));
        }
        let (physical_id, is_ending) = owner.map_or((None, false), |owner| {
            let stack = self.view(owner).borrow();
            (stack.physical_id().map(str::to_owned), stack.is_ending)
        });
        let is_live =
            physical_id.is_some() && now.existing.tags.get(FORGE_TAG) == physical_id.as_ref() && !is_ending;
        if is_live && (disables(call) || deletes(call) && id.kind == Kind::JobQueue) {
            self.fail(format!("{} stops the queue of the live forge", what()));
        }
        if is_live && deletes(call) && matches!(id.kind, Kind::Efs | Kind::Fsx) {
            self.fail(format!("{} deletes data of the live forge", what()));
        }
        if verb != Some(Verb::Delete) && deletes(call) && now.jobs > 0 {
            if is_live || verb.is_none() {
                self.fail(format!("{} terminates the jobs of an environment", what()));
            }
            // After a skipped rollback the forge that CloudFormation does not show goes with the next operation.
            self.count("excused: a duty terminates jobs of a forge that does not count any more");
        }
        if empties(call)
            && let Some(user) = self.environment_using(id)
        {
            self.fail(format!("{} takes it from under {user}", what()));
        }
        if let Call::ComputeEnvironment(call) = call {
            if is_live && verb.is_some() && stops(call) && self.is_the_last_of_a_queue(id) {
                self.fail(format!("{} leaves a queue of the live forge without an environment", what()));
            }
            if verb == Some(Verb::Update) {
                self.note_retiring(stack, by, id, &now, call);
            }
            if verb.is_none() && matches!(**call, compute_environment::Call::Delete) {
                self.judge_sweep(stack, by, &now, &what());
            }
        }
    }

    /// A sweep deletes an environment: it has retired for long enough, and no rollback can need it.
    fn judge_sweep(&self, stack: Stack, by: &str, environment: &Version, what: &str) {
        let since = environment.existing.tags.get(RETIRING_TAG).and_then(|since| parse_rfc3339(since));
        let least = i64::try_from(self.deployment.retire_after.as_millis()).unwrap_or(i64::MAX);
        // Two hosts' clocks differ.
        if since.is_some_and(|since| self.wall().0 - since.0 < least - 2000) {
            self.fail(format!("{what} has not retired for long enough"));
        }
        let claimed = self.judge.borrow().named_since.get(by).copied().unwrap_or_default();
        // CloudFormation's view may be some seconds old.
        if self.view(stack).borrow().in_progress_since().is_some_and(|since| since + 4 * S < claimed) {
            self.fail(format!("{what} is swept while its stack is in progress"));
        }
    }

    /// An environment begins to retire, or serves again.
    fn note_retiring(
        &self,
        stack: Stack,
        by: &str,
        id: &ResourceId,
        now: &Version,
        call: &compute_environment::Call,
    ) {
        use compute_environment::Call;
        let item = self.ledger.borrow().of(stack).filter(|item| item.by == by);
        let Some(item) = item else { return };
        let mut judge = self.judge.borrow_mut();
        match call {
            Call::Tag { tags, .. }
                if tags.contains_key(RETIRING_TAG) && !now.existing.tags.contains_key(RETIRING_TAG) =>
            {
                judge.retired_by.insert(id.clone(), item.operation);
            }
            Call::Untag { keys, .. } if keys.iter().any(|key| key == RETIRING_TAG) => {
                judge.retired_by.remove(id);
            }
            Call::Delete if judge.retired_by.get(id) == Some(&item.operation) => {
                drop(judge);
                self.fail(format!(
                    "{by} deletes {id}, which it has itself replaced: its rollback would need it"
                ));
            }
            _ => {}
        }
    }

    fn environment_using(&self, id: &ResourceId) -> Option<ResourceId> {
        let account = self.account.borrow();
        let mut users = account.referrers(id);
        users.find_map(|user| match user.existing.id.kind {
            Kind::ComputeEnvironment => Some(user.existing.id.clone()),
            Kind::InstanceProfile => {
                account.referrers(&user.existing.id).map(|user| user.existing.id.clone()).next()
            }
            _ => None,
        })
    }
}

/// Where every forge is put.
pub(crate) fn network() -> Network {
    Network {
        vpc: "vpc-1".to_owned(),
        is_default_vpc: true,
        default_group: None,
        group_stacks: BTreeMap::new(),
        zones: vec![
            ("subnet-1".to_owned(), "euw1-az1".to_owned()),
            ("subnet-2".to_owned(), "euw1-az2".to_owned()),
        ],
        security_groups: vec!["sg-1".to_owned()],
        fsx_subnet: Some("subnet-1".to_owned()),
        lustre_mount_name: None,
        default_key: None,
        images: Vec::new(),
    }
}
