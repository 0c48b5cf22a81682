//! Carries out the rules of the claim: reading, claiming, the gate before every write, and the end.

use super::{Claimant, End, Item, Permit, Timing};
use crate::error::{Error, Result};
use crate::port::{Clock, Cloud, Table};
use crate::registry::Write;
use crate::resource::MutatingCall as _;
use crate::table::{Attributes, TableError, Update, Updated};
use futures_util::future::try_join;
use std::time::Duration;

/// How long to wait before the table is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// What the gate says.
#[derive(Debug)]
pub enum Gate {
    /// This invocation may write.
    Open(Permit),
    /// Another invocation is named, or the operation has ended; whether the other was signed in the same second.
    Superseded {
        /// Then the loser answers FAILED, because nobody else will.
        lost_tie: bool,
    },
    /// The table cannot be read: nothing may be written now.
    Unreachable(TableError),
    /// Another stack has the forge, which happens only where the table has been tampered with or restored.
    Lost,
}

/// What came of a claim.
#[derive(Debug)]
pub enum Claimed {
    /// This invocation is named; the item as it was before.
    Won(Option<Box<Item>>),
    /// The item has changed since it was seen.
    Refused,
}

/// What came of recording the end.
#[derive(Debug)]
pub enum Finished {
    /// It is recorded: this body is the operation's one response.
    Respond(String),
    /// Another invocation answers.
    Silent,
}

/// An invocation that writes while it is named.
#[derive(Debug)]
pub struct Writer<'a, C> {
    /// The world.
    pub cloud: &'a C,
    /// The key of the item that names it.
    pub key: &'a str,
    /// The invocation.
    pub by: &'a str,
    /// The key of the item of the forge, where another stack may name the forge too.
    pub forge: Option<&'a str>,
    /// What it carries out; a sweep carries out no operation, and may write although the last one has ended.
    pub claimant: Option<&'a Claimant>,
    /// How long permits and calls last.
    pub timing: Timing,
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

/// Claims for an operation, given the item as it was seen.
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
    let claim = claimant.claim(seen, wanted, world.now().wall);
    Ok(match update(world, &claim, until).await? {
        Updated::Done(old) => Claimed::Won(old.as_ref().map(Item::read).map(Box::new)),
        Updated::Refused(_) => Claimed::Refused,
    })
}

/// Records how an operation ended.
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
    Ok(match update(world, &finish, until).await? {
        Updated::Done(_) => Finished::Respond(end.body.clone()),
        Updated::Refused(item) => match item.as_ref().map(Item::read).and_then(|item| item.outcome) {
            // The first answer was lost, and something has taken the name since.
            Some(outcome) if outcome.operation == claimant.operation => Finished::Respond(outcome.body),
            _ => Finished::Silent,
        },
    })
}

impl<C: Cloud> Writer<'_, C> {
    /// Asks whether this invocation may write.
    pub async fn gate(&self) -> Gate {
        let sent = self.cloud.now();
        let forge = async {
            match self.forge {
                Some(key) => self.cloud.read(key).await.map(Some),
                None => Ok(None),
            }
        };
        let (item, forge) = match try_join(self.cloud.read(self.key), forge).await {
            Ok((item, forge)) => (item.as_ref().map(Item::read), forge),
            Err(err) => return Gate::Unreachable(err),
        };
        let may_write =
            |item: &Item| item.by == self.by && (self.claimant.is_none() || item.outcome.is_none());
        if !item.as_ref().is_some_and(may_write) {
            return Gate::Superseded { lost_tie: self.has_lost_tie(item.as_ref()) };
        }
        let has_forge = |item: Option<Attributes>| item.is_some_and(|item| Item::read(&item).by == self.by);
        if forge.is_none_or(has_forge) { Gate::Open(Permit::new(&sent, &self.timing)) } else { Gate::Lost }
    }

    fn has_lost_tie(&self, item: Option<&Item>) -> bool {
        let (Some(item), Some(claimant)) = (item, self.claimant) else { return false };
        let second = item.order.as_ref().and_then(super::Order::second);
        item.operation != claimant.operation && second == Some(claimant.signed)
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
        match self.cloud.write(permit, write).await {
            Err(Error::Call { source, .. }) if write.call.tolerates(&source) => {
                Ok(if source.is_taken() { Written::Exists } else { Written::Done })
            }
            Err(err) => Err(err),
            Ok(()) => Ok(Written::Done),
        }
    }
}

/// What came of a write that AWS did not refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was made, or was not needed.
    Done,
    /// What it was to make exists already; whose it is, the next look shows.
    Exists,
    /// It was not sent: the permit is over.
    PermitOver,
}
