//! The claim: one invocation at a time may write for a resource of a stack.
//!
//! CloudFormation sends Delete while a Create still runs and a rollback while the cancelled Update still runs, and
//! Lambda delivers an event twice. One item per resource of a stack, written only with conditions, names the invocation
//! that holds the claim. No other invocation writes. An invocation that takes over a claim waits until no call of the
//! previous holder can be in progress. There is no expiry and no heartbeat, and safety does not depend on another
//! host's clock.
//!
//! The table only orders operations. Tags decide ownership, so losing the table loses no forge.
//!
//! This file has the pure rules; [`writer`] executes them.

mod forge;
mod item;
pub mod writer;

pub use forge::forge_key;
pub(crate) use item::hex;
pub use item::{Item, Order, Outcome, Record, resource_key};

use crate::port::{Now, Timestamp};
use crate::table::{Condition, Edit, KEY, Update, Value};
use std::collections::BTreeSet;
use std::time::Duration;

/// Validity of permits and duration of calls, the same on all hosts of a deployment.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a read of the item permits writes, counted from before the read was sent.
    pub permit: Duration,
    /// Time within which a call takes effect or never does: the timeout of its one attempt.
    pub call: Duration,
    /// Maximum lag of reads of IAM, EC2 and Batch behind writes.
    pub read_lag: Duration,
}

impl Timing {
    /// The values for AWS.
    pub const AWS: Self = Self {
        permit: Duration::from_secs(15),
        call: Duration::from_secs(20),
        read_lag: Duration::from_secs(30),
    };
    /// A margin for rounding and late responses.
    const MARGIN: Duration = Duration::from_secs(5);

    /// Time after which no call of an invocation that lost its claim can be in progress.
    pub fn quiet(&self) -> Duration {
        self.permit + self.call + Self::MARGIN
    }

    /// Time after which reads show everything done by an invocation that lost its claim.
    pub fn visible(&self) -> Duration {
        self.permit + self.call + self.read_lag
    }
}

/// The right to write, valid for seconds. Only a claim and the gate create one, and it cannot be copied, so no invocation
/// writes without the claim.
#[derive(Debug)]
pub struct Permit {
    mono: Duration,
    wall: Timestamp,
    lasts: Duration,
}

impl Permit {
    /// From a claim, or a look at the item that shows it, that was sent at `sent`.
    fn new(sent: &Now, timing: &Timing) -> Self {
        Self { mono: sent.mono, wall: sent.wall, lasts: timing.permit }
    }

    /// Whether it is valid for so long that the gate need not be asked again.
    pub fn is_fresh(&self, now: &Now) -> bool {
        let half = self.lasts / 2;
        now.mono < self.mono + half && now.since(self.wall) < half
    }

    /// Whether it is still valid, by both clocks: the monotonic clock of a frozen process may have stopped.
    pub fn holds(&self, now: &Now) -> bool {
        now.mono < self.mono + self.lasts && now.since(self.wall) < self.lasts
    }
}

/// The type of an operation, for the order of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Create.
    Create,
    /// Update, or the rollback of one.
    Update,
    /// Delete.
    Delete,
}

impl Verb {
    /// The verb of operations of this rank.
    pub fn of_rank(rank: u8) -> Self {
        match rank {
            0 => Self::Create,
            3 => Self::Delete,
            _ => Self::Update,
        }
    }
}

/// An invocation that claims a resource of a stack.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// The key of the resource's item.
    pub key: String,
    /// The stack, for people.
    pub stack_id: String,
    /// The resource, for people.
    pub logical_id: String,
    /// The operation: the same for all deliveries, legs and the dead-letter record of one signing, and different for
    /// each signing. The request ID does not serve, because CloudFormation reuses it.
    pub operation: String,
    /// The second in which it was signed.
    pub signed: i64,
    /// The type of the operation.
    pub verb: Verb,
    /// A digest of the desired state.
    pub digest: String,
    /// This invocation.
    pub by: String,
}

/// The consequence of the item for an operation that does not hold the claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// The operation has been responded to, with this body.
    Answered(String),
    /// A newer operation has begun.
    Superseded,
    /// Another operation signed in the same second has won.
    LostTie,
    /// It may claim.
    Free,
}

impl Claimant {
    /// The rank of an operation among those signed in the same second.
    fn rank(&self, item: Option<&Item>) -> u8 {
        match self.verb {
            Verb::Create => 0,
            Verb::Update if self.is_rollback(item) => 2,
            Verb::Update => 1,
            Verb::Delete => 3,
        }
    }

    /// Whether an Update restores the state that an earlier operation has established: then it is a rollback.
    pub fn is_rollback(&self, item: Option<&Item>) -> bool {
        let record = item.and_then(|item| item.record.as_ref());
        self.verb == Verb::Update
            && record.is_some_and(|record| record.digest == self.digest && record.operation != self.operation)
    }

    /// Whether an Update wants the state that was established last, or the one before: CloudFormation returns to the latter
    /// if the Update succeeded here and something else in the stack failed.
    pub fn was_established(&self, item: Option<&Item>) -> bool {
        let record = item.and_then(|item| item.record.as_ref());
        self.verb == Verb::Update
            && record.is_some_and(|record| [&record.digest, &record.before].contains(&&self.digest))
    }

    /// The operation's place in the order; strict and total, so that the loser of a tie can never take it back. A leg keeps
    /// the place of the leg before it, which may be later than the signature says: CloudFormation's clock can step back.
    pub fn order(&self, item: Option<&Item>) -> Order {
        let signed = Order::new(self.signed, self.rank(item), &self.operation);
        let own = item.filter(|item| item.operation == self.operation);
        let given = own.and_then(|item| item.order.clone()).filter(|given| *given > signed);
        given.unwrap_or(signed)
    }

    /// The consequence of the item for this operation.
    pub fn standing(&self, item: Option<&Item>) -> Standing {
        let Some(item) = item else { return Standing::Free };
        if let Some(outcome) = item.outcome.as_ref().filter(|outcome| outcome.operation == self.operation) {
            return Standing::Answered(outcome.body.clone());
        }
        match &item.order {
            Some(order) if item.operation != self.operation && *order > self.order(Some(item)) => {
                if order.second() == Some(self.signed) { Standing::LostTie } else { Standing::Superseded }
            }
            _ => Standing::Free,
        }
    }

    /// Claims.
    ///
    /// The condition compares the holder that was read, because a late first try of the SDK must not name an invocation
    /// that has ended. It also holds for its own result, so a retry after a lost response succeeds again.
    pub fn claim(&self, seen: Option<&Item>, wanted: Option<&str>, now: Timestamp) -> Update {
        let order = Value::S(self.order(seen).to_string());
        let operation = || Value::S(self.operation.clone());
        let by = |by: &str| Condition::Is(&["by"], Value::S(by.to_owned()));
        let unchanged: Vec<Condition> = seen.iter().map(|item| by(&item.by)).chain([by(&self.by)]).collect();
        let newer = Condition::All(vec![
            Condition::IsNot(&["operation"], operation()),
            Condition::Less(&["order"], order.clone()),
        ]);
        let unanswered = Condition::All(vec![
            Condition::Is(&["operation"], operation()),
            Condition::Missing(&["outcome"]),
        ]);
        let mut edits = vec![
            Edit::Set("order", order),
            Edit::Set("operation", operation()),
            Edit::Set("by", Value::S(self.by.clone())),
            Edit::Set("busy", Value::Bool(true)),
            Edit::Set("claimed_at", Value::N(now.0)),
            Edit::Set("stack", Value::S(self.stack_id.clone())),
            Edit::Set("logical", Value::S(self.logical_id.clone())),
            Edit::Remove("outcome"),
            Edit::Remove("ttl"),
        ];
        edits.extend(wanted.map(|forge| Edit::Add("forges", BTreeSet::from([forge.to_owned()]))));
        Update {
            key: self.key.clone(),
            edits,
            condition: Condition::Any(vec![
                Condition::Missing(&[KEY]),
                Condition::All(vec![
                    Condition::Any(unchanged),
                    Condition::Any(vec![Condition::Missing(&["order"]), newer, unanswered]),
                ]),
            ]),
        }
    }

    /// Whether the holder of the claim belongs to another operation that was signed in the same second.
    pub fn has_lost_tie(&self, item: Option<&Item>) -> bool {
        let second = item.and_then(|item| item.order.as_ref()?.second());
        second == Some(self.signed) && item.is_some_and(|item| item.operation != self.operation)
    }

    /// Records the outcome of the operation. This precedes the response, so no other delivery can contradict it.
    pub fn finish(&self, end: &End, now: Timestamp) -> Update {
        let outcome =
            Outcome { operation: self.operation.clone(), by: self.by.clone(), body: end.body.clone() };
        let mut edits = vec![
            Edit::Set("outcome", outcome.to_value()),
            Edit::Set("wrote_at", Value::N(now.0)),
            Edit::Set("busy", Value::Bool(end.busy)),
        ];
        match &end.record {
            Recorded::Nothing => {}
            Recorded::Forge { forge, before } => {
                let (operation, digest) = (self.operation.clone(), self.digest.clone());
                let record = Record { operation, forge: forge.clone(), digest, before: before.clone() };
                edits.push(Edit::Set("record", record.to_value()));
            }
            Recorded::Gone => edits.push(Edit::Remove("record")),
        }
        if !end.gone.is_empty() {
            edits.push(Edit::Subtract("forges", end.gone.clone()));
        }
        edits.extend(end.forget.then(|| Edit::Set("ttl", Value::N(now.secs() + KEPT))));
        let mine = Condition::Is(&["by"], Value::S(self.by.clone()));
        let free = Condition::Any(vec![
            Condition::Missing(&["outcome"]),
            Condition::Is(&["outcome", "by"], Value::S(self.by.clone())),
        ]);
        Update { key: self.key.clone(), edits, condition: Condition::All(vec![mine, free]) }
    }
}

impl Claimant {
    /// Records for an invocation that died that its operation has failed. Its calls may still be in progress, so `busy`
    /// is unchanged. The outcome names its writer, or the holder could overwrite it.
    pub fn finish_for(&self, holder: &str, body: &str, now: Timestamp) -> Update {
        let outcome =
            Outcome { operation: self.operation.clone(), by: self.by.clone(), body: body.to_owned() };
        let free = Condition::Any(vec![
            Condition::Missing(&["outcome"]),
            Condition::Is(&["outcome", "by"], Value::S(self.by.clone())),
        ]);
        let held = Condition::Is(&["by"], Value::S(holder.to_owned()));
        Update {
            key: self.key.clone(),
            edits: vec![Edit::Set("outcome", outcome.to_value()), Edit::Set("wrote_at", Value::N(now.0))],
            condition: Condition::All(vec![held, free]),
        }
    }
}

/// Time for which the item of a resource without any forge is kept, in seconds.
const KEPT: i64 = 7 * 24 * 3600;

/// The outcome of an operation, for the item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct End {
    /// The body of the response.
    pub body: String,
    /// Whether calls of a predecessor may still be in progress.
    pub busy: bool,
    /// The state that was established.
    pub record: Recorded,
    /// The forges that no longer exist.
    pub gone: BTreeSet<String>,
    /// Whether no forge is left.
    pub forget: bool,
}

/// The state that an operation has established.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Recorded {
    /// None: it failed, or it removed a replaced forge.
    #[default]
    Nothing,
    /// This forge, in the operation's desired state.
    Forge {
        /// The forge.
        forge: String,
        /// The digest of the state that was established before.
        before: String,
    },
    /// That there is no forge.
    Gone,
}

/// From when on observations count, as durations from the moment of the claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Until then calls of a predecessor may be in progress: only reads are made, and none of them counts.
    pub look: Duration,
    /// Until then reads may not show the writes of a predecessor: an absence proves nothing.
    pub close: Duration,
}

/// How long the new holder of a claim must wait, given the previous item and the leg that handed over the claim.
///
/// `expects_item`: an earlier operation must have left an item; without one, its holder is unknown.
pub fn waits(
    claimant: &Claimant,
    old: Option<&Item>,
    handed: Option<(&str, Waits)>,
    timing: &Timing,
    now: &Now,
) -> Waits {
    let Some(old) = old else {
        // The table has been lost, or is new: who held the claim is unknown. A Create comes first as a rule.
        let unknown = claimant.verb != Verb::Create && handed.is_none();
        return if unknown { pre_empted(timing) } else { handed.map(|(_, waits)| waits).unwrap_or_default() };
    };
    let mut waits = match handed {
        Some((by, waits)) if by == old.by => waits,
        // The claim's first answer was lost; the holder before this one is unknown.
        _ if old.busy || old.by == claimant.by => pre_empted(timing),
        _ => Waits::default(),
    };
    if let Some(wrote_at) = old.wrote_at {
        waits.close = waits.close.max(timing.read_lag.saturating_sub(now.since(wrote_at)));
    }
    waits
}

fn pre_empted(timing: &Timing) -> Waits {
    Waits { look: timing.quiet(), close: timing.visible() }
}

/// The other forges that an operation deletes: all that operations on this resource have started to create, except the
/// desired and the kept one.
pub fn duties(begun: &BTreeSet<String>, wanted: Option<&str>, kept: Option<&str>) -> BTreeSet<String> {
    let stays = |forge: &str| Some(forge) == wanted || Some(forge) == kept;
    begun.iter().filter(|forge| !stays(forge)).cloned().collect()
}

/// Claims for a sweep, but only if no other invocation is active. Order, operation and outcome are unchanged, so any
/// operation can take over the claim.
pub fn claim_for_sweep(key: &str, by: &str, now: Timestamp) -> Update {
    let by = Value::S(by.to_owned());
    let [missing, idle, stale] = [Condition::Missing(&[KEY]), is_idle(), is_stale(now)];
    Update {
        key: key.to_owned(),
        edits: vec![
            Edit::Set("by", by.clone()),
            Edit::Set("busy", Value::Bool(true)),
            Edit::Set("claimed_at", Value::N(now.0)),
        ],
        condition: Condition::Any(vec![missing, idle, stale, Condition::Is(&["by"], by)]),
    }
}

/// No invocation is active.
fn is_idle() -> Condition {
    Condition::Is(&["busy"], Value::Bool(false))
}

/// The holder has died without a trace.
fn is_stale(now: Timestamp) -> Condition {
    Condition::Less(&["claimed_at"], Value::N(now.0 - STALE.as_millis().try_into().unwrap_or(i64::MAX)))
}

/// Ends a claim without an outcome: of a sweep, or on a forge.
pub fn release(key: &str, by: &str, now: Timestamp) -> Update {
    Update {
        key: key.to_owned(),
        edits: vec![Edit::Set("wrote_at", Value::N(now.0)), Edit::Set("busy", Value::Bool(false))],
        condition: Condition::Is(&["by"], Value::S(by.to_owned())),
    }
}

/// Time after which no invocation can hold a claim: all legs of an operation have ended.
const STALE: Duration = Duration::from_hours(2);

#[cfg(test)]
mod tests;
