//! AWS Batch's job queues.

use crate::account::Version;
use crate::batch::{Landed, client, environment_id, missing, taken};
use crate::executor::S;
use crate::world::World;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use tower_forge_core::registry::{Existing, Observed};
use tower_forge_core::resource::{Phase, ResourceId, Tags};
use tower_forge_core::resources::{job_queue, name_of};

fn queue(version: &mut Version) -> Option<&mut job_queue::Observed> {
    match &mut version.existing.observed {
        Observed::JobQueue(observed) => Some(Arc::make_mut(observed)),
        _ => None,
    }
}

impl World {
    /// A call on a job queue.
    pub(crate) fn land_on_queue(self: &Rc<Self>, id: &ResourceId, call: &job_queue::Call) -> Landed {
        use job_queue::Call;
        let now = self.truth(id);
        if let Call::Create { spec, tags } = call {
            if now.is_some() {
                return Err(taken());
            }
            self.check_order(&spec.order)?;
            let observed = job_queue::Observed {
                arn: format!("arn:aws:batch:eu-west-1:123456789012:job-queue/{}", id.name),
                enabled: true,
                priority: spec.priority,
                order: spec.order.clone(),
                time_limits: spec.time_limits(),
                scheduling_policy: spec.scheduling_policy.clone(),
            };
            self.put(Version::of(Existing {
                id: id.clone(),
                tags: tags.clone(),
                phase: Phase::Settled,
                refs: spec.order.iter().map(|arn| environment_id(arn)).collect(),
                created: None,
                observed: Observed::JobQueue(Arc::new(observed)),
            }));
            self.begin(id, Phase::Settling("CREATING".to_owned()), self.takes(S, 8 * S), |_| {});
            return Ok(());
        }
        let Some(mut now) = now.map(|now| Version::clone(&now)) else {
            return Err(missing("job-queue", &id.name));
        };
        let phase = now.existing.phase.clone();
        let enabled = queue(&mut now).is_some_and(|observed| observed.enabled);
        match call {
            Call::Update { .. } if matches!(phase, Phase::Settling(_) | Phase::Deleting(_)) => {
                return Err(client("Cannot update, resource is being modified."));
            }
            Call::Update { update, .. } => self.update_queue(id, update)?,
            Call::Delete { .. } if matches!(phase, Phase::Deleting(_)) => {}
            Call::Delete { .. } if matches!(phase, Phase::Settling(_)) => {
                return Err(client("Cannot delete, resource is being modified."));
            }
            Call::Delete { .. } if enabled => {
                return Err(client("Cannot delete, resource must be DISABLED first."));
            }
            Call::Delete { .. } => {
                let held = now.existing.refs.clone();
                self.begin(id, Phase::Deleting("DELETING".to_owned()), self.takes(2 * S, 30 * S), |_| {});
                self.let_go(&held);
            }
            Call::Tag { tags, .. } => self.edit_tags(id, tags, &[]),
            Call::Untag { keys, .. } => self.edit_tags(id, &Tags::new(), keys),
            Call::Create { .. } => {}
        }
        Ok(())
    }

    fn update_queue(self: &Rc<Self>, id: &ResourceId, update: &job_queue::Update) -> Landed {
        let before = self.truth(id);
        let has_policy = before.as_deref().is_some_and(|version| match &version.existing.observed {
            Observed::JobQueue(observed) => observed.scheduling_policy.is_some(),
            _ => false,
        });
        if update.scheduling_policy.is_some() && !has_policy {
            return Err(client("A scheduling policy cannot be added to a FIFO job queue."));
        }
        if let Some(order) = &update.order {
            self.check_order(order)?;
        }
        let before = before.map(|version| version.existing.refs.clone()).unwrap_or_default();
        self.begin(id, Phase::Settling("UPDATING".to_owned()), self.takes(S, 8 * S), |version| {
            if let Some(order) = &update.order {
                version.existing.refs = order.iter().map(|arn| environment_id(arn)).collect();
            }
            let Some(observed) = queue(version) else { return };
            observed.enabled = update.enabled.unwrap_or(observed.enabled);
            observed.priority = update.priority.unwrap_or(observed.priority);
            let policy = update.scheduling_policy.as_ref().or(observed.scheduling_policy.as_ref());
            observed.scheduling_policy = policy.cloned();
            observed.order.clone_from(update.order.as_ref().unwrap_or(&observed.order.clone()));
            observed
                .time_limits
                .clone_from(update.time_limits.as_ref().unwrap_or(&observed.time_limits.clone()));
        });
        if update.order.is_some() {
            self.let_go(&before);
        }
        Ok(())
    }

    /// Batch forgets the relation of a queue to its environments late.
    fn let_go(&self, environments: &[ResourceId]) {
        for id in environments {
            let until = self.now() + if self.chance(200) { self.sim.rng.range(S, 40 * S) } else { 0 };
            self.edit(id, |version| version.held_until = until);
        }
    }

    fn check_order(&self, order: &[String]) -> Landed {
        if order.is_empty() {
            return Err(client("At least one compute environment is required."));
        }
        if order.len() > 3 {
            return Err(client("Only 3 environments are allowed in job queue request."));
        }
        let mut all = Vec::new();
        for arn in order {
            let found = self.truth(&environment_id(arn));
            all.push(found.ok_or_else(|| missing("compute-environment", name_of(arn)))?);
        }
        if order.iter().collect::<BTreeSet<_>>().len() < order.len() {
            return Err(client("Duplicate compute environments in the request."));
        }
        if all.iter().any(|version| version.existing.phase != Phase::Settled) {
            let text = "Compute Environments must be created and valid before attaching them to a job queue";
            return Err(client(text));
        }
        let on_fargate = |version: &Rc<Version>| match &version.existing.observed {
            Observed::ComputeEnvironment(observed) => observed.min_vcpus.is_none(),
            _ => false,
        };
        if all.iter().map(on_fargate).collect::<BTreeSet<_>>().len() > 1 {
            return Err(client("Fargate and EC2 compute environments can not be mixed."));
        }
        Ok(())
    }
}
