//! FSx for Lustre file systems.
//!
//! FSx knows no lookup by token or tag, so all file systems are listed and told apart by their tags; the client
//! token of the creation is made of forge and stack, so that a repeated call makes no second one.

use crate::aws::Aws;
use crate::error::{Context as _, Result};
use crate::name::{FORGE_TAG, Names, STACK_TAG, hash8};
use crate::resource::{Change, Kind, Live as AnyLive, PartId, Phase, Seen, TagChanges, Tags};
use aws_sdk_fsx::types::{
    CreateFileSystemLustreConfiguration, FileSystem, FileSystemLifecycle, FileSystemType,
    LustreDeploymentType, StorageType, Tag,
};

/// The version of Lustre that the clients of Amazon Linux 2023 speak.
const LUSTRE_VERSION: &str = "2.15";

/// What a file system should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Capacity in GiB.
    pub size: i32,
    /// FSx's word for how it is built, e.g. `SCRATCH_2`.
    pub deployment_type: String,
    /// Throughput in MB/s per TiB; only persistent file systems have it.
    pub throughput: Option<i32>,
    /// The one subnet that it is in.
    pub subnet: String,
    /// Its security groups.
    pub security_groups: Vec<String>,
    /// Whether it is only kept.
    pub retiring: bool,
}

/// What FSx says a file system is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its ID, known from the first answer on.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// Its DNS name.
    pub dns_name: String,
    /// What a client mounts; a generated name.
    pub mount_name: String,
    /// Capacity in GiB.
    pub size: i32,
    /// FSx's word for how it is built.
    pub deployment_type: String,
    /// Throughput in MB/s per TiB; only persistent file systems have it.
    pub throughput: Option<i32>,
    /// The VPC that it is in.
    pub vpc: String,
}

/// What sets a file system apart from its spec. It can only grow.
pub fn drift(spec: &Spec, live: &Live) -> Vec<Change> {
    let mut changes = Vec::new();
    if !spec.retiring && spec.size > live.size {
        Change::note(&mut changes, "StorageCapacity", &live.size, &spec.size);
    }
    changes
}

/// Looks for the file system of a forge.
///
/// # Errors
///
/// AWS's refusal.
pub async fn look(aws: &Aws, names: &Names) -> Result<Vec<Seen>> {
    let name = names.file_system();
    let all = all(aws, &name).await?;
    let ours = all.into_iter().find(|system| {
        system
            .tags()
            .iter()
            .any(|tag| tag.key() == Some(FORGE_TAG) && tag.value() == Some(names.id().as_str()))
    });
    Ok(ours.map(|system| seen(system, name)).into_iter().collect())
}

/// All FSx file systems of the account and region; `name` is what they are searched for.
///
/// # Errors
///
/// AWS's refusal.
pub async fn all(aws: &Aws, name: &str) -> Result<Vec<FileSystem>> {
    let mut pages = aws.fsx.describe_file_systems().into_paginator().send();
    let mut all = Vec::new();
    while let Some(page) = pages.next().await {
        all.extend(page.on("fsx:DescribeFileSystems", name)?.file_systems.unwrap_or_default());
    }
    Ok(all)
}

fn seen(system: FileSystem, name: String) -> Seen {
    let phase = match &system.lifecycle {
        Some(
            state @ (FileSystemLifecycle::Creating
            | FileSystemLifecycle::Updating
            | FileSystemLifecycle::Deleting),
        ) => Phase::Settling(state.as_str().to_owned()),
        Some(state @ (FileSystemLifecycle::Failed | FileSystemLifecycle::MisconfiguredUnavailable)) => {
            let why = system
                .failure_details()
                .and_then(|failure| failure.message())
                .unwrap_or("FSx gives no reason");
            Phase::Broken(format!("{}: {why}", state.as_str()))
        }
        _ => Phase::Settled,
    };
    let lustre = system.lustre_configuration.as_ref();
    let live = Live {
        id: system.file_system_id.clone().unwrap_or_default(),
        arn: system.resource_arn.clone().unwrap_or_default(),
        dns_name: system.dns_name.clone().unwrap_or_default(),
        mount_name: lustre.and_then(|lustre| lustre.mount_name.clone()).unwrap_or_default(),
        size: system.storage_capacity.unwrap_or_default(),
        deployment_type: lustre
            .and_then(|lustre| lustre.deployment_type.as_ref())
            .map(|sort| sort.as_str().to_owned())
            .unwrap_or_default(),
        throughput: lustre.and_then(|lustre| lustre.per_unit_storage_throughput),
        vpc: system.vpc_id.clone().unwrap_or_default(),
    };
    let tags = system.tags.unwrap_or_default();
    Seen {
        id: PartId::new(Kind::Fsx, name),
        tags: tags.into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect(),
        phase,
        refs: Vec::new(),
        live: AnyLive::Fsx(live),
    }
}

/// Starts making a file system.
///
/// # Errors
///
/// AWS's refusal.
pub async fn create(aws: &Aws, name: &str, spec: &Spec, tags: &Tags) -> Result<()> {
    let lustre = CreateFileSystemLustreConfiguration::builder()
        .deployment_type(LustreDeploymentType::from(spec.deployment_type.as_str()))
        .set_per_unit_storage_throughput(spec.throughput)
        .build();
    let system = aws
        .fsx
        .create_file_system()
        .client_request_token(token(name, tags))
        .file_system_type(FileSystemType::Lustre)
        .file_system_type_version(LUSTRE_VERSION)
        .storage_type(StorageType::Ssd)
        .storage_capacity(spec.size)
        .subnet_ids(&spec.subnet)
        .set_security_group_ids(Some(spec.security_groups.clone()))
        .lustre_configuration(lustre)
        .set_tags(Some(as_tags(name, tags)));
    system.send().await.on("fsx:CreateFileSystem", name).map(drop)
}

/// The same for every try of one stack, and another for another stack that gives its forge the same ID: FSx
/// remembers a token beyond the file system's end.
fn token(name: &str, tags: &Tags) -> String {
    format!("{name}-{}", hash8(&serde_json::json!(tags.get(STACK_TAG))))
}

fn as_tags(name: &str, tags: &Tags) -> Vec<Tag> {
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let named = (!tags.contains_key("Name")).then(|| tag("Name", name));
    tags.iter().map(|(key, value)| tag(key, value)).chain(named).collect()
}

/// Grows a file system and sets its tags.
///
/// # Errors
///
/// AWS's refusal.
pub async fn update(aws: &Aws, spec: &Spec, live: &Live, tags: &TagChanges) -> Result<()> {
    if !drift(spec, live).is_empty() {
        let grow = aws.fsx.update_file_system().file_system_id(&live.id).storage_capacity(spec.size);
        grow.send().await.on("fsx:UpdateFileSystem", &live.id)?;
    }
    retag(aws, live, tags).await
}

/// Sets and removes tags.
///
/// # Errors
///
/// AWS's refusal.
pub async fn retag(aws: &Aws, live: &Live, tags: &TagChanges) -> Result<()> {
    if !tags.set.is_empty() {
        let all = tags.set.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
        let tag = aws.fsx.tag_resource().resource_arn(&live.arn).set_tags(Some(all.collect()));
        tag.send().await.on("fsx:TagResource", &live.id)?;
    }
    if !tags.remove.is_empty() {
        let untag = aws.fsx.untag_resource().resource_arn(&live.arn).set_tag_keys(Some(tags.remove.clone()));
        untag.send().await.on("fsx:UntagResource", &live.id)?;
    }
    Ok(())
}

/// Deletes a file system. Lustre takes no final backup unless asked for one.
///
/// # Errors
///
/// AWS's refusal.
pub async fn delete(aws: &Aws, live: &Live) -> Result<()> {
    aws.fsx
        .delete_file_system()
        .file_system_id(&live.id)
        .send()
        .await
        .on("fsx:DeleteFileSystem", &live.id)
        .map(drop)
}
