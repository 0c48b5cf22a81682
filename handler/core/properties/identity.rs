//! Lenient reading of properties that may be faulty: those of a Delete, and the old ones of an Update.

use serde_json::{Map, Value};

use super::{Fault, checks, read};

const ARM64: &str = "arm64";
const FARGATE_HEAD: &str = "fargate-head";
const SCHEDULING_POLICY: &str = "scheduling-policy";
/// The tag if none of them is set.
const PLAIN: &str = "plain";

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

impl Identity {
    /// The properties that differ from `now`, each with the value that it has in `self`.
    pub fn differences(self, now: Self) -> Vec<String> {
        let pairs = self.named().into_iter().zip(now.named());
        let differing = pairs.filter(|((_, was), (_, is))| was != is);
        differing.map(|((property, was), _)| format!("{property} was {was}")).collect()
    }

    fn named(self) -> [(&'static str, &'static str); 3] {
        let flag = |set| if set { "true" } else { "false" };
        let policy = if self.scheduling_policy { "given" } else { "not given" };
        [
            ("Arm64Enabled", flag(self.arm64)),
            ("FargateHeadEnabled", flag(self.fargate_head)),
            ("SchedulingPolicyArn", policy),
        ]
    }

    /// The value of the tag that keeps the identity on a queue.
    pub fn tag(self) -> String {
        let words = self.words().join(" ");
        if words.is_empty() { PLAIN.to_owned() } else { words }
    }

    /// Reads such a tag; `None` if a later release wrote it.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let is = |word| tag.split(' ').any(|each| each == word);
        let identity = Self {
            arm64: is(ARM64),
            fargate_head: is(FARGATE_HEAD),
            scheduling_policy: is(SCHEDULING_POLICY),
        };
        (identity.tag() == tag).then_some(identity)
    }

    /// A word for each property that is set. **Invariant**: these are frozen, because forge IDs are derived from them.
    pub fn words(self) -> Vec<&'static str> {
        let all = [
            (ARM64, self.arm64),
            (FARGATE_HEAD, self.fargate_head),
            (SCHEDULING_POLICY, self.scheduling_policy),
        ];
        all.into_iter().filter(|(_, set)| *set).map(|(word, _)| word).collect()
    }
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
