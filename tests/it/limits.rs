//! What the deployment allows its stacks to name.

use serde_json::{Value, json};

use crate::rights::{Rights, as_it_comes};
use crate::test_account::{Setting, TestAccount};

/// The least that a stack must say, and more.
fn with(more: &Value) -> Value {
    let mut all = json!({ "ForgeId": "Cafe1", "WorkDir": "s3://genomics-work/w", "MaxCpus": 100 });
    all.as_object_mut().unwrap().extend(more.as_object().expect("properties are an object").clone());
    all
}

/// A function for buckets of genomics that is deployed as it comes, with other parameters.
fn deployed(more: &[(&'static str, &str)]) -> Setting {
    let rights = Rights {
        allowed_buckets: vec!["arn:aws:s3:::genomics-*".to_owned()],
        role_tags: Vec::new(),
        ..Rights::default()
    };
    let mut environment = as_it_comes();
    environment.push(("TOWER_FORGE_ALLOWED_BUCKETS", rights.allowed_buckets.join(",")));
    environment.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    Setting { rights, environment, ..Setting::default() }
}

/// Another VPC with a group, and an image of somebody else.
async fn surroundings(aws: &TestAccount) -> Value {
    let vpc = aws.seed(json!({ "vpc": {} })).await["vpc"].clone();
    let image = json!({ "id": "ami-0000000000000ab01", "owner": "999999999999" });
    aws.seed(json!({ "image": image })).await;
    let group = aws.seed(json!({ "security_group": { "name": "database" } })).await;
    json!({ "vpc": vpc, "group": group["security_group"]["id"] })
}

/// Attempts to go beyond the limits of a deployment as it comes, each with the refusal.
pub(crate) async fn beyond() -> Vec<(String, String)> {
    let aws = TestAccount::with(deployed(&[])).await;
    let there = surroundings(&aws).await;
    let attempts = [
        (json!({ "WorkDir": "s3://payroll/w" }), "AllowedBuckets"),
        (json!({ "AllowBuckets": ["payroll"] }), "AllowedBuckets"),
        (json!({ "ReadBuckets": ["s3://payroll/2026"] }), "AllowedBuckets"),
        (json!({ "VpcId": there["vpc"]["id"] }), "AllowedVpcs"),
        (json!({ "Subnets": there["vpc"]["subnets"] }), "AllowedVpcs"),
        (json!({ "SecurityGroups": [there["group"]] }), "AllowedSecurityGroups"),
        (json!({ "ImageId": "ami-0000000000000ab01" }), "AllowedImageOwners"),
        (json!({ "Ec2KeyPair": "ada" }), "AllowedKeyPairs"),
        (json!({ "EbsKmsKeyId": "alias/theirs" }), "AllowedKeys"),
        (json!({ "EfsId": "fs-0123456789abcdef0", "EfsMount": "/mnt/efs" }), "AllowedFileSystems"),
        (json!({ "FsxName": "fs-01234567.fsx.eu-west-1.amazonaws.com" }), "AllowedFileSystems"),
        (json!({ "LogGroup": "/aws/lambda/payroll" }), "AllowedLogGroups"),
        (json!({ "EbsEncrypted": false }), "RequireEncryption"),
        (json!({ "MaxCpus": 10_001 }), "MaxVcpus"),
        (json!({ "EbsBootSize": 2001 }), "MaxVolumeSize"),
        (json!({ "FsxSize": 26_400 }), "MaxFsxSize"),
    ];
    let mut refused = Vec::new();
    let mut passed = Vec::new();
    for (more, parameter) in &attempts {
        let seq = aws.now().await;
        let stack = aws.stack(with(more));
        let answer = stack.create().await.answer.expect("an answer");
        if answer.succeeded || !answer.reason.contains(parameter) {
            passed.push(format!("{more}: {}", answer.reason));
            stack.roll_back().await;
            continue;
        }
        aws.assert_no_change_since(seq).await;
        let (property, value) = more.as_object().and_then(|more| more.iter().next()).expect("a property");
        let given = if property.starts_with("VpcId") { "another VPC".to_owned() } else { value.to_string() };
        let given = match property.as_str() {
            "Subnets" => "a subnet of another VPC".to_owned(),
            "SecurityGroups" => "the group of a database".to_owned(),
            "ImageId" => "an image of somebody else".to_owned(),
            _ => given,
        };
        refused.push((
            format!("`{property}`: {given}"),
            format!("the deployer has not allowed it with `{parameter}`"),
        ));
    }
    assert!(passed.is_empty(), "not refused for the deployment: {passed:#?}");
    refused
}

/// All that the properties tell, before AWS is asked anything about names that a stack may not use; then all that AWS tells.
#[tokio::test]
async fn all_that_goes_beyond_is_told_at_once() {
    let aws = TestAccount::with(deployed(&[])).await;
    let there = surroundings(&aws).await;
    let properties =
        json!({ "WorkDir": "s3://payroll/w", "Ec2KeyPair": "ada", "LogGroup": "/theirs", "NoSuch": 1 });
    let network = json!({ "SecurityGroups": [there["group"]], "ImageId": "ami-0000000000000ab01" });
    for (more, told) in [
        (properties, &["AllowedBuckets", "AllowedKeyPairs", "AllowedLogGroups", "NoSuch"][..]),
        (network, &["AllowedSecurityGroups", "AllowedImageOwners"]),
    ] {
        let seq = aws.now().await;
        let stack = aws.stack(with(&more));
        let reason = stack.create().await.expect_failure().reason;
        assert!(told.iter().all(|word| reason.contains(word)), "{reason}");
        aws.assert_no_change_since(seq).await;
        stack.roll_back().await.expect_success();
    }
    aws.assert_nothing_left().await;
}

/// The deployer allows less than before. What stands may be deleted, and a failed Update still finds its way back.
#[tokio::test]
async fn a_rollback_returns_to_what_was_allowed_once() {
    let aws = TestAccount::with(deployed(&[("TOWER_FORGE_ALLOWED_SECURITY_GROUPS", "*")])).await;
    let there = surroundings(&aws).await;
    let stack = aws.stack(with(&json!({ "SecurityGroups": [there["group"]] })));
    stack.create().await.expect_success();
    stack.update(with(&json!({ "MaxCpus": 200 }))).await.expect_success();

    let aws = aws.beside(deployed(&[("TOWER_FORGE_MAX_VCPUS", "150")])).await;
    let stack = aws.adopt(&stack);
    let reason = stack.update(with(&json!({ "MaxCpus": 201 }))).await.expect_failure().reason;
    assert!(reason.contains("MaxVcpus"), "{reason}");
    // To the state before, which has more vCPUs than are allowed now.
    stack.roll_back().await.expect_success();
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

/// The Update succeeds, the deployer allows less, and then something else in the stack fails.
#[tokio::test]
async fn a_rollback_returns_to_the_state_before_the_last_one() {
    let aws = TestAccount::with(deployed(&[])).await;
    let stack = aws.stack(with(&json!({ "MaxCpus": 200 })));
    stack.create().await.expect_success();
    stack.update(with(&json!({ "MaxCpus": 180 }))).await.expect_success();

    let aws = aws.beside(deployed(&[("TOWER_FORGE_MAX_VCPUS", "150")])).await;
    let stack = aws.adopt(&stack);
    let back = aws.invoke(json!({ "plan": stack.update_event(with(&json!({ "MaxCpus": 200 }))) })).await;
    assert!(back.value().expect("a plan").get("error").is_none(), "{back:?}");
    stack.roll_back().await.expect_success();
    // And no further: a state that never was is refused.
    let reason = stack.update(with(&json!({ "MaxCpus": 190 }))).await.expect_failure().reason;
    assert!(reason.contains("MaxVcpus"), "{reason}");
    stack.roll_back().await.expect_success();
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

/// To IAM the tags of a role are those of whoever has the role.
#[tokio::test]
async fn a_stack_tags_no_role_into_the_policies_of_others() {
    let tags = json!({ "Tags": { "team": "payroll", "CostCenter": "42" } });
    let mut setting = deployed(&[("TOWER_FORGE_ROLE_TAGS", "CostCenter")]);
    setting.rights.role_tags = vec!["CostCenter".to_owned()];
    let aws = TestAccount::with(setting).await;
    let stack = aws.stack(with(&tags));
    stack.create().await.expect_success();
    let state = aws.state().await;
    for role in &state.roles {
        assert_eq!((role.tags.get("team"), role.tags["CostCenter"].as_str()), (None, "42"), "{}", role.name);
    }
    let queue = &state.job_queues.iter().find(|queue| queue.name.starts_with("TowerForge-Cafe1")).unwrap();
    assert_eq!(queue.tags["team"], "payroll");
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn the_number_of_forges_has_a_limit() {
    // One more than this account has already.
    let aws = TestAccount::with(deployed(&[("TOWER_FORGE_MAX_FORGES", "2")])).await;
    // A forge of another deployment, whose prefix begins like ours.
    let tags = json!({ "towerforge:forge-id": "Lab1", "towerforge:stack-id": "theirs", "towerforge:logical-id": "Lab" });
    let environment =
        json!({ "name": "TowerForgeLab-Lab1-work-0123abcd", "tags": tags, "state": "DISABLED" });
    aws.seed(json!({ "environment": environment })).await;
    let first = aws.stack(with(&json!({})));
    first.create().await.expect_success();
    let second = aws.stack(with(&json!({ "ForgeId": "Cafe2" })));
    let seq = aws.now().await;
    let foretold = aws.invoke(json!({ "plan": second.create_event() })).await;
    let foretold = foretold.value().expect("a plan")["error"].to_string();
    assert!(foretold.contains("MaxForges"), "{foretold}");
    let reason = second.create().await.expect_failure().reason;
    assert!(reason.contains("MaxForges"), "{reason}");
    aws.assert_no_change_since(seq).await;
    second.roll_back().await.expect_success();
    // The first one is not in its own way, and neither is one that it replaces and deletes.
    first.update(with(&json!({ "MaxCpus": 101 }))).await.expect_success();
    first.update(with(&json!({ "ForgeId": "Cafe3", "DisposeOnDeletion": false }))).await.expect_success();
    first.clean_up().await.expect_success();
    // But one that stays is.
    let reason = first.update(with(&json!({ "ForgeId": "Cafe4" }))).await.expect_failure().reason;
    assert!(reason.contains("MaxForges"), "{reason}");
    first.roll_back().await.expect_success();
    first.update(with(&json!({ "ForgeId": "Cafe3" }))).await.expect_success();
    first.delete().await.expect_success();
    second.create().await.expect_success();
    second.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

/// IAM does not tell names of roles apart by their case.
#[tokio::test]
async fn a_forge_whose_id_differs_only_in_case_is_refused() {
    let aws = TestAccount::with(deployed(&[])).await;
    let first = aws.stack(with(&json!({})));
    first.create().await.expect_success();
    let before = aws.state().await;
    let second = aws.stack(with(&json!({ "ForgeId": "cafe1" })));
    let reason = second.create().await.expect_failure().reason;
    assert!(reason.contains("cafe1") || reason.contains("Cafe1"), "{reason}");
    second.roll_back().await.expect_success();
    assert_eq!(aws.state().await, before);
    first.delete().await.expect_success();
    aws.assert_nothing_left().await;
}
