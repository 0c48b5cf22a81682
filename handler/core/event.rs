//! A request of CloudFormation, and the secret URL for its response.
//!
//! `handler/edge/event.rs` reads the JSON and recovers the envelope first, so that even an unreadable request gets a
//! response. Without one, the stack would wait for an hour.

use crate::port::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

/// The data for a response.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The URL for the response.
    pub response_url: ResponseUrl,
    /// The stack's ARN.
    pub stack_id: String,
    /// The request ID; CloudFormation reuses it when a failed deployment is repeated.
    pub request_id: String,
    /// The resource's name in its template.
    pub logical_id: String,
    /// The physical ID in the request, which CloudFormation may have made up.
    pub physical_id: Option<String>,
}

/// A request of CloudFormation.
#[derive(Clone)]
pub struct Request {
    /// The data for the response.
    pub envelope: Envelope,
    /// The operation.
    pub operation: Operation,
    /// The properties; for a Delete, the last ones.
    pub properties: Map<String, Value>,
    /// The account of the forge.
    pub account: AccountScope,
}

/// The account of a forge: the function's own, which is normally the stack's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountScope {
    /// `aws`, `aws-cn` …
    pub partition: String,
    /// The account's 12 digits.
    pub account: String,
}

/// Omits the properties: they may contain a `NoEcho` parameter.
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
    /// Reads partition and account from an ARN; `None` if it is not one.
    pub fn of(arn: &str) -> Option<Self> {
        let fields: Vec<&str> = arn.split(':').collect();
        let [scheme, partition, _, _, account, _, ..] = fields.as_slice() else { return None };
        let ok = *scheme == "arn" && account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        ok.then(|| Self { partition: (*partition).to_owned(), account: (*account).to_owned() })
    }
}

/// The operations that CloudFormation requests.
#[derive(Clone)]
pub enum Operation {
    /// Create.
    Create,
    /// Update; a rollback is an Update with the properties exchanged.
    Update {
        /// The previous properties.
        old: Map<String, Value>,
    },
    /// Delete; also sent after a failed or cancelled Create.
    Delete,
}

impl Operation {
    /// CloudFormation's name for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update { .. } => "Update",
            Self::Delete => "Delete",
        }
    }
}

/// A presigned URL. It allows responding for the stack, so it is never displayed.
#[derive(Clone)]
pub struct ResponseUrl(Url);

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseUrl(redacted)")
    }
}

/// By how many seconds CloudFormation's clock may be ahead of the function's.
const AHEAD: i64 = 60;

/// The DNS suffix of AWS hosts, by the prefix of a partition's region names; other regions use the first. From
/// botocore's `partitions.json`.
const DNS_SUFFIXES: [(&str, &str); 7] = [
    ("", "amazonaws.com"),
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
];

/// The DNS suffix of AWS hosts in a region.
pub fn dns_suffix(region: &str) -> &'static str {
    let partition = DNS_SUFFIXES.iter().rfind(|(prefix, _)| region.starts_with(prefix));
    partition.unwrap_or(&DNS_SUFFIXES[0]).1
}

/// Where genuine requests come from. Whoever may invoke the function can send an event of his own.
#[derive(Clone, Debug)]
pub struct Source {
    /// The region that the function runs in. It is the stack's: CloudFormation demands that of a `ServiceToken`.
    pub region: String,
    /// Whether this is a local run, in which response URLs may be unsigned and on loopback.
    pub local: bool,
}

impl Source {
    /// The hosts of the bucket to which CloudFormation's URLs point, in every form that S3 has for it. A name that only
    /// begins so may be somebody's: names of buckets are global, and may contain dots.
    fn hosts(&self) -> [String; 4] {
        let Self { region, .. } = self;
        let suffix = dns_suffix(region);
        let bucket = format!("cloudformation-custom-resource-response-{}", region.replace('-', ""));
        [
            format!("{bucket}.s3.{suffix}"),
            format!("{bucket}.s3.{region}.{suffix}"),
            format!("{bucket}.s3-{region}.{suffix}"),
            format!("{bucket}.s3.dualstack.{region}.{suffix}"),
        ]
    }
}

impl ResponseUrl {
    /// Accepts https to CloudFormation's own bucket; in local runs also http to loopback.
    ///
    /// # Errors
    ///
    /// The problem, without the URL.
    pub fn parse(text: &str, source: &Source) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "ResponseURL is not a URL")?;
        let host = url.host_str().unwrap_or_default();
        let to_cloudformation = url.scheme() == "https"
            && source.hosts().iter().any(|known| known == host)
            && url.username().is_empty()
            && matches!(url.port_or_known_default(), Some(443));
        let to_loopback =
            source.local && url.scheme() == "http" && matches!(host, "127.0.0.1" | "localhost" | "[::1]");
        if to_cloudformation || to_loopback {
            Ok(Self(url))
        } else {
            Err("ResponseURL is not https to CloudFormation's bucket of this region")
        }
    }

    /// The URL, for the PUT. Percent-escapes are unchanged: they are part of the signature.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// When CloudFormation signed it, in seconds since 1970: the time of the operation. `None` if unsigned.
    ///
    /// Either `X-Amz-Date` or, in the older signature, `Expires` minus CloudFormation's 7200 s.
    pub fn signed_at(&self) -> Option<i64> {
        if let Some(date) = self.parameter("X-Amz-Date") {
            return parse_basic_date(&date);
        }
        self.parameter("Expires")?.parse::<i64>().ok().map(|expires| expires.saturating_sub(7200))
    }

    /// 32 hexadecimal digits that identify the URL without revealing it.
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
    /// Extracts the data for a response from an event.
    ///
    /// # Errors
    ///
    /// There is no usable URL. Other missing fields become visible placeholders: CloudFormation finds the request by
    /// the URL, and a response that it refuses is better than none.
    pub fn salvage(object: &Map<String, Value>, source: &Source) -> Result<Self, String> {
        let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
        let url = text("ResponseURL").ok_or("the event has no ResponseURL")?;
        let response_url = ResponseUrl::parse(&url, source)?;
        let unknown = || "unknown".to_owned();
        Ok(Self {
            response_url,
            stack_id: text("StackId").unwrap_or_else(unknown),
            request_id: text("RequestId").unwrap_or_else(unknown),
            logical_id: text("LogicalResourceId").unwrap_or_else(unknown),
            physical_id: text("PhysicalResourceId").filter(|id| !id.is_empty()),
        })
    }

    /// Refuses what CloudFormation would not have sent. The answer may still go to the URL: it is CloudFormation's own, and
    /// whoever made the request knows it.
    ///
    /// # Errors
    ///
    /// The problem, without the URL.
    pub fn check(&self, source: &Source, now: Timestamp) -> Result<(), String> {
        let url = &self.response_url;
        let Some(signed) = url.signed_at() else {
            let why = "ResponseURL: not signed, allowed: a URL that CloudFormation has signed";
            return if source.local { Ok(()) } else { Err(why.to_owned()) };
        };
        // A date in the future would put this operation after every genuine one.
        if signed > now.secs().saturating_add(AHEAD) {
            return Err(format!("ResponseURL: signed more than {AHEAD} s ahead of this function's clock"));
        }
        let Self { stack_id, logical_id, request_id, .. } = self;
        let key = format!("{stack_id}|{logical_id}|{request_id}");
        let path = percent_encoding::percent_decode_str(url.0.path().trim_start_matches('/')).decode_utf8();
        if url.0.scheme() == "https" && path.as_deref() != Ok(&key) {
            let why = "ResponseURL: for another request, allowed: the one of this StackId, LogicalResourceId and RequestId";
            return Err(why.to_owned());
        }
        Ok(())
    }
}

impl Request {
    /// Whether the stack is in the account of the forge.
    pub fn is_of_own_account(&self) -> bool {
        AccountScope::of(&self.envelope.stack_id).as_ref() == Some(&self.account)
    }

    /// The operation: the same for all deliveries of one signing, and different for each signing.
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
mod tests;
