//! The second claim, on a forge whose ID is set in a stack: another stack may set the same ID.
//!
//! The item of a resource orders the operations on one resource of a stack. Two stacks that set the same `ForgeId` have
//! two such items, so an additional item of the forge lets one of them write at a time. It has no order and no outcome:
//! the second stack waits, and then the tags decide ownership. Without it, several stacks that adopt a forge at once
//! would each get some of its resources.

use super::{Claimant, Item, is_idle, is_stale};
use crate::port::Timestamp;
use crate::table::{Condition, Edit, KEY, Update, Value};

/// The key of the item of a forge.
pub fn forge_key(forge: &str) -> String {
    format!("forge#{forge}")
}

impl Claimant {
    /// Claims the item of a forge if no invocation of another stack is active.
    ///
    /// Like [`Claimant::claim`] it compares the holder that was read. The item must be read before the permit for the
    /// resource ends, or before the gate of the resource's item is found open. Then an invocation that has lost the resource
    /// cannot take the forge from its new holder, which waits until no permit is valid any more.
    pub fn claim_forge(&self, forge: &str, seen: Option<&Item>, now: Timestamp) -> Update {
        let text = |text: &str| Value::S(text.to_owned());
        let others = seen.filter(|item| item.by != self.by);
        let seen = others.map(|item| Condition::Is(&["by"], text(&item.by)));
        // A retry, but not a late first try after the release: nobody would release the forge again.
        let mine = Condition::All(vec![
            Condition::Is(&["by"], text(&self.by)),
            Condition::Is(&["busy"], Value::Bool(true)),
        ]);
        let ours = Condition::All(vec![
            Condition::Is(&["stack"], text(&self.stack_id)),
            Condition::Is(&["logical"], text(&self.logical_id)),
        ]);
        let unchanged = Condition::Any(seen.into_iter().chain([mine]).collect());
        let free = Condition::Any(vec![ours, is_idle(), is_stale(now)]);
        Update {
            key: forge_key(forge),
            edits: vec![
                Edit::Set("by", text(&self.by)),
                Edit::Set("busy", Value::Bool(true)),
                Edit::Set("claimed_at", Value::N(now.0)),
                Edit::Set("stack", text(&self.stack_id)),
                Edit::Set("logical", text(&self.logical_id)),
                Edit::Remove("ttl"),
            ],
            condition: Condition::Any(vec![
                Condition::Missing(&[KEY]),
                Condition::All(vec![unchanged, free]),
            ]),
        }
    }

    /// Gives the forge back as it was, because this invocation has neither looked at it nor changed it. An earlier holder of
    /// the same stack may still be active; another stack's was not, or this one could not have claimed the forge.
    pub fn give_forge_back(&self, forge: &str, old: &Item) -> Update {
        let busy = old.busy && old.stack == self.stack_id;
        Update {
            key: forge_key(forge),
            edits: vec![
                Edit::Set("stack", Value::S(old.stack.clone())),
                Edit::Set("busy", Value::Bool(busy)),
            ],
            condition: Condition::Is(&["by"], Value::S(self.by.clone())),
        }
    }

    /// Releases the forge. The item then expires: it has no information that the tags lack. If the holder has not `written`,
    /// the next one need not wait until reads show that.
    pub fn release_forge(&self, forge: &str, written: bool, now: Timestamp) -> Update {
        let mut update = super::release(&forge_key(forge), &self.by, now);
        update.edits.retain(|edit| written || !matches!(edit, Edit::Set("wrote_at", _)));
        update.edits.push(Edit::Set("ttl", Value::N(now.secs() + super::KEPT)));
        update
    }
}
