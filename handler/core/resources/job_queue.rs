//! AWS Batch job queues: what jobs are submitted to. Their names never change.

use super::batch::{name_of, retag};
use crate::aws::Aws;
use crate::error::{Context as _, Result};
use crate::inventory::Inventory;
use crate::name::Names;
use crate::resource::{Change, Kind, Live as AnyLive, PartId, Phase, Seen, TagChanges, Tags};
use aws_sdk_batch::types::{
    ComputeEnvironmentOrder, JobQueueDetail, JobStateTimeLimitAction, JobStateTimeLimitActionsAction,
    JobStateTimeLimitActionsState, JobStatus, JqState, JqStatus,
};
use std::collections::BTreeSet;

/// Why Batch may find a RUNNABLE job unschedulable.
const REASONS: [&str; 3] = [
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
];

/// What a job queue should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Queues with a higher number are served first where they share an environment.
    pub priority: i32,
    /// The ARNs of its environments, the first tried first.
    pub order: Vec<String>,
    /// After how many seconds an unschedulable job is cancelled.
    pub time_limit: Option<i32>,
    /// The ARN of its scheduling policy. A queue keeps or exchanges one, but neither gets nor loses it.
    pub scheduling_policy: Option<String>,
}

/// What Batch says a job queue is.
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
    /// Its priority.
    pub priority: i32,
    /// The ARNs of its environments, the first tried first.
    pub order: Vec<String>,
    /// What happens to unschedulable jobs: (reason, seconds), sorted.
    pub time_limits: Vec<(String, i32)>,
    /// The ARN of its scheduling policy.
    pub scheduling_policy: Option<String>,
}

/// What a look at all queues of the account finds.
#[derive(Debug)]
pub struct Found {
    /// The queues of the forge.
    pub parts: Vec<Seen>,
    /// How many the account has.
    pub all: usize,
    /// Queues of others that hold environments of the forge: (queue, environment).
    pub foreign_holders: Vec<(String, String)>,
    /// How many of the account are in transition.
    pub busy: usize,
}

/// What sets a queue apart from its spec.
pub fn drift(spec: &Spec, live: &Live) -> Vec<Change> {
    let mut changes = Vec::new();
    let state = if live.enabled { "ENABLED" } else { "DISABLED" };
    Change::note(&mut changes, "state", &state, &"ENABLED");
    Change::note(&mut changes, "priority", &live.priority, &spec.priority);
    let names = |order: &[String]| order.iter().map(|arn| name_of(arn).to_owned()).collect::<Vec<_>>();
    Change::note(&mut changes, "computeEnvironmentOrder", &names(&live.order), &names(&spec.order));
    Change::note(&mut changes, "jobStateTimeLimitActions", &live.time_limits, &time_limits(spec));
    if spec.scheduling_policy.is_some() {
        Change::note(&mut changes, "schedulingPolicyArn", &live.scheduling_policy, &spec.scheduling_policy);
    }
    changes
}

fn time_limits(spec: &Spec) -> Vec<(String, i32)> {
    let limits = |seconds: i32| REASONS.iter().map(|reason| ((*reason).to_owned(), seconds)).collect();
    spec.time_limit.map(limits).unwrap_or_default()
}

/// Looks at all job queues of the account: one call tells the forge's queues, and whose queues hold its
/// environments. An account has at most 50.
///
/// # Errors
///
/// AWS's refusal.
pub async fn look(aws: &Aws, names: &Names) -> Result<Found> {
    let family = names.family();
    let pages = aws.batch.describe_job_queues().into_paginator().items().send();
    let all = pages.try_collect().await.on("batch:DescribeJobQueues", &family)?;
    let mut found = Found { parts: Vec::new(), all: all.len(), foreign_holders: Vec::new(), busy: 0 };
    for queue in all {
        // Batch goes on listing a queue for a while after it has been deleted.
        if queue.status() == Some(&JqStatus::Deleted) {
            continue;
        }
        if matches!(phase(&queue), Phase::Settling(_)) {
            found.busy += 1;
        }
        let name = queue.job_queue_name().unwrap_or_default().to_owned();
        if name.starts_with(&family) {
            found.parts.push(seen(queue));
            continue;
        }
        let held = queue.compute_environment_order().iter().filter_map(|order| order.compute_environment());
        let held = held.map(name_of).filter(|environment| environment.starts_with(&family));
        found.foreign_holders.extend(held.map(|environment| (name.clone(), environment.to_owned())));
    }
    Ok(found)
}

fn phase(queue: &JobQueueDetail) -> Phase {
    match queue.status() {
        Some(status @ (JqStatus::Creating | JqStatus::Updating | JqStatus::Deleting)) => {
            Phase::Settling(status.as_str().to_owned())
        }
        Some(JqStatus::Invalid) => {
            Phase::Broken(queue.status_reason().unwrap_or("AWS gives no reason").to_owned())
        }
        _ => Phase::Settled,
    }
}

fn seen(queue: JobQueueDetail) -> Seen {
    let phase = phase(&queue);
    let mut order: Vec<_> = queue.compute_environment_order.unwrap_or_default();
    order.sort_by_key(|entry| entry.order.unwrap_or_default());
    let order: Vec<String> = order.into_iter().filter_map(|entry| entry.compute_environment).collect();
    let mut time_limits: Vec<(String, i32)> = queue
        .job_state_time_limit_actions
        .unwrap_or_default()
        .into_iter()
        .filter_map(|limit| Some((limit.reason?, limit.max_time_seconds?)))
        .collect();
    time_limits.sort();
    let live = Live {
        arn: queue.job_queue_arn.unwrap_or_default(),
        enabled: queue.state == Some(JqState::Enabled),
        status: queue.status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
        reason: queue.status_reason.unwrap_or_default(),
        priority: queue.priority.unwrap_or_default(),
        order,
        time_limits,
        scheduling_policy: queue.scheduling_policy_arn.filter(|arn| !arn.is_empty()),
    };
    Seen {
        id: PartId::new(Kind::JobQueue, queue.job_queue_name.unwrap_or_default()),
        tags: queue.tags.unwrap_or_default().into_iter().collect(),
        phase,
        refs: live.order.iter().map(|arn| PartId::new(Kind::ComputeEnvironment, name_of(arn))).collect(),
        live: AnyLive::JobQueue(live),
    }
}

/// The disabled Fargate environments in which nothing runs: those of whose queues no job is starting or running.
///
/// # Errors
///
/// AWS's refusal.
pub async fn idle_environments(aws: &Aws, there: &Inventory) -> Result<BTreeSet<String>> {
    let mut idle = BTreeSet::new();
    let environments = there.of(Kind::ComputeEnvironment);
    let silent = environments
        .filter(|seen| seen.environment().is_some_and(|live| !live.enabled && live.is_idle().is_none()));
    for environment in silent {
        let mut running = false;
        for queue in there.holders(&environment.id) {
            for status in [JobStatus::Starting, JobStatus::Running] {
                let jobs = aws.batch.list_jobs().job_queue(&queue.id.name).job_status(status).max_results(1);
                match jobs.send().await.on("batch:ListJobs", &queue.id.name) {
                    // The queue has gone since it was seen, and its jobs with it.
                    Err(err) if err.is_not_found() => {}
                    jobs => running |= !jobs?.job_summary_list().is_empty(),
                }
            }
        }
        if !running {
            idle.insert(environment.id.name.clone());
        }
    }
    Ok(idle)
}

/// Starts making a queue.
///
/// # Errors
///
/// AWS's refusal.
pub async fn create(aws: &Aws, name: &str, spec: &Spec, tags: &Tags) -> Result<()> {
    let queue = aws
        .batch
        .create_job_queue()
        .job_queue_name(name)
        .state(JqState::Enabled)
        .priority(spec.priority)
        .set_compute_environment_order(Some(order(spec)))
        .set_job_state_time_limit_actions(spec.time_limit.map(|_| actions(spec)))
        .set_scheduling_policy_arn(spec.scheduling_policy.clone())
        .set_tags(Some(tags.clone().into_iter().collect()));
    queue.send().await.on("batch:CreateJobQueue", name).map(drop)
}

fn order(spec: &Spec) -> Vec<ComputeEnvironmentOrder> {
    let entry = |(position, arn): (i32, &String)| {
        ComputeEnvironmentOrder::builder().order(position).compute_environment(arn).build()
    };
    (1..).zip(&spec.order).map(entry).collect()
}

fn actions(spec: &Spec) -> Vec<JobStateTimeLimitAction> {
    let action = |(reason, seconds): (String, i32)| {
        JobStateTimeLimitAction::builder()
            .reason(reason)
            .state(JobStateTimeLimitActionsState::Runnable)
            .max_time_seconds(seconds)
            .action(JobStateTimeLimitActionsAction::Cancel)
            .build()
    };
    time_limits(spec).into_iter().map(action).collect()
}

/// Brings a queue to its spec, sending only what differs.
///
/// # Errors
///
/// AWS's refusal.
pub async fn update(aws: &Aws, name: &str, spec: &Spec, live: &Live, tags: &TagChanges) -> Result<()> {
    retag(aws, &live.arn, tags).await?;
    if drift(spec, live).is_empty() {
        return Ok(());
    }
    let mut update = aws.batch.update_job_queue().job_queue(&live.arn);
    if !live.enabled {
        update = update.state(JqState::Enabled);
    }
    if live.priority != spec.priority {
        update = update.priority(spec.priority);
    }
    if live.order != spec.order {
        update = update.set_compute_environment_order(Some(order(spec)));
    }
    if live.time_limits != time_limits(spec) {
        update = update.set_job_state_time_limit_actions(Some(actions(spec)));
    }
    if spec.scheduling_policy.is_some() && live.scheduling_policy != spec.scheduling_policy {
        update = update.set_scheduling_policy_arn(spec.scheduling_policy.clone());
    }
    update.send().await.on("batch:UpdateJobQueue", name).map(drop)
}

/// Disables a queue, or deletes it if it is disabled. Batch ends its jobs.
///
/// # Errors
///
/// AWS's refusal.
pub async fn delete(aws: &Aws, name: &str, live: &Live) -> Result<()> {
    if live.enabled {
        let disable = aws.batch.update_job_queue().job_queue(&live.arn).state(JqState::Disabled);
        return disable.send().await.on("batch:UpdateJobQueue", name).map(drop);
    }
    aws.batch.delete_job_queue().job_queue(&live.arn).send().await.on("batch:DeleteJobQueue", name).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:batch:eu-west-1:123456789012:compute-environment/TowerForge-x-work-0a1b2c3d";

    fn live() -> Live {
        Live {
            arn: "arn:aws:batch:eu-west-1:123456789012:job-queue/TowerForge-x-work".into(),
            enabled: true,
            status: "VALID".into(),
            reason: String::new(),
            priority: 1,
            order: vec![ARN.into()],
            time_limits: Vec::new(),
            scheduling_policy: None,
        }
    }

    fn spec() -> Spec {
        Spec { priority: 1, order: vec![ARN.into()], time_limit: None, scheduling_policy: None }
    }

    #[test]
    fn a_queue_made_from_its_spec_shows_no_drift() {
        assert_eq!(drift(&spec(), &live()), []);
        let limited = Spec { time_limit: Some(600), ..spec() };
        assert_eq!(drift(&limited, &Live { time_limits: time_limits(&limited), ..live() }), []);
    }

    #[test]
    fn a_disabled_queue_drifts() {
        let changes = drift(&spec(), &Live { enabled: false, ..live() });
        assert_eq!(changes.iter().map(|change| change.field.as_str()).collect::<Vec<_>>(), ["state"]);
    }
}
