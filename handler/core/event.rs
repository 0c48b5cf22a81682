//! A request of CloudFormation, and the secret URL that its response goes to.
//!
//! `handler/edge/event.rs` reads the JSON; the envelope is salvaged from it first, so that whoever can be answered is
//! answered: a stack waits an hour for the response to a request that could not be read.

use crate::port::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

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
#[derive(Clone)]
pub struct Request {
    /// Whom to answer.
    pub envelope: Envelope,
    /// What is asked for.
    pub operation: Operation,
    /// What the stack says; of a Delete, what it said last.
    pub properties: Map<String, Value>,
    /// Where the forge is.
    pub account: AccountScope,
}

/// The account that a forge is in: the function's own, which is the stack's as a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountScope {
    /// `aws`, `aws-cn` …
    pub partition: String,
    /// The account's 12 digits.
    pub account: String,
}

/// Without the properties: a `NoEcho` parameter may be among them.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { envelope, operation, .. } = self;
        f.debug_struct("Request")
            .field("envelope", envelope)
            .field("operation", operation)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AccountScope {
    /// Reads partition and account from an ARN; `None` if it is none.
    pub fn of(arn: &str) -> Option<Self> {
        let fields: Vec<&str> = arn.split(':').collect();
        let [scheme, partition, _, _, account, _, ..] = fields.as_slice() else { return None };
        let ok = *scheme == "arn" && account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        ok.then(|| Self { partition: (*partition).to_owned(), account: (*account).to_owned() })
    }
}

/// What CloudFormation can ask for.
#[derive(Clone)]
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
    /// CloudFormation's name of it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update { .. } => "Update",
            Self::Delete => "Delete",
        }
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

/// Where AWS's hosts are, by what the names of a partition's regions begin with; anything else is in the first.
/// From botocore's `partitions.json`.
const DNS_SUFFIXES: [(&str, &str); 7] = [
    ("", "amazonaws.com"),
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
];

/// What the names of AWS's hosts for a region end with.
pub fn dns_suffix(region: &str) -> &'static str {
    let partition = DNS_SUFFIXES.iter().rfind(|(prefix, _)| region.starts_with(prefix));
    partition.unwrap_or(&DNS_SUFFIXES[0]).1
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
        let to_aws = url.scheme() == "https"
            && DNS_SUFFIXES
                .iter()
                .any(|(_, suffix)| host.strip_suffix(suffix).is_some_and(|host| host.ends_with('.')))
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

    /// 32 hexadecimal digits that stand for the URL and do not tell it.
    pub fn digest(&self) -> String {
        crate::claim::hex(&Sha256::digest(self.0.as_str().as_bytes())[..16])
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
    parse_rfc3339(&text).map(Timestamp::secs)
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

impl Request {
    /// The operation: the same for all deliveries of one signing, and another for each signing.
    pub fn operation_id(&self) -> String {
        self.envelope.response_url.digest()
    }
}

/// A point in time as RFC 3339, e.g. `2026-11-24T12:00:00Z`.
pub fn rfc3339(time: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp(time.secs()).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// Reads RFC 3339.
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(|time| Timestamp::from_secs(time.unix_timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const URL: &str = "https://cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com/arn%3Aaws%3A\
        x%7CGenomics?X-Amz-Date=20261124T083000Z&X-Amz-Expires=7200&X-Amz-Signature=secret";

    #[test]
    fn a_url_keeps_its_escapes_and_shows_itself_to_nobody() {
        let url = ResponseUrl::parse(URL, false).unwrap();
        assert_eq!(url.expose().as_str(), URL);
        assert!(!format!("{url:?}").contains("secret"));
        assert_eq!(url.signed_at(), Some(1_795_509_000));
    }

    #[test]
    fn an_answer_goes_to_aws_only() {
        for text in [
            "https://attacker.example/x",
            "http://s3.amazonaws.com/x",
            "https://amazonaws.com.attacker.example/x",
            "https://attackeramazonaws.com/x",
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
    fn every_partition_has_its_hosts() {
        let suffixes = [
            ("eu-west-1", "amazonaws.com"),
            ("us-gov-west-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("eusc-de-east-1", "amazonaws.eu"),
            ("us-iso-east-1", "c2s.ic.gov"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
            ("us-isof-south-1", "csp.hci.ic.gov"),
            ("eu-isoe-west-1", "cloud.adc-e.uk"),
        ];
        for (region, suffix) in suffixes {
            assert_eq!(dns_suffix(region), suffix, "{region}");
            assert!(ResponseUrl::parse(&format!("https://bucket.s3.{region}.{suffix}/x"), false).is_ok());
        }
    }

    #[test]
    fn a_request_shows_no_properties() {
        let properties = Map::from_iter([("Environment".to_owned(), json!([{"Value": "hunter2"}]))]);
        let request = Request {
            envelope: Envelope::salvage(json!({"ResponseURL": URL}).as_object().unwrap(), false).unwrap(),
            operation: Operation::Update { old: properties.clone() },
            properties,
            account: AccountScope { partition: "aws".to_owned(), account: "123456789012".to_owned() },
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("Update") && !shown.contains("hunter2"), "{shown}");
    }
}
