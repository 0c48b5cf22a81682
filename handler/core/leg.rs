//! The state that one invocation passes to the next of the same operation, for waits that outlast an invocation.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Maximum number of invocations of an operation; Lambda itself stops a chain of about sixteen.
pub const LEGS: u32 = 5;

/// The state for the next invocation. Times are durations from the hand-over, because hosts' clocks differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Continuation {
    /// The number of the invocation in the chain, from 2.
    pub leg: u32,
    /// The holder that hands over the claim.
    pub by: String,
    /// The operation, for an event whose URL is unsigned.
    pub operation: String,
    /// When the operation was signed, in seconds since 1970, for an event whose URL is unsigned.
    pub signed: i64,
    /// Time until observations count, in milliseconds.
    #[serde(default)]
    pub look_not_before: u64,
    /// Time until absences count, in milliseconds.
    #[serde(default)]
    pub close_not_before: u64,
    /// The forge that a Delete keeps, because CloudFormation shows it.
    #[serde(default)]
    pub kept: Option<String>,
}

impl Continuation {
    /// Time until observations count.
    pub fn look(&self) -> Duration {
        Duration::from_millis(self.look_not_before)
    }

    /// Time until absences count.
    pub fn close(&self) -> Duration {
        Duration::from_millis(self.close_not_before)
    }
}
