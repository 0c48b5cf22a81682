//! Batch compute environments.

use crate::aws::clients::Services;
use crate::aws::error::Context as _;
use aws_sdk_batch::types::{
    CeState, CeStatus, CeType, ComputeEnvironmentDetail, ComputeResource, ComputeResourceUpdate,
    CrAllocationStrategy, CrType, Ec2Configuration, JobStatus, LaunchTemplateSpecification,
};
use tower_forge_core::error::Result;
use tower_forge_core::name::{FORGE_TAG, Names};
use tower_forge_core::resource::{
    AccountUse, Found, Kind, Listing, MutatingCall as _, Phase, ResourceId, Tags,
};
use tower_forge_core::resources::compute_environment::{
    Call, Instances, Observed, Placement, Resources, Update, is_service_linked,
};
use tower_forge_core::resources::name_of;

/// Looks at all compute environments of the account: one call shows all generations of the forge, and how busy Batch
/// is. An account has at most 50.
pub(crate) async fn list(services: &Services, names: &Names) -> Result<Listing<Observed>> {
    let family = names.family();
    let pages = services.batch.describe_compute_environments().into_paginator().items().send();
    let mut all = pages.try_collect().await.on("batch:DescribeComputeEnvironments", &family)?;
    // Batch goes on listing an environment for a while after it has been deleted; it takes no room in the account.
    all.retain(|each| each.status() != Some(&CeStatus::Deleted));
    let account = AccountUse {
        total: all.len(),
        in_transition: all.iter().filter(|each| is_in_transition(&phase(each))).count(),
        forges: all.iter().filter_map(|each| forge_of(each, names)).collect(),
        ..AccountUse::default()
    };
    let ours = all
        .into_iter()
        .filter(|each| each.compute_environment_name().is_some_and(|name| name.starts_with(&family)));
    let mut found: Vec<Found<Observed>> = ours.map(observe).collect();
    for each in found.iter_mut().filter(|each| each.observed.min_vcpus.is_none() && !each.observed.enabled) {
        each.observed.is_idle = !has_jobs(services, &each.observed.arn, &family).await?;
    }
    Ok(Listing { found, account })
}

/// The ID of the forge of the same deployment that an environment belongs to.
fn forge_of(environment: &ComputeEnvironmentDetail, names: &Names) -> Option<String> {
    let is_ours = names.is_of_deployment(environment.compute_environment_name()?);
    environment.tags()?.get(FORGE_TAG).filter(|_| is_ours).cloned()
}

/// A phase that ends by itself.
pub(super) fn is_in_transition(phase: &Phase) -> bool {
    matches!(phase, Phase::Settling(_) | Phase::Deleting(_))
}

fn phase(environment: &ComputeEnvironmentDetail) -> Phase {
    match environment.status() {
        Some(status @ (CeStatus::Creating | CeStatus::Updating)) => {
            Phase::Settling(status.as_str().to_owned())
        }
        Some(status @ CeStatus::Deleting) => Phase::Deleting(status.as_str().to_owned()),
        Some(CeStatus::Invalid) => {
            Phase::Broken(environment.status_reason().unwrap_or("AWS gives no reason").to_owned())
        }
        _ => Phase::Settled,
    }
}

fn observe(environment: ComputeEnvironmentDetail) -> Found<Observed> {
    let phase = phase(&environment);
    let refs = refs(&environment);
    let resources = environment.compute_resources.as_ref();
    let on_fargate = matches!(
        resources.and_then(|resources| resources.r#type.as_ref()),
        Some(CrType::Fargate | CrType::FargateSpot)
    );
    let instances = resources.filter(|_| !on_fargate);
    let desired_vcpus = instances.and_then(|resources| resources.desiredv_cpus).unwrap_or_default();
    let observed = Observed {
        arn: environment.compute_environment_arn.unwrap_or_default(),
        enabled: environment.state == Some(CeState::Enabled),
        min_vcpus: instances.map(|resources| resources.minv_cpus.unwrap_or_default()),
        max_vcpus: resources.and_then(|resources| resources.maxv_cpus).unwrap_or_default(),
        desired_vcpus,
        is_idle: instances.is_some() && desired_vcpus == 0,
        service_role: environment.service_role.unwrap_or_default(),
    };
    let name = environment.compute_environment_name.unwrap_or_default();
    Found {
        id: ResourceId::new(Kind::ComputeEnvironment, name),
        tags: environment.tags.unwrap_or_default().into_iter().collect(),
        phase,
        refs,
        created: None,
        observed,
    }
}

fn refs(environment: &ComputeEnvironmentDetail) -> Vec<ResourceId> {
    let resources = environment.compute_resources.as_ref();
    let template = resources.and_then(|resources| resources.launch_template());
    let refs = [
        (Kind::Role, environment.service_role().filter(|role| !is_service_linked(role))),
        (Kind::InstanceProfile, resources.and_then(|resources| resources.instance_role())),
        (Kind::Role, resources.and_then(|resources| resources.spot_iam_fleet_role())),
        (Kind::LaunchTemplate, template.and_then(|template| template.launch_template_name())),
    ];
    let named = refs.into_iter().filter_map(|(kind, arn)| Some((kind, arn.filter(|arn| !arn.is_empty())?)));
    named.map(|(kind, arn)| ResourceId::new(kind, name_of(arn))).collect()
}

/// Whether a job is starting or running in a queue that refers to an environment; a Fargate environment does not tell
/// itself. The jobs of one to which no queue refers are still in a queue of its forge.
async fn has_jobs(services: &Services, environment: &str, family: &str) -> Result<bool> {
    let pages = services.batch.describe_job_queues().into_paginator().items().send();
    let queues = pages.try_collect().await.on("batch:DescribeJobQueues", environment)?;
    let holds = |queue: &aws_sdk_batch::types::JobQueueDetail| {
        queue.compute_environment_order().iter().any(|each| each.compute_environment() == Some(environment))
    };
    let is_held = queues.iter().any(holds);
    let named = |queue: &aws_sdk_batch::types::JobQueueDetail| {
        queue.job_queue_name().is_some_and(|name| name.starts_with(family))
    };
    let may_run = |queue: &&_| if is_held { holds(queue) } else { named(queue) };
    for queue in queues.iter().filter(may_run).filter_map(|queue| queue.job_queue_name()) {
        for status in [JobStatus::Starting, JobStatus::Running] {
            // A page may be empty although more follow.
            let jobs = services.batch.list_jobs().job_queue(queue).job_status(status);
            let first = jobs.into_paginator().items().send().next().await.transpose();
            match first.on("batch:ListJobs", queue) {
                // The queue has gone since it was listed, and its jobs with it.
                Err(err) if err.is_not_found() => {}
                Err(err) => return Err(err),
                Ok(None) => {}
                Ok(Some(_)) => return Ok(true),
            }
        }
    }
    Ok(false)
}

/// Makes one mutating call.
pub(crate) async fn write(services: &Services, name: &str, call: &Call) -> Result<()> {
    let batch = &services.batch;
    let action = call.action();
    match call {
        Call::Create { min_vcpus, max_vcpus, service_role, resources, tags } => {
            let create = batch
                .create_compute_environment()
                .compute_environment_name(name)
                .r#type(CeType::Managed)
                .state(CeState::Enabled)
                .set_service_role(service_role.clone())
                .compute_resources(compute_resource(*min_vcpus, *max_vcpus, resources))
                .set_tags(Some(tags.clone().into_iter().collect()));
            create.send().await.on(action, name).map(drop)
        }
        Call::Update(Update { enabled, service_role, min_vcpus, max_vcpus }) => {
            let state = enabled.map(|enabled| if enabled { CeState::Enabled } else { CeState::Disabled });
            let limits = (min_vcpus.is_some() || max_vcpus.is_some()).then(|| {
                ComputeResourceUpdate::builder().set_minv_cpus(*min_vcpus).set_maxv_cpus(*max_vcpus).build()
            });
            let update = batch
                .update_compute_environment()
                .compute_environment(name)
                .set_state(state)
                .set_service_role(service_role.clone())
                .set_compute_resources(limits);
            update.send().await.on(action, name).map(drop)
        }
        Call::Delete => {
            let delete = batch.delete_compute_environment().compute_environment(name);
            delete.send().await.on(action, name).map(drop)
        }
        Call::Tag { arn, tags } => tag(services, action, arn, tags).await,
        Call::Untag { arn, keys } => untag(services, action, arn, keys).await,
    }
}

/// Sets tags on a resource of Batch.
pub(super) async fn tag(services: &Services, action: &'static str, arn: &str, tags: &Tags) -> Result<()> {
    let tags = Some(tags.clone().into_iter().collect());
    services.batch.tag_resource().resource_arn(arn).set_tags(tags).send().await.on(action, arn).map(drop)
}

/// Removes tags from a resource of Batch.
pub(super) async fn untag(
    services: &Services,
    action: &'static str,
    arn: &str,
    keys: &[String],
) -> Result<()> {
    let untag = services.batch.untag_resource().resource_arn(arn).set_tag_keys(Some(keys.to_vec()));
    untag.send().await.on(action, arn).map(drop)
}

fn compute_resource(min_vcpus: i32, max_vcpus: i32, resources: &Resources) -> ComputeResource {
    let base = |kind: CrType, placement: &Placement| {
        ComputeResource::builder()
            .r#type(kind)
            .maxv_cpus(max_vcpus)
            .set_subnets(Some(placement.subnets.clone()))
            .set_security_group_ids(Some(placement.security_groups.clone()))
    };
    let instances: &Instances = match resources {
        Resources::Fargate(placement) => return base(CrType::Fargate, placement).build(),
        Resources::Instances(instances) => instances,
    };
    let kind = if instances.spot { CrType::Spot } else { CrType::Ec2 };
    let template = LaunchTemplateSpecification::builder()
        .launch_template_name(&instances.launch_template)
        .version("1")
        .build();
    // The only place in which an image is named: AWS documents the precedence of the others twice, and differently.
    let image = Ec2Configuration::builder()
        .image_type(&instances.image_type)
        .set_image_id_override(instances.image_id.clone())
        .build();
    base(kind, &instances.placement)
        .minv_cpus(min_vcpus)
        .allocation_strategy(CrAllocationStrategy::from(instances.strategy.as_str()))
        .set_bid_percentage(instances.bid_percentage)
        .set_instance_types(Some(instances.instance_types.clone()))
        .instance_role(&instances.instance_profile)
        .set_spot_iam_fleet_role(instances.fleet_role.clone())
        .launch_template(template)
        .ec2_configuration(image)
        .set_ec2_key_pair(instances.key_pair.clone())
        .set_tags(Some(instances.instance_tags.clone().into_iter().collect()))
        .build()
}
