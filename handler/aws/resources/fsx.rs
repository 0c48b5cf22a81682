//! FSx for Lustre file systems.

use crate::aws::clients::Services;
use crate::aws::error::Context as _;
use aws_sdk_fsx::primitives::DateTime;
use aws_sdk_fsx::types::{
    AdministrativeAction, AdministrativeActionType, CreateFileSystemLustreConfiguration, FileSystem,
    FileSystemLifecycle, FileSystemType, LustreDeploymentType, Status, StorageType, Tag,
};
use tower_forge_core::error::Result;
use tower_forge_core::name::{FORGE_TAG, Names};
use tower_forge_core::resource::{Found, Kind, Listing, MutatingCall as _, Phase, ResourceId, Tags};
use tower_forge_core::resources::fsx::{Call, Observed};

/// The version of Lustre that the clients of Amazon Linux 2023 speak.
const LUSTRE_VERSION: &str = "2.15";

/// Looks for the file system of a forge.
pub(crate) async fn list(services: &Services, names: &Names) -> Result<Listing<Observed>> {
    let name = names.file_system();
    let is_ours = |tag: &Tag| tag.key() == Some(FORGE_TAG) && tag.value() == Some(names.id().as_str());
    let all = all(services, &name).await?;
    let ours = all.into_iter().find(|system| system.tags().iter().any(is_ours));
    Ok(Listing::of(ours.map(|system| observe(system, name)).into_iter().collect()))
}

/// All FSx file systems of the account and region; `name` is the one searched for.
pub(crate) async fn all(services: &Services, name: &str) -> Result<Vec<FileSystem>> {
    let mut pages = services.fsx.describe_file_systems().into_paginator().send();
    let mut all = Vec::new();
    while let Some(page) = pages.next().await {
        all.extend(page.on("fsx:DescribeFileSystems", name)?.file_systems.unwrap_or_default());
    }
    Ok(all)
}

/// The last growth of a file system, and the capacity that it leads to. The file system stays AVAILABLE meanwhile, with its
/// old capacity; only this action tells of it.
fn growth(system: &FileSystem) -> Option<(&AdministrativeAction, i32)> {
    let updates = system.administrative_actions().iter().filter_map(|action| {
        let is_update = action.administrative_action_type == Some(AdministrativeActionType::FileSystemUpdate);
        let size = action.target_file_system_values()?.storage_capacity()?;
        is_update.then_some((action, size))
    });
    updates.max_by_key(|(action, _)| action.request_time().map(DateTime::secs))
}

fn is_under_way(action: &AdministrativeAction) -> bool {
    matches!(action.status, Some(Status::Pending | Status::InProgress))
}

fn phase(system: &FileSystem) -> Phase {
    match &system.lifecycle {
        Some(state @ (FileSystemLifecycle::Creating | FileSystemLifecycle::Updating)) => {
            Phase::Settling(state.as_str().to_owned())
        }
        Some(state @ FileSystemLifecycle::Deleting) => Phase::Deleting(state.as_str().to_owned()),
        Some(state @ (FileSystemLifecycle::Failed | FileSystemLifecycle::MisconfiguredUnavailable)) => {
            let why = system.failure_details().and_then(|failure| failure.message());
            Phase::Broken(format!("{}: {}", state.as_str(), why.unwrap_or("FSx gives no reason")))
        }
        _ => match growth(system).filter(|(action, _)| is_under_way(action)) {
            Some((_, size)) => Phase::Settling(format!("growing to {size} GiB")),
            None => Phase::Settled,
        },
    }
}

fn observe(system: FileSystem, name: String) -> Found<Observed> {
    let phase = phase(&system);
    let growth = growth(&system);
    let growing_to = growth.filter(|(action, _)| is_under_way(action)).map(|(_, size)| size);
    let failed = growth.filter(|(action, _)| action.status == Some(Status::Failed));
    let failed_growth = failed.map(|(action, size)| {
        let why = action.failure_details().and_then(|failure| failure.message());
        format!("its growth to {size} GiB failed: {}", why.unwrap_or("FSx gives no reason"))
    });
    let lustre = system.lustre_configuration.as_ref();
    let deployment_type = lustre.and_then(|lustre| lustre.deployment_type.as_ref());
    let observed = Observed {
        mount_name: lustre.and_then(|lustre| lustre.mount_name.clone()).unwrap_or_default(),
        deployment_type: deployment_type.map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        throughput: lustre.and_then(|lustre| lustre.per_unit_storage_throughput),
        id: system.file_system_id.unwrap_or_default(),
        arn: system.resource_arn.unwrap_or_default(),
        dns_name: system.dns_name.unwrap_or_default(),
        size: growing_to.or(system.storage_capacity).unwrap_or_default(),
        failed_growth,
        vpc: system.vpc_id.unwrap_or_default(),
    };
    let tags = system.tags.unwrap_or_default().into_iter();
    Found {
        id: ResourceId::new(Kind::Fsx, name),
        tags: tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect(),
        phase,
        refs: Vec::new(),
        created: None,
        observed,
    }
}

/// Makes one mutating call.
pub(crate) async fn write(services: &Services, name: &str, call: &Call) -> Result<()> {
    let fsx = &services.fsx;
    let action = call.action();
    match call {
        Call::Create { client_token, spec, tags } => {
            let lustre = CreateFileSystemLustreConfiguration::builder()
                .deployment_type(LustreDeploymentType::from(spec.deployment_type.as_str()))
                .set_per_unit_storage_throughput(spec.throughput)
                .build();
            let create = fsx
                .create_file_system()
                .client_request_token(client_token)
                .file_system_type(FileSystemType::Lustre)
                .file_system_type_version(LUSTRE_VERSION)
                .storage_type(StorageType::Ssd)
                .storage_capacity(spec.size)
                .subnet_ids(&spec.subnet)
                .set_security_group_ids(Some(spec.security_groups.clone()))
                .lustre_configuration(lustre)
                .set_tags(Some(named(name, tags)));
            create.send().await.on(action, name).map(drop)
        }
        Call::Grow { id, size } => {
            let grow = fsx.update_file_system().file_system_id(id).storage_capacity(*size);
            grow.send().await.on(action, id).map(drop)
        }
        Call::Delete(id) => fsx.delete_file_system().file_system_id(id).send().await.on(action, id).map(drop),
        Call::Tag { arn, tags } => {
            let tags = Some(tags.iter().map(|(key, value)| tag(key, value)).collect());
            fsx.tag_resource().resource_arn(arn).set_tags(tags).send().await.on(action, arn).map(drop)
        }
        Call::Untag { arn, keys } => {
            let untag = fsx.untag_resource().resource_arn(arn).set_tag_keys(Some(keys.clone()));
            untag.send().await.on(action, arn).map(drop)
        }
    }
}

/// Tags with a name, unless the stack has given another one.
fn named(name: &str, tags: &Tags) -> Vec<Tag> {
    let own = (!tags.contains_key("Name")).then(|| tag("Name", name));
    tags.iter().map(|(key, value)| tag(key, value)).chain(own).collect()
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}
