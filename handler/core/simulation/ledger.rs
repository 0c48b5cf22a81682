//! The claim's table: one item per key, evaluated by core's own conditions.

use crate::executor::{Ms, S};
use crate::host::Host;
use crate::stacks::Stack;
use crate::world::{T, World};
use std::collections::BTreeMap;
use std::rc::Rc;
use tower_forge_core::claim::{Item, Verb, forge_key};
use tower_forge_core::table::{Attributes, Edit, TableError, Update, Updated, Value};

/// The table.
#[derive(Default)]
pub(crate) struct Ledger {
    /// The items by key.
    pub(crate) items: BTreeMap<String, Option<Attributes>>,
    /// When it is out of reach.
    pub(crate) down: Vec<(Ms, Ms)>,
    /// When it was lost last.
    pub(crate) lost_at: Option<Ms>,
}

impl Ledger {
    /// The item of the resource of a stack.
    pub(crate) fn of(&self, stack: Stack) -> Option<Item> {
        self.items.get(stack.key())?.as_ref().map(Item::read)
    }

    /// The item of a forge.
    pub(crate) fn forge(&self, forge: &str) -> Option<Item> {
        self.items.get(&forge_key(forge))?.as_ref().map(Item::read)
    }
}

/// The purpose of an update, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Claim,
    Finish,
    FinishFor,
    Sweep,
    Forge,
}

fn purpose(update: &Update) -> Purpose {
    if Stack::of_key(&update.key).is_none() {
        return Purpose::Forge;
    }
    let sets = |name: &str| update.edits.iter().any(|edit| matches!(edit, Edit::Set(key, _) if *key == name));
    match (sets("operation"), sets("outcome"), sets("busy")) {
        (true, ..) => Purpose::Claim,
        (_, true, true) => Purpose::Finish,
        (_, true, false) => Purpose::FinishFor,
        _ => Purpose::Sweep,
    }
}

/// Whether an update claims a forge; otherwise it releases it.
fn claims_forge(update: &Update) -> bool {
    update.edits.iter().any(|edit| matches!(edit, Edit::Set("claimed_at", _)))
}

impl World {
    fn table_is_down(&self) -> bool {
        let now = self.now();
        self.ledger.borrow().down.iter().any(|(from, to)| (*from..*to).contains(&now))
    }

    /// A call of the table with the adapter's own further tries: a late first one may land after the second's answer.
    async fn on_table<R: 'static>(
        self: &Rc<Self>,
        is_update: bool,
        effect: impl Fn(&Rc<World>) -> R + Clone + 'static,
    ) -> Result<R, TableError> {
        for attempt in 0..3 {
            if attempt == 0 && is_update && self.chance(self.mix.network) {
                // As late as can be: whoever sent it may have left by then.
                self.count("table: a first try lands long after the second");
                let (world, effect) = (Rc::clone(self), effect.clone());
                self.sim.at(self.now() + T - self.sim.rng.range(1, 2 * S), move || drop(effect(&world)));
                self.sim.sleep(4 * S).await;
                continue;
            }
            if self.table_is_down() || self.chance(self.mix.refusals / 2) {
                self.sim.sleep(self.sim.rng.range(100, 1500)).await;
                continue;
            }
            if let Some(found) = self.call(T, 4 * S, effect.clone()).await {
                if attempt > 0 {
                    self.count("table: only a further try is answered");
                }
                return Ok(found);
            }
        }
        self.count("table: no answer");
        Err(TableError::Unreachable("no answer".to_owned()))
    }

    /// Reads an item.
    pub(crate) async fn read_item(self: &Rc<Self>, key: &str) -> Result<Option<Attributes>, TableError> {
        let key = key.to_owned();
        self.on_table(false, move |world| world.ledger.borrow().items.get(&key).cloned().flatten()).await
    }

    /// Updates an item.
    pub(crate) async fn update_item(
        self: &Rc<Self>,
        host: &Host,
        update: &Update,
    ) -> Result<Updated, TableError> {
        if let Some(Edit::Set(_, Value::S(by))) =
            update.edits.iter().find(|edit| matches!(edit, Edit::Set("by", _)))
        {
            host.by.borrow_mut().clone_from(by);
        }
        let update = Rc::new(update.clone());
        let purpose = purpose(&update);
        if purpose == Purpose::Finish && self.chance(20) {
            host.deliver_again();
        }
        let tries = Rc::new(std::cell::Cell::new(0));
        let (landed, verb) = (Rc::clone(&tries), host.verb);
        let updated = self
            .on_table(true, move |world| {
                let updated = world.update_now(&update, purpose);
                if let (Purpose::Forge, Updated::Refused(Some(item))) = (purpose, &updated) {
                    world.count_wait(verb, &update, &Item::read(item));
                }
                if matches!(updated, Updated::Done(_)) {
                    landed.set(landed.get() + 1);
                    if landed.get() == 2 {
                        world.count(match purpose {
                            Purpose::Claim => "lost answer of claim",
                            Purpose::Finish => "lost answer of finish",
                            Purpose::Forge if claims_forge(&update) => "lost answer of a claim on a forge",
                            _ => "lost answer of another update",
                        });
                    }
                }
                updated
            })
            .await;
        if tries.get() > 0 && !matches!(updated, Ok(Updated::Done(_))) {
            self.count("update took effect and its answer says otherwise");
        }
        updated
    }

    fn update_now(&self, update: &Update, purpose: Purpose) -> Updated {
        let (updated, before, after) = {
            let mut ledger = self.ledger.borrow_mut();
            let item = ledger.items.entry(update.key.clone()).or_default();
            let before = item.as_ref().map(Item::read);
            let updated = update.apply(item);
            (updated, before, item.as_ref().map(Item::read))
        };
        if matches!(updated, Updated::Refused(_)) {
            self.count(match purpose {
                Purpose::Claim => "claim refused",
                Purpose::Finish => "finish refused",
                Purpose::FinishFor => "dead letter refused",
                Purpose::Sweep => "sweep refused",
                Purpose::Forge => "claim on a forge refused",
            });
            return updated;
        }
        let Some(after) = after else { return updated };
        self.count_update(update, purpose, before.as_ref(), &after);
        match Stack::of_key(&update.key) {
            Some(stack) => self.judge_item(stack, before.as_ref(), &after),
            None => self.judge_forge(claims_forge(update), before.as_ref(), &after),
        }
        updated
    }

    /// Counts that an operation waits until another stack has released the forge.
    fn count_wait(&self, verb: Option<Verb>, update: &Update, item: &Item) {
        let stack = Value::S(item.stack.clone());
        if !item.busy || update.edits.contains(&Edit::Set("stack", stack)) {
            return;
        }
        self.count(match verb {
            Some(Verb::Create) => "a Create waits for another stack's claim on the forge",
            _ => "an operation waits for another stack's claim on the forge",
        });
    }

    fn count_update(&self, update: &Update, purpose: Purpose, before: Option<&Item>, after: &Item) {
        match purpose {
            Purpose::Claim => {
                let other = before.filter(|before| before.by != after.by);
                if other.is_some_and(|before| before.busy) {
                    self.count("claims from a busy holder: waits until it is quiet");
                }
                let settles = other
                    .and_then(|before| before.wrote_at)
                    .is_some_and(|wrote_at| self.wall().0.saturating_sub(wrote_at.0) < 30_000);
                if settles {
                    self.count("claims soon after another's end: absences settle later");
                }
                if before.is_some_and(|before| before.operation == after.operation && before.by != after.by) {
                    self.count("another delivery or leg claims");
                }
            }
            Purpose::FinishFor => self.count("dead letter finishes"),
            Purpose::Sweep if before.is_none_or(|before| before.by != after.by) => self.count("sweep claims"),
            Purpose::Finish => {
                if update.edits.iter().any(|edit| matches!(edit, Edit::Subtract(..))) {
                    let is_success =
                        after.outcome.as_ref().is_some_and(|outcome| outcome.body.contains("SUCCESS"));
                    let deletes =
                        after.order.as_ref().and_then(tower_forge_core::claim::Order::rank) == Some(3);
                    if is_success && !deletes {
                        self.count("duty cleaned by an Update");
                    }
                }
                if after.busy {
                    self.count("finishes while a predecessor may be at work");
                }
            }
            Purpose::Sweep | Purpose::Forge => {}
        }
        self.say(|| {
            let order = after.order.as_ref().map(ToString::to_string).unwrap_or_default();
            let outcome = after.outcome.as_ref().map_or("open", |outcome| {
                if outcome.body.contains("\"SUCCESS\"") { "SUCCESS" } else { "FAILED" }
            });
            format!(
                "    item: {purpose:?} by {} · order {:.19} · {outcome} · busy {} · forges {:?}",
                after.by, order, after.busy, after.forges
            )
        });
    }
}
