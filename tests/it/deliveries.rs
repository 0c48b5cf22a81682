//! Lambda delivers twice, late, and beside itself; CloudFormation changes its mind.

use std::time::Duration;

use serde_json::json;

use crate::create_and_delete::minimal;
use crate::faults::Fault;
use crate::lambda::given_up;
use crate::runtime_api::{Outcome, Program};
use crate::test_account::{Setting, TestAccount};

#[tokio::test]
async fn the_same_create_twice_in_a_row_is_one_forge() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    let first = stack.create().await.expect_success();
    let before = aws.state().await;

    // CloudFormation has heard the answer, so the second delivery may be silent; it must not contradict.
    let seq = aws.now().await;
    stack.redeliver().await;
    aws.assert_no_change_since(seq).await;
    assert_eq!(aws.state().await, before);

    // Where CloudFormation still waits, as when the answer was lost, the second answers like the first.
    stack.put_statuses("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS").await;
    let again = stack.redeliver().await.expect_success();
    assert!(first.agrees_with(&again));
    assert_eq!(aws.state().await, before);
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn the_same_create_twice_at_once_is_one_forge() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    let one = stack.start_create().await;
    let (one, two) = tokio::join!(one.ended(), stack.redeliver());
    assert_eq!(one.expect_success(), two.expect_success());
    let state = aws.state().await;
    assert_eq!((state.roles.len(), state.compute_environments.len(), state.job_queues.len()), (3, 2, 2));
    assert_eq!((state.launch_templates.len(), state.instance_profiles.len()), (1, 1));
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_second_delete_is_harmless() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
    stack.delete().await.expect_success();
    let seq = aws.now().await;
    stack.delete().await.expect_success();
    aws.assert_no_change_since(seq).await;
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_late_retry_of_a_create_makes_nothing_after_its_delete() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    let create = stack.start_create().await;
    let request = create.request.clone();
    create.ended().await.expect_success();
    stack.delete().await.expect_success();

    let seq = aws.now().await;
    aws.deliver(&request).await;
    assert!(aws.calls().await.since(seq).of("GetItem").len() > 0, "it has read the claim");
    aws.assert_no_change_since(seq).await;
    assert_eq!(request.answers().len(), 1, "nobody waits for a second answer");
    aws.assert_nothing_left().await;
}

/// An account whose Batch takes so long that a Create is still under way when something else happens.
async fn slow_batch() -> TestAccount {
    let aws = TestAccount::new().await;
    aws.cloud.configure(json!({ "durations": { "ce_create": 200, "jq_create": 200 } })).await;
    aws
}

#[tokio::test]
async fn a_cancelled_create_and_its_delete_leave_nothing() {
    for operation in ["CreateRole", "CreateComputeEnvironment", "CreateJobQueue"] {
        let aws = slow_batch().await;
        let stack = aws.stack(minimal());
        let create = stack.start_create().await;
        aws.until_called(operation, 1).await;
        let deleted = stack.roll_back().await.expect_success();
        assert_eq!(deleted.physical_id, stack.made_up_id());
        create.ended().await;
        aws.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn a_stale_event_touches_nothing() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    stack.put_statuses("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS").await;
    let stale = stack.request(stack.create_event(), Duration::from_hours(3));
    aws.deliver(&stale).await.expect_silence();
    aws.assert_no_change_since(0).await;
}

#[tokio::test]
async fn the_answer_is_sent_until_it_arrives() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    aws.urls.fail_next(2);
    aws.urls.close_next(1);
    stack.create().await.expect_success();
    aws.urls.lose_next(1);
    stack.delete().await.expect_success();
}

#[tokio::test]
async fn a_killed_create_is_finished_by_lambdas_retry() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    let first = aws.lambda.warm().await;
    aws.cloud
        .put_faults(&[Fault::kill_after(first.pid).of(&first.app).on("batch:CreateComputeEnvironment")])
        .await;
    let ended = stack.create().await;
    assert!(matches!(ended.outcomes[..], [Outcome::Died(_), Outcome::Returned(_)]), "{:?}", ended.outcomes);
    ended.expect_success();
    assert_eq!(aws.cloud.fault_hits().await, [1]);
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_create_goes_on_in_another_invocation() {
    // Four minutes of AWS's time, of which the last is kept for handing over.
    let aws =
        TestAccount::with(Setting { scale: 0.05, timeout: Duration::from_secs(12), ..Setting::default() })
            .await;
    aws.cloud.configure(json!({ "durations": { "ce_create": 250 } })).await;
    let stack = aws.stack(minimal());
    let ended = stack.create().await;
    assert!(ended.outcomes.len() > 1, "it has taken more than one invocation: {:?}", ended.outcomes);
    assert!(ended.outcomes.iter().all(Outcome::is_returned), "{:?}", ended.outcomes);
    ended.expect_success();
}

#[tokio::test]
async fn an_invocation_that_died_is_answered_for_by_the_other_function() {
    // So little time that no attempt gets anywhere.
    let aws = TestAccount::with(Setting { timeout: Duration::from_millis(1), ..Setting::default() }).await;
    let stack = aws.stack(minimal());
    let create = stack.start_create().await;
    let request = create.request.clone();
    let ended = create.ended().await;
    assert!(
        matches!(ended.outcomes[..], [Outcome::Died(_), Outcome::Died(_), Outcome::Died(_)]),
        "{ended:?}"
    );
    ended.expect_silence();

    let dead_letters = aws.beside(Setting { program: Program::DeadLetter, ..Setting::default() }).await;
    let outcome = dead_letters.invoke(given_up(&request.event)).await;
    assert!(outcome.is_returned(), "{outcome:?}");
    let answers = request.answers();
    assert!(answers.len() == 1 && !answers[0].succeeded, "{answers:?}");

    // Its own retry sends the same response again. No response is expected to a sweep.
    request.delivered();
    dead_letters.invoke(given_up(&request.event)).await;
    dead_letters.invoke(given_up(&json!({ "sweep": true }))).await;
    let answers = request.answers();
    assert!(answers.len() == 2 && answers[0].agrees_with(&answers[1]), "{answers:?}");
}
