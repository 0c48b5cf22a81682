//! What is wrong with one property, in one line.

use std::fmt;

use serde_json::Value;

use super::table;

/// Longest text of a given value that a fault repeats.
const GIVEN_CHARS: usize = 80;

/// What is wrong with one property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The property's name, with the place in it where that helps (`Tags.Owner`).
    pub property: String,
    /// What the stack says, as JSON, shortened; nothing where the property is missing.
    pub given: Option<String>,
    /// What may be said.
    pub allowed: String,
    /// Why, or what to do instead; may be empty.
    pub hint: String,
}

impl Fault {
    /// A value that is not of the form which the table allows.
    pub(super) fn form(property: &str, given: &Value) -> Self {
        let allowed = table::find(property).map_or("", |row| row.allowed);
        Self {
            property: property.to_owned(),
            given: Some(shown(given)),
            allowed: allowed.to_owned(),
            hint: String::new(),
        }
    }

    /// A required property that is not there.
    pub(super) fn missing(property: &str) -> Self {
        Self { given: None, ..Self::form(property, &Value::Null) }
    }

    /// A value that does not go with another one, and why.
    pub(super) fn rule(property: &str, given: impl Into<Value>, allowed: &str, hint: &str) -> Self {
        Self {
            property: property.to_owned(),
            given: Some(shown(&given.into())),
            allowed: allowed.to_owned(),
            hint: hint.to_owned(),
        }
    }

    /// The same fault with a hint.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// The same fault at a place inside the property.
    pub(super) fn at(self, place: impl fmt::Display) -> Self {
        Self { property: format!("{}{place}", self.property), ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name that nobody knows, or a tag's key, may be anything; the fault stays one line.
        let property = self.property.escape_debug();
        match &self.given {
            Some(given) => write!(f, "{property}: given {given}, allowed: {}", self.allowed)?,
            None => write!(f, "{property}: missing, allowed: {}", self.allowed)?,
        }
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

/// A value as one short line of JSON. JSON escapes most characters that would break the line; the others are
/// escaped in the same way.
fn shown(value: &Value) -> String {
    let text: String = value
        .to_string()
        .chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        })
        .collect();
    if text.chars().count() <= GIVEN_CHARS {
        return text;
    }
    text.chars().take(GIVEN_CHARS).chain(['…']).collect()
}
