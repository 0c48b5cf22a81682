//! Reading of values that CloudFormation has turned into strings, with all their faults.
//!
//! An empty string, an empty list and null count as an absent property, because templates produce them from an empty
//! parameter. Scalars may be strings, and lists comma-separated strings.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Fault, Limits};

/// The value of a property, unless it is absent.
pub(super) fn present<'a>(raw: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    raw.get(name).filter(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    })
}

/// A scalar as text, without surrounding white space.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// `true`, `"true"`, `"True"` and the like.
pub(super) fn boolean(value: &Value) -> Option<bool> {
    let text = scalar(value)?;
    ["false", "true"].iter().position(|name| text.eq_ignore_ascii_case(name)).map(|index| index == 1)
}

/// An integer, even if YAML wrote it as `500.0`.
pub(super) fn integer(value: &Value) -> Option<i32> {
    let text = scalar(value)?;
    text.strip_suffix(".0").unwrap_or(&text).parse().ok()
}

/// The items of a list of strings, or of a comma-separated string; an item that is not a string is an error.
fn items(value: &Value) -> Option<Vec<String>> {
    let items = match value {
        Value::Array(list) => list.iter().map(scalar).collect::<Option<Vec<_>>>()?,
        other => scalar(other)?.split(',').map(|item| item.trim().to_owned()).collect(),
    };
    Some(items.into_iter().filter(|item| !item.is_empty()).collect())
}

/// A verbatim string, or a list of lines.
pub(super) fn text_block(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(lines) => {
            lines.iter().map(Value::as_str).collect::<Option<Vec<_>>>().map(|l| l.join("\n"))
        }
        _ => None,
    }
}

/// Reads one property after the other, and continues after a fault.
pub(super) struct Reader<'a> {
    /// The raw properties.
    pub(super) raw: &'a Map<String, Value>,
    /// The function's limits.
    pub(super) limits: &'a Limits,
    /// The faults so far.
    pub(super) faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    /// Nothing read yet.
    pub(super) fn new(raw: &'a Map<String, Value>, limits: &'a Limits) -> Self {
        Self { raw, limits, faults: Vec::new() }
    }

    /// The property's raw value.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        present(self.raw, name)
    }

    /// Records a fault.
    pub(super) fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// The result of `read` on the property; a fault if it is `None`.
    pub(super) fn read<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        let value = self.value(name)?;
        let result = read(value);
        if result.is_none() {
            self.fault(Fault::form(name, value));
        }
        result
    }

    /// True or false.
    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        self.read(name, boolean).unwrap_or(default)
    }

    /// An integer in a range.
    pub(super) fn number(&mut self, name: &str, range: std::ops::RangeInclusive<i32>) -> Option<i32> {
        self.read(name, |value| integer(value).filter(|number| range.contains(number)))
    }

    /// A text that passes a check.
    pub(super) fn text(&mut self, name: &str, ok: impl FnOnce(&str) -> bool) -> Option<String> {
        self.read(name, |value| scalar(value).filter(|text| ok(text)))
    }

    /// One of several names.
    pub(super) fn one_of<T: Copy>(&mut self, name: &str, all: &[(&str, T)]) -> Option<T> {
        let value = self.value(name)?;
        let text = scalar(value).unwrap_or_default();
        if let Some((_, one)) = all.iter().find(|(each, _)| *each == text) {
            return Some(*one);
        }
        let names = all.iter().map(|(each, _)| *each);
        self.fault(Fault::form(name, value).hint(did_you_mean(&text.to_uppercase(), names)));
        None
    }

    /// A list whose items pass a check, in the stack's order.
    pub(super) fn list(&mut self, name: &str, ok: impl Fn(&str) -> bool) -> Vec<String> {
        let all = self.read(name, items).unwrap_or_default();
        for item in all.iter().filter(|item| !ok(item)) {
            self.fault(Fault::form(name, &Value::from(item.as_str())));
        }
        all
    }

    /// The same, sorted and without duplicates.
    pub(super) fn set(&mut self, name: &str, ok: impl Fn(&str) -> bool) -> Vec<String> {
        self.list(name, ok).into_iter().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// The hint with the nearest of several names, if one is near.
pub(super) fn did_you_mean<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> String {
    let near =
        |name: &str| strsim::normalized_damerau_levenshtein(&given.to_lowercase(), &name.to_lowercase());
    names
        .map(|name| (near(name), name))
        .filter(|(score, _)| *score >= 0.6)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| format!("did you mean {name}?"))
        .unwrap_or_default()
}
