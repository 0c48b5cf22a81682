//! The JSON Schema of the properties, for editors: `docs/properties.schema.json`.
//!
//! It is generated from the table and not derived from a struct, because a template may write one value in several
//! ways, and any of them as a function such as `Ref`. It covers single values; only the function checks the rules
//! between them.

use schemars::{Schema, json_schema};
use serde_json::{Map, Value, json};

use super::table::{Kind, all};

/// The schema of an object with the properties of `Custom::TowerForge`.
fn schema() -> Schema {
    let properties: Map<String, Value> = all()
        .map(|row| {
            let description =
                format!("{} Default: {}.", row.meaning.replace('`', ""), row.default.replace('`', ""));
            (
                row.name.to_owned(),
                json!({ "description": description, "anyOf": [of(row.kind), reference("function")] }),
            )
        })
        .collect();
    let required: Vec<_> = all().filter(|row| row.default == "required").map(|row| row.name).collect();
    json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Properties of Custom::TowerForge",
        "type": "object",
        "required": required,
        "additionalProperties": false,
        "properties": properties,
        "$defs": definitions(),
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn of(kind: Kind) -> Value {
    match kind {
        Kind::Text => reference("text"),
        Kind::Boolean => reference("boolean"),
        Kind::List => reference("list"),
        Kind::Lines => reference("lines"),
        Kind::Statements => reference("statements"),
        Kind::OneOf(names) => json!({ "enum": names }),
        Kind::Integer(minimum, maximum) => json!({
            "anyOf": [
                { "type": "integer", "minimum": minimum, "maximum": maximum },
                { "type": "string", "pattern": "^[0-9]+$" },
            ],
        }),
        Kind::Pairs(name, value) => json!({
            "anyOf": [
                { "type": "object", "additionalProperties": reference("text") },
                { "type": "array", "items": { "type": "object", "required": [name, value] } },
            ],
        }),
    }
}

fn definitions() -> Value {
    json!({
        "function": {
            "description": "A function of CloudFormation, such as Ref.",
            "type": "object",
            "patternProperties": { "^(Ref|Fn::[A-Za-z0-9]+)$": true },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        },
        "text": { "anyOf": [{ "type": ["string", "number", "boolean"] }, reference("function")] },
        "boolean": { "anyOf": [{ "type": "boolean" }, { "enum": ["true", "false", "True", "False"] }] },
        "list": { "anyOf": [{ "type": "string" }, { "type": "array", "items": reference("text") }] },
        "lines": { "anyOf": [{ "type": "string" }, { "type": "array", "items": reference("text") }] },
        "statements": {
            "anyOf": [
                { "type": "string" },
                { "type": "object", "required": ["Effect"] },
                { "type": "array", "items": { "type": "object" } },
            ],
        },
    })
}

#[test]
fn the_schema_is_what_the_table_says() {
    let text = serde_json::to_string_pretty(&schema()).expect("a schema is JSON");
    expect_test::expect_file!["../../../docs/properties.schema.json"].assert_eq(&format!("{text}\n"));
}
