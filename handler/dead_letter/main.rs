//! The dead-letter function: answers for invocations of the other one that died without an answer.
//!
//! Lambda sends it the record of an event whose tries are used up: out of memory, a crash at start, an answer
//! that could not be delivered. It makes no change in AWS. It answers FAILED only while CloudFormation shows the
//! resource as in progress, because a later leg may still be at work or may have answered.

use aws_config::BehaviorVersion;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tower_forge::event::{Event, Operation, Request};
use tower_forge::respond::{self, Answer};
use tower_forge::settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tower_forge::logging::start();
    let settings = Settings::from_env();
    let config = aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await;
    let cloudformation = aws_sdk_cloudformation::Client::new(&config);
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let (settings, cloudformation, http) = (&settings, &cloudformation, &http);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let deadline =
            event.context.deadline().duration_since(SystemTime::now()).unwrap_or(Duration::from_mins(1));
        let until = Instant::now() + deadline;
        answer(event.payload, settings, cloudformation, http, until)
            .await
            .map_err(lambda_runtime::Error::from)
    }))
    .await
}

async fn answer(
    record: Value,
    settings: &Settings,
    cloudformation: &aws_sdk_cloudformation::Client,
    http: &reqwest::Client,
    deadline: Instant,
) -> Result<Value, respond::Undelivered> {
    let why = cause(&record);
    let (envelope, physical_id) = match Event::read(record["requestPayload"].clone(), settings.local) {
        Event::Request(request) => {
            let physical_id = tower_forge::wish::physical_id(&request);
            if is_settled(cloudformation, &request).await == Some(true) {
                return Ok(json!({"ignored": "the resource is not in progress"}));
            }
            (request.envelope, physical_id)
        }
        Event::Malformed(envelope, _) => {
            let physical_id = envelope.physical_id.clone().unwrap_or_else(|| "unreadable-request".to_owned());
            (envelope, physical_id)
        }
        Event::Sweep | Event::Plan(_) | Event::Unanswerable(_) => {
            return Ok(json!({"ignored": "nobody waits for an answer"}));
        }
    };
    let reason = format!(
        "[InternalFailure] the function ended without an answer: {why}. To do: look at the function's log, then \
         deploy or delete again: the work goes on where it stopped"
    );
    tracing::error!(reason, logical_id = envelope.logical_id, "answers for a dead invocation");
    let answer = Answer::Failed { physical_id, reason };
    let body = answer.body(&envelope).unwrap_or_default();
    respond::put(http, &envelope, body, settings.pace, deadline - settings.pace.seconds(2.0)).await?;
    Ok(json!({"status": "FAILED"}))
}

/// Why Lambda gave up, as its record says.
fn cause(record: &Value) -> String {
    let condition = record["requestContext"]["condition"].as_str().unwrap_or("unknown");
    let tries = record["requestContext"]["approximateInvokeCount"].as_u64().unwrap_or_default();
    let error = record["responsePayload"]["errorMessage"].as_str();
    let error =
        error.or_else(|| record["responseContext"]["functionError"].as_str()).unwrap_or("no error told");
    format!("{condition} after {tries} tries, {error}")
}

/// Whether CloudFormation no longer waits; `None` where it cannot be told.
async fn is_settled(cloudformation: &aws_sdk_cloudformation::Client, request: &Request) -> Option<bool> {
    let ask = cloudformation
        .describe_stack_resource()
        .stack_name(&request.envelope.stack_id)
        .logical_resource_id(&request.envelope.logical_id);
    let detail = ask.send().await.ok()?.stack_resource_detail?;
    // The clean-up after a replacement deletes what is not shown any more: its own status is told nowhere.
    let shown = detail.physical_resource_id.unwrap_or_default();
    let replaced = matches!(request.operation, Operation::Delete)
        && request.envelope.physical_id.as_ref().is_some_and(|id| !shown.is_empty() && *id != shown);
    let status = detail.resource_status?;
    Some(!replaced && !status.as_str().ends_with("_IN_PROGRESS"))
}
