//! EC2 launch templates: one immutable template per generation, version 1.
//!
//! An environment with its own service role never takes up a new version of its template, so there is nothing
//! to be gained from versions.

use crate::aws::Aws;
use crate::error::{Context as _, Result};
use crate::name::Names;
use crate::resource::{Kind, Live as AnyLive, PartId, Phase, Seen, TagChanges, Tags};
use aws_sdk_ec2::types::{
    Filter, LaunchTemplateBlockDeviceMappingRequest, LaunchTemplateEbsBlockDeviceRequest,
    LaunchTemplateHttpTokensState, LaunchTemplateInstanceMetadataOptionsRequest,
    LaunchTemplateTagSpecificationRequest, RequestLaunchTemplateData, ResourceType, ShutdownBehavior, Tag,
    TagSpecification, VolumeType,
};
use base64::Engine as _;

/// What a launch template holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The root volume.
    pub root: RootVolume,
    /// What an instance does at boot, as MIME multipart text.
    pub user_data: String,
    /// The tags of instances and volumes.
    pub instance_tags: Tags,
}

/// The root volume of an instance, a gp3 volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootVolume {
    /// Size in GiB.
    pub size: i32,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The KMS key, if not the account's default.
    pub kms_key: Option<String>,
    /// I/O operations per second, if not gp3's 3000.
    pub iops: Option<i32>,
    /// Throughput in MiB/s, if not gp3's 125.
    pub throughput: Option<i32>,
}

/// What EC2 says a launch template is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its ID.
    pub template_id: String,
}

/// Looks for all launch templates of a forge.
///
/// # Errors
///
/// AWS's refusal.
pub async fn look(aws: &Aws, names: &Names) -> Result<Vec<Seen>> {
    let family = names.family();
    let filter = Filter::builder().name("launch-template-name").values(format!("{family}*")).build();
    let pages = aws.ec2.describe_launch_templates().filters(filter).into_paginator().items().send();
    let found = pages.try_collect().await.on("ec2:DescribeLaunchTemplates", &family)?;
    let seen = found.into_iter().filter_map(|template| {
        let name = template.launch_template_name?;
        let tags = template.tags.unwrap_or_default();
        Some(Seen {
            id: PartId::new(Kind::LaunchTemplate, name),
            tags: tags
                .into_iter()
                .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
                .collect(),
            phase: Phase::Settled,
            refs: Vec::new(),
            live: AnyLive::LaunchTemplate(Live { template_id: template.launch_template_id? }),
        })
    });
    Ok(seen.filter(|seen| seen.id.name.starts_with(&family)).collect())
}

/// Makes a launch template.
///
/// # Errors
///
/// AWS's refusal.
pub async fn create(aws: &Aws, name: &str, spec: &Spec, tags: &Tags) -> Result<()> {
    let own = TagSpecification::builder().resource_type(ResourceType::LaunchTemplate);
    let template = aws
        .ec2
        .create_launch_template()
        .launch_template_name(name)
        .version_description("Made by Tower Forge for CloudFormation; never changed.")
        .launch_template_data(content(spec))
        .tag_specifications(own.set_tags(Some(as_tags(tags))).build());
    template.send().await.on("ec2:CreateLaunchTemplate", name).map(drop)
}

fn content(spec: &Spec) -> RequestLaunchTemplateData {
    let RootVolume { size, encrypted, kms_key, iops, throughput } = &spec.root;
    let volume = LaunchTemplateEbsBlockDeviceRequest::builder()
        .volume_type(VolumeType::Gp3)
        .volume_size(*size)
        .encrypted(*encrypted)
        .set_kms_key_id(kms_key.clone())
        .set_iops(*iops)
        .set_throughput(*throughput)
        .delete_on_termination(true)
        .build();
    // The root device of Amazon Linux 2023 for ECS.
    let root =
        LaunchTemplateBlockDeviceMappingRequest::builder().device_name("/dev/xvda").ebs(volume).build();
    // Two hops, because a task reaches the metadata service through Docker's bridge.
    let metadata = LaunchTemplateInstanceMetadataOptionsRequest::builder()
        .http_tokens(LaunchTemplateHttpTokensState::Required)
        .http_put_response_hop_limit(2)
        .build();
    let tagged = |resource: ResourceType| {
        let tags = Some(as_tags(&spec.instance_tags));
        LaunchTemplateTagSpecificationRequest::builder().resource_type(resource).set_tags(tags).build()
    };
    RequestLaunchTemplateData::builder()
        .block_device_mappings(root)
        .metadata_options(metadata)
        // An instance on which no job may run shuts itself down: it must not stay, stopped and paid for.
        .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
        .user_data(base64::engine::general_purpose::STANDARD.encode(&spec.user_data))
        .tag_specifications(tagged(ResourceType::Instance))
        .tag_specifications(tagged(ResourceType::Volume))
        .build()
}

fn as_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Sets and removes tags; the content never changes.
///
/// # Errors
///
/// AWS's refusal.
pub async fn update(aws: &Aws, live: &Live, tags: &TagChanges) -> Result<()> {
    let id = &live.template_id;
    if !tags.set.is_empty() {
        let set = aws.ec2.create_tags().resources(id).set_tags(Some(as_tags(&tags.set)));
        set.send().await.on("ec2:CreateTags", id)?;
    }
    if !tags.remove.is_empty() {
        let keys = tags.remove.iter().map(|key| Tag::builder().key(key).build()).collect();
        let remove = aws.ec2.delete_tags().resources(id).set_tags(Some(keys));
        remove.send().await.on("ec2:DeleteTags", id)?;
    }
    Ok(())
}

/// Deletes a launch template.
///
/// # Errors
///
/// AWS's refusal.
pub async fn delete(aws: &Aws, name: &str, live: &Live) -> Result<()> {
    let delete = aws.ec2.delete_launch_template().launch_template_id(&live.template_id);
    delete.send().await.on("ec2:DeleteLaunchTemplate", name).map(drop)
}
