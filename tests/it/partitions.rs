//! The partitions of AWS besides the usual one: other ARNs, and in China another name of EC2 in trust policies.

use serde_json::json;

use crate::test_account::{Setting, TestAccount};

#[tokio::test]
async fn a_forge_lives_in_every_partition() {
    for (region, partition) in [("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")] {
        let aws = TestAccount::with(Setting { region, ..Setting::default() }).await;
        let properties = |types: &str| {
            json!({
                "WorkDir": "s3://my-bucket/work", "MaxCpus": 100, "InstanceTypes": types, "EfsCreate": true,
                "PipelineSecrets": true, "EbsKmsKeyId": "alias/lab",
            })
        };
        let stack = aws.stack(properties("m5"));
        let made = stack.create().await.expect_success();
        let (_, environment) = aws.cloud.start_job(made.attribute("ComputeQueue")).await;
        assert!(environment.contains("-work-"), "{region}: instances cannot take their role");
        let text = aws.cloud.snapshot().await.to_string();
        assert!(text.contains(&format!("arn:{partition}:iam")), "{text}");
        assert!(!text.contains("arn:aws:"), "{region}: {text}");
        stack.update(properties("c5")).await.expect_success();
        stack.roll_back().await.expect_success();
        stack.delete().await.expect_success();
        aws.assert_nothing_left().await;
    }
}
