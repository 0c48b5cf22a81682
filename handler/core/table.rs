//! One item of a `DynamoDB` table, and conditional updates of it, as data.
//!
//! The rules of the claim use these types, so the simulation evaluates the same conditions that the adapter renders for
//! `DynamoDB`.

use std::collections::{BTreeMap, BTreeSet};

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    S(String),
    /// A number; all of ours are whole.
    N(i64),
    /// True or false.
    Bool(bool),
    /// A set of strings, never empty.
    Set(BTreeSet<String>),
    /// A map.
    Map(Attributes),
}

/// An item, or a map in it.
pub type Attributes = BTreeMap<String, Value>;

/// The path of an attribute: its name, and for an entry of a map the name in it.
pub type Path = &'static [&'static str];

/// A condition on the current item for an update.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// There is no such attribute; for the key, no such item.
    Missing(Path),
    /// The attribute exists and is equal.
    Is(Path, Value),
    /// The attribute is missing or differs.
    IsNot(Path, Value),
    /// The attribute exists and is less.
    Less(Path, Value),
    /// All of them hold.
    All(Vec<Condition>),
    /// At least one of them holds.
    Any(Vec<Condition>),
}

/// One change of an item.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Sets an attribute.
    Set(&'static str, Value),
    /// Removes an attribute, if it is there.
    Remove(&'static str),
    /// Adds to a set, and creates it if it does not exist.
    Add(&'static str, BTreeSet<String>),
    /// Removes from a set, and removes the attribute if the set becomes empty.
    Subtract(&'static str, BTreeSet<String>),
}

/// A conditional update of one item, which creates the item if it does not exist.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The item's key.
    pub key: String,
    /// The edits.
    pub edits: Vec<Edit>,
    /// The condition.
    pub condition: Condition,
}

/// The result of an update.
#[derive(Clone, Debug, PartialEq)]
pub enum Updated {
    /// It was applied; the previous item.
    Done(Option<Attributes>),
    /// Its condition did not hold; the current item.
    Refused(Option<Attributes>),
}

/// A failure of the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// There is no such table: it has been deleted.
    #[error("the table {0} does not exist")]
    Gone(String),
    /// The function may not read or write it.
    #[error("the claim's table cannot be used: {0}")]
    Denied(String),
    /// It cannot be read or written now, or the response was lost; the reason.
    #[error("the claim's table cannot be reached: {0}")]
    Unreachable(String),
}

impl TableError {
    /// Whether a retry is useless.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Unreachable(_))
    }
}

/// The key attribute of every item.
pub const KEY: &str = "id";

fn at(item: Option<&Attributes>, path: Path) -> Option<&Value> {
    let (first, rest) = path.split_first()?;
    let value = item?.get(*first)?;
    match (rest, value) {
        ([], value) => Some(value),
        (rest, Value::Map(map)) => map.get(rest[0]),
        _ => None,
    }
}

impl Condition {
    /// Whether it holds for an item, as `DynamoDB` evaluates it.
    pub fn holds(&self, item: Option<&Attributes>) -> bool {
        match self {
            Self::Missing(path) => at(item, path).is_none(),
            Self::Is(path, value) => at(item, path) == Some(value),
            Self::IsNot(path, value) => at(item, path) != Some(value),
            Self::Less(path, value) => match (at(item, path), value) {
                (Some(Value::S(left)), Value::S(right)) => left < right,
                (Some(Value::N(left)), Value::N(right)) => left < right,
                _ => false,
            },
            Self::All(all) => all.iter().all(|each| each.holds(item)),
            Self::Any(any) => any.iter().any(|each| each.holds(item)),
        }
    }
}

impl Update {
    /// Applies it to an item in memory, as `DynamoDB` would.
    pub fn apply(&self, item: &mut Option<Attributes>) -> Updated {
        if !self.condition.holds(item.as_ref()) {
            return Updated::Refused(item.clone());
        }
        let old = item.clone();
        let now =
            item.get_or_insert_with(|| Attributes::from([(KEY.to_owned(), Value::S(self.key.clone()))]));
        for edit in &self.edits {
            edit.apply(now);
        }
        Updated::Done(old)
    }
}

impl Edit {
    fn apply(&self, item: &mut Attributes) {
        match self {
            Self::Set(name, value) => drop(item.insert((*name).to_owned(), value.clone())),
            Self::Remove(name) => drop(item.remove(*name)),
            Self::Add(name, more) => {
                let set = item.entry((*name).to_owned()).or_insert_with(|| Value::Set(BTreeSet::new()));
                if let Value::Set(set) = set {
                    set.extend(more.iter().cloned());
                }
            }
            Self::Subtract(name, gone) => {
                if let Some(Value::Set(set)) = item.get_mut(*name) {
                    set.retain(|each| !gone.contains(each));
                    if set.is_empty() {
                        item.remove(*name);
                    }
                }
            }
        }
    }
}
