//! The resources that the sweep collects, and all those that it leaves alone.

use std::time::Duration;

use serde_json::{Value, json};

use crate::create_and_delete::minimal;
use crate::faults::Fault;
use crate::test_account::TestAccount;
use crate::update::{impatient, with};

/// Sweeps, and returns the report.
async fn sweep(aws: &TestAccount) -> Value {
    aws.invoke(json!({"sweep": true})).await.value().cloned().expect("a report")
}

/// The tags of a part of a forge whose stack CloudFormation knows or not, retiring since then.
/// A stack of the account; the function may ask about no other.
fn arn(aws: &TestAccount, stack: &str) -> String {
    format!("arn:aws:cloudformation:eu-west-1:{}:stack/{stack}/1", aws.cloud.id)
}

fn tags(aws: &TestAccount, stack: &str, since: Option<&str>) -> Value {
    let mut tags = json!({
        "towerforge:forge-id": "Cafe1",
        "towerforge:stack-id": arn(aws, stack),
        "towerforge:logical-id": "Genomics",
    });
    if let Some(since) = since {
        tags["towerforge:retiring"] = json!(since);
    }
    tags
}

const LONG_AGO: &str = "2020-01-01T00:00:00Z";

#[tokio::test]
async fn what_is_foreign_or_serves_or_does_not_retire_is_left_alone() {
    let aws = impatient().await;
    let foreign = |key: &str| {
        let mut tags = tags(&aws, "known", Some(LONG_AGO));
        tags.as_object_mut().expect("an object").remove(key);
        tags
    };
    let environment =
        |name: &str, state: &str, tags: Value| json!({"name": name, "state": state, "tags": tags});
    aws.seed(json!({"environment": [
        environment("TowerForge-Cafe1-work-00000001", "DISABLED", foreign("towerforge:forge-id")),
        environment("TowerForge-Cafe1-work-00000002", "DISABLED", foreign("towerforge:stack-id")),
        environment("TowerForge-Cafe1-work-00000003", "DISABLED", foreign("towerforge:logical-id")),
        environment("TowerForge-Cafe1-work-00000004", "DISABLED", tags(&aws, "known", None)),
        environment("TowerForge-Cafe1-work-00000005", "ENABLED", tags(&aws, "known", Some(LONG_AGO))),
        environment("TowerForge-Cafe1-work-00000006", "DISABLED", tags(&aws, "known", Some("yesterday"))),
        environment("TowerForge-Cafe2-work-00000007", "DISABLED", tags(&aws, "known", Some(LONG_AGO))),
        environment("Theirs-Cafe1-work-00000008", "DISABLED", tags(&aws, "known", Some(LONG_AGO))),
    ]}))
    .await;
    let stack = &arn(&aws, "known");
    aws.cloud.put_stack(stack, "UPDATE_COMPLETE", "Genomics", "UPDATE_COMPLETE", None).await;
    let report = sweep(&aws).await;
    assert_eq!((&report["collected"], &report["failed"]), (&json!([]), &json!([])), "{report:#}");
    aws.assert_no_change_since(0).await;
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_stack_in_progress_is_left_alone_and_an_unknown_one_for_a_day() {
    let aws = impatient().await;
    let seconds = |ago: u64| {
        let at = std::time::SystemTime::now() - Duration::from_secs(ago);
        let at = aws_smithy_types::DateTime::from(at);
        at.fmt(aws_smithy_types::date_time::Format::DateTime).expect("a date of this century")
    };
    let (today, before) = (seconds(3600), seconds(25 * 3600));
    aws
        .seed(json!({"environment": [
            {"name": "TowerForge-Cafe1-work-00000001", "state": "DISABLED", "tags": tags(&aws, "unknown", Some(&today))},
            {"name": "TowerForge-Cafe1-work-00000002", "state": "DISABLED", "tags": tags(&aws, "busy", Some(&before))},
        ]}))
        .await;
    let stack = &arn(&aws, "busy");
    aws.cloud.put_stack(stack, "UPDATE_IN_PROGRESS", "Genomics", "UPDATE_COMPLETE", None).await;
    let report = sweep(&aws).await;
    assert_eq!(report["collected"], json!([]), "{report:#}");
    assert!(report["waiting"].to_string().contains("its stack is in progress"), "{report:#}");
    aws.assert_no_change_since(0).await;

    aws
        .seed(json!({"environment":
            {"name": "TowerForge-Cafe1-work-00000003", "state": "DISABLED", "tags": tags(&aws, "unknown", Some(&before))},
        }))
        .await;
    let report = sweep(&aws).await;
    assert_eq!(report["collected"].as_array().map(Vec::len), Some(1), "{report:#}");
    assert!(report["collected"].to_string().contains("00000003"), "{report:#}");
    aws.cloud.put_stack(stack, "UPDATE_ROLLBACK_COMPLETE", "Genomics", "UPDATE_COMPLETE", None).await;
    assert!(sweep(&aws).await["collected"].to_string().contains("00000002"));
    assert_eq!(aws.state().await.compute_environments.len(), 1);
}

#[tokio::test]
async fn what_has_just_been_replaced_waits() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
    stack.update(with(json!({"InstanceTypes": "m6i"}))).await.expect_success();
    let (before, seq) = (aws.state().await, aws.now().await);
    let report = sweep(&aws).await;
    assert!(report["waiting"].to_string().contains("retired too recently"), "{report:#}");
    aws.assert_no_change_since(seq).await;
    assert_eq!(aws.state().await, before);
}

#[tokio::test]
async fn what_a_rollback_enables_meanwhile_is_not_deleted() {
    let aws = impatient().await;
    let name = "TowerForge-Cafe1-work-00000001";
    aws
        .seed(json!({"environment": {"name": name, "state": "DISABLED", "tags": tags(&aws, "known", Some(LONG_AGO))}}))
        .await;
    let stack = &arn(&aws, "known");
    aws.cloud.put_stack(stack, "UPDATE_COMPLETE", "Genomics", "UPDATE_COMPLETE", None).await;
    // The sweep has decided, and its call is on the way, when the environment is enabled again.
    aws.cloud.put_faults(&[Fault::slow(100.0).on("batch:DeleteComputeEnvironment")]).await;
    let (report, ()) = tokio::join!(sweep(&aws), async {
        aws.until_called("DeleteComputeEnvironment", 1).await;
        let enable = json!({"computeEnvironment": name, "state": "ENABLED"}).to_string();
        aws.cloud.call("batch", "/v1/updatecomputeenvironment", enable).await;
    });
    assert_eq!(report["collected"], json!([]), "{report:#}");
    let state = aws.state().await;
    assert_eq!(state.environment(name).state, "ENABLED");
    let writes = aws.calls().await.mutating().by_operation();
    assert!(!writes.keys().any(|call| call.contains("Queue") || call.contains("Tag")), "{writes:?}");
}

#[tokio::test]
async fn a_fargate_generation_is_idle_when_no_job_of_its_queue_runs() {
    let aws = impatient().await;
    let fargate = |refresh: &str| {
        with(json!({
            "WaveEnabled": true, "Fusion2Enabled": true, "FargateHeadEnabled": true, "ImageRefresh": refresh,
        }))
    };
    let stack = aws.stack(fargate("1"));
    let queue = stack.create().await.expect_success().attribute("HeadQueue").to_owned();
    let before = aws.state().await;
    let (job, blue) = aws.cloud.start_job(&queue).await;
    stack.update(fargate("2")).await.expect_success();
    let report = sweep(&aws).await;
    assert!(
        report["waiting"].to_string().contains(&format!("{blue}: jobs are still running in it")),
        "{report:#}"
    );
    assert_eq!(aws.state().await.queue(&queue).order.len(), 2);
    aws.cloud.end_job(&job).await;
    let report = sweep(&aws).await;
    assert!(report["collected"].to_string().contains(&blue), "{report:#}");
    assert_eq!(aws.state().await.count(), before.count());
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}
