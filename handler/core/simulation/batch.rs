//! AWS Batch: every change takes time.

use crate::account::{Version, refusal};
use crate::executor::{Ms, S};
use crate::world::World;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use tower_forge_core::error::ServiceError;
use tower_forge_core::registry::{Existing, Observed};
use tower_forge_core::resource::{Kind, Phase, ResourceId, Tags};
use tower_forge_core::resources::{compute_environment, job_queue, name_of};

type Landed = Result<(), ServiceError>;

/// Batch's reasons for an INVALID environment whose role or profile has not propagated.
const REASONS: [&str; 4] = [
    "CLIENT_ERROR - Not authorized to perform sts:AssumeRole (Service: AWSSecurityTokenService; Status Code: 403)",
    "CLIENT_ERROR - Instance profile arn:aws:iam::123456789012:instance-profile/x does not exist",
    "CLIENT_ERROR - User is not authorized to perform: ecs:DescribeClusters",
    "CLIENT_ERROR - Something that nobody has written down",
];

fn client(message: impl Into<String>) -> ServiceError {
    refusal("ClientException", message)
}

fn taken() -> ServiceError {
    refusal("ConflictException", "Object already exists")
}

fn missing(kind: &str, name: &str) -> ServiceError {
    client(format!("arn:aws:batch:eu-west-1:123456789012:{kind}/{name} does not exist"))
}

fn environment_id(arn: &str) -> ResourceId {
    ResourceId::new(Kind::ComputeEnvironment, name_of(arn))
}

/// The resources that an environment refers to.
fn refs(service_role: &str, resources: &compute_environment::Resources) -> Vec<ResourceId> {
    let mut refs = vec![ResourceId::new(Kind::Role, name_of(service_role))];
    if let compute_environment::Resources::Instances(instances) = resources {
        refs.push(ResourceId::new(Kind::InstanceProfile, name_of(&instances.instance_profile)));
        refs.extend(instances.fleet_role.iter().map(|role| ResourceId::new(Kind::Role, name_of(role))));
        refs.push(ResourceId::new(Kind::LaunchTemplate, &instances.launch_template));
    }
    refs
}

fn environment(version: &mut Version) -> Option<&mut compute_environment::Observed> {
    match &mut version.existing.observed {
        Observed::ComputeEnvironment(observed) => Some(Arc::make_mut(observed)),
        _ => None,
    }
}

fn queue(version: &mut Version) -> Option<&mut job_queue::Observed> {
    match &mut version.existing.observed {
        Observed::JobQueue(observed) => Some(Arc::make_mut(observed)),
        _ => None,
    }
}

fn is_empty_profile(version: &Version) -> bool {
    matches!(&version.existing.observed, Observed::InstanceProfile(profile) if profile.roles.is_empty())
}

/// Whether nothing runs in an environment, as far as a look shows it.
fn is_idle(jobs: u32, observed: &compute_environment::Observed) -> bool {
    // A Fargate environment tells only once it is disabled.
    jobs == 0 && observed.min_vcpus.map_or(!observed.enabled, |min| min == 0)
}

/// The checks of an update that Batch makes at once.
fn check_update(observed: &compute_environment::Observed, update: &compute_environment::Update) -> Landed {
    if observed.min_vcpus.is_none() && update.min_vcpus.is_some() {
        let text = "minvCpus and desiredvCpus should not be specified for Fargate compute resources.";
        return Err(client(text));
    }
    let min = update.min_vcpus.or(observed.min_vcpus).unwrap_or_default();
    if min > update.max_vcpus.unwrap_or(observed.max_vcpus) {
        return Err(client("maxvCpus should be greater than or equal to minvCpus."));
    }
    Ok(())
}

impl World {
    /// Puts a resource into a transition that ends after a while.
    pub(crate) fn begin(
        self: &Rc<Self>,
        id: &ResourceId,
        phase: Phase,
        takes: Ms,
        change: impl FnOnce(&mut Version),
    ) {
        let transition = self.fresh();
        self.edit(id, |version| {
            change(version);
            version.existing.phase = phase;
            version.transition = transition;
        });
        let (world, id) = (Rc::clone(self), id.clone());
        self.sim.at(self.now() + takes, move || world.end(&id, transition));
    }

    fn end(self: &Rc<Self>, id: &ResourceId, transition: u64) {
        let Some(version) = self.truth(id).filter(|version| version.transition == transition) else { return };
        let is_environment = id.kind == Kind::ComputeEnvironment;
        match &version.existing.phase {
            Phase::Deleting(_) if is_environment && self.service_role(&version).is_none() => {
                self.count("an environment hangs without its service role");
                self.edit(id, |version| version.existing.phase = Phase::Broken(REASONS[0].to_owned()));
            }
            Phase::Deleting(_) => {
                self.remove(id);
                self.say(|| format!("    AWS: {id} is gone"));
            }
            Phase::Settling(_) => {
                let phase = if is_environment { self.judge_environment(&version) } else { Phase::Settled };
                self.say(|| format!("    AWS: {id} is {phase:?}"));
                self.edit(id, |version| {
                    version.existing.phase = phase;
                    if let Some(after) = version.after.take() {
                        version.existing.observed = after;
                    }
                });
            }
            _ => {}
        }
    }

    /// The role of an environment, if Batch can act as it.
    fn service_role(&self, version: &Version) -> Option<Rc<Version>> {
        let id = version.existing.refs.iter().find(|id| id.kind == Kind::Role)?;
        self.truth(id).filter(|role| match &role.existing.observed {
            Observed::Role(observed) => {
                !observed.managed.is_empty() && observed.trust.to_string().contains("batch.amazonaws.com")
            }
            _ => false,
        })
    }

    /// Whether Batch finds an environment valid.
    fn judge_environment(&self, version: &Version) -> Phase {
        let now = self.now();
        let is_new = version.existing.phase == Phase::Settling("CREATING".to_owned());
        let knows = |id: &ResourceId| match self.truth(id) {
            // Batch copies the template when it makes the environment.
            found if id.kind == Kind::LaunchTemplate => found.is_some() || !is_new,
            Some(found) => found.ready <= now && !is_empty_profile(&found),
            None => false,
        };
        if self.service_role(version).is_some() && version.existing.refs.iter().all(knows) {
            return Phase::Settled;
        }
        self.count("an environment is INVALID because IAM lags");
        Phase::Broken((*self.sim.rng.pick(&REASONS)).to_owned())
    }

    /// How long a transition takes; sometimes very long.
    pub(crate) fn takes(&self, low: Ms, high: Ms) -> Ms {
        let rng = &self.sim.rng;
        if self.chance(10) { rng.range(300 * S, 1200 * S) } else { rng.range(low, high) }
    }

    fn create_environment(self: &Rc<Self>, id: &ResourceId, arn: String, call: &compute_environment::Call) {
        use compute_environment::Call;
        let Call::Create { min_vcpus, max_vcpus, service_role, resources, tags } = call else { return };
        let on_instances = matches!(resources, compute_environment::Resources::Instances(_));
        let observed = compute_environment::Observed {
            arn,
            enabled: true,
            min_vcpus: on_instances.then_some(*min_vcpus),
            max_vcpus: *max_vcpus,
            is_idle: on_instances && *min_vcpus == 0,
            service_role: service_role.clone(),
        };
        self.put(Version::of(Existing {
            id: id.clone(),
            tags: tags.clone(),
            phase: Phase::Settled,
            refs: refs(service_role, resources),
            created: None,
            observed: Observed::ComputeEnvironment(Arc::new(observed)),
        }));
        self.begin(id, Phase::Settling("CREATING".to_owned()), self.takes(4 * S, 60 * S), |_| {});
    }

    /// A call on a compute environment.
    pub(crate) fn land_on_environment(
        self: &Rc<Self>,
        id: &ResourceId,
        call: &compute_environment::Call,
    ) -> Landed {
        use compute_environment::Call;
        let now = self.truth(id);
        let arn = format!("arn:aws:batch:eu-west-1:123456789012:compute-environment/{}", id.name);
        if matches!(call, Call::Create { .. }) {
            if now.is_some() {
                return Err(taken());
            }
            self.create_environment(id, arn, call);
            return Ok(());
        }
        let Some(mut now) = now.map(|now| Version::clone(&now)) else {
            return Err(missing("compute-environment", &id.name));
        };
        let phase = now.existing.phase.clone();
        let enabled = environment(&mut now).is_some_and(|observed| observed.enabled);
        match call {
            Call::Update(_) if matches!(phase, Phase::Settling(_) | Phase::Deleting(_)) => {
                return Err(client("Cannot update, resource is being modified."));
            }
            Call::Update(update) => {
                if let Some(observed) = environment(&mut now) {
                    check_update(observed, update)?;
                }
                self.update_environment(id, update);
            }
            Call::Delete if matches!(phase, Phase::Deleting(_)) => {}
            Call::Delete if matches!(phase, Phase::Settling(_)) => {
                return Err(client("Cannot delete, resource is being modified."));
            }
            Call::Delete if enabled => {
                return Err(client("Cannot delete, resource must be DISABLED first."));
            }
            Call::Delete => {
                let held =
                    now.held_until > self.now() || self.account.borrow().referrers(id).next().is_some();
                if held {
                    return Err(client("Cannot delete, found existing JobQueue relationship"));
                }
                self.begin(id, Phase::Deleting("DELETING".to_owned()), self.takes(2 * S, 45 * S), |_| {});
            }
            Call::Tag { tags, .. } => self.edit_tags(id, tags, &[]),
            Call::Untag { keys, .. } => self.edit_tags(id, &Tags::new(), keys),
            Call::Create { .. } => {}
        }
        Ok(())
    }

    fn update_environment(self: &Rc<Self>, id: &ResourceId, update: &compute_environment::Update) {
        self.begin(id, Phase::Settling("UPDATING".to_owned()), self.takes(S, 15 * S), |version| {
            let jobs = version.jobs;
            if let Some(role) = &update.service_role
                && let Some(named) = version.existing.refs.iter_mut().find(|id| id.kind == Kind::Role)
            {
                // It is the first of them.
                *named = ResourceId::new(Kind::Role, name_of(role));
            }
            let Some(observed) = environment(version) else { return };
            observed.enabled = update.enabled.unwrap_or(observed.enabled);
            observed.max_vcpus = update.max_vcpus.unwrap_or(observed.max_vcpus);
            observed.min_vcpus = observed.min_vcpus.map(|min| update.min_vcpus.unwrap_or(min));
            observed
                .service_role
                .clone_from(update.service_role.as_ref().unwrap_or(&observed.service_role.clone()));
            observed.is_idle = is_idle(jobs, observed);
        });
    }

    /// A role has gone: an environment that Batch manages as it is INVALID from now on.
    pub(crate) fn note_lost_role(&self, role: &ResourceId) {
        let loses_it = |version: &Version| {
            let existing = &version.existing;
            let is_environment = existing.id.kind == Kind::ComputeEnvironment;
            let first = existing.refs.iter().find(|id| id.kind == Kind::Role);
            is_environment && existing.phase == Phase::Settled && first == Some(role)
        };
        let account = self.account.borrow();
        let invalid = account.referrers(role).filter(|version| loses_it(version));
        let invalid: Vec<ResourceId> = invalid.map(|version| version.existing.id.clone()).collect();
        drop(account);
        for id in invalid {
            self.edit(&id, |version| version.existing.phase = Phase::Broken(REASONS[0].to_owned()));
        }
    }

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

    /// Jobs begin or end in an environment.
    pub(crate) fn run_jobs(&self, id: &ResourceId, more: u32, fewer: u32) {
        self.edit(id, |version| {
            version.jobs = (version.jobs + more).saturating_sub(fewer);
            let jobs = version.jobs;
            if let Some(observed) = environment(version) {
                observed.is_idle = is_idle(jobs, observed);
            }
        });
        self.disturb();
    }
}
