//! Many lives on all cores.

use crate::life;
use crate::rng::Rng;
use crate::story::sort_of;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The result of many lives.
#[derive(Debug, Default)]
pub(crate) struct Played {
    /// How many were played.
    pub(crate) lives: u64,
    /// The seeds whose lives broke an invariant, and which.
    pub(crate) faults: Vec<(u64, String)>,
    /// How often each situation occurred.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// In how many lives each situation occurred.
    pub(crate) lives_with: BTreeMap<&'static str, u64>,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Played {
    fn add(&mut self, other: Self) {
        self.lives += other.lives;
        self.faults.extend(other.faults);
        for (what, count) in other.counts {
            *self.counts.entry(what).or_default() += count;
        }
        for (what, count) in other.lives_with {
            *self.lives_with.entry(what).or_default() += count;
        }
    }

    /// Plays the life of a seed; whether it broke an invariant.
    fn note(&mut self, seed: u64) -> bool {
        let world = life::play(Rng::of_seed(seed), false);
        self.lives += 1;
        for (what, count) in world.story.counts.borrow().iter() {
            *self.counts.entry(what).or_default() += count;
            *self.lives_with.entry(what).or_default() += 1;
        }
        let fault = world.story.fault.borrow_mut().take();
        let is_broken = fault.is_some();
        self.faults.extend(fault.map(|fault| (seed, fault)));
        is_broken
    }

    /// How many were played in a second.
    pub(crate) fn rate(&self) -> u128 {
        u128::from(self.lives) * 1000 / self.took.as_millis().max(1)
    }

    /// The summary, a line for each thing.
    pub(crate) fn summary(&self) -> String {
        let count = |what: &str| self.counts.get(what).copied().unwrap_or_default();
        let kills = count("crash: Lambda tries again") + count("killed at its time limit");
        let mut text = format!(
            "{} lives in {} s, {} a second: {} operations, {kills} kills, {} freezes, {} calls, {} refusals, {} broken\n",
            self.lives,
            self.took.as_secs(),
            self.rate(),
            count("operations"),
            count("frozen"),
            count("call taken") + count("call refused"),
            count("call refused"),
            self.faults.len(),
        );
        for (what, lives) in &self.lives_with {
            let _ = writeln!(text, "{lives:>9} lives  {:>9} times  {what}", count(what));
        }
        text.push_str(&self.broken());
        text
    }

    /// The faults, alike ones together, with the first seed of each.
    pub(crate) fn broken(&self) -> String {
        let mut kinds: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (seed, fault) in &self.faults {
            let entry = kinds.entry(sort_of(fault)).or_insert((0, *seed));
            entry.0 += 1;
            entry.1 = entry.1.min(*seed);
        }
        let line = |(words, (count, seed)): (&String, &(u64, u64))| {
            format!("{count:>9} broken  seed {seed}: {words}")
        };
        kinds.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// How many of the lives to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// All of them.
    End,
    /// Those up to the first that breaks an invariant.
    Fault,
}

/// Plays lives on all cores; `progress` is told now and then how many there are.
pub(crate) fn play(first: u64, lives: u64, until: Until, progress: &(dyn Fn(u64) + Sync)) -> Played {
    let next = AtomicU64::new(0);
    // Lives are begun in order, so that those before the first fault have all been begun when it is found.
    let end = AtomicU64::new(lives);
    let begun = Instant::now();
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let work = || {
        let mut played = Played::default();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= end.load(Ordering::Relaxed) {
                return played;
            }
            if n.is_multiple_of(500) {
                progress(n);
            }
            let is_broken = played.note(first + n);
            if is_broken && until == Until::Fault {
                end.fetch_min(n, Ordering::Relaxed);
            }
        }
    };
    let mut all = Played::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            all.add(thread.join().expect("a life panicked"));
        }
    });
    all.faults.sort();
    all.took = begun.elapsed();
    all
}
