//! The item of a resource of a stack.

use crate::port::Timestamp;
use crate::table::{Attributes, Value};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

/// The key of the item of a resource of a stack.
pub fn resource_key(stack_id: &str, logical_id: &str) -> String {
    let hash = Sha256::digest(format!("{stack_id}\0{logical_id}").as_bytes());
    format!("resource#{}", hex(&hash))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// The position of an operation in the order of a resource's operations: the second of its signing, its rank, its ID.
/// It compares as `DynamoDB` compares its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order(String);

impl Order {
    /// The place of an operation.
    pub fn new(second: i64, rank: u8, operation: &str) -> Self {
        Self(format!("{:012}.{rank}.{operation}", second.max(0)))
    }

    /// The second in which the operation was signed.
    pub fn second(&self) -> Option<i64> {
        self.0.split('.').next()?.parse().ok()
    }

    /// The rank of the operation.
    pub fn rank(&self) -> Option<u8> {
        self.0.split('.').nth(1)?.parse().ok()
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The table's record of a resource of a stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The newest operation's position; `None` if only a sweep has claimed yet.
    pub order: Option<Order>,
    /// The newest operation.
    pub operation: String,
    /// The invocation that may write.
    pub by: String,
    /// Whether it may be writing.
    pub busy: bool,
    /// The forges that operations have started to create and that may exist.
    pub forges: BTreeSet<String>,
    /// The outcome of the newest operation.
    pub outcome: Option<Outcome>,
    /// When an invocation last finished.
    pub wrote_at: Option<Timestamp>,
    /// The state that was established last.
    pub record: Option<Record>,
    /// The stack whose resource claimed last.
    pub stack: String,
}

/// The outcome of an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The operation.
    pub operation: String,
    /// The invocation that ended it.
    pub by: String,
    /// The body of its response.
    pub body: String,
}

/// The state that the last successful operation established.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The operation.
    pub operation: String,
    /// The forge.
    pub forge: String,
    /// A digest of the desired state; the values themselves may be secrets.
    pub digest: String,
    /// The digest of the state that was established before; empty if there was none. A stack may return to it.
    pub before: String,
}

impl Item {
    /// Reads an item; missing attributes count as never written.
    pub fn read(attributes: &Attributes) -> Self {
        let text = |name: &str| text_of(attributes, name);
        let time = |name: &str| match attributes.get(name) {
            Some(Value::N(number)) => Some(Timestamp(*number)),
            _ => None,
        };
        let map = |name: &str| match attributes.get(name) {
            Some(Value::Map(map)) => Some(map),
            _ => None,
        };
        Self {
            order: text("order").map(Order),
            operation: text("operation").unwrap_or_default(),
            by: text("by").unwrap_or_default(),
            busy: attributes.get("busy") == Some(&Value::Bool(true)),
            forges: match attributes.get("forges") {
                Some(Value::Set(forges)) => forges.clone(),
                _ => BTreeSet::new(),
            },
            outcome: map("outcome").map(|map| Outcome {
                operation: text_of(map, "operation").unwrap_or_default(),
                by: text_of(map, "by").unwrap_or_default(),
                body: text_of(map, "body").unwrap_or_default(),
            }),
            wrote_at: time("wrote_at"),
            record: map("record").map(|map| Record {
                operation: text_of(map, "operation").unwrap_or_default(),
                forge: text_of(map, "forge").unwrap_or_default(),
                digest: text_of(map, "digest").unwrap_or_default(),
                before: text_of(map, "before").unwrap_or_default(),
            }),
            stack: text("stack").unwrap_or_default(),
        }
    }
}

impl Outcome {
    pub(super) fn to_value(&self) -> Value {
        map([("operation", &self.operation), ("by", &self.by), ("body", &self.body)])
    }
}

impl Record {
    pub(super) fn to_value(&self) -> Value {
        let Self { operation, forge, digest, before } = self;
        map([("operation", operation), ("forge", forge), ("digest", digest), ("before", before)])
    }
}

fn map<const N: usize>(entries: [(&str, &String); N]) -> Value {
    Value::Map(entries.map(|(name, text)| (name.to_owned(), Value::S(text.clone()))).into_iter().collect())
}

fn text_of(attributes: &Attributes, name: &str) -> Option<String> {
    match attributes.get(name) {
        Some(Value::S(text)) => Some(text.clone()),
        _ => None,
    }
}
