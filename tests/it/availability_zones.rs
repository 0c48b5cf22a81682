//! Subnets in Local and Wavelength Zones, where Fargate and file systems are not, and the limits of Fargate.

use serde_json::{Value, json};

use crate::test_account::TestAccount;

const LOCAL: &str = "eu-west-1-lab-1a";
const WAVELENGTH: &str = "eu-west-1-wl1-lab-wlz-1";

/// The least that a stack must say, and more.
fn with(vpc: &Value, more: Value) -> Value {
    let mut all = json!({"WorkDir": "s3://my-bucket/work", "MaxCpus": 100, "VpcId": vpc["id"]});
    all.as_object_mut().unwrap().extend(more.as_object().expect("properties are an object").clone());
    all
}

fn fargate(more: Value) -> Value {
    let mut all = json!({"FargateHeadEnabled": true, "WaveEnabled": true, "Fusion2Enabled": true});
    all.as_object_mut().unwrap().extend(more.as_object().expect("properties are an object").clone());
    all
}

#[tokio::test]
async fn file_systems_are_created_in_availability_zones() {
    let aws = TestAccount::new().await;
    let vpc = aws.seed(json!({"vpc": {"zones": [LOCAL, WAVELENGTH, "eu-west-1a", "eu-west-1b"]}})).await;
    let vpc = &vpc["vpc"];
    let stack = aws.stack(with(vpc, json!({"EfsCreate": true, "FsxSize": 1200})));
    let id = stack.create().await.expect_success().physical_id;
    let state = aws.state().await;
    let regional = |subnet: &Value| vpc["subnets"].as_array().unwrap()[2..].contains(subnet);
    assert_eq!(state.efs[0].more["mount_targets"].as_array().unwrap().len(), 2);
    assert!(regional(&state.fsx[0].more["subnets"][0]));
    let work = &state.first_environment(&format!("TowerForge-{id}-work")).compute_resources["subnets"];
    assert!(
        work.as_array().unwrap().iter().all(regional),
        "instances could not mount the file system: {work}"
    );
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_named_subnet_where_a_service_is_not_available_is_refused() {
    let aws = TestAccount::new().await;
    let vpc = aws.seed(json!({"vpc": {"zones": [LOCAL, WAVELENGTH, "eu-west-1a"]}})).await;
    let vpc = &vpc["vpc"];
    let subnets = vpc["subnets"].as_array().unwrap().clone();
    for (more, says) in [
        (json!({"Subnets": subnets, "EfsCreate": true}), "because EFS is not available there"),
        (fargate(json!({"Subnets": subnets})), "in eu-west-1-lab-1a, allowed: subnets in Availability Zones"),
        (json!({"Subnets": subnets[..2], "FsxSize": 1200}), "FsxSubnet: missing, and no subnet of Subnets"),
        (json!({"FsxSize": 1200, "FsxSubnet": subnets[1]}), "because FSx is not available there"),
    ] {
        let stack = aws.stack(with(vpc, more));
        let reason = stack.create().await.expect_failure().reason;
        assert!(reason.contains(says), "no {says:?} in {reason:?}");
        stack.roll_back().await.expect_success();
    }
    aws.assert_no_change_since(0).await;

    // Instances are there, and a Lustre file system can be elsewhere in the VPC.
    let stack =
        aws.stack(with(vpc, json!({"Subnets": subnets[..2], "FsxSize": 1200, "FsxSubnet": subnets[2]})));
    let id = stack.create().await.expect_success().physical_id;
    let state = aws.state().await;
    assert_eq!(state.fsx[0].more["subnets"], json!([subnets[2]]));
    let work = &state.first_environment(&format!("TowerForge-{id}-work")).compute_resources["subnets"];
    assert_eq!(work.as_array().unwrap().len(), 2);
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn fargate_gets_as_many_subnets_as_it_takes() {
    let aws = TestAccount::new().await;
    let vpc = aws.seed(json!({"vpc": {"zones": vec!["eu-west-1a"; 18]}})).await;
    let vpc = &vpc["vpc"];
    let named = fargate(json!({"Subnets": vpc["subnets"]}));
    let stack = aws.stack(with(vpc, named));
    let reason = stack.create().await.expect_failure().reason;
    assert!(reason.contains("allowed: up to 16 subnets with FargateHeadEnabled"), "{reason}");
    stack.roll_back().await.expect_success();

    let stack = aws.stack(with(vpc, fargate(json!({}))));
    let id = stack.create().await.expect_success().physical_id;
    let state = aws.state().await;
    let subnets = |pool: &str| {
        let environment = state.first_environment(&format!("TowerForge-{id}-{pool}"));
        environment.compute_resources["subnets"].as_array().unwrap().len()
    };
    assert_eq!((subnets("work"), subnets("head")), (18, 16));
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn the_default_vpc_is_found_where_its_default_subnets_were_deleted() {
    let aws = TestAccount::new().await;
    aws.seed(json!({"vpc": {"zones": ["eu-west-1a"]}})).await;
    let own = aws.seed(json!({"own_subnets": {"zones": ["eu-west-1a", "eu-west-1b"]}})).await;
    let stack = aws.stack(json!({"WorkDir": "s3://my-bucket/work", "MaxCpus": 100}));
    let id = stack.create().await.expect_success().physical_id;
    let state = aws.state().await;
    let work = &state.first_environment(&format!("TowerForge-{id}-work")).compute_resources["subnets"];
    let is_own = |subnet: &Value| own["own_subnets"]["ids"].as_array().unwrap().contains(subnet);
    assert!(work.as_array().unwrap().len() == 2 && work.as_array().unwrap().iter().all(is_own), "{work}");
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}
