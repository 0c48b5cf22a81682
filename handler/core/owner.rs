//! Ownership of resources. Only tags decide it, on every path.

use crate::name::{FORGE_TAG, LOGICAL_TAG, RELEASED_TAG, STACK_TAG};
use crate::resource::Tags;

/// The owner of a forge: one resource of one stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The forge.
    pub forge_id: String,
    /// The stack, by its ARN.
    pub stack_id: String,
    /// The resource of the stack.
    pub logical_id: String,
    /// Whether it may adopt a forge that another stack has released, because the stack names or named the forge's ID.
    pub adopts: bool,
}

impl Owner {
    /// The tags that identify its resources.
    pub fn tags(&self) -> Tags {
        let tags =
            [(FORGE_TAG, &self.forge_id), (STACK_TAG, &self.stack_id), (LOGICAL_TAG, &self.logical_id)];
        tags.into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect()
    }

    /// Whether it may change and delete a resource with these tags.
    pub fn owns(&self, tags: &Tags) -> bool {
        let is = |key: &str, value: &str| tags.get(key).map(String::as_str) == Some(value);
        let released = self.adopts && tags.contains_key(RELEASED_TAG);
        let of_this_stack = is(STACK_TAG, &self.stack_id) && is(LOGICAL_TAG, &self.logical_id);
        is(FORGE_TAG, &self.forge_id) && (of_this_stack || released)
    }
}

/// The owner of a resource with these tags, for messages.
pub fn describe_owner(tags: &Tags) -> String {
    let tag = |key: &str| tags.get(key).map(String::as_str);
    match (tag(FORGE_TAG), tag(STACK_TAG)) {
        (Some(forge), Some(stack)) => {
            let logical = tag(LOGICAL_TAG).unwrap_or("an unnamed resource");
            format!("forge {forge} of {logical} in stack {stack}")
        }
        (Some(forge), None) => format!("forge {forge} of an unknown stack"),
        _ => "another owner; it has no Tower Forge tags".to_owned(),
    }
}
