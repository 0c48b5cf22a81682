//! What goes beyond the limits of a deployment.

use super::*;
use crate::image::Image;
use crate::network::Network;

/// A deployment as it comes, for buckets of genomics.
fn deployment() -> Allowed {
    let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    Allowed {
        buckets: texts(&["arn:aws:s3:::genomics-*", "arn:aws:s3:::shared/hg38/*"]),
        vpcs: texts(&["default"]),
        security_groups: texts(&["default", "stack"]),
        image_owners: texts(&["amazon", "self"]),
        max_vcpus: 1000,
        max_volume_size: 500,
        max_fsx_size: 2400,
        max_forges: 20,
        ..Allowed::default()
    }
}

fn beyond(allowed: Allowed, more: Value) -> String {
    let limits = Limits { allowed, ..limits() };
    let mut raw = with(json!({ "WorkDir": "s3://genomics-work/w" }));
    raw.extend(object(more));
    lines(&limits.beyond(&parse(&raw, &limits).unwrap()))
}

/// Each property with a value, the parameter that allows it, and a list that does.
const NAMED: &[(&str, &str, &str, &str)] = &[
    ("Ec2KeyPair", "ada", "AllowedKeyPairs", "a*"),
    ("EbsKmsKeyId", "alias/lab", "AllowedKeys", "arn:aws:kms:eu-west-1:123456789012:alias/lab"),
    (
        "EbsKmsKeyId",
        "1b2c3d4e-0000-4000-8000-000000000000",
        "AllowedKeys",
        "arn:aws:kms:*:123456789012:key/1b2c3d4e-0000-4000-8000-000000000000",
    ),
    ("EfsId", "fs-0123456789abcdef0", "AllowedFileSystems", "fs-0123456789abcdef0"),
    ("FsxName", "fs-01234567.fsx.eu-west-1.amazonaws.com", "AllowedFileSystems", "fs-01234567"),
    (
        "FsxName",
        "fs-01234567.fsx.eu-west-1.amazonaws.com",
        "AllowedFileSystems",
        "*.fsx.eu-west-1.amazonaws.com",
    ),
    ("LogGroup", "/aws/lambda/payroll", "AllowedLogGroups", "arn:aws:logs:*:*:log-group:/aws/lambda/pay*"),
    ("HeadJobRole", "arn:aws:iam::123456789012:role/x", "AllowedRoles", "arn:aws:iam::123456789012:role/x"),
    ("PermissionsBoundary", "arn:aws:iam::aws:policy/X", "AllowedBoundaries", "arn:aws:iam::aws:policy/*"),
    ("InstanceRolePolicies", "arn:aws:iam::aws:policy/X", "AllowedPolicies", "*"),
];

fn list<'a>(allowed: &'a mut Allowed, parameter: &str) -> &'a mut Vec<String> {
    match parameter {
        "AllowedKeyPairs" => &mut allowed.key_pairs,
        "AllowedKeys" => &mut allowed.keys,
        "AllowedFileSystems" => &mut allowed.file_systems,
        "AllowedLogGroups" => &mut allowed.log_groups,
        "AllowedRoles" => &mut allowed.roles,
        "AllowedBoundaries" => &mut allowed.boundaries,
        "AllowedPolicies" => &mut allowed.policies,
        other => panic!("{other}"),
    }
}

#[test]
fn nothing_is_named_that_the_deployer_has_not() {
    assert_eq!(beyond(deployment(), json!({})), "");
    for (property, given, parameter, entry) in NAMED {
        let mut more = json!({ *property: given });
        if *property == "EfsId" {
            more["EfsMount"] = json!("/mnt/efs");
        }
        let said = beyond(deployment(), more.clone());
        assert!(
            said.starts_with(&format!("{property}: given \"{given}\", allowed: none in this deployment; "))
                && said.contains(&format!("with the template parameter {parameter}")),
            "{said}"
        );
        for (entry, passes) in [(*entry, true), ("*", true), ("other", false)] {
            let mut allowed = deployment();
            list(&mut allowed, parameter).push(entry.to_owned());
            assert_eq!(beyond(allowed, more.clone()).is_empty(), passes, "{property} {given} by {entry}");
        }
    }
    assert_eq!(beyond(deployment(), json!({ "LogGroup": "/aws/batch/job" })), "", "it is Batch's own");
}

/// Jobs write to streams, and to IAM the ARN of a group alone is not theirs.
#[test]
fn the_refusal_of_a_log_group_tells_the_pattern_that_allows_it() {
    let more = json!({ "LogGroup": "/lab/jobs" });
    let pattern = "arn:aws:logs:eu-west-1:123456789012:log-group:/lab/jobs";
    let mut allowed = deployment();
    allowed.log_groups = vec![pattern.to_owned()];
    let said = beyond(allowed.clone(), more.clone());
    assert!(
        said.ends_with(&format!("parameter AllowedLogGroups, as {pattern}:*, with its streams\n")),
        "{said}"
    );
    allowed.log_groups = vec![format!("{pattern}:*")];
    assert_eq!(beyond(allowed, more), "");
}

#[test]
fn buckets_are_those_of_the_deployment() {
    for (more, faults) in [
        (json!({ "WorkDir": "s3://payroll/w" }), 1),
        (json!({ "AllowBuckets": ["genomics-in", "payroll"] }), 1),
        (json!({ "AllowBuckets": ["shared"] }), 0),
        (json!({ "ReadBuckets": ["s3://genomics-in/a", "s3://payroll/b", "ngi-igenomes"] }), 1),
        (json!({ "ReadBuckets": ["*"] }), 1),
        (json!({ "WorkDir": "s3://payroll/w", "AllowBuckets": ["payroll", "xgenomics-a"] }), 3),
    ] {
        let said = beyond(deployment(), more.clone());
        assert_eq!(said.lines().count(), faults, "{more}: {said}");
        assert!(said.lines().all(|line| line.ends_with("template parameter AllowedBuckets")), "{said}");
    }
}

#[test]
fn sizes_have_their_caps() {
    let more = json!({
        "MaxCpus": 1001, "MinCpus": 1001, "HeadMaxCpus": 1001, "EbsBootSize": 501, "FsxSize": 4800,
        "EbsEncrypted": false,
    });
    expect![[r#"
        MaxCpus: given 1001, allowed: up to 1000 in this deployment; the deployer of the function can allow it with the template parameter MaxVcpus
        MinCpus: given 1001, allowed: up to 1000 in this deployment; the deployer of the function can allow it with the template parameter MaxVcpus
        HeadMaxCpus: given 1001, allowed: up to 1000 in this deployment; the deployer of the function can allow it with the template parameter MaxVcpus
        EbsBootSize: given 501, allowed: up to 500 in this deployment; the deployer of the function can allow it with the template parameter MaxVolumeSize
        FsxSize: given 4800, allowed: up to 2400 in this deployment; the deployer of the function can allow it with the template parameter MaxFsxSize
        EbsEncrypted: given false, allowed: true in this deployment; the deployer of the function can allow it with the template parameter RequireEncryption
    "#]].assert_eq(&beyond(deployment(), more));
    let most =
        json!({ "MaxCpus": 1000, "MinCpus": 1000, "HeadMaxCpus": 1000, "EbsBootSize": 500, "FsxSize": 2400 });
    assert_eq!(beyond(deployment(), most), "");
    let limits = Limits { allowed: deployment(), ..limits() };
    let missing = lines(&parse(&object(json!({ "WorkDir": "s3://payroll/w" })), &limits).unwrap_err());
    assert_eq!(missing.matches("MaxCpus").count(), 1, "a missing number is not too large: {missing}");
    assert!(missing.contains("AllowedBuckets"), "all faults at once: {missing}");
}

#[test]
fn a_forge_is_where_the_deployer_says() {
    let image = |owner: &str, alias: Option<&str>| Image {
        id: "ami-01234567".to_owned(),
        root_device: "/dev/xvda".to_owned(),
        root_gib: 30,
        owner: owner.to_owned(),
        owner_alias: alias.map(str::to_owned),
    };
    let network = |is_default_vpc: bool, group: &str, image: Option<Image>| Network {
        vpc: "vpc-01234567".to_owned(),
        is_default_vpc,
        default_group: Some("sg-0000000d".to_owned()),
        security_groups: vec![group.to_owned()],
        images: image.into_iter().collect(),
        ..Network::default()
    };
    let named = parsed(json!({ "VpcId": "vpc-01234567", "ImageId": "ami-01234567" }));
    let faults = |allowed: &Allowed, network: &Network| {
        lines(&allowed.network_faults(&named, network, &limits().account, "arn:stack/ours"))
    };
    let own = image("123456789012", None);
    for image in [None, Some(own), Some(image("591542846629", Some("amazon")))] {
        assert_eq!(faults(&deployment(), &network(true, "sg-0000000d", image)), "");
    }
    for (stack, passes) in [("arn:stack/ours", true), ("arn:stack/theirs", false)] {
        let mut made = network(true, "sg-01234567", None);
        made.group_stacks.insert("sg-01234567".to_owned(), stack.to_owned());
        assert_eq!(faults(&deployment(), &made).is_empty(), passes, "{stack}");
    }
    let elsewhere = network(false, "sg-01234567", Some(image("999999999999", None)));
    expect![[r#"
        VpcId: given "vpc-01234567", allowed: default; the deployer of the function can allow it with the template parameter AllowedVpcs
        SecurityGroups: given "sg-01234567", allowed: default or stack; the deployer of the function can allow it with the template parameter AllowedSecurityGroups
        ImageId: given "ami-01234567 of 999999999999", allowed: images of amazon or self; the deployer of the function can allow it with the template parameter AllowedImageOwners
    "#]].assert_eq(&faults(&deployment(), &elsewhere));
    let mut allowed = deployment();
    allowed.vpcs = vec!["vpc-01234567".to_owned()];
    allowed.security_groups.push("sg-01234567".to_owned());
    allowed.image_owners.push("999999999999".to_owned());
    assert_eq!(faults(&allowed, &elsewhere), "");
    // IAM does not know the default VPC, so beside others it has to be named like them.
    allowed.vpcs = vec!["default".to_owned(), "vpc-89abcdef".to_owned()];
    assert!(faults(&allowed, &network(true, "sg-0000000d", None)).starts_with("VpcId"));
    assert_eq!(faults(&Allowed::everything(), &elsewhere), "");
}
