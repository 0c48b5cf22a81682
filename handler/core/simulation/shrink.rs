//! Makes a life that fails as calm as it can be, so that a person can read why.

use crate::life;
use crate::rng::{Rng, Tape};
use crate::story::sort_of;
use std::fmt::Write as _;

/// How many lives are played at most to shrink one.
const PATIENCE: u32 = 2_000;

/// Where a draw is on a tape: its stream, and its place there.
type Place = (usize, usize);

/// Where the draws are that are not 0.
pub(crate) fn lively(tape: &Tape) -> Vec<Place> {
    let places = |(stream, draws): (&usize, &Vec<u64>)| {
        let stream = *stream;
        let lively = draws.iter().enumerate().filter(|(_, draw)| **draw != 0);
        lively.map(|(place, _)| (stream, place)).collect::<Vec<_>>()
    };
    tape.iter().flat_map(places).collect()
}

/// A tape that is being shrunk.
struct Shrinking<F> {
    best: Tape,
    /// Plays a tape; returns its draws if the life still shows the behaviour.
    play: F,
    left: u32,
}

impl<F: Fn(&Tape) -> Option<Tape>> Shrinking<F> {
    /// Plays a candidate, and keeps it if it is calmer.
    fn keeps(&mut self, candidate: &Tape) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let rank = |tape: &Tape| {
            let sum = tape.values().flatten().fold(0_u64, |sum, draw| sum.saturating_add(*draw));
            (lively(tape).len(), sum)
        };
        let Some(drawn) = (self.play)(candidate) else { return false };
        let is_calmer = rank(&drawn) < rank(&self.best);
        if is_calmer {
            self.best = drawn;
        }
        is_calmer
    }

    /// The best tape with some draws set.
    fn with(&self, places: &[Place], draw: u64) -> Tape {
        let mut tape = self.best.clone();
        for (stream, place) in places {
            if let Some(old) = tape.get_mut(stream).and_then(|draws| draws.get_mut(*place)) {
                *old = draw;
            }
        }
        tape
    }

    /// Sets all draws of a stream to 0.
    fn calm_streams(&mut self) {
        for stream in self.best.keys().copied().collect::<Vec<_>>() {
            let mut candidate = self.best.clone();
            candidate.remove(&stream);
            self.keeps(&candidate);
        }
    }

    /// Sets draws to 0, many at once first; the last ones first, because later draws depend on earlier ones.
    fn calm_chunks(&mut self) {
        let mut size = lively(&self.best).len().div_ceil(2);
        while size > 0 {
            let mut kept = 0;
            while self.left > 0 {
                let lively = lively(&self.best);
                let Some(end) = lively.len().checked_sub(kept).filter(|end| *end > 0) else { break };
                let candidate = self.with(&lively[end.saturating_sub(size)..end], 0);
                if !self.keeps(&candidate) {
                    kept += size;
                }
            }
            size /= 2;
        }
    }

    /// Removes draws, so that those behind them move up.
    fn delete(&mut self) {
        for place in lively(&self.best).into_iter().rev() {
            let mut candidate = self.best.clone();
            if let Some(draws) = candidate.get_mut(&place.0).filter(|draws| place.1 < draws.len()) {
                draws.remove(place.1);
                self.keeps(&candidate);
            }
        }
    }

    /// Lowers single draws.
    fn lower(&mut self) {
        for place in lively(&self.best) {
            let mut least = 0;
            while let Some(now) = self.best.get(&place.0).and_then(|draws| draws.get(place.1)).copied() {
                if least >= now || self.left == 0 {
                    break;
                }
                let lower = least.midpoint(now);
                let candidate = self.with(&[place], lower);
                if !self.keeps(&candidate) {
                    least = lower + 1;
                }
            }
        }
    }
}

/// The calmest tape found for which `play` still returns draws, and the number of lives that this took.
pub(crate) fn shrink(tape: Tape, patience: u32, play: impl Fn(&Tape) -> Option<Tape>) -> (Tape, u32) {
    let mut shrinking = Shrinking { best: tape, play, left: patience };
    loop {
        let before = shrinking.best.clone();
        shrinking.calm_streams();
        shrinking.calm_chunks();
        shrinking.lower();
        shrinking.delete();
        if shrinking.left == 0 || shrinking.best == before {
            return (shrinking.best, patience - shrinking.left);
        }
    }
}

/// The shrunk life of a seed that fails, as a script.
pub(crate) fn script(seed: u64) -> String {
    let world = life::play(Rng::of_seed(seed), false);
    let (fault, tape) = (world.story.fault.take().unwrap_or_default(), world.sim.rng.tape());
    let draws = lively(&tape).len();
    let fails_alike = |tape: &Tape| {
        let world = life::play(Rng::of_tape(tape), false);
        let now = world.story.fault.take();
        now.filter(|now| sort_of(now) == sort_of(&fault)).map(|_| world.sim.rng.tape())
    };
    let (tape, lives) = shrink(tape, PATIENCE, fails_alike);
    let mut script = life::play(Rng::of_tape(&tape), true).story.lines.borrow().join("\n");
    let _ = write!(
        script,
        "\n\nseed {seed}: {fault}\nshrunk from {draws} to {} draws that are not 0, by {lives} lives",
        lively(&tape).len()
    );
    script
}
