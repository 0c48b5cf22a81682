//! Invocations that died: the other function answers for them, and only where no other invocation will.

use serde_json::{Value, json};
use tower_forge_core::claim::resource_key;
use tower_forge_core::event::{ResponseUrl, Source};

use crate::cloudformation::{Request, Stack};
use crate::create_and_delete::minimal;
use crate::lambda::given_up;
use crate::runtime_api::{Outcome, Program};
use crate::test_account::{Setting, TestAccount};
use std::time::Duration;

async fn dead_letters() -> TestAccount {
    TestAccount::with(Setting { program: Program::DeadLetter, ..Setting::default() }).await
}

async fn request(stack: &Stack, status: &str) -> Request {
    stack.put_statuses(status, status).await;
    stack.request(stack.create_event(), Duration::ZERO)
}

async fn deliver_record(aws: &TestAccount, request: &Request, record: Value) {
    request.delivered();
    let outcome = aws.invoke(record).await;
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
        let aws = dead_letters().await;
        let stack = aws.stack(minimal());
        let request = request(&stack, "CREATE_IN_PROGRESS").await;
        deliver_record(&aws, &request, record(&request.event, condition, error)).await;
        let answers = request.answers();
        assert_eq!(answers.len(), 1, "{condition} {error}");
        assert!(!answers[0].succeeded);
        assert!(answers[0].reason.contains(error) && answers[0].reason.contains(condition), "{answers:?}");
        assert_eq!(answers[0].physical_id.len(), 22, "the Delete that follows finds what was made");
        aws.assert_no_change_since(0).await;
    }
}

/// Puts an item as an invocation `by` of some operation on the stack's resource would have left it.
async fn claimed(aws: &TestAccount, request: &Request, operation: &str, second: u64, by: &str) {
    let text = |key: &str| request.event[key].as_str().expect("a text");
    let item = json!({
        "id": { "S": resource_key(text("StackId"), text("LogicalResourceId")) },
        "order": { "S": format!("{second:012}.0.{operation}") },
        "operation": { "S": operation },
        "by": { "S": by },
        "busy": { "BOOL": true },
    });
    aws.seed(json!({ "item": item })).await;
}

fn operation(request: &Request) -> String {
    let url = request.event["ResponseURL"].as_str().expect("a URL");
    let source = Source { region: "eu-west-1".to_owned(), local: true };
    ResponseUrl::parse(url, &source).expect("a URL of ours").digest()
}

#[tokio::test]
async fn where_a_newer_operation_has_begun_no_response_is_expected() {
    let aws = dead_letters().await;
    let stack = aws.stack(minimal());
    let request = request(&stack, "DELETE_IN_PROGRESS").await;
    claimed(&aws, &request, "0123456789abcdef0123456789abcdef", 999_999_999_999, "another/1").await;
    deliver_record(&aws, &request, given_up(&request.event)).await;
    assert_eq!(request.answers().len(), 0);
}

#[tokio::test]
async fn where_another_invocation_of_the_operation_lives_it_answers() {
    let aws = dead_letters().await;
    let stack = aws.stack(minimal());
    let request = request(&stack, "CREATE_IN_PROGRESS").await;
    claimed(&aws, &request, &operation(&request), 0, "another-request/1").await;
    deliver_record(&aws, &request, given_up(&request.event)).await;
    assert_eq!(request.answers().len(), 0);
}

#[tokio::test]
async fn a_holder_that_died_and_a_leg_that_never_began_are_answered_for() {
    for (by, handed) in
        [("e4b46cbf-b738-xmpl-8880-a18cdf61200e/1", "nobody/0"), ("leg-before/1", "leg-before/1")]
    {
        let aws = dead_letters().await;
        let stack = aws.stack(minimal());
        let mut request = request(&stack, "CREATE_IN_PROGRESS").await;
        let operation = operation(&request);
        claimed(&aws, &request, &operation, 0, by).await;
        request.event["TowerForge"] = json!({ "Leg": 3, "By": handed, "Operation": operation, "Signed": 0 });
        deliver_record(&aws, &request, given_up(&request.event)).await;
        assert_eq!(request.answers().len(), 1, "{by}");
        // Its own retry sends the same response again.
        deliver_record(&aws, &request, given_up(&request.event)).await;
        assert!(request.answers()[0].agrees_with(&request.answers()[1]));
    }
}

#[tokio::test]
async fn what_nobody_waits_for_is_ignored() {
    let aws = dead_letters().await;
    for payload in [json!({ "sweep": true }), json!({ "plan": {} }), json!({}), json!("text"), json!(null)] {
        let outcome = aws.invoke(given_up(&payload)).await;
        assert!(matches!(outcome, Outcome::Returned(_)), "{payload}: {outcome:?}");
    }
    for record in [json!({}), json!([]), json!("text")] {
        let outcome = aws.invoke(record).await;
        assert!(matches!(outcome, Outcome::Returned(_)), "{outcome:?}");
    }
    assert_eq!(aws.calls().await.len(), 0);
}

#[tokio::test]
async fn a_malformed_event_is_answered_for() {
    let aws = dead_letters().await;
    let stack = aws.stack(minimal());
    let mut event = stack.create_event();
    event["RequestType"] = json!("Upsert");
    let request = stack.request(event, Duration::ZERO);
    deliver_record(&aws, &request, given_up(&request.event)).await;
    assert_eq!(request.answers().len(), 1);
}
