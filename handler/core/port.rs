//! The port: all that the engine asks of the world. The adapters in `handler/aws/` and `handler/edge/` answer for AWS,
//! the simulation answers from memory.
//!
//! It is cut at **one mutating AWS call**: the engine decides which calls, one after the other, and an adapter only
//! maps. Errors cross as AWS gave them (operation, code, message); what they mean is decided here.

use crate::claim::Permit;
use crate::error::Result;
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

/// What both clocks of a host show at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Since the process began, by a clock that never goes back, in AWS's time.
    pub mono: Duration,
    /// By the wall clock.
    pub wall: Timestamp,
    /// Real seconds per second of AWS's time: 1 on AWS, less in a local cloud.
    pub scale: f64,
}

impl Now {
    /// How long ago something was by the wall clock, in AWS's time; zero if it is yet to come.
    pub fn since(&self, then: Timestamp) -> Duration {
        let milliseconds = u64::try_from(self.wall.0.saturating_sub(then.0)).unwrap_or_default();
        #[allow(clippy::cast_precision_loss)] // far fewer than 2^52
        Duration::from_secs_f64(milliseconds as f64 / 1000.0 / self.scale)
    }
}

impl Now {
    /// How long ago a date was, in real time, as people count it.
    pub fn since_date(&self, date: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.wall.0.saturating_sub(date.0)).unwrap_or_default())
    }
}

/// The clocks of the host.
#[expect(async_fn_in_trait, reason = "the runtime is single-threaded, so no future has to be Send")]
pub trait Clock {
    /// What they show.
    fn now(&self) -> Now;

    /// Waits, in AWS's time.
    async fn sleep(&self, pause: Duration);

    /// 64 random bits, to tell one invocation from another.
    fn random(&self) -> u64;
}

/// The claim's table.
#[expect(async_fn_in_trait, reason = "the runtime is single-threaded, so no future has to be Send")]
pub trait Table {
    /// Reads an item, consistently.
    async fn read(&self, key: &str) -> Result<Option<Attributes>, TableError>;

    /// Updates an item. May be tried again by the adapter: every update is true of its own result.
    async fn update(&self, update: &Update) -> Result<Updated, TableError>;
}

/// Where responses go.
#[expect(async_fn_in_trait, reason = "the runtime is single-threaded, so no future has to be Send")]
pub trait Responder {
    /// Puts a response to CloudFormation, and tries again until the invocation ends.
    async fn respond(&self, url: &ResponseUrl, body: &str) -> Result<(), Undelivered>;
}

/// CloudFormation does not have the response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The URL has expired or was never valid; trying again is useless.
    #[error("the response URL was refused with status {0}")]
    Refused(u16),
    /// CloudFormation could not be reached until time ran out.
    #[error("the response could not be delivered: {0}")]
    Unreachable(String),
}

/// What CloudFormation shows of a resource of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// This status, and the physical ID that CloudFormation counts.
    Resource {
        /// E.g. `CREATE_IN_PROGRESS`.
        status: String,
        /// The physical ID, once there is one.
        physical_id: Option<String>,
    },
    /// No such resource, or no such stack.
    Nothing,
    /// It cannot be told: another account's stack, or a failure.
    Unknown,
}

/// A resource that the sweep may have to collect, as its tags describe its owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sweepable {
    /// The forge.
    pub forge_id: String,
    /// The stack, by its ARN.
    pub stack_id: String,
    /// The resource of the stack.
    pub logical_id: String,
}

/// AWS, as the function sees it.
#[expect(async_fn_in_trait, reason = "the runtime is single-threaded, so no future has to be Send")]
pub trait Cloud: Clock + Table + Responder {
    /// Looks at all resources of a kind that bear a forge's names.
    async fn list(&self, kind: Kind, names: &Names) -> Result<Listing<Observed>>;

    /// Makes one mutating call: one attempt, which has ended when this returns.
    async fn write(&self, permit: &Permit, write: &Write) -> Result<()>;

    /// Looks up and checks where a forge is put.
    async fn network(&self, properties: &Properties, names: &Names) -> Result<Network>;

    /// What CloudFormation shows of a resource.
    async fn shown(&self, stack_id: &str, logical_id: &str) -> Shown;

    /// The status of a stack; `None` where it cannot be told.
    async fn stack_status(&self, stack_id: &str) -> Option<String>;

    /// The forges of the region that have something which drains, and those that have a launch template.
    async fn sweepable(&self, prefix: &str) -> Result<Vec<Sweepable>>;

    /// Invokes the function again with the same event and a continuation.
    async fn continue_later(&self, continuation: &Continuation) -> Result<()>;
}
