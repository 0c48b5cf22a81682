//! The user's tags and environment variables: a map, or a list of objects as CloudFormation writes them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::read::{Reader, boolean, scalar};
use super::{EnvironmentVariable, Fault, checks};

/// AWS allows 50 tags; the forge uses the rest.
const MOST: usize = 42;

/// Reads `Tags`.
pub(super) fn tags(reader: &mut Reader<'_>) -> BTreeMap<String, String> {
    let Some(pairs) = reader.read("Tags", |value| pairs(value, "Key")) else { return BTreeMap::new() };
    let mut tags = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for (key, value) in pairs {
        let place = format!(".{key}");
        if let Some(fault) = tag_fault(&key, &value) {
            reader.fault(fault.at(place));
        } else if let Some(other) = seen.insert(key.to_lowercase(), key.clone()) {
            let hint = format!("IAM treats {other} and {key} as one key");
            reader.fault(Fault::rule("Tags", value, "each key once", &hint).at(place));
        } else {
            tags.insert(key, value);
        }
    }
    if tags.len() > MOST {
        let hint = "AWS allows 50 tags, and the forge uses 8";
        reader.fault(Fault::rule("Tags", tags.len(), "up to 42 tags", hint));
    }
    tags
}

fn tag_fault(key: &str, value: &str) -> Option<Fault> {
    let lower = key.to_lowercase();
    let characters = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c));
    let fault = |given: &str, allowed, hint| Some(Fault::rule("Tags", given, allowed, hint));
    if lower.starts_with("aws:") {
        fault(key, "keys that do not begin with aws:", "AWS reserves them")
    } else if lower.starts_with("towerforge:") {
        fault(key, "keys that do not begin with towerforge:", "they record which forge owns a resource")
    } else if !characters(key) || !(1..=128).contains(&key.chars().count()) {
        fault(key, "keys of 1 to 128 letters, digits, spaces and _.:/=+-@", "")
    } else if !characters(value) || value.chars().count() > 256 {
        fault(value, "values of up to 256 letters, digits, spaces and _.:/=+-@", "")
    } else {
        None
    }
}

/// The pairs of a map, or of a list of objects with `Value` and the given name for the key.
fn pairs(value: &Value, key: &str) -> Option<Vec<(String, String)>> {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| Some((key.clone(), scalar(value)?))).collect(),
        Value::Array(list) => list
            .iter()
            .map(|item| {
                let item = item.as_object().filter(|item| item.len() == 2)?;
                Some((scalar(item.get(key)?)?, scalar(item.get("Value")?)?))
            })
            .collect(),
        _ => None,
    }
}

/// Reads `Environment`, sorted by name.
pub(super) fn environment(reader: &mut Reader<'_>) -> Vec<EnvironmentVariable> {
    let Some(mut all) = reader.read("Environment", variables) else { return Vec::new() };
    all.sort();
    for variable in &all {
        let EnvironmentVariable { name, value, head, compute } = variable;
        if !checks::variable(name) {
            let allowed = "names of letters, digits and _ that do not begin with a digit";
            reader.fault(Fault::rule("Environment", name.as_str(), allowed, ""));
        } else if !checks::block(value, 1024) || value.contains(['\n', '\r']) {
            let allowed = "values of one line and up to 1024 bytes";
            let given = format!("a value of {} bytes", value.len());
            reader.fault(Fault::rule("Environment", given, allowed, "").at(format!(".{name}")));
        } else if !head && !compute {
            let fault = Fault::rule(
                "Environment",
                false,
                "Head or Compute true",
                "otherwise nothing gets the variable",
            );
            reader.fault(fault.at(format!(".{name}")));
        }
    }
    for twice in all.windows(2).filter(|two| two[0].name == two[1].name) {
        reader.fault(Fault::rule("Environment", twice[0].name.as_str(), "each name once", ""));
    }
    all
}

fn variables(value: &Value) -> Option<Vec<EnvironmentVariable>> {
    let simple = |(name, value)| EnvironmentVariable { name, value, head: true, compute: true };
    match value {
        Value::Array(list) => list.iter().map(|item| variable(item.as_object()?)).collect(),
        _ => Some(pairs(value, "Name")?.into_iter().map(simple).collect()),
    }
}

/// One variable of a list, for head and compute jobs unless the item selects one of them.
fn variable(item: &Map<String, Value>) -> Option<EnvironmentVariable> {
    if item.keys().any(|key| !matches!(key.as_str(), "Name" | "Value" | "Head" | "Compute")) {
        return None;
    }
    let said = item.contains_key("Head") || item.contains_key("Compute");
    let target = |name| item.get(name).map_or(Some(!said), boolean);
    Some(EnvironmentVariable {
        name: scalar(item.get("Name")?)?,
        value: scalar(item.get("Value")?)?,
        head: target("Head")?,
        compute: target("Compute")?,
    })
}
