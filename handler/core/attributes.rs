//! PURE. The attributes for `!GetAtt`: all of them, empty if they have no value.

use crate::desired::Context;
use crate::inventory::Inventory;
use crate::name::{Pool, RoleKind};
use crate::nextflow::{NextflowConfig, nextflow_config};
use crate::properties::{Properties, WorkDir};
use crate::resource::Resource as _;
use crate::resources::compute_environment::ComputeEnvironment;
use crate::resources::efs::Efs;
use crate::resources::fsx::Fsx;
use crate::resources::job_queue::JobQueue;
use crate::resources::launch_template::LaunchTemplate;
use crate::resources::name_of;
use crate::resources::role::Role;
use crate::warnings;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The attributes of a forge, in the order of the documentation.
pub fn attributes(cx: &Context, properties: &Properties, inventory: &Inventory) -> Map<String, Value> {
    let names = &cx.names;
    let serving = |pool: Pool| {
        let (_, queue) = inventory.find::<JobQueue>(&names.queue(pool))?;
        queue.order.first().cloned()
    };
    let template = serving(Pool::Work).and_then(|arn| template_of(inventory, name_of(&arn)));
    let file_system = names.file_system();
    let made = inventory.find::<Efs>(&file_system).filter(|_| properties.efs_create);
    let efs = made.map(|(_, efs)| efs.id.clone()).or_else(|| properties.efs_id.clone());
    let made = inventory.find::<Fsx>(&file_system).filter(|_| properties.fsx_size.is_some());
    let fsx_id = made.map(|(_, fsx)| fsx.id.clone());
    let fsx_dns_name = made.map(|(_, fsx)| fsx.dns_name.clone()).or_else(|| properties.fsx_name.clone());
    let execution = properties.execution_role.clone().unwrap_or_else(|| cx.role_arn(RoleKind::Execution));
    let head_role = properties
        .head_job_role
        .clone()
        .or_else(|| properties.fargate_head_enabled.then(|| cx.role_arn(RoleKind::Fargate)));
    let fleet = inventory.find::<Role>(&names.role(RoleKind::Fleet)).map(|_| cx.role_arn(RoleKind::Fleet));
    let values: [(&str, Option<String>); 22] = [
        ("ForgeId", names.id().to_string().into()),
        ("Region", cx.region.clone().into()),
        ("HeadQueue", names.queue(Pool::Head).into()),
        ("HeadQueueArn", cx.queue_arn(Pool::Head).into()),
        ("ComputeQueue", names.queue(Pool::Work).into()),
        ("ComputeQueueArn", cx.queue_arn(Pool::Work).into()),
        ("HeadComputeEnvironmentArn", serving(Pool::Head)),
        ("ComputeComputeEnvironmentArn", serving(Pool::Work)),
        ("ServiceRoleArn", cx.role_arn(RoleKind::Service).into()),
        ("InstanceRoleArn", cx.role_arn(RoleKind::Instance).into()),
        ("InstanceProfileArn", cx.instance_profile_arn().into()),
        ("ExecutionRoleArn", execution.clone().into()),
        ("FleetRoleArn", fleet),
        ("HeadJobRoleArn", head_role),
        ("LaunchTemplateId", template),
        ("EfsId", efs),
        ("FsxId", fsx_id),
        ("FsxDnsName", fsx_dns_name),
        ("DragenQueue", properties.dragen_enabled.then(|| names.queue(Pool::Dragen))),
        ("LogGroup", names.log_group().into()),
        ("Warnings", warnings::text(&warnings::warnings(properties)).into()),
        ("NextflowConfig", nextflow_config(&config(cx, properties, execution)).into()),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value.unwrap_or_default().into())).collect()
}

/// The ID of the launch template of an environment.
fn template_of(inventory: &Inventory, environment: &str) -> Option<String> {
    let (environment, _) = inventory.find::<ComputeEnvironment>(environment)?;
    let template = environment.refs.iter().find(|id| id.kind == LaunchTemplate::KIND)?;
    Some(inventory.find::<LaunchTemplate>(&template.name)?.1.template_id.clone())
}

fn config(cx: &Context, properties: &Properties, execution: String) -> NextflowConfig {
    let mut volumes = properties.volumes.clone();
    volumes.extend(properties.efs_mount().map(str::to_owned));
    volumes.extend(properties.fsx_mount().map(str::to_owned));
    let mut seen = BTreeSet::new();
    volumes.retain(|volume| seen.insert(volume.clone()));
    NextflowConfig {
        region: cx.region.clone(),
        compute_queue: cx.names.queue(Pool::Work),
        dragen_queue: properties.dragen_enabled.then(|| cx.names.queue(Pool::Dragen)),
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
        share_identifier: properties.share_identifier().map(str::to_owned),
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

/// Settings for the launcher of head jobs, if the stack has any.
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
