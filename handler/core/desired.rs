//! PURE. What should exist: from the properties, and from what is learnt late, to the parts of a forge.
//!
//! This file is the graph. Each part is declared once, after what it needs, so the order of declaration is an
//! order in which the parts can be made, and a cycle cannot be written.

use crate::error::{Error, Result};
use crate::inventory::Inventory;
use crate::name::{COMPLETED_TAG, Line, Names, RELEASED_TAG, RETIRING_TAG, RoleKind};
use crate::network::Surroundings;
use crate::plan::Owner;
use crate::properties::Properties;
use crate::resource::{Kind, Part, PartId, Phase, Seen, Spec, Tags};
use crate::resources::{compute_environment, instance_profile, job_queue, log_group};
use std::collections::BTreeSet;

mod environments;
mod generation;
mod queues;
mod roles;
mod storage;

pub use generation::LATER;

/// What a forge is made for and of, apart from its properties.
#[derive(Clone, Debug)]
pub struct Context {
    /// Its names.
    pub names: Names,
    /// Whose it is.
    pub owner: Owner,
    /// `aws`, `aws-cn` …
    pub partition: String,
    /// The region.
    pub region: String,
    /// The account.
    pub account: String,
    /// The permissions boundary of its roles, unless the properties name another.
    pub boundary: Option<String>,
    /// When the operation began, as RFC 3339; what is replaced is tagged with it.
    pub since: String,
    /// Keys of tags that the stack used to set and does not set any more.
    pub dropped_tags: BTreeSet<String>,
}

impl Context {
    /// An ARN of this account and region.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition, self.region, self.account)
    }

    /// The ARN of a role of this forge.
    pub fn role_arn(&self, kind: RoleKind) -> String {
        format!("arn:{}:iam::{}:role/{}", self.partition, self.account, self.names.role(kind))
    }

    /// The ARN of this forge's instance profile.
    pub fn instance_profile_arn(&self) -> String {
        format!(
            "arn:{}:iam::{}:instance-profile/{}",
            self.partition,
            self.account,
            self.names.instance_profile()
        )
    }

    /// The ARN of a compute environment.
    pub fn environment_arn(&self, name: &str) -> String {
        self.arn("batch", &format!("compute-environment/{name}"))
    }

    /// The ARN of a job queue.
    pub fn queue_arn(&self, line: Line) -> String {
        self.arn("batch", &format!("job-queue/{}", self.names.queue(line)))
    }

    /// The tags of every part: the user's, and ours by which the part is known.
    pub fn tags(&self, properties: &Properties) -> Tags {
        properties.tags.clone().into_iter().chain(self.owner.tags()).collect()
    }
}

/// The parts declared so far.
struct Forge<'a> {
    cx: &'a Context,
    properties: &'a Properties,
    there: &'a Inventory,
    parts: Vec<Part>,
}

/// A part that has been declared; only [`Forge::declare`] makes one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Need(PartId);

impl Forge<'_> {
    fn declare(&mut self, kind: Kind, name: impl Into<String>, spec: Spec, needs: &[Need]) -> Need {
        let id = PartId::new(kind, name);
        let mut untags = self.cx.dropped_tags.clone();
        untags.extend([RETIRING_TAG.to_owned(), RELEASED_TAG.to_owned()]);
        let tags = self.cx.tags(self.properties);
        let needs = needs.iter().map(|Need(id)| id.clone()).collect();
        self.parts.push(Part { id: id.clone(), spec, tags, untags, needs });
        Need(id)
    }

    /// Declares a part of an older make: only its tags change, which say since when it retires, and whose it is
    /// if it was adopted.
    fn retire(&mut self, seen: &Seen, spec: Spec, needs: Vec<PartId>) {
        let since = seen.tags.get(RETIRING_TAG).unwrap_or(&self.cx.since);
        let mut tags = self.cx.owner.tags();
        tags.insert(RETIRING_TAG.to_owned(), since.clone());
        let untags = BTreeSet::from([RELEASED_TAG.to_owned()]);
        self.parts.push(Part { id: seen.id.clone(), spec, tags, untags, needs });
    }

    fn role(&mut self, kind: RoleKind) -> Need {
        let spec = roles::spec(self.cx, self.properties, kind);
        self.declare(Kind::Role, self.cx.names.role(kind), Spec::Role(spec), &[])
    }
}

/// The parts of a forge, in an order in which they can be made.
///
/// # Errors
///
/// [`Error::Refused`] if what is there does not allow the change, and [`Error::Invalid`] if the surroundings do
/// not; nothing has been changed then.
pub fn desired(
    cx: &Context,
    properties: &Properties,
    surroundings: &Result<Surroundings>,
    there: &Inventory,
) -> Result<Vec<Part>> {
    let mut forge = Forge { cx, properties, there, parts: Vec::new() };
    let mut around = Around { surroundings, used: None };

    let service = forge.role(RoleKind::Service);
    let instance = forge.role(RoleKind::Instance);
    let role = cx.names.role(RoleKind::Instance);
    let profile = Spec::InstanceProfile(instance_profile::Spec { role });
    let profile = forge.declare(Kind::InstanceProfile, cx.names.instance_profile(), profile, &[instance]);
    // Once ours has been made it goes only with the forge: jobs of the past may still be started with it.
    if properties.execution_role.is_none()
        || there.get(Kind::Role, &cx.names.role(RoleKind::Execution)).is_some()
    {
        forge.role(RoleKind::Execution);
    }
    let fleet = properties.needs_fleet_role().then(|| forge.role(RoleKind::Fleet));
    if properties.fargate_head_enabled {
        forge.role(RoleKind::Fargate);
    }
    let retention_days = properties.log_retention_days;
    forge.declare(
        Kind::LogGroup,
        cx.names.log_group(),
        Spec::LogGroup(log_group::Spec { retention_days }),
        &[],
    );
    storage::declare(&mut forge, &mut around)?;

    let ids = storage::ids(&forge);
    let template = environments::template(&mut forge, &around, &ids)?;
    let mut needs = vec![service, profile, template];
    needs.extend(fleet);
    let lines = environments::declare(&mut forge, &mut around, &ids, &needs);
    queues::declare(&mut forge, &lines)?;

    match around.used {
        Some(err) => Err(err),
        None => Ok(forge.parts),
    }
}

/// The surroundings, which matter only if something must be made in them: a rollback or a change in place must
/// not fail because a subnet has gone.
struct Around<'a> {
    surroundings: &'a Result<Surroundings>,
    used: Option<Error>,
}

impl Around<'_> {
    /// The surroundings, for a part that may have to be made.
    fn get(&mut self, forge: &Forge<'_>, kind: Kind, name: &str) -> Surroundings {
        match self.surroundings {
            Ok(surroundings) => surroundings.clone(),
            Err(err) => {
                if forge.there.get(kind, name).is_none() {
                    self.used = Some(err.clone());
                }
                Surroundings::default()
            }
        }
    }
}

/// What a forge that is being deleted still needs: Batch deletes no environment whose service role is gone, and
/// such an environment stays INVALID for ever.
pub fn desired_while_deleting(cx: &Context, there: &Inventory) -> Vec<Part> {
    let ours = there.of(Kind::ComputeEnvironment).any(|seen| cx.owner.owns(&seen.tags));
    let role = there.get(Kind::Role, &cx.names.role(RoleKind::Service));
    let foreign = role.is_some_and(|role| !cx.owner.owns(&role.tags));
    if !ours || foreign {
        return Vec::new();
    }
    vec![Part {
        id: PartId::new(Kind::Role, cx.names.role(RoleKind::Service)),
        spec: Spec::Role(roles::service_role_for_deletion(cx)),
        tags: cx.owner.tags(),
        untags: BTreeSet::new(),
        needs: Vec::new(),
    }]
}

/// Whether the forge has been completed once: its work queue says so.
pub fn is_completed(cx: &Context, there: &Inventory) -> bool {
    let queue = there.get(Kind::JobQueue, &cx.names.queue(Line::Work));
    queue.is_some_and(|queue| cx.owner.owns(&queue.tags) && queue.tags.contains_key(COMPLETED_TAG))
}

/// Whether the forge has been let go and not been adopted completely: its work queue, which is adopted last, says so.
pub fn is_released(cx: &Context, there: &Inventory) -> bool {
    let queue = there.get(Kind::JobQueue, &cx.names.queue(Line::Work));
    queue.is_some_and(|queue| cx.owner.owns(&queue.tags) && queue.tags.contains_key(RELEASED_TAG))
}

/// The spec of a queue as it is.
pub fn queue_as_it_is(live: &job_queue::Live) -> job_queue::Spec {
    job_queue::Spec {
        priority: live.priority,
        order: live.order.clone(),
        time_limit: live.time_limits.first().map(|(_, seconds)| *seconds),
        scheduling_policy: live.scheduling_policy.clone(),
    }
}

/// Whether nothing runs in an environment.
fn is_idle(there: &Inventory, seen: &Seen) -> bool {
    let told = seen.environment().and_then(compute_environment::Live::is_idle);
    told.unwrap_or_else(|| there.idle.contains(&seen.id.name))
}

fn refused(text: impl Into<String>) -> Error {
    Error::Refused(text.into())
}

fn is_usable(seen: &Seen) -> bool {
    !matches!(seen.phase, Phase::Broken(_))
}

#[cfg(test)]
pub(crate) mod tests;
