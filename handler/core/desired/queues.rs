//! PURE. The job queues, and the older generations of environments behind them.
//!
//! A replaced environment (blue) stays behind its queue, DISABLED, until its jobs have ended. It is collected by
//! an operation that came after the one that replaced it, or by the sweep: never by the same one, because a
//! rollback may need it.

use super::environments::Lines;
use super::{Forge, Need, is_idle, is_usable, refused};
use crate::error::Result;
use crate::name::{Line, RETIRING_TAG};
use crate::resource::{Kind, Live, PartId, Phase, Seen, Spec};
use crate::resources::batch::name_of;
use crate::resources::compute_environment::{self, Duty, Resources};
use crate::resources::job_queue;
use std::collections::{BTreeMap, BTreeSet};

/// AWS's limit of environments in a queue.
const SLOTS: usize = 3;

/// Declares the queues, and the environments that retire.
pub(super) fn declare(forge: &mut Forge<'_>, lines: &Lines) -> Result<()> {
    let properties = forge.properties;
    let work: Vec<Need> =
        [Some(&lines.work), lines.on_demand.as_ref()].into_iter().flatten().cloned().collect();
    let head = vec![lines.head.as_ref().unwrap_or(&lines.work).clone()];
    let mut queues = vec![(Line::Work, 1, work), (Line::Head, 10, head)];
    queues.extend(lines.dragen.as_ref().map(|dragen| (Line::Dragen, 1, vec![dragen.clone()])));

    let serving: BTreeSet<PartId> =
        queues.iter().flat_map(|(_, _, wanted)| wanted).map(|Need(id)| id.clone()).collect();
    let mut behind: BTreeMap<PartId, Vec<PartId>> = BTreeMap::new();
    for (line, priority, wanted) in queues {
        let name = forge.cx.names.queue(line);
        let attached = attached(forge, &name, &serving);
        let order = order(forge, &name, &wanted, &attached)?;
        for seen in &attached {
            behind.entry(seen.id.clone()).or_default().push(PartId::new(Kind::JobQueue, &name));
        }
        let spec = job_queue::Spec {
            priority,
            order: order.iter().map(|id| forge.cx.environment_arn(&id.name)).collect(),
            time_limit: properties.job_state_time_limit,
            scheduling_policy: properties.scheduling_policy_arn.clone().filter(|_| line == Line::Work),
        };
        forge.declare(Kind::JobQueue, name, Spec::JobQueue(spec), &wanted);
    }
    for seen in retiring(forge, &serving, &behind) {
        let needs = behind.remove(&seen.id).unwrap_or_default();
        let Live::ComputeEnvironment(live) = &seen.live else { continue };
        let spec = compute_environment::Spec {
            duty: Duty::Retiring,
            max_vcpus: live.max_vcpus,
            service_role: live.service_role.clone(),
            resources: Resources::Fixed,
        };
        forge.retire(seen, Spec::ComputeEnvironment(Box::new(spec)), needs);
    }
    Ok(())
}

/// The environments behind a queue that should not serve any more.
fn attached<'a>(forge: &Forge<'a>, queue: &str, serving: &BTreeSet<PartId>) -> Vec<&'a Seen> {
    let queue = forge.there.get(Kind::JobQueue, queue).and_then(Seen::queue);
    let order = queue.map(|queue| queue.order.as_slice()).unwrap_or_default();
    let environments = order.iter().filter_map(|arn| forge.there.get(Kind::ComputeEnvironment, name_of(arn)));
    environments.filter(|seen| forge.cx.owner.owns(&seen.tags) && !serving.contains(&seen.id)).collect()
}

/// The order of a queue: what serves first, then what still finishes its jobs.
fn order(forge: &Forge<'_>, queue: &str, wanted: &[Need], attached: &[&Seen]) -> Result<Vec<PartId>> {
    let kept: Vec<&Seen> =
        attached.iter().copied().filter(|seen| !collectable(forge, seen) && is_usable(seen)).collect();
    let busy: Vec<&Seen> = kept.iter().copied().filter(|seen| !is_idle(forge.there, seen)).collect();
    let to_make = wanted.iter().any(|Need(id)| !forge.there.parts.contains_key(id));
    if to_make && wanted.len() + busy.len() > SLOTS {
        let names: Vec<&str> = busy.iter().map(|seen| seen.id.name.as_str()).collect();
        return Err(refused(format!(
            "queue {queue} holds at most {SLOTS} compute environments, and older generations still run jobs: {}; \
             nothing was changed; update again when these have ended",
            names.join(", ")
        )));
    }
    // What is disabled and idle can leave without harm; anything else holds its place, and of what is wanted
    // the first always has one.
    let (idle, holding): (Vec<&Seen>, Vec<&Seen>) =
        kept.into_iter().partition(|seen| !seen.is_enabled() && is_idle(forge.there, seen));
    let first = SLOTS.saturating_sub(holding.len()).clamp(1, wanted.len());
    let serving = wanted.iter().take(first).map(|Need(id)| id);
    Ok(serving.chain(holding.into_iter().chain(idle).map(|seen| &seen.id)).take(SLOTS).cloned().collect())
}

/// Whether an environment may go: it retired before this operation began, and nothing runs in it.
fn collectable(forge: &Forge<'_>, seen: &Seen) -> bool {
    let before = seen.tags.get(RETIRING_TAG).is_some_and(|since| *since < forge.cx.since);
    before && !seen.is_enabled() && is_idle(forge.there, seen)
}

/// The environments that are kept although they do not serve.
fn retiring<'a>(
    forge: &Forge<'a>,
    serving: &BTreeSet<PartId>,
    behind: &BTreeMap<PartId, Vec<PartId>>,
) -> Vec<&'a Seen> {
    let ours = forge.there.of(Kind::ComputeEnvironment).filter(|seen| forge.cx.owner.owns(&seen.tags));
    ours.filter(|seen| {
        // One that never stood behind a queue never had a job; it is the remains of an Update that failed.
        let had_jobs = behind.contains_key(&seen.id) || seen.tags.contains_key(RETIRING_TAG);
        let going = matches!(&seen.phase, Phase::Settling(status) if status == "DELETING");
        !serving.contains(&seen.id) && had_jobs && !collectable(forge, seen) && !going
    })
    .collect()
}
