//! One invocation: from an event to at most one answer.
//!
//! *Guarantees.* From the moment that a response URL has been read, CloudFormation is answered whatever happens
//! (bad properties, an error of AWS, a panic, the deadline), unless another invocation answers for this one: the
//! next leg of the same operation, or a newer operation.

use crate::error::{AwsError, Context as _, Error, Reason, Result, chain};
use crate::event::{Envelope, Event, Home, Operation, Request};
use crate::function::{Function, Invocation};
use crate::operation::{self, Finish};
use crate::respond::{self, Answer};
use crate::settings;
use crate::{preview, sweep, wish};
use aws_config::retry::RetryConfig;
use futures_util::FutureExt as _;
use serde_json::{Map, Value, json};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The most invocations that one operation takes; Lambda itself stops a chain of about sixteen.
const LEGS: u32 = 5;
/// What CloudFormation waits at most, in seconds.
const SERVICE_TIMEOUT: i64 = 3600;
/// How long before the end of an invocation the work is handed to the next, in seconds.
const HANDOVER: f64 = 60.0;
/// How long an invocation is taken to last where its deadline is unknown, in seconds.
const UNKNOWN_DEADLINE: f64 = 840.0;

/// How long an invocation may work.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// When the work has to be handed over or answered.
    pub work_until: Instant,
    /// When the invocation ends.
    pub end: Instant,
    /// Whether the operation's whole budget ends in this invocation.
    pub last: bool,
}

/// Nobody has been answered; to Lambda the invocation has failed.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// The answer could not be delivered; Lambda tries the event again.
    #[error("CloudFormation could not be answered: {0}")]
    Undelivered(#[from] respond::Undelivered),
    /// Nobody waits, and what was made could not be undone; Lambda tries the event again.
    #[error("a cancelled operation has left something: {0}")]
    Left(String),
    /// The event does not say whom to answer; the error makes it visible in the function's metrics.
    #[error("nobody can be answered: {0}")]
    NoAddress(String),
}

impl Function {
    /// Carries out one event.
    ///
    /// # Errors
    ///
    /// CloudFormation is waiting and could not be answered.
    pub async fn invoke(&self, event: Value, invocation: &Invocation) -> Result<Value, Unanswered> {
        let original = event.clone();
        match Event::read(event, self.settings.local) {
            Event::Request(mut request) => {
                // A stack may be in another account than the function; what the function makes is in its own.
                if let Some(home) = Home::of(&invocation.function_arn) {
                    request.home = home;
                }
                self.carry_out(request, original, invocation).await
            }
            Event::Malformed(envelope, why) => {
                let error = Error::Invalid(vec![why]);
                let physical_id =
                    envelope.physical_id.clone().unwrap_or_else(|| "unreadable-request".to_owned());
                let answer = failed(physical_id, &error, invocation);
                self.deliver(&envelope, answer, Instant::now() + self.settings.pace.seconds(60.0)).await
            }
            Event::Plan(inner) => Ok(Box::pin(preview::preview(self, inner, invocation)).await),
            Event::Sweep => Ok(Box::pin(sweep::sweep(self, self.time(invocation, None).work_until)).await),
            Event::Unanswerable(why) => {
                tracing::error!(why, "nobody can be answered");
                Err(Unanswered::NoAddress(why))
            }
        }
    }

    async fn carry_out(
        &self,
        request: Request,
        event: Value,
        invocation: &Invocation,
    ) -> Result<Value, Unanswered> {
        let envelope = &request.envelope;
        if let Some(age) = envelope.age().filter(|age| *age > service_timeout(&request.properties)) {
            // CloudFormation has given up, and somebody may have gone on from there.
            tracing::warn!(age, "a stale event; nothing is touched");
            return Ok(json!({"stale": true}));
        }
        let time = self.time(invocation, Some(&request));
        let leg = request.leg;
        tracing::info!(operation = request.operation.word(), logical_id = envelope.logical_id, leg, "begins");
        let physical_id = wish::physical_id(&request);
        // The work stops by itself before its time is over; this is for a call that hangs.
        let hang = time.work_until + self.settings.pace.seconds(HANDOVER / 3.0);
        let work = guarded(operation::carry_out(self, &request, time.work_until));
        let finish = match tokio::time::timeout_at(hang, work).await {
            // Whoever asks for fewer calls is asked again by the next leg.
            Ok(Err(err)) if err.aws().is_some_and(AwsError::is_throttled) => {
                Ok(Finish::Pending(vec![chain(&err)]))
            }
            Ok(finish) => finish,
            Err(_) => Ok(Finish::Pending(vec!["a call of AWS that does not return".to_owned()])),
        };
        let finish = match finish {
            // Cancelled or rolled back meanwhile? Then that may be why it failed.
            Err(error) if !matches!(request.operation, Operation::Delete) => {
                let undone = guarded(operation::overtaken(self, &request, hang));
                match tokio::time::timeout_at(hang, undone).await {
                    Ok(Ok(None)) => Err(error),
                    Ok(Ok(Some(finish))) => Ok(finish),
                    Ok(Err(left)) => return Err(Unanswered::Left(chain(&left))),
                    Err(_) => return Err(Unanswered::Left(chain(&error))),
                }
            }
            finish => finish,
        };
        let answer = match finish {
            Ok(Finish::Done { physical_id, attributes }) => Answer::Success { physical_id, attributes },
            Ok(Finish::Stopped(why)) => {
                tracing::info!(why, "stops without an answer");
                return Ok(json!({"stopped": why}));
            }
            Ok(Finish::Pending(pending)) => match self.hand_over(&request, event, &time, pending).await {
                Ok(next) => return Ok(next),
                Err(error) => failed(physical_id, &error, invocation),
            },
            Err(error) => failed(physical_id, &error, invocation),
        };
        self.deliver(envelope, answer, time.end).await
    }

    /// When the work of an invocation has to end.
    fn time(&self, invocation: &Invocation, request: Option<&Request>) -> Time {
        let pace = self.settings.pace;
        let now = Instant::now();
        let left = invocation.deadline.duration_since(SystemTime::now()).ok();
        let end = now + left.unwrap_or_else(|| pace.seconds(UNKNOWN_DEADLINE + HANDOVER));
        // A short invocation still works for half of its time.
        let handover = pace.seconds(HANDOVER).min(end.saturating_duration_since(now) / 2);
        let leg_end = end - handover;
        let Some(request) = request else { return Time { work_until: leg_end, end, last: false } };
        let timeout = service_timeout(&request.properties);
        let margin = (timeout / 10).min(120);
        #[allow(clippy::cast_precision_loss)] // at most an hour
        let budget = pace.seconds((timeout - margin) as f64);
        let used = Duration::from_secs(request.envelope.age().unwrap_or_default().unsigned_abs());
        let budget_end = now + budget.saturating_sub(used);
        Time { work_until: leg_end.min(budget_end), end, last: budget_end <= leg_end }
    }

    /// Has the function go on with the same event in another invocation.
    async fn hand_over(
        &self,
        request: &Request,
        mut event: Value,
        time: &Time,
        mut pending: Vec<String>,
    ) -> Result<Value> {
        let next = request.leg + 1;
        let function = settings::function_name();
        let Some(function) = function.filter(|_| !time.last && next <= LEGS) else {
            return Err(Error::TimedOut(pending));
        };
        event["TowerForge"] = json!({"Leg": next});
        let payload = aws_sdk_lambda::primitives::Blob::new(event.to_string());
        let invoke = self.aws.lambda.invoke().function_name(&function).payload(payload);
        let invoke = invoke.invocation_type(aws_sdk_lambda::types::InvocationType::Event);
        // There are seconds left, not a minute.
        let quick = aws_sdk_lambda::Config::builder().retry_config(
            RetryConfig::standard()
                .with_max_attempts(4)
                .with_initial_backoff(self.settings.pace.seconds(1.0)),
        );
        let invoked = invoke.customize().config_override(quick).send().await;
        match invoked.on("lambda:InvokeFunction", &function) {
            Ok(_) => {
                tracing::info!(next, pending = pending.join("; "), "goes on in another invocation");
                Ok(json!({"leg": next}))
            }
            Err(err) => {
                pending.push(format!("the function could not invoke itself: {}", chain(&err)));
                Err(Error::TimedOut(pending))
            }
        }
    }

    async fn deliver(
        &self,
        envelope: &Envelope,
        answer: Answer,
        until: Instant,
    ) -> Result<Value, Unanswered> {
        let (status, physical_id) = match &answer {
            Answer::Success { physical_id, .. } => ("SUCCESS", physical_id.clone()),
            Answer::Failed { physical_id, .. } => ("FAILED", physical_id.clone()),
        };
        let body = answer.body(envelope).or_else(|excess| {
            // Cannot happen: the attributes are measured before anything is made.
            let reason = format!("[InternalFailure] the answer is {excess} bytes too long");
            Answer::Failed { physical_id: physical_id.clone(), reason }.body(envelope)
        });
        let body = body.unwrap_or_default();
        let pace = self.settings.pace;
        let until = until - pace.seconds(2.0).min(until.saturating_duration_since(Instant::now()));
        match respond::put(&self.http, envelope, body, pace, until).await {
            Ok(()) => {
                tracing::info!(status, physical_id, "answered");
                Ok(json!({"status": status, "physicalId": physical_id}))
            }
            Err(respond::Undelivered::Refused(code)) => {
                tracing::error!(
                    code,
                    status,
                    "CloudFormation refused the answer: its URL has expired or is wrong"
                );
                Ok(json!({"status": status, "refused": code}))
            }
            Err(err) => Err(err.into()),
        }
    }
}

fn failed(physical_id: String, error: &Error, invocation: &Invocation) -> Answer {
    let log_stream = settings::log_stream();
    let reason = Reason { error, log_stream: &log_stream, request_id: &invocation.request_id }.to_string();
    tracing::error!(reason, "fails");
    Answer::Failed { physical_id, reason }
}

/// How long CloudFormation waits for an operation, in seconds.
fn service_timeout(properties: &Map<String, Value>) -> i64 {
    let given = match properties.get("ServiceTimeout") {
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(number) => number.as_i64(),
        None => None,
    };
    given.filter(|seconds| (1..=SERVICE_TIMEOUT).contains(seconds)).unwrap_or(SERVICE_TIMEOUT)
}

/// Runs work; a panic in it is an error like any other.
async fn guarded<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let done = AssertUnwindSafe(Box::pin(work)).catch_unwind().await;
    done.unwrap_or_else(|panic| Err(Error::Bug(text_of(panic.as_ref()))))
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_with_its_text() {
        #[allow(clippy::panic)] // that is what is tested
        let work = async { if true { panic!("the {} is broken", "thing") } else { Ok(()) } };
        let err = guarded(work).await.unwrap_err();
        assert_eq!(
            (err.code(), err.to_string().as_str()),
            ("InternalFailure", "a bug in this function: the thing is broken")
        );
    }

    #[test]
    fn a_service_timeout_is_read_however_it_is_written() {
        let timeout = |value: Value| service_timeout(&Map::from_iter([("ServiceTimeout".to_owned(), value)]));
        assert_eq!((timeout(json!("600")), timeout(json!(600))), (600, 600));
        for odd in [json!("0"), json!("many"), json!(4000), json!(null), json!([1])] {
            assert_eq!(timeout(odd), SERVICE_TIMEOUT);
        }
    }
}
