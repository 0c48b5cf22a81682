//! What arrives: CloudFormation's envelope, even of a malformed event.
//!
//! The event is read as plain JSON first, so that whoever can be answered is answered: a stack waits an hour
//! for the answer to a request that could not be read.

use aws_lambda_events::event::cloudformation::CloudFormationCustomResourceRequest as TypedRequest;
use aws_smithy_types::date_time::{DateTime, Format};
use reqwest::Url;
use serde_json::{Map, Value};
use std::fmt;
use std::time::SystemTime;

/// An invocation of the function.
#[derive(Debug)]
pub enum Event {
    /// CloudFormation asks for a forge to be made, changed or removed.
    Request(Request),
    /// A request that can be answered but not carried out, and why.
    Malformed(Envelope, String),
    /// Show what a request would do.
    Plan(Value),
    /// Collect what has been replaced and is idle.
    Sweep,
    /// Nothing that anybody could be told.
    Unanswerable(String),
}

/// Whom to answer, and about what.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Where the answer goes.
    pub response_url: ResponseUrl,
    /// The stack's ARN.
    pub stack_id: String,
    /// The request; CloudFormation uses it again when a failed deployment is repeated.
    pub request_id: String,
    /// The resource's name in its template.
    pub logical_id: String,
    /// The ID that came with the request, whoever made it up.
    pub physical_id: Option<String>,
}

/// A request of CloudFormation.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whom to answer.
    pub envelope: Envelope,
    /// What is asked for.
    pub operation: Operation,
    /// What the stack says; of a Delete, what it said last.
    pub properties: Map<String, Value>,
    /// Which invocation of the chain this is, from 1.
    pub leg: u32,
    /// Where the forge is.
    pub home: Home,
}

/// The account that a forge is in: the function's own, which is the stack's as a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// `aws`, `aws-cn` …
    pub partition: String,
    /// The account's 12 digits.
    pub account: String,
}

impl Home {
    /// Reads partition and account from an ARN; `None` if it is none.
    pub fn of(arn: &str) -> Option<Self> {
        let fields: Vec<&str> = arn.split(':').collect();
        let [scheme, partition, _, _, account, _, ..] = fields.as_slice() else { return None };
        let ok = *scheme == "arn" && account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        ok.then(|| Self { partition: (*partition).to_owned(), account: (*account).to_owned() })
    }
}

/// What CloudFormation can ask for.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Make it.
    Create,
    /// Change it; also sent to roll back, with the properties exchanged.
    Update {
        /// What the stack said before.
        old: Map<String, Value>,
    },
    /// Remove it; also sent after a failed or cancelled Create.
    Delete,
}

impl Operation {
    /// CloudFormation's word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update { .. } => "Update",
            Self::Delete => "Delete",
        }
    }

    /// Whether a forge is wanted at the end.
    pub fn wants_forge(&self) -> bool {
        !matches!(self, Self::Delete)
    }
}

/// A presigned URL: whoever holds it can answer for the stack, so it is shown nowhere.
#[derive(Clone)]
pub struct ResponseUrl(Url);

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseUrl(redacted)")
    }
}

impl ResponseUrl {
    /// Accepts https to a host of AWS; in local runs also http to loopback.
    ///
    /// # Errors
    ///
    /// Says what is wrong, without the URL.
    pub fn parse(text: &str, local: bool) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "ResponseURL is not a URL")?;
        let host = url.host_str().unwrap_or_default();
        let aws = [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".c2s.ic.gov", ".sc2s.sgov.gov"];
        let to_aws = url.scheme() == "https"
            && aws.iter().any(|domain| host.ends_with(domain))
            && url.username().is_empty()
            && matches!(url.port_or_known_default(), Some(443));
        let to_loopback =
            local && url.scheme() == "http" && matches!(host, "127.0.0.1" | "localhost" | "[::1]");
        if to_aws || to_loopback { Ok(Self(url)) } else { Err("ResponseURL is not https to a host of AWS") }
    }

    /// The URL itself, for the one PUT. Percent-escapes stay as they came: they are part of the signature.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// When CloudFormation signed it, in seconds since 1970: the time of the operation. `None` if unsigned.
    ///
    /// Either `X-Amz-Date` or, in the older signature, `Expires` less the 7200 s that CloudFormation gives.
    pub fn signed_at(&self) -> Option<i64> {
        if let Some(date) = self.parameter("X-Amz-Date") {
            return parse_basic_date(&date);
        }
        self.parameter("Expires")?.parse::<i64>().ok().map(|expires| expires.saturating_sub(7200))
    }

    /// When it stops working, in seconds since 1970.
    pub fn expires_at(&self) -> Option<i64> {
        let valid = self.parameter("X-Amz-Expires").and_then(|text| text.parse::<i64>().ok()).unwrap_or(7200);
        self.signed_at().map(|signed| signed.saturating_add(valid))
    }

    fn parameter(&self, name: &str) -> Option<String> {
        self.0.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// Reads `20261124T083000Z`.
fn parse_basic_date(text: &str) -> Option<i64> {
    let digits: Vec<char> = text.chars().collect();
    if digits.len() != 16 {
        return None;
    }
    let part = |range: std::ops::Range<usize>| digits[range].iter().collect::<String>();
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0..4),
        part(4..6),
        part(6..8),
        part(9..11),
        part(11..13),
        part(13..15)
    );
    DateTime::from_str(&text, Format::DateTime).ok().map(|date| date.secs())
}

impl Event {
    /// Reads an event. Never fails: what cannot be read is one of the variants.
    pub fn read(event: Value, local: bool) -> Self {
        let Value::Object(mut object) = event else {
            return Self::Unanswerable("the event is not a JSON object".to_owned());
        };
        if object.get("sweep") == Some(&Value::Bool(true)) {
            return Self::Sweep;
        }
        if let Some(inner) = object.remove("plan") {
            return Self::Plan(inner);
        }
        let envelope = match Envelope::salvage(&object, local) {
            Ok(envelope) => envelope,
            Err(why) => return Self::Unanswerable(why),
        };
        match Request::read(envelope.clone(), object) {
            Ok(request) => Self::Request(request),
            Err(why) => Self::Malformed(envelope, why),
        }
    }
}

impl Envelope {
    /// Takes from an event what an answer needs.
    ///
    /// # Errors
    ///
    /// There is nowhere to answer to. What else is missing becomes a visible placeholder: CloudFormation
    /// finds the request by the URL, and an answer that it must refuse is still better than silence.
    pub fn salvage(object: &Map<String, Value>, local: bool) -> Result<Self, String> {
        let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
        let url = text("ResponseURL").ok_or("the event has no ResponseURL")?;
        let response_url = ResponseUrl::parse(&url, local)?;
        let unknown = || "unknown".to_owned();
        Ok(Self {
            response_url,
            stack_id: text("StackId").unwrap_or_else(unknown),
            request_id: text("RequestId").unwrap_or_else(unknown),
            logical_id: text("LogicalResourceId").unwrap_or_else(unknown),
            physical_id: text("PhysicalResourceId").filter(|id| !id.is_empty()),
        })
    }
}

impl Envelope {
    /// How old the request is, in seconds; `None` if its URL is unsigned.
    pub fn age(&self) -> Option<i64> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        self.response_url.signed_at().map(|signed| now.saturating_sub(signed).max(0))
    }
}

impl Request {
    fn read(envelope: Envelope, mut object: Map<String, Value>) -> Result<Self, String> {
        let leg =
            object.remove("TowerForge").as_ref().and_then(|more| more.get("Leg")).and_then(Value::as_u64);
        let leg = leg.and_then(|leg| u32::try_from(leg).ok()).unwrap_or(1).max(1);
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
            other => {
                let _ = other;
                return Err("RequestType is none of Create, Update, Delete".to_owned());
            }
        };
        let home = Home::of(&envelope.stack_id).ok_or("StackId is not the ARN of a stack")?;
        Ok(Self { envelope, operation, properties: as_object(properties, "ResourceProperties")?, leg, home })
    }
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
    use serde_json::json;

    const URL: &str = "https://cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com/arn%3Aaws%3A\
        x%7CGenomics?X-Amz-Date=20261124T083000Z&X-Amz-Expires=7200&X-Amz-Signature=secret";

    fn create() -> Value {
        json!({
            "RequestType": "Create", "RequestId": "r", "ResponseURL": URL, "ResourceType": "Custom::TowerForge",
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/s/u", "LogicalResourceId": "Genomics",
            "ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:tower-forge",
            "ResourceProperties": {"WorkDir": "s3://b"},
        })
    }

    #[test]
    fn a_url_keeps_its_escapes_and_shows_itself_to_nobody() {
        let url = ResponseUrl::parse(URL, false).unwrap();
        assert_eq!(url.expose().as_str(), URL);
        assert!(!format!("{url:?}").contains("secret"));
        assert_eq!(url.signed_at(), Some(1_795_509_000));
        assert_eq!(url.expires_at(), Some(1_795_509_000 + 7200));
    }

    #[test]
    fn an_answer_goes_to_aws_only() {
        for text in [
            "https://attacker.example/x",
            "http://s3.amazonaws.com/x",
            "https://amazonaws.com.attacker.example/x",
            "https://user@s3.amazonaws.com/x",
            "https://s3.amazonaws.com:8443/x",
            "http://127.0.0.1/x",
            "not a URL",
        ] {
            assert!(ResponseUrl::parse(text, false).is_err(), "{text}");
        }
        assert!(ResponseUrl::parse("http://127.0.0.1:9010/x", true).is_ok());
        assert!(ResponseUrl::parse("http://10.0.0.1:9010/x", true).is_err());
    }

    #[test]
    fn a_create_is_read() {
        let Event::Request(request) = Event::read(create(), false) else { panic!("not a request") };
        assert!(matches!(request.operation, Operation::Create));
        assert_eq!((request.home.account.as_str(), request.leg), ("123456789012", 1));
        assert!(!format!("{request:?}").contains("secret"));
    }

    #[test]
    fn whoever_can_be_answered_is_answered() {
        let broken = |key: &str, value: Value| {
            let mut event = create();
            event[key] = value;
            Event::read(event, false)
        };
        assert!(matches!(broken("RequestType", json!("Explode")), Event::Malformed(..)));
        assert!(matches!(broken("ResourceProperties", json!("text")), Event::Malformed(..)));
        assert!(matches!(broken("StackId", json!(7)), Event::Malformed(..)));
        assert!(matches!(broken("ResponseURL", json!("https://attacker.example/")), Event::Unanswerable(_)));
        assert!(matches!(Event::read(json!([]), false), Event::Unanswerable(_)));
        assert!(matches!(Event::read(json!({"sweep": true}), false), Event::Sweep));
    }
}
