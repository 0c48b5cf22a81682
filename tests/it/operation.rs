//! The operations of CloudFormation on a resource, and the statuses of stack and resource meanwhile.

use serde_json::{Map, Value};

use crate::response_url::{Counts, Statuses};

/// An operation of CloudFormation on the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
    RollBackUpdate,
    Delete,
    RollBackCreate,
    CleanUp,
    CleanUpRollBack,
}

impl Operation {
    /// The `RequestType` in the event.
    pub(crate) fn request_type(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update | Self::RollBackUpdate => "Update",
            Self::Delete | Self::RollBackCreate | Self::CleanUp | Self::CleanUpRollBack => "Delete",
        }
    }

    /// When the ID of its answer becomes the resource's.
    pub(crate) fn counts(self) -> Counts {
        match self {
            Self::Create => Counts::Always,
            Self::Update | Self::RollBackUpdate => Counts::AfterSuccess,
            Self::Delete | Self::RollBackCreate | Self::CleanUp | Self::CleanUpRollBack => Counts::Never,
        }
    }

    /// The statuses after a failure that is not rolled back.
    pub(crate) fn stays_failed(self) -> Option<Statuses> {
        match self {
            Self::Create => Some(Statuses("CREATE_FAILED", "CREATE_FAILED")),
            Self::Update => Some(Statuses("UPDATE_FAILED", "UPDATE_FAILED")),
            _ => None,
        }
    }

    /// The statuses while it runs, after its success, and after its failure.
    pub(crate) fn statuses(self) -> [Statuses; 3] {
        let [running, succeeded, failed] = match self {
            Self::Create => [
                "CREATE_IN_PROGRESS CREATE_IN_PROGRESS",
                "CREATE_COMPLETE CREATE_COMPLETE",
                "ROLLBACK_IN_PROGRESS CREATE_FAILED",
            ],
            Self::Update => [
                "UPDATE_IN_PROGRESS UPDATE_IN_PROGRESS",
                "UPDATE_COMPLETE UPDATE_COMPLETE",
                "UPDATE_ROLLBACK_IN_PROGRESS UPDATE_FAILED",
            ],
            Self::RollBackUpdate => [
                "UPDATE_ROLLBACK_IN_PROGRESS UPDATE_IN_PROGRESS",
                "UPDATE_ROLLBACK_COMPLETE UPDATE_COMPLETE",
                "UPDATE_ROLLBACK_FAILED UPDATE_FAILED",
            ],
            Self::Delete => [
                "DELETE_IN_PROGRESS DELETE_IN_PROGRESS",
                "DELETE_COMPLETE DELETE_COMPLETE",
                "DELETE_FAILED DELETE_FAILED",
            ],
            Self::RollBackCreate => [
                "ROLLBACK_IN_PROGRESS DELETE_IN_PROGRESS",
                "ROLLBACK_COMPLETE DELETE_COMPLETE",
                "ROLLBACK_FAILED DELETE_FAILED",
            ],
            // The resource is the new one by now, and complete.
            Self::CleanUp => [
                "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS UPDATE_COMPLETE",
                "UPDATE_COMPLETE UPDATE_COMPLETE",
                "UPDATE_COMPLETE UPDATE_COMPLETE",
            ],
            // The same after the rollback of an Update that had replaced it.
            Self::CleanUpRollBack => [
                "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS UPDATE_COMPLETE",
                "UPDATE_ROLLBACK_COMPLETE UPDATE_COMPLETE",
                "UPDATE_ROLLBACK_COMPLETE UPDATE_COMPLETE",
            ],
        }
        .map(|pair| pair.split_once(' ').expect("a pair"));
        [running, succeeded, failed].map(|(stack, resource)| Statuses(stack, resource))
    }
}

/// Properties as they arrive at a custom resource: every scalar a string, and no nulls.
pub(crate) fn stringified(value: &Value) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) => Value::String(value.to_string()),
        Value::Array(list) => list.iter().filter(|it| !it.is_null()).map(stringified).collect(),
        Value::Object(map) => map
            .iter()
            .filter(|(_, it)| !it.is_null())
            .map(|(key, it)| (key.clone(), stringified(it)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Null | Value::String(_) => value.clone(),
    }
}
