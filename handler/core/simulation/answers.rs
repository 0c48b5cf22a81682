//! The invariants of responses, and of the state that an operation leaves.

use crate::executor::S;
use crate::judge::{network, read_body};
use crate::stack_view::Asked;
use crate::world::World;
use tower_forge_core::claim::Verb;
use tower_forge_core::intent::Intent;
use tower_forge_core::inventory::Inventory;
use tower_forge_core::name::FORGE_TAG;
use tower_forge_core::plan::{Action, plan};
use tower_forge_core::resource::{Kind, Phase, ResourceId};

impl World {
    /// A response has reached CloudFormation's bucket.
    pub(crate) fn judge_response(&self, operation: &str, body: &str) {
        let (succeeds, physical_id) = read_body(body);
        let Some(asked) = self.asked(operation) else { return };
        let is_heeded = self.is_heeded(&asked, operation, succeeds, &physical_id);
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
        if asked.verb == Verb::Create && !succeeds && body.contains(asked.stack.other().id()) {
            self.count("a Create is refused because another stack has the forge");
        }
        if is_heeded && body.contains("can only grow") && self.view(asked.stack).borrow().is_rolling_back() {
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
        self.wake_driver(asked.stack);
        if succeeds {
            self.judge_success(&asked, operation, &physical_id);
        } else {
            self.count("FAILED heeded");
        }
    }

    fn is_heeded(&self, asked: &Asked, operation: &str, succeeds: bool, physical_id: &str) -> bool {
        let request_id = &asked.request.envelope.request_id;
        let mut stack = self.view(asked.stack).borrow_mut();
        let waiting = stack.waiting.as_mut();
        let waiting = waiting.filter(|waiting| waiting.request_id == *request_id && waiting.answer.is_none());
        let Some(waiting) = waiting else { return false };
        if waiting.operation != operation {
            self.count("an older operation's answer is heeded: its RequestId is used again");
        }
        waiting.answer = Some((succeeds, physical_id.to_owned()));
        true
    }

    fn judge_success(&self, asked: &Asked, operation: &str, physical_id: &str) {
        let item = self.ledger.borrow().of(asked.stack);
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
        let left = self.account.borrow().of(asked.stack);
        let own = asked.request.envelope.physical_id.as_deref().unwrap_or_default();
        let is_own = |id: &ResourceId| {
            self.truth(id)
                .is_some_and(|version| version.existing.tags.get(FORGE_TAG).is_some_and(|forge| forge == own))
        };
        if self.view(asked.stack).borrow().is_ending && !left.is_empty() {
            self.fail(format!("the Delete of the resource answered SUCCESS, but {left:?} exist"));
        } else if left.iter().any(is_own) {
            self.fail(format!("a Delete answered SUCCESS, but of {own} exist {left:?}"));
        }
    }

    /// The intent of an operation.
    pub(crate) fn intent(&self, asked: &Asked) -> Intent {
        Intent::read(&asked.request, &self.deployment, asked.signed_at())
    }

    /// The difference between the world and the desired state of an operation: the core's own plan must be empty.
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
        let serving = desired.iter().filter(|desired| !desired.is_draining);
        let mut serving = serving.filter_map(|desired| inventory.get(&desired.id));
        // Seen here too, because a fault of the plan would hide it.
        if let Some(broken) = serving.find(|existing| matches!(existing.phase, Phase::Broken(_))) {
            return Some(format!("{} is {:?}", broken.id, broken.phase));
        }
        let plan = plan(&desired, &inventory, &cx.owner);
        // Deletions may still be in progress: a look that lags shows the old state, which is as good.
        let is_desired = |id: &ResourceId| desired.iter().any(|desired| desired.id == *id);
        let counts = |action: &Action| !matches!(action, Action::Delete | Action::Disable);
        let stands = plan.conflicts.is_empty()
            && plan.broken.is_empty()
            && !plan.settling.iter().any(|(id, _)| is_desired(id))
            && !plan.steps.iter().any(|step| counts(&step.action));
        (!stands).then(|| plan.to_string())
    }
}
