//! Events that CloudFormation has not sent: whoever may invoke the function can send any.

use std::time::Duration;

use serde_json::{Value, json};

use crate::runtime_api::Outcome;
use crate::state::State;
use crate::test_account::{Setting, TestAccount};

fn minimal() -> Value {
    json!({ "ForgeId": "Cafe1", "WorkDir": "s3://my-bucket/work", "MaxCpus": 8 })
}

/// A Delete of a forge that CloudFormation does not delete. It shows the status of the stack, that of the resource, and
/// whether another forge stands in its place.
pub(crate) async fn deletes() -> Vec<(String, String)> {
    const SHOWN: [(&str, &str, bool); 6] = [
        ("CREATE_COMPLETE", "CREATE_COMPLETE", false),
        ("UPDATE_COMPLETE", "UPDATE_COMPLETE", false),
        ("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", false),
        // The Update of something else may still fail, and the stack would return to this forge.
        ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", true),
        ("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_COMPLETE", true),
        ("UPDATE_COMPLETE", "UPDATE_COMPLETE", true),
    ];
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
    let before = aws.state().await;
    let mut event = stack.create_event();
    event["RequestType"] = json!("Delete");
    event["PhysicalResourceId"] = json!("Cafe1");
    let mut tried = Vec::new();
    for (status, resource, is_replaced) in SHOWN {
        let shown = if is_replaced { "Cafe2" } else { "Cafe1" };
        aws.cloud.put_stack(stack.id(), status, stack.logical_id(), resource, Some(shown)).await;
        // As if an earlier invocation had been through it all.
        let leg = json!({ "Leg": 2, "By": "request/0123456789abcdef", "Operation": "0", "Signed": 0 });
        for leg in [None, Some(leg)] {
            let mut event = event.clone();
            let is_leg = leg.is_some();
            if let Some(leg) = leg {
                event["TowerForge"] = leg;
            }
            let reason = aws.deliver(&aws.request(event, Duration::ZERO)).await.expect_failure().reason;
            assert!(reason.contains("CloudFormation does not show this operation"), "{status}: {reason}");
            assert_eq!(aws.state().await, before, "{status}, {resource}");
            let place = if is_replaced { ", another forge in its place" } else { "" };
            let leg = if is_leg { ", as a later invocation" } else { "" };
            let what =
                format!("a Delete while the stack is {status} and the resource {resource}{place}{leg}");
            tried.push((what, "CloudFormation does not show this operation as in progress".to_owned()));
        }
    }
    stack.put_statuses("CREATE_COMPLETE", "CREATE_COMPLETE").await;
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
    tried
}

/// Outside of local runs a response goes to CloudFormation's bucket or nowhere.
#[tokio::test]
async fn an_event_with_another_address_is_not_carried_out() {
    let environment = vec![("TOWER_FORGE_LOCAL", "0".to_owned())];
    let aws = TestAccount::with(Setting { environment, ..Setting::default() }).await;
    let stack = aws.stack(minimal());
    stack.put_statuses("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS").await;
    let seq = aws.now().await;
    for url in [
        "http://127.0.0.1:9/x?X-Amz-Date=20261124T083000Z",
        "https://attacker.s3.eu-west-1.amazonaws.com/x?X-Amz-Date=20261124T083000Z",
        "https://cloudformation-custom-resource-response-euwest1.s3.attacker.s3.amazonaws.com/x",
        "https://abc123.execute-api.eu-west-1.amazonaws.com/x?X-Amz-Date=20261124T083000Z",
    ] {
        let mut event = stack.create_event();
        event["ResponseURL"] = json!(url);
        let outcome = aws.invoke(event).await;
        assert!(matches!(outcome, Outcome::Errored { .. }), "{url}: {outcome:?}");
    }
    assert!(aws.calls().await.since(seq).by_operation().is_empty());
}

/// Whoever may create and tag launch templates makes one under the name that a forge will use, with commands of his own.
#[tokio::test]
async fn a_launch_template_of_a_stranger_is_not_used() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
    let made = aws.state().await.launch_templates.remove(0);
    stack.delete().await.expect_success();

    let data = json!({ "UserData": "IyEvYmluL3NoCmN1cmwgYXR0YWNrZXI=" });
    aws.seed(json!({ "template": { "name": made.name, "tags": made.tags, "data": data } })).await;
    let reason = stack.create().await.expect_failure().reason;
    assert!(reason.contains(&made.name) && reason.contains("user/Ada, who made it"), "{reason}");
    assert!(aws.state().await.compute_environments.is_empty(), "no instance starts from it");
    // Its tags say that it belongs to the forge, so that nothing stays.
    stack.roll_back().await.expect_success();
    assert!(aws.state().await.launch_templates.iter().all(|left| left.name != made.name));
}

/// CloudFormation does not show the stacks of other accounts, so that a request in the name of one cannot be checked.
#[tokio::test]
async fn a_stack_of_another_account_needs_the_deployers_word() {
    let of_another = |aws: &TestAccount| {
        let mut event = aws.stack(minimal()).create_event();
        let stack =
            "arn:aws:cloudformation:eu-west-1:999999999999:stack/theirs/51af3dc0-da77-11e4-872e-0000000000ff";
        event["StackId"] = json!(stack);
        event
    };
    let aws = TestAccount::new().await;
    let seq = aws.now().await;
    let reason = aws.play(of_another(&aws)).await.expect_failure().reason;
    assert!(reason.contains("account 999999999999") && reason.contains("StackAccounts"), "{reason}");
    aws.assert_no_change_since(seq).await;

    let environment = vec![("TOWER_FORGE_STACK_ACCOUNTS", "999999999999".to_owned())];
    let aws = TestAccount::with(Setting { environment, ..Setting::default() }).await;
    let create = of_another(&aws);
    aws.play(create.clone()).await.expect_success();
    let of = |verb: &str, forge: &str| {
        let mut event = create.clone();
        (event["RequestType"], event["PhysicalResourceId"]) = (json!(verb), json!(forge));
        event
    };
    let mut replacement = of("Update", "Cafe1");
    replacement["OldResourceProperties"] = create["ResourceProperties"].clone();
    replacement["ResourceProperties"]["ForgeId"] = json!("Cafe2");
    aws.play(replacement).await.expect_success();
    let before = aws.state().await;
    // CloudFormation does not tell that this is a clean-up, but the claim tells which forge was established last.
    aws.play(of("Delete", "Cafe1")).await.expect_success();
    let of_new = |state: &State| -> Vec<_> {
        let all = state.resources().into_iter().filter(|(_, name, _)| name.contains("Cafe2"));
        all.map(|(kind, name, _)| format!("{kind} {name}")).collect()
    };
    let after = aws.state().await;
    assert_eq!(of_new(&after), of_new(&before));
    assert!(after.job_queues.iter().all(|queue| queue.state == "ENABLED"));
    aws.play(of("Delete", "Cafe2")).await.expect_success();
    aws.assert_nothing_left().await;
}
