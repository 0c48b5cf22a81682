//! PURE. The launch template and the compute environments of a forge.

use super::storage::Ids;
use super::{Around, Forge, Need, generation};
use crate::error::{Error, Result};
use crate::name::{Line, RoleKind};
use crate::network::Surroundings;
use crate::properties::AllocStrategy;
use crate::resource::{Kind, PartId, Spec};
use crate::resources::compute_environment::{self, Duty, Instances, Network, Resources};
use crate::resources::launch_template::{self, RootVolume};
use crate::user_data::{self, Architecture, Boot, EfsMount, FsxMount};

/// gp3 volumes have these without being asked.
const GP3_IOPS: i32 = 3000;
const GP3_THROUGHPUT: i32 = 125;

/// Declares the launch template.
pub(super) fn template(forge: &mut Forge<'_>, around: &Around<'_>, ids: &Ids) -> Result<Need> {
    let properties = forge.properties;
    let boot = boot(forge, around, ids);
    let user_data = user_data::user_data(&boot)
        .map_err(|too_long| Error::Invalid(vec![format!("EcsConfig: {too_long}")]))?;
    let spec = launch_template::Spec {
        root: RootVolume {
            size: properties.ebs_boot_size(),
            encrypted: properties.ebs_encrypted,
            kms_key: properties.ebs_kms_key_id.clone(),
            iops: Some(properties.ebs_iops()).filter(|iops| *iops != GP3_IOPS),
            throughput: Some(properties.ebs_throughput()).filter(|throughput| *throughput != GP3_THROUGHPUT),
        },
        user_data,
        instance_tags: forge.cx.tags(properties),
    };
    let name = forge.cx.names.launch_template(&generation::template(properties, ids));
    let needs = later(forge, ids);
    Ok(forge.declare(Kind::LaunchTemplate, name, Spec::LaunchTemplate(Box::new(spec)), &needs))
}

/// What has to be there before a hash can be known.
fn later(forge: &Forge<'_>, ids: &Ids) -> Vec<Need> {
    let storage = forge.parts.iter().filter(|part| matches!(part.id.kind, Kind::Efs | Kind::Fsx));
    match ids {
        Ids::Later => storage.map(|part| Need(PartId::new(part.id.kind, &part.id.name))).collect(),
        Ids::Known { .. } => Vec::new(),
    }
}

fn boot(forge: &Forge<'_>, around: &Around<'_>, ids: &Ids) -> Boot {
    let properties = forge.properties;
    let (efs, fsx) = match ids {
        Ids::Known { efs, fsx } => (efs.clone(), fsx.clone()),
        Ids::Later => (None, None),
    };
    let path = |path: Option<&str>| path.unwrap_or_default().to_owned();
    let efs = efs.map(|id| EfsMount { id, path: path(properties.efs_mount()) });
    let fsx = fsx.map(|_| {
        let (dns_name, mount_name) = super::storage::lustre(forge, around);
        FsxMount { dns_name, mount_name, path: path(properties.fsx_mount()) }
    });
    Boot {
        forge_id: forge.cx.names.id().to_string(),
        region: forge.cx.region.clone(),
        log_group: Some(forge.cx.names.log_group()),
        architecture: if properties.arm64_enabled { Architecture::Arm64 } else { Architecture::X86_64 },
        aws_cli: !properties.fusion2_enabled,
        nvme_scratch: properties.nvme_storage_enabled,
        fusion: properties.fusion2_enabled,
        efs,
        fsx,
        ecs_config: properties.ecs_config.clone(),
    }
}

/// The environments of the forge, by line.
pub(super) struct Lines {
    /// Where tasks run.
    pub(super) work: Need,
    /// Where Nextflow runs, if not where tasks do.
    pub(super) head: Option<Need>,
    /// Where tasks run without spot capacity.
    pub(super) on_demand: Option<Need>,
    /// Where DRAGEN runs.
    pub(super) dragen: Option<Need>,
}

/// Declares the environments that serve.
pub(super) fn declare(forge: &mut Forge<'_>, around: &mut Around<'_>, ids: &Ids, needs: &[Need]) -> Lines {
    let properties = forge.properties;
    let mut line = |line: Line| {
        let name = forge.cx.names.environment(line, &generation::environment(properties, ids, line));
        let surroundings = around.get(forge, Kind::ComputeEnvironment, &name);
        let spec = spec(forge, &surroundings, ids, line);
        forge.declare(Kind::ComputeEnvironment, name, Spec::ComputeEnvironment(Box::new(spec)), needs)
    };
    Lines {
        work: line(Line::Work),
        head: properties.has_head_environment().then(|| line(Line::Head)),
        on_demand: properties.on_demand_fallback.then(|| line(Line::OnDemand)),
        dragen: properties.dragen_enabled.then(|| line(Line::Dragen)),
    }
}

fn spec(forge: &Forge<'_>, surroundings: &Surroundings, ids: &Ids, line: Line) -> compute_environment::Spec {
    let properties = forge.properties;
    let network =
        Network { subnets: surroundings.subnets(), security_groups: surroundings.security_groups.clone() };
    let resources = if line == Line::Head && properties.fargate_head_enabled {
        Resources::Fargate { network }
    } else {
        Resources::Instances(Box::new(instances(forge, network, ids, line)))
    };
    compute_environment::Spec {
        duty: Duty::Serving { min_vcpus: if line == Line::Work { properties.min_cpus } else { 0 } },
        max_vcpus: if line == Line::Head { properties.head_max_cpus } else { properties.max_cpus },
        service_role: forge.cx.role_arn(RoleKind::Service),
        resources,
    }
}

fn instances(forge: &Forge<'_>, network: Network, ids: &Ids, line: Line) -> Instances {
    let properties = forge.properties;
    let spot = properties.is_spot() && matches!(line, Line::Work | Line::Dragen);
    let strategy = match line {
        Line::Work => properties.alloc_strategy(),
        Line::Dragen if spot => AllocStrategy::SpotPriceCapacityOptimized,
        _ => AllocStrategy::BestFitProgressive,
    };
    let image = if properties.gpu_enabled && matches!(line, Line::Work | Line::OnDemand) {
        "ECS_AL2023_NVIDIA"
    } else {
        "ECS_AL2023"
    };
    Instances {
        spot,
        strategy: strategy.as_str().to_owned(),
        bid_percentage: properties.bid_percentage().filter(|_| spot),
        instance_types: match line {
            Line::Work | Line::OnDemand => properties.instance_types(),
            Line::Head => properties.head_instance_types(),
            Line::Dragen => properties.dragen_instance_type().into_iter().map(str::to_owned).collect(),
        },
        network,
        instance_profile: forge.cx.instance_profile_arn(),
        fleet_role: (line == Line::Work && properties.needs_fleet_role())
            .then(|| forge.cx.role_arn(RoleKind::Fleet)),
        launch_template: forge.cx.names.launch_template(&generation::template(properties, ids)),
        image_type: image.to_owned(),
        image_id: match line {
            Line::Dragen => properties.dragen_ami_id.clone(),
            _ => properties.image_id.clone(),
        },
        key_pair: properties.ec2_key_pair.clone(),
        instance_tags: forge.cx.tags(properties),
    }
}
