//! Whole events at random, through everything that reads them, to the response. `make fuzz` tries many more.

use crate::event::Event;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tower_forge_core::claim::Timing;
use tower_forge_core::deployment::Deployment;
use tower_forge_core::event::{Envelope, Request, Source};
use tower_forge_core::intent::Intent;
use tower_forge_core::port::Timestamp;
use tower_forge_core::properties::{self, Allowed};
use tower_forge_core::respond::{LIMIT, Response};

const URL: &str = "https://cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com/arn%3Aaws%3A\
    cloudformation%3Aeu-west-1%3A123456789012%3Astack%2Fs%2Fu%7CGenomics%7Cr\
    ?X-Amz-Date=20261124T083000Z&X-Amz-Signature=secret";

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
        "https://cloudformation-custom-resource-response-euwest1.s3.amazonaws.com/?X-Amz-Date=99999999T999999Z",
        "https://cloudformation-custom-resource-response-euwest1.s3.amazonaws.com/?Expires=-9223372036854775808",
        "https://s3.amazonaws.com/?X-Amz-Date=20261124T083000Z",
        "http://x",
        "",
    ]);
    let stack = field(vec!["arn:aws:cloudformation:eu-west-1:123456789012:stack/s/u", "arn:aws", ""]);
    let request_type = field(vec!["Create", "Update", "Delete", "Upsert"]);
    let id = field(vec!["Cafe1", "stack-Genomics-1ABCDEF", ""]);
    let properties = || prop_oneof![8 => object(), 1 => tree()];
    // The names in the URL, mostly: others are refused at once.
    let named = |name: &'static str| prop_oneof![6 => Just(name.to_owned()), 1 => "\\PC{0,300}"];
    let pair = (named("Genomics"), named("r"));
    (request_type, url, stack, id, pair, properties(), properties(), tree()).prop_map(
        |(request_type, url, stack, id, (logical, number), properties, old, more)| {
            json!({
                "RequestType": request_type, "ResponseURL": url, "StackId": stack, "RequestId": number, "LogicalResourceId": logical,
                "PhysicalResourceId": id, "ResourceType": "Custom::TowerForge", "ServiceToken": "arn",
                "ResourceProperties": properties, "OldResourceProperties": old, "TowerForge": more,
            })
        },
    )
}

fn source() -> Source {
    Source { region: "eu-west-1".to_owned(), local: false }
}

fn deployment() -> Deployment {
    Deployment {
        prefix: tower_forge_core::name::PREFIX.to_owned(),
        region: "eu-west-1".to_owned(),
        stack_accounts: Vec::new(),
        boundary: None,
        allowed: Allowed::everything(),
        efs: true,
        fsx: true,
        retire_after: Duration::from_hours(1),
        timing: Timing::AWS,
        log_stream: "local".to_owned(),
    }
}

fn check_body(envelope: &Envelope, response: &Response) {
    if let Ok(body) = response.body(envelope) {
        assert!(body.len() <= LIMIT, "{} bytes", body.len());
        let read: Value = serde_json::from_str(&body).expect("a response is JSON");
        assert!(!read["PhysicalResourceId"].as_str().expect("a text").is_empty());
    } else {
        assert!(matches!(response, Response::Success { .. }), "a failure always fits");
    }
}

/// Everything that precedes the first call of AWS.
fn read(request: &Request) {
    let signed = request.envelope.response_url.signed_at().unwrap_or_default();
    let intent = Intent::read(request, &deployment(), Timestamp::from_secs(signed));
    let forge = intent.forge.as_str();
    assert!(!forge.is_empty() && forge.len() <= 22);
    assert!(intent.service_timeout <= Duration::from_hours(1));
    let physical_id = intent.physical_id.clone();
    let reason = match &intent.wanted {
        Some(Err(err)) => err.to_string(),
        _ => String::new(),
    };
    check_body(&request.envelope, &Response::Failed { physical_id: physical_id.clone(), reason });
    let attributes: Map<String, Value> = request.properties.clone();
    check_body(&request.envelope, &Response::Success { physical_id, attributes });
}

proptest! {
    #[test]
    fn no_event_is_too_strange(event in event()) {
        match Event::read(event, &source(), Timestamp::from_secs(1_795_509_000)) {
            Event::Request(request, _) => read(&request),
            Event::Malformed(envelope, reason) => {
                let physical_id = envelope.physical_id.clone().unwrap_or_default();
                check_body(&envelope, &Response::Failed { physical_id, reason });
            }
            Event::Plan(_) | Event::Sweep | Event::Unanswerable(_) => {}
        }
    }

    #[test]
    fn nothing_at_all_is_too_strange(event in tree()) {
        let shown = format!("{:?}", Event::read(event, &source(), Timestamp::from_secs(1_795_509_000)));
        prop_assert!(!shown.contains("Signature"));
    }
}
