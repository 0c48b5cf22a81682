//! `{"sweep": true}`: deletes the replaced and idle generations of all forges of the region, and lowers the limits that
//! running jobs have kept from being lowered.
//!
//! It uses the same plan with a different desired state: the observed state without collectable resources. It has no
//! properties and disables nothing. AWS refuses to delete an ENABLED environment, so one that a rollback has just
//! enabled is kept.

use crate::claim::writer::{self, Writer};
use crate::claim::{Item, claim_for_sweep, release, resource_key};
use crate::deployment::Deployment;
use crate::error::{Result, chain};
use crate::event::parse_rfc3339;
use crate::inventory::Inventory;
use crate::name::{ForgeId, LIMIT_TAG, Names, RELEASED_TAG, RETIRING_TAG, RoleKind};
use crate::network::Network;
use crate::owner::Owner;
use crate::port::{Cloud, Now, Sweepable};
use crate::reconcile::{Done, Outcome, Target, reconcile};
use crate::registry::{Desired, Existing, Registered as _};
use crate::resource::{Kind, Phase, Resource as _};
use crate::resources::compute_environment::{self, ComputeEnvironment, Lifecycle, attainable};
use crate::resources::job_queue::{self, JobQueue};
use crate::resources::launch_template::LaunchTemplate;
use crate::resources::role::Role;
use crate::table::Updated;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a resource is kept if the state of its stack is unknown.
const UNKNOWN: Duration = Duration::from_hours(24);

/// The kinds that a sweep observes.
const KINDS: [Kind; 4] = [Role::KIND, LaunchTemplate::KIND, ComputeEnvironment::KIND, JobQueue::KIND];

/// The result of a sweep.
#[derive(Debug, Default)]
struct Report {
    collected: Vec<String>,
    waiting: Vec<String>,
    failed: Vec<String>,
}

/// Sweeps all forges of the region until `until`, by the monotonic clock. It never fails: failed deletions are
/// reported, and retried by the next sweep.
pub async fn sweep<C: Cloud>(cloud: &C, deployment: &Deployment, until: Duration) -> Value {
    let owners = match cloud.sweepable(&format!("{}-", deployment.prefix)).await {
        Ok(owners) => owners,
        Err(err) => {
            tracing::error!(error = chain(&err), "sweep failed to list resources");
            return json!({"failed": [chain(&err)]});
        }
    };
    let mut all = Report::default();
    for Sweepable { forge_id, stack_id, logical_id } in owners {
        let Some(id) = ForgeId::parse(&forge_id) else { continue };
        let owner = Owner { forge_id: forge_id.clone(), stack_id, logical_id, adopts: false };
        let forge = Sweep { cloud, deployment, owner, names: Names::new(&deployment.prefix, id), until };
        let mut report = Box::pin(forge.run()).await.unwrap_or_else(|err| Report {
            failed: vec![format!("forge {forge_id}: {}", chain(&err))],
            ..Report::default()
        });
        let Report { collected, waiting, failed } = &report;
        let (collected, waiting, failed) = (collected.join(", "), waiting.join(", "), failed.join(", "));
        tracing::info!(forge = forge_id, collected, waiting, failed, "sweep finished");
        all.collected.append(&mut report.collected);
        all.waiting.append(&mut report.waiting);
        all.failed.append(&mut report.failed);
    }
    json!({"collected": all.collected, "waiting": all.waiting, "failed": all.failed})
}

/// The sweep of one forge.
struct Sweep<'a, C> {
    cloud: &'a C,
    deployment: &'a Deployment,
    owner: Owner,
    names: Names,
    until: Duration,
}

impl<C: Cloud> Sweep<'_, C> {
    /// Claims, deletes, and releases the claim.
    async fn run(&self) -> Result<Report> {
        let key = resource_key(&self.owner.stack_id, &self.owner.logical_id);
        let by = format!("sweep/{:016x}", self.cloud.random());
        let claim = claim_for_sweep(&key, &by, self.cloud.now().wall);
        let Updated::Done(old) = writer::update(self.cloud, &claim, self.until).await? else {
            return Ok(self.waiting("an operation on it is in progress"));
        };
        let swept = self.collect(&key, &by, old.as_ref().map(Item::read).as_ref()).await;
        let release = release(&key, &by, self.cloud.now().wall);
        writer::update(self.cloud, &release, self.until).await?;
        swept
    }

    async fn collect(&self, key: &str, by: &str, old: Option<&Item>) -> Result<Report> {
        // A rollback that has not begun is not in the table, and may need collectable generations.
        let in_progress = self.cloud.stack_status(&self.owner.stack_id).await;
        let in_progress = in_progress.map(|status| status.ends_with("_IN_PROGRESS"));
        if in_progress == Some(true) {
            return Ok(self.waiting("its stack is in progress"));
        }
        let now = self.cloud.now();
        let read_lag = self.deployment.timing.read_lag;
        let wrote_at = old.and_then(|item| item.wrote_at);
        let lag = wrote_at.map_or(Duration::ZERO, |wrote_at| read_lag.saturating_sub(now.since(wrote_at)));
        let target = Target {
            names: &self.names,
            owner: &self.owner,
            kinds: &KINDS,
            placed: None,
            until: self.until,
            settled: now.mono + lag,
        };
        let (last_write, permit) = (Cell::default(), RefCell::default());
        let writer = Writer {
            cloud: self.cloud,
            key,
            by,
            claimant: None,
            timing: self.deployment.timing,
            last_write: &last_write,
            permit: &permit,
        };
        let rules = Rules {
            owner: &self.owner,
            names: &self.names,
            now,
            least_age: self.least_age(in_progress),
            is_at_rest: in_progress == Some(false),
        };
        let desired = |inventory: &Inventory, _: &Result<Network>| Ok(rules.desired(inventory));
        Ok(match Box::pin(reconcile(&writer, &target, &desired)).await? {
            Outcome::Done(Done { inventory, deleted }) => Report {
                collected: deleted.iter().map(ToString::to_string).collect(),
                waiting: rules.waiting(&inventory),
                failed: Vec::new(),
            },
            Outcome::Pending(pending) => self.waiting(&pending.join("; ")),
            Outcome::Superseded { .. } => self.waiting("an operation on it has started"),
        })
    }

    fn least_age(&self, in_progress: Option<bool>) -> Duration {
        let least = self.deployment.retire_after;
        if in_progress.is_none() { least.max(UNKNOWN) } else { least }
    }

    fn waiting(&self, why: &str) -> Report {
        Report { waiting: vec![format!("forge {}: {why}", self.owner.forge_id)], ..Report::default() }
    }
}

/// PURE. The collectable resources.
struct Rules<'a> {
    owner: &'a Owner,
    names: &'a Names,
    now: Now,
    least_age: Duration,
    /// Whether the stack is known not to be in progress.
    is_at_rest: bool,
}

impl Rules<'_> {
    /// The observed state of the forge without collectable and unreferenced resources.
    fn desired(&self, inventory: &Inventory) -> Vec<Desired> {
        let collectable: BTreeSet<&str> = self
            .environments(inventory)
            .filter(|(existing, observed)| self.not_collectable(inventory, existing, observed).is_none())
            .map(|(existing, _)| existing.id.name.as_str())
            .collect();
        let ours = inventory.resources.values().filter(|existing| self.owner.owns(&existing.tags));
        let kept = ours.filter(|existing| match existing.id.kind {
            Kind::ComputeEnvironment => !collectable.contains(existing.id.name.as_str()),
            Kind::LaunchTemplate | Kind::Role => !self.is_unused(inventory, existing),
            _ => true,
        });
        let mut desired: Vec<Desired> = kept
            .map(|existing| match JobQueue::observed(&existing.observed) {
                Some(queue) => let_go(existing, queue, &collectable),
                None => Desired::as_it_is(existing),
            })
            .collect();
        for (existing, observed) in self.environments(inventory) {
            let lowered = desired.iter_mut().find(|desired| desired.id == existing.id);
            if let Some((desired, limit)) = lowered.zip(limit(existing)) {
                *desired = lower(existing, observed, limit);
            }
        }
        desired
    }

    fn environments<'i>(
        &self,
        inventory: &'i Inventory,
    ) -> impl Iterator<Item = (&'i Existing, &'i compute_environment::Observed)> {
        let all = inventory.all::<ComputeEnvironment>();
        all.filter(|(existing, _)| self.owner.owns(&existing.tags) && !is_released(existing))
    }

    /// Templates and the fleet's role are deleted once nothing refers to them. A forge without environments is being
    /// created or deleted, and the sweep does not change it.
    fn is_unused(&self, inventory: &Inventory, existing: &Existing) -> bool {
        let stands = self.is_at_rest && self.environments(inventory).next().is_some();
        let goes =
            existing.id.kind == Kind::LaunchTemplate || existing.id.name == self.names.role(RoleKind::Fleet);
        stands && goes && !is_released(existing) && inventory.referrers(&existing.id).next().is_none()
    }

    /// Why a retiring environment cannot be deleted yet.
    fn not_collectable(
        &self,
        inventory: &Inventory,
        existing: &Existing,
        observed: &compute_environment::Observed,
    ) -> Option<String> {
        let Some(since) = existing.tags.get(RETIRING_TAG) else { return Some(String::new()) };
        let text = |text: &str| Some(text.to_owned());
        if matches!(existing.phase, Phase::Settling(_)) {
            return text("it is in transition");
        }
        if matches!(existing.phase, Phase::Deleting(_)) {
            return None;
        }
        if observed.enabled {
            return text("it is enabled");
        }
        if !observed.is_idle {
            return text("jobs are still running in it");
        }
        if let Some(queue) = inventory.foreign_referrer(&existing.id) {
            return Some(format!("job queue {queue}, which this forge does not own, refers to it"));
        }
        let Some(since) = parse_rfc3339(since) else { return text("the time in its tag cannot be read") };
        let young = self.now.since_date(since) < self.least_age;
        if young { text("it retired too recently") } else { None }
    }

    /// The retiring environments that are kept, and those whose maximum is not lowered yet, with the reasons.
    fn waiting(&self, inventory: &Inventory) -> Vec<String> {
        let retiring =
            self.environments(inventory).filter(|(existing, _)| existing.tags.contains_key(RETIRING_TAG));
        let kept = retiring.filter_map(|(existing, observed)| {
            let why = self.not_collectable(inventory, existing, observed)?;
            Some(format!("{}: {why}", existing.id))
        });
        let limited = self.environments(inventory).filter_map(|(existing, observed)| {
            let (limit, used) = (limit(existing)?, observed.desired_vcpus);
            Some(format!("{}: its jobs use {used} vCPUs, and its maximum is to be {limit}", existing.id))
        });
        kept.chain(limited).collect()
    }
}

/// Whether a resource has been released: another stack may be adopting it, and a sweep does not hold the forge.
fn is_released(existing: &Existing) -> bool {
    existing.tags.contains_key(RELEASED_TAG)
}

/// The maximum of vCPUs that an environment is to have once its jobs allow it.
fn limit(existing: &Existing) -> Option<i32> {
    if existing.tags.contains_key(RETIRING_TAG) { None } else { existing.tags.get(LIMIT_TAG)?.parse().ok() }
}

/// An environment with a lower maximum, as far as its jobs allow it.
fn lower(existing: &Existing, observed: &compute_environment::Observed, max_vcpus: i32) -> Desired {
    let spec = compute_environment::Spec {
        lifecycle: Lifecycle::Active { min_vcpus: observed.min_vcpus.unwrap_or_default() },
        max_vcpus,
        service_role: None,
        resources: None,
    };
    let is_reached = attainable(max_vcpus, observed) == max_vcpus;
    let remove_tags = is_reached.then(|| LIMIT_TAG.to_owned()).into_iter().collect();
    Desired { spec: Some(ComputeEnvironment::spec(spec)), remove_tags, ..Desired::as_it_is(existing) }
}

/// A queue without its collectable environments; one with no others is unchanged.
fn let_go(existing: &Existing, queue: &job_queue::Observed, collectable: &BTreeSet<&str>) -> Desired {
    let spec = job_queue::Spec::without(queue, |name| collectable.contains(name));
    let desired = Desired::as_it_is(existing);
    if spec.order.is_empty() || spec.order.len() == queue.order.len() {
        return desired;
    }
    Desired { spec: Some(JobQueue::spec(spec)), ..desired }
}
