//! The port, as one invocation sees it.

use crate::account::refusal;
use crate::executor::{Ms, S, TaskId};
use crate::judge::network;
use crate::lambda::{Payload, deliver, invoke_again};
use crate::world::{T, V, World};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use tower_forge_core::claim::{Permit, Verb};
use tower_forge_core::error::{Error, Result, ServiceError};
use tower_forge_core::event::ResponseUrl;
use tower_forge_core::leg::Continuation;
use tower_forge_core::name::{FORGE_TAG, LOGICAL_TAG, Names, RETIRING_TAG, STACK_TAG};
use tower_forge_core::network::Network;
use tower_forge_core::port::{Clock, Cloud, Now, Responder, Shown, Sweepable, Table, Timestamp, Undelivered};
use tower_forge_core::properties::Properties;
use tower_forge_core::registry::{Call, Observed, Write};
use tower_forge_core::resource::{Kind, Listing, MutatingCall as _};
use tower_forge_core::table::{Attributes, TableError, Update, Updated};

/// The world as one invocation sees it.
pub(crate) struct Host {
    /// The world.
    pub(crate) world: Rc<World>,
    /// The name under which it has tried to claim.
    pub(crate) by: RefCell<String>,
    /// The verb of its operation; `None` for a sweep or a dead letter.
    pub(crate) verb: Option<Verb>,
    /// Its payload, so that it can invoke the next leg.
    payload: Option<Payload>,
    /// How far its wall clock is off, in milliseconds.
    skew: i64,
    task: Cell<TaskId>,
    gate_sent: Cell<Ms>,
}

impl Host {
    /// A host whose clock is somewhat off.
    pub(crate) fn new(world: &Rc<World>, verb: Option<Verb>, payload: Option<Payload>) -> Self {
        let drawn = if world.mix.is_rough { world.sim.rng.range(0, 2000) } else { 0 };
        let drawn = i64::try_from(drawn).unwrap_or_default();
        let skew = if drawn > 1000 { 1000 - drawn } else { drawn };
        let world = Rc::clone(world);
        Self {
            world,
            by: RefCell::default(),
            verb,
            payload,
            skew,
            task: Cell::default(),
            gate_sent: Cell::default(),
        }
    }

    /// The invocation is this task from now on.
    pub(crate) fn enter(&self) {
        self.task.set(self.world.sim.current());
    }

    /// Lambda delivers the event once more, at this very moment.
    pub(crate) fn deliver_again(&self) {
        if let Some(payload) = &self.payload {
            self.world.count("delivered twice, the second time at the end");
            invoke_again(&self.world, payload);
        }
    }

    fn mono(&self) -> Ms {
        let frozen = if self.world.mix.stands_still { self.world.sim.frozen(self.task.get()) } else { 0 };
        self.world.now().saturating_sub(frozen)
    }

    fn fails(&self, action: &'static str, name: &str) -> Result<()> {
        let world = &self.world;
        let source = if world.chance(world.mix.refusals) {
            world.count("throttled");
            refusal("TooManyRequestsException", "Too Many Requests")
        } else if world.chance(world.mix.refusals / 4) {
            world.count("the service fails");
            refusal("ServerException", "Service Unavailable")
        } else {
            return Ok(());
        };
        Err(Error::Call { action, name: name.to_owned(), source })
    }
}

impl Clock for Host {
    fn now(&self) -> Now {
        let wall = Timestamp(self.world.wall().0 + self.skew);
        Now { mono: Duration::from_millis(self.mono()), wall, scale: 1.0 }
    }

    async fn sleep(&self, pause: Duration) {
        let pause = u64::try_from(pause.as_nanos().div_ceil(1_000_000)).unwrap_or(Ms::MAX);
        let until = self.mono() + pause;
        // Timers stand still with their clock.
        while self.mono() < until {
            self.world.sim.sleep(until - self.mono()).await;
        }
    }

    fn random(&self) -> u64 {
        self.world.fresh()
    }
}

impl Table for Host {
    async fn read(&self, key: &str) -> Result<Option<Attributes>, TableError> {
        self.gate_sent.set(self.world.now());
        self.world.read_item(key).await
    }

    async fn update(&self, update: &Update) -> Result<Updated, TableError> {
        self.world.update_item(self, update).await
    }
}

impl Responder for Host {
    async fn respond(&self, url: &ResponseUrl, body: &str) -> Result<(), Undelivered> {
        let operation = url.digest();
        loop {
            let signed = self.world.asked(&operation).map_or(0, |asked| asked.signed);
            if self.world.now() > signed + 7200 * S {
                self.world.count("a response comes after its URL has expired");
                return Err(Undelivered::Refused(403));
            }
            let (operation, body) = (operation.clone(), body.to_owned());
            let put = self.world.call(T, 10 * S, move |world| world.judge_response(&operation, &body)).await;
            if put.is_some() {
                return Ok(());
            }
            self.world.count("the PUT of a response is repeated");
        }
    }
}

impl Cloud for Host {
    async fn list(&self, kind: Kind, names: &Names) -> Result<Listing<Observed>> {
        self.world.judge_look(&self.by.borrow(), names.id());
        let slow = self.world.chance(self.world.mix.network);
        self.world.sim.sleep(if slow { self.world.sim.rng.log_range(100, 8 * S) } else { 100 }).await;
        self.fails("Describe", &names.family())?;
        Ok(self.world.look(kind, names))
    }

    async fn write(&self, _permit: &Permit, write: &Write) -> Result<()> {
        let world = &self.world;
        world.judge_sending(self, write);
        let (action, name) = (write.call.action(), write.id.name.clone());
        let sent = world.now();
        self.fails(action, &name)?;
        let (by, verb, call) = (self.by.borrow().clone(), self.verb, write.clone());
        let landed = world.call(T, T, move |world| world.land(&by, verb, sent, &call)).await;
        if world.now() > self.gate_sent.get() + V {
            world.count("a call outlives its permit");
        }
        let source = match landed {
            Some(Ok(())) => return Ok(()),
            Some(Err(source)) => source,
            None => {
                world.count("a call's answer is lost");
                refusal("", "operation timed out")
            }
        };
        Err(Error::Call { action, name, source })
    }

    async fn network(&self, _properties: &Properties, _names: &Names) -> Result<Network> {
        self.world.sim.sleep(200).await;
        Ok(network())
    }

    async fn shown(&self, stack_id: &str, logical_id: &str) -> Shown {
        self.world.sim.sleep(100).await;
        self.world.shown_now(stack_id, logical_id)
    }

    async fn stack_status(&self, stack_id: &str) -> Option<String> {
        self.world.sim.sleep(100).await;
        self.world.stack_status_now(stack_id)
    }

    async fn sweepable(&self, prefix: &str) -> Result<Vec<Sweepable>> {
        self.world.sim.sleep(300).await;
        self.fails("Describe", prefix)?;
        let account = self.world.account.borrow();
        let owners: BTreeSet<Sweepable> = account
            .all()
            .filter(|(id, _)| id.name.starts_with(prefix))
            .filter(|(id, version)| {
                id.kind == Kind::LaunchTemplate || version.existing.tags.contains_key(RETIRING_TAG)
            })
            .filter_map(|(_, version)| {
                let tag = |key: &str| version.existing.tags.get(key).cloned();
                Some(Sweepable {
                    forge_id: tag(FORGE_TAG)?,
                    stack_id: tag(STACK_TAG)?,
                    logical_id: tag(LOGICAL_TAG)?,
                })
            })
            .collect();
        Ok(owners.into_iter().collect())
    }

    async fn continue_later(&self, continuation: &Continuation) -> Result<()> {
        let world = &self.world;
        world.count("leg: the work goes on in another invocation");
        let Some(payload) = self.payload.clone() else { return Ok(()) };
        let payload = Payload { continuation: Some(continuation.clone()), ..payload };
        let invoked = world.call(T, 10 * S, move |world| deliver(world, &payload)).await;
        let lost = || Error::Call {
            action: "lambda:InvokeFunction",
            name: "itself".to_owned(),
            source: refusal("", "operation timed out"),
        };
        invoked.ok_or_else(lost)
    }
}

impl World {
    /// A call takes effect.
    pub(crate) fn land(
        self: &Rc<Self>,
        by: &str,
        verb: Option<Verb>,
        sent: Ms,
        write: &Write,
    ) -> Result<(), ServiceError> {
        self.judge_landing(by, verb, write);
        self.count_adoption(write);
        if self.now() > sent + V {
            self.count("a call lands late");
        }
        let landed = if self.denied(by) == Some(write.call.action()) {
            self.count("denied");
            Err(refusal("AccessDenied", "User is not authorized to perform this action"))
        } else {
            self.answer(write)
        };
        self.count(if landed.is_ok() { "call taken" } else { "call refused" });
        self.say(|| {
            let action = write.call.action();
            let result = landed.as_ref().err().map_or("taken".to_owned(), ToString::to_string);
            format!("    {by:.12}: {action} {} · {result}", write.id.name)
        });
        landed
    }

    /// The action that is denied to an invocation now.
    fn denied(&self, by: &str) -> Option<&'static str> {
        let stack = self.judge.borrow().stack_of(by)?;
        self.view(stack).borrow().denied
    }

    /// The effect of a call, and AWS's reply.
    pub(crate) fn answer(self: &Rc<Self>, write: &Write) -> Result<(), ServiceError> {
        match &write.call {
            Call::Role(call) => self.land_on_role(&write.id, call),
            Call::InstanceProfile(call) => self.land_on_profile(&write.id, call),
            Call::LogGroup(call) => self.land_on_log_group(&write.id, call),
            Call::LaunchTemplate(call) => self.land_on_template(&write.id, call),
            Call::ComputeEnvironment(call) => self.land_on_environment(&write.id, call),
            Call::JobQueue(call) => self.land_on_queue(&write.id, call),
            Call::Efs(call) => self.land_on_efs(&write.id, call),
            Call::Fsx(call) => self.land_on_fsx(&write.id, call),
        }
    }
}
