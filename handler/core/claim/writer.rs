//! Executes the rules of the claim: reading, claiming, the gate before every write, and the end.

use super::{Claimant, End, Item, Permit, Timing};
use crate::error::{Error, Result};
use crate::port::{Clock, Cloud, Now, Table};
use crate::registry::Write;
use crate::resource::MutatingCall as _;
use crate::table::{TableError, Update, Updated};
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// Pause before the table is read again.
const AGAIN: Duration = Duration::from_secs(2);

/// The state of the gate.
#[derive(Debug)]
pub enum Gate {
    /// This invocation may write.
    Open(Permit),
    /// Another invocation holds the claim, or the operation has ended; whether the other was signed in the same second.
    Superseded {
        /// If so, the loser responds FAILED, because no other invocation will.
        lost_tie: bool,
    },
    /// The table cannot be read, so nothing may be written now.
    Unreachable(TableError),
}

/// The result of a claim.
#[derive(Debug)]
pub enum Claimed {
    /// This invocation holds the claim.
    Won(Won),
    /// The item has changed since it was read.
    Refused,
}

/// A claim that this invocation has just got.
#[derive(Debug)]
pub struct Won {
    /// The previous item.
    pub old: Option<Box<Item>>,
    /// When the claim was sent.
    sent: Now,
}

impl Won {
    /// The first permit: the claim shows what the gate would show.
    pub fn permit(&self, timing: &Timing) -> Permit {
        Permit::new(&self.sent, timing)
    }
}

/// The result of recording the outcome.
#[derive(Debug)]
pub enum Finished {
    /// It is recorded: this body is the operation's one response.
    Respond(String),
    /// Another invocation holds the claim.
    Superseded {
        /// Whether its operation was signed in the same second.
        lost_tie: bool,
    },
}

/// An invocation that writes while it holds the claim.
#[derive(Debug)]
pub struct Writer<'a, C> {
    /// The port.
    pub cloud: &'a C,
    /// The key of its claim's item.
    pub key: &'a str,
    /// The invocation.
    pub by: &'a str,
    /// Its operation. A sweep has none, and may write although the last operation has ended.
    pub claimant: Option<&'a Claimant>,
    /// Durations of permits and calls.
    pub timing: Timing,
    /// The time of its last write, by the monotonic clock.
    pub last_write: &'a Cell<Option<Duration>>,
    /// Its last permit.
    pub permit: &'a RefCell<Option<Permit>>,
}

/// Reads an item until `until`, by the monotonic clock.
///
/// # Errors
///
/// The table does not exist, or cannot be reached until then.
pub async fn read<W: Table + Clock>(
    world: &W,
    key: &str,
    until: Duration,
) -> Result<Option<Item>, TableError> {
    loop {
        match world.read(key).await {
            Ok(item) => return Ok(item.as_ref().map(Item::read)),
            Err(err) if err.is_final() => return Err(err),
            Err(err) if world.now().mono + AGAIN >= until => return Err(err),
            Err(_) => world.sleep(AGAIN).await,
        }
    }
}

/// Updates an item until `until`, by the monotonic clock.
///
/// # Errors
///
/// The table does not exist, or cannot be reached until then.
pub async fn update<W: Table + Clock>(
    world: &W,
    update: &Update,
    until: Duration,
) -> Result<Updated, TableError> {
    loop {
        match world.update(update).await {
            Ok(updated) => return Ok(updated),
            Err(err) if err.is_final() => return Err(err),
            Err(err) if world.now().mono + AGAIN >= until => return Err(err),
            Err(_) => world.sleep(AGAIN).await,
        }
    }
}

/// Claims for an operation, given the item that was read.
///
/// # Errors
///
/// The table does not exist, or cannot be reached until `until`.
pub async fn claim<W: Table + Clock>(
    world: &W,
    claimant: &Claimant,
    seen: Option<&Item>,
    wanted: Option<&str>,
    until: Duration,
) -> Result<Claimed, TableError> {
    let sent = world.now();
    let claim = claimant.claim(seen, wanted, sent.wall);
    Ok(match update(world, &claim, until).await? {
        Updated::Done(old) => Claimed::Won(Won { old: old.as_ref().map(Item::read).map(Box::new), sent }),
        Updated::Refused(_) => Claimed::Refused,
    })
}

/// Records the outcome of an operation.
///
/// # Errors
///
/// The table does not exist, or cannot be reached until `until`.
pub async fn finish<W: Table + Clock>(
    world: &W,
    claimant: &Claimant,
    end: &End,
    until: Duration,
) -> Result<Finished, TableError> {
    let finish = claimant.finish(end, world.now().wall);
    let item = match update(world, &finish, until).await? {
        Updated::Done(_) => return Ok(Finished::Respond(end.body.clone())),
        Updated::Refused(item) => item.as_ref().map(Item::read),
    };
    Ok(match item.as_ref().and_then(|item| item.outcome.as_ref()) {
        // The first answer was lost, and something has taken the name since.
        Some(outcome) if outcome.operation == claimant.operation => Finished::Respond(outcome.body.clone()),
        _ => Finished::Superseded { lost_tie: claimant.has_lost_tie(item.as_ref()) },
    })
}

impl<C: Cloud> Writer<'_, C> {
    /// Takes the last permit if it is fresh, otherwise asks the gate for one. An invocation that only waits does not ask: it
    /// changes nothing, and learns of its successor before its next write or at its end.
    pub async fn permit(&self) -> Gate {
        match self.permit.take().filter(|permit| permit.is_fresh(&self.cloud.now())) {
            Some(permit) => Gate::Open(permit),
            None => self.gate().await,
        }
    }

    /// Asks the gate whether this invocation may write.
    pub async fn gate(&self) -> Gate {
        let sent = self.cloud.now();
        let item = match self.cloud.read(self.key).await {
            Ok(item) => item.as_ref().map(Item::read),
            Err(err) => return Gate::Unreachable(err),
        };
        let may_write =
            |item: &Item| item.by == self.by && (self.claimant.is_none() || item.outcome.is_none());
        if item.as_ref().is_some_and(may_write) {
            Gate::Open(Permit::new(&sent, &self.timing))
        } else {
            let lost_tie = self.claimant.is_some_and(|claimant| claimant.has_lost_tie(item.as_ref()));
            Gate::Superseded { lost_tie }
        }
    }

    /// Makes one mutating call, if the permit still holds.
    ///
    /// # Errors
    ///
    /// AWS's refusal, unless it means that the call was not needed.
    pub async fn write(&self, permit: &Permit, write: &Write) -> Result<Written> {
        if !permit.holds(&self.cloud.now()) {
            return Ok(Written::PermitOver);
        }
        self.last_write.set(Some(self.cloud.now().mono));
        match self.cloud.write(permit, write).await {
            Err(Error::Call { source, .. }) if write.call.tolerates(&source) => {
                Ok(if source.is_taken() { Written::Exists } else { Written::Unneeded })
            }
            Err(err) => Err(err),
            Ok(()) => Ok(Written::Done),
        }
    }
}

/// The result of a write that AWS did not refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was made.
    Done,
    /// It was not needed; the next observation shows why.
    Unneeded,
    /// The resource exists already; the next observation shows its owner.
    Exists,
    /// It was not sent: the permit has expired.
    PermitOver,
}

#[cfg(test)]
pub(crate) mod tests;
