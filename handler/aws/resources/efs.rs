//! EFS file systems.

use crate::aws::clients::Services;
use crate::aws::error::Context as _;
use aws_sdk_efs::types::{
    FileSystemDescription, LifeCycleState, LifecyclePolicy, Tag, TransitionToIaRules,
    TransitionToPrimaryStorageClassRules,
};
use std::collections::{BTreeMap, BTreeSet};
use tower_forge_core::error::Result;
use tower_forge_core::name::Names;
use tower_forge_core::resource::{Found, Kind, Listing, MutatingCall as _, Phase, ResourceId, Tags};
use tower_forge_core::resources::efs::{Call, Observed};

/// Looks for the file system of a forge.
pub(crate) async fn list(services: &Services, names: &Names) -> Result<Listing<Observed>> {
    let name = names.file_system();
    let found = services.efs.describe_file_systems().creation_token(&name).send().await;
    let found = match found.on("elasticfilesystem:DescribeFileSystems", &name) {
        Err(err) if err.is_not_found() => return Ok(Listing::of(Vec::new())),
        found => found?,
    };
    let Some(system) = found.file_systems.unwrap_or_default().into_iter().next() else {
        return Ok(Listing::of(Vec::new()));
    };
    match observe(services, name, system).await {
        // It was deleted in between.
        Err(err) if err.is_not_found() => Ok(Listing::of(Vec::new())),
        found => Ok(Listing::of(vec![found?])),
    }
}

async fn observe(
    services: &Services,
    name: String,
    system: FileSystemDescription,
) -> Result<Found<Observed>> {
    let id = system.file_system_id;
    let mut phase = match &system.life_cycle_state {
        LifeCycleState::Available => Phase::Settled,
        LifeCycleState::Error => Phase::Broken("the file system is in state error".to_owned()),
        state @ LifeCycleState::Deleting => Phase::Deleting(state.as_str().to_owned()),
        state => Phase::Settling(state.as_str().to_owned()),
    };
    let mut observed = Observed { id, mount_targets: BTreeMap::new(), tiered: false, vpc: None };
    if phase == Phase::Settled {
        phase = observe_targets(services, &mut observed).await?;
    }
    if phase == Phase::Settled {
        let id = &observed.id;
        let lifecycle = services.efs.describe_lifecycle_configuration().file_system_id(id).send().await;
        let lifecycle = lifecycle.on("elasticfilesystem:DescribeLifecycleConfiguration", id)?;
        observed.tiered = !lifecycle.lifecycle_policies().is_empty();
    }
    let tags = system.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    Ok(Found { id: ResourceId::new(Kind::Efs, name), tags, phase, refs: Vec::new(), created: None, observed })
}

async fn observe_targets(services: &Services, observed: &mut Observed) -> Result<Phase> {
    let id = &observed.id;
    let targets = services.efs.describe_mount_targets().file_system_id(id).into_paginator().items().send();
    let targets = targets.try_collect().await.on("elasticfilesystem:DescribeMountTargets", id)?;
    let mut phase = Phase::Settled;
    for target in targets {
        match target.life_cycle_state {
            LifeCycleState::Available => {}
            LifeCycleState::Error => {
                phase = Phase::Broken(format!("mount target {} is in state error", target.mount_target_id));
            }
            state => phase = Phase::Settling(format!("mount target {}", state.as_str())),
        }
        observed.vpc = target.vpc_id;
        observed
            .mount_targets
            .insert(target.availability_zone_id.unwrap_or_default(), target.mount_target_id);
    }
    Ok(phase)
}

/// The ID of the file system of a forge, if it has been made.
pub(crate) async fn id(services: &Services, names: &Names) -> Result<Option<String>> {
    let name = names.file_system();
    let found = services.efs.describe_file_systems().creation_token(&name).send().await;
    match found.on("elasticfilesystem:DescribeFileSystems", &name) {
        Err(err) if err.is_not_found() => Ok(None),
        found => {
            Ok(found?.file_systems.unwrap_or_default().into_iter().next().map(|system| system.file_system_id))
        }
    }
}

/// The security groups of the mount targets that a file system has in a VPC; it may be anybody's.
pub(crate) async fn groups(services: &Services, id: &str, vpc: &str) -> Result<Vec<String>> {
    let targets = services.efs.describe_mount_targets().file_system_id(id).into_paginator().items().send();
    let targets = targets.try_collect().await.on("elasticfilesystem:DescribeMountTargets", id)?;
    let here = targets.into_iter().filter(|target| target.vpc_id() == Some(vpc));
    let groups = here.map(|target| async move {
        let target = target.mount_target_id;
        let found =
            services.efs.describe_mount_target_security_groups().mount_target_id(&target).send().await;
        found.on("elasticfilesystem:DescribeMountTargetSecurityGroups", &target)
    });
    let found = futures_util::future::try_join_all(groups).await?;
    let groups: BTreeSet<String> = found.into_iter().flat_map(|found| found.security_groups).collect();
    Ok(groups.into_iter().collect())
}

/// Makes one mutating call.
pub(crate) async fn write(services: &Services, name: &str, call: &Call) -> Result<()> {
    let efs = &services.efs;
    let action = call.action();
    match call {
        Call::Create(tags) => {
            let create = efs.create_file_system().creation_token(name).encrypted(true);
            create.set_tags(Some(named(name, tags))).send().await.on(action, name).map(drop)
        }
        Call::CreateMountTarget { id, subnet, security_groups } => {
            let create = efs.create_mount_target().file_system_id(id).subnet_id(subnet);
            let create = create.set_security_groups(Some(security_groups.clone())).send().await;
            create.on(action, &format!("{id} {subnet}")).map(drop)
        }
        Call::Tier(id) => {
            let put = efs.put_lifecycle_configuration().file_system_id(id);
            put.set_lifecycle_policies(Some(tiers())).send().await.on(action, id).map(drop)
        }
        Call::DeleteMountTarget(id) => {
            efs.delete_mount_target().mount_target_id(id).send().await.on(action, id).map(drop)
        }
        Call::Delete(id) => efs.delete_file_system().file_system_id(id).send().await.on(action, id).map(drop),
        Call::Tag { id, tags } => {
            let tags = Some(tags.iter().map(|(key, value)| tag(key, value)).collect());
            efs.tag_resource().resource_id(id).set_tags(tags).send().await.on(action, id).map(drop)
        }
        Call::Untag { id, keys } => {
            let untag = efs.untag_resource().resource_id(id).set_tag_keys(Some(keys.clone()));
            untag.send().await.on(action, id).map(drop)
        }
    }
}

/// Files that nobody reads move to a cheaper class, and back when they are read.
fn tiers() -> Vec<LifecyclePolicy> {
    let back = TransitionToPrimaryStorageClassRules::After1Access;
    vec![
        LifecyclePolicy::builder().transition_to_ia(TransitionToIaRules::After30Days).build(),
        LifecyclePolicy::builder().transition_to_primary_storage_class(back).build(),
    ]
}

/// Tags with a name, unless the stack has given another one.
fn named(name: &str, tags: &Tags) -> Vec<Tag> {
    let own = (!tags.contains_key("Name")).then(|| tag("Name", name));
    tags.iter().map(|(key, value)| tag(key, value)).chain(own).collect()
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().expect("key and value are set")
}
