//! Everybody else: jobs, neighbours, people, and the table's fate.

use crate::account::Version;
use crate::batch::has_room;
use crate::executor::{Ms, S};
use crate::lambda::sweep_once;
use crate::stacks::Stack;
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use tower_forge_core::name::{FORGE_TAG, ForgeId, LOGICAL_TAG, Names, Pool, RoleKind, STACK_TAG};
use tower_forge_core::properties::Identity;
use tower_forge_core::registry::{Existing, Observed};
use tower_forge_core::resource::{Kind, Phase, ResourceId, Tags};
use tower_forge_core::resources::{job_queue, role};

/// A queue of somebody else that refers to our environments.
const SOMEBODYS_QUEUE: &str = "somebodys-queue";

pub(crate) fn queue_of(name: &str, tags: Tags, held: &[ResourceId]) -> Version {
    let arn =
        |id: &ResourceId| format!("arn:aws:batch:eu-west-1:123456789012:compute-environment/{}", id.name);
    let observed = job_queue::Observed {
        arn: format!("arn:aws:batch:eu-west-1:123456789012:job-queue/{name}"),
        enabled: true,
        priority: 1,
        order: held.iter().map(arn).collect(),
        time_limits: Vec::new(),
        scheduling_policy: None,
    };
    Version::of(Existing {
        id: ResourceId::new(Kind::JobQueue, name),
        tags,
        phase: Phase::Settled,
        refs: held.to_vec(),
        created: None,
        observed: Observed::JobQueue(Arc::new(observed)),
    })
}

impl World {
    /// Lets everybody else do something at some times of the life.
    pub(crate) fn let_others_act(self: &Rc<Self>) {
        let rng = &self.sim.rng;
        for _ in 0..rng.range(0, 3) {
            self.after(rng.log_range(5 * S, 6 * 3600 * S), sweep_once);
        }
        for _ in 0..rng.range(0, 3) {
            self.after(rng.log_range(60 * S, 3 * 3600 * S), Self::begin_job);
        }
        if rng.permille(80) {
            self.after(rng.log_range(60 * S, 2 * 3600 * S), Self::attach_foreign_queue);
        }
        if rng.permille(60) {
            self.after(rng.log_range(60 * S, 2 * 3600 * S), Self::delete_something_by_hand);
        }
        if rng.permille(10) {
            self.after(rng.log_range(10 * S, 2 * 3600 * S), |world| {
                for stack in Stack::ALL {
                    world.excuse(stack, "the table is lost during an operation");
                }
                world.lose_table();
            });
        }
        self.settle_neighbours(rng.permille(40));
    }

    /// Lets something happen after a pause, while things go wrong.
    pub(crate) fn after(self: &Rc<Self>, pause: Ms, act: impl FnOnce(&Rc<Self>) + 'static) {
        let world = Rc::clone(self);
        self.sim.at(self.now() + pause, move || {
            if !world.calm.get() {
                act(&world);
            }
        });
    }

    /// Another forge exists, and perhaps somebody has taken one of our names.
    fn settle_neighbours(&self, takes_our_name: bool) {
        let tags = |forge: &str, stack: &str| -> Tags {
            let tags = [(FORGE_TAG, forge), (STACK_TAG, stack), (LOGICAL_TAG, Stack::First.logical_id())];
            tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let other = Stack::First.id().replace("genomics", "neighbour");
        self.put(queue_of("TowerForge-Neighbour-work", tags("Neighbour", &other), &[]));
        if !takes_our_name {
            return;
        }
        self.count("somebody has taken one of our names");
        let rng = &self.sim.rng;
        let identity = Identity { arm64: false, fargate_head: rng.permille(500), scheduling_policy: false };
        let first = Stack::First;
        let names =
            Names::new("TowerForge", ForgeId::derive(first.id(), first.logical_id(), Some(&identity)));
        let tags = if rng.permille(500) { tags(names.id().as_str(), &other) } else { Tags::new() };
        if rng.permille(500) {
            self.put(queue_of(&names.queue(Pool::Work), tags, &[]));
            return;
        }
        let observed = role::Observed {
            trust: serde_json::Value::Null,
            managed: BTreeSet::new(),
            inline: BTreeMap::new(),
            boundary: None,
        };
        let kind = *rng.pick(&[RoleKind::Service, RoleKind::Instance, RoleKind::Execution]);
        self.put(Version::of(Existing {
            id: ResourceId::new(Kind::Role, names.role(kind)),
            tags,
            phase: Phase::Settled,
            refs: Vec::new(),
            created: Some(self.seconds()),
            observed: Observed::Role(Arc::new(observed)),
        }));
    }

    /// Somebody else's resources, to be compared at the end.
    pub(crate) fn foreign(&self) -> Vec<(ResourceId, Tags)> {
        let account = self.account.borrow();
        let foreign =
            account.all().filter(|(id, version)| version.owner().is_none() && id.name != SOMEBODYS_QUEUE);
        foreign.map(|(id, version)| (id.clone(), version.existing.tags.clone())).collect()
    }

    fn some(&self, of: impl Fn(&Version) -> bool) -> Option<ResourceId> {
        let account = self.account.borrow();
        let ours = account.all().filter(|(_, version)| version.owner() == Some(Stack::First) && of(version));
        let ours: Vec<ResourceId> = ours.map(|(id, _)| id.clone()).collect();
        (!ours.is_empty()).then(|| self.sim.rng.pick(&ours).clone())
    }

    fn begin_job(self: &Rc<Self>) {
        let (rests, live) = {
            let stack = self.view(Stack::First).borrow();
            (stack.is_at_rest(), stack.physical_id().map(str::to_owned))
        };
        let jobs = *self.sim.rng.pick(&[1, 20]);
        let serves = |version: &Version| {
            let enabled = match &version.existing.observed {
                Observed::ComputeEnvironment(observed) => observed.enabled,
                _ => false,
            };
            let is_served = self.account.borrow().referrers(&version.existing.id).next().is_some();
            enabled
                && is_served
                && has_room(version, jobs)
                && version.existing.phase == Phase::Settled
                && version.existing.tags.get(FORGE_TAG) == live.as_ref()
        };
        let Some(id) = self.some(serves).filter(|_| rests) else { return };
        self.count("a job begins");
        self.say(|| format!("{jobs} jobs begin in {id}"));
        self.run_jobs(&id, jobs, 0);
        let world = Rc::clone(self);
        let ends = self.now() + self.sim.rng.log_range(30 * S, 2 * 3600 * S);
        self.sim.at(ends, move || {
            world.say(|| format!("{jobs} jobs end in {id}"));
            world.run_jobs(&id, 0, jobs);
        });
    }

    fn attach_foreign_queue(self: &Rc<Self>) {
        let is_environment = |version: &Version| {
            version.existing.id.kind == Kind::ComputeEnvironment && version.existing.phase == Phase::Settled
        };
        let Some(id) = self.some(is_environment) else { return };
        self.count("a queue of somebody else on our environment");
        self.say(|| format!("somebody attaches a queue to {id}"));
        self.put(queue_of(SOMEBODYS_QUEUE, Tags::new(), &[id]));
        self.disturb();
        self.after(self.sim.rng.log_range(60 * S, 7200 * S), |world| world.remove_foreign_queues());
    }

    /// Somebody removes a queue from our environments.
    pub(crate) fn remove_foreign_queues(&self) {
        let id = ResourceId::new(Kind::JobQueue, SOMEBODYS_QUEUE);
        if self.truth(&id).is_some() {
            self.say(|| "somebody removes that queue".to_owned());
            self.remove(&id);
            self.disturb();
        }
    }

    fn delete_something_by_hand(self: &Rc<Self>) {
        let goes = |version: &Version| {
            let kind = version.existing.id.kind;
            matches!(kind, Kind::LogGroup | Kind::LaunchTemplate | Kind::JobQueue | Kind::Role)
                && version.existing.phase == Phase::Settled
        };
        if let Some(id) = self.some(goes) {
            self.delete_by_hand(&id);
        }
    }

    /// Somebody deletes a resource of the forge.
    pub(crate) fn delete_by_hand(self: &Rc<Self>, id: &ResourceId) {
        self.count("somebody deletes a resource by hand");
        self.say(|| format!("somebody deletes {id} by hand"));
        if id.kind == Kind::Role {
            let profile = ResourceId::new(Kind::InstanceProfile, id.name.clone());
            self.edit(&profile, |version| {
                version.existing.refs.clear();
                if let Observed::InstanceProfile(observed) = &mut version.existing.observed {
                    Arc::make_mut(observed).roles.clear();
                }
            });
        }
        // With its queue a job ends.
        let ended =
            self.truth(id).filter(|_| id.kind == Kind::JobQueue).map(|queue| queue.existing.refs.clone());
        for environment in ended.unwrap_or_default() {
            self.run_jobs(&environment, 0, u32::MAX);
        }
        self.remove(id);
        if id.kind == Kind::Role {
            self.note_lost_role(id);
        }
        self.disturb();
    }
}
