//! The plan of a request: it shows the changes, and changes nothing.

use serde_json::{Value, json};

use crate::create_and_delete::minimal;
use crate::test_account::TestAccount;
use crate::update::with;

/// The function's plan for an event.
async fn plan(aws: &TestAccount, event: Value) -> Value {
    let seq = aws.now().await;
    let plan = aws.invoke(json!({"plan": event})).await.value().cloned().expect("a plan");
    aws.assert_no_change_since(seq).await;
    plan
}

fn marks(plan: &Value) -> Vec<&str> {
    plan["steps"].as_array().expect("steps").iter().filter_map(|step| step["mark"].as_str()).collect()
}

#[tokio::test]
async fn a_create_and_a_delete_are_foretold() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    let mut event = stack.create_event();
    let create = plan(&aws, event.clone()).await;
    assert!(marks(&create).iter().all(|mark| *mark == "+"), "{create:#}");
    let made = stack.create().await.expect_success();
    assert_eq!(create["forge"], made.physical_id.as_str());
    assert_eq!(marks(&create).len(), aws.state().await.resources().len());

    event["RequestType"] = json!("Delete");
    event["PhysicalResourceId"] = json!(made.physical_id);
    let delete = plan(&aws, event).await;
    assert!(marks(&delete).iter().all(|mark| *mark == "-"), "{delete:#}");
    assert_eq!(marks(&delete).len(), marks(&create).len());
    assert_eq!(plan(&aws, stack.update_event(minimal())).await["text"], "nothing to do\n");
}

#[tokio::test]
async fn what_ends_jobs_or_takes_rights_away_is_said() {
    let aws = TestAccount::new().await;
    let stack = aws
        .stack(with(json!({"AllowBuckets": "reference-data", "WaveEnabled": true, "Fusion2Enabled": true})));
    let made = stack.create().await.expect_success();
    let (_, environment) = aws.cloud.start_job(made.attribute("ComputeQueue")).await;
    let fusion = json!({"WaveEnabled": true, "Fusion2Enabled": true});

    let less = plan(&aws, stack.update_event(with(fusion))).await;
    assert_eq!(less["properties"][0]["name"], "AllowBuckets");
    assert_eq!(less["properties"][0]["effect"], json!(["in place"]));
    let warning = less["warnings"][0].as_str().expect("a warning");
    assert!(warning.contains("rights") && warning.contains(&environment), "{warning}");

    let fargate = json!({
        "AllowBuckets": "reference-data", "WaveEnabled": true, "Fusion2Enabled": true, "FargateHeadEnabled": true,
    });
    let other = plan(&aws, stack.update_event(with(fargate))).await;
    assert_eq!(other["replaces"], made.physical_id.as_str());
    assert!(other["warnings"].to_string().contains("running jobs are terminated"), "{other:#}");
}

#[tokio::test]
async fn what_would_be_refused_is_refused() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
    let refused = plan(&aws, stack.update_event(json!({"MaxCpu": 5}))).await;
    assert!(refused["error"].as_str().is_some_and(|why| why.contains("MaxCpus")), "{refused:#}");
    let nonsense = plan(&aws, json!({"sweep": true})).await;
    assert!(nonsense["error"].is_string(), "{nonsense:#}");
}

#[tokio::test]
async fn properties_that_a_pipeline_stumbles_over_are_accepted_with_a_warning() {
    let aws = TestAccount::new().await;
    let odd = json!({"WorkDir": "/mnt/efs/work", "EfsCreate": true, "ReadBuckets": "*"});
    let stack = aws.stack(with(odd));
    let said = plan(&aws, stack.create_event()).await["warnings"].to_string();
    assert!(
        said.contains("accepts only a work directory in S3") && said.contains("ReadBuckets is *"),
        "{said}"
    );

    let made = stack.create().await.expect_success();
    let lines: Vec<&str> = made.attribute("Warnings").lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("WorkDir is /mnt/efs/work: "), "{lines:?}");
    assert!(aws.lambda.log().contains("accepts only a work directory in S3"));
    let answer = stack.update(minimal()).await.expect_success();
    assert_eq!(answer.attribute("Warnings"), "");
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}
