//! The claim: one invocation at a time may write for a resource of a stack.
//!
//! CloudFormation sends Delete while a Create still runs and a rollback while the cancelled Update still runs, and
//! Lambda delivers an event twice. One item per resource of a stack, in a table that is only written with conditions,
//! names the invocation that may write. Whoever is not named writes nothing. Whoever takes the name from one that may
//! be at work waits until nothing of the other can be under way. There is no expiry and no heartbeat, and no clock of
//! another host is trusted for safety.
//!
//! The table orders; it owns nothing. Ownership stays with the tags, and a lost table loses no forge.
//!
//! This file holds the rules, which are pure; [`writer`] carries them out.

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

/// How long a permit is good and calls may take. The same on all hosts of a deployment.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a look at the item permits to write, counted from before it was sent.
    pub permit: Duration,
    /// Within which time a call that was sent takes effect, or never: the time-out of its one attempt.
    pub call: Duration,
    /// How long reads of IAM, EC2 and Batch may lag behind writes.
    pub read_lag: Duration,
}

impl Timing {
    /// AWS's.
    pub const AWS: Self = Self {
        permit: Duration::from_secs(15),
        call: Duration::from_secs(20),
        read_lag: Duration::from_secs(30),
    };
    /// For rounding, and for the host that answers late.
    const MARGIN: Duration = Duration::from_secs(5);

    /// After which time nothing of an invocation that has lost its name can be under way.
    pub fn quiet(&self) -> Duration {
        self.permit + self.call + Self::MARGIN
    }

    /// After which time reads show all that an invocation did which has lost its name.
    pub fn visible(&self) -> Duration {
        self.permit + self.call + self.read_lag
    }
}

/// The right to write, for some seconds. Only the gate makes one, and it cannot be copied, so nothing is written
/// without the claim.
#[derive(Debug)]
pub struct Permit {
    mono: Duration,
    wall: Timestamp,
    lasts: Duration,
}

impl Permit {
    /// From a look at the item that was sent at `sent`.
    fn new(sent: &Now, timing: &Timing) -> Self {
        Self { mono: sent.mono, wall: sent.wall, lasts: timing.permit }
    }

    /// Whether it still holds, by both clocks: a frozen process may have a monotonic clock that stood still.
    pub fn holds(&self, now: &Now) -> bool {
        now.mono < self.mono + self.lasts && now.since(self.wall) < self.lasts
    }
}

/// What CloudFormation asks for, as far as the order of operations goes.
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

/// An invocation that wants to write for a resource of a stack.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// The key of the resource's item.
    pub key: String,
    /// The stack, for people.
    pub stack_id: String,
    /// The resource, for people.
    pub logical_id: String,
    /// The operation: the same for all deliveries, legs and the dead-letter record of one signing, another for each
    /// signing. CloudFormation's request ID is not, because CloudFormation uses it again.
    pub operation: String,
    /// The second in which it was signed.
    pub signed: i64,
    /// What is asked for.
    pub verb: Verb,
    /// A digest of what is asked for.
    pub digest: String,
    /// This invocation.
    pub by: String,
}

/// What the item means for an operation that does not hold the claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// The operation has been answered, with this body.
    Answered(String),
    /// A newer operation has begun.
    Superseded,
    /// Another operation that was signed in the same second has won.
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

    /// Whether an Update wants what another operation has established: then it undoes something.
    pub fn is_rollback(&self, item: Option<&Item>) -> bool {
        let record = item.and_then(|item| item.record.as_ref());
        self.verb == Verb::Update
            && record.is_some_and(|record| record.digest == self.digest && record.operation != self.operation)
    }

    /// The operation's place in the order; strict and total, so that the loser of a tie can never take it back.
    pub fn order(&self, item: Option<&Item>) -> Order {
        Order::new(self.signed, self.rank(item), &self.operation)
    }

    /// What the item means for this operation.
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

    /// Takes the name.
    ///
    /// The condition compares the holder that was seen, because a late first try of the SDK must not name somebody
    /// who has left. It is true of its own result, so that a retry after a lost answer wins again.
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

    /// Records how the operation ended. Before the response is sent, so that no other delivery can contradict it.
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
            Recorded::Forge(forge) => {
                let (operation, digest) = (self.operation.clone(), self.digest.clone());
                let record = Record { operation, forge: forge.clone(), digest };
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
    /// Records, for an invocation that died, that its operation has failed. Calls of the dead one may still be under
    /// way, so `busy` stays as it is; the outcome bears the name of who writes it, or the holder could overwrite it.
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

/// How long the item of a resource without any forge is kept, in seconds.
const KEPT: i64 = 7 * 24 * 3600;

/// How an operation ended, for the item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct End {
    /// The body of the response.
    pub body: String,
    /// Whether calls of a predecessor may still be under way.
    pub busy: bool,
    /// What was established.
    pub record: Recorded,
    /// The forges that do not exist any more.
    pub gone: BTreeSet<String>,
    /// Whether no forge is left.
    pub forget: bool,
}

/// What an operation has established.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Recorded {
    /// Nothing: it failed, or what it removed had been replaced.
    #[default]
    Nothing,
    /// This forge, as the operation wanted it.
    Forge(String),
    /// That there is no forge.
    Gone,
}

/// From when on looks count, as durations from the moment of the claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Until then calls of a predecessor may be under way: only reads, and none of them counts.
    pub look: Duration,
    /// Until then reads may not show what a predecessor did: an absence proves nothing.
    pub close: Duration,
}

/// How long the new holder of a claim has to wait, given the item as it was before and the leg that handed it over.
///
/// `expects_item`: an operation before this one must have left an item; without one its holder is unknown.
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
        // The claim's first answer was lost; whoever was named before is unknown.
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

/// The forges that an operation brings to nothing, apart from what it is about: all that operations on this resource
/// have begun, but for the wanted one and the kept one.
pub fn duties(begun: &BTreeSet<String>, wanted: Option<&str>, kept: Option<&str>) -> BTreeSet<String> {
    let stays = |forge: &str| Some(forge) == wanted || Some(forge) == kept;
    begun.iter().filter(|forge| !stays(forge)).cloned().collect()
}

/// Takes the name for a sweep: only where nobody is at work. Order, operation and outcome stay as they are, so that
/// any operation takes it away again.
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

/// Nobody is at work.
fn is_idle() -> Condition {
    Condition::Is(&["busy"], Value::Bool(false))
}

/// Whoever is named has died without a trace.
fn is_stale(now: Timestamp) -> Condition {
    Condition::Less(&["claimed_at"], Value::N(now.0 - STALE.as_millis().try_into().unwrap_or(i64::MAX)))
}

/// Ends a claim that has no outcome: a sweep's, or the one on a forge.
pub fn release(key: &str, by: &str, now: Timestamp) -> Update {
    Update {
        key: key.to_owned(),
        edits: vec![Edit::Set("wrote_at", Value::N(now.0)), Edit::Set("busy", Value::Bool(false))],
        condition: Condition::Is(&["by"], Value::S(by.to_owned())),
    }
}

/// After which time nobody can hold a claim any more: all legs of an operation are over.
const STALE: Duration = Duration::from_hours(2);

#[cfg(test)]
mod tests;
