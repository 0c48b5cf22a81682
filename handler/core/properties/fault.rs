//! A fault of one property, in one line.

use std::fmt;

use serde_json::Value;

use super::table;

/// Maximum length of a given value that a fault repeats.
const GIVEN_CHARS: usize = 80;

/// Properties in which people keep passwords, although they are not made for that. Reasons stand in stack events and logs.
const SECRETIVE: [&str; 4] = ["Environment", "NextflowConfig", "PreRunScript", "PostRunScript"];

/// A fault of one property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The property's name, with the place in it where that helps (`Tags.Owner`).
    pub property: String,
    /// The given value as JSON, shortened; `None` if the property is missing or unknown.
    pub given: Option<String>,
    /// The allowed values; empty if no property has this name.
    pub allowed: String,
    /// The reason or a remedy; may be empty.
    pub hint: String,
}

impl Fault {
    /// A value of a form that the table does not allow.
    pub(super) fn form(property: &str, given: &Value) -> Self {
        let allowed = table::find(property).map_or("", |row| row.allowed);
        let is_secret = SECRETIVE.contains(&property);
        Self {
            property: property.to_owned(),
            given: Some(if is_secret { "a value that is not repeated".to_owned() } else { shown(given) }),
            allowed: allowed.to_owned(),
            hint: String::new(),
        }
    }

    /// A property that does not exist.
    pub(super) fn unknown(property: &str, hint: String) -> Self {
        Self { property: property.to_owned(), given: None, allowed: String::new(), hint }
    }

    /// A required property that is not there.
    pub(super) fn missing(property: &str) -> Self {
        Self { given: None, ..Self::form(property, &Value::Null) }
    }

    /// A value that conflicts with another one, and why.
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
        // An unknown name or a tag's key may contain anything; the fault stays on one line.
        let property = self.property.escape_debug();
        match &self.given {
            None if self.allowed.is_empty() => write!(f, "{property}: unknown property")?,
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
