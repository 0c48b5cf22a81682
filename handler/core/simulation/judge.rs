//! The invariants that hold at every step.

use crate::account::Version;
use crate::executor::{Ms, S};
use crate::host::Host;
use crate::stack_view::Asked;
use crate::world::{V, World};
use std::collections::{BTreeMap, HashMap};
use tower_forge_core::claim::{Item, Verb};
use tower_forge_core::event::parse_rfc3339;
use tower_forge_core::intent::Intent;
use tower_forge_core::inventory::Inventory;
use tower_forge_core::name::{FORGE_TAG, RETIRING_TAG};
use tower_forge_core::network::Network;
use tower_forge_core::plan::{Action, plan};
use tower_forge_core::registry::{Call, Write};
use tower_forge_core::resource::{Kind, MutatingCall as _, Phase, ResourceId};
use tower_forge_core::resources::{
    compute_environment, efs, fsx, instance_profile, job_queue, launch_template, role,
};

/// What the invariants remember.
#[derive(Default)]
pub(crate) struct Judge {
    /// Until when an invocation was named.
    named_until: HashMap<String, Ms>,
    /// The order in which invocations were named.
    claims: HashMap<String, u64>,
    count: u64,
    /// When each was named.
    named_since: HashMap<String, Ms>,
    /// Which operation has replaced an environment that retires.
    retired_by: HashMap<ResourceId, String>,
    /// The newest claim whose holder has looked.
    looked: u64,
    /// Answers by operation: SUCCESS or not, physical ID, heeded or not.
    answers: BTreeMap<String, Vec<(bool, String, bool)>>,
}

/// Reads status and physical ID from a body.
fn read_body(body: &str) -> (bool, String) {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    (body["Status"] == "SUCCESS", body["PhysicalResourceId"].as_str().unwrap_or_default().to_owned())
}

fn holder(item: &Item) -> Option<&str> {
    (item.outcome.is_none() || item.by.starts_with("sweep/")).then_some(item.by.as_str())
}

fn deletes(call: &Call) -> bool {
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

/// Whether a call takes from a resource what those need that use it.
fn empties(call: &Call) -> bool {
    let strips = match call {
        Call::Role(call) => matches!(**call, role::Call::Detach(_)),
        Call::InstanceProfile(call) => matches!(**call, instance_profile::Call::RemoveRole(_)),
        _ => false,
    };
    strips
        || deletes(call) && matches!(call, Call::Role(_) | Call::InstanceProfile(_) | Call::LaunchTemplate(_))
}

fn disables(call: &Call) -> bool {
    matches!(call, Call::JobQueue(call) if matches!(&**call,
        job_queue::Call::Update { update, .. } if update.enabled == Some(false)))
}

/// Whether an environment takes no more jobs.
fn stops(call: &compute_environment::Call) -> bool {
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

fn creates(call: &Call) -> bool {
    call.action().contains(":Create") && !call.action().ends_with("Tags")
}

impl World {
    /// The item has changed.
    pub(crate) fn judge_item(&self, before: Option<&Item>, after: &Item) {
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
            if fails && heeded {
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
                judge.count += 1;
                let count = judge.count;
                judge.claims.insert(is.to_owned(), count);
                judge.named_since.insert(is.to_owned(), now);
            }
        }
    }

    /// The table has been lost: nobody is named.
    pub(crate) fn lose_table(&self) {
        let now = self.now();
        let mut ledger = self.ledger.borrow_mut();
        for item in ledger.items.values().flatten().map(Item::read) {
            if let Some(was) = holder(&item) {
                self.judge.borrow_mut().named_until.insert(was.to_owned(), now);
            }
        }
        ledger.items.clear();
        ledger.lost_at = Some(now);
        drop(ledger);
        self.count("the table is lost");
        self.say(|| "somebody restores the table, empty".to_owned());
    }

    /// An invocation looks.
    pub(crate) fn judge_look(&self, by: &str) {
        let mut judge = self.judge.borrow_mut();
        judge.looked = judge.looked.max(judge.claims.get(by).copied().unwrap_or_default());
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
    }

    /// A call takes effect.
    pub(crate) fn judge_landing(&self, by: &str, verb: Option<Verb>, write: &Write) {
        let (id, call) = (&write.id, &write.call);
        let what = || format!("{by}: {} on {id}", call.action());
        if self.ledger.borrow().only().is_some_and(|item| item.by != by) {
            self.count("superseded with a call under way");
        }
        let is_stale = {
            let judge = self.judge.borrow();
            judge.claims.get(by).copied().unwrap_or_default() < judge.looked
        };
        if is_stale {
            self.fail(format!("{} lands after a newer claim's first look", what()));
        }
        if names_too_many(call) {
            self.fail(format!("{} names more than three environments, or none", what()));
        }
        let Some(now) = self.truth(id) else { return };
        if !now.is_ours() && !creates(call) {
            self.fail(format!("{} touches what belongs to somebody else", what()));
        }
        let (physical_id, is_ending) = {
            let stack = self.stack.borrow();
            (stack.physical_id().map(str::to_owned), stack.is_ending)
        };
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
                self.note_retiring(by, id, &now, call);
            }
            if verb.is_none() && matches!(**call, compute_environment::Call::Delete) {
                self.judge_sweep(by, &now, &what());
            }
        }
    }

    /// A sweep deletes an environment: it has retired for long enough, and no rollback can need it.
    fn judge_sweep(&self, by: &str, environment: &Version, what: &str) {
        let since = environment.existing.tags.get(RETIRING_TAG).and_then(|since| parse_rfc3339(since));
        let least = i64::try_from(self.deployment.retire_after.as_millis()).unwrap_or(i64::MAX);
        // Two hosts' clocks differ.
        if since.is_some_and(|since| self.wall().0 - since.0 < least - 2000) {
            self.fail(format!("{what} has not retired for long enough"));
        }
        let claimed = self.judge.borrow().named_since.get(by).copied().unwrap_or_default();
        // What CloudFormation shows may be some seconds old.
        if self.stack.borrow().in_progress_since().is_some_and(|since| since + 4 * S < claimed) {
            self.fail(format!("{what} is swept while its stack is in progress"));
        }
    }

    /// An environment begins to retire, or serves again.
    fn note_retiring(&self, by: &str, id: &ResourceId, now: &Version, call: &compute_environment::Call) {
        use compute_environment::Call;
        let item = self.ledger.borrow().only().filter(|item| item.by == by);
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

    /// A response has reached CloudFormation's bucket.
    pub(crate) fn judge_response(&self, operation: &str, body: &str) {
        let (succeeds, physical_id) = read_body(body);
        let Some(asked) = self.stack.borrow().asked.get(operation).cloned() else { return };
        let request_id = asked.request.envelope.request_id.clone();
        let is_heeded = self.is_heeded(operation, &request_id, succeeds, &physical_id);
        self.say(|| {
            let status = if succeeds { "SUCCESS" } else { "FAILED" };
            let heeded = if is_heeded { "heeded" } else { "nobody waits" };
            let reason: String =
                serde_json::from_str::<serde_json::Value>(body).unwrap_or_default()["Reason"]
                    .as_str()
                    .unwrap_or_default()
                    .chars()
                    .take(300)
                    .collect();
            format!(
                "response of {operation:.6} ({:?}): {status} {physical_id}, {heeded} {reason}",
                asked.verb
            )
        });
        if body.contains("[InternalFailure]") {
            self.fail(format!("the engine panics: {body}"));
        }
        if is_heeded && body.contains("can only grow") && self.stack.borrow().is_rolling_back() {
            self.fail("a rollback is refused because a file system has grown");
        }
        if body.contains("signed in the same second takes precedence") {
            self.count("tie lost");
        }
        let mut judge = self.judge.borrow_mut();
        let answers = judge.answers.entry(operation.to_owned()).or_default();
        if answers.iter().any(|answer| (answer.0, &answer.1) != (succeeds, &physical_id)) {
            self.count("answers of one operation differ");
            let heeded = answers.iter().filter(|answer| answer.2).map(|answer| answer.0).next_back();
            match heeded.filter(|_| is_heeded) {
                None => {}
                // A FAILED that could not be recorded, and CloudFormation's next try bears the same RequestId.
                Some(false) if succeeds => {
                    self.count("excused: SUCCESS reaches the next try after an unrecorded FAILED");
                }
                Some(_) => self.fail("two answers of one operation are heeded"),
            }
        }
        answers.push((succeeds, physical_id.clone(), is_heeded));
        drop(judge);
        if !is_heeded {
            self.count("a response that nobody waits for");
            return;
        }
        self.sim.wake(self.driver.get());
        if succeeds {
            self.judge_success(&asked, operation, &physical_id);
        } else {
            self.count("FAILED heeded");
        }
    }

    fn is_heeded(&self, operation: &str, request_id: &str, succeeds: bool, physical_id: &str) -> bool {
        let mut stack = self.stack.borrow_mut();
        let waiting = stack.waiting.as_mut();
        let waiting = waiting.filter(|waiting| waiting.request_id == request_id && waiting.answer.is_none());
        let Some(waiting) = waiting else { return false };
        if waiting.operation != operation {
            self.count("an older operation's answer is heeded: its RequestId is used again");
        }
        waiting.answer = Some((succeeds, physical_id.to_owned()));
        true
    }

    fn judge_success(&self, asked: &Asked, operation: &str, physical_id: &str) {
        let item = self.ledger.borrow().only();
        let outcome = item.and_then(|item| item.outcome).filter(|outcome| outcome.operation == operation);
        if outcome.is_some_and(|outcome| !read_body(&outcome.body).0) {
            self.fail("SUCCESS is heeded, and the item says FAILED");
        }
        self.count("SUCCESS heeded");
        let disturbed = self.account.borrow().disturbed;
        if disturbed > 0 && disturbed + 60 * S > asked.signed {
            return self.count("answers not compared: somebody has just changed something");
        }
        match asked.verb {
            Verb::Delete => self.judge_gone(asked),
            Verb::Create | Verb::Update => {
                let intent = self.intent(asked);
                if let Some(left) = self.differs(&intent) {
                    self.fail(format!("{:?} answered SUCCESS, but {left}", asked.verb));
                }
                if intent.forge.as_str() != physical_id {
                    self.fail(format!("{:?} answered SUCCESS with another ID than its forge's", asked.verb));
                }
            }
        }
    }

    fn judge_gone(&self, asked: &Asked) {
        if self.ledger.borrow().lost_at.is_some() {
            return;
        }
        let left = self.account.borrow().ours();
        let own = asked.request.envelope.physical_id.as_deref().unwrap_or_default();
        let is_own = |id: &ResourceId| {
            self.truth(id)
                .is_some_and(|version| version.existing.tags.get(FORGE_TAG).is_some_and(|forge| forge == own))
        };
        if self.stack.borrow().is_ending && !left.is_empty() {
            self.fail(format!("the Delete of the resource answered SUCCESS, but {left:?} exist"));
        } else if left.iter().any(is_own) {
            self.fail(format!("a Delete answered SUCCESS, but of {own} exist {left:?}"));
        }
    }

    /// What an operation asks for.
    pub(crate) fn intent(&self, asked: &Asked) -> Intent {
        Intent::read(&asked.request, &self.deployment, asked.signed_at())
    }

    /// What sets the world apart from what an operation wanted: core's own plan must be empty.
    pub(crate) fn differs(&self, intent: &Intent) -> Option<String> {
        let cx = intent.context(&intent.forge);
        let mut inventory = Inventory::default();
        for kind in Kind::ALL {
            let mut listing = self.look_exactly(*kind, &cx.names);
            // A change that was sent twice, because reads lag, changes nothing the second time.
            for found in &mut listing.found {
                if matches!(&found.phase, Phase::Settling(status) if status == "UPDATING") {
                    found.phase = Phase::Settled;
                }
            }
            inventory.replace(*kind, listing);
        }
        // A file system that has grown stays so in a rollback.
        let decide = |is_rollback| intent.decide(&cx, &Ok(network()), &inventory, is_rollback);
        let desired = match decide(false).or_else(|_| decide(true)) {
            Ok(desired) => desired,
            Err(err) => return Some(err.to_string()),
        };
        let plan = plan(&desired, &inventory, &cx.owner, &|_| true);
        // What goes may still be going: a look that lags shows it as it was, which is as good.
        let is_desired = |id: &ResourceId| desired.iter().any(|desired| desired.id == *id);
        let counts = |action: &Action| !matches!(action, Action::Delete | Action::Disable);
        let stands = plan.conflicts.is_empty()
            && plan.broken.is_empty()
            && !plan.settling.iter().any(|(id, _)| is_desired(id))
            && !plan.steps.iter().any(|step| counts(&step.action));
        (!stands).then(|| plan.to_string())
    }
}

/// Where every forge is put.
pub(crate) fn network() -> Network {
    Network {
        vpc: "vpc-1".to_owned(),
        zones: vec![
            ("subnet-1".to_owned(), "euw1-az1".to_owned()),
            ("subnet-2".to_owned(), "euw1-az2".to_owned()),
        ],
        security_groups: vec!["sg-1".to_owned()],
        lustre_mount_name: None,
    }
}
