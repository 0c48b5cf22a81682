//! An account that is not empty: nothing that others have in it confuses the function, and nothing of it changes.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::state::State;
use crate::test_account::{Setting, TestAccount};
use crate::update::with;

/// An account as others have filled it, beside the forge `Lab1` (see `tests/cloud/inhabited.py`), and the network that
/// another account has shared with it.
async fn inhabited() -> (TestAccount, Value) {
    let environment = vec![("TOWER_FORGE_RETIRE_AFTER", "0".to_owned())];
    let aws = TestAccount::with(Setting { environment, inhabited: false, ..Setting::default() }).await;
    let shared = aws.seed(json!({"inhabitants": {"forge": "Lab1"}})).await["inhabitants"].clone();
    (aws, shared)
}

/// The resources of a state by kind and name.
fn resources(state: &State) -> BTreeSet<(&'static str, String)> {
    state.resources().into_iter().map(|(kind, name, _)| (kind, name.to_owned())).collect()
}

/// No call that changes something has named a resource of others.
async fn assert_only_ours_was_called(aws: &TestAccount) {
    let foreign: BTreeSet<String> =
        resources(&aws.others_at_first()).into_iter().map(|(_, name)| name).collect();
    for call in aws.calls().await.mutating().0 {
        let named = call.resources.iter().map(|name| name.rsplit('/').next().unwrap_or_default());
        let foreign: Vec<&str> = named.filter(|name| foreign.contains(*name)).collect();
        assert!(foreign.is_empty(), "{} named {foreign:?}", call.operation);
    }
}

#[tokio::test]
async fn a_forge_lives_among_the_resources_of_others() {
    let (aws, _) = inhabited().await;
    let properties = |more: Value| {
        let mut all =
            with(json!({"ForgeId": "Lab1", "EfsCreate": true, "FsxSize": 1200, "LogRetentionDays": 30}));
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let stack = aws.stack(properties(json!({})));
    let mut event = stack.create_event();
    let plan = aws.invoke(json!({"plan": event.clone()})).await.value().cloned().expect("a plan");
    aws.assert_no_change_since(0).await;

    stack.sign(Duration::from_secs(9));
    stack.create().await.expect_success();
    let foreign = resources(&aws.others_at_first());
    let ours = &resources(&aws.state().await) - &foreign;
    assert_eq!(plan["steps"].as_array().map(Vec::len), Some(ours.len()), "{plan:#}");

    // Another generation, taken back by a rollback, and taken away by the sweep.
    stack.sign(Duration::from_secs(6));
    stack.update(properties(json!({"InstanceTypes": "m6i", "MaxCpus": 100}))).await.expect_success();
    stack.sign(Duration::from_secs(3));
    stack.roll_back().await.expect_success();
    let report = aws.invoke(json!({"sweep": true})).await.value().cloned().expect("a report");
    assert_eq!(report["failed"], json!([]), "{report:#}");
    assert_eq!(&resources(&aws.state().await) - &foreign, ours, "{report:#}");

    event["RequestType"] = json!("Delete");
    event["PhysicalResourceId"] = json!("Lab1");
    let seq = aws.now().await;
    let plan = aws.invoke(json!({"plan": event})).await.value().cloned().expect("a plan");
    assert_eq!(plan["steps"].as_array().map(Vec::len), Some(ours.len()), "{plan:#}");
    aws.assert_no_change_since(seq).await;
    stack.sign(Duration::ZERO);
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
    assert_only_ours_was_called(&aws).await;
}

#[tokio::test]
async fn a_forge_lives_in_a_network_that_another_account_shares() {
    let (aws, shared) = inhabited().await;
    let stack = aws.stack(with(json!({"ForgeId": "Lab1", "VpcId": shared["vpc"], "Type": "EC2"})));
    stack.create().await.expect_success();
    let state = aws.state().await;
    let environment = state.first_environment("TowerForge-Lab1-work");
    assert_eq!(environment.compute_resources["subnets"], shared["subnets"]);
    assert_eq!(environment.compute_resources["securityGroupIds"], shared["security_groups"]);
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
    assert_only_ours_was_called(&aws).await;
}
