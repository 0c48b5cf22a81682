//! The story of a life: its script, the situations that occurred, and the first invariant that broke.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// The story of a life.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// Whether the script is written; that costs time.
    pub(crate) is_written: bool,
    /// The script, a line for each thing that happened.
    pub(crate) lines: RefCell<Vec<String>>,
    /// How often each situation occurred.
    pub(crate) counts: RefCell<BTreeMap<&'static str, u64>>,
    /// The first invariant that broke.
    pub(crate) fault: RefCell<Option<String>>,
}

/// The sort of a fault: its words except those with digits, as names have.
pub(crate) fn sort_of(fault: &str) -> String {
    let words = fault.split_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ").chars().take(110).collect()
}

impl Story {
    /// Notes that a situation has occurred.
    pub(crate) fn count(&self, what: &'static str) {
        *self.counts.borrow_mut().entry(what).or_default() += 1;
    }

    /// Adds a line to the script.
    pub(crate) fn say(&self, now: u64, text: impl FnOnce() -> String) {
        if self.is_written {
            let now = now.saturating_sub(100_000);
            self.lines.borrow_mut().push(format!("{:>7}.{:03}  {}", now / 1000, now % 1000, text()));
        }
    }
}
