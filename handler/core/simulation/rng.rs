//! Chance, from a seed or from a tape of draws.
//!
//! What is drawn is recorded, so that a life can be played again from its tape, also from a shorter one. Therefore 0 is
//! the calm choice wherever there is one: chances do not come true, ranges give their low end.

use std::cell::{Cell, RefCell};

/// A stream of numbers.
#[derive(Debug)]
pub(crate) struct Rng {
    source: Source,
    drawn: RefCell<Vec<u64>>,
}

#[derive(Debug)]
enum Source {
    /// The state of `SplitMix64`.
    Seed(Cell<u64>),
    Tape(Vec<u64>),
}

impl Rng {
    /// The stream of a seed.
    pub(crate) fn of_seed(seed: u64) -> Self {
        let state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66;
        Self { source: Source::Seed(Cell::new(state)), drawn: RefCell::default() }
    }

    /// What is on a tape; after its end all is 0.
    pub(crate) fn of_tape(tape: &[u64]) -> Self {
        Self { source: Source::Tape(tape.to_vec()), drawn: RefCell::default() }
    }

    /// All that has been drawn so far, but for zeros at its end, which a tape need not hold.
    pub(crate) fn tape(&self) -> Vec<u64> {
        let drawn = self.drawn.borrow();
        let end = drawn.iter().rposition(|draw| *draw != 0).map_or(0, |last| last + 1);
        drawn[..end].to_vec()
    }

    /// A number less than `bound`.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        let mut drawn = self.drawn.borrow_mut();
        let number = match &self.source {
            Source::Seed(state) => split_mix(state),
            Source::Tape(tape) => tape.get(drawn.len()).copied().unwrap_or_default(),
        };
        drawn.push(number % bound);
        number % bound
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
        self.below(1000) >= 1000 - chance
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
