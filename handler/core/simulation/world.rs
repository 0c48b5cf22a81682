//! The world of one life: its shared state, and the network.

use crate::account::Account;
use crate::executor::{Executor, Fate, Ms, S};
use crate::judge::Judge;
use crate::ledger::Ledger;
use crate::rng::Rng;
use crate::stack_view::StackView;
use crate::story::Story;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;
use tower_forge_core::claim::Timing;
use tower_forge_core::deployment::Deployment;
use tower_forge_core::port::Timestamp;
use tower_forge_core::properties::Allowed;

/// Within which time a call takes effect, or never.
pub(crate) const T: Ms = 20 * S;
/// How long a look at the item is good.
pub(crate) const V: Ms = 15 * S;
/// The longest read lag: the one that the engine assumes, less the difference of two hosts' clocks.
pub(crate) const LAG: Ms = 27 * S + 500;
/// When every life begins, in milliseconds since 1970.
const EPOCH: u64 = 1_795_509_000_000;

/// The frequency of troubles in one life.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mix {
    /// Whether things go wrong by chance at all.
    pub(crate) is_rough: bool,
    /// How often a read shows something old, in a thousand.
    pub(crate) lag: u64,
    /// How often a call is slow or lost, in a thousand.
    pub(crate) network: u64,
    /// How often AWS throttles or fails, in a thousand.
    pub(crate) refusals: u64,
    /// How often an invocation is killed or frozen, in a thousand.
    pub(crate) crashes: u64,
    /// How long an invocation may last.
    pub(crate) time_limit: Ms,
    /// Whether a monotonic clock stands still while its host is frozen.
    pub(crate) stands_still: bool,
}

/// The world of one life.
pub(crate) struct World {
    /// Time and chance.
    pub(crate) sim: Executor,
    /// Its story.
    pub(crate) story: Story,
    /// The frequency of its troubles.
    pub(crate) mix: Mix,
    /// The function's deployment.
    pub(crate) deployment: Deployment,
    /// The claim's table.
    pub(crate) ledger: RefCell<Ledger>,
    /// AWS's resources.
    pub(crate) account: RefCell<Account>,
    /// CloudFormation's view of each stack.
    pub(crate) stacks: [RefCell<StackView>; 2],
    /// The memory of the invariants.
    pub(crate) judge: RefCell<Judge>,
    /// Whether nothing goes wrong any more.
    pub(crate) calm: Cell<bool>,
    /// The deliveries of the next events, in a life that is not left to chance.
    pub(crate) planned: RefCell<VecDeque<Delivery>>,
    next: Cell<u64>,
}

/// The delivery of an event by Lambda.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivery {
    /// How late it comes.
    pub(crate) after: Ms,
    /// When it comes once more.
    pub(crate) again: Option<Ms>,
    /// The fate of the first invocation.
    pub(crate) fate: Fate,
    /// Whether every invocation dies at once.
    pub(crate) is_doomed: bool,
}

impl World {
    /// A world with things going wrong by chance as its mix says.
    pub(crate) fn new(rng: Rng, is_written: bool, mix: impl FnOnce(&Executor) -> Mix) -> Rc<Self> {
        let sim = Executor::new(rng);
        let mix = mix(&sim);
        let retire_after = Duration::from_millis(*sim.rng.pick(&[300 * S, 1800 * S]));
        Rc::new(Self {
            sim,
            story: Story { is_written, ..Story::default() },
            mix,
            deployment: deployment(retire_after),
            ledger: RefCell::default(),
            account: RefCell::default(),
            stacks: <[RefCell<StackView>; 2]>::default(),
            judge: RefCell::default(),
            calm: Cell::default(),
            planned: RefCell::default(),
            next: Cell::default(),
        })
    }

    /// The time.
    pub(crate) fn now(&self) -> Ms {
        self.sim.now()
    }

    /// The time by a wall clock that is right.
    pub(crate) fn wall(&self) -> Timestamp {
        Timestamp(i64::try_from(EPOCH + self.now()).unwrap_or(i64::MAX))
    }

    /// A number that has not been given before. Unique numbers are counted and not drawn, because a tape may hold
    /// the same number twice.
    pub(crate) fn fresh(&self) -> u64 {
        self.next.set(self.next.get() + 1);
        self.next.get()
    }

    /// True in `permille` of 1000 cases, while things go wrong.
    pub(crate) fn chance(&self, permille: u64) -> bool {
        self.mix.is_rough && !self.calm.get() && self.sim.rng.permille(permille)
    }

    /// Notes that a situation has occurred.
    pub(crate) fn count(&self, what: &'static str) {
        self.story.count(what);
    }

    /// Adds a line to the script.
    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        self.story.say(self.now(), text);
    }

    /// An invariant has broken.
    pub(crate) fn fail(&self, text: impl Into<String>) {
        let text = text.into();
        self.say(|| format!("BROKEN: {text}"));
        self.story.fault.borrow_mut().get_or_insert(text);
        self.sim.stop();
    }

    /// A call over the network: it takes effect at some moment within `reach` of now, or never; `None` if no answer
    /// comes within `patience`.
    pub(crate) async fn call<R: 'static>(
        self: &Rc<Self>,
        reach: Ms,
        patience: Ms,
        effect: impl FnOnce(&Rc<World>) -> R + 'static,
    ) -> Option<R> {
        let rng = &self.sim.rng;
        let sent = self.now();
        let delayed = self.chance(self.mix.network).then(|| rng.range(0, 2));
        let lands = sent
            + match delayed {
                // As late as can be.
                Some(0) => reach - rng.range(1, reach / 10),
                Some(_) => rng.log_range(300, reach - 1),
                None => 40 * rng.range(1, 5),
            };
        let is_lost = self.chance(self.mix.network / 2);
        let answered = lands + 20;
        let answer = Rc::new(RefCell::new(None));
        if self.chance(self.mix.network / 3) {
            self.count("a call never takes effect");
        } else {
            let (world, answer) = (Rc::clone(self), Rc::clone(&answer));
            self.sim.at(lands, move || {
                let found = effect(&world);
                *answer.borrow_mut() = Some(found);
            });
        }
        if !is_lost && answered <= sent + patience {
            self.sim.until(answered).await;
            let found = answer.borrow_mut().take();
            if found.is_some() {
                return found;
            }
        }
        self.sim.until(sent + patience).await;
        None
    }
}

fn deployment(retire_after: Duration) -> Deployment {
    Deployment {
        prefix: "TowerForge".to_owned(),
        region: "eu-west-1".to_owned(),
        stack_accounts: Vec::new(),
        boundary: None,
        allowed: Allowed::everything(),
        efs: true,
        fsx: true,
        retire_after,
        timing: Timing::AWS,
        log_stream: "simulation".to_owned(),
    }
}
