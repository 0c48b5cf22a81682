//! Invocations that died: the other function answers for them, and only where CloudFormation still waits.

use serde_json::{Value, json};

use crate::cloudformation::{Request, Stack};
use crate::create_and_delete::minimal;
use crate::lambda::given_up;
use crate::runtime_api::{Outcome, Program};
use crate::world::{Setting, World};
use std::time::Duration;

async fn dead_letters() -> World {
    World::with(Setting { program: Program::DeadLetter, ..Setting::default() }).await
}

async fn request(stack: &Stack, status: &str) -> Request {
    stack.put_statuses(status, status).await;
    stack.request(stack.create_event(), Duration::ZERO)
}

async fn deliver_record(world: &World, request: &Request, record: Value) {
    request.delivered();
    let outcome = world.invoke(record).await;
    assert!(outcome.is_returned(), "{outcome:?}");
}

/// Lambda's record of an event that it has given up, for this reason.
fn record(event: &Value, condition: &str, error: &str) -> Value {
    let mut record = given_up(event);
    record["requestContext"]["condition"] = json!(condition);
    record["responsePayload"]["errorMessage"] = json!(error);
    record
}

#[tokio::test]
async fn every_way_to_die_is_answered_with_what_lambda_says() {
    for (condition, error) in [
        ("RetriesExhausted", "RequestId: e4b46cbf Error: Runtime exited with error: signal: killed"),
        ("RetriesExhausted", "Runtime.ExitError: exit status 101 during init"),
        ("RetriesExhausted", "2026-11-24T08:36:23Z e4b46cbf Task timed out after 900.00 seconds"),
        ("EventAgeExceeded", "the event is too old"),
    ] {
        let world = dead_letters().await;
        let stack = world.stack(minimal());
        let request = request(&stack, "CREATE_IN_PROGRESS").await;
        deliver_record(&world, &request, record(&request.event, condition, error)).await;
        let answers = request.answers();
        assert_eq!(answers.len(), 1, "{condition} {error}");
        assert!(!answers[0].succeeded);
        assert!(answers[0].reason.contains(error) && answers[0].reason.contains(condition), "{answers:?}");
        assert_eq!(answers[0].physical_id.len(), 22, "the Delete that follows finds what was made");
        world.assert_no_change_since(0).await;
    }
}

#[tokio::test]
async fn a_resource_that_is_not_in_progress_is_left_alone() {
    for status in ["CREATE_COMPLETE", "CREATE_FAILED", "DELETE_COMPLETE"] {
        let world = dead_letters().await;
        let stack = world.stack(minimal());
        let request = request(&stack, status).await;
        deliver_record(&world, &request, given_up(&request.event)).await;
        assert_eq!(request.answers().len(), 0, "{status}");
    }
}

#[tokio::test]
async fn a_later_leg_is_answered_for_like_the_first() {
    let world = dead_letters().await;
    let stack = world.stack(minimal());
    let mut request = request(&stack, "CREATE_IN_PROGRESS").await;
    request.event["TowerForge"] = json!({ "Leg": 3 });
    deliver_record(&world, &request, given_up(&request.event)).await;
    assert_eq!(request.answers().len(), 1);
}

#[tokio::test]
async fn a_deletion_of_what_was_replaced_is_answered_for() {
    let world = dead_letters().await;
    let stack = world.stack(minimal());
    let mut event = stack.create_event();
    event["RequestType"] = json!("Delete");
    event["PhysicalResourceId"] = json!("OldForge");
    let request = stack.request(event, Duration::ZERO);
    let shown = json!({
        "stack_id": stack.id(),
        "stack_status": "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "resources": { stack.logical_id(): "UPDATE_COMPLETE" },
        "physical_ids": { stack.logical_id(): "NewForge" },
    });
    world.cloud.put_stacks(shown).await;
    deliver_record(&world, &request, given_up(&request.event)).await;
    let answers = request.answers();
    assert!(answers.len() == 1 && answers[0].physical_id == "OldForge", "{answers:?}");
}

#[tokio::test]
async fn what_nobody_waits_for_is_ignored() {
    let world = dead_letters().await;
    for payload in [json!({ "sweep": true }), json!({ "plan": {} }), json!({}), json!("text"), json!(null)] {
        let outcome = world.invoke(given_up(&payload)).await;
        assert!(matches!(outcome, Outcome::Returned(_)), "{payload}: {outcome:?}");
    }
    for record in [json!({}), json!([]), json!("text")] {
        let outcome = world.invoke(record).await;
        assert!(matches!(outcome, Outcome::Returned(_)), "{outcome:?}");
    }
    assert_eq!(world.calls().await.len(), 0);
}

#[tokio::test]
async fn a_malformed_event_is_answered_for() {
    let world = dead_letters().await;
    let stack = world.stack(minimal());
    let mut event = stack.create_event();
    event["RequestType"] = json!("Upsert");
    let request = stack.request(event, Duration::ZERO);
    deliver_record(&world, &request, given_up(&request.event)).await;
    assert_eq!(request.answers().len(), 1);
}
