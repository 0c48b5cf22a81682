//! What one invocation hands to the next of the same operation: a wait that is longer than one invocation.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most invocations that one operation takes; Lambda itself stops a chain of about sixteen.
pub const LEGS: u32 = 5;

/// What the next invocation has to know. Times are durations from the moment of the hand-over: hosts' clocks differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Continuation {
    /// Which invocation of the chain it is, from 2.
    pub leg: u32,
    /// The holder of the claim that hands it over.
    pub by: String,
    /// The operation, for an event whose URL is unsigned.
    pub operation: String,
    /// When the operation was signed, in seconds since 1970, for an event whose URL is unsigned.
    pub signed: i64,
    /// How long no look counts yet, in milliseconds.
    #[serde(default)]
    pub look_not_before: u64,
    /// How long an absence proves nothing yet, in milliseconds.
    #[serde(default)]
    pub close_not_before: u64,
    /// The forge that a Delete keeps, because CloudFormation shows it.
    #[serde(default)]
    pub kept: Option<String>,
}

impl Continuation {
    /// How long no look counts yet.
    pub fn look(&self) -> Duration {
        Duration::from_millis(self.look_not_before)
    }

    /// How long an absence proves nothing yet.
    pub fn close(&self) -> Duration {
        Duration::from_millis(self.close_not_before)
    }
}
