//! AWS Batch compute environments.
//!
//! An environment with a custom service role can change only its vCPU limits and its state. So its name contains the
//! hash of all other fields, and a change of these creates another environment beside it.

use crate::error::ServiceError;
use crate::resource::{Change, Kind, MutatingCall, Resource, TagChanges, Tags, Takes, Traits};
use std::time::Duration;

/// Batch compute environments.
#[derive(Debug)]
pub struct ComputeEnvironment;

/// The desired state of a compute environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Whether it is active or being replaced.
    pub lifecycle: Lifecycle,
    /// Maximum vCPUs.
    pub max_vcpus: i32,
    /// The ARN of its service role; `None` leaves it to Batch, which uses its service-linked role.
    pub service_role: Option<String>,
    /// Its immutable fields; `None` for one of an older generation, which is never recreated.
    pub resources: Option<Resources>,
}

/// Whether an environment is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// It accepts jobs and keeps some vCPUs running.
    Active {
        /// Minimum vCPUs.
        min_vcpus: i32,
    },
    /// It finishes its jobs and accepts no new ones.
    Draining,
}

/// The immutable fields of an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resources {
    /// On instances.
    Instances(Box<Instances>),
    /// On Fargate.
    Fargate(Placement),
}

/// The network of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Subnet IDs.
    pub subnets: Vec<String>,
    /// Security group IDs.
    pub security_groups: Vec<String>,
}

/// The immutable fields of an environment with instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instances {
    /// Whether it uses spot instances.
    pub spot: bool,
    /// Batch's allocation strategy.
    pub strategy: String,
    /// Maximum spot price, in percent of the on-demand price.
    pub bid_percentage: Option<i32>,
    /// Types, families or bundles.
    pub instance_types: Vec<String>,
    /// Its network.
    pub placement: Placement,
    /// The ARN of the instance profile.
    pub instance_profile: String,
    /// The ARN of the spot fleet's role; only spot with `BEST_FIT` has one.
    pub fleet_role: Option<String>,
    /// The name of the launch template.
    pub launch_template: String,
    /// Batch's image type, e.g. `ECS_AL2023`.
    pub image_type: String,
    /// An image instead of the newest of its type.
    pub image_id: Option<String>,
    /// The SSH key pair.
    pub key_pair: Option<String>,
    /// The tags of instances.
    pub instance_tags: Tags,
}

/// The observed state of a compute environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its ARN.
    pub arn: String,
    /// Whether it accepts jobs.
    pub enabled: bool,
    /// Minimum vCPUs; `None` on Fargate.
    pub min_vcpus: Option<i32>,
    /// Maximum vCPUs.
    pub max_vcpus: i32,
    /// The vCPUs of its instances, below which Batch refuses to lower the maximum; 0 on Fargate.
    pub desired_vcpus: i32,
    /// Whether nothing runs in it. This is unknown for an enabled Fargate environment, which counts as busy.
    pub is_idle: bool,
    /// The ARN of its service role.
    pub service_role: String,
}

/// A mutating Batch call on compute environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Starts its creation. New environments are always ENABLED.
    Create {
        /// Minimum vCPUs.
        min_vcpus: i32,
        /// Maximum vCPUs.
        max_vcpus: i32,
        /// The ARN of its service role; without one it gets Batch's service-linked role.
        service_role: Option<String>,
        /// Its immutable fields.
        resources: Resources,
        /// Its tags.
        tags: Tags,
    },
    /// Changes the given fields; Batch refuses the whole call if one of them is immutable.
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

/// The fields of an update of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Whether it accepts jobs.
    pub enabled: Option<bool>,
    /// The ARN of its service role.
    pub service_role: Option<String>,
    /// Minimum vCPUs.
    pub min_vcpus: Option<i32>,
    /// Maximum vCPUs.
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
        settles: Takes::seconds(5, 20),
        stops: Takes::seconds(10, 55),
        goes: Takes::seconds(10, 60),
        quota: Some(50),
        outlives_instances: false,
        rests_on_absence: true,
        update_detaches: false,
        finds_users_for: Duration::from_secs(12),
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

    fn is_busy(observed: &Observed) -> bool {
        !observed.is_idle
    }

    /// Sets its role again, so that Batch checks it again, whatever made it INVALID: IAM may not have propagated, for which
    /// AWS has many texts, or somebody may have mended the cause.
    fn revalidate(observed: &Observed) -> Vec<Call> {
        let service_role = Some(observed.service_role.clone()).filter(|role| !is_service_linked(role));
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
        service_role: spec.service_role.clone().filter(|role| active && observed.service_role != *role),
        min_vcpus: observed.min_vcpus.filter(|now| *now != min_vcpus).map(|_| min_vcpus),
        max_vcpus: Some(attainable(spec.max_vcpus, observed))
            .filter(|max| active && observed.max_vcpus != *max),
    }
}

/// Whether a role is the one that Batch makes for itself. Nobody passes it, and an environment cannot change to or from it.
pub fn is_service_linked(arn: &str) -> bool {
    arn.contains(":role/aws-service-role/")
}

/// The maximum of vCPUs that Batch accepts instead of a lower one: it terminates no instances for a limit.
pub fn attainable(max_vcpus: i32, observed: &Observed) -> i32 {
    max_vcpus.max(observed.desired_vcpus)
}
