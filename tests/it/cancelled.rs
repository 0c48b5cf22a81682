//! Events whose time is over: Lambda repeats them after CloudFormation has gone on.

use std::{collections::BTreeSet, sync::Mutex, time::Duration};

use serde_json::json;

use crate::create_and_delete::minimal;
use crate::faults::Fault;
use crate::matrix::{Case, Figures, Phase, run};
use crate::overlaps::two_processes;
use crate::test_account::{Setting, TestAccount};

#[tokio::test]
async fn a_retry_of_a_create_that_cloudformation_has_forgotten_makes_nothing() {
    // So slow that the budget is not over after a minute.
    let aws = TestAccount::with(Setting { scale: 0.05, ..Setting::default() }).await;
    let stack = aws.stack(minimal());
    // Signed a minute ago, and by now the stack is not even listed as deleted.
    let zombie = stack.request(stack.create_event(), Duration::from_mins(1));
    aws.deliver(&zombie).await.expect_failure();
    aws.assert_no_change_since(0).await;
}

#[tokio::test]
async fn a_retry_of_a_create_that_died_touches_nothing_once_its_delete_has_begun() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    stack.put_statuses("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS").await;
    let request = stack.request(stack.create_event(), Duration::ZERO);
    let process = aws.lambda.warm().await;
    let kill = Fault::kill_after(process.pid).of(&process.app).on("batch:CreateComputeEnvironment");
    aws.cloud.put_faults(&[kill]).await;
    aws.invoke(request.event.clone()).await;
    assert!(!aws.state().await.roles.is_empty(), "it has made something");
    stack.roll_back().await.expect_success();
    aws.assert_nothing_left().await;
    let seq = aws.now().await;
    aws.deliver(&request).await.expect_silence();
    aws.assert_no_change_since(seq).await;
}

#[tokio::test]
async fn a_retry_of_an_old_delete_leaves_the_forge_that_was_made_since() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    let first = stack.create().await.expect_success();
    let delete = stack.start_delete().await;
    let old = delete.request.clone();
    delete.ended().await.expect_success();

    // The resource is taken into the template again: the same stack, name and forge ID.
    let again = stack.create().await.expect_success();
    assert_eq!(first.physical_id, again.physical_id);
    let seq = aws.now().await;
    aws.deliver(&old).await;
    aws.assert_no_change_since(seq).await;
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_retry_of_an_old_update_changes_nothing() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
    let wider = json!({ "WorkDir": "s3://my-bucket/work", "MaxCpus": 700 });
    let update = stack.start_update(wider).await;
    let old = update.request.clone();
    update.ended().await.expect_success();
    stack.roll_back().await.expect_success();
    let before = aws.state().await;
    let seq = aws.now().await;
    // The rollback is over, or still under way as far as CloudFormation shows: the fence knows better.
    aws.deliver(&old).await;
    stack.put_statuses("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_IN_PROGRESS").await;
    aws.deliver(&old).await;
    aws.assert_no_change_since(seq).await;
    assert_eq!(aws.state().await, before);
}

#[tokio::test]
async fn the_same_event_hours_later_touches_nothing() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
    let seq = aws.now().await;
    for request_type in ["Create", "Update", "Delete"] {
        let mut event = stack.create_event();
        event["RequestType"] = json!(request_type);
        event["PhysicalResourceId"] = json!(stack.physical_id());
        event["OldResourceProperties"] = json!({});
        aws.deliver(&stack.request(event, Duration::from_hours(2))).await.expect_silence();
    }
    aws.assert_no_change_since(seq).await;
}

#[tokio::test]
async fn the_same_event_after_its_failure_is_answered_alike() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    aws.cloud.put_faults(&[Fault::deny().on("batch:CreateJobQueue").always()]).await;
    let create = stack.start_create().await;
    let request = create.request.clone();
    create.ended().await.expect_failure();
    aws.cloud.put_faults(&[]).await;

    let seq = aws.now().await;
    aws.deliver(&request).await;
    let answers = request.answers();
    assert!(answers.len() == 2 && answers[0].agrees_with(&answers[1]), "{answers:?}");
    aws.assert_no_change_since(seq).await;
    stack.roll_back().await.expect_success();
    aws.assert_nothing_left().await;
    // A deployment that is tried again makes it.
    stack.create().await.expect_success();
}

/// The calls of a Create that change something, one of each sort.
async fn writes_of_a_create(figures: &Mutex<Figures>) -> BTreeSet<String> {
    let case = Case::begin("an ordinary Create".to_owned(), figures).await;
    case.play(Phase::Create).await.expect_success();
    let writes = case.aws.calls().await.mutating().by_operation().into_keys().collect();
    case.play(Phase::Delete).await.expect_success();
    case.end().await;
    writes
}

/// A Create one of whose calls hangs for a while, and a Delete that begins meanwhile.
///
/// Either the Delete comes with an ID that CloudFormation has made up, and the Create goes on; or with the forge's,
/// because another delivery of the Create was answered, and this one dies after its next write.
async fn deleted_during(write: &str, known: bool, figures: &Mutex<Figures>) {
    let id = if known { "the forge's ID" } else { "an ID that was made up" };
    let case = Case::begin(format!("deleted by {id} during {write}"), figures).await;
    let (aws, stack) = (&case.aws, &case.stack);
    let (creating, deleting) = two_processes(aws).await;
    let late = Fault::slow(15.0).of(&creating.app).on(write);
    // The Delete takes its time too, for the role that the instance profile holds.
    let slow = Fault::slow(15.0).of(&deleting.app).on_changes().about("InstanceRole");
    let death = Fault::kill_after(creating.pid).of(&creating.app).on_changes();
    aws.cloud.put_faults(&[late, slow.clone()]).await;
    stack.put_statuses("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS").await;
    let create = stack.request(stack.create_event(), Duration::ZERO);
    create.delivered();
    let (lambda, event) = (aws.lambda.clone(), create.event.to_string());
    let create = tokio::spawn(async move { lambda.invoke(&event).await });
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    while aws.cloud.fault_hits().await[0] == 0 {
        ticks.tick().await;
        assert!(!create.is_finished(), "no Create goes by without {write}");
    }
    if known {
        aws.cloud.put_faults(&[death, slow]).await;
        stack.learn_id("Cafe1");
    }
    let deleted = stack.roll_back().await;
    create.await.expect("it has ended");
    case.note(|figures| {
        figures.struck += 1;
        if deleted.answer.as_ref().is_none_or(|answer| !answer.succeeded) {
            figures.unconverged.push(format!("Delete by {id} during {write}: {deleted:?}"));
        }
    });
    case.end().await;
}

#[tokio::test]
async fn a_delete_during_any_sort_of_write_of_a_create_leaves_nothing() {
    let figures = Mutex::new(Figures::default());
    let writes = writes_of_a_create(&figures).await;
    let trials = writes.iter().flat_map(|write| [true, false].map(|known| (write, known)));
    run(trials.map(|(write, known)| Box::pin(deleted_during(write, known, &figures)))).await;
    figures.into_inner().unwrap().conclude("Deletes during each sort of write of a Create");
}
