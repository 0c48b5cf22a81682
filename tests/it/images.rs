//! The images of instances: their root devices, and root volumes that are large enough.

use serde_json::{Value, json};

use crate::state::State;
use crate::test_account::TestAccount;

const UBUNTU: &str = "ami-0000000000000ab01";
const DRAGEN: &str = "ami-0000000000000ab02";

/// The least that a stack must say, and more.
fn with(more: Value) -> Value {
    let mut all = json!({"WorkDir": "s3://my-bucket/work", "MaxCpus": 100});
    all.as_object_mut().unwrap().extend(more.as_object().expect("properties are an object").clone());
    all
}

/// An account that may use two images whose root device is not that of Amazon Linux.
async fn account() -> TestAccount {
    let aws = TestAccount::new().await;
    let images = json!([
        {"id": UBUNTU, "root": "/dev/sda1", "size": 8},
        {"id": DRAGEN, "root": "/dev/sda2", "size": 60},
    ]);
    aws.seed(json!({ "image": images })).await;
    aws
}

/// The root volume of an environment's launch template: its device and its size.
fn root(state: &State, environment: &str) -> Value {
    let found = state.compute_environments.iter().find(|each| each.name.contains(environment));
    let template = &found.expect("there is such an environment").compute_resources["launchTemplate"];
    let named = |name: &str| template["launchTemplateName"] == name;
    let template = state.launch_templates.iter().find(|each| named(&each.name)).expect("its template exists");
    let mappings = template.data["BlockDeviceMappings"].as_array().unwrap();
    assert_eq!(mappings.len(), 1);
    json!([mappings[0]["DeviceName"], mappings[0]["Ebs"]["VolumeSize"]])
}

#[tokio::test]
async fn a_root_volume_that_is_smaller_than_its_image_is_refused_before_anything_is_created() {
    let aws = account().await;
    for (properties, says) in [
        (json!({"EbsBootSize": 29}), "EbsBootSize: given 29, allowed: an integer from 30 to 16384"),
        (
            json!({"ImageId": UBUNTU, "EbsBootSize": 8, "DragenEnabled": true, "DragenAmiId": DRAGEN}),
            "EbsBootSize: given 8, allowed: an integer from 60 to 16384, because the snapshot of ami-0000000000000ab02",
        ),
        (
            json!({"DragenEnabled": true, "DragenAmiId": DRAGEN}),
            "EbsBootSize: missing, and its default is 50",
        ),
        (
            json!({"ImageId": "ami-0000000000000ab09"}),
            "ImageId: given ami-0000000000000ab09, allowed: an image of this",
        ),
    ] {
        let stack = aws.stack(with(properties));
        let reason = stack.create().await.expect_failure().reason;
        assert!(reason.contains(says), "no {says:?} in {reason:?}");
        stack.roll_back().await.expect_success();
    }
    aws.assert_no_change_since(0).await;
}

#[tokio::test]
async fn the_root_volume_has_the_device_name_of_each_image() {
    let aws = account().await;
    let of = |mut more: Value| {
        more["EbsBootSize"] = json!(60);
        with(more)
    };
    let stack = aws.stack(of(json!({})));
    let id = stack.create().await.expect_success().physical_id;
    let work = format!("TowerForge-{id}-work");
    let root_of_work = async || {
        let state = aws.state().await;
        root(&state, &state.first_environment(&work).name)
    };
    assert_eq!(root_of_work().await, json!(["/dev/xvda", 60]));

    // Only the image changes: its template must not be the one of the other image.
    stack.update(of(json!({"ImageId": UBUNTU}))).await.expect_success();
    assert_eq!(root_of_work().await, json!(["/dev/sda1", 60]));

    let dragen = json!({"ImageId": UBUNTU, "DragenEnabled": true, "DragenAmiId": DRAGEN});
    stack.update(of(dragen)).await.expect_success();
    assert_eq!(root(&aws.state().await, "-dragen-"), json!(["/dev/sda2", 60]));
    assert_eq!(root_of_work().await, json!(["/dev/sda1", 60]));

    // The image has been deregistered meanwhile, which the generation that exists does not notice.
    aws.lose("image", UBUNTU).await;
    stack.roll_back().await.expect_success();
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}
