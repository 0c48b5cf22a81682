//! Batch job queues.

use super::compute_environment::{is_in_transition, tag, untag};
use crate::aws::clients::Services;
use crate::aws::error::Context as _;
use aws_sdk_batch::types::{
    ComputeEnvironmentOrder, JobQueueDetail, JobStateTimeLimitAction, JobStateTimeLimitActionsAction,
    JobStateTimeLimitActionsState, JqState, JqStatus,
};
use tower_forge_core::error::Result;
use tower_forge_core::name::Names;
use tower_forge_core::resource::{AccountUse, Found, Kind, Listing, MutatingCall as _, Phase, ResourceId};
use tower_forge_core::resources::job_queue::{Call, Observed, Update};
use tower_forge_core::resources::name_of;

/// Looks at all job queues of the account: one call shows the forge's queues, and whose queues refer to its
/// environments. An account has at most 50.
pub(crate) async fn list(services: &Services, names: &Names) -> Result<Listing<Observed>> {
    let family = names.family();
    let pages = services.batch.describe_job_queues().into_paginator().items().send();
    let mut all = pages.try_collect().await.on("batch:DescribeJobQueues", &family)?;
    // Batch goes on listing a queue for a while after it has been deleted; it takes no room in the account.
    all.retain(|queue| queue.status() != Some(&JqStatus::Deleted));
    let mut account = AccountUse { total: all.len(), ..AccountUse::default() };
    let mut found = Vec::new();
    for queue in all {
        account.in_transition += usize::from(is_in_transition(&phase(&queue)));
        let name = queue.job_queue_name().unwrap_or_default().to_owned();
        if name.starts_with(&family) {
            found.push(observe(queue, name));
            continue;
        }
        let held = queue.compute_environment_order().iter().filter_map(|order| order.compute_environment());
        let held = held.map(name_of).filter(|environment| environment.starts_with(&family));
        account.foreign_references.extend(
            held.map(|environment| (name.clone(), ResourceId::new(Kind::ComputeEnvironment, environment))),
        );
    }
    Ok(Listing { found, account })
}

fn phase(queue: &JobQueueDetail) -> Phase {
    match queue.status() {
        Some(status @ (JqStatus::Creating | JqStatus::Updating)) => {
            Phase::Settling(status.as_str().to_owned())
        }
        Some(status @ JqStatus::Deleting) => Phase::Deleting(status.as_str().to_owned()),
        Some(JqStatus::Invalid) => {
            Phase::Broken(queue.status_reason().unwrap_or("AWS gives no reason").to_owned())
        }
        _ => Phase::Settled,
    }
}

fn observe(queue: JobQueueDetail, name: String) -> Found<Observed> {
    let phase = phase(&queue);
    let mut order: Vec<_> = queue.compute_environment_order.unwrap_or_default();
    order.sort_by_key(|entry| entry.order.unwrap_or_default());
    let order: Vec<String> = order.into_iter().filter_map(|entry| entry.compute_environment).collect();
    let limits = queue.job_state_time_limit_actions.unwrap_or_default().into_iter();
    let mut time_limits: Vec<(String, i32)> =
        limits.filter_map(|limit| Some((limit.reason?, limit.max_time_seconds?))).collect();
    time_limits.sort();
    Found {
        id: ResourceId::new(Kind::JobQueue, name),
        tags: queue.tags.unwrap_or_default().into_iter().collect(),
        phase,
        refs: order.iter().map(|arn| ResourceId::new(Kind::ComputeEnvironment, name_of(arn))).collect(),
        created: None,
        observed: Observed {
            arn: queue.job_queue_arn.unwrap_or_default(),
            enabled: queue.state == Some(JqState::Enabled),
            priority: queue.priority.unwrap_or_default(),
            order,
            time_limits,
            scheduling_policy: queue.scheduling_policy_arn.filter(|arn| !arn.is_empty()),
        },
    }
}

/// Makes one mutating call.
pub(crate) async fn write(services: &Services, name: &str, call: &Call) -> Result<()> {
    let batch = &services.batch;
    let action = call.action();
    match call {
        Call::Create { spec, tags } => {
            let create = batch
                .create_job_queue()
                .job_queue_name(name)
                .state(JqState::Enabled)
                .priority(spec.priority)
                .set_compute_environment_order(Some(order(&spec.order)))
                .set_job_state_time_limit_actions(spec.time_limit.map(|_| actions(&spec.time_limits())))
                .set_scheduling_policy_arn(spec.scheduling_policy.clone())
                .set_tags(Some(tags.clone().into_iter().collect()));
            create.send().await.on(action, name).map(drop)
        }
        Call::Update {
            arn,
            update: Update { enabled, priority, order: environments, time_limits, scheduling_policy },
        } => {
            let state = enabled.map(|enabled| if enabled { JqState::Enabled } else { JqState::Disabled });
            let update = batch
                .update_job_queue()
                .job_queue(arn)
                .set_state(state)
                .set_priority(*priority)
                .set_compute_environment_order(environments.as_deref().map(order))
                .set_job_state_time_limit_actions(time_limits.as_deref().map(actions))
                .set_scheduling_policy_arn(scheduling_policy.clone());
            update.send().await.on(action, name).map(drop)
        }
        Call::Delete { arn } => {
            batch.delete_job_queue().job_queue(arn).send().await.on(action, name).map(drop)
        }
        Call::Tag { arn, tags } => tag(services, action, arn, tags).await,
        Call::Untag { arn, keys } => untag(services, action, arn, keys).await,
    }
}

fn order(environments: &[String]) -> Vec<ComputeEnvironmentOrder> {
    let entry = |(position, arn): (i32, &String)| {
        ComputeEnvironmentOrder::builder().order(position).compute_environment(arn).build()
    };
    (1..).zip(environments).map(entry).collect()
}

fn actions(time_limits: &[(String, i32)]) -> Vec<JobStateTimeLimitAction> {
    let action = |(reason, seconds): &(String, i32)| {
        JobStateTimeLimitAction::builder()
            .reason(reason)
            .state(JobStateTimeLimitActionsState::Runnable)
            .max_time_seconds(*seconds)
            .action(JobStateTimeLimitActionsAction::Cancel)
            .build()
    };
    time_limits.iter().map(action).collect()
}
