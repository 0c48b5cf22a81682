//! PURE. What `!GetAtt` gives: every attribute, an empty text where there is nothing.

use crate::desired::Context;
use crate::inventory::Inventory;
use crate::name::{Line, RoleKind};
use crate::nextflow::{NextflowConfig, nextflow_config};
use crate::properties::{Properties, WorkDir};
use crate::resource::{Kind, Live};
use crate::resources::batch::name_of;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The attributes, in the order of the documentation.
pub const NAMES: [&str; 21] = [
    "ForgeId",
    "Region",
    "HeadQueue",
    "HeadQueueArn",
    "ComputeQueue",
    "ComputeQueueArn",
    "HeadComputeEnvironmentArn",
    "ComputeComputeEnvironmentArn",
    "ServiceRoleArn",
    "InstanceRoleArn",
    "InstanceProfileArn",
    "ExecutionRoleArn",
    "FleetRoleArn",
    "HeadJobRoleArn",
    "LaunchTemplateId",
    "EfsId",
    "FsxId",
    "FsxDnsName",
    "DragenQueue",
    "LogGroup",
    "NextflowConfig",
];

/// The attributes of a forge that stands.
pub fn attributes(cx: &Context, properties: &Properties, there: &Inventory) -> Map<String, Value> {
    let names = &cx.names;
    let serving = |line: Line| {
        let queue = there.get(Kind::JobQueue, &names.queue(line))?.queue()?;
        queue.order.first().cloned()
    };
    let template = serving(Line::Work).and_then(|arn| {
        let environment = there.get(Kind::ComputeEnvironment, name_of(&arn))?;
        let template = environment.refs.iter().find(|id| id.kind == Kind::LaunchTemplate)?;
        match &there.parts.get(template)?.live {
            Live::LaunchTemplate(live) => Some(live.template_id.clone()),
            _ => None,
        }
    });
    let name = names.file_system();
    let efs = match there.get(Kind::Efs, &name).map(|seen| &seen.live) {
        Some(Live::Efs(live)) if properties.efs_create => Some(live.id.clone()),
        _ => properties.efs_id.clone(),
    };
    let (fsx, fsx_dns) = match there.get(Kind::Fsx, &name).map(|seen| &seen.live) {
        Some(Live::Fsx(live)) if properties.fsx_size.is_some() => {
            (Some(live.id.clone()), Some(live.dns_name.clone()))
        }
        _ => (None, properties.fsx_name.clone()),
    };
    let execution = properties.execution_role.clone().unwrap_or_else(|| cx.role_arn(RoleKind::Execution));
    let head_role = properties
        .head_job_role
        .clone()
        .or_else(|| properties.fargate_head_enabled.then(|| cx.role_arn(RoleKind::Fargate)));
    let fleet = there.get(Kind::Role, &names.role(RoleKind::Fleet)).map(|_| cx.role_arn(RoleKind::Fleet));
    let values = [
        Some(names.id().to_string()),
        Some(cx.region.clone()),
        Some(names.queue(Line::Head)),
        Some(cx.queue_arn(Line::Head)),
        Some(names.queue(Line::Work)),
        Some(cx.queue_arn(Line::Work)),
        serving(Line::Head),
        serving(Line::Work),
        Some(cx.role_arn(RoleKind::Service)),
        Some(cx.role_arn(RoleKind::Instance)),
        Some(cx.instance_profile_arn()),
        Some(execution.clone()),
        fleet,
        head_role,
        template,
        efs,
        fsx,
        fsx_dns,
        properties.dragen_enabled.then(|| names.queue(Line::Dragen)),
        Some(names.log_group()),
        Some(nextflow_config(&config(cx, properties, execution))),
    ];
    let values = values.into_iter().map(|value| Value::String(value.unwrap_or_default()));
    NAMES.iter().map(ToString::to_string).zip(values).collect()
}

fn config(cx: &Context, properties: &Properties, execution: String) -> NextflowConfig {
    let mut volumes = properties.volumes.clone();
    volumes.extend(properties.efs_mount().map(str::to_owned));
    volumes.extend(properties.fsx_mount().map(str::to_owned));
    let mut seen = BTreeSet::new();
    volumes.retain(|volume| seen.insert(volume.clone()));
    NextflowConfig {
        region: cx.region.clone(),
        compute_queue: cx.names.queue(Line::Work),
        dragen_queue: properties.dragen_enabled.then(|| cx.names.queue(Line::Dragen)),
        work_dir: match &properties.work_dir {
            WorkDir::S3 { .. } => properties.work_dir.to_string(),
            WorkDir::Path(path) => path.clone(),
        },
        cli_path: properties.cli_path().map(str::to_owned),
        fusion: properties.fusion2_enabled,
        wave: properties.wave_enabled,
        snapshots: properties.fusion_snapshots,
        nvme_scratch: properties.nvme_storage_enabled,
        arm64: properties.arm64_enabled,
        volumes,
        job_role: properties.compute_job_role.clone(),
        execution_role: Some(execution),
        log_group: properties.log_group.clone(),
        spot: properties.is_spot(),
        environment: properties
            .environment
            .iter()
            .filter(|variable| variable.compute)
            .map(|variable| (variable.name.clone(), variable.value.clone()))
            .collect(),
        head_job: head_job(properties),
        extra: properties.nextflow_config.clone(),
    }
}

/// What a launcher of head jobs needs to know, where the stack says anything of them.
fn head_job(properties: &Properties) -> Map<String, Value> {
    let environment = properties.environment.iter().filter(|variable| variable.head);
    let environment: Map<String, Value> =
        environment.map(|variable| (variable.name.clone(), variable.value.clone().into())).collect();
    let said = [
        ("cpus", properties.head_job_cpus.map(Value::from)),
        ("memoryMb", properties.head_job_memory_mb.map(Value::from)),
        ("environment", (!environment.is_empty()).then(|| environment.into())),
        ("preRunScript", properties.pre_run_script.clone().map(Value::from)),
        ("postRunScript", properties.post_run_script.clone().map(Value::from)),
    ];
    said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
