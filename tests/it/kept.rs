//! `DisposeOnDeletion: false`: the resources of a completed forge are kept, and another stack may adopt them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloudformation::Stack;
use crate::ended::Ended;
use crate::faults::Fault;
use crate::state::State;
use crate::test_account::TestAccount;

const RELEASED: &str = "towerforge:released";

/// A forge that bears an ID, and keeps its resources.
fn lab(more: Value) -> Value {
    let mut all = json!({
        "ForgeId": "Lab7", "WorkDir": "s3://my-bucket/work", "MaxCpus": 100, "EfsCreate": true,
        "DisposeOnDeletion": false,
    });
    all.as_object_mut().unwrap().extend(more.as_object().expect("properties are an object").clone());
    all
}

/// Kind and name of the resources that do not belong to a stack.
fn not_of(state: &State, stack_id: &str) -> Vec<String> {
    let resources = state.resources().into_iter();
    let others =
        resources.filter(|(_, _, tags)| tags.get("towerforge:stack-id").is_none_or(|id| id != stack_id));
    others.map(|(kind, name, _)| format!("{kind} {name}")).collect()
}

/// Kind and name of the resources that bear the tag of those that may be adopted.
fn released(state: &State) -> Vec<String> {
    let resources = state.resources().into_iter().filter(|(_, _, tags)| tags.contains_key(RELEASED));
    resources.map(|(kind, name, _)| format!("{kind} {name}")).collect()
}

fn names(state: &State) -> Vec<String> {
    state.resources().into_iter().map(|(kind, name, _)| format!("{kind} {name}")).collect()
}

#[tokio::test]
async fn a_completed_forge_is_kept_and_another_stack_adopts_it() {
    let aws = TestAccount::new().await;
    let first = aws.stack(lab(json!({})));
    first.create().await.expect_success();
    let made = aws.state().await;
    first.delete().await.expect_success();
    let kept = aws.state().await;
    assert_eq!(names(&kept), names(&made));
    assert_eq!(released(&kept), names(&kept));
    assert!(kept.job_queues.iter().all(|queue| queue.state == "ENABLED" && queue.status == "VALID"));

    // Deleting it again, as a duplicate does, changes nothing.
    first.redeliver().await.expect_success();
    assert_eq!(aws.state().await, kept);

    // The same properties: only the tags change.
    let seq = aws.now().await;
    let second = aws.stack(lab(json!({})));
    assert_eq!(second.create().await.expect_success().physical_id, "Lab7");
    let adopted = aws.state().await;
    assert_eq!(names(&adopted), names(&made));
    assert_eq!(not_of(&adopted, second.id()), Vec::<String>::new());
    assert_eq!(released(&adopted), Vec::<String>::new());
    let changes = aws.calls().await.since(seq).mutating().by_operation();
    let tags = |operation: &str| operation.contains("Tag") || operation.contains("tag");
    assert!(changes.keys().all(|operation| tags(operation)), "{changes:?}");

    // Its new owner disposes of it.
    second.update(lab(json!({"DisposeOnDeletion": true}))).await.expect_success();
    second.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn an_adopter_with_other_wishes_takes_over_the_older_generation_too() {
    let aws = TestAccount::new().await;
    let first = aws.stack(lab(json!({})));
    first.create().await.expect_success();
    let (_, blue) = aws.cloud.start_job("TowerForge-Lab7-work").await;
    first.delete().await.expect_success();
    let efs = aws.state().await.efs[0].id.clone();

    let second = aws.stack(lab(json!({"InstanceTypes": "c6i,m6i", "DisposeOnDeletion": true})));
    second.create().await.expect_success();
    let state = aws.state().await;
    let old = state.environment(&blue);
    assert_eq!(old.tags["towerforge:stack-id"], second.id());
    assert_eq!(old.state, "DISABLED");
    assert!(old.tags.contains_key("towerforge:retiring") && !old.tags.contains_key(RELEASED));
    assert_eq!(state.efs[0].id, efs);
    let work = state.first_environment("TowerForge-Lab7-work");
    assert_eq!(work.compute_resources["instanceTypes"], json!(["c6i", "m6i"]));
    second.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_forge_that_is_not_released_is_nobody_elses() {
    let aws = TestAccount::new().await;
    let first = aws.stack(lab(json!({"DisposeOnDeletion": true})));
    first.create().await.expect_success();
    let before = aws.state().await;
    let second = aws.stack(lab(json!({})));
    let reason = second.create().await.expect_failure().reason;
    assert!(reason.contains(first.id()), "{reason}");
    second.roll_back().await.expect_success();
    assert_eq!(aws.state().await, before);
    first.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_create_that_failed_is_always_cleaned() {
    let aws = TestAccount::new().await;
    aws.cloud.put_faults(&[Fault::deny().on("batch:CreateJobQueue").always()]).await;
    let stack = aws.stack(lab(json!({})));
    stack.create().await.expect_failure();
    assert_eq!(aws.state().await.efs.len(), 1);
    stack.roll_back().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_create_that_fails_to_adopt_gives_back_what_it_took() {
    let aws = TestAccount::new().await;
    let first = aws.stack(lab(json!({})));
    first.create().await.expect_success();
    first.delete().await.expect_success();
    let kept = aws.state().await;

    // A mistake in the template, which asks that all be disposed of.
    let wrong = aws.stack(lab(json!({"MaxCpus": "many", "DisposeOnDeletion": true})));
    wrong.create().await.expect_failure();
    wrong.roll_back().await.expect_success();
    assert_eq!(aws.state().await, kept);

    // A failure in the middle of the adoption.
    aws.cloud.put_faults(&[Fault::deny().on("batch:CreateComputeEnvironment").always()]).await;
    let unlucky = aws.stack(lab(json!({"InstanceTypes": "c6i", "DisposeOnDeletion": true})));
    unlucky.create().await.expect_failure();
    let half = aws.state().await;
    assert!(!released(&half).is_empty() && released(&half) != names(&half), "{:?}", released(&half));
    unlucky.roll_back().await.expect_success();
    let given_back = aws.state().await;
    assert_eq!(released(&given_back), names(&given_back));
    let still: Vec<String> = names(&given_back);
    assert!(names(&kept).iter().all(|name| still.contains(name)), "{still:?}");
    aws.cloud.put_faults(&[]).await;

    let last = aws.stack(lab(json!({"DisposeOnDeletion": true})));
    last.create().await.expect_success();
    assert_eq!(not_of(&aws.state().await, last.id()), Vec::<String>::new());
    assert_eq!(names(&aws.state().await), names(&kept));
    last.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

/// Two stacks name one ID at once: one of them gets the whole forge, and the other nothing of it.
async fn assert_one_gets_all(aws: &TestAccount, stacks: [&Stack; 2]) {
    let [first, second] = stacks;
    let (one, other) = (first.start_create().await, second.start_create().await);
    let (one, other) = (one.ended().await, other.ended().await);
    let succeeded = |ended: &Ended| ended.answer.as_ref().is_some_and(|answer| answer.succeeded);
    assert_ne!(succeeded(&one), succeeded(&other), "{one:?} {other:?}");
    let (winner, loser, lost) = if succeeded(&one) { (first, second, other) } else { (second, first, one) };
    assert!(lost.expect_failure().reason.contains(winner.id()));
    let state = aws.state().await;
    assert_eq!(not_of(&state, winner.id()), Vec::<String>::new());
    loser.roll_back().await.expect_success();
    assert_eq!(aws.state().await, state, "nothing of it was the loser's");
    winner.delete().await.expect_success();
}

#[tokio::test]
async fn two_stacks_that_make_one_forge_at_once_do_not_share_it() {
    let aws = TestAccount::new().await;
    let lab = || lab(json!({"DisposeOnDeletion": true}));
    assert_one_gets_all(&aws, [&aws.stack(lab()), &aws.stack(lab())]).await;
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn two_stacks_that_adopt_one_forge_at_once_do_not_share_it() {
    let aws = TestAccount::new().await;
    let first = aws.stack(lab(json!({})));
    first.create().await.expect_success();
    first.delete().await.expect_success();
    let lab = || lab(json!({"DisposeOnDeletion": true}));
    assert_one_gets_all(&aws, [&aws.stack(lab()), &aws.stack(lab())]).await;
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_stack_that_is_made_anew_waits_until_the_old_one_has_let_its_forge_go() {
    let aws = TestAccount::new().await;
    let first = aws.stack(lab(json!({"DisposeOnDeletion": true})));
    first.create().await.expect_success();
    let delete = first.start_delete().await;
    aws.until_called("UpdateJobQueue", 1).await;
    let second = aws.stack(lab(json!({"DisposeOnDeletion": true})));
    second.create().await.expect_success();
    delete.ended().await.expect_success();
    assert_eq!(not_of(&aws.state().await, second.id()), Vec::<String>::new());
    second.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn whether_to_dispose_must_be_readable_unless_nothing_is_there() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(lab(json!({"DisposeOnDeletion": true})));
    stack.create().await.expect_success();
    let delete = |mut event: Value, physical_id: String| {
        event["RequestType"] = json!("Delete");
        event["PhysicalResourceId"] = json!(physical_id);
        event["ResourceProperties"]["DisposeOnDeletion"] = json!("perhaps");
        event
    };
    stack.put_statuses("DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS").await;
    let seq = aws.now().await;
    let event = delete(stack.create_event(), stack.physical_id());
    let reason = aws.deliver(&stack.request(event, Duration::ZERO)).await.expect_failure().reason;
    assert!(reason.contains("DisposeOnDeletion: given \"perhaps\", allowed: true or false"), "{reason}");
    aws.assert_no_change_since(seq).await;
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;

    let never = aws.stack(lab(json!({})));
    never.put_statuses("DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS").await;
    let event = delete(never.create_event(), never.made_up_id());
    aws.deliver(&never.request(event, Duration::ZERO)).await.expect_success();
}
