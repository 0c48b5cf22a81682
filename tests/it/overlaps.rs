//! Operations that overlap, and the state they leave to each other: a request that CloudFormation waits for no longer
//! goes on, and the one that supersedes it has to find everything that it makes.
//!
//! A call that hangs does so for less than 20 s of AWS's time: a call that was sent takes effect within those, or
//! never.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloudformation::{Running, Stack};
use crate::create_and_delete::minimal;
use crate::faults::Fault;
use crate::lambda::Warm;
use crate::matrix::run;
use crate::operation::Operation;
use crate::rollback::assert_first_state;
use crate::state::State;
use crate::test_account::{Setting, TestAccount};
use crate::update::{impatient, with};

/// A forge that can have another processor, with more properties.
fn forge(more: Value) -> Value {
    let mut all = with(json!({ "WaveEnabled": true, "Fusion2Enabled": true, "FargateHeadEnabled": true }));
    all.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    all
}

/// The same with that processor: it replaces the forge.
fn replaced() -> Value {
    forge(json!({ "Arm64Enabled": true }))
}

/// An account so slow that an operation supersedes another, on a busy machine too, while a call of that one hangs; its
/// sweep collects at once.
async fn unhurried() -> TestAccount {
    let environment = vec![("TOWER_FORGE_RETIRE_AFTER", "0".to_owned())];
    TestAccount::with(Setting { scale: 0.08, environment, ..Setting::default() }).await
}

/// Two processes that wait: the one that gets the first event, and the one that gets the next.
pub(crate) async fn two_processes(aws: &TestAccount) -> (Warm, Warm) {
    aws.lambda.cool().await;
    // The one that was started last is the first to get an event.
    let next = aws.lambda.warm().await;
    (aws.lambda.warm().await, next)
}

/// Every resource is of this forge.
#[track_caller]
fn assert_only(state: &State, forge: &str) {
    let resources = state.resources().into_iter();
    let others =
        resources.filter(|(_, _, tags)| tags.get("towerforge:forge-id").is_none_or(|id| id != forge));
    let others: Vec<String> = others.map(|(kind, name, _)| format!("{kind} {name}")).collect();
    assert_eq!(others, [""; 0], "these are not of forge {forge}");
    assert!(!state.job_queues.is_empty(), "forge {forge} is not there");
}

/// Waits until the first fault has struck, which it does before the request is answered.
async fn until_struck(aws: &TestAccount, running: &Running) {
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    while aws.cloud.fault_hits().await[0] == 0 {
        ticks.tick().await;
        assert!(running.request.answers().is_empty(), "it has ended without this call\n{}", aws.lambda.log());
    }
}

/// Begins an Update whose calls of one operation hang for a while, and waits until it has come so far.
async fn start_slow_update(aws: &TestAccount, stack: &Stack, properties: Value, operation: &str) -> Running {
    let (updating, _) = two_processes(aws).await;
    aws.cloud.put_faults(&[Fault::slow(15.0).of(&updating.app).on(operation).always()]).await;
    let update = stack.start_update(properties).await;
    until_struck(aws, &update).await;
    update
}

async fn sweep(aws: &TestAccount) -> Value {
    aws.invoke(json!({ "sweep": true })).await.value().cloned().expect("a report")
}

#[tokio::test]
async fn an_instance_profile_that_is_made_after_a_delete_has_looked_is_found() {
    let aws = unhurried().await;
    let stack = aws.stack(minimal());
    stack.put_statuses("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS").await;
    let request = stack.request(stack.create_event(), Duration::ZERO);
    let (creating, deleting) = two_processes(&aws).await;
    let fill = "iam:AddRoleToInstanceProfile";
    let late = Fault::slow(15.0).of(&creating.app).on("iam:CreateInstanceProfile");
    let last = Fault::kill_after(creating.pid).of(&creating.app).on(fill);
    // The Delete takes its time to empty the role, and meanwhile the profile comes to hold it.
    let slow = Fault::slow(18.0).of(&deleting.app).on_changes().about("InstanceRole");
    aws.cloud.put_faults(&[late, last, slow]).await;
    let (lambda, event) = (aws.lambda.clone(), request.event.to_string());
    let create = tokio::spawn(async move { lambda.invoke(&event).await });
    aws.until_called("CreateInstanceProfile", 1).await;
    stack.roll_back().await.expect_success();
    create.await.expect("it has ended");
    aws.assert_nothing_left().await;

    // Lambda tries again.
    let seq = aws.now().await;
    aws.deliver(&request).await.expect_silence();
    aws.assert_no_change_since(seq).await;
}

/// A replacement that hangs at a call is cancelled, or has timed out, and is rolled back while it still works.
async fn replacement_given_up(hangs: &str, timed_out: bool) {
    let title = format!("given up at {hangs}");
    let aws = unhurried().await;
    let stack = aws.stack(forge(json!({})));
    let id = stack.create().await.expect_success().physical_id;
    let first = aws.state().await;
    let update = start_slow_update(&aws, &stack, replaced(), hangs).await;
    if timed_out {
        stack.give_up(Operation::Update).await;
    }
    assert_eq!(stack.roll_back().await.expect_success().physical_id, id, "{title}");
    update.ended().await.expect_silence();
    assert_first_state(&aws, &first, &title).await;
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_replacement_that_is_cancelled_while_it_makes_roles_is_rolled_back() {
    replacement_given_up("iam:CreateRole", false).await;
}

#[tokio::test]
async fn a_replacement_that_times_out_while_it_makes_environments_is_rolled_back() {
    replacement_given_up("batch:CreateComputeEnvironment", true).await;
}

#[tokio::test]
async fn a_replacement_that_is_cancelled_while_it_makes_queues_is_rolled_back() {
    replacement_given_up("batch:CreateJobQueue", false).await;
}

#[tokio::test]
async fn job_queues_of_a_replacement_that_appear_after_its_rollback_has_looked_are_found() {
    let aws = unhurried().await;
    let stack = aws.stack(forge(json!({})));
    let id = stack.create().await.expect_success().physical_id;
    let first = aws.state().await;
    aws.cloud.configure(json!({ "durations": { "ce_create": 40 } })).await;
    let (updating, undoing) = two_processes(&aws).await;
    // Both wait until the environments are VALID, and the queues come first.
    let late = Fault::slow(15.0).of(&updating.app).on("batch:CreateComputeEnvironment").always();
    let slow = Fault::slow(15.0).of(&undoing.app).on("batch:UpdateComputeEnvironment").always();
    aws.cloud.put_faults(&[late, slow]).await;
    let update = stack.start_update(replaced()).await;
    until_struck(&aws, &update).await;
    stack.give_up(Operation::Update).await;
    assert_eq!(stack.roll_back().await.expect_success().physical_id, id);
    update.ended().await.expect_silence();
    aws.cloud.put_faults(&[]).await;
    assert_first_state(&aws, &first, "rolled back").await;
}

#[tokio::test]
async fn an_update_in_place_or_to_a_new_generation_that_is_given_up_is_rolled_back() {
    let in_place = json!({ "MaxCpus": 100, "AllowBuckets": "reference-data", "JobStateTimeLimit": 3600 });
    let generation = json!({ "InstanceTypes": "m6i" });
    let cases = [
        (&in_place, "iam:PutRolePolicy"),
        (&in_place, "batch:UpdateJobQueue"),
        (&generation, "batch:CreateComputeEnvironment"),
        (&generation, "batch:UpdateJobQueue"),
    ];
    run(cases.map(|(change, hangs)| {
        Box::pin(async move {
            let title = format!("{change} given up at {hangs}");
            let aws = unhurried().await;
            let stack = aws.stack(minimal());
            stack.create().await.expect_success();
            let first = aws.state().await;
            let update = start_slow_update(&aws, &stack, with(change.clone()), hangs).await;
            stack.give_up(Operation::Update).await;
            stack.roll_back().await.expect_success();
            update.ended().await.expect_silence();
            assert_first_state(&aws, &first, &title).await;
        })
    }))
    .await;
}

#[tokio::test]
async fn a_replacement_that_failed_goes_with_its_stack_where_rollback_is_disabled() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(forge(json!({})));
    let id = stack.create().await.expect_success().physical_id;
    stack.disable_rollback();
    aws.cloud.put_faults(&[Fault::deny().on("batch:CreateJobQueue").always()]).await;
    let failed = stack.update(replaced()).await.expect_failure();
    assert_eq!(failed.physical_id, id);
    aws.cloud.put_faults(&[]).await;
    assert_eq!(stack.delete().await.expect_success().physical_id, id);
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_replacement_that_still_works_when_its_stack_is_deleted_leaves_nothing() {
    let aws = unhurried().await;
    let stack = aws.stack(forge(json!({})));
    stack.create().await.expect_success();
    stack.disable_rollback();
    let update = start_slow_update(&aws, &stack, replaced(), "batch:CreateComputeEnvironment").await;
    stack.give_up(Operation::Update).await;
    stack.delete().await.expect_success();
    update.ended().await.expect_silence();
    aws.assert_nothing_left().await;
}

/// A replacement has failed, and its rollback too, because the first forge has lost a role that cannot be made.
async fn rollback_failed(aws: &TestAccount) -> (Stack, String) {
    let stack = aws.stack(forge(json!({})));
    let id = stack.create().await.expect_success().physical_id;
    aws.cloud.put_faults(&[Fault::deny().on("batch:CreateJobQueue").always()]).await;
    stack.update(replaced()).await.expect_failure();
    aws.lose("role", &format!("TowerForge-{id}-ExecutionRole")).await;
    aws.cloud.put_faults(&[Fault::deny().on("iam:CreateRole").always()]).await;
    assert_eq!(stack.roll_back().await.expect_failure().physical_id, id);
    aws.cloud.put_faults(&[]).await;
    (stack, id)
}

#[tokio::test]
async fn a_rollback_that_failed_can_be_continued() {
    let aws = TestAccount::new().await;
    let (stack, id) = rollback_failed(&aws).await;
    assert_eq!(stack.continue_roll_back().await.expect_success().physical_id, id);
    assert_only(&aws.state().await, &id);
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn what_a_skipped_rollback_leaves_goes_with_the_next_operation() {
    for deleted in [false, true] {
        let aws = TestAccount::new().await;
        let (stack, id) = rollback_failed(&aws).await;
        stack.skip_in_roll_back().await;
        if !deleted {
            stack.update(forge(json!({ "MaxCpus": 600 }))).await.expect_success();
            assert_only(&aws.state().await, &id);
        }
        stack.delete().await.expect_success();
        aws.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn what_a_failed_clean_up_leaves_goes_with_the_next_operation() {
    for deleted in [false, true] {
        let aws = TestAccount::new().await;
        let stack = aws.stack(forge(json!({})));
        let old = stack.create().await.expect_success().physical_id;
        let new = stack.update(replaced()).await.expect_success().physical_id;
        assert_ne!(old, new);
        aws.cloud.put_faults(&[Fault::deny().on("batch:DeleteComputeEnvironment").always()]).await;
        for _ in 0..3 {
            assert_eq!(stack.clean_up().await.expect_failure().physical_id, old);
        }
        aws.cloud.put_faults(&[]).await;
        if !deleted {
            let mut wider = replaced();
            wider["MaxCpus"] = json!(600);
            stack.update(wider).await.expect_success();
            assert_only(&aws.state().await, &new);
        }
        stack.delete().await.expect_success();
        aws.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn a_replacement_that_succeeded_is_rolled_back_and_cleaned_up() {
    let aws = impatient().await;
    let stack = aws.stack(forge(json!({})));
    let old = stack.create().await.expect_success().physical_id;
    let first = aws.state().await;
    let new = stack.update(replaced()).await.expect_success().physical_id;
    assert_ne!(old, new);
    // Something else in the stack has failed.
    assert_eq!(stack.roll_back().await.expect_success().physical_id, old);
    assert_eq!(stack.clean_up().await.expect_success().physical_id, new);
    assert_first_state(&aws, &first, "cleaned up").await;
}

#[tokio::test]
async fn a_resource_that_is_created_again_in_its_stack_can_be_given_up() {
    let aws = unhurried().await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;

    let (creating, _) = two_processes(&aws).await;
    let hangs = Fault::slow(15.0).of(&creating.app).on("batch:CreateComputeEnvironment");
    aws.cloud.put_faults(&[hangs]).await;
    let again = stack.start_create().await;
    until_struck(&aws, &again).await;
    stack.roll_back().await.expect_success();
    again.ended().await.expect_silence();
    aws.assert_nothing_left().await;
    stack.create().await.expect_success();
}

#[tokio::test]
async fn a_foreign_queue_on_a_replaced_environment_stops_no_update() {
    let aws = impatient().await;
    let stack = aws.stack(minimal());
    let queue = stack.create().await.expect_success().attribute("ComputeQueue").to_owned();
    let blue = aws.state().await.first_environment(&queue).clone();
    stack.update(with(json!({ "InstanceTypes": "m6i" }))).await.expect_success();
    assert_eq!(aws.state().await.environment(&blue.name).state, "DISABLED");
    let theirs = json!({ "name": "theirs", "environments": [blue.arn] });
    aws.cloud.seed(json!({ "region": "eu-west-1", "queue": theirs })).await;

    stack.update(with(json!({ "InstanceTypes": "c6i" }))).await.expect_success();
    stack.roll_back().await.expect_success();
    let state = aws.state().await;
    assert_eq!(state.queue("theirs").order, [blue.arn.as_str()], "it was not touched");
    assert_eq!(state.environment(&blue.name).state, "DISABLED");
    let report = sweep(&aws).await;
    assert!(!report["collected"].to_string().contains(&blue.name), "{report:#}");
    assert!(report.to_string().contains(&blue.name), "it is reported: {report:#}");

    aws.lose("queue", "theirs").await;
    let report = sweep(&aws).await;
    assert!(report["collected"].to_string().contains(&blue.name), "{report:#}");
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn the_preview_of_a_delete_knows_whether_the_forge_is_kept() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(with(json!({ "DisposeOnDeletion": false })));
    let made = stack.create().await.expect_success();
    let mut event = stack.create_event();
    event["RequestType"] = json!("Delete");
    event["PhysicalResourceId"] = json!(made.physical_id);
    for (dispose, deletes) in [("true", true), ("false", false)] {
        event["ResourceProperties"]["DisposeOnDeletion"] = json!(dispose);
        let plan = aws.invoke(json!({ "plan": event })).await.value().cloned().expect("a plan");
        let steps = plan["steps"].as_array().unwrap_or_else(|| panic!("no steps: {plan:#}"));
        assert_eq!(steps.iter().any(|step| step["mark"] == "-"), deletes, "{dispose}: {plan:#}");
    }
    // And so it happens.
    let before = aws.state().await.count();
    stack.delete().await.expect_success();
    assert_eq!(aws.state().await.count(), before);
}

/// Deletes a forge by a function that has been deployed without file systems, which the forge has.
async fn deleted_without_features(made: Value, then: Option<Value>) {
    let aws = TestAccount::new().await;
    let stack = aws.stack(made);
    stack.create().await.expect_success();
    if let Some(then) = then {
        stack.update(then).await.expect_success();
    }
    let before = aws.state().await;
    let system = before.efs.iter().chain(&before.fsx).next().expect("it has been made").id.clone();

    let environment = vec![("TOWER_FORGE_FEATURES", String::new())];
    let without = aws.beside(Setting { environment, ..Setting::default() }).await;
    stack.put_statuses("DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS").await;
    let mut event = stack.create_event();
    event["RequestType"] = json!("Delete");
    event["PhysicalResourceId"] = json!(stack.physical_id());
    let delete = stack.request(event, Duration::ZERO);
    delete.delivered();
    without.lambda.deliver(&delete.event.to_string()).await;
    let answer = delete.answers().first().cloned().expect("an answer");
    if !answer.succeeded {
        let named = answer.reason.contains(&system) || answer.reason.contains("file system");
        assert!(named, "no {system} in {:?}", answer.reason);
        stack.delete().await.expect_success();
    }
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_delete_never_leaves_an_efs_file_system_without_a_word() {
    deleted_without_features(with(json!({ "EfsCreate": true })), None).await;
}

#[tokio::test]
async fn a_delete_never_leaves_an_fsx_file_system_without_a_word() {
    deleted_without_features(with(json!({ "FsxSize": 1200 })), None).await;
}

/// An Update has detached it, so that the properties do not tell of it any more.
#[tokio::test]
async fn a_delete_never_leaves_a_detached_file_system_without_a_word() {
    deleted_without_features(with(json!({ "EfsCreate": true })), Some(minimal())).await;
}

#[tokio::test]
async fn an_unknown_request_type_is_named_with_what_is_allowed() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    stack.put_statuses("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS").await;
    let mut event = stack.create_event();
    event["RequestType"] = json!("Upsert");
    let reason = aws.play(event).await.expect_failure().reason;
    for wanted in ["RequestType", "Upsert", "Create", "Update", "Delete"] {
        assert!(reason.contains(wanted), "no {wanted} in {reason:?}");
    }
    aws.assert_no_change_since(0).await;
}
