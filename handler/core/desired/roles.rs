//! PURE. The roles of a forge, with the least rights that suffice.

use super::Context;
use crate::error::Result;
use crate::event::dns_suffix;
use crate::name::RoleKind;
use crate::network::Network;
use crate::policy::documents::{self, Document};
use crate::policy::{Values, fill, join};
use crate::properties::Properties;
use crate::registry::{self, Registered as _};
use crate::resources::role::{Observed, Role, Spec};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The service role with the rights to a key that encrypts volumes although no property names it. If the account's default
/// is not known, the role keeps the rights that it has.
pub(super) fn with_default_key(
    cx: &Context,
    spec: &registry::Spec,
    network: &Result<Network>,
    observed: Option<&Observed>,
) -> registry::Spec {
    let registry::Spec::Role(spec) = spec else { return spec.clone() };
    let name = RoleKind::Service.inline_policy();
    let policy = match network {
        Ok(network) => network.default_key.as_ref().and_then(|key| {
            let mut values = account_values(cx);
            values.single.insert("KmsKeyArn", key_arn(cx, key));
            fill(&documents::KMS, &values)
        }),
        Err(_) => observed.and_then(|observed| observed.inline.get(name).cloned()),
    };
    let mut spec = Spec::clone(spec);
    if let Some(policy) = policy {
        spec.inline.entry(name.to_owned()).or_insert(policy);
    }
    Role::spec(spec)
}

/// The desired roles of a forge.
pub(super) fn specs(cx: &Context, properties: &Properties) -> BTreeMap<RoleKind, registry::Spec> {
    let values = values(cx, properties);
    let may_have = |kind: &RoleKind| match kind {
        RoleKind::Service | RoleKind::Instance | RoleKind::Execution => true,
        RoleKind::Fleet => properties.needs_fleet_role(),
        RoleKind::Fargate => properties.fargate_head_enabled,
    };
    let kinds = RoleKind::ALL.into_iter().filter(may_have);
    kinds.map(|kind| (kind, Role::spec(spec(cx, properties, &values, kind)))).collect()
}

fn spec(cx: &Context, properties: &Properties, values: &Values, kind: RoleKind) -> Spec {
    let (trust, managed) = match kind {
        RoleKind::Service => (&documents::TRUST_BATCH, Some("AWSBatchServiceRole")),
        RoleKind::Instance => (&documents::TRUST_EC2, Some("AmazonEC2ContainerServiceforEC2Role")),
        RoleKind::Execution => (&documents::TRUST_ECS_TASKS, Some("AmazonECSTaskExecutionRolePolicy")),
        RoleKind::Fleet => (&documents::TRUST_SPOTFLEET, Some("AmazonEC2SpotFleetTaggingRole")),
        RoleKind::Fargate => (&documents::TRUST_ECS_TASKS, None),
    };
    let mut managed: BTreeSet<String> = managed.into_iter().map(|name| aws_policy(cx, name)).collect();
    let policy = join(policies(properties, kind).into_iter().filter_map(|document| fill(document, values)));
    let mut inline: BTreeMap<String, Value> =
        policy.into_iter().map(|policy| (kind.inline_policy().to_owned(), policy)).collect();
    if kind == RoleKind::Instance {
        managed.extend(properties.instance_role_policies.iter().cloned());
        if !properties.instance_role_statements.is_empty() {
            let statements =
                json!({"Version": "2012-10-17", "Statement": properties.instance_role_statements});
            inline.insert("instance-role-statements".to_owned(), statements);
        }
    }
    Spec {
        trust: fill(trust, values)
            .expect("a trust policy has a statement without lists; a test reads them all"),
        managed,
        inline,
        boundary: properties.permissions_boundary.clone().or_else(|| cx.boundary.clone()),
        exact: true,
    }
}

/// The documents with a role's rights.
fn policies(properties: &Properties, kind: RoleKind) -> Vec<&'static Document> {
    let mut policies: Vec<&Document> = match kind {
        RoleKind::Service if properties.ebs_kms_key_id.is_some() => vec![&documents::KMS],
        RoleKind::Service | RoleKind::Fleet | RoleKind::Execution => Vec::new(),
        RoleKind::Instance => vec![&documents::CLOUDWATCH_AGENT, &documents::S3, &documents::S3_READ],
        RoleKind::Fargate => vec![&documents::S3, &documents::S3_READ],
    };
    // With a head job on Fargate the instances run tasks only, which submit nothing.
    let runs_head = match kind {
        RoleKind::Instance => !properties.fargate_head_enabled,
        RoleKind::Fargate => true,
        _ => false,
    };
    if runs_head {
        policies.extend([&documents::NEXTFLOW, &documents::PASS_ROLE]);
    }
    if properties.pipeline_secrets {
        match kind {
            RoleKind::Execution => policies.push(&documents::SECRETS_EXECUTION),
            RoleKind::Instance | RoleKind::Fargate => policies.push(&documents::SECRETS_INSTANCE),
            RoleKind::Service | RoleKind::Fleet => {}
        }
    }
    policies
}

/// The service role as far as Batch needs it to delete an environment.
pub(super) fn service_role_for_deletion(cx: &Context) -> Spec {
    Spec {
        trust: fill(&documents::TRUST_BATCH, &account_values(cx)).expect("a trust policy has a statement"),
        managed: BTreeSet::from([aws_policy(cx, "AWSBatchServiceRole")]),
        inline: BTreeMap::new(),
        boundary: cx.boundary.clone(),
        exact: false,
    }
}

/// One of AWS's own policies for the roles of its services.
fn aws_policy(cx: &Context, name: &str) -> String {
    format!("arn:{}:iam::aws:policy/service-role/{name}", cx.partition)
}

fn account_values(cx: &Context) -> Values {
    let id = cx.names.id().to_string();
    let prefix = cx.names.prefix().to_owned();
    let single = BTreeMap::from([
        ("Partition", cx.partition.clone()),
        ("UrlSuffix", dns_suffix(&cx.region).to_owned()),
        ("Region", cx.region.clone()),
        ("Account", cx.account.clone()),
        ("Prefix", prefix),
        ("ForgeId", id),
    ]);
    Values { single, many: BTreeMap::new() }
}

fn values(cx: &Context, properties: &Properties) -> Values {
    let mut values = account_values(cx);
    values.single.insert("JobLogGroup", properties.log_group().to_owned());
    if let Some(key) = &properties.ebs_kms_key_id {
        values.single.insert("KmsKeyArn", key_arn(cx, key));
    }
    let execution = properties.execution_role.clone().unwrap_or_else(|| cx.role_arn(RoleKind::Execution));
    let fargate = properties.fargate_head_enabled.then(|| cx.role_arn(RoleKind::Fargate));
    let roles =
        [Some(execution), fargate, properties.head_job_role.clone(), properties.compute_job_role.clone()];
    let roles: BTreeSet<String> = roles.into_iter().flatten().collect();
    values.many.insert("JobRole", roles.into_iter().collect());
    values.many.insert("Bucket", properties.buckets().into_iter().collect());
    let readable = properties.read_buckets();
    let buckets: BTreeSet<String> =
        readable.iter().map(|given| given.split('/').next().unwrap_or_default().to_owned()).collect();
    values.many.insert("ReadBucket", buckets.into_iter().collect());
    let objects = readable.iter().flat_map(|given| {
        // A prefix may be that of a single object.
        let itself = given.contains('/').then(|| given.clone());
        itself.into_iter().chain([format!("{given}/*")])
    });
    values.many.insert("ReadObject", objects.collect());
    values
}

/// The ARN of a key given as ID, alias or ARN. An alias does not tell its key, so it stands for all keys of the
/// account; the policy allows them through EC2 only, and each key has a policy of its own.
fn key_arn(cx: &Context, key: &str) -> String {
    match key {
        _ if key.starts_with("arn:") && key.contains(":key/") => key.to_owned(),
        _ if key.contains("alias/") => cx.arn("kms", "key/*"),
        _ => cx.arn("kms", &format!("key/{key}")),
    }
}
