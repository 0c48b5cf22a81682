//! Chance, from a seed or from a tape of draws.
//!
//! Each draw is recorded, so that a life can be played again from its tape, also from a shorter one. Therefore 0 is
//! the calm choice wherever there is one: chances do not come true, ranges give their low end. Each task draws from a
//! stream of its own, so that one draw more or less changes only the fate of its own task.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// Draws by stream.
pub(crate) type Tape = BTreeMap<usize, Vec<u64>>;

/// The stream of everything outside tasks; those of the tasks follow.
pub(crate) const WORLD: usize = 1;
/// The stream of the order within one moment.
const TIES: usize = 0;

/// A stream of numbers.
#[derive(Debug)]
pub(crate) struct Rng {
    source: Source,
    stream: Cell<usize>,
    drawn: RefCell<Tape>,
}

#[derive(Debug)]
enum Source {
    /// The state of `SplitMix64`.
    Seed(Cell<u64>),
    Tape(Tape),
}

impl Rng {
    /// The draws of a seed.
    pub(crate) fn of_seed(seed: u64) -> Self {
        Self::of(Source::Seed(Cell::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66)))
    }

    /// The draws on a tape; after the end of a stream all are 0.
    pub(crate) fn of_tape(tape: &Tape) -> Self {
        Self::of(Source::Tape(tape.clone()))
    }

    fn of(source: Source) -> Self {
        Self { source, stream: Cell::new(WORLD), drawn: RefCell::default() }
    }

    /// All that has been drawn so far.
    pub(crate) fn tape(&self) -> Tape {
        self.drawn.borrow().clone()
    }

    /// From now on a task draws, or the world.
    pub(crate) fn enter(&self, stream: usize) {
        self.stream.set(stream);
    }

    /// Draws: `new` makes a choice of a number of the seed, `known` of one on the tape, which may have been another
    /// choice's.
    fn draw(&self, new: impl FnOnce(u64) -> u64, known: impl FnOnce(u64) -> u64) -> u64 {
        let mut drawn = self.drawn.borrow_mut();
        let drawn = drawn.entry(self.stream.get()).or_default();
        let choice = match &self.source {
            Source::Seed(state) => new(split_mix(state)),
            Source::Tape(tape) => {
                let stream = tape.get(&self.stream.get());
                known(stream.and_then(|stream| stream.get(drawn.len())).copied().unwrap_or_default())
            }
        };
        drawn.push(choice);
        choice
    }

    fn below(&self, bound: u64) -> u64 {
        self.draw(|number| number % bound, |number| number % bound)
    }

    /// A place in the order of one moment.
    pub(crate) fn tie(&self) -> u64 {
        let stream = self.stream.replace(TIES);
        let tie = self.below(1 << 16);
        self.stream.set(stream);
        tie
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn range(&self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// A number from `low` to `high`; small magnitudes are as likely as large ones.
    pub(crate) fn log_range(&self, low: u64, high: u64) -> u64 {
        let magnitude = self.range(low.max(1).ilog2().into(), high.max(1).ilog2().into());
        self.range(1 << magnitude, (2 << magnitude) - 1).clamp(low, high)
    }

    /// True in `chance` of 1000 cases.
    pub(crate) fn permille(&self, chance: u64) -> bool {
        self.draw(|number| u64::from(number % 1000 < chance), |number| u64::from(number == 1)) == 1
    }

    /// One of several; the first is the calmest.
    pub(crate) fn pick<'a, T>(&self, all: &'a [T]) -> &'a T {
        let last = u64::try_from(all.len() - 1).unwrap_or_default();
        &all[usize::try_from(self.range(0, last)).unwrap_or_default()]
    }
}

fn split_mix(state: &Cell<u64>) -> u64 {
    state.set(state.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
    let mixed = state.get();
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
