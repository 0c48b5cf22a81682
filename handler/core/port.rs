//! The port: the traits through which the engine acts. The adapters in `handler/aws/` and `handler/edge/` implement it
//! for AWS, the simulation in memory.
//!
//! Its unit is **one mutating AWS call**: the engine decides the sequence of calls, and an adapter only maps. Errors
//! cross it with AWS's operation, code and message; the core interprets them.

use crate::claim::Permit;
use crate::error::{Error, Result};
use crate::event::ResponseUrl;
use crate::leg::Continuation;
use crate::name::Names;
use crate::network::Network;
use crate::properties::Properties;
use crate::registry::{Observed, Write};
use crate::resource::{Kind, Listing};
use crate::table::{Attributes, TableError, Update, Updated};
use std::time::Duration;

/// A point in time by the wall clock, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// A point in time given in seconds.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// In whole seconds since 1970.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

/// The time of both clocks of a host.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Time since the process started, by the monotonic clock, in AWS time.
    pub mono: Duration,
    /// The time by the wall clock.
    pub wall: Timestamp,
    /// Real seconds per second of AWS time: 1 on AWS, less in a local cloud.
    pub scale: f64,
}

impl Now {
    /// Time since a moment by the wall clock, in AWS time; zero if it is in the future.
    pub fn since(&self, then: Timestamp) -> Duration {
        let milliseconds = u64::try_from(self.wall.0.saturating_sub(then.0)).unwrap_or_default();
        #[allow(clippy::cast_precision_loss)] // far fewer than 2^52
        Duration::from_secs_f64(milliseconds as f64 / 1000.0 / self.scale)
    }
}

impl Now {
    /// Time since a date, in real time.
    pub fn since_date(&self, date: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.wall.0.saturating_sub(date.0)).unwrap_or_default())
    }
}

/// The clocks of the host.
#[expect(async_fn_in_trait, reason = "the runtime is single-threaded, so no future has to be Send")]
pub trait Clock {
    /// The current time.
    fn now(&self) -> Now;

    /// Waits, in AWS time.
    async fn sleep(&self, pause: Duration);

    /// 64 random bits, to distinguish invocations.
    fn random(&self) -> u64;
}

/// The claim's table.
#[expect(async_fn_in_trait, reason = "the runtime is single-threaded, so no future has to be Send")]
pub trait Table {
    /// Reads an item, consistently.
    async fn read(&self, key: &str) -> Result<Option<Attributes>, TableError>;

    /// Updates an item. The adapter may retry it: the condition of every update also holds for its result.
    async fn update(&self, update: &Update) -> Result<Updated, TableError>;
}

/// The sink of responses.
#[expect(async_fn_in_trait, reason = "the runtime is single-threaded, so no future has to be Send")]
pub trait Responder {
    /// Sends a response to CloudFormation, with retries until the invocation ends.
    async fn respond(&self, url: &ResponseUrl, body: &str) -> Result<(), Undelivered>;
}

/// CloudFormation does not have the response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The URL has expired or was never valid; a retry is useless.
    #[error("the response URL was refused with status {0}")]
    Refused(u16),
    /// CloudFormation could not be reached until time ran out.
    #[error("the response could not be delivered: {0}")]
    Unreachable(String),
}

/// CloudFormation's view of a resource of a stack.
#[derive(Clone, Debug)]
pub enum Shown {
    /// The status, and the physical ID that CloudFormation has recorded.
    Resource {
        /// E.g. `CREATE_IN_PROGRESS`.
        status: String,
        /// The physical ID, once there is one.
        physical_id: Option<String>,
    },
    /// No such resource, or no such stack.
    Nothing,
    /// Unknown: another account's stack, or a failure that may pass.
    Unknown,
    /// The function may not ask.
    Denied(Error),
}

/// The owner of a resource that the sweep may have to delete, as in its tags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sweepable {
    /// The forge.
    pub forge_id: String,
    /// The stack, by its ARN.
    pub stack_id: String,
    /// The resource of the stack.
    pub logical_id: String,
}

/// AWS, as the function uses it.
#[expect(async_fn_in_trait, reason = "the runtime is single-threaded, so no future has to be Send")]
pub trait Cloud: Clock + Table + Responder {
    /// Observes all resources of a kind with a forge's names.
    async fn list(&self, kind: Kind, names: &Names) -> Result<Listing<Observed>>;

    /// Makes one mutating call in one attempt, which has ended when this returns.
    async fn write(&self, permit: &Permit, write: &Write) -> Result<()>;

    /// Looks up and checks the network of a forge.
    async fn network(&self, properties: &Properties, names: &Names) -> Result<Network>;

    /// CloudFormation's view of a resource.
    async fn shown(&self, stack_id: &str, logical_id: &str) -> Shown;

    /// The status of a stack; `None` if unknown.
    async fn stack_status(&self, stack_id: &str) -> Option<String>;

    /// The forges of the region with draining environments or limits to be lowered, and those with a launch template.
    async fn sweepable(&self, prefix: &str) -> Result<Vec<Sweepable>>;

    /// Invokes the function again with the same event and a continuation.
    async fn continue_later(&self, continuation: &Continuation) -> Result<()>;
}
