//! Lambda: delivers late, twice, again after a crash, and at last to the dead letter.

use crate::executor::{Fate, Ms, S};
use crate::host::Host;
use crate::stacks::Stack;
use crate::world::{Delivery, World};
use std::rc::Rc;
use std::time::Duration;
use tower_forge_core::claim::Verb;
use tower_forge_core::dead_letter::{self, Died};
use tower_forge_core::event::{Operation, Request};
use tower_forge_core::leg::Continuation;
use tower_forge_core::operation::{self, Ended, Lambda};
use tower_forge_core::sweep;

/// The payload of an invocation.
#[derive(Clone)]
pub(crate) struct Payload {
    /// The request.
    pub(crate) request: Rc<Request>,
    /// The continuation from the previous leg.
    pub(crate) continuation: Option<Continuation>,
    /// How long CloudFormation waits.
    pub(crate) timeout: Ms,
}

/// One event of Lambda's, with its tries.
#[derive(Clone)]
struct Event {
    payload: Payload,
    stack: Stack,
    id: String,
    tries: u32,
    /// Every invocation of it dies at once.
    is_doomed: bool,
    /// The fate of its next invocation, unless chance decides.
    planned: Option<Fate>,
}

fn verb(request: &Request) -> Verb {
    match request.operation {
        Operation::Create => Verb::Create,
        Operation::Update { .. } => Verb::Update,
        Operation::Delete => Verb::Delete,
    }
}

fn stack_of(payload: &Payload) -> Stack {
    let envelope = &payload.request.envelope;
    Stack::of(&envelope.stack_id, &envelope.logical_id).expect("a stack of the life")
}

/// The fate of an event, by chance.
fn by_chance(world: &World) -> Delivery {
    let rng = &world.sim.rng;
    let late = || match rng.range(0, 99) {
        _ if !world.mix.is_rough || world.calm.get() => 50,
        0..=86 => rng.range(10, 500),
        87..=95 => rng.range(S, 20 * S),
        96..=98 => rng.range(20 * S, 600 * S),
        _ => rng.range(600 * S, 3600 * S),
    };
    let again = world.chance(60).then(|| match rng.range(0, 3) {
        0 => late(),
        // While an update of the table may still land.
        1 => rng.range(2 * S, 16 * S),
        _ => rng.log_range(100, 3600 * S),
    });
    Delivery { after: late(), again, is_doomed: world.chance(15), fate: Fate::default() }
}

/// Takes an event, and delivers it sooner or later, once or twice.
pub(crate) fn deliver(world: &Rc<World>, payload: &Payload) {
    let planned = world.planned.borrow_mut().pop_front();
    let delivery = planned.unwrap_or_else(|| by_chance(world));
    let stack = stack_of(payload);
    if delivery.after > 20 * S {
        world.count("delivered late");
    }
    if delivery.after > payload.timeout / 12 {
        world.excuse(stack, "delivered too late");
    }
    let event = Event {
        payload: payload.clone(),
        stack,
        id: format!("req{}", world.fresh()),
        tries: 0,
        is_doomed: delivery.is_doomed,
        planned: planned.map(|planned| planned.fate),
    };
    if let Some(after) = delivery.again {
        world.count("delivered twice");
        let (world, event) = (Rc::clone(world), Event { is_doomed: false, planned: None, ..event.clone() });
        let at = world.now() + after;
        world.clone().sim.at(at, move || invoke(&world, event));
    }
    let (world, at) = (Rc::clone(world), world.now() + delivery.after);
    world.clone().sim.at(at, move || invoke(&world, event));
}

/// Delivers an event once more, nearly at once.
pub(crate) fn invoke_again(world: &Rc<World>, payload: &Payload) {
    let event = Event {
        payload: payload.clone(),
        stack: stack_of(payload),
        id: format!("req{}", world.fresh()),
        tries: 0,
        is_doomed: false,
        planned: None,
    };
    let world = Rc::clone(world);
    world.clone().sim.at(world.now() + world.sim.rng.range(0, 200), move || invoke(&world, event));
}

fn fate(world: &World, is_doomed: bool) -> Fate {
    let rng = &world.sim.rng;
    let mut fate = Fate::default();
    if is_doomed {
        // E.g. its initialisation fails.
        fate.kill_at = rng.range(1, 3);
        return fate;
    }
    if world.chance(world.mix.crashes) {
        fate.kill_at = rng.log_range(1, 250);
    }
    if world.chance(world.mix.crashes * 2 / 3) {
        (fate.freeze_at, fate.freeze_for) = (rng.log_range(1, 250), rng.log_range(S, 600 * S));
        world.count("frozen");
    }
    fate
}

fn invoke(world: &Rc<World>, mut event: Event) {
    let fate = event.planned.take().unwrap_or_else(|| fate(world, event.is_doomed));
    let payload = event.payload.clone();
    // The last minute is for calls in progress and for the response. A clock that stood still does not know that half of it
    // has gone.
    if payload.timeout <= 600 * S && fate.freeze_for > 30 * S {
        world.excuse(event.stack, "a short ServiceTimeout and a freeze");
    }
    world.say(|| {
        let leg = payload.continuation.as_ref().map_or(1, |leg| leg.leg);
        let doom = if fate.kill_at > 0 { format!(", dies at poll {}", fate.kill_at) } else { String::new() };
        let ice = if fate.freeze_at > 0 {
            format!(", frozen at poll {} for {} s", fate.freeze_at, fate.freeze_for / S)
        } else {
            String::new()
        };
        format!("  {} begins: {:?}, leg {leg}{doom}{ice}", event.id, verb(&payload.request))
    });
    let host = Host::new(world, Some(verb(&payload.request)), Some(payload.clone()));
    let lambda = Lambda {
        request_id: event.id.clone(),
        time_left: Some(Duration::from_millis(world.mix.time_limit)),
        can_continue: true,
    };
    let work = async move {
        host.enter();
        let ended = operation::carry_out(
            &host,
            &host.world.deployment,
            &payload.request,
            payload.continuation.as_ref(),
            &lambda,
        )
        .await;
        host.world.say(|| {
            let how = match &ended {
                Ok(Ended::Responded(_)) => "it has responded".to_owned(),
                other => format!("{other:?}"),
            };
            format!("  {} ends: {how}", lambda.request_id)
        });
        match &ended {
            Ok(Ended::Silent(_)) if !host.by.borrow().is_empty() => host.world.count("gate superseded"),
            Ok(Ended::Silent(_)) => host.world.count("silent without a claim"),
            _ => {}
        }
        ended.is_ok()
    };
    let (again, after_all) = (Rc::clone(world), event.clone());
    let task = world.sim.spawn(fate, Box::pin(work), move |well| {
        if !well {
            crashed(&again, after_all);
        }
    });
    let killer = Rc::clone(world);
    world.sim.at(world.now() + world.mix.time_limit, move || {
        if killer.sim.kill(task) {
            killer.count("killed at its time limit");
        }
    });
}

fn crashed(world: &Rc<World>, event: Event) {
    world.say(|| format!("  {} dies", event.id));
    let world = Rc::clone(world);
    let rng = &world.sim.rng;
    if event.tries < 2 {
        world.count("crash: Lambda tries again");
        if event.payload.timeout <= 600 * S {
            world.excuse(event.stack, "a short ServiceTimeout and a crash");
        }
        let at = world.now() + rng.range(60 * S, 120 * S);
        let next = Event { tries: event.tries + 1, ..event };
        world.clone().sim.at(at, move || invoke(&world, next));
    } else {
        let at = world.now() + rng.range(S, 30 * S);
        world.clone().sim.at(at, move || last_words(&world, event, 0));
    }
}

fn last_words(world: &Rc<World>, event: Event, tries: u32) {
    world.count("dead letter begins");
    world.say(|| format!("  dead letter of {} begins", event.id));
    let fate = Fate { freeze_at: 0, ..fate(world, false) };
    let host = Host::new(world, None, None);
    let Event { payload, id, .. } = event.clone();
    let asked = world.asked(&payload.request.envelope.response_url.digest());
    if asked.is_some_and(|asked| asked.is_early) {
        world.excuse(
            event.stack,
            "the dead letter takes an operation that was signed too early for an old one",
        );
    }
    let work = async move {
        host.enter();
        let died = Died {
            request: &payload.request,
            continuation: payload.continuation.as_ref(),
            request_id: &id,
            reason: "the function died".to_owned(),
        };
        let answered = dead_letter::answer(&host, &died).await;
        host.world.say(|| format!("  dead letter of {id}: {answered:?}"));
        answered.is_ok()
    };
    let again = Rc::clone(world);
    world.sim.spawn(fate, Box::pin(work), move |well| {
        let world = again;
        if well {
            return;
        }
        if tries == 2 {
            return world.excuse(event.stack, "the dead letter died");
        }
        let at = world.now() + world.sim.rng.range(60 * S, 120 * S);
        world.clone().sim.at(at, move || last_words(&world, event, tries + 1));
    });
}

/// The hourly sweep.
pub(crate) fn sweep_once(world: &Rc<World>) {
    world.say(|| "  a sweep begins".to_owned());
    let host = Host::new(world, None, None);
    let work = async move {
        host.enter();
        let until = Duration::from_millis(host.world.now() + 600 * S);
        let report = sweep::sweep(&host, &host.world.deployment, until).await;
        if report["collected"].as_array().is_some_and(|all| !all.is_empty()) {
            host.world.count("sweep collects");
        }
        host.world.say(|| format!("  sweep: {report}"));
        true
    };
    let fate = fate(world, false);
    let task = world.sim.spawn(fate, Box::pin(work), |_| {});
    let killer = Rc::clone(world);
    world.sim.at(world.now() + 900 * S, move || {
        killer.sim.kill(task);
    });
}
