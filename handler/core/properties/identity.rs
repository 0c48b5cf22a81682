//! Lenient reading of properties that may be faulty: those of a Delete, and the old ones of an Update.

use serde_json::{Map, Value};

use super::{Fault, checks, read};

/// The properties that a queue cannot change: changing one replaces the forge.
///
/// **Invariant**: these defaults are frozen. The forge ID is derived from them, so another default would change the ID
/// of forges without the property, and replace them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Graviton: a queue has one architecture.
    pub arm64: bool,
    /// A queue has either Fargate or EC2 environments.
    pub fargate_head: bool,
    /// A queue can neither gain nor lose a scheduling policy.
    pub scheduling_policy: bool,
}

/// Reads the identity; `None` if it cannot be read.
pub fn identity(raw: &Map<String, Value>) -> Option<Identity> {
    Some(Identity {
        arm64: flag(raw, "Arm64Enabled", false)?,
        fargate_head: flag(raw, "FargateHeadEnabled", false)?,
        scheduling_policy: match read::present(raw, "SchedulingPolicyArn") {
            None => false,
            Some(Value::String(_)) => true,
            Some(_) => return None,
        },
    })
}

/// The forge ID that the stack chose, if it is valid.
pub fn forge_id(raw: &Map<String, Value>) -> Option<String> {
    let id = read::present(raw, "ForgeId").and_then(read::scalar)?;
    checks::forge_id(&id).then_some(id)
}

/// Whether Delete removes the forge's resources.
///
/// # Errors
///
/// The value is neither true nor false, and must not remove anything.
pub fn dispose_on_deletion(raw: &Map<String, Value>) -> Result<bool, Fault> {
    flag(raw, "DisposeOnDeletion", true)
        .ok_or_else(|| Fault::form("DisposeOnDeletion", raw.get("DisposeOnDeletion").unwrap_or(&Value::Null)))
}

fn flag(raw: &Map<String, Value>, name: &str, default: bool) -> Option<bool> {
    read::present(raw, name).map_or(Some(default), read::boolean)
}
