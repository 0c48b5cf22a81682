//! Events: the JSON of an invocation.
//!
//! The event is read as plain JSON first, so that whoever can be answered is answered: a stack waits an hour for the
//! response to a request that could not be read.

use aws_lambda_events::event::cloudformation::CloudFormationCustomResourceRequest as TypedRequest;
use serde_json::{Map, Value, json};
use tower_forge_core::event::{AccountScope, Envelope, Operation, Request, Source};
use tower_forge_core::leg::Continuation;
use tower_forge_core::port::Timestamp;

/// The member of an event that an earlier leg of the same operation has added.
pub const CONTINUATION: &str = "TowerForge";

/// An invocation of the function.
#[derive(Debug)]
pub enum Event {
    /// CloudFormation asks for a forge to be made, changed or removed; or an earlier leg hands that over.
    Request(Box<Request>, Option<Continuation>),
    /// A request that can be answered but not carried out, and why.
    Malformed(Envelope, String),
    /// Show the plan of a request; or why there is none.
    Plan(Result<Box<Request>, String>),
    /// Delete replaced and idle generations.
    Sweep,
    /// Nothing that could be answered.
    Unanswerable(String),
}

impl Event {
    /// Reads an event that arrived at `now`. Never fails: an unreadable event is one of the variants.
    pub fn read(event: Value, source: &Source, now: Timestamp) -> Self {
        let Value::Object(mut object) = event else {
            return Self::Unanswerable("the event is not a JSON object".to_owned());
        };
        if object.get("sweep") == Some(&Value::Bool(true)) {
            return Self::Sweep;
        }
        if let Some(inner) = object.remove("plan") {
            return Self::Plan(read_plan(inner, source, now));
        }
        let envelope = match Envelope::salvage(&object, source) {
            Ok(envelope) => envelope,
            Err(why) => return Self::Unanswerable(why),
        };
        let continuation = object.remove(CONTINUATION).map(serde_json::from_value).transpose();
        if let Err(why) = envelope.check(source, now) {
            return Self::Malformed(envelope, why);
        }
        match (read_request(envelope.clone(), object), continuation) {
            (Ok(request), Ok(continuation)) => Self::Request(Box::new(request), continuation),
            (Err(why), _) => Self::Malformed(envelope, why),
            (_, Err(why)) => Self::Malformed(envelope, format!("{CONTINUATION}: {why}")),
        }
    }
}

/// A preview answers nobody, so an event without a response URL, or with any, will do.
fn read_plan(mut event: Value, source: &Source, now: Timestamp) -> Result<Box<Request>, String> {
    if event.is_object() {
        event["ResponseURL"] = json!("http://127.0.0.1/nobody");
    }
    match Event::read(event, &Source { local: true, ..source.clone() }, now) {
        Event::Request(request, _) => Ok(request),
        Event::Malformed(_, why) | Event::Unanswerable(why) => Err(why),
        Event::Plan(_) | Event::Sweep => Err("only a request of CloudFormation can be previewed".to_owned()),
    }
}

fn read_request(envelope: Envelope, mut object: Map<String, Value>) -> Result<Request, String> {
    check_request_type(&object)?;
    // CloudFormation documents ResourceProperties as optional; the typed request wants it.
    object.entry("ResourceProperties").or_insert_with(|| Value::Object(Map::new()));
    let typed: TypedRequest<Value, Value> = serde_json::from_value(Value::Object(object))
        .map_err(|err| format!("the event cannot be read: {err}"))?;
    let (operation, properties) = match typed {
        TypedRequest::Create(request) => (Operation::Create, request.resource_properties),
        TypedRequest::Update(request) => {
            let old = as_object(request.old_resource_properties, "OldResourceProperties")?;
            (Operation::Update { old }, request.resource_properties)
        }
        TypedRequest::Delete(request) => (Operation::Delete, request.resource_properties),
        _ => return Err("RequestType: not known to this function".to_owned()),
    };
    let account = AccountScope::of(&envelope.stack_id).ok_or("StackId is not the ARN of a stack")?;
    Ok(Request { envelope, operation, properties: as_object(properties, "ResourceProperties")?, account })
}

fn check_request_type(object: &Map<String, Value>) -> Result<(), String> {
    let given = object.get("RequestType");
    if matches!(given.and_then(Value::as_str), Some("Create" | "Update" | "Delete")) {
        return Ok(());
    }
    let given = given.map_or_else(
        || "nothing".to_owned(),
        |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    );
    Err(format!("RequestType: given {given}, allowed: Create, Update, Delete"))
}

fn as_object(value: Value, name: &str) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(object) => Ok(object),
        Value::Null => Ok(Map::new()),
        _ => Err(format!("{name} is not a JSON object")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com/arn%3Aaws%3A\
        cloudformation%3Aeu-west-1%3A123456789012%3Astack%2Fs%2Fu%7CGenomics%7Cr\
        ?X-Amz-Date=20261124T083000Z&X-Amz-Expires=7200&X-Amz-Signature=secret";

    fn read(event: Value) -> Event {
        let source = Source { region: "eu-west-1".to_owned(), local: false };
        Event::read(event, &source, Timestamp::from_secs(1_795_509_000))
    }

    fn create() -> Value {
        json!({
            "RequestType": "Create", "RequestId": "r", "ResponseURL": URL, "ResourceType": "Custom::TowerForge",
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/s/u", "LogicalResourceId": "Genomics",
            "ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:tower-forge",
            "ResourceProperties": {"WorkDir": "s3://b"},
        })
    }

    #[test]
    fn a_create_is_read() {
        let Event::Request(request, None) = read(create()) else { panic!("not a request") };
        assert!(matches!(request.operation, Operation::Create));
        assert_eq!(request.account.account, "123456789012");
        assert!(!format!("{request:?}").contains("secret"));
    }

    #[test]
    fn whoever_can_be_answered_is_answered() {
        let broken = |key: &str, value: Value| {
            let mut event = create();
            event[key] = value;
            read(event)
        };
        assert!(matches!(broken("LogicalResourceId", json!("Other")), Event::Malformed(..)));
        let Event::Malformed(_, why) = broken("RequestType", json!("Explode")) else {
            panic!("not malformed")
        };
        assert_eq!(why, "RequestType: given Explode, allowed: Create, Update, Delete");
        assert!(matches!(broken("ResourceProperties", json!("text")), Event::Malformed(..)));
        assert!(matches!(broken("StackId", json!(7)), Event::Malformed(..)));
        assert!(matches!(broken("TowerForge", json!({"Leg": "many"})), Event::Malformed(..)));
        assert!(matches!(broken("ResponseURL", json!("https://attacker.example/")), Event::Unanswerable(_)));
        assert!(matches!(read(json!([])), Event::Unanswerable(_)));
        assert!(matches!(read(json!({"sweep": true})), Event::Sweep));
    }
}
