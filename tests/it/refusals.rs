//! Refusals before anything is created, and answers that would be too long.

use serde_json::{Map, Value, json};

use crate::options::generous;
use crate::rights::Rights;
use crate::runtime_api::Outcome;
use crate::test_account::{Setting, TestAccount};

/// The least that a stack must say, with these properties besides or instead; null takes one away.
fn with(more: &Value) -> Value {
    let mut all = Map::from_iter([
        ("WorkDir".to_owned(), json!("s3://my-bucket/work")),
        ("MaxCpus".to_owned(), json!(100)),
    ]);
    for (name, value) in more.as_object().expect("properties are an object") {
        if value.is_null() {
            all.remove(name);
        } else {
            all.insert(name.clone(), value.clone());
        }
    }
    Value::Object(all)
}

/// Refused properties and words of the answer about them, one of each sort; the table of all rules is in the core.
fn refusals() -> Vec<(Value, &'static [&'static str])> {
    vec![
        (
            json!({"Fusion2Enabled": true}),
            &["Fusion2Enabled: given true, allowed: only with WaveEnabled: true"],
        ),
        (
            json!({"EbsAutoScale": true}),
            &["EbsAutoScale: given \"true\", allowed: false, or nothing", "Fusion2Enabled"],
        ),
        (json!({"HeadJobRole": "arn:aws:iam::ACCOUNT:role/Admin"}), &["HeadJobRole", "AllowedRoles"]),
        (json!({"Tags": {"towerforge:forge-id": "mine"}}), &["Tags", "towerforge:"]),
        // Several at once.
        (
            json!({"MaxCpus": null, "WorkDir": "bucket", "Type": "FARGATE", "Volumes": "data", "MaxCpu": 5}),
            &["MaxCpus: missing", "WorkDir: given", "Type: given", "Volumes: given", "did you mean MaxCpus?"],
        ),
    ]
}

#[tokio::test]
async fn properties_are_refused_before_the_first_call() {
    let aws = TestAccount::with(generous()).await;
    for (properties, says) in refusals() {
        let text = properties.to_string().replace("ACCOUNT", &aws.cloud.id);
        let properties = serde_json::from_str(&text).unwrap();
        let stack = aws.stack(with(&properties));
        let reason = stack.create().await.expect_failure().reason;
        for word in says {
            assert!(reason.contains(word), "{properties}: no {word:?} in {reason:?}");
        }
        stack.roll_back().await.expect_success();
    }
    aws.assert_no_change_since(0).await;
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn file_systems_need_a_deployment_that_has_them() {
    let rights = Rights { features: "", ..Rights::default() };
    let aws = TestAccount::with(Setting { rights, ..Setting::default() }).await;
    for (properties, name, parameter) in [
        (json!({"EfsCreate": true}), "EfsCreate", "EnableEfs"),
        (json!({"EfsId": "fs-0123456789abcdef0"}), "EfsId", "EnableEfs"),
        (json!({"FsxSize": 1200}), "FsxSize", "EnableFsx"),
        (json!({"FsxName": "fs-0123456789abcdef0.fsx.eu-west-1.amazonaws.com"}), "FsxName", "EnableFsx"),
    ] {
        let reason = aws.stack(with(&properties)).create().await.expect_failure().reason;
        assert!(reason.contains(&format!("{name}: ")), "{reason}");
        assert!(
            reason.contains(&format!("only if the function is deployed with {parameter}: true")),
            "{reason}"
        );
    }
    // A forge without file systems asks nothing of either service; only a Delete looks for older ones.
    let stack = aws.stack(with(&json!({})));
    stack.create().await.expect_success();
    let calls = aws.calls().await;
    assert!(calls.0.iter().all(|call| call.service != "efs" && call.service != "fsx"));
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_refused_before_the_first_call() {
    let aws = TestAccount::new().await;
    let long =
        json!({"NextflowConfig": format!("// {}", "x".repeat(2040)), "PreRunScript": "y".repeat(1000)});
    let stack = aws.stack(with(&long));
    let reason = stack.create().await.expect_failure().reason;
    assert!(reason.contains("NextflowConfig: CloudFormation takes answers of 4096 bytes"), "{reason}");
    stack.roll_back().await.expect_success();
    aws.assert_no_change_since(0).await;

    // The longest that is accepted can be answered: the size is that of the answer with all attributes.
    let (mut low, mut high) = (0, 2000);
    let mut longest = None;
    while low < high {
        let length = high - (high - low) / 2;
        let properties = with(&json!({
            "Type": "SPOT", "AllocStrategy": "BEST_FIT", "FsxSize": 1200, "EfsCreate": true,
            "PostRunScript": "x".repeat(1000), "NextflowConfig": format!("// {}", "x".repeat(length)),
        }));
        let plan = json!({"plan": aws.stack(properties.clone()).create_event()});
        let Outcome::Returned(preview) = aws.invoke(plan).await else { panic!("a preview returns") };
        match preview["error"].as_str() {
            None => (low, longest) = (length, Some(properties)),
            Some(error) if error.contains("bytes longer") => high = length - 1,
            Some(error) => panic!("{error}"),
        }
    }
    let mut longest = longest.expect("a short configuration is accepted");
    let stack = aws.stack(longest.clone());
    let made = stack.create().await.expect_success();
    assert!((3900..=4096).contains(&made.size), "{}", made.size);
    println!("the longest answer has {} bytes", made.size);

    // A limit that is not reached yet was not known before, and there is no room for it.
    aws.cloud.start_job_of(60, made.attribute("ComputeQueue")).await;
    longest["MaxCpus"] = json!(50);
    assert_eq!(stack.update(longest).await.expect_success().attribute("Warnings"), "");
    assert!(aws.lambda.log().contains("has at most 60 vCPUs instead of 50"), "{}", aws.lambda.log());
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_retired_option_that_is_off_is_accepted() {
    let aws = TestAccount::new().await;
    let stack =
        aws.stack(with(&json!({"EbsAutoScale": false, "FusionEnabled": "false", "EbsBlockSize": ""})));
    stack.create().await.expect_success();
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}
