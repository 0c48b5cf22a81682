//! PURE. The launch template and the compute environments of a forge.

use super::generation::{Generation, image};
use super::storage::Ids;
use super::{Context, Declared, Forge, LazyNetwork};
use crate::error::{Error, Result};
use crate::image::{ECS_ROOT_DEVICE, root_device};
use crate::name::{Pool, RoleKind};
use crate::network::Network;
use crate::properties::{AllocStrategy, Properties};
use crate::registry::{Registered as _, Spec};
use crate::resource::{Kind, ResourceId, Tags};
use crate::resources::compute_environment::{
    self, ComputeEnvironment, Instances, Lifecycle, Placement, Resources,
};
use crate::resources::launch_template::{self, LaunchTemplate, RootVolume};
use crate::user_data::{self, Architecture, AwsCli, Boot, EfsMount, FsxMount};

/// The defaults of gp3 volumes.
const GP3_IOPS: i32 = 3000;
const GP3_THROUGHPUT: i32 = 125;

/// Declares the launch templates: one for each image, whose root devices may differ.
pub(super) fn templates(
    forge: &mut Forge<'_>,
    network: &LazyNetwork<'_>,
    ids: &Ids,
    generation: &Generation,
) -> Result<Vec<Declared>> {
    let mut templates: Vec<(&String, Option<&str>)> = Vec::new();
    for (pool, hash) in &generation.templates {
        let is_known = templates.iter().any(|(known, _)| *known == hash);
        if !is_known && needs_template(forge, generation, *pool) {
            templates.push((hash, image(forge.properties, *pool)));
        }
    }
    templates.into_iter().map(|(hash, image)| template(forge, network, ids, hash, image)).collect()
}

/// Whether an environment needs the template of its generation. Before the names of templates covered images, an
/// environment with an image was created with a template of another name.
fn needs_template(forge: &Forge<'_>, generation: &Generation, pool: Pool) -> bool {
    let names = &forge.cx.names;
    let template = names.launch_template(&generation.templates[&pool]);
    let environment = names.environment(pool, &generation.environments[&pool]);
    image(forge.properties, pool).is_none()
        || forge.inventory.find::<LaunchTemplate>(&template).is_some()
        || forge.inventory.find::<ComputeEnvironment>(&environment).is_none()
}

fn template(
    forge: &mut Forge<'_>,
    network: &LazyNetwork<'_>,
    ids: &Ids,
    hash: &str,
    image: Option<&str>,
) -> Result<Declared> {
    let boot = boot(forge.cx, forge.properties, ids, super::storage::lustre(forge, network));
    let images = network.network.as_ref().map_or(&[][..], |network| &network.images);
    let device = root_device(images, image);
    let draft = forge.draft;
    let spec = if boot == draft.boot && device == ECS_ROOT_DEVICE {
        draft.template.clone()
    } else {
        template_spec(forge.properties, &boot, &draft.tags, device)
    };
    let name = forge.cx.names.launch_template(hash);
    let after = later(forge, ids);
    Ok(forge.declare_spec(ResourceId::new(Kind::LaunchTemplate, name), spec?, &after))
}

/// The desired launch template.
pub(super) fn template_spec(
    properties: &Properties,
    boot: &Boot,
    tags: &Tags,
    root_device: &str,
) -> Result<Spec> {
    let user_data = user_data::user_data(boot)
        .map_err(|too_long| Error::Invalid(vec![format!("EcsConfig: {too_long}")]))?;
    Ok(LaunchTemplate::spec(launch_template::Spec {
        root: RootVolume {
            device: root_device.to_owned(),
            size: properties.ebs_boot_size(),
            encrypted: properties.ebs_encrypted,
            kms_key: properties.ebs_kms_key_id.clone(),
            iops: Some(properties.ebs_iops()).filter(|iops| *iops != GP3_IOPS),
            throughput: Some(properties.ebs_throughput()).filter(|throughput| *throughput != GP3_THROUGHPUT),
        },
        user_data,
        instance_tags: tags.clone(),
    }))
}

/// The dependencies of a hash.
fn later(forge: &Forge<'_>, ids: &Ids) -> Vec<Declared> {
    let storage = forge.resources.iter().filter(|resource| matches!(resource.id.kind, Kind::Efs | Kind::Fsx));
    match ids {
        Ids::Later => storage.map(|resource| Declared(ResourceId::clone(&resource.id))).collect(),
        Ids::Known { .. } => Vec::new(),
    }
}

/// The boot script of instances, given DNS name and mount name of the Lustre file system.
pub(super) fn boot(cx: &Context, properties: &Properties, ids: &Ids, lustre: (String, String)) -> Boot {
    let (efs, fsx) = match ids {
        Ids::Known { efs, fsx } => (efs.clone(), fsx.clone()),
        Ids::Later => (None, None),
    };
    let path = |path: Option<&str>| path.unwrap_or_default().to_owned();
    let efs = efs.map(|id| EfsMount { id, path: path(properties.efs_mount()) });
    let (dns_name, mount_name) = lustre;
    let fsx = fsx.map(|_| FsxMount { dns_name, mount_name, path: path(properties.fsx_mount()) });
    Boot {
        forge_id: cx.names.id().to_string(),
        region: cx.region.clone(),
        log_group: Some(cx.names.log_group()),
        architecture: if properties.arm64_enabled { Architecture::Arm64 } else { Architecture::X86_64 },
        aws_cli: match (properties.cli_path(), &properties.cli_path) {
            (None, _) => AwsCli::None,
            (Some(_), None) => AwsCli::Vital,
            (Some(_), Some(_)) => AwsCli::Spare,
        },
        nvme_scratch: properties.nvme_storage_enabled,
        fusion: properties.fusion2_enabled,
        efs,
        fsx,
        ecs_config: properties.ecs_config.clone(),
    }
}

/// The environments of the forge, by pool.
pub(super) struct Pools {
    /// Tasks.
    pub(super) work: Declared,
    /// Nextflow's head job, if it is separate.
    pub(super) head: Option<Declared>,
    /// Tasks without spot capacity.
    pub(super) on_demand: Option<Declared>,
    /// DRAGEN.
    pub(super) dragen: Option<Declared>,
}

/// Declares the active environments.
pub(super) fn declare(
    forge: &mut Forge<'_>,
    network: &mut LazyNetwork<'_>,
    generation: &Generation,
    after: &[Declared],
) -> Pools {
    let properties = forge.properties;
    let mut pool = |pool: Pool| {
        let after = if on_fargate(properties, pool) { &[] } else { after };
        let name = forge.cx.names.environment(pool, &generation.environments[&pool]);
        let network = network.get::<ComputeEnvironment>(forge, &name);
        let spec = spec(forge, &network, generation, pool);
        let limit = spec.max_vcpus;
        let declared = forge.declare::<ComputeEnvironment>(name, spec, after);
        forge.mark_limit(&declared, limit);
        declared
    };
    Pools {
        work: pool(Pool::Work),
        head: properties.has_head_environment().then(|| pool(Pool::Head)),
        on_demand: properties.on_demand_fallback.then(|| pool(Pool::OnDemand)),
        dragen: properties.dragen_enabled.then(|| pool(Pool::Dragen)),
    }
}

fn on_fargate(properties: &Properties, pool: Pool) -> bool {
    pool == Pool::Head && properties.fargate_head_enabled
}

fn spec(
    forge: &Forge<'_>,
    network: &Network,
    generation: &Generation,
    pool: Pool,
) -> compute_environment::Spec {
    let properties = forge.properties;
    let placement =
        |subnets: Vec<String>| Placement { subnets, security_groups: network.security_groups.clone() };
    let on_fargate = on_fargate(properties, pool);
    let resources = if on_fargate {
        Resources::Fargate(placement(network.fargate_subnets()))
    } else {
        Resources::Instances(Box::new(instances(forge, placement(network.subnets()), generation, pool)))
    };
    let min_vcpus = if pool == Pool::Work { properties.min_cpus } else { 0 };
    compute_environment::Spec {
        lifecycle: Lifecycle::Active { min_vcpus },
        max_vcpus: if pool == Pool::Head { properties.head_max_cpus } else { properties.max_cpus },
        // On Fargate, jobs have been seen to stay RUNNABLE under any other role than Batch's own.
        service_role: (!on_fargate).then(|| forge.cx.role_arn(RoleKind::Service)),
        resources: Some(resources),
    }
}

fn instances(forge: &Forge<'_>, placement: Placement, generation: &Generation, pool: Pool) -> Instances {
    let properties = forge.properties;
    let spot = properties.is_spot() && matches!(pool, Pool::Work | Pool::Dragen);
    let strategy = match pool {
        Pool::Work => properties.alloc_strategy(),
        Pool::Dragen if spot => AllocStrategy::SpotPriceCapacityOptimized,
        _ => AllocStrategy::BestFitProgressive,
    };
    let image_type = if properties.gpu_enabled && matches!(pool, Pool::Work | Pool::OnDemand) {
        "ECS_AL2023_NVIDIA"
    } else {
        "ECS_AL2023"
    };
    Instances {
        spot,
        strategy: strategy.as_str().to_owned(),
        bid_percentage: properties.bid_percentage().filter(|_| spot),
        instance_types: match pool {
            Pool::Work | Pool::OnDemand => properties.instance_types(),
            Pool::Head => properties.head_instance_types(),
            Pool::Dragen => properties.dragen_instance_type().into_iter().map(str::to_owned).collect(),
        },
        placement,
        instance_profile: forge.cx.instance_profile_arn(),
        fleet_role: (pool == Pool::Work && properties.needs_fleet_role())
            .then(|| forge.cx.role_arn(RoleKind::Fleet)),
        launch_template: forge.cx.names.launch_template(&generation.templates[&pool]),
        image_type: image_type.to_owned(),
        image_id: image(properties, pool).map(str::to_owned),
        key_pair: properties.ec2_key_pair.clone(),
        instance_tags: forge.draft.tags.clone(),
    }
}
