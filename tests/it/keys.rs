//! Keys of the customer that encrypt the volumes of instances although no property names them.

use serde_json::json;

use crate::test_account::TestAccount;
use crate::update::with;

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1b2c3d4e-0000-4000-8000-000000000000";

/// Without rights to the key no instance starts: jobs stay RUNNABLE, and AWS does not say why.
#[tokio::test]
async fn an_account_may_encrypt_volumes_with_its_own_key_by_default() {
    for (asks, by_default, needs) in [(true, false, true), (false, true, true), (false, false, false)] {
        let aws = TestAccount::new().await;
        let default = json!({ "key": KEY, "encrypts": by_default });
        aws.cloud.seed(json!({ "region": "eu-west-1", "ebs_default": default })).await;
        let stack = aws.stack(with(json!({ "EbsEncrypted": asks })));
        let made = stack.create().await.expect_success();
        let role = format!("TowerForge-{}-ServiceRole", made.physical_id);
        let state = aws.state().await;
        let policy = state.role(&role).inline.get("kms-policy").map(ToString::to_string);
        assert_eq!(policy.is_some_and(|policy| policy.contains(KEY)), needs, "{asks} {by_default}");
        aws.cloud.start_job(made.attribute("ComputeQueue")).await;
        stack.delete().await.expect_success();
        aws.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn another_default_key_is_learnt_by_any_update() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(with(json!({})));
    let made = stack.create().await.expect_success();
    let default = json!({ "key": KEY });
    aws.cloud.seed(json!({ "region": "eu-west-1", "ebs_default": default })).await;
    stack.update(with(json!({ "Nonce": "1" }))).await.expect_success();
    aws.cloud.start_job(made.attribute("ComputeQueue")).await;
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}
