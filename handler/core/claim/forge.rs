//! The second claim, on a forge whose ID a stack names itself: another stack may name it too.
//!
//! The item of a resource orders what happens to one resource of a stack. Two stacks that name one `ForgeId` have two
//! such items, so that an item of the forge lets one of them write at a time. It has no order and no outcome: whoever
//! comes second waits, and then the tags decide whose the forge is. Several stacks that adopt a forge at once would
//! otherwise each get a part of it.

use super::{Claimant, Item, is_idle, is_stale};
use crate::port::Timestamp;
use crate::table::{Condition, Edit, KEY, Update, Value};

/// The key of the item of a forge.
pub fn forge_key(forge: &str) -> String {
    format!("forge#{forge}")
}

impl Claimant {
    /// Takes the name in the item of a forge: where nobody of another stack is at work.
    ///
    /// Like [`Claimant::claim`] it compares the holder that was seen. The item must have been seen before the gate of
    /// the resource's own item was found open: then an invocation that has lost the resource cannot take the forge
    /// from the one that it lost it to.
    pub fn claim_forge(&self, forge: &str, seen: Option<&Item>, now: Timestamp) -> Update {
        let text = |text: &str| Value::S(text.to_owned());
        let seen = seen.map(|item| Condition::Is(&["by"], text(&item.by)));
        let mine = Condition::Is(&["by"], text(&self.by));
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

    /// Gives the forge back. The item then goes by itself: it says nothing that the tags do not say.
    pub fn release_forge(&self, forge: &str, now: Timestamp) -> Update {
        let mut update = super::release(&forge_key(forge), &self.by, now);
        update.edits.push(Edit::Set("ttl", Value::N(now.secs() + super::KEPT)));
        update
    }
}
