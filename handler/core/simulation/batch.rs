//! AWS Batch: every change takes time.

use crate::account::{Version, refusal};
use crate::executor::{Ms, S};
use crate::world::World;
use std::rc::Rc;
use std::sync::Arc;
use tower_forge_core::error::ServiceError;
use tower_forge_core::registry::{Existing, Observed};
use tower_forge_core::resource::{Kind, Phase, ResourceId, Tags};
use tower_forge_core::resources::{compute_environment, name_of};

pub(crate) type Landed = Result<(), ServiceError>;

/// Batch's reasons for an INVALID environment whose role or profile has not propagated.
const REASONS: [&str; 4] = [
    "CLIENT_ERROR - Not authorized to perform sts:AssumeRole (Service: AWSSecurityTokenService; Status Code: 403)",
    "CLIENT_ERROR - Instance profile arn:aws:iam::123456789012:instance-profile/x does not exist",
    "CLIENT_ERROR - User is not authorized to perform: ecs:DescribeClusters",
    "CLIENT_ERROR - Something that nobody has written down",
];

pub(crate) fn client(message: impl Into<String>) -> ServiceError {
    refusal("ClientException", message)
}

pub(crate) fn taken() -> ServiceError {
    refusal("ConflictException", "Object already exists")
}

pub(crate) fn missing(kind: &str, name: &str) -> ServiceError {
    client(format!("arn:aws:batch:eu-west-1:123456789012:{kind}/{name} does not exist"))
}

pub(crate) fn environment_id(arn: &str) -> ResourceId {
    ResourceId::new(Kind::ComputeEnvironment, name_of(arn))
}

/// The resources that an environment refers to.
fn refs(service_role: Option<&str>, resources: &compute_environment::Resources) -> Vec<ResourceId> {
    let mut refs: Vec<ResourceId> =
        service_role.iter().map(|role| ResourceId::new(Kind::Role, name_of(role))).collect();
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

fn is_empty_profile(version: &Version) -> bool {
    matches!(&version.existing.observed, Observed::InstanceProfile(profile) if profile.roles.is_empty())
}

/// The vCPUs of a job.
const JOB_VCPUS: i32 = 4;

const SERVICE_LINKED_ROLE: &str =
    "arn:aws:iam::123456789012:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch";

fn vcpus(jobs: u32) -> i32 {
    i32::try_from(jobs).unwrap_or(i32::MAX).saturating_mul(JOB_VCPUS)
}

/// Shows what runs in an environment, as far as Batch shows it.
fn show_jobs(jobs: u32, observed: &mut compute_environment::Observed) {
    observed.desired_vcpus = observed.min_vcpus.map_or(0, |min| min.max(vcpus(jobs)));
    // A Fargate environment tells only once it is disabled.
    observed.is_idle = jobs == 0 && observed.min_vcpus.map_or(!observed.enabled, |min| min == 0);
}

/// Whether more jobs fit into an environment.
pub(crate) fn has_room(version: &Version, more: u32) -> bool {
    let Observed::ComputeEnvironment(observed) = &version.existing.observed else { return false };
    vcpus(version.jobs + more) <= observed.max_vcpus
}

/// The checks of an update that Batch makes at once.
fn check_update(observed: &compute_environment::Observed, update: &compute_environment::Update) -> Landed {
    if observed.min_vcpus.is_none() && update.min_vcpus.is_some() {
        let text = "minvCpus and desiredvCpus should not be specified for Fargate compute resources.";
        return Err(client(text));
    }
    let min = update.min_vcpus.or(observed.min_vcpus).unwrap_or_default();
    let max = update.max_vcpus.unwrap_or(observed.max_vcpus);
    if min > max {
        return Err(client("maxvCpus should be greater than or equal to minvCpus."));
    }
    if observed.desired_vcpus > max {
        return Err(client("desiredvCpus should be between minvCpus and maxvCpus."));
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
            Phase::Deleting(_) if is_environment && !self.has_service_role(&version) => {
                self.count("an environment hangs without its service role");
                self.edit(id, |version| version.existing.phase = Phase::Broken(REASONS[0].to_owned()));
            }
            Phase::Deleting(_) => {
                self.remove(id);
                self.say(|| format!("    AWS: {id} is gone"));
            }
            Phase::Settling(_) => {
                let lacks_template = is_environment && self.lacks_template(&version);
                let phase = match () {
                    () if lacks_template => Phase::Broken(REASONS[3].to_owned()),
                    () if is_environment => self.judge_environment(&version),
                    () => Phase::Settled,
                };
                self.say(|| format!("    AWS: {id} is {phase:?}"));
                self.edit(id, |version| {
                    version.existing.phase = phase;
                    version.lacks_template = lacks_template;
                    if let Some(after) = version.after.take() {
                        version.existing.observed = after;
                    }
                });
            }
            _ => {}
        }
    }

    /// Whether Batch can act as the role of an environment, as it always can as its own.
    fn has_service_role(&self, version: &Version) -> bool {
        version.existing.refs.iter().find(|id| id.kind == Kind::Role).is_none_or(|id| {
            self.truth(id).is_some_and(|role| match &role.existing.observed {
                Observed::Role(observed) => {
                    !observed.managed.is_empty() && observed.trust.to_string().contains("batch.amazonaws.com")
                }
                _ => false,
            })
        })
    }

    /// Whether Batch has not found the template of an environment, which it copies when it creates the environment.
    fn lacks_template(&self, version: &Version) -> bool {
        let is_new = version.existing.phase == Phase::Settling("CREATING".to_owned());
        let mut templates = version.existing.refs.iter().filter(|id| id.kind == Kind::LaunchTemplate);
        let is_known = |id| self.truth(id).is_some_and(|found| found.ready <= self.now());
        let lacks = version.lacks_template || is_new && !templates.all(is_known);
        if lacks {
            self.count("an environment is INVALID because its launch template was not found");
        }
        lacks
    }

    /// Whether Batch finds an environment valid.
    fn judge_environment(&self, version: &Version) -> Phase {
        let now = self.now();
        let knows = |id: &ResourceId| match self.truth(id) {
            _ if id.kind == Kind::LaunchTemplate => true,
            Some(found) => found.ready <= now && !is_empty_profile(&found),
            None => false,
        };
        if self.has_service_role(version) && version.existing.refs.iter().all(knows) {
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
            desired_vcpus: if on_instances { *min_vcpus } else { 0 },
            is_idle: on_instances && *min_vcpus == 0,
            service_role: service_role.clone().unwrap_or_else(|| SERVICE_LINKED_ROLE.to_owned()),
        };
        self.put(Version::of(Existing {
            id: id.clone(),
            tags: tags.clone(),
            phase: Phase::Settled,
            refs: refs(service_role.as_deref(), resources),
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
            show_jobs(jobs, observed);
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

    /// Jobs begin or end in an environment.
    pub(crate) fn run_jobs(&self, id: &ResourceId, more: u32, fewer: u32) {
        self.edit(id, |version| {
            version.jobs = (version.jobs + more).saturating_sub(fewer);
            let jobs = version.jobs;
            if let Some(observed) = environment(version) {
                show_jobs(jobs, observed);
            }
        });
        self.disturb();
    }
}
