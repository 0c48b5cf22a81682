//! The response to CloudFormation: a body of at most 4096 bytes. PURE.

use crate::event::Envelope;
use serde_json::{Map, Value, json};

/// CloudFormation refuses a longer body, and the operation fails even if the work succeeded.
pub const LIMIT: usize = 4096;

/// The response to one request.
#[derive(Clone, Debug)]
pub enum Response {
    /// Success.
    Success {
        /// The forge's ID.
        physical_id: String,
        /// The attributes for `!GetAtt`: all of them, empty if they have no value.
        attributes: Map<String, Value>,
    },
    /// Failure.
    Failed {
        /// The forge's ID; for a failed Update the ID in the request, or CloudFormation would delete that forge.
        physical_id: String,
        /// The reason, for users.
        reason: String,
    },
}

impl Response {
    /// The body of the PUT: everything except the Reason in full, and as much of the Reason as fits.
    ///
    /// # Errors
    ///
    /// The attributes alone exceed the limit, by this number of bytes.
    pub fn body(&self, envelope: &Envelope) -> Result<String, usize> {
        let (status, physical_id, reason, data) = match self {
            Self::Success { physical_id, attributes } => ("SUCCESS", physical_id, "", attributes.clone()),
            Self::Failed { physical_id, reason } => ("FAILED", physical_id, reason.as_str(), Map::new()),
        };
        // An empty ID would be shown instead of the Reason, and a long one refused.
        let physical_id = if physical_id.is_empty() { "unknown" } else { shorten(physical_id, 1024) };
        let with = |reason: &str| {
            json!({
                "Status": status,
                "Reason": reason,
                "PhysicalResourceId": physical_id,
                "StackId": shorten(&envelope.stack_id, 1024),
                "RequestId": shorten(&envelope.request_id, 256),
                "LogicalResourceId": shorten(&envelope.logical_id, 255),
                "Data": data,
            })
            .to_string()
        };
        let whole = with(reason);
        if whole.len() <= LIMIT {
            return Ok(whole);
        }
        let frame = with("").len();
        let room = LIMIT.checked_sub(frame).ok_or(frame.saturating_sub(LIMIT))?;
        let body = with(&fit(reason, room));
        if body.len() <= LIMIT { Ok(body) } else { Err(body.len() - LIMIT) }
    }
}

/// The longest beginning of `text` that has at most `limit` bytes.
fn shorten(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// Beginning and end of `text`, at most `room` bytes in JSON.
fn fit(text: &str, room: usize) -> String {
    const GAP: &str = " … ";
    let escaped = |c: char| match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        c if c < ' ' => 6,
        c => c.len_utf8(),
    };
    let room = room.saturating_sub(GAP.len());
    let (head_room, tail_room) = (room - room / 3, room / 3);
    let take = |chars: &mut dyn Iterator<Item = char>, room: usize| {
        let mut used = 0;
        let taken: Vec<char> = chars
            .take_while(|c| {
                used += escaped(*c);
                used <= room
            })
            .collect();
        taken
    };
    let head: String = take(&mut text.chars(), head_room).into_iter().collect();
    let tail: String = take(&mut text.chars().rev(), tail_room).into_iter().rev().collect();
    format!("{head}{GAP}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ResponseUrl, Source};
    use proptest::prelude::*;

    fn envelope(logical_id: &str) -> Envelope {
        let source = Source { region: "eu-west-1".to_owned(), local: true };
        Envelope {
            response_url: ResponseUrl::parse("http://127.0.0.1:1/x", &source).unwrap(),
            stack_id: "arn:aws:cloudformation:eu-west-1:123456789012:stack/s/u".into(),
            request_id: "r".into(),
            logical_id: logical_id.into(),
            physical_id: None,
        }
    }

    proptest! {
        #[test]
        fn no_response_is_longer_than_cloudformation_takes(
            reason in "\\PC{0,3000}|[\"\\\\\u{1}\n€𝄞]{0,3000}", id in ".{0,40}", logical in ".{0,300}"
        ) {
            let response = Response::Failed { physical_id: id, reason: reason.clone() };
            let body = response.body(&envelope(&logical)).unwrap();
            prop_assert!(body.len() <= LIMIT);
            let read: Value = serde_json::from_str(&body).unwrap();
            let shown = read["Reason"].as_str().unwrap();
            prop_assert!(shown == reason || shown.contains(" … "));
            prop_assert!(!read["PhysicalResourceId"].as_str().unwrap().is_empty());
        }
    }

    #[test]
    fn attributes_that_do_not_fit_are_an_error_with_the_excess() {
        let attributes = Map::from_iter([("NextflowConfig".to_owned(), Value::from("x".repeat(5000)))]);
        let response = Response::Success { physical_id: "id".into(), attributes };
        let excess = response.body(&envelope("Genomics")).unwrap_err();
        assert!(excess > 900, "{excess}");
    }
}
