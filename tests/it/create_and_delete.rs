//! The main job: a forge is made and unmade.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::faults::Fault;
use crate::test_account::TestAccount;

/// Every attribute that `Fn::GetAtt` may ask for.
const ATTRIBUTES: [&str; 22] = [
    "ForgeId",
    "Region",
    "HeadQueue",
    "HeadQueueArn",
    "ComputeQueue",
    "ComputeQueueArn",
    "HeadComputeEnvironmentArn",
    "ComputeComputeEnvironmentArn",
    "ServiceRoleArn",
    "InstanceRoleArn",
    "InstanceProfileArn",
    "ExecutionRoleArn",
    "FleetRoleArn",
    "HeadJobRoleArn",
    "LaunchTemplateId",
    "EfsId",
    "FsxId",
    "FsxDnsName",
    "DragenQueue",
    "LogGroup",
    "Warnings",
    "NextflowConfig",
];

/// The properties of the README's first stack.
pub(crate) fn minimal() -> Value {
    json!({ "WorkDir": "s3://my-bucket/work", "MaxCpus": 500 })
}

/// Those with a forge ID that a test can know beforehand.
fn known_as(forge_id: &str) -> Value {
    json!({ "ForgeId": forge_id, "WorkDir": "s3://my-bucket/work", "MaxCpus": 500 })
}

#[tokio::test]
async fn a_minimal_forge_is_made_and_deleted() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());

    let made = stack.create().await.expect_success();
    let id = made.physical_id.clone();
    assert!(id.len() == 22 && id.chars().all(|it| it.is_ascii_alphanumeric()), "{id} is not a forge ID");
    let state = aws.state().await;
    let mut count = state.count();
    count.remove("log group");
    assert_eq!(
        count,
        BTreeMap::from([
            ("role", 3),
            ("instance profile", 1),
            ("launch template", 1),
            ("compute environment", 2),
            ("job queue", 2),
        ])
    );
    for role in ["ServiceRole", "InstanceRole", "ExecutionRole"] {
        state.role(&format!("TowerForge-{id}-{role}"));
    }
    for (kind, name, tags) in state.resources() {
        assert_eq!(tags.get("towerforge:forge-id"), Some(&id), "{kind} {name}");
        assert_eq!(tags.get("towerforge:stack-id").map(String::as_str), Some(stack.id()), "{kind} {name}");
        assert_eq!(tags.get("towerforge:logical-id").map(String::as_str), Some("Genomics"), "{kind} {name}");
    }
    for (use_, attribute) in [("work", "ComputeQueue"), ("head", "HeadQueue")] {
        let queue = state.queue(&format!("TowerForge-{id}-{use_}"));
        assert_eq!((queue.state.as_str(), queue.status.as_str()), ("ENABLED", "VALID"));
        assert_eq!(made.attribute(attribute), queue.name);
        assert_eq!(made.attribute(&format!("{attribute}Arn")), queue.arn);
        let environment = state.first_environment(&queue.name);
        assert_eq!((environment.state.as_str(), environment.status.as_str()), ("ENABLED", "VALID"));
        assert!(environment.name.starts_with(&format!("TowerForge-{id}-{use_}-")), "{}", environment.name);
    }
    for attribute in ATTRIBUTES {
        made.attribute(attribute);
    }

    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn an_on_demand_forge_runs_both_queues_on_one_environment() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(json!({ "WorkDir": "s3://my-bucket/work", "Type": "EC2", "MaxCpus": 64 }));

    let id = stack.create().await.expect_success().physical_id;
    let state = aws.state().await;
    assert_eq!(state.compute_environments.len(), 1);
    assert_eq!(state.compute_environments[0].compute_resources["type"], "EC2");
    let (work, head) =
        (state.queue(&format!("TowerForge-{id}-work")), state.queue(&format!("TowerForge-{id}-head")));
    assert_eq!(work.order, head.order);
    assert!(head.priority > work.priority, "the head job must win");

    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn every_part_exists_before_what_needs_it() {
    let aws = TestAccount::new().await;
    aws.stack(minimal()).create().await.expect_success();
    let calls = aws.calls().await;
    let first =
        |operation: &str| calls.of(operation).0.first().unwrap_or_else(|| panic!("no {operation}")).seq;
    let last = |operation: &str| calls.of(operation).last_seq();
    assert!(last("CreateRole") < last("CreateComputeEnvironment"));
    assert!(last("CreateLaunchTemplate") < first("CreateComputeEnvironment"));
    assert!(first("CreateComputeEnvironment") < first("CreateJobQueue"));
}

#[tokio::test]
async fn a_foreign_part_of_that_name_is_named_and_left_alone() {
    let foreign = json!({
        "towerforge:forge-id": "Cafe1",
        "towerforge:stack-id": "arn:aws:cloudformation:eu-west-1:000000000000:stack/theirs/1",
        "towerforge:logical-id": "Genomics",
    });
    for (what, name) in [
        ("role", "TowerForge-Cafe1-ServiceRole"),
        ("role", "TowerForge-Cafe1-InstanceRole"),
        ("queue", "TowerForge-Cafe1-work"),
    ] {
        let aws = TestAccount::new().await;
        aws.seed(json!({ what: { "name": name, "tags": foreign } })).await;
        let stack = aws.stack(known_as("Cafe1"));

        let refused = stack.create().await.expect_failure();
        assert!(
            refused.reason.contains(name) && refused.reason.contains("stack/theirs/1"),
            "{}",
            refused.reason
        );
        stack.roll_back().await.expect_success();
        aws.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn deleting_a_forge_leaves_those_of_others() {
    let aws = TestAccount::new().await;
    let of = |forge_id: &str| {
        json!({
            "towerforge:forge-id": forge_id,
            "towerforge:stack-id": "arn:aws:cloudformation:eu-west-1:000000000000:stack/theirs/1",
            "towerforge:logical-id": "Genomics",
        })
    };
    // The first begin with our forge's names, the last has our forge's ID and another stack's tags.
    aws.seed(json!({ "role": { "name": "TowerForge-Cafe12-ServiceRole", "tags": of("Cafe12") } })).await;
    aws.seed(json!({ "queue": { "name": "TowerForge-Cafe12-work", "tags": of("Cafe12") } })).await;
    aws.seed(json!({ "environment": { "name": "TowerForge-Cafe12-work-00000000", "tags": of("Cafe12") } }))
        .await;
    aws.seed(json!({ "role": { "name": "TowerForge-Cafe1-unknown", "tags": {} } })).await;
    aws.seed(json!({ "environment": { "name": "TowerForge-Cafe1-work-00000000", "tags": of("Cafe1") } }))
        .await;
    let stack = aws.stack(known_as("Cafe1"));

    stack.create().await.expect_success();
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_failed_create_is_undone_by_our_id() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    aws.cloud.put_faults(&[Fault::deny().on("batch:CreateJobQueue").always()]).await;

    let failed = stack.create().await.expect_failure();
    assert!(failed.reason.contains("CreateJobQueue"), "{}", failed.reason);
    assert_eq!(aws.state().await.job_queues.len(), 0);
    let undone = stack.roll_back().await.expect_success();
    assert_eq!(undone.physical_id, failed.physical_id);
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_failed_create_is_undone_by_an_id_that_cloudformation_made_up() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    aws.cloud.put_faults(&[Fault::deny().on("batch:CreateJobQueue").always()]).await;
    stack.put_statuses("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS").await;
    // CloudFormation has heard nothing of it, as when an answer comes too late.
    aws.deliver(&stack.request(stack.create_event(), Duration::ZERO)).await.expect_failure();

    let undone = stack.roll_back().await.expect_success();
    assert_eq!(undone.physical_id, stack.made_up_id());
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn deleting_what_was_never_made_succeeds() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    stack.delete().await.expect_success();
    aws.assert_no_change_since(0).await;
}
