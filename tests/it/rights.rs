//! The rights that the function is shipped with, in force in every test.
//!
//! `policies/forge-policy.json` and `policies/boundary.json` are filled in as `template.yaml` does it. A call that
//! they do not allow fails as on AWS, and with it the test that made it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tower_forge_core::event::dns_suffix;
use tower_forge_core::policy::{Values, fill};

use crate::test_account::{CLAIM_TABLE, Setting, TestAccount};

/// The decisions of the deployer of a test account's function.
#[derive(Debug, Clone)]
pub(crate) struct Rights {
    /// The file systems that the function may make: `TOWER_FORGE_FEATURES`.
    pub(crate) features: &'static str,
    /// The managed policies that a stack may attach to its instance role.
    pub(crate) allowed_policies: Vec<String>,
    /// The roles that a stack may hand to its jobs.
    pub(crate) allowed_roles: Vec<String>,
    /// Boundaries that a stack may name besides the function's own.
    pub(crate) allowed_boundaries: Vec<String>,
    /// The buckets and objects within the permissions boundary.
    pub(crate) allowed_buckets: Vec<String>,
    /// Job definitions besides `nf-*`.
    pub(crate) allowed_job_definitions: Vec<String>,
    /// Log groups besides Batch's and the forges' own.
    pub(crate) allowed_log_groups: Vec<String>,
    /// The VPCs, as ARNs.
    pub(crate) vpcs: Vec<String>,
    /// The owners of images.
    pub(crate) image_owners: Vec<String>,
    /// The names of key pairs.
    pub(crate) key_pairs: Vec<String>,
    /// Keys of the user's tags that roles bear.
    pub(crate) role_tags: Vec<String>,
}

impl Default for Rights {
    fn default() -> Self {
        Self {
            features: "efs,fsx",
            allowed_policies: Vec::new(),
            allowed_roles: Vec::new(),
            allowed_boundaries: Vec::new(),
            allowed_buckets: vec!["*".to_owned()],
            allowed_job_definitions: Vec::new(),
            allowed_log_groups: Vec::new(),
            vpcs: vec!["arn:*:ec2:*:*:vpc/*".to_owned()],
            image_owners: vec!["amazon".to_owned(), "self".to_owned()],
            key_pairs: vec!["*".to_owned()],
            role_tags: vec!["*".to_owned()],
        }
    }
}

impl Rights {
    /// The same in an account, with the values of the function's own variables.
    pub(crate) fn of(setting: &Setting, account: &str) -> Self {
        let said = |variable: &str, otherwise: &[String]| {
            let said = setting.environment.iter().find(|(name, _)| *name == variable);
            let list: Vec<String> = said.map_or_else(
                || otherwise.to_vec(),
                |(_, list)| list.split(',').filter(|item| !item.is_empty()).map(ToOwned::to_owned).collect(),
            );
            list.iter().map(|item| item.replace("::*:", &format!("::{account}:"))).collect()
        };
        let Self { features, allowed_policies, allowed_roles, allowed_boundaries, .. } = &setting.rights;
        Self {
            features,
            allowed_policies: said("TOWER_FORGE_ALLOWED_POLICIES", allowed_policies),
            allowed_roles: said("TOWER_FORGE_ALLOWED_ROLES", allowed_roles),
            allowed_boundaries: said("TOWER_FORGE_ALLOWED_BOUNDARIES", allowed_boundaries),
            ..setting.rights.clone()
        }
    }
}

/// The partition of a region.
pub(crate) fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// The ARN of the permissions boundary that the function puts on every role.
pub(crate) fn boundary_arn(account: &str, region: &str) -> String {
    format!("arn:{}:iam::{account}:policy/{}", partition(region), boundary_name())
}

/// Its name.
pub(crate) fn boundary_name() -> &'static str {
    "TowerForge-boundary"
}

/// The policy of the function's role, without the statements of features that it was deployed without.
pub(crate) fn forge_policy(account: &str, region: &str, rights: &Rights) -> Value {
    let mut document = filled("forge-policy.json", account, region, rights);
    let statements = document["Statement"].as_array_mut().expect("a list of statements");
    statements.retain(|statement| {
        let sid = statement["Sid"].as_str().expect("every statement has a Sid");
        [("Efs", "efs"), ("Fsx", "fsx")]
            .iter()
            .all(|(prefix, feature)| !sid.starts_with(prefix) || rights.features.contains(feature))
    });
    document
}

/// The permissions boundary.
pub(crate) fn boundary(account: &str, region: &str, rights: &Rights) -> Value {
    filled("boundary.json", account, region, rights)
}

fn filled(file: &str, account: &str, region: &str, rights: &Rights) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    let single = [
        ("Partition", partition(region)),
        ("UrlSuffix", dns_suffix(region)),
        ("Region", region),
        ("Account", account),
        ("Prefix", "TowerForge"),
        ("Table", CLAIM_TABLE),
    ];
    let values = Values {
        single: single.into_iter().map(|(key, value)| (key, value.to_owned())).collect(),
        many: BTreeMap::from([
            ("Boundary", [vec![boundary_arn(account, region)], rights.allowed_boundaries.clone()].concat()),
            ("AllowedBucket", rights.allowed_buckets.clone()),
            ("AllowedPolicy", rights.allowed_policies.clone()),
            ("AllowedRole", rights.allowed_roles.clone()),
            ("AllowedJobDefinition", rights.allowed_job_definitions.clone()),
            ("AllowedLogGroup", rights.allowed_log_groups.clone()),
            ("WriteAccount", Vec::new()),
            ("RoleTag", rights.role_tags.clone()),
            ("KeyPair", rights.key_pairs.clone()),
            ("Vpc", rights.vpcs.clone()),
            ("ImageOwner", rights.image_owners.clone()),
        ]),
    };
    let document = serde_json::from_str(&text).expect("a policy is JSON");
    fill(&document, &values).expect("statements are left")
}

/// The variables of a deployment as it comes: those of `template.yaml`, with the defaults of its parameters.
pub(crate) fn as_it_comes() -> Vec<(&'static str, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml");
    let text = fs::read_to_string(path).expect("the template exists").leak();
    let default = |parameter: &str| {
        let (_, of) = text.split_once(&format!("\n  {parameter}:\n"))?;
        let line =
            of.lines().take_while(|line| line.starts_with("    ")).find(|line| line.contains("Default: "))?;
        Some(line.split_once("Default: ")?.1.trim_matches('"').to_owned())
    };
    let variables = text.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once(": ")?;
        let limits = name.starts_with("TOWER_FORGE_ALLOWED_") || name.starts_with("TOWER_FORGE_MAX_");
        let limits = limits || ["TOWER_FORGE_ROLE_TAGS", "TOWER_FORGE_REQUIRE_ENCRYPTION"].contains(&name);
        let parameter = value.rsplit("!Ref ").next()?.trim_end_matches(']');
        limits.then(|| Some((name, default(parameter)?)))?
    });
    variables.collect()
}

/// The variables by which the function knows of its rights.
pub(crate) fn environment(account: &str, region: &str, rights: &Rights) -> Vec<(&'static str, String)> {
    vec![
        ("TOWER_FORGE_FEATURES", rights.features.to_owned()),
        ("TOWER_FORGE_PERMISSIONS_BOUNDARY", boundary_arn(account, region)),
        ("TOWER_FORGE_ALLOWED_POLICIES", rights.allowed_policies.join(",")),
        ("TOWER_FORGE_ALLOWED_ROLES", rights.allowed_roles.join(",")),
        ("TOWER_FORGE_ALLOWED_BOUNDARIES", rights.allowed_boundaries.join(",")),
        ("TOWER_FORGE_ALLOWED_BUCKETS", rights.allowed_buckets.join(",")),
        ("TOWER_FORGE_ROLE_TAGS", rights.role_tags.join(",")),
        // The rest of what a deployer may allow; tests of limits say less.
        ("TOWER_FORGE_ALLOWED_VPCS", "*".to_owned()),
        ("TOWER_FORGE_ALLOWED_SECURITY_GROUPS", "*".to_owned()),
        ("TOWER_FORGE_ALLOWED_IMAGE_OWNERS", "*".to_owned()),
        ("TOWER_FORGE_ALLOWED_KEY_PAIRS", "*".to_owned()),
        ("TOWER_FORGE_ALLOWED_KEYS", "*".to_owned()),
        ("TOWER_FORGE_ALLOWED_FILE_SYSTEMS", "*".to_owned()),
        ("TOWER_FORGE_ALLOWED_LOG_GROUPS", "*".to_owned()),
        ("TOWER_FORGE_REQUIRE_ENCRYPTION", "false".to_owned()),
        ("TOWER_FORGE_MAX_VCPUS", i32::MAX.to_string()),
        ("TOWER_FORGE_MAX_VOLUME_SIZE", i32::MAX.to_string()),
        ("TOWER_FORGE_MAX_FSX_SIZE", i32::MAX.to_string()),
    ]
}

#[tokio::test]
async fn every_role_is_under_the_boundary() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(json!({ "WorkDir": "s3://bucket/work", "MaxCpus": 8 }));

    stack.create().await.expect_success();
    let state = aws.state().await;
    assert_eq!(state.roles.len(), 3);
    for role in &state.roles {
        assert_eq!(
            role.boundary.as_deref(),
            Some(boundary_arn(&aws.cloud.id, "eu-west-1").as_str()),
            "{}",
            role.name
        );
    }
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_function_without_file_systems_needs_no_right_to_them() {
    let rights = Rights { features: "", ..Rights::default() };
    let aws = TestAccount::with(Setting { rights, ..Setting::default() }).await;
    let stack = aws.stack(json!({ "WorkDir": "s3://bucket/work", "MaxCpus": 8 }));

    stack.create().await.expect_success();
    let refused = aws.stack(json!({ "WorkDir": "s3://bucket/work", "MaxCpus": 8, "EfsCreate": true }));
    let seq = aws.now().await;
    let reason = refused.create().await.expect_failure().reason;
    assert!(reason.contains("EfsCreate"), "{reason}");
    aws.assert_no_change_since(seq).await;
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}
