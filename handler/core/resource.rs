//! What the engine knows of every kind of AWS resource, and nothing more.
//!
//! A kind is a file in `resources/` with a `Spec` (what a part should be), a `Live` (what AWS says it is), a pure
//! `drift` between them, and four calls: `look`, `create`, `update`, `delete`. There is no `wait`: waiting is
//! looking until [`Phase::Settled`], and the engine does that for all parts at once. This file is the switch
//! between the engine, which speaks of parts, and the kinds.

use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::resources::{
    compute_environment, efs, fsx, instance_profile, job_queue, launch_template, log_group, role,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// The sorts of AWS resource that a forge is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An IAM role.
    Role,
    /// An IAM instance profile.
    InstanceProfile,
    /// A CloudWatch log group.
    LogGroup,
    /// An EFS file system with its mount targets.
    Efs,
    /// An FSx for Lustre file system.
    Fsx,
    /// An EC2 launch template.
    LaunchTemplate,
    /// A Batch compute environment.
    ComputeEnvironment,
    /// A Batch job queue.
    JobQueue,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Role,
        Self::InstanceProfile,
        Self::LogGroup,
        Self::Efs,
        Self::Fsx,
        Self::LaunchTemplate,
        Self::ComputeEnvironment,
        Self::JobQueue,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Role => "role",
            Self::InstanceProfile => "instance profile",
            Self::LogGroup => "log group",
            Self::Efs => "EFS file system",
            Self::Fsx => "FSx file system",
            Self::LaunchTemplate => "launch template",
            Self::ComputeEnvironment => "compute environment",
            Self::JobQueue => "job queue",
        })
    }
}

/// One AWS resource of a forge, by kind and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartId {
    /// Its kind.
    pub kind: Kind,
    /// Its name; of a file system its tag `Name`.
    pub name: String,
}

impl PartId {
    /// The part of that kind and name.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for PartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// A part as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Which part.
    pub id: PartId,
    /// What it should be.
    pub spec: Spec,
    /// The tags that it should bear.
    pub tags: Tags,
    /// Tags that it should not bear; others that somebody else has set are left alone.
    pub untags: BTreeSet<String>,
    /// What must stand before it can be made or changed.
    pub needs: Vec<PartId>,
}

/// What a part should be, by kind.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Spec {
    Role(role::Spec),
    InstanceProfile(instance_profile::Spec),
    LogGroup(log_group::Spec),
    Efs(efs::Spec),
    Fsx(fsx::Spec),
    LaunchTemplate(Box<launch_template::Spec>),
    ComputeEnvironment(Box<compute_environment::Spec>),
    JobQueue(job_queue::Spec),
}

/// A part as AWS describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Which part.
    pub id: PartId,
    /// Its tags, by which it is known whose it is.
    pub tags: Tags,
    /// How far along it is.
    pub phase: Phase,
    /// The parts of the same forge that it refers to.
    pub refs: Vec<PartId>,
    /// What AWS says.
    pub live: Live,
}

/// What AWS says of a part, by kind.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Live {
    Role(role::Live),
    InstanceProfile(instance_profile::Live),
    LogGroup(log_group::Live),
    Efs(efs::Live),
    Fsx(fsx::Live),
    LaunchTemplate(launch_template::Live),
    ComputeEnvironment(compute_environment::Live),
    JobQueue(job_queue::Live),
}

/// How far along a live part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// At rest: it can be used, changed or deleted.
    Settled,
    /// On its way, with AWS's word for where it is.
    Settling(String),
    /// At rest in a state that it does not leave by itself, with AWS's reason.
    Broken(String),
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The field, by AWS's name.
    pub field: String,
    /// Its value now.
    pub from: String,
    /// The value that it should have.
    pub to: String,
}

impl Change {
    /// Notes a difference, if there is one.
    pub fn note<T: PartialEq + fmt::Debug>(changes: &mut Vec<Self>, field: &str, from: &T, to: &T) {
        if from != to {
            let (from, to) = (format!("{from:?}"), format!("{to:?}"));
            changes.push(Self { field: field.to_owned(), from, to });
        }
    }
}

/// Which tags to set and which to remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagChanges {
    /// To set.
    pub set: Tags,
    /// To remove.
    pub remove: Vec<String>,
}

impl Part {
    /// What sets `seen` apart from this part; empty when they agree.
    pub fn drift(&self, seen: &Seen) -> Vec<Change> {
        let mut changes = match (&self.spec, &seen.live) {
            (Spec::Role(spec), Live::Role(live)) => role::drift(spec, live),
            (Spec::InstanceProfile(spec), Live::InstanceProfile(live)) => instance_profile::drift(spec, live),
            (Spec::LogGroup(spec), Live::LogGroup(live)) => log_group::drift(spec, live),
            (Spec::Efs(spec), Live::Efs(live)) => efs::drift(spec, live),
            (Spec::Fsx(spec), Live::Fsx(live)) => fsx::drift(spec, live),
            // Its content is fixed when it is made; a change is another template.
            (Spec::LaunchTemplate(_), Live::LaunchTemplate(_)) => Vec::new(),
            (Spec::ComputeEnvironment(spec), Live::ComputeEnvironment(live)) => {
                compute_environment::drift(spec, live)
            }
            (Spec::JobQueue(spec), Live::JobQueue(live)) => job_queue::drift(spec, live),
            _ => unreachable!("a part is only compared with what was seen under its own kind and name"),
        };
        let TagChanges { set, remove } = self.tag_changes(seen);
        for (key, value) in set {
            let from = seen.tags.get(&key).map_or_else(|| "absent".to_owned(), |old| format!("{old:?}"));
            changes.push(Change { field: format!("Tags.{key}"), from, to: format!("{value:?}") });
        }
        for key in remove {
            let from = format!("{:?}", seen.tags[&key]);
            changes.push(Change { field: format!("Tags.{key}"), from, to: "absent".to_owned() });
        }
        changes
    }

    /// Which of its tags differ.
    pub fn tag_changes(&self, seen: &Seen) -> TagChanges {
        let set = self.tags.iter().filter(|(key, value)| seen.tags.get(*key) != Some(*value));
        let remove = self.untags.iter().filter(|key| seen.tags.contains_key(*key));
        TagChanges {
            set: set.map(|(k, v)| (k.clone(), v.clone())).collect(),
            remove: remove.cloned().collect(),
        }
    }
}

impl Seen {
    /// Whether it serves as long as it is not disabled first; only Batch's resources do.
    pub fn is_enabled(&self) -> bool {
        match &self.live {
            Live::ComputeEnvironment(live) => live.enabled,
            Live::JobQueue(live) => live.enabled,
            _ => false,
        }
    }

    /// The compute environment that this is.
    pub fn environment(&self) -> Option<&compute_environment::Live> {
        match &self.live {
            Live::ComputeEnvironment(live) => Some(live),
            _ => None,
        }
    }

    /// The job queue that this is.
    pub fn queue(&self) -> Option<&job_queue::Live> {
        match &self.live {
            Live::JobQueue(live) => Some(live),
            _ => None,
        }
    }

    /// When IAM made it, in seconds since 1970; only IAM's resources say.
    pub fn created(&self) -> Option<i64> {
        match &self.live {
            Live::Role(live) => Some(live.created),
            Live::InstanceProfile(live) => Some(live.created),
            _ => None,
        }
    }
}

/// Starts making a part.
///
/// # Errors
///
/// AWS's refusal. A name that is taken is none: whose it is shows at the next look.
pub async fn create(aws: &Aws, part: &Part) -> Result<()> {
    let name = &part.id.name;
    let made = match &part.spec {
        Spec::Role(spec) => role::create(aws, name, spec, &part.tags).await,
        Spec::InstanceProfile(spec) => instance_profile::create(aws, name, spec, &part.tags).await,
        Spec::LogGroup(spec) => log_group::create(aws, name, spec, &part.tags).await,
        Spec::Efs(spec) => efs::create(aws, name, spec, &part.tags).await,
        Spec::Fsx(spec) => fsx::create(aws, name, spec, &part.tags).await,
        Spec::LaunchTemplate(spec) => launch_template::create(aws, name, spec, &part.tags).await,
        Spec::ComputeEnvironment(spec) => compute_environment::create(aws, name, spec, &part.tags).await,
        Spec::JobQueue(spec) => job_queue::create(aws, name, spec, &part.tags).await,
    };
    match made {
        Err(Error::Call { source, .. }) if source.is_taken() => Ok(()),
        made => made,
    }
}

/// Starts bringing a part that is there to what it should be.
///
/// # Errors
///
/// AWS's refusal.
pub async fn update(aws: &Aws, part: &Part, seen: &Seen) -> Result<()> {
    let tags = part.tag_changes(seen);
    let name = &part.id.name;
    match (&part.spec, &seen.live) {
        (Spec::Role(spec), Live::Role(live)) => role::update(aws, name, spec, live, &tags).await,
        (Spec::InstanceProfile(spec), Live::InstanceProfile(live)) => {
            instance_profile::update(aws, name, spec, live, &tags).await
        }
        (Spec::LogGroup(spec), Live::LogGroup(live)) => log_group::update(aws, name, spec, live, &tags).await,
        (Spec::Efs(spec), Live::Efs(live)) => efs::update(aws, spec, live, &tags).await,
        (Spec::Fsx(spec), Live::Fsx(live)) => fsx::update(aws, spec, live, &tags).await,
        (Spec::LaunchTemplate(_), Live::LaunchTemplate(live)) => {
            launch_template::update(aws, live, &tags).await
        }
        (Spec::ComputeEnvironment(spec), Live::ComputeEnvironment(live)) => {
            compute_environment::update(aws, name, spec, live, &tags).await
        }
        (Spec::JobQueue(spec), Live::JobQueue(live)) => job_queue::update(aws, name, spec, live, &tags).await,
        _ => unreachable!("a part is only updated from what was seen under its own kind and name"),
    }
}

/// Changes nothing but the tags of a part.
///
/// # Errors
///
/// AWS's refusal.
pub async fn retag(aws: &Aws, seen: &Seen, tags: &TagChanges) -> Result<()> {
    let name = &seen.id.name;
    match &seen.live {
        Live::Role(_) => role::retag(aws, name, tags).await,
        Live::InstanceProfile(_) => instance_profile::retag(aws, name, tags).await,
        Live::LogGroup(live) => log_group::retag(aws, live, tags).await,
        Live::Efs(live) => efs::retag(aws, live, tags).await,
        Live::Fsx(live) => fsx::retag(aws, live, tags).await,
        Live::LaunchTemplate(live) => launch_template::update(aws, live, tags).await,
        Live::ComputeEnvironment(live) => crate::resources::batch::retag(aws, &live.arn, tags).await,
        Live::JobQueue(live) => crate::resources::batch::retag(aws, &live.arn, tags).await,
    }
}

/// Takes the next step towards a part's being gone: what serves is disabled first and deleted the next time.
///
/// # Errors
///
/// AWS's refusal. That it is gone already is none.
pub async fn delete(aws: &Aws, seen: &Seen) -> Result<()> {
    let name = &seen.id.name;
    let gone = match &seen.live {
        Live::Role(live) => role::delete(aws, name, live).await,
        Live::InstanceProfile(live) => instance_profile::delete(aws, name, live).await,
        Live::LogGroup(_) => log_group::delete(aws, name).await,
        Live::Efs(live) => efs::delete(aws, live).await,
        Live::Fsx(live) => fsx::delete(aws, live).await,
        Live::LaunchTemplate(live) => launch_template::delete(aws, name, live).await,
        Live::ComputeEnvironment(live) => compute_environment::delete(aws, name, live).await,
        Live::JobQueue(live) => job_queue::delete(aws, name, live).await,
    };
    match gone {
        Err(Error::Call { source, .. }) if source.is_not_found() => Ok(()),
        gone => gone,
    }
}
