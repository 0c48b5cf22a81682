//! EC2 launch templates.

use crate::aws::clients::Services;
use crate::aws::error::Context as _;
use aws_sdk_ec2::types::{
    Filter, LaunchTemplateBlockDeviceMappingRequest, LaunchTemplateEbsBlockDeviceRequest,
    LaunchTemplateHttpTokensState, LaunchTemplateInstanceMetadataOptionsRequest,
    LaunchTemplateTagSpecificationRequest, RequestLaunchTemplateData, ResourceType, ShutdownBehavior, Tag,
    TagSpecification, VolumeType,
};
use base64::Engine as _;
use tower_forge_core::error::Result;
use tower_forge_core::name::Names;
use tower_forge_core::resource::{Found, Kind, Listing, MutatingCall as _, Phase, ResourceId, Tags};
use tower_forge_core::resources::launch_template::{Call, Observed, RootVolume, Spec};

/// Looks for all launch templates of a forge.
pub(crate) async fn list(services: &Services, names: &Names) -> Result<Listing<Observed>> {
    let family = names.family();
    let region = services.ec2.config().region().map(ToString::to_string).unwrap_or_default();
    let filter = Filter::builder().name("launch-template-name").values(format!("{family}*")).build();
    let pages = services.ec2.describe_launch_templates().filters(filter).into_paginator().items().send();
    let found = pages.try_collect().await.on("ec2:DescribeLaunchTemplates", &family)?;
    let found = found.into_iter().filter_map(|template| {
        let name = template.launch_template_name.filter(|name| name.starts_with(&family))?;
        let tags = template.tags.unwrap_or_default().into_iter();
        Some(Found {
            id: ResourceId::new(Kind::LaunchTemplate, name),
            tags: tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect(),
            phase: Phase::Settled,
            refs: Vec::new(),
            created: template.create_time.map(|created| created.secs()),
            observed: Observed {
                template_id: template.launch_template_id?,
                stranger: template.created_by.filter(|arn| !names.is_of_function(arn, &region)),
            },
        })
    });
    Ok(Listing::of(found.collect()))
}

/// Makes one mutating call.
pub(crate) async fn write(services: &Services, name: &str, call: &Call) -> Result<()> {
    let ec2 = &services.ec2;
    let action = call.action();
    match call {
        Call::Create { content: spec, tags } => {
            let own = TagSpecification::builder().resource_type(ResourceType::LaunchTemplate);
            let create = ec2
                .create_launch_template()
                .launch_template_name(name)
                .version_description("Made by Tower Forge for CloudFormation; never changed.")
                .launch_template_data(content(spec))
                .tag_specifications(own.set_tags(Some(as_tags(tags))).build());
            create.send().await.on(action, name).map(drop)
        }
        Call::Tag { id, tags } => {
            let tags = Some(as_tags(tags));
            ec2.create_tags().resources(id).set_tags(tags).send().await.on(action, id).map(drop)
        }
        Call::Untag { id, keys } => {
            let keys = keys.iter().map(|key| Tag::builder().key(key).build()).collect();
            ec2.delete_tags().resources(id).set_tags(Some(keys)).send().await.on(action, id).map(drop)
        }
        Call::Delete(id) => {
            ec2.delete_launch_template().launch_template_id(id).send().await.on(action, name).map(drop)
        }
    }
}

fn content(spec: &Spec) -> RequestLaunchTemplateData {
    let RootVolume { device, size, encrypted, kms_key, iops, throughput } = &spec.root;
    let volume = LaunchTemplateEbsBlockDeviceRequest::builder()
        .volume_type(VolumeType::Gp3)
        .volume_size(*size)
        .encrypted(*encrypted)
        .set_kms_key_id(kms_key.clone())
        .set_iops(*iops)
        .set_throughput(*throughput)
        .delete_on_termination(true)
        .build();
    let root = LaunchTemplateBlockDeviceMappingRequest::builder().device_name(device).ebs(volume).build();
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
