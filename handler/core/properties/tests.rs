//! Accepted and refused properties, by example and by property test.

#![allow(
    clippy::needless_raw_string_hashes,
    clippy::needless_pass_by_value,
    reason = "expect-test writes `expect![]` in place"
)]

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::event::AccountScope;

use super::{AllocStrategy, Allowed, Fault, FsxDeploymentType, Identity, Limits, Properties, Provisioning};
use super::{dispose_on_deletion, forge_id, identity, parse, table};

mod allowed;
mod refusals;
mod rules;

/// A function that allows a little of everything.
fn limits() -> Limits {
    Limits {
        region: "eu-west-1".into(),
        account: AccountScope { partition: "aws".into(), account: "123456789012".into() },
        name_prefix: "TowerForge".into(),
        allowed: Allowed {
            boundaries: vec!["arn:aws:iam::123456789012:policy/boundary".into()],
            policies: vec!["arn:aws:iam::aws:policy/AmazonEC2ContainerRegistry*".into()],
            roles: vec!["arn:aws:iam::123456789012:role/pipelines/*".into()],
            ..Allowed::everything()
        },
        efs: true,
        fsx: true,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

/// The least that a stack must say, and more.
fn with(more: Value) -> Map<String, Value> {
    let mut all = object(json!({ "ServiceToken": "arn", "WorkDir": "s3://bucket/work", "MaxCpus": "500" }));
    all.extend(object(more));
    all
}

fn parsed(more: Value) -> Properties {
    parse(&with(more), &limits()).unwrap_or_else(|faults| panic!("{}", lines(&faults)))
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().flat_map(|fault| [fault.to_string(), "\n".to_owned()]).collect()
}

/// All faults of properties under some limits.
fn faults(raw: &Map<String, Value>, limits: &Limits) -> Vec<Fault> {
    parse(raw, limits).map_or_else(|faults| faults, |properties| limits.beyond(&properties))
}

/// The faults of the least that a stack must say, and more.
#[track_caller]
fn refused(more: Value, expected: Expect) {
    let faults = faults(&with(more), &limits());
    assert!(!faults.is_empty(), "it should be refused");
    expected.assert_eq(&lines(&faults));
}

#[test]
fn the_least_that_a_stack_must_say_is_enough() {
    let properties = parsed(json!({}));
    expect!["s3://bucket/work"].assert_eq(&properties.work_dir.to_string());
    assert_eq!(properties.max_cpus, 500);
    assert_eq!(properties.instance_types(), ["optimal"]);
    assert_eq!(properties.bid_percentage(), Some(100));
    assert_eq!(properties.alloc_strategy().as_str(), "SPOT_PRICE_CAPACITY_OPTIMIZED");
    assert_eq!(
        (properties.ebs_boot_size(), properties.ebs_throughput(), properties.ebs_iops()),
        (50, 125, 3000)
    );
    assert_eq!(properties.cli_path(), Some("/home/ec2-user/miniconda/bin/aws"));
    assert_eq!(properties.buckets().into_iter().collect::<Vec<_>>(), ["bucket"]);
    assert_eq!((properties.efs_mount(), properties.fsx_mount()), (None, None));
    assert!(properties.has_head_environment() && !properties.needs_fleet_role());
    assert!(properties.dispose_on_deletion && properties.ebs_encrypted);
}

#[test]
fn defaults_follow_other_properties() {
    let fusion = json!({ "Fusion2Enabled": true, "WaveEnabled": true });
    let properties = parsed(fusion.clone());
    assert_eq!((properties.ebs_boot_size(), properties.ebs_throughput()), (100, 325));
    assert_eq!(properties.cli_path(), None);

    let mut nvme = fusion;
    nvme["NvmeStorageEnabled"] = json!("true");
    let properties = parsed(nvme);
    assert_eq!((properties.ebs_boot_size(), properties.ebs_throughput()), (50, 125));
    assert!(properties.instance_types().contains(&"c6id".to_owned()));

    let properties = parsed(json!({ "Type": "EC2" }));
    assert_eq!(properties.alloc_strategy().as_str(), "BEST_FIT_PROGRESSIVE");
    assert_eq!(properties.bid_percentage(), None);
    assert!(!properties.has_head_environment());
    assert!(parsed(json!({ "AllocStrategy": "BEST_FIT" })).needs_fleet_role());

    let properties = parsed(json!({ "FsxSize": 2400, "FsxDeploymentType": "PERSISTENT_2" }));
    assert_eq!((properties.fsx_mount(), properties.fsx_throughput()), (Some("/mnt/fsx"), Some(125)));
    assert_eq!(parsed(json!({ "FsxSize": 1200 })).fsx_throughput(), None);
    assert_eq!(parsed(json!({ "DragenEnabled": true })).dragen_instance_type(), Some("f2.6xlarge"));
}

#[test]
fn graviton_comes_with_a_fargate_head() {
    let said = json!({
        "Arm64Enabled": "true", "FargateHeadEnabled": "true", "WaveEnabled": "true", "Fusion2Enabled": "true",
    });
    let properties = parsed(said.clone());
    assert_eq!(identity(&object(said)), Some(properties.identity()));
    assert_eq!(properties.instance_types(), ["c6g", "m6g", "r6g"]);
    assert_eq!(properties.identity(), Identity { arm64: true, fargate_head: true, scheduling_policy: false });
}

#[test]
fn what_means_the_same_is_equal() {
    let spellings = [
        (json!({ "MinCpus": 10 }), json!({ "MinCpus": " 10 " })),
        (json!({ "EbsEncrypted": true }), json!({ "EbsEncrypted": "True" })),
        (
            json!({ "Subnets": ["subnet-0123456b", "subnet-0123456a"] }),
            json!({ "Subnets": "subnet-0123456a,subnet-0123456b" }),
        ),
        (json!({ "InstanceTypes": ["m5", "c5", "m5"] }), json!({ "InstanceTypes": "c5, m5" })),
        (
            json!({ "AllowBuckets": ["s3://two/path", "one-bucket"] }),
            json!({ "AllowBuckets": "one-bucket,two" }),
        ),
        (
            json!({ "Tags": { "Owner": "me", "Cost": 7 } }),
            json!({ "Tags": [{ "Key": "Cost", "Value": "7" }, { "Key": "Owner", "Value": "me" }] }),
        ),
        (json!({ "WorkDir": "s3://bucket/work/" }), json!({ "WorkDir": "s3://bucket/work" })),
        (json!({ "ForgeId": "", "Nonce": null, "Subnets": [], "Tags": {} }), json!({})),
        (json!({ "Environment": { "A": "1" } }), json!({ "Environment": [{ "Name": "A", "Value": "1" }] })),
        (json!({ "EcsConfig": "ECS_A=1\n# why\n\nECS_B=2" }), json!({ "EcsConfig": ["ECS_A=1", "ECS_B=2"] })),
        (json!({ "EbsAutoScale": "false", "FusionEnabled": false, "LustreId": "" }), json!({})),
        (json!({ "Region": "eu-west-1", "ServiceTimeout": "1800" }), json!({})),
    ];
    for (one, other) in spellings {
        assert_eq!(parsed(one.clone()), parsed(other), "{one}");
    }
}

#[test]
fn a_file_system_can_hold_the_work() {
    let properties = parsed(json!({ "WorkDir": "/mnt/efs/work/", "EfsCreate": "true" }));
    assert_eq!(properties.work_dir.to_string(), "/mnt/efs/work");
    assert!(properties.buckets().is_empty());
    parsed(json!({ "WorkDir": "/data", "EfsId": "fs-01234567", "EfsMount": "/data" }));
    parsed(json!({ "WorkDir": "/mnt/fsx", "FsxName": "fs-0123456789abcdef0.fsx.eu-west-1.amazonaws.com" }));
}

#[test]
fn roles_and_policies_may_be_those_that_the_deployment_allows() {
    let properties = parsed(json!({
        "ExecutionRole": "arn:aws:iam::123456789012:role/pipelines/exec",
        "PermissionsBoundary": "arn:aws:iam::123456789012:policy/boundary",
        "InstanceRolePolicies": "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly",
        "InstanceRoleStatements": [{ "Effect": "Allow", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::a/*"] }],
        "SchedulingPolicyArn": "arn:aws:batch:eu-west-1:123456789012:scheduling-policy/fair",
        "EbsKmsKeyId": "arn:aws:kms:eu-west-1:123456789012:key/12345678-1234-1234-1234-123456789abc",
    }));
    assert_eq!(properties.instance_role_policies.len(), 1);
    assert_eq!(properties.instance_role_statements.len(), 1);
    assert!(properties.identity().scheduling_policy);
}

#[test]
fn the_tag_of_an_identity_can_be_read_again() {
    for bits in 0..8 {
        let is = |bit: u8| bits & bit != 0;
        let identity = Identity { arm64: is(1), fargate_head: is(2), scheduling_policy: is(4) };
        assert_eq!(Identity::from_tag(&identity.tag()), Some(identity));
    }
    assert_eq!(Identity::default().tag(), "plain");
    assert_eq!(Identity::from_tag("arm64 of-a-later-release"), None);
}

#[test]
fn the_defaults_of_the_identity_are_frozen() {
    let frozen = Identity { arm64: false, fargate_head: false, scheduling_policy: false };
    assert_eq!(identity(&Map::new()), Some(frozen));
    for same in [
        json!({ "Arm64Enabled": "False" }),
        json!({ "FargateHeadEnabled": "" }),
        json!({ "SchedulingPolicyArn": null }),
    ] {
        assert_eq!(identity(&object(same)), Some(frozen));
    }
    assert_eq!(identity(&object(json!({ "Arm64Enabled": "perhaps" }))), None);
    assert_eq!(identity(&object(json!({ "SchedulingPolicyArn": ["a"] }))), None);
    let said = json!({ "Arm64Enabled": "TRUE", "FargateHeadEnabled": true, "SchedulingPolicyArn": "any" });
    let all = Identity { arm64: true, fargate_head: true, scheduling_policy: true };
    assert_eq!(identity(&object(said)), Some(all));
}

#[test]
fn delete_reads_what_it_needs_of_faulty_properties() {
    let faulty = object(json!({ "MaxCpus": "abc", "ForgeId": "abc", "DisposeOnDeletion": "False" }));
    assert_eq!(forge_id(&faulty).as_deref(), Some("abc"));
    assert_eq!(dispose_on_deletion(&faulty), Ok(false));
    assert_eq!(forge_id(&object(json!({ "ForgeId": "not-one" }))), None);
    assert_eq!(dispose_on_deletion(&Map::new()), Ok(true));
    let fault = dispose_on_deletion(&object(json!({ "DisposeOnDeletion": "perhaps" }))).unwrap_err();
    expect![[r#"DisposeOnDeletion: given "perhaps", allowed: true or false"#]].assert_eq(&fault.to_string());
}

#[test]
fn everything_in_the_table_is_read() {
    for row in table::all().filter(|row| row.name != "ServiceToken") {
        let faults = parse(&with(json!({ row.name: { "no": ["such"] } })), &limits()).expect_err(row.name);
        assert!(faults.iter().any(|fault| fault.property.starts_with(row.name)), "{}", lines(&faults));
    }
}

#[test]
fn the_table_has_the_names_that_are_read() {
    fn names<T>(all: &[(&'static str, T)]) -> Vec<&'static str> {
        all.iter().map(|(name, _)| *name).collect()
    }
    let read = [
        ("Type", names(Provisioning::ALL)),
        ("AllocStrategy", names(AllocStrategy::ALL)),
        ("FsxDeploymentType", names(FsxDeploymentType::ALL)),
    ];
    for (property, names) in read {
        let kind = table::find(property).expect("a row").kind;
        assert!(matches!(kind, table::Kind::OneOf(all) if all == names), "{property}: {kind:?}");
    }
}

/// Any JSON, four levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "(s3://|arn:aws:iam::|/|fs-|c5|m6gd?)[a-z0-9:./*-]{0,30}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,8}|Key|Name|Value|Effect", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn any_name() -> impl Strategy<Value = String> {
    let names: Vec<String> = table::all()
        .map(|row| row.name.to_owned())
        .chain(table::RETIRED.iter().map(|row| row.name.to_owned()))
        .collect();
    prop_oneof![9 => prop::sample::select(names), 1 => ".{0,20}"]
}

proptest! {
    #[test]
    fn any_properties_get_an_answer(pairs in prop::collection::vec((any_name(), any_json()), 0..12)) {
        let raw: Map<String, Value> = pairs.into_iter().collect();
        let (_, _, _) = (identity(&raw), forge_id(&raw), dispose_on_deletion(&raw));
        if let Err(faults) = parse(&raw, &limits()) {
            prop_assert!(!faults.is_empty());
            for fault in faults {
                let line = fault.to_string();
                prop_assert!(!line.contains(char::is_control), "{}", line);
            }
        }
    }

    #[test]
    fn order_and_spelling_mean_nothing(
        max in 1..100_000_i32,
        types in prop::collection::vec("[cmr][5-7](\\.large)?", 1..6).prop_shuffle(),
        tags in prop::collection::btree_map("[a-z]{1,8}", "[a-z0-9 ]{0,8}", 1..6),
    ) {
        let mut backwards = types.clone();
        backwards.reverse();
        let list: Vec<_> = tags.iter().rev().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        let trimmed: Map<String, Value> = tags.iter().map(|(k, v)| (k.clone(), json!(v.trim()))).collect();
        let one = parsed(json!({ "MaxCpus": max, "InstanceTypes": types, "Tags": trimmed }));
        let other = parsed(json!({ "MaxCpus": max.to_string(), "InstanceTypes": backwards.join(","), "Tags": list }));
        prop_assert_eq!(one, other);
    }
}
