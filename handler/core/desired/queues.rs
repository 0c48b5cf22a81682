//! PURE. The job queues, and the older generations of environments behind them.
//!
//! A replaced environment (blue) stays attached to its queue, DISABLED, until its jobs have finished. A later operation
//! or the sweep deletes it; the operation that replaced it never does, because a rollback may need it.

use super::environments::Pools;
use super::{Declared, Forge, is_usable, refused};
use crate::error::Result;
use crate::name::{IDENTITY_TAG, Pool, RETIRING_TAG};
use crate::properties::Identity;
use crate::registry::{Existing, Registered as _};
use crate::resource::{Kind, Phase, ResourceId};
use crate::resources::compute_environment::{self, ComputeEnvironment, Lifecycle};
use crate::resources::job_queue::{self, JobQueue};
use crate::resources::name_of;
use std::collections::{BTreeMap, BTreeSet};

/// AWS's limit of environments in a queue.
const SLOTS: usize = 3;

/// An existing environment.
type Environment<'a> = (&'a Existing, &'a compute_environment::Observed);

/// The scheduling policy of a queue: tasks of a DRAGEN queue bear the same share identifier as the others, and only a queue with
/// a policy takes it. A queue that was created without one cannot gain one.
fn scheduling_policy(forge: &Forge<'_>, pool: Pool, name: &str) -> Option<String> {
    let existing = forge.inventory.find::<JobQueue>(name);
    let has_one = match pool {
        Pool::Work => true,
        Pool::Dragen => existing.is_none_or(|(_, queue)| queue.scheduling_policy.is_some()),
        Pool::Head | Pool::OnDemand => false,
    };
    forge.properties.scheduling_policy_arn.clone().filter(|_| has_one)
}

/// Declares the queues, and the environments that retire.
pub(super) fn declare(forge: &mut Forge<'_>, pools: &Pools) -> Result<()> {
    let properties = forge.properties;
    let identity = properties.identity();
    let work: Vec<Declared> =
        [Some(&pools.work), pools.on_demand.as_ref()].into_iter().flatten().cloned().collect();
    let head = vec![pools.head.as_ref().unwrap_or(&pools.work).clone()];
    let mut queues = vec![(Pool::Work, 1, work), (Pool::Head, 10, head)];
    queues.extend(pools.dragen.as_ref().map(|dragen| (Pool::Dragen, 1, vec![dragen.clone()])));

    let serving: BTreeSet<ResourceId> =
        queues.iter().flat_map(|(_, _, wanted)| wanted).map(|Declared(id)| id.clone()).collect();
    let mut behind: BTreeMap<ResourceId, Vec<ResourceId>> = BTreeMap::new();
    for (pool, priority, wanted) in queues {
        let name = forge.cx.names.queue(pool);
        let has_identity = keeps_identity(forge, &name, identity)?;
        let attached = attached(forge, &name, &serving);
        let order = order(forge, &name, &wanted, &attached)?;
        for (existing, _) in &attached {
            behind.entry(existing.id.clone()).or_default().push(ResourceId::new(Kind::JobQueue, &name));
        }
        let spec = job_queue::Spec {
            priority,
            order: order.iter().map(|id| forge.cx.environment_arn(&id.name)).collect(),
            time_limit: properties.job_state_time_limit,
            scheduling_policy: scheduling_policy(forge, pool, &name),
        };
        forge.declare::<JobQueue>(name, spec, &wanted);
        if has_identity {
            let queue = forge.resources.last_mut().expect("the queue has just been declared");
            queue.tags.insert(IDENTITY_TAG.to_owned(), identity.tag());
        }
    }
    for (existing, observed) in retiring(forge, &serving, &behind) {
        let after = behind.remove(&existing.id).unwrap_or_default();
        let spec = compute_environment::Spec {
            lifecycle: Lifecycle::Draining,
            max_vcpus: observed.max_vcpus,
            service_role: None,
            resources: None,
        };
        forge.retire(existing, Some(ComputeEnvironment::spec(spec)), after);
    }
    Ok(())
}

/// Refuses a change that no queue can carry across. Derived IDs differ then, so the stack has fixed the forge's ID. Returns
/// whether the queue bears its identity: one that exists without is given none, because it may have another.
fn keeps_identity(forge: &Forge<'_>, queue: &str, wanted: Identity) -> Result<bool> {
    let Some((existing, _)) = forge.inventory.find::<JobQueue>(queue) else { return Ok(true) };
    let tag = existing.tags.get(IDENTITY_TAG).filter(|_| forge.cx.owner.owns(&existing.tags));
    let Some(identity) = tag.and_then(|tag| Identity::from_tag(tag)) else { return Ok(false) };
    let changed = identity.differences(wanted);
    if changed.is_empty() {
        return Ok(true);
    }
    Err(refused(format!(
        "job queue {queue} exists, and a queue cannot change this: {} when it was made; leave that so, or change \
         ForgeId too, and the forge is made anew behind other queues",
        changed.join(", ")
    )))
}

/// The environments of a queue that should no longer be active.
fn attached<'a>(forge: &Forge<'a>, queue: &str, serving: &BTreeSet<ResourceId>) -> Vec<Environment<'a>> {
    let queue = forge.inventory.find::<JobQueue>(queue);
    let order = queue.map(|(_, queue)| queue.order.as_slice()).unwrap_or_default();
    let environments =
        order.iter().filter_map(|arn| forge.inventory.find::<ComputeEnvironment>(name_of(arn)));
    environments
        .filter(|(existing, _)| forge.cx.owner.owns(&existing.tags) && !serving.contains(&existing.id))
        .collect()
}

/// The order of a queue: active environments first, then those that still finish their jobs.
fn order(
    forge: &Forge<'_>,
    queue: &str,
    wanted: &[Declared],
    attached: &[Environment<'_>],
) -> Result<Vec<ResourceId>> {
    let kept: Vec<Environment<'_>> =
        attached.iter().copied().filter(|each| !is_collectable(forge, *each) && is_usable(each.0)).collect();
    let busy: Vec<&str> = kept
        .iter()
        .filter(|(_, live)| !live.is_idle)
        .map(|(existing, _)| existing.id.name.as_str())
        .collect();
    let to_make = wanted.iter().any(|Declared(id)| forge.inventory.get(id).is_none());
    if to_make && wanted.len() + busy.len() > SLOTS {
        return Err(refused(format!(
            "queue {queue} holds at most {SLOTS} compute environments, and older generations still run jobs: {}; \
             nothing was changed; update again when these jobs have finished",
            busy.join(", ")
        )));
    }
    // An environment that is disabled and idle can leave without harm; anything else holds its place, and of the
    // wanted ones the first always has one.
    let (idle, holding): (Vec<Environment<'_>>, Vec<Environment<'_>>) =
        kept.into_iter().partition(|(_, observed)| !observed.enabled && observed.is_idle);
    let first = SLOTS.saturating_sub(holding.len()).clamp(1, wanted.len());
    let serving = wanted.iter().take(first).map(|Declared(id)| id);
    let others = holding.into_iter().chain(idle).map(|(existing, _)| &existing.id);
    Ok(serving.chain(others).take(SLOTS).cloned().collect())
}

/// Whether an environment may be deleted: it retired before this operation started, and nothing runs in it. One to
/// which a foreign queue refers cannot be deleted, and is left to a later sweep.
fn is_collectable(forge: &Forge<'_>, (existing, observed): Environment<'_>) -> bool {
    let before = existing.tags.get(RETIRING_TAG).is_some_and(|since| *since < forge.cx.since);
    let held = forge.inventory.foreign_referrer(&existing.id).is_some();
    before && !observed.enabled && observed.is_idle && !held
}

/// The environments that are kept although they are not active.
fn retiring<'a>(
    forge: &Forge<'a>,
    serving: &BTreeSet<ResourceId>,
    behind: &BTreeMap<ResourceId, Vec<ResourceId>>,
) -> Vec<Environment<'a>> {
    let all = forge.inventory.all::<ComputeEnvironment>();
    let ours = all.filter(|(existing, _)| forge.cx.owner.owns(&existing.tags));
    ours.filter(|environment| {
        let (existing, observed) = environment;
        // One without a queue may run jobs: its queue let go of it because it is INVALID, or an Update that was cancelled
        // had wanted it again, and had taken its tag. An idle one is the remains of an Update that failed.
        let had_jobs = !observed.is_idle
            || behind.contains_key(&existing.id)
            || existing.tags.contains_key(RETIRING_TAG);
        let held = forge.inventory.foreign_referrer(&existing.id).is_some();
        let going = matches!(&existing.phase, Phase::Deleting(_));
        !serving.contains(&existing.id)
            && (had_jobs || held)
            && !is_collectable(forge, *environment)
            && !going
    })
    .collect()
}
