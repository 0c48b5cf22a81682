//! IAM roles.

use crate::aws::clients::Services;
use crate::aws::error::Context as _;
use aws_sdk_iam::types::Tag;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tower_forge_core::error::{Error, Result};
use tower_forge_core::name::{FORGE_TAG, Names, RoleKind};
use tower_forge_core::resource::{Found, Kind, Listing, MutatingCall as _, Phase, ResourceId, Tags};
use tower_forge_core::resources::role::{Call, Observed};

/// Looks for all roles of a forge. The policies of another owner's role are not read.
pub(crate) async fn list(services: &Services, names: &Names) -> Result<Listing<Observed>> {
    let roles = RoleKind::ALL.map(|kind| find(services, names, kind));
    let found = futures_util::future::try_join_all(roles).await?;
    Ok(Listing::of(found.into_iter().flatten().collect()))
}

async fn find(services: &Services, names: &Names, kind: RoleKind) -> Result<Option<Found<Observed>>> {
    let name = names.role(kind);
    let found = match services.iam.get_role().role_name(&name).send().await.on("iam:GetRole", &name) {
        Err(err) if err.is_not_found() => return Ok(None),
        found => found?,
    };
    let Some(role) = found.role else { return Ok(None) };
    let tags: Tags = role.tags().iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    let boundary = role.permissions_boundary().and_then(|boundary| boundary.permissions_boundary_arn());
    let mut observed = Observed {
        trust: role.assume_role_policy_document().map(document).unwrap_or_default(),
        managed: BTreeSet::new(),
        inline: BTreeMap::new(),
        boundary: boundary.map(str::to_owned),
    };
    if tags.get(FORGE_TAG).map(String::as_str) == Some(names.id().as_str()) {
        match policies(services, &name, kind).await {
            // It was deleted in between.
            Err(err) if err.is_not_found() => return Ok(None),
            policies => (observed.managed, observed.inline) = policies?,
        }
    }
    Ok(Some(Found {
        id: ResourceId::new(Kind::Role, name),
        tags,
        phase: Phase::Settled,
        refs: Vec::new(),
        created: Some(role.create_date.secs()),
        observed,
    }))
}

async fn policies(
    services: &Services,
    name: &str,
    kind: RoleKind,
) -> Result<(BTreeSet<String>, BTreeMap<String, Value>)> {
    let iam = &services.iam;
    let managed = async {
        let pages = iam.list_attached_role_policies().role_name(name).into_paginator().items().send();
        let attached = pages.try_collect().await.on("iam:ListAttachedRolePolicies", name)?;
        Ok(attached.into_iter().filter_map(|policy| policy.policy_arn).collect())
    };
    let get = async |policy: &str| {
        let found = iam.get_role_policy().role_name(name).policy_name(policy).send().await;
        Ok::<_, Error>(document(&found.on("iam:GetRolePolicy", name)?.policy_document))
    };
    // A policy that is surely there is read together with the list, which saves a round trip.
    let expected = async {
        if !kind.always_has_inline_policy() {
            return Ok(None);
        }
        match get(kind.inline_policy()).await {
            Err(err) if err.is_not_found() => Ok(None),
            found => found.map(Some),
        }
    };
    let listed = async {
        let pages = iam.list_role_policies().role_name(name).into_paginator().items().send();
        pages.try_collect().await.on("iam:ListRolePolicies", name)
    };
    let (managed, listed, mut expected): (_, Vec<String>, _) =
        futures_util::future::try_join3(managed, listed, expected).await?;
    let mut inline = BTreeMap::new();
    for policy in listed {
        let known = (policy == kind.inline_policy()).then(|| expected.take()).flatten();
        let document = if let Some(known) = known { known } else { get(&policy).await? };
        inline.insert(policy, document);
    }
    Ok((managed, inline))
}

/// IAM gives policy documents percent-encoded.
fn document(encoded: &str) -> Value {
    let text = percent_encoding::percent_decode_str(encoded).decode_utf8_lossy();
    serde_json::from_str(&text).unwrap_or(Value::String(text.into_owned()))
}

/// Makes one mutating call.
pub(crate) async fn write(services: &Services, name: &str, call: &Call) -> Result<()> {
    let iam = &services.iam;
    let action = call.action();
    match call {
        Call::Create { trust, boundary, tags } => {
            let create = iam
                .create_role()
                .role_name(name)
                .description("Made by Tower Forge for CloudFormation.")
                .assume_role_policy_document(trust.to_string())
                .set_permissions_boundary(boundary.clone())
                .set_tags(Some(as_tags(tags)));
            create.send().await.on(action, name).map(drop)
        }
        Call::Attach(arn) => {
            let attach = iam.attach_role_policy().role_name(name).policy_arn(arn).send().await;
            attach.on(action, &format!("{name} {arn}")).map(drop)
        }
        Call::Detach(arn) => {
            let detach = iam.detach_role_policy().role_name(name).policy_arn(arn).send().await;
            detach.on(action, &format!("{name} {arn}")).map(drop)
        }
        Call::Put(policy, document) => {
            let put = iam.put_role_policy().role_name(name).policy_name(policy);
            let put = put.policy_document(document.to_string()).send().await;
            put.on(action, &format!("{name} {policy}")).map(drop)
        }
        Call::DeletePolicy(policy) => {
            let delete = iam.delete_role_policy().role_name(name).policy_name(policy).send().await;
            delete.on(action, &format!("{name} {policy}")).map(drop)
        }
        Call::SetTrust(trust) => {
            let set = iam.update_assume_role_policy().role_name(name).policy_document(trust.to_string());
            set.send().await.on(action, name).map(drop)
        }
        Call::SetBoundary(arn) => {
            let set = iam.put_role_permissions_boundary().role_name(name).permissions_boundary(arn);
            set.send().await.on(action, name).map(drop)
        }
        Call::RemoveBoundary => {
            iam.delete_role_permissions_boundary().role_name(name).send().await.on(action, name).map(drop)
        }
        Call::Tag(tags) => iam
            .tag_role()
            .role_name(name)
            .set_tags(Some(as_tags(tags)))
            .send()
            .await
            .on(action, name)
            .map(drop),
        Call::Untag(keys) => {
            let untag = iam.untag_role().role_name(name).set_tag_keys(Some(keys.clone()));
            untag.send().await.on(action, name).map(drop)
        }
        Call::Delete => iam.delete_role().role_name(name).send().await.on(action, name).map(drop),
    }
}

/// IAM's form of tags.
pub(super) fn as_tags(tags: &Tags) -> Vec<Tag> {
    let tag = |(key, value): (&String, &String)| {
        Tag::builder().key(key).value(value).build().expect("key and value are set")
    };
    tags.iter().map(tag).collect()
}
