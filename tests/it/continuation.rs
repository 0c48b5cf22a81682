//! Waits longer than one invocation: the function goes on in another one, five times at most and within the budget
//! that CloudFormation gives; when that ends, the answer names the cause of the wait.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use crate::create_and_delete::minimal;
use crate::faults::Fault;
use crate::runtime_api::Outcome;
use crate::test_account::{Setting, TestAccount};

/// An account whose environments become valid after so many seconds of AWS, with invocations of so many real seconds.
async fn slow(ce_create: u32, timeout: Duration) -> TestAccount {
    let aws = TestAccount::with(Setting { timeout, scale: 0.03, ..Setting::default() }).await;
    // The start of a process is not measured here.
    aws.lambda.warm().await;
    aws.cloud.configure(json!({ "durations": { "ce_create": ce_create } })).await;
    aws
}

#[tokio::test]
async fn five_legs_are_the_most() {
    let aws = slow(1_000_000, Duration::from_secs(10)).await;
    let stack = aws.stack(minimal());
    let ended = stack.create().await;
    assert!(ended.outcomes.iter().all(Outcome::is_returned), "{:?}", ended.outcomes);
    assert_eq!(ended.outcomes.len(), 5);
    let reason = ended.expect_failure().reason;
    assert!(reason.starts_with("[NotStabilized]") && reason.contains("CREATING"), "{reason}");
    assert!(reason.contains("compute environment TowerForge-"), "{reason}");
}

#[tokio::test]
async fn a_service_timeout_is_kept() {
    let aws = slow(1_000_000, Duration::from_mins(2)).await;
    let stack = aws.stack(json!({ "WorkDir": "s3://my-bucket/work", "MaxCpus": 64, "ServiceTimeout": 600 }));
    let begun = aws.calls().await.0.last().map_or(0.0, |call| call.at);
    let reason = stack.create().await.expect_failure().reason;
    assert!(reason.contains("time ran out") && reason.contains("CREATING"), "{reason}");
    let ended = aws.calls().await.0.last().expect("calls").at;
    assert!(ended - begun < 1200.0, "it has gone on for {} s", ended - begun);
}

#[tokio::test]
async fn a_self_invocation_that_fails_is_answered() {
    let aws = slow(1_000_000, Duration::from_secs(10)).await;
    aws.cloud.put_faults(&[Fault::deny().on("lambda:Invoke").always()]).await;
    let stack = aws.stack(minimal());
    let reason = stack.create().await.expect_failure().reason;
    for wanted in ["CREATING", "could not invoke itself", "AccessDenied"] {
        assert!(reason.contains(wanted), "no {wanted} in {reason}");
    }
}

#[tokio::test]
async fn a_self_invocation_whose_answer_is_lost_makes_two_legs_that_agree() {
    let aws = slow(250, Duration::from_secs(10)).await;
    aws.cloud.put_faults(&[Fault::lose().on("lambda:Invoke")]).await;
    let stack = aws.stack(minimal());
    let create = stack.start_create().await;
    let request = create.request.clone();
    // The leg is delivered twice, and the second one sends the recorded response again.
    request.delivered();
    create.ended().await.expect_success();
    let answers = request.answers();
    assert!(answers.iter().all(|answer| answer.agrees_with(&answers[0])), "{answers:?}");
}

#[tokio::test]
async fn a_deadline_in_the_past_is_unknown() {
    let aws = slow(20, Duration::from_mins(2)).await;
    let stack = aws.stack(minimal());
    stack.put_statuses("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS").await;
    let request = stack.request(stack.create_event(), Duration::ZERO);
    // The deadline that `cargo lambda watch` sends: ten minutes after 1970.
    let deadline = UNIX_EPOCH + Duration::from_mins(10);
    request.delivered();
    let outcome = aws.lambda.invoke_until(&request.event.to_string(), deadline).await;
    assert!(outcome.is_returned(), "{outcome:?}");
    assert!(request.answers()[0].succeeded, "{:?}", request.answers());
}

#[tokio::test]
async fn a_delete_goes_on_in_another_invocation_too() {
    let aws =
        TestAccount::with(Setting { timeout: Duration::from_secs(10), scale: 0.03, ..Setting::default() })
            .await;
    aws.cloud.configure(json!({ "durations": { "ce_delete": 250 } })).await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
    let ended = stack.delete().await;
    assert!(ended.outcomes.len() > 1, "{:?}", ended.outcomes);
    ended.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn an_account_that_stays_throttled_is_waited_for() {
    let aws =
        TestAccount::with(Setting { timeout: Duration::from_secs(10), scale: 0.03, ..Setting::default() })
            .await;
    aws.cloud.put_faults(&[Fault::throttle().on("batch:CreateComputeEnvironment").times(40)]).await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
}
