//! AWS Batch compute environments.
//!
//! An environment with a service role of its own can change its vCPU limits and its state; AWS refuses anything
//! else. So its name carries the hash of all the rest, and a change makes another environment beside it.

use super::batch::{name_of, retag};
use crate::aws::Aws;
use crate::error::{Context as _, Result};
use crate::name::Names;
use crate::resource::{Change, Kind, Live as AnyLive, PartId, Phase, Seen, TagChanges, Tags};
use aws_sdk_batch::types::{
    CeState, CeStatus, CeType, ComputeEnvironmentDetail, ComputeResource, ComputeResourceUpdate,
    CrAllocationStrategy, CrType, Ec2Configuration, LaunchTemplateSpecification,
};

/// What a compute environment should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Whether it serves, or is being replaced.
    pub duty: Duty,
    /// The most vCPUs.
    pub max_vcpus: i32,
    /// The ARN of the role that Batch acts with.
    pub service_role: String,
    /// What is fixed when it is made.
    pub resources: Resources,
}

/// What an environment is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Duty {
    /// It takes jobs and keeps so many vCPUs running.
    Serving {
        /// The fewest vCPUs.
        min_vcpus: i32,
    },
    /// It finishes its jobs and takes no new ones.
    Retiring,
}

/// The immutable side of an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resources {
    /// On instances.
    Instances(Box<Instances>),
    /// On Fargate.
    Fargate {
        /// Where.
        network: Network,
    },
    /// Unknown: an environment of an older generation, which is never made again.
    Fixed,
}

/// Where an environment is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Subnet IDs.
    pub subnets: Vec<String>,
    /// Security group IDs.
    pub security_groups: Vec<String>,
}

/// The immutable side of an environment of instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instances {
    /// Whether on spot instances.
    pub spot: bool,
    /// Batch's allocation strategy.
    pub strategy: String,
    /// The highest spot price, in per cent of the on-demand price.
    pub bid_percentage: Option<i32>,
    /// Types, families or bundles.
    pub instance_types: Vec<String>,
    /// Where.
    pub network: Network,
    /// The ARN of the instance profile.
    pub instance_profile: String,
    /// The ARN of the spot fleet's role; only spot with `BEST_FIT` has one.
    pub fleet_role: Option<String>,
    /// The name of the launch template.
    pub launch_template: String,
    /// Batch's name for the sort of image, e.g. `ECS_AL2023`.
    pub image_type: String,
    /// An image instead of the newest of its sort.
    pub image_id: Option<String>,
    /// The SSH key pair.
    pub key_pair: Option<String>,
    /// The tags of instances.
    pub instance_tags: Tags,
}

/// What Batch says a compute environment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its ARN.
    pub arn: String,
    /// Whether it takes jobs.
    pub enabled: bool,
    /// Batch's word for its status.
    pub status: String,
    /// Why it has that status.
    pub reason: String,
    /// The fewest vCPUs; `None` on Fargate.
    pub min_vcpus: Option<i32>,
    /// The most vCPUs.
    pub max_vcpus: i32,
    /// How many vCPUs are running or starting; `None` on Fargate.
    pub desired_vcpus: Option<i32>,
    /// The ARN of the role that Batch acts with.
    pub service_role: String,
    /// Whether it runs on spot instances.
    pub spot: bool,
}

/// What a look at all environments of the account finds.
#[derive(Debug)]
pub struct Found {
    /// The environments of the forge.
    pub parts: Vec<Seen>,
    /// How many the account has.
    pub all: usize,
    /// How many of the account are in transition.
    pub busy: usize,
}

impl Live {
    /// Whether nothing runs in it, as far as the environment itself tells. On Fargate it does not.
    pub fn is_idle(&self) -> Option<bool> {
        self.desired_vcpus.map(|vcpus| vcpus == 0)
    }
}

/// What sets an environment apart from its spec: of what can be changed in place.
pub fn drift(spec: &Spec, live: &Live) -> Vec<Change> {
    let mut changes = Vec::new();
    let state = |enabled: bool| if enabled { "ENABLED" } else { "DISABLED" };
    Change::note(&mut changes, "state", &state(live.enabled), &state(spec.duty != Duty::Retiring));
    if let Some(min) = wanted_min(spec, live) {
        Change::note(&mut changes, "minvCpus", &live.min_vcpus.unwrap_or_default(), &min);
    }
    if spec.duty != Duty::Retiring {
        Change::note(&mut changes, "maxvCpus", &live.max_vcpus, &spec.max_vcpus);
        Change::note(&mut changes, "serviceRole", &live.service_role, &spec.service_role);
    }
    changes
}

fn wanted_min(spec: &Spec, live: &Live) -> Option<i32> {
    let min = match spec.duty {
        Duty::Serving { min_vcpus } => min_vcpus,
        // Otherwise it would never become idle.
        Duty::Retiring => 0,
    };
    live.min_vcpus.map(|_| min)
}

/// Looks at all compute environments of the account: one call tells all generations of the forge, and how busy
/// Batch is. An account has at most 50.
///
/// # Errors
///
/// AWS's refusal.
pub async fn look(aws: &Aws, names: &Names) -> Result<Found> {
    let family = names.family();
    let pages = aws.batch.describe_compute_environments().into_paginator().items().send();
    let all = pages.try_collect().await.on("batch:DescribeComputeEnvironments", &family)?;
    let busy = all.iter().filter(|environment| matches!(phase(environment), Phase::Settling(_))).count();
    let count = all.len();
    let ours = all.into_iter().filter(|environment| {
        // Batch goes on listing an environment for a while after it has been deleted.
        environment.compute_environment_name().is_some_and(|name| name.starts_with(&family))
            && environment.status() != Some(&CeStatus::Deleted)
    });
    Ok(Found { parts: ours.map(seen).collect(), all: count, busy })
}

fn phase(environment: &ComputeEnvironmentDetail) -> Phase {
    match environment.status() {
        Some(status @ (CeStatus::Creating | CeStatus::Updating | CeStatus::Deleting)) => {
            Phase::Settling(status.as_str().to_owned())
        }
        Some(CeStatus::Invalid) => {
            Phase::Broken(environment.status_reason().unwrap_or("AWS gives no reason").to_owned())
        }
        _ => Phase::Settled,
    }
}

fn seen(environment: ComputeEnvironmentDetail) -> Seen {
    let phase = phase(&environment);
    let resources = environment.compute_resources.as_ref();
    let mut refs = Vec::new();
    let mut refer = |kind: Kind, arn: Option<&str>| {
        refs.extend(arn.filter(|arn| !arn.is_empty()).map(|arn| PartId::new(kind, name_of(arn))));
    };
    refer(Kind::Role, environment.service_role());
    refer(Kind::InstanceProfile, resources.and_then(|resources| resources.instance_role()));
    refer(Kind::Role, resources.and_then(|resources| resources.spot_iam_fleet_role()));
    let template = resources.and_then(|resources| resources.launch_template());
    refer(Kind::LaunchTemplate, template.and_then(|template| template.launch_template_name()));
    let sort = resources.and_then(|resources| resources.r#type.clone());
    let fargate = matches!(sort, Some(CrType::Fargate | CrType::FargateSpot));
    let live = Live {
        arn: environment.compute_environment_arn.unwrap_or_default(),
        enabled: environment.state == Some(CeState::Enabled),
        status: environment.status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
        reason: environment.status_reason.unwrap_or_default(),
        min_vcpus: resources.filter(|_| !fargate).map(|resources| resources.minv_cpus.unwrap_or_default()),
        max_vcpus: resources.and_then(|resources| resources.maxv_cpus).unwrap_or_default(),
        desired_vcpus: resources
            .filter(|_| !fargate)
            .map(|resources| resources.desiredv_cpus.unwrap_or_default()),
        service_role: environment.service_role.unwrap_or_default(),
        spot: matches!(sort, Some(CrType::Spot)),
    };
    Seen {
        id: PartId::new(Kind::ComputeEnvironment, environment.compute_environment_name.unwrap_or_default()),
        tags: environment.tags.unwrap_or_default().into_iter().collect(),
        phase,
        refs,
        live: AnyLive::ComputeEnvironment(live),
    }
}

/// Starts making an environment. AWS makes them ENABLED only.
///
/// # Errors
///
/// AWS's refusal.
pub async fn create(aws: &Aws, name: &str, spec: &Spec, tags: &Tags) -> Result<()> {
    let Some(resources) = compute_resource(spec) else { return Ok(()) };
    let environment = aws
        .batch
        .create_compute_environment()
        .compute_environment_name(name)
        .r#type(CeType::Managed)
        .state(CeState::Enabled)
        .service_role(&spec.service_role)
        .compute_resources(resources)
        .set_tags(Some(tags.clone().into_iter().collect()));
    environment.send().await.on("batch:CreateComputeEnvironment", name).map(drop)
}

fn compute_resource(spec: &Spec) -> Option<ComputeResource> {
    let min_vcpus = match spec.duty {
        Duty::Serving { min_vcpus } => min_vcpus,
        Duty::Retiring => 0,
    };
    let base = |sort: CrType, network: &Network| {
        ComputeResource::builder()
            .r#type(sort)
            .maxv_cpus(spec.max_vcpus)
            .set_subnets(Some(network.subnets.clone()))
            .set_security_group_ids(Some(network.security_groups.clone()))
    };
    match &spec.resources {
        Resources::Fixed => None,
        Resources::Fargate { network } => Some(base(CrType::Fargate, network).build()),
        Resources::Instances(instances) => {
            let sort = if instances.spot { CrType::Spot } else { CrType::Ec2 };
            let template = LaunchTemplateSpecification::builder()
                .launch_template_name(&instances.launch_template)
                .version("1")
                .build();
            let image = Ec2Configuration::builder()
                .image_type(&instances.image_type)
                // The only place in which an image is named: AWS documents the precedence of the others twice,
                // and differently.
                .set_image_id_override(instances.image_id.clone())
                .build();
            let tags = instances.instance_tags.clone().into_iter().collect();
            let resources = base(sort, &instances.network)
                .minv_cpus(min_vcpus)
                .allocation_strategy(CrAllocationStrategy::from(instances.strategy.as_str()))
                .set_bid_percentage(instances.bid_percentage)
                .set_instance_types(Some(instances.instance_types.clone()))
                .instance_role(&instances.instance_profile)
                .set_spot_iam_fleet_role(instances.fleet_role.clone())
                .launch_template(template)
                .ec2_configuration(image)
                .set_ec2_key_pair(instances.key_pair.clone())
                .set_tags(Some(tags));
            Some(resources.build())
        }
    }
}

/// Brings an environment to its spec, sending only what differs: one field too many and Batch refuses all.
///
/// # Errors
///
/// AWS's refusal.
pub async fn update(aws: &Aws, name: &str, spec: &Spec, live: &Live, tags: &TagChanges) -> Result<()> {
    retag(aws, &live.arn, tags).await?;
    if drift(spec, live).is_empty() {
        return Ok(());
    }
    let mut update = aws.batch.update_compute_environment().compute_environment(name);
    let serving = spec.duty != Duty::Retiring;
    if live.enabled != serving {
        update = update.state(if serving { CeState::Enabled } else { CeState::Disabled });
    }
    if serving && live.service_role != spec.service_role {
        update = update.service_role(&spec.service_role);
    }
    let min = wanted_min(spec, live).filter(|min| live.min_vcpus != Some(*min));
    let max = Some(spec.max_vcpus).filter(|max| serving && live.max_vcpus != *max);
    if min.is_some() || max.is_some() {
        let limits = ComputeResourceUpdate::builder().set_minv_cpus(min).set_maxv_cpus(max);
        update = update.compute_resources(limits.build());
    }
    update.send().await.on("batch:UpdateComputeEnvironment", name).map(drop)
}

/// Names its role to an INVALID environment again, upon which Batch looks at the role again.
///
/// # Errors
///
/// AWS's refusal.
pub async fn repair(aws: &Aws, name: &str, live: &Live) -> Result<()> {
    let update =
        aws.batch.update_compute_environment().compute_environment(name).service_role(&live.service_role);
    update.state(CeState::Enabled).send().await.on("batch:UpdateComputeEnvironment", name).map(drop)
}

/// Disables an environment, or deletes it if it is disabled.
///
/// # Errors
///
/// AWS's refusal.
pub async fn delete(aws: &Aws, name: &str, live: &Live) -> Result<()> {
    if live.enabled {
        let mut disable =
            aws.batch.update_compute_environment().compute_environment(name).state(CeState::Disabled);
        if live.min_vcpus.is_some_and(|min| min > 0) {
            disable = disable.compute_resources(ComputeResourceUpdate::builder().minv_cpus(0).build());
        }
        return disable.send().await.on("batch:UpdateComputeEnvironment", name).map(drop);
    }
    let delete = aws.batch.delete_compute_environment().compute_environment(name);
    delete.send().await.on("batch:DeleteComputeEnvironment", name).map(drop)
}

/// Whether the reason of an INVALID environment is one that passes once IAM has propagated.
pub fn is_iam_lag(reason: &str) -> bool {
    [
        "sts:AssumeRole",
        "is not authorized to perform: ecs:",
        "Invalid IamInstanceProfile",
        "Instance profile",
        "IamFleetRole is invalid",
    ]
    .iter()
    .any(|text| reason.contains(text))
}
