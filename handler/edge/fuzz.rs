//! Whole events at random, through everything that reads them, to the answer. `make fuzz` tries many more.

use crate::event::{Envelope, Event, Operation, Request};
use crate::properties::{self, Limits};
use crate::respond::{Answer, LIMIT};
use crate::wish;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const URL: &str = "https://s3.eu-west-1.amazonaws.com/x?X-Amz-Date=20261124T083000Z&X-Amz-Signature=secret";

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,30}".prop_map(Value::from),
        "\\PC{0,400}".prop_map(Value::from),
        prop::sample::select(vec![
            "true",
            "SPOT",
            "s3://b/w",
            "arn:aws:iam::123456789012:role/x",
            "0",
            "-1",
            "1e9",
            "ä€𝄞",
            ""
        ])
        .prop_map(Value::from),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((".{0,20}", inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Properties: names that exist with values that need not fit.
fn object() -> impl Strategy<Value = Value> {
    let names: Vec<&'static str> = properties::table::all().map(|property| property.name).collect();
    let name = prop_oneof![
        8 => prop::sample::select(names).prop_map(str::to_owned),
        1 => ".{0,30}",
        1 => Just("ServiceTimeout".to_owned()),
    ];
    prop::collection::vec((name, tree()), 0..12).prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
}

fn event() -> impl Strategy<Value = Value> {
    let field = |good: Vec<&'static str>| prop_oneof![6 => prop::sample::select(good).prop_map(Value::from), 1 => tree()];
    let url = field(vec![
        URL,
        "https://s3.amazonaws.com/?X-Amz-Date=99999999T999999Z",
        "https://s3.amazonaws.com/?Expires=-9223372036854775808",
        "http://x",
        "",
    ]);
    let stack = field(vec!["arn:aws:cloudformation:eu-west-1:123456789012:stack/s/u", "arn:aws", ""]);
    let request_type = field(vec!["Create", "Update", "Delete", "Upsert"]);
    let id = field(vec!["Cafe1", "stack-Genomics-1ABCDEF", ""]);
    let properties = || prop_oneof![8 => object(), 1 => tree()];
    (request_type, url, stack, id, "\\PC{0,300}", properties(), properties(), tree()).prop_map(
        |(request_type, url, stack, id, logical, properties, old, more)| {
            json!({
                "RequestType": request_type, "ResponseURL": url, "StackId": stack, "RequestId": logical, "LogicalResourceId": logical,
                "PhysicalResourceId": id, "ResourceType": "Custom::TowerForge", "ServiceToken": "arn",
                "ResourceProperties": properties, "OldResourceProperties": old, "TowerForge": more,
            })
        },
    )
}

fn limits() -> Limits {
    Limits {
        region: "eu-west-1".to_owned(),
        account: Some("123456789012".to_owned()),
        name_prefix: crate::name::PREFIX.to_owned(),
        allowed_boundaries: Vec::new(),
        allowed_policies: Vec::new(),
        allowed_roles: vec!["*".to_owned()],
        efs: true,
        fsx: true,
    }
}

fn check_body(envelope: &Envelope, answer: &Answer) {
    if let Ok(body) = answer.body(envelope) {
        assert!(body.len() <= LIMIT, "{} bytes", body.len());
        let read: Value = serde_json::from_str(&body).expect("an answer is JSON");
        assert!(!read["PhysicalResourceId"].as_str().expect("a text").is_empty());
    } else {
        assert!(matches!(answer, Answer::Success { .. }), "a failure always fits");
    }
}

/// What is done with a request before AWS is asked for the first time.
fn read(request: &Request) {
    let physical_id = wish::physical_id(request);
    let wanted = wish::wanted_id(request);
    assert!(!wanted.as_str().is_empty() && wanted.as_str().len() <= 22);
    let _ = properties::dispose_on_deletion(&request.properties);
    if let Operation::Update { old } = &request.operation {
        let _ = wish::check_identity(request, old, &wanted);
    }
    let reason = match properties::parse(&request.properties, &limits()) {
        Ok(_) => String::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    };
    check_body(&request.envelope, &Answer::Failed { physical_id: physical_id.clone(), reason });
    let attributes: Map<String, Value> = request.properties.clone();
    check_body(&request.envelope, &Answer::Success { physical_id, attributes });
}

proptest! {
    #[test]
    fn no_event_is_too_strange(event in event()) {
        match Event::read(event, false) {
            Event::Request(request) => read(&request),
            Event::Malformed(envelope, reason) => {
                let physical_id = envelope.physical_id.clone().unwrap_or_default();
                check_body(&envelope, &Answer::Failed { physical_id, reason });
            }
            Event::Plan(_) | Event::Sweep | Event::Unanswerable(_) => {}
        }
    }

    #[test]
    fn nothing_at_all_is_too_strange(event in tree()) {
        let shown = format!("{:?}", Event::read(event, false));
        prop_assert!(!shown.contains("Signature"));
    }
}
