//! AWS Batch compute environments.
//!
//! An environment with a service role of its own can change its vCPU limits and its state; AWS refuses anything
//! else. So its name carries the hash of all the rest, and a change makes another environment beside it.

use crate::error::ServiceError;
use crate::resource::{Change, Kind, MutatingCall, Recovery, Resource, TagChanges, Tags, Traits};

/// Batch compute environments.
#[derive(Debug)]
pub struct ComputeEnvironment;

/// What a compute environment should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Whether it serves, or is being replaced.
    pub lifecycle: Lifecycle,
    /// The most vCPUs.
    pub max_vcpus: i32,
    /// The ARN of the role that Batch acts with.
    pub service_role: String,
    /// What is fixed when it is made; `None` for one of an older generation, which is never made again.
    pub resources: Option<Resources>,
}

/// Whether an environment serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// It takes jobs and keeps some vCPUs running.
    Active {
        /// The fewest vCPUs.
        min_vcpus: i32,
    },
    /// It finishes its jobs and takes no new ones.
    Draining,
}

/// The immutable side of an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resources {
    /// On instances.
    Instances(Box<Instances>),
    /// On Fargate.
    Fargate(Placement),
}

/// Where an environment is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Subnet IDs.
    pub subnets: Vec<String>,
    /// Security group IDs.
    pub security_groups: Vec<String>,
}

/// The immutable side of an environment of instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instances {
    /// Whether on spot instances.
    pub spot: bool,
    /// Batch's allocation strategy.
    pub strategy: String,
    /// The highest spot price, in per cent of the on-demand price.
    pub bid_percentage: Option<i32>,
    /// Types, families or bundles.
    pub instance_types: Vec<String>,
    /// Where.
    pub placement: Placement,
    /// The ARN of the instance profile.
    pub instance_profile: String,
    /// The ARN of the spot fleet's role; only spot with `BEST_FIT` has one.
    pub fleet_role: Option<String>,
    /// The name of the launch template.
    pub launch_template: String,
    /// Batch's name for the sort of image, e.g. `ECS_AL2023`.
    pub image_type: String,
    /// An image instead of the newest of its sort.
    pub image_id: Option<String>,
    /// The SSH key pair.
    pub key_pair: Option<String>,
    /// The tags of instances.
    pub instance_tags: Tags,
}

/// What Batch says a compute environment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its ARN.
    pub arn: String,
    /// Whether it takes jobs.
    pub enabled: bool,
    /// The fewest vCPUs; `None` on Fargate.
    pub min_vcpus: Option<i32>,
    /// The most vCPUs.
    pub max_vcpus: i32,
    /// Whether nothing runs in it. Of an enabled Fargate environment nobody can tell, so it counts as busy.
    pub is_idle: bool,
    /// The ARN of the role that Batch acts with.
    pub service_role: String,
}

/// A mutating call of Batch on one compute environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Starts making it. Batch makes them ENABLED only.
    Create {
        /// The fewest vCPUs.
        min_vcpus: i32,
        /// The most vCPUs.
        max_vcpus: i32,
        /// The ARN of the role that Batch acts with.
        service_role: String,
        /// What is fixed from now on.
        resources: Resources,
        /// Its tags.
        tags: Tags,
    },
    /// Changes what is given; one field too many and Batch refuses all.
    Update(Update),
    /// Deletes it; Batch refuses while it is enabled or a queue refers to it.
    Delete,
    /// Sets tags.
    Tag {
        /// The environment's ARN.
        arn: String,
        /// The tags.
        tags: Tags,
    },
    /// Removes tags.
    Untag {
        /// The environment's ARN.
        arn: String,
        /// The keys of the tags.
        keys: Vec<String>,
    },
}

/// What an update of an environment names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Whether it takes jobs.
    pub enabled: Option<bool>,
    /// The ARN of the role that Batch acts with.
    pub service_role: Option<String>,
    /// The fewest vCPUs.
    pub min_vcpus: Option<i32>,
    /// The most vCPUs.
    pub max_vcpus: Option<i32>,
}

impl MutatingCall for Call {
    fn action(&self) -> &'static str {
        match self {
            Self::Create { .. } => "batch:CreateComputeEnvironment",
            Self::Update(_) => "batch:UpdateComputeEnvironment",
            Self::Delete => "batch:DeleteComputeEnvironment",
            Self::Tag { .. } => "batch:TagResource",
            Self::Untag { .. } => "batch:UntagResource",
        }
    }

    fn tolerates(&self, refusal: &ServiceError) -> bool {
        match self {
            Self::Create { .. } => refusal.is_taken(),
            Self::Delete => refusal.is_not_found(),
            _ => false,
        }
    }
}

impl Resource for ComputeEnvironment {
    const KIND: Kind = Kind::ComputeEnvironment;
    const TRAITS: Traits = Traits {
        noun: "compute environment",
        is_immediate: false,
        quota: Some(50),
        outlives_instances: false,
        rests_on_absence: false,
        keeps_references: true,
        feature: None,
    };
    type Spec = Spec;
    type Observed = Observed;
    type Call = Call;

    fn drift(spec: &Spec, observed: &Observed) -> Vec<Change> {
        let mut changes = Vec::new();
        let Update { enabled, service_role, min_vcpus, max_vcpus } = difference(spec, observed);
        let state = |enabled: bool| if enabled { "ENABLED" } else { "DISABLED" };
        if let Some(enabled) = enabled {
            Change::note(&mut changes, "state", &state(observed.enabled), &state(enabled));
        }
        if let Some(min) = min_vcpus {
            Change::note(&mut changes, "minvCpus", &observed.min_vcpus.unwrap_or_default(), &min);
        }
        if let Some(max) = max_vcpus {
            Change::note(&mut changes, "maxvCpus", &observed.max_vcpus, &max);
        }
        if let Some(role) = service_role {
            Change::note(&mut changes, "serviceRole", &observed.service_role, &role);
        }
        changes
    }

    fn create(_name: &str, spec: &Spec, tags: &Tags) -> Vec<Call> {
        let Some(resources) = spec.resources.clone() else { return Vec::new() };
        vec![Call::Create {
            min_vcpus: spec.lifecycle.min_vcpus(),
            max_vcpus: spec.max_vcpus,
            service_role: spec.service_role.clone(),
            resources,
            tags: tags.clone(),
        }]
    }

    fn update(_name: &str, spec: &Spec, observed: &Observed) -> Vec<Call> {
        let update = difference(spec, observed);
        (update != Update::default()).then_some(Call::Update(update)).into_iter().collect()
    }

    fn set_tags(observed: &Observed, changes: &TagChanges) -> Vec<Call> {
        let arn = || observed.arn.clone();
        changes.calls(|tags| Call::Tag { arn: arn(), tags }, |keys| Call::Untag { arn: arn(), keys })
    }

    fn delete(observed: &Observed) -> Vec<Call> {
        if !observed.enabled {
            return vec![Call::Delete];
        }
        // Instances that are kept running would not go.
        let min_vcpus = observed.min_vcpus.filter(|min| *min > 0).map(|_| 0);
        vec![Call::Update(Update { enabled: Some(false), min_vcpus, ..Update::default() })]
    }

    fn is_enabled(observed: &Observed) -> bool {
        observed.enabled
    }

    fn recovery(_observed: &Observed, reason: &str, may_lag: bool) -> Recovery {
        if may_lag || is_iam_lag(reason) { Recovery::Revalidate } else { Recovery::None }
    }

    /// Names its role again, upon which Batch looks at the role again.
    fn revalidate(observed: &Observed) -> Vec<Call> {
        let service_role = Some(observed.service_role.clone());
        vec![Call::Update(Update { enabled: Some(true), service_role, ..Update::default() })]
    }
}

impl Lifecycle {
    fn min_vcpus(&self) -> i32 {
        match self {
            Self::Active { min_vcpus } => *min_vcpus,
            // Otherwise it would never become idle.
            Self::Draining => 0,
        }
    }
}

fn difference(spec: &Spec, observed: &Observed) -> Update {
    let active = spec.lifecycle != Lifecycle::Draining;
    let min_vcpus = spec.lifecycle.min_vcpus();
    Update {
        enabled: (observed.enabled != active).then_some(active),
        service_role: (active && observed.service_role != spec.service_role)
            .then(|| spec.service_role.clone()),
        min_vcpus: observed.min_vcpus.filter(|now| *now != min_vcpus).map(|_| min_vcpus),
        max_vcpus: (active && observed.max_vcpus != spec.max_vcpus).then_some(spec.max_vcpus),
    }
}

/// Whether the reason of an INVALID environment is one that passes once IAM has propagated.
fn is_iam_lag(reason: &str) -> bool {
    [
        "sts:AssumeRole",
        "is not authorized to perform: ecs:",
        "Invalid IamInstanceProfile",
        "Instance profile",
        "IamFleetRole is invalid",
    ]
    .iter()
    .any(|text| reason.contains(text))
}
