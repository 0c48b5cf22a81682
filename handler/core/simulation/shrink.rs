//! Makes a life that fails as short and as calm as it can be, so that a person can read why.

use crate::life;
use crate::rng::Rng;
use crate::story::sort_of;
use std::fmt::Write as _;

/// How many lives are played at most to shrink one.
const PATIENCE: u32 = 2_000;

/// A tape that is being shrunk.
struct Shrinking<F> {
    best: Vec<u64>,
    /// Plays a tape: what was drawn, if the life still does what it is to do.
    play: F,
    left: u32,
}

impl<F: Fn(&[u64]) -> Option<Vec<u64>>> Shrinking<F> {
    /// Plays a candidate, and keeps it if it is shorter, or as long and lower.
    fn keeps(&mut self, candidate: &[u64]) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let Some(drawn) = (self.play)(candidate) else { return false };
        if (drawn.len(), &drawn) >= (self.best.len(), &self.best) {
            return false;
        }
        self.best = drawn;
        true
    }

    fn cut_end(&mut self) {
        let mut size = self.best.len() / 2;
        while size > 0 {
            let end = self.best.len().saturating_sub(size);
            let candidate = self.best[..end].to_vec();
            if !self.keeps(&candidate) {
                size /= 2;
            }
        }
    }

    /// Where the draws are that are not 0 yet.
    fn lively(&self) -> Vec<usize> {
        (0..self.best.len()).filter(|place| self.best[*place] != 0).collect()
    }

    /// Sets draws to 0, many at once first.
    fn zero_chunks(&mut self) {
        let mut size = self.lively().len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            loop {
                let lively = self.lively();
                let Some(chunk) = lively.get(from..).filter(|rest| !rest.is_empty()) else { break };
                let mut candidate = self.best.clone();
                chunk.iter().take(size).for_each(|place| candidate[*place] = 0);
                // What has become 0 is lively no longer, and the next draws have moved up.
                if !self.keeps(&candidate) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    /// Removes draws, so that those behind them move up.
    fn delete_chunks(&mut self) {
        for size in [64, 16, 8, 4, 3, 2, 1] {
            let mut end = self.best.len();
            while end >= size && self.left > 0 {
                let mut candidate = self.best.clone();
                candidate.drain(end - size..end);
                end = if self.keeps(&candidate) { end.min(self.best.len()) } else { end - size };
            }
        }
    }

    fn lower(&mut self) {
        for place in self.lively() {
            let mut least = 0;
            while let Some(now) = self.best.get(place).copied().filter(|now| least < *now) {
                let mut candidate = self.best.clone();
                candidate[place] = least.midpoint(now);
                if !self.keeps(&candidate) {
                    least = candidate[place] + 1;
                }
            }
        }
    }
}

/// The shortest and calmest tape that was found, for which `play` still gives what was drawn; and how many lives that
/// took.
pub(crate) fn shrink(
    tape: Vec<u64>,
    patience: u32,
    play: impl Fn(&[u64]) -> Option<Vec<u64>>,
) -> (Vec<u64>, u32) {
    let mut shrinking = Shrinking { best: tape, play, left: patience };
    loop {
        let before = shrinking.best.clone();
        shrinking.cut_end();
        shrinking.zero_chunks();
        shrinking.delete_chunks();
        shrinking.lower();
        if shrinking.left == 0 || shrinking.best == before {
            return (shrinking.best, patience - shrinking.left);
        }
    }
}

/// The shrunk life of a seed that fails, as a script.
pub(crate) fn script(seed: u64) -> String {
    let world = life::play(Rng::of_seed(seed), false);
    let (fault, tape) = (world.story.fault.take().unwrap_or_default(), world.sim.rng.tape());
    let draws = tape.len();
    let fails_alike = |tape: &[u64]| {
        let world = life::play(Rng::of_tape(tape), false);
        let now = world.story.fault.take();
        now.filter(|now| sort_of(now) == sort_of(&fault)).map(|_| world.sim.rng.tape())
    };
    let (tape, lives) = shrink(tape, PATIENCE, fails_alike);
    let mut script = life::play(Rng::of_tape(&tape), true).story.lines.borrow().join("\n");
    let _ = write!(
        script,
        "\n\nseed {seed}: {fault}\nshrunk from {draws} to {} draws by {lives} lives",
        tape.len()
    );
    script
}
