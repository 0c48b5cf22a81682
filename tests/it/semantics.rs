//! Unexpected behaviour of AWS, row by row as far as it is known: eventual consistency, states that end
//! in INVALID, names that linger, and changes to a forge by others.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use crate::cloudformation::Stack;
use crate::create_and_delete::minimal;
use crate::faults::Fault;
use crate::test_account::{Setting, TestAccount};

/// An account in which these durations differ, and a stack in it.
async fn with(durations: Value) -> (TestAccount, Stack) {
    let aws = TestAccount::new().await;
    aws.cloud.configure(json!({ "durations": durations })).await;
    let stack = aws.stack(minimal());
    (aws, stack)
}

/// A whole life of a forge under these durations.
async fn life(durations: Value) {
    let (aws, stack) = with(durations).await;
    stack.create().await.expect_success();
    let other = json!({ "WorkDir": "s3://my-bucket/work", "MaxCpus": 600, "ImageRefresh": "newer" });
    stack.update(other).await.expect_success();
    stack.roll_back().await.expect_success();
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn iam_that_lags_is_waited_for() {
    let (aws, stack) = with(json!({ "iam_propagation": 100, "add_role_lag": 20 })).await;
    stack.create().await.expect_success();
    let calls = aws.calls().await;
    assert!(calls.of("UpdateComputeEnvironment").len() > 0, "an INVALID environment has been repaired");
    assert_eq!(calls.of("DeleteComputeEnvironment").len(), 0);
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn an_environment_that_stays_invalid_is_given_up_with_awss_reason() {
    let (aws, stack) = with(json!({ "iam_propagation": 900 })).await;
    let reason = stack.create().await.expect_failure().reason;
    let state = aws.state().await;
    let said = |text: &str| reason.contains(text);
    assert!(
        state
            .compute_environments
            .iter()
            .any(|environment| environment.status_reason.as_deref().is_some_and(said)),
        "{reason}"
    );
    assert!(reason.starts_with("[NotStabilized]"), "{reason}");
    stack.roll_back().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn an_environment_that_naming_its_role_again_does_not_mend_is_made_anew_once() {
    // Shorter than the age at which an environment is made anew.
    let (aws, stack) = with(json!({ "iam_propagation": 120 })).await;
    aws.cloud.configure(json!({ "same_role_revalidates": false })).await;
    stack.create().await.expect_success();
    let calls = aws.calls().await;
    assert_eq!(calls.of("CreateComputeEnvironment").len(), 4, "two environments, each of them twice");
    assert!(calls.of("DeleteComputeEnvironment").len() >= 2);
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn an_environment_whose_launch_template_was_not_found_is_made_anew() {
    let (aws, stack) = with(json!({ "template_lag": 10 })).await;
    stack.create().await.expect_success();
    let calls = aws.calls().await;
    // The template may have become known when Batch creates the second environment.
    assert!(calls.of("CreateComputeEnvironment").len() > 2, "one has been made anew");
    assert_eq!(calls.of("CreateLaunchTemplate").len(), 1);
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn an_environment_that_is_invalid_for_good_is_an_error() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    let id = stack.create().await.expect_success().physical_id;
    let environment = aws.state().await.first_environment(&format!("TowerForge-{id}-work")).name.clone();
    aws.lose("cluster", &environment).await;
    let reason = stack
        .update(json!({ "WorkDir": "s3://my-bucket/work", "MaxCpus": 501 }))
        .await
        .expect_failure()
        .reason;
    assert!(reason.contains("Clusters can not be blank") && reason.contains(&environment), "{reason}");
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn queues_that_let_go_late_are_waited_for() {
    life(json!({ "association_lag": 100 })).await;
}

#[tokio::test]
async fn what_describe_shows_late_is_not_made_twice() {
    life(json!({ "describe_lag": 15, "update_lag": 5, "deleted_visible": 30 })).await;
}

#[tokio::test]
async fn tags_that_authorization_learns_late_do_no_harm() {
    life(json!({ "tag_lag": 20 })).await;
}

#[tokio::test]
async fn a_service_role_that_is_gone_is_made_again_to_delete_its_environments() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    let id = stack.create().await.expect_success().physical_id;
    let role = format!("TowerForge-{id}-ServiceRole");
    aws.lose("role", &role).await;
    let seq = aws.now().await;
    stack.delete().await.expect_success();
    let made = aws.calls().await.since(seq).of("CreateRole");
    assert_eq!(made.len(), 1, "the service role is back, for a while");
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_foreign_queue_that_holds_an_environment_is_named() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    let id = stack.create().await.expect_success().physical_id;
    let environment = aws.state().await.first_environment(&format!("TowerForge-{id}-work")).arn.clone();
    let theirs =
        json!({ "region": "eu-west-1", "queue": { "name": "theirs", "environments": [environment] } });
    aws.cloud.seed(theirs).await;

    let reason = stack.delete().await.expect_failure().reason;
    assert!(reason.contains("theirs") && reason.contains(&format!("TowerForge-{id}-work-")), "{reason}");
    let state = aws.state().await;
    assert_eq!(state.queue("theirs").order, [environment], "it was not touched");
    assert_eq!(state.compute_environments.len(), 1, "everything that could go has gone");

    aws.lose("queue", "theirs").await;
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn what_has_gone_behind_our_back_is_made_again_by_any_update() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    let id = stack.create().await.expect_success().physical_id;
    let before = aws.state().await.count();
    aws.lose("instance_profile", &format!("TowerForge-{id}-InstanceRole")).await;
    aws.lose("queue", &format!("TowerForge-{id}-head")).await;
    aws.lose("role", &format!("TowerForge-{id}-ExecutionRole")).await;
    stack
        .update(json!({ "WorkDir": "s3://my-bucket/work", "MaxCpus": 500, "Nonce": "1" }))
        .await
        .expect_success();
    assert_eq!(aws.state().await.count(), before);
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn what_has_gone_behind_our_back_does_not_stop_a_delete() {
    for kind in ["instance_profile", "template", "queue", "role", "environment", "log_group"] {
        let aws = TestAccount::new().await;
        let stack = aws.stack(minimal());
        let id = stack.create().await.expect_success().physical_id;
        let state = aws.state().await;
        let name = match kind {
            "template" => state.launch_templates[0].name.clone(),
            "queue" => format!("TowerForge-{id}-work"),
            "role" | "instance_profile" => format!("TowerForge-{id}-InstanceRole"),
            "environment" => state.compute_environments[0].name.clone(),
            _ => state.log_groups[0].name.clone(),
        };
        aws.lose(kind, &name).await;
        stack.delete().await.expect_success();
        aws.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn a_name_that_is_still_being_deleted_is_waited_for() {
    let aws = TestAccount::new().await;
    aws.cloud.configure(json!({ "durations": { "ce_delete": 400 } })).await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
    // A Delete that dies when Batch has begun to delete.
    let mut event = stack.create_event();
    event["RequestType"] = json!("Delete");
    event["PhysicalResourceId"] = json!(stack.physical_id());
    stack.put_statuses("DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS").await;
    let process = aws.lambda.warm().await;
    let kill = Fault::kill_after(process.pid).of(&process.app).on("batch:DeleteComputeEnvironment").nth(2);
    aws.cloud.put_faults(&[kill]).await;
    aws.invoke(stack.request(event, Duration::ZERO).event).await;
    let deleting = aws.state().await.compute_environments.iter().filter(|it| it.status == "DELETING").count();
    assert!(deleting > 0, "nothing is being deleted");

    stack.create().await.expect_success();
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_name_that_is_taken_by_an_environment_of_somebody_else_is_an_error() {
    let aws = TestAccount::new().await;
    let mut name = String::new();
    {
        // Which name that is, is learnt in another account.
        let elsewhere = TestAccount::new().await;
        let stack =
            elsewhere.stack(json!({ "ForgeId": "Cafe1", "WorkDir": "s3://my-bucket/work", "MaxCpus": 8 }));
        stack.create().await.expect_success();
        write!(name, "{}", elsewhere.state().await.first_environment("TowerForge-Cafe1-work").name).unwrap();
    }
    aws.seed(json!({ "environment": { "name": name, "tags": {} } })).await;
    let stack = aws.stack(json!({ "ForgeId": "Cafe1", "WorkDir": "s3://my-bucket/work", "MaxCpus": 8 }));
    let reason = stack.create().await.expect_failure().reason;
    assert!(reason.starts_with("[AlreadyExists]") && reason.contains(&name), "{reason}");
    stack.roll_back().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn running_jobs_do_not_stop_a_delete() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    let id = stack.create().await.expect_success().physical_id;
    aws.cloud.start_job(&format!("TowerForge-{id}-work")).await;
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

/// A forge with both sorts of file system.
fn stored() -> Value {
    json!({ "WorkDir": "s3://my-bucket/work", "MaxCpus": 8, "EfsCreate": true, "FsxSize": 1200 })
}

#[tokio::test]
async fn file_systems_survive_lost_answers_and_go_with_their_forge() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(stored());
    let lose = |operation: &str| Fault::lose().on(operation);
    aws.cloud
        .put_faults(&[
            lose("efs:CreateFileSystem"),
            lose("efs:CreateMountTarget"),
            lose("fsx:CreateFileSystem"),
            lose("efs:DeleteMountTarget"),
            lose("efs:DeleteFileSystem"),
            lose("fsx:DeleteFileSystem"),
        ])
        .await;
    stack.create().await.expect_success();
    let state = aws.state().await;
    assert_eq!((state.efs.len(), state.fsx.len()), (1, 1));
    stack.delete().await.expect_success();
    assert_eq!(aws.cloud.fault_hits().await, [1; 6]);
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_lustre_file_system_that_fails_is_told_and_removed() {
    let aws = TestAccount::new().await;
    aws.cloud
        .seed(json!({ "region": "eu-west-1", "fsx_failure": { "message": "Not enough capacity." } }))
        .await;
    let stack = aws.stack(stored());
    let reason = stack.create().await.expect_failure().reason;
    assert!(reason.contains("Not enough capacity."), "{reason}");
    stack.roll_back().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn an_environment_that_is_still_listed_as_deleted_takes_no_room() {
    let aws = TestAccount::with(Setting { inhabited: false, ..Setting::default() }).await;
    let stack = aws.stack(minimal());
    let others = |status: &str, count: usize| -> Vec<Value> {
        (0..count).map(|n| json!({ "name": format!("other-{status}-{n}"), "status": status })).collect()
    };
    aws.seed(json!({ "environment": others("VALID", 48) })).await;
    aws.seed(json!({ "environment": others("DELETED", 2) })).await;
    stack.create().await.expect_success();
    let second = aws.stack(minimal());
    let reason = second.create().await.expect_failure().reason;
    assert!(reason.contains("this account has 50 compute environments"), "{reason}");
    second.roll_back().await.expect_success();
    stack.delete().await.expect_success();
}
