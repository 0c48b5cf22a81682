//! EFS file systems, each with a mount target per availability zone.
//!
//! A file system is found by its creation token, which is the name of the forge: the same token never makes a
//! second one.

use crate::aws::Aws;
use crate::error::{Context as _, Error, Result};
use crate::name::Names;
use crate::resource::{Change, Kind, Live as AnyLive, PartId, Phase, Seen, TagChanges, Tags};
use aws_sdk_efs::types::{
    LifeCycleState, LifecyclePolicy, Tag, TransitionToIaRules, TransitionToPrimaryStorageClassRules,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a file system should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// One subnet per availability zone ID.
    pub subnets: BTreeMap<String, String>,
    /// The security groups of its mount targets.
    pub security_groups: Vec<String>,
    /// Whether it is only kept: its mount targets stay as they are.
    pub retiring: bool,
}

/// What EFS says a file system is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its ID, known from the first answer on.
    pub id: String,
    /// Availability zone IDs that have a mount target, with its ID.
    pub mount_targets: BTreeMap<String, String>,
    /// Whether files that nobody reads move to a cheaper class.
    pub tiered: bool,
    /// The VPC that its mount targets are in, once it has any.
    pub vpc: Option<String>,
}

/// What sets a file system apart from its spec.
pub fn drift(spec: &Spec, live: &Live) -> Vec<Change> {
    let mut changes = Vec::new();
    if spec.retiring {
        return changes;
    }
    for (zone, subnet) in missing(spec, live) {
        Change::note(&mut changes, &format!("MountTargets.{zone}"), &"", &subnet.as_str());
    }
    Change::note(&mut changes, "LifecyclePolicies", &live.tiered, &true);
    changes
}

fn missing<'a>(spec: &'a Spec, live: &Live) -> Vec<(&'a String, &'a String)> {
    spec.subnets.iter().filter(|(zone, _)| !live.mount_targets.contains_key(*zone)).collect()
}

/// Looks for the file system of a forge.
///
/// # Errors
///
/// AWS's refusal.
pub async fn look(aws: &Aws, names: &Names) -> Result<Vec<Seen>> {
    let name = names.file_system();
    let found = aws.efs.describe_file_systems().creation_token(&name).send().await;
    let found = match found.on("elasticfilesystem:DescribeFileSystems", &name) {
        Err(err) if err.is_not_found() => return Ok(Vec::new()),
        found => found?,
    };
    let Some(system) = found.file_systems.unwrap_or_default().into_iter().next() else {
        return Ok(Vec::new());
    };
    if system.life_cycle_state == LifeCycleState::Deleted {
        return Ok(Vec::new());
    }
    let id = system.file_system_id;
    let mut phase = match &system.life_cycle_state {
        LifeCycleState::Available => Phase::Settled,
        LifeCycleState::Error => Phase::Broken("the file system is in state error".to_owned()),
        state => Phase::Settling(state.as_str().to_owned()),
    };
    let mut mount_targets = BTreeMap::new();
    let mut tiered = false;
    let mut vpc = None;
    if phase == Phase::Settled {
        let targets = aws.efs.describe_mount_targets().file_system_id(&id).into_paginator().items().send();
        let targets = targets.try_collect().await.on("elasticfilesystem:DescribeMountTargets", &id)?;
        for target in targets {
            match target.life_cycle_state {
                LifeCycleState::Available => {}
                LifeCycleState::Error => {
                    phase =
                        Phase::Broken(format!("mount target {} is in state error", target.mount_target_id));
                }
                state => phase = Phase::Settling(format!("mount target {}", state.as_str())),
            }
            vpc = target.vpc_id;
            mount_targets.insert(target.availability_zone_id.unwrap_or_default(), target.mount_target_id);
        }
    }
    if phase == Phase::Settled {
        let lifecycle = aws.efs.describe_lifecycle_configuration().file_system_id(&id).send().await;
        let lifecycle = lifecycle.on("elasticfilesystem:DescribeLifecycleConfiguration", &id)?;
        tiered = !lifecycle.lifecycle_policies().is_empty();
    }
    let tags = system.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    let live = AnyLive::Efs(Live { id, mount_targets, tiered, vpc });
    Ok(vec![Seen { id: PartId::new(Kind::Efs, name), tags, phase, refs: Vec::new(), live }])
}

/// The ID of the file system of a forge, if it has been made.
///
/// # Errors
///
/// AWS's refusal.
pub async fn id(aws: &Aws, names: &Names) -> Result<Option<String>> {
    let name = names.file_system();
    let found = aws.efs.describe_file_systems().creation_token(&name).send().await;
    match found.on("elasticfilesystem:DescribeFileSystems", &name) {
        Err(err) if err.is_not_found() => Ok(None),
        found => {
            Ok(found?.file_systems.unwrap_or_default().into_iter().next().map(|system| system.file_system_id))
        }
    }
}

/// The security groups of the mount targets that a file system has in a VPC; it may be anybody's.
///
/// # Errors
///
/// AWS's refusal.
pub async fn groups(aws: &Aws, id: &str, vpc: &str) -> Result<Vec<String>> {
    let targets = aws.efs.describe_mount_targets().file_system_id(id).into_paginator().items().send();
    let targets = targets.try_collect().await.on("elasticfilesystem:DescribeMountTargets", id)?;
    let here = targets.into_iter().filter(|target| target.vpc_id() == Some(vpc));
    let groups = here.map(|target| async move {
        let target = target.mount_target_id;
        let found = aws.efs.describe_mount_target_security_groups().mount_target_id(&target).send().await;
        found.on("elasticfilesystem:DescribeMountTargetSecurityGroups", &target)
    });
    let found = futures_util::future::try_join_all(groups).await?;
    let groups: BTreeSet<String> = found.into_iter().flat_map(|found| found.security_groups).collect();
    Ok(groups.into_iter().collect())
}

/// Starts making a file system; its mount targets follow once it is available.
///
/// # Errors
///
/// AWS's refusal.
pub async fn create(aws: &Aws, name: &str, _spec: &Spec, tags: &Tags) -> Result<()> {
    let system = aws.efs.create_file_system().creation_token(name).encrypted(true);
    let system = system.set_tags(Some(as_tags(name, tags)));
    system.send().await.on("elasticfilesystem:CreateFileSystem", name).map(drop)
}

fn as_tags(name: &str, tags: &Tags) -> Vec<Tag> {
    let tag =
        |key: &str, value: &str| Tag::builder().key(key).value(value).build().expect("key and value are set");
    let named = (!tags.contains_key("Name")).then(|| tag("Name", name));
    tags.iter().map(|(key, value)| tag(key, value)).chain(named).collect()
}

/// Makes missing mount targets, sets the lifecycle policy and the tags.
///
/// # Errors
///
/// AWS's refusal.
pub async fn update(aws: &Aws, spec: &Spec, live: &Live, tags: &TagChanges) -> Result<()> {
    let id = &live.id;
    if !spec.retiring {
        let targets = missing(spec, live).into_iter().map(|(_, subnet)| async move {
            let target = aws.efs.create_mount_target().file_system_id(id).subnet_id(subnet);
            let target = target.set_security_groups(Some(spec.security_groups.clone()));
            match target.send().await.on("elasticfilesystem:CreateMountTarget", &format!("{id} {subnet}")) {
                // Another invocation has made it.
                Err(Error::Call { source, .. }) if source.is_taken() => Ok(()),
                made => made.map(drop),
            }
        });
        futures_util::future::try_join_all(targets).await?;
        if !live.tiered {
            let policies = [
                LifecyclePolicy::builder().transition_to_ia(TransitionToIaRules::After30Days).build(),
                LifecyclePolicy::builder()
                    .transition_to_primary_storage_class(TransitionToPrimaryStorageClassRules::After1Access)
                    .build(),
            ];
            let put = aws.efs.put_lifecycle_configuration().file_system_id(id);
            let put = put.set_lifecycle_policies(Some(policies.to_vec()));
            put.send().await.on("elasticfilesystem:PutLifecycleConfiguration", id)?;
        }
    }
    retag(aws, live, tags).await
}

/// Sets and removes tags.
///
/// # Errors
///
/// AWS's refusal.
pub async fn retag(aws: &Aws, live: &Live, tags: &TagChanges) -> Result<()> {
    let id = &live.id;
    if !tags.set.is_empty() {
        let all = tags.set.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
        let all = all.collect::<Result<Vec<_>, _>>().expect("key and value are set");
        let tag = aws.efs.tag_resource().resource_id(id).set_tags(Some(all));
        tag.send().await.on("elasticfilesystem:TagResource", id)?;
    }
    if !tags.remove.is_empty() {
        let untag = aws.efs.untag_resource().resource_id(id).set_tag_keys(Some(tags.remove.clone()));
        untag.send().await.on("elasticfilesystem:UntagResource", id)?;
    }
    Ok(())
}

/// Deletes the mount targets, or the file system once it has none.
///
/// # Errors
///
/// AWS's refusal.
pub async fn delete(aws: &Aws, live: &Live) -> Result<()> {
    let targets = live.mount_targets.values().map(|target| async move {
        let delete = aws.efs.delete_mount_target().mount_target_id(target).send().await;
        match delete.on("elasticfilesystem:DeleteMountTarget", target) {
            Err(err) if err.is_not_found() => Ok(()),
            deleted => deleted.map(drop),
        }
    });
    futures_util::future::try_join_all(targets).await?;
    if !live.mount_targets.is_empty() {
        return Ok(());
    }
    let delete = aws.efs.delete_file_system().file_system_id(&live.id);
    delete.send().await.on("elasticfilesystem:DeleteFileSystem", &live.id).map(drop)
}
