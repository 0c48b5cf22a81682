//! CloudFormation: its requests, and its reaction to each response.

use crate::executor::{Ms, S};
use crate::lambda::{Payload, deliver, sweep_once};
use crate::stack_view::{Asked, StackView, Waiting};
use crate::stacks::Stack;
use crate::template::Template;
use crate::world::World;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::rc::Rc;
use tower_forge_core::claim::Verb;
use tower_forge_core::event::{AccountScope, Envelope, Operation, Request, ResponseUrl, Source, rfc3339};
use tower_forge_core::port::Timestamp;

/// How an operation ended for CloudFormation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With this physical ID.
    Success(String),
    /// With this physical ID.
    Failed(String),
    /// CloudFormation did not wait for the end.
    Cancelled,
    /// CloudFormation's time was over.
    TimedOut,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    /// The verb.
    pub(crate) verb: Verb,
    /// The physical ID that comes with it.
    pub(crate) physical_id: Option<&'a str>,
    /// The template.
    pub(crate) template: Template,
    /// The template before.
    pub(crate) old: Option<Template>,
    /// CloudFormation's ID of the request.
    pub(crate) request_id: &'a str,
    /// After which time CloudFormation does not wait any more.
    pub(crate) cancel_after: Option<Ms>,
}

/// CloudFormation, as far as one stack is concerned.
#[derive(Clone)]
pub(crate) struct CloudFormation {
    /// The world.
    pub(crate) world: Rc<World>,
    /// The stack.
    pub(crate) stack: Stack,
    /// How long it waits for a response.
    pub(crate) timeout: Ms,
}

/// Actions that may be denied.
const DENIABLE: [&str; 12] = [
    "iam:CreateRole",
    "iam:AttachRolePolicy",
    "iam:AddRoleToInstanceProfile",
    "ec2:CreateLaunchTemplate",
    "batch:CreateJobQueue",
    "batch:UpdateJobQueue",
    "batch:TagResource",
    "iam:DeleteRole",
    "iam:RemoveRoleFromInstanceProfile",
    "batch:DeleteComputeEnvironment",
    "batch:DeleteJobQueue",
    "logs:DeleteLogGroup",
];

impl CloudFormation {
    /// Its side of the stack.
    pub(crate) fn view(&self) -> &RefCell<StackView> {
        self.world.view(self.stack)
    }

    /// From now on CloudFormation shows this of the stack.
    pub(crate) fn show(&self, status: &'static str, physical_id: Option<&str>, stack_status: &'static str) {
        self.world.show(self.stack, status, physical_id, stack_status);
    }

    /// A request ID that has not been used.
    pub(crate) fn request_id(&self) -> String {
        format!("request-{}", self.world.fresh())
    }

    /// The request, and by how much it was signed too early.
    fn request(&self, ask: &Ask<'_>) -> (Request, Ms) {
        let step = self.step_back(ask.verb);
        let wall = self.world.wall().0 - i64::try_from(step).unwrap_or_default();
        let time = rfc3339(Timestamp(wall)).replace(['-', ':'], "");
        let signature = self.world.fresh();
        let url = format!(
            "https://cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com/{}\
             ?X-Amz-Date={time}&X-Amz-Expires=7200&X-Amz-Signature={signature:016x}",
            ask.request_id
        );
        let raw = |template: &Template| -> Map<String, Value> { template.properties(self.timeout) };
        let source = Source { region: "eu-west-1".to_owned(), local: false };
        let request = Request {
            envelope: Envelope {
                response_url: ResponseUrl::parse(&url, &source).expect("it is a URL of AWS"),
                stack_id: self.stack.id().to_owned(),
                request_id: ask.request_id.to_owned(),
                logical_id: self.stack.logical_id().to_owned(),
                physical_id: ask.physical_id.map(str::to_owned),
            },
            operation: match ask.verb {
                Verb::Create => Operation::Create,
                Verb::Update => Operation::Update { old: raw(ask.old.as_ref().unwrap_or(&ask.template)) },
                Verb::Delete => Operation::Delete,
            },
            properties: raw(&ask.template),
            account: AccountScope::of(self.stack.id()).expect("it is an ARN"),
        };
        (request, step)
    }

    /// By how much CloudFormation's clock has been set back. The operation before must have claimed, and what
    /// CloudFormation shows must tell the two apart, or nobody could know which is the newer one; a clean-up it does not.
    fn step_back(&self, verb: Verb) -> Ms {
        let named = std::mem::take(&mut self.view().borrow_mut().set_back);
        if named > 0 {
            return named;
        }
        let stack = self.view().borrow();
        let Some(last) = stack.newest() else { return 0 };
        let last_id = last.request.envelope.response_url.digest();
        let has_claimed =
            self.world.ledger.borrow().of(self.stack).is_some_and(|item| item.operation == last_id);
        let is_told = has_claimed && verb != last.verb && (verb != Verb::Delete || stack.is_ending);
        if !is_told || last.is_early || !self.world.chance(50) {
            return 0;
        }
        self.world.count("CloudFormation's clock is set back");
        self.world.sim.rng.range(S, 8 * S)
    }

    /// Asks, and waits for the response.
    pub(crate) async fn ask(&self, ask: Ask<'_>) -> End {
        let world = &self.world;
        let (request, step) = self.request(&ask);
        let operation = request.envelope.response_url.digest();
        world.count("operations");
        world.say(|| {
            format!(
                "CloudFormation asks: {:?} {operation:.6} of {}, {:?}, {}",
                ask.verb,
                ask.physical_id.unwrap_or("nothing"),
                ask.template,
                ask.request_id
            )
        });
        let now = world.now();
        let is_excused = world.ledger.borrow().down.iter().any(|(_, to)| *to > now + 60 * S);
        self.view().borrow_mut().is_excused = is_excused;
        self.trouble();
        self.note_asked(&ask, &request, step);
        deliver(world, &Payload { request: Rc::new(request), continuation: None, timeout: self.timeout });
        let patience = ask.cancel_after.unwrap_or(self.timeout);
        let answer = || self.view().borrow().waiting.as_ref().and_then(|waiting| waiting.answer.clone());
        let answer = world.sim.until_or(now + patience, answer).await;
        self.view().borrow_mut().waiting = None;
        match answer {
            Some((true, physical_id)) => End::Success(physical_id),
            Some((false, physical_id)) => End::Failed(physical_id),
            None if ask.cancel_after.is_some() => {
                world.count("CloudFormation cancels");
                world.say(|| "CloudFormation cancels".to_owned());
                End::Cancelled
            }
            None => {
                world.count("CloudFormation's time is over");
                world.say(|| "CloudFormation's time is over".to_owned());
                if self.view().borrow().is_excused {
                    world.count("excused: never answered");
                } else {
                    world.fail(format!("{:?} {operation:.6} is never answered", ask.verb));
                }
                End::TimedOut
            }
        }
    }

    /// From now on CloudFormation waits for the response to a request, which was signed `step` too early.
    fn note_asked(&self, ask: &Ask<'_>, request: &Request, step: Ms) {
        let (world, operation) = (&self.world, request.envelope.response_url.digest());
        let signed = world.now() - step;
        let mut stack = self.view().borrow_mut();
        if stack.asked.values().any(|asked| asked.signed / S == signed / S) {
            world.count("two operations signed in one second");
        }
        let asked = Asked {
            stack: self.stack,
            request: request.clone(),
            verb: ask.verb,
            signed: signed / S * S,
            is_early: step > 0,
            number: stack.asked.len(),
        };
        stack.asked.insert(operation.clone(), asked);
        let request_id = ask.request_id.to_owned();
        stack.waiting = Some(Waiting { request_id, operation, answer: None });
    }

    /// The troubles of this operation.
    fn trouble(&self) {
        let world = &self.world;
        let rng = &world.sim.rng;
        let denied = world.chance(110).then(|| *rng.pick(&DENIABLE));
        if let Some(action) = denied {
            world.say(|| format!("denied: {action}"));
        }
        self.view().borrow_mut().denied = denied;
        if world.chance(20) {
            let from = world.now() + rng.range(0, 120 * S);
            let to = from + rng.log_range(5 * S, 1200 * S);
            world.ledger.borrow_mut().down.push((from, to));
            world.say(|| format!("the table is out of reach from {} to {} s", from / S - 100, to / S - 100));
            if to - from > 50 * S {
                for stack in Stack::ALL {
                    world.excuse(stack, "the table is away");
                }
            }
        }
    }

    /// Deletes the resource itself, until that has worked.
    pub(crate) async fn delete(&self, physical_id: &str, template: Template, stack_status: &'static str) {
        let world = &self.world;
        self.view().borrow_mut().is_ending = true;
        if template.named && !template.disposes && world.chance(400) {
            // A sweep that finds a forge while it is released, or adopted.
            world.after(world.sim.rng.range(10 * S, 200 * S), sweep_once);
        }
        for tries in 0..if template.named { 11 } else { 9 } {
            if tries >= 5 {
                world.calm_down();
            }
            self.show("DELETE_IN_PROGRESS", Some(physical_id), stack_status);
            let request_id = self.request_id();
            let ask = Ask {
                verb: Verb::Delete,
                physical_id: Some(physical_id),
                template,
                old: None,
                request_id: &request_id,
                cancel_after: None,
            };
            if let End::Success(_) = self.ask(ask).await {
                self.show("DELETE_COMPLETE", Some(physical_id), "DELETE_COMPLETE");
                return;
            }
            world.count("Delete fails, and is tried again");
            self.show("DELETE_FAILED", Some(physical_id), "DELETE_FAILED");
            self.pause().await;
            if tries >= 8 {
                // The other stack could not release the forge: its claim counts for two hours.
                world.sim.sleep(7300 * S).await;
            }
        }
        world.fail("no Delete succeeds");
    }

    /// Deletes the replaced forge; gives up after three tries.
    pub(crate) async fn clean_up(&self, physical_id: &str, template: Template) {
        let world = &self.world;
        world.count("clean-up after a replacement");
        let request_id = self.request_id();
        // Only here: an operation that CloudFormation never shows fails, and the next one does what a clean-up has left.
        let is_silent = world.chance(50);
        if is_silent {
            world.count("clean-up without a word of CloudFormation");
        }
        self.view().borrow_mut().is_silent = is_silent;
        self.try_to_clean_up(physical_id, template, &request_id).await;
        self.view().borrow_mut().is_silent = false;
    }

    async fn try_to_clean_up(&self, physical_id: &str, template: Template, request_id: &str) {
        let world = &self.world;
        for _ in 0..3 {
            world.sim.sleep(world.sim.rng.range(S, 4 * S)).await;
            let ask = Ask {
                verb: Verb::Delete,
                physical_id: Some(physical_id),
                template,
                old: None,
                request_id,
                cancel_after: None,
            };
            if let End::Success(_) = self.ask(ask).await {
                return;
            }
        }
        world.count("clean-up failed three times");
    }

    /// Until CloudFormation's or a person's next step.
    pub(crate) async fn pause(&self) {
        let rng = &self.world.sim.rng;
        let pause = match rng.range(0, 9) {
            0..=5 => rng.range(S, 8 * S),
            6..=8 => rng.log_range(S, 900 * S),
            _ => 7500 * S,
        };
        self.world.sim.sleep(pause).await;
    }

    /// Until CloudFormation reacts to an end.
    pub(crate) async fn reaction(&self, end: &End) {
        let rng = &self.world.sim.rng;
        let pause = match end {
            // The next event may be signed in the same second.
            End::Cancelled => rng.log_range(200, 6 * S),
            _ => rng.range(S, 5 * S),
        };
        self.world.sim.sleep(pause).await;
    }
}

impl World {
    /// From now on nothing goes wrong, and nobody else does anything.
    pub(crate) fn calm_down(&self) {
        self.calm.set(true);
        for stack in Stack::ALL {
            self.view(stack).borrow_mut().denied = None;
        }
        self.ledger.borrow_mut().down.clear();
        self.remove_foreign_queues();
    }
}
