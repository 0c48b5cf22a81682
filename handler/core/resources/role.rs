//! IAM roles.
//!
//! Calls on one role go one after the other, because IAM refuses parallel changes of a role; different roles
//! go side by side.

use crate::aws::Aws;
use crate::error::{Context as _, Error, Result};
use crate::name::{FORGE_TAG, Names, RoleKind};
use crate::resource::{Change, Kind, Live as AnyLive, PartId, Phase, Seen, TagChanges, Tags};
use aws_sdk_iam::types::Tag;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a role should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Who may assume it.
    pub trust: Value,
    /// ARNs of managed policies.
    pub managed: BTreeSet<String>,
    /// Inline policies by name.
    pub inline: BTreeMap<String, Value>,
    /// The permissions boundary.
    pub boundary: Option<String>,
    /// Whether what goes beyond this spec is removed, and the boundary changed. Not of a role that only has to
    /// work until its environments are deleted.
    pub exact: bool,
}

/// What IAM says a role is.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// Its ARN.
    pub arn: String,
    /// Who may assume it.
    pub trust: Value,
    /// ARNs of managed policies.
    pub managed: BTreeSet<String>,
    /// Inline policies by name.
    pub inline: BTreeMap<String, Value>,
    /// The permissions boundary.
    pub boundary: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
}

/// What sets a role apart from its spec.
pub fn drift(spec: &Spec, live: &Live) -> Vec<Change> {
    let mut changes = Vec::new();
    if spec.trust != live.trust {
        Change::note(
            &mut changes,
            "AssumeRolePolicyDocument",
            &live.trust.to_string(),
            &spec.trust.to_string(),
        );
    }
    if spec.exact {
        Change::note(&mut changes, "PermissionsBoundary", &live.boundary, &spec.boundary);
    }
    for arn in spec.managed.difference(&live.managed) {
        Change::note(&mut changes, "ManagedPolicies", &"", &arn.as_str());
    }
    for arn in superfluous(spec, live).managed {
        Change::note(&mut changes, "ManagedPolicies", &arn.as_str(), &"");
    }
    for (name, document) in &spec.inline {
        if live.inline.get(name) != Some(document) {
            let from = live.inline.get(name).map(Value::to_string).unwrap_or_default();
            Change::note(&mut changes, &format!("Policies.{name}"), &from, &document.to_string());
        }
    }
    for name in superfluous(spec, live).inline {
        let from = live.inline[&name].to_string();
        Change::note(&mut changes, &format!("Policies.{name}"), &from, &String::new());
    }
    changes
}

struct Superfluous {
    managed: Vec<String>,
    inline: Vec<String>,
}

fn superfluous(spec: &Spec, live: &Live) -> Superfluous {
    if !spec.exact {
        return Superfluous { managed: Vec::new(), inline: Vec::new() };
    }
    Superfluous {
        managed: live.managed.difference(&spec.managed).cloned().collect(),
        inline: live.inline.keys().filter(|name| !spec.inline.contains_key(*name)).cloned().collect(),
    }
}

/// Looks for all roles of a forge. What hangs on a role of somebody else is not read.
///
/// # Errors
///
/// AWS's refusal.
pub async fn look(aws: &Aws, names: &Names) -> Result<Vec<Seen>> {
    let looks = RoleKind::ALL.map(|kind| look_at(aws, names, names.role(kind)));
    let found = futures_util::future::try_join_all(looks).await?;
    Ok(found.into_iter().flatten().collect())
}

async fn look_at(aws: &Aws, names: &Names, name: String) -> Result<Option<Seen>> {
    let found = match aws.iam.get_role().role_name(&name).send().await.on("iam:GetRole", &name) {
        Err(err) if err.is_not_found() => return Ok(None),
        found => found?,
    };
    let Some(role) = found.role else { return Ok(None) };
    let tags: Tags = role.tags().iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    let mut live = Live {
        arn: role.arn.clone(),
        trust: role.assume_role_policy_document().map(document).unwrap_or_default(),
        managed: BTreeSet::new(),
        inline: BTreeMap::new(),
        boundary: role.permissions_boundary().and_then(|b| b.permissions_boundary_arn()).map(str::to_owned),
        created: role.create_date.secs(),
    };
    if tags.get(FORGE_TAG).map(String::as_str) == Some(names.id().as_str()) {
        match read_policies(aws, &name).await {
            // It went away while we looked.
            Err(err) if err.is_not_found() => return Ok(None),
            policies => (live.managed, live.inline) = policies?,
        }
    }
    let id = PartId::new(Kind::Role, name);
    Ok(Some(Seen { id, tags, phase: Phase::Settled, refs: Vec::new(), live: AnyLive::Role(live) }))
}

async fn read_policies(aws: &Aws, name: &str) -> Result<(BTreeSet<String>, BTreeMap<String, Value>)> {
    let managed = async {
        let pages = aws.iam.list_attached_role_policies().role_name(name).into_paginator().items().send();
        let attached = pages.try_collect().await.on("iam:ListAttachedRolePolicies", name)?;
        Ok(attached.into_iter().filter_map(|policy| policy.policy_arn).collect())
    };
    let inline = async {
        let pages = aws.iam.list_role_policies().role_name(name).into_paginator().items().send();
        let policies = pages.try_collect().await.on("iam:ListRolePolicies", name)?;
        let documents = policies.into_iter().map(|policy| async move {
            let found = aws.iam.get_role_policy().role_name(name).policy_name(&policy).send().await;
            let found = found.on("iam:GetRolePolicy", name)?;
            Ok::<_, Error>((policy, document(&found.policy_document)))
        });
        Ok(futures_util::future::try_join_all(documents).await?.into_iter().collect())
    };
    futures_util::future::try_join(managed, inline).await
}

/// IAM gives policy documents percent-encoded.
fn document(encoded: &str) -> Value {
    let text = percent_encoding::percent_decode_str(encoded).decode_utf8_lossy();
    serde_json::from_str(&text).unwrap_or(Value::String(text.into_owned()))
}

/// Makes a role and gives it its policies.
///
/// # Errors
///
/// AWS's refusal.
pub async fn create(aws: &Aws, name: &str, spec: &Spec, tags: &Tags) -> Result<()> {
    let role = aws
        .iam
        .create_role()
        .role_name(name)
        .description("Made by Tower Forge for CloudFormation.")
        .assume_role_policy_document(spec.trust.to_string())
        .set_permissions_boundary(spec.boundary.clone())
        .set_tags(Some(as_tags(tags)));
    role.send().await.on("iam:CreateRole", name)?;
    give(aws, name, spec, &BTreeSet::new(), &BTreeMap::new()).await
}

async fn give(
    aws: &Aws,
    name: &str,
    spec: &Spec,
    managed: &BTreeSet<String>,
    inline: &BTreeMap<String, Value>,
) -> Result<()> {
    for arn in spec.managed.difference(managed) {
        let attach = aws.iam.attach_role_policy().role_name(name).policy_arn(arn);
        attach.send().await.on("iam:AttachRolePolicy", &format!("{name} {arn}"))?;
    }
    for (policy, document) in &spec.inline {
        if inline.get(policy) != Some(document) {
            let put = aws.iam.put_role_policy().role_name(name).policy_name(policy);
            let put = put.policy_document(document.to_string());
            put.send().await.on("iam:PutRolePolicy", &format!("{name} {policy}"))?;
        }
    }
    Ok(())
}

/// Brings a role to its spec.
///
/// # Errors
///
/// AWS's refusal.
pub async fn update(aws: &Aws, name: &str, spec: &Spec, live: &Live, tags: &TagChanges) -> Result<()> {
    if spec.exact && spec.boundary != live.boundary {
        bound(aws, name, spec.boundary.as_deref()).await?;
    }
    if spec.trust != live.trust {
        let trust =
            aws.iam.update_assume_role_policy().role_name(name).policy_document(spec.trust.to_string());
        trust.send().await.on("iam:UpdateAssumeRolePolicy", name)?;
    }
    give(aws, name, spec, &live.managed, &live.inline).await?;
    take(aws, name, superfluous(spec, live)).await?;
    retag(aws, name, tags).await
}

async fn bound(aws: &Aws, name: &str, boundary: Option<&str>) -> Result<()> {
    if let Some(arn) = boundary {
        let put = aws.iam.put_role_permissions_boundary().role_name(name).permissions_boundary(arn);
        return put.send().await.on("iam:PutRolePermissionsBoundary", name).map(drop);
    }
    let delete = aws.iam.delete_role_permissions_boundary().role_name(name);
    delete.send().await.on("iam:DeleteRolePermissionsBoundary", name).map(drop)
}

async fn take(aws: &Aws, name: &str, superfluous: Superfluous) -> Result<()> {
    for arn in superfluous.managed {
        let detach = aws.iam.detach_role_policy().role_name(name).policy_arn(&arn);
        gone(detach.send().await.on("iam:DetachRolePolicy", &format!("{name} {arn}")))?;
    }
    for policy in superfluous.inline {
        let delete = aws.iam.delete_role_policy().role_name(name).policy_name(&policy);
        gone(delete.send().await.on("iam:DeleteRolePolicy", &format!("{name} {policy}")))?;
    }
    Ok(())
}

fn gone<T>(result: Result<T>) -> Result<()> {
    match result {
        Err(err) if err.is_not_found() => Ok(()),
        result => result.map(drop),
    }
}

/// Sets and removes tags.
///
/// # Errors
///
/// AWS's refusal.
pub async fn retag(aws: &Aws, name: &str, tags: &TagChanges) -> Result<()> {
    if !tags.set.is_empty() {
        let tag = aws.iam.tag_role().role_name(name).set_tags(Some(as_tags(&tags.set)));
        tag.send().await.on("iam:TagRole", name)?;
    }
    if !tags.remove.is_empty() {
        let untag = aws.iam.untag_role().role_name(name).set_tag_keys(Some(tags.remove.clone()));
        untag.send().await.on("iam:UntagRole", name)?;
    }
    Ok(())
}

/// Deletes a role with all that hangs on it.
///
/// # Errors
///
/// AWS's refusal.
pub async fn delete(aws: &Aws, name: &str, live: &Live) -> Result<()> {
    let all = Superfluous {
        managed: live.managed.iter().cloned().collect(),
        inline: live.inline.keys().cloned().collect(),
    };
    take(aws, name, all).await?;
    aws.iam.delete_role().role_name(name).send().await.on("iam:DeleteRole", name).map(drop)
}

/// IAM's form of tags.
pub fn as_tags(tags: &Tags) -> Vec<Tag> {
    let tag = |(key, value): (&String, &String)| {
        Tag::builder().key(key).value(value).build().expect("key and value are set")
    };
    tags.iter().map(tag).collect()
}
