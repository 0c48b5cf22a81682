//! Input and output: malformed events, the sample events, logs.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::create_and_delete::minimal;
use crate::ended::Ended;
use crate::runtime_api::Outcome;
use crate::test_account::{Setting, TestAccount};

/// The stack's create event with one change.
async fn refused(change: impl Fn(&mut Value)) -> String {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    stack.put_statuses("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS").await;
    let mut event = stack.create_event();
    change(&mut event);
    let answer = aws.play(event).await.expect_failure();
    aws.assert_no_change_since(0).await;
    answer.reason
}

#[tokio::test]
async fn malformed_events_are_answered() {
    let request_type = refused(|event| event["RequestType"] = json!("Upsert")).await;
    assert!(request_type.contains("Upsert"), "{request_type}");
    let no_properties = refused(|event| event["ResourceProperties"] = json!("WorkDir")).await;
    assert!(no_properties.contains("ResourceProperties"), "{no_properties}");
    let missing = refused(|event| drop(event.as_object_mut().unwrap().remove("RequestType"))).await;
    assert!(missing.contains("RequestType"), "{missing}");
}

#[tokio::test]
async fn all_faults_of_the_properties_are_named_at_once() {
    let reason = refused(|event| {
        event["ResourceProperties"] = json!({ "MaxCpu": "500", "MaxCpus": "many", "Type": "SPOTS" });
    })
    .await;
    for wanted in ["MaxCpu", "many", "SPOTS", "WorkDir"] {
        assert!(reason.contains(wanted), "no {wanted} in: {reason}");
    }
}

#[tokio::test]
async fn an_event_without_a_response_url_is_an_error_and_changes_nothing() {
    let aws = TestAccount::new().await;
    for event in [json!({}), json!([1]), json!("text"), json!({ "RequestType": "Create" })] {
        let outcome = aws.invoke(event.clone()).await;
        assert!(matches!(outcome, Outcome::Errored { .. }), "{event}: {outcome:?}");
    }
    aws.assert_no_change_since(0).await;
}

#[tokio::test]
async fn an_answer_goes_nowhere_but_to_aws_and_to_this_machine() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    for url in
        ["https://example.org/answer", "http://203.0.113.1/answer", "https://s3.amazonaws.com.example.org/"]
    {
        let mut event = stack.create_event();
        event["ResponseURL"] = json!(url);
        let outcome = aws.invoke(event).await;
        assert!(matches!(outcome, Outcome::Errored { .. }), "{url}: {outcome:?}");
    }
    aws.assert_no_change_since(0).await;
}

/// Every file in `events/`, in the order of their names, each in an account that is made ready for it.
#[tokio::test]
async fn every_sample_event_plays() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|why| panic!("{}: {why}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let event: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        play(&name, event).await;
    }
}

async fn play(name: &str, event: Value) {
    let aws = TestAccount::new().await;
    // The events are of the account that examples have; the function may only ask about stacks of its own.
    let event: Value =
        serde_json::from_str(&event.to_string().replace("123456789012", &aws.cloud.id)).unwrap();
    if event.get("ResponseURL").is_none() {
        let outcome = aws.invoke(event).await;
        assert_eq!(outcome.is_returned(), !name.starts_with("malformed"), "{name}: {outcome:?}");
        return;
    }
    if name.starts_with("malformed") {
        let answer = deliver(&aws, event).await.expect_failure();
        assert!(answer.reason.starts_with('['), "{name}: {}", answer.reason);
        aws.assert_no_change_since(0).await;
        return;
    }
    if event["RequestType"] != "Create" {
        // The resource of an Update or a Delete exists, however CloudFormation calls it.
        let before =
            if event["RequestType"] == "Update" { "OldResourceProperties" } else { "ResourceProperties" };
        let mut create = event.clone();
        create["RequestType"] = json!("Create");
        create["RequestId"] = json!("11111111-2222-4333-8444-555555555555");
        create["ResourceProperties"] = event[before].clone();
        let fields = create.as_object_mut().unwrap();
        fields.remove("OldResourceProperties");
        fields.remove("PhysicalResourceId");
        deliver(&aws, create).await.expect_success();
    }
    let id = deliver(&aws, event.clone()).await.expect_success().physical_id;
    if event["RequestType"] != "Delete" {
        let mut delete = event;
        delete["RequestType"] = json!("Delete");
        delete["PhysicalResourceId"] = json!(id);
        deliver(&aws, delete).await.expect_success();
    }
    aws.assert_nothing_left().await;
}

/// Delivers an event while the stack that it names is in that operation.
async fn deliver(aws: &TestAccount, event: Value) -> Ended {
    if let [Some(kind), Some(stack), Some(resource)] =
        ["RequestType", "StackId", "LogicalResourceId"].map(|key| event[key].as_str())
    {
        let status = format!("{}_IN_PROGRESS", kind.to_uppercase());
        aws.cloud.put_stack(stack, &status, resource, &status, None).await;
    }
    aws.play(event).await
}

#[tokio::test]
async fn nothing_secret_is_logged_at_any_level() {
    let aws = TestAccount::with(Setting { log_level: "TRACE", ..Setting::default() }).await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
    stack.redeliver().await;
    stack.delete().await.expect_success();
    aws.play(json!({ "RequestType": "Upsert", "ResponseURL": "" })).await.expect_failure();
    aws.urls.fail_next(1);
    stack.delete().await.expect_success();
    let log = aws.lambda.log();
    assert!(log.lines().count() > 10, "nothing is logged at all: {log}");
    aws.assert_no_secret_logged();
}

#[tokio::test]
async fn every_log_line_is_json() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
    for line in aws.lambda.log().lines().filter(|line| !line.starts_with("---")) {
        serde_json::from_str::<Value>(line).unwrap_or_else(|why| panic!("{why}: {line}"));
    }
}
