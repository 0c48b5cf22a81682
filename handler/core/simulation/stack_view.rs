//! CloudFormation's view of a stack, and the response that it waits for.

use crate::executor::{Ms, S, TaskId};
use crate::stacks::Stack;
use crate::world::World;
use std::collections::BTreeMap;
use tower_forge_core::claim::Verb;
use tower_forge_core::event::Request;
use tower_forge_core::port::{Shown, Timestamp};

/// The status of the resource and its stack, and since when.
#[derive(Clone, Debug)]
struct Row {
    at: Ms,
    status: &'static str,
    physical_id: Option<String>,
    stack_status: &'static str,
}

/// An answer that CloudFormation waits for.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// Its request, which an answer must name.
    pub(crate) request_id: String,
    /// The operation.
    pub(crate) operation: String,
    /// The answer: whether it is SUCCESS, and the physical ID.
    pub(crate) answer: Option<(bool, String)>,
}

/// An operation that CloudFormation has asked for.
#[derive(Clone)]
pub(crate) struct Asked {
    /// The stack.
    pub(crate) stack: Stack,
    /// The request as the function reads it.
    pub(crate) request: Request,
    /// The verb.
    pub(crate) verb: Verb,
    /// When it was signed.
    pub(crate) signed: Ms,
    /// Whether CloudFormation's clock had been set back.
    pub(crate) is_early: bool,
    /// Its place among all that were asked for.
    pub(crate) number: usize,
}

impl Asked {
    /// When it was signed, as its URL says.
    pub(crate) fn signed_at(&self) -> Timestamp {
        Timestamp::from_secs(self.request.envelope.response_url.signed_at().unwrap_or_default())
    }
}

/// CloudFormation's side of the life.
#[derive(Default)]
pub(crate) struct StackView {
    rows: Vec<Row>,
    /// The response that it waits for.
    pub(crate) waiting: Option<Waiting>,
    /// All operations by ID.
    pub(crate) asked: BTreeMap<String, Asked>,
    /// Whether the resource itself is being deleted.
    pub(crate) is_ending: bool,
    /// The action that is denied to the function now.
    pub(crate) denied: Option<&'static str>,
    /// Whether it tells the function nothing now.
    pub(crate) is_silent: bool,
    /// By how much its clock is set back for the next operation of a named life.
    pub(crate) set_back: Ms,
    /// Whether the operation under way may stay without an answer.
    pub(crate) is_excused: bool,
    /// The task that plays CloudFormation.
    pub(crate) driver: Option<TaskId>,
}

impl StackView {
    /// The physical ID that counts now.
    pub(crate) fn physical_id(&self) -> Option<&str> {
        self.rows.last().and_then(|row| row.physical_id.as_deref())
    }

    /// Whether the resource has been deleted.
    pub(crate) fn is_gone(&self) -> bool {
        self.rows.last().is_some_and(|row| row.status == "DELETE_COMPLETE")
    }

    /// Whether the resource is at rest.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.rows
            .last()
            .is_some_and(|row| row.status.ends_with("_COMPLETE") && row.status != "DELETE_COMPLETE")
    }
}

impl StackView {
    /// The newest operation.
    pub(crate) fn newest(&self) -> Option<&Asked> {
        self.asked.values().max_by_key(|asked| asked.number)
    }

    /// Whether an Update of the stack is being rolled back.
    pub(crate) fn is_rolling_back(&self) -> bool {
        self.rows.last().is_some_and(|row| row.stack_status == "UPDATE_ROLLBACK_IN_PROGRESS")
    }

    /// Since when the stack has been in progress, if it is.
    pub(crate) fn in_progress_since(&self) -> Option<Ms> {
        let works = self.rows.iter().rev().take_while(|row| row.stack_status.ends_with("_IN_PROGRESS"));
        works.last().map(|row| row.at)
    }
}

impl World {
    /// From now on CloudFormation shows this.
    pub(crate) fn show(
        &self,
        stack: Stack,
        status: &'static str,
        physical_id: Option<&str>,
        stack_status: &'static str,
    ) {
        self.say(|| {
            let id = physical_id.unwrap_or("-");
            format!("CloudFormation shows {status} {id} ({stack_status}) of the {stack:?}")
        });
        let row = Row { at: self.now(), status, physical_id: physical_id.map(str::to_owned), stack_status };
        self.view(stack).borrow_mut().rows.push(row);
        // The second stack may wait for a moment of the first.
        self.wake_driver(Stack::Second);
    }

    fn row(&self, stack: Stack) -> Option<Row> {
        let lag = if self.chance(200) { self.sim.rng.range(0, 3 * S) } else { 0 };
        if lag > 0 && self.view(stack).borrow().newest().is_some_and(|asked| asked.is_early) {
            self.excuse(stack, "an operation that was signed too early is not shown yet");
        }
        let at = self.now().saturating_sub(lag);
        self.view(stack).borrow().rows.iter().rev().find(|row| row.at <= at).cloned()
    }

    /// CloudFormation's view of a resource.
    pub(crate) fn shown_now(&self, stack_id: &str, logical_id: &str) -> Shown {
        let Some(stack) = Stack::of(stack_id, logical_id) else { return Shown::Nothing };
        if self.view(stack).borrow().is_silent || self.chance(5) {
            return Shown::Unknown;
        }
        match self.row(stack) {
            Some(row) => Shown::Resource { status: row.status.to_owned(), physical_id: row.physical_id },
            None => Shown::Nothing,
        }
    }

    /// CloudFormation's view of a stack.
    pub(crate) fn stack_status_now(&self, stack_id: &str) -> Option<String> {
        if self.chance(5) {
            return None;
        }
        let stack = Stack::ALL.into_iter().find(|stack| stack.id() == stack_id)?;
        self.row(stack).map(|row| row.stack_status.to_owned())
    }
}
