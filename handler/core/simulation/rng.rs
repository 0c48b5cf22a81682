//! Chance, from a seed.

use std::cell::Cell;

/// A stream of numbers that a seed determines (`SplitMix64`).
#[derive(Debug)]
pub(crate) struct Rng(Cell<u64>);

impl Rng {
    /// The stream of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Cell::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66))
    }

    /// The next 64 bits.
    pub(crate) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn range(&self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// A number from `low` to `high`; small magnitudes are as likely as large ones.
    pub(crate) fn log_range(&self, low: u64, high: u64) -> u64 {
        let magnitude = self.range(low.max(1).ilog2().into(), high.max(1).ilog2().into());
        self.range(1 << magnitude, (2 << magnitude) - 1).clamp(low, high)
    }

    /// True in `chance` of 1000 cases.
    pub(crate) fn permille(&self, chance: u64) -> bool {
        self.next() % 1000 < chance
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&self, all: &'a [T]) -> &'a T {
        let last = u64::try_from(all.len() - 1).unwrap_or_default();
        &all[usize::try_from(self.range(0, last)).unwrap_or_default()]
    }
}
