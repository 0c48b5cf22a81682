//! PURE. The desired state: from the properties and the observed state to the resources of a forge.
//!
//! This file is the graph. Only `Forge::declare` returns a dependency handle, so the order of declaration is a
//! topological order and a cycle cannot be written.

use crate::error::{Error, Result};
use crate::image::ECS_ROOT_DEVICE;
use crate::inventory::Inventory;
use crate::name::{COMPLETED_TAG, LIMIT_TAG, Names, Pool, RELEASED_TAG, RETIRING_TAG, RoleKind};
use crate::network::Network;
use crate::owner::Owner;
use crate::properties::Properties;
use crate::registry::{Desired, Existing, Registered, Spec};
use crate::resource::{Kind, Phase, ResourceId, Tags};
use crate::resources::compute_environment::{ComputeEnvironment, attainable};
use crate::resources::instance_profile::{self, InstanceProfile};
use crate::resources::job_queue::JobQueue;
use crate::resources::log_group::{self, LogGroup};
use crate::resources::role::Role;
use crate::user_data::Boot;
use std::collections::{BTreeMap, BTreeSet};

mod environments;
mod generation;
mod queues;
mod roles;
mod storage;

use generation::Generation;
pub use generation::LATER;
use storage::Ids;

/// The names, owner and place of a forge.
#[derive(Clone, Debug)]
pub struct Context {
    /// Its names.
    pub names: Names,
    /// Its owner.
    pub owner: Owner,
    /// `aws`, `aws-cn` …
    pub partition: String,
    /// The region.
    pub region: String,
    /// The account.
    pub account: String,
    /// The permissions boundary of its roles, unless the properties name another.
    pub boundary: Option<String>,
    /// When the operation began, as RFC 3339; the tag of replaced resources.
    pub since: String,
    /// Keys of tags that the stack used to set and does not set any more.
    pub dropped_tags: BTreeSet<String>,
    /// Keys of the user's tags that roles do not bear: to IAM a role's tags are those of whoever has the role.
    pub withheld_tags: BTreeSet<String>,
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
    pub fn queue_arn(&self, pool: Pool) -> String {
        self.arn("batch", &format!("job-queue/{}", self.names.queue(pool)))
    }

    /// The tags of every resource: the user's, and ours by which the resource is known.
    pub fn tags(&self, properties: &Properties) -> Tags {
        properties.tags.clone().into_iter().chain(self.owner.tags()).collect()
    }
}

/// Everything that follows from a request alone, made once for an operation: to fill in policies, to hash and to write
/// scripts takes longer than all else that is done after a look.
#[derive(Clone, Debug)]
pub struct Draft {
    roles: BTreeMap<RoleKind, Spec>,
    /// Before anything has been made; generation, boot and launch template are of these.
    ids: Ids,
    generation: Generation,
    boot: Boot,
    template: Result<Spec>,
    tags: Tags,
}

impl Draft {
    /// Everything that follows from the properties.
    pub fn of(cx: &Context, properties: &Properties) -> Self {
        let ids = Ids::given(properties);
        let lustre = (properties.fsx_name.clone().unwrap_or_default(), String::new());
        let boot = environments::boot(cx, properties, &ids, lustre);
        let tags = cx.tags(properties);
        Self {
            roles: roles::specs(cx, properties),
            generation: Generation::of(properties, &ids),
            template: environments::template_spec(properties, &boot, &tags, ECS_ROOT_DEVICE),
            tags,
            ids,
            boot,
        }
    }
}

/// The resources declared so far.
struct Forge<'a> {
    cx: &'a Context,
    properties: &'a Properties,
    draft: &'a Draft,
    inventory: &'a Inventory,
    resources: Vec<Desired>,
}

/// A resource that has been declared; only [`Forge::declare`] makes one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Declared(ResourceId);

impl Forge<'_> {
    fn declare<R: Registered>(
        &mut self,
        name: impl Into<String>,
        spec: R::Spec,
        after: &[Declared],
    ) -> Declared {
        self.declare_spec(ResourceId::new(R::KIND, name), R::spec(spec), after)
    }

    fn declare_spec(&mut self, id: ResourceId, spec: Spec, after: &[Declared]) -> Declared {
        let mut remove_tags = self.cx.dropped_tags.clone();
        remove_tags.extend([RETIRING_TAG.to_owned(), RELEASED_TAG.to_owned()]);
        let mut tags = self.draft.tags.clone();
        if id.kind == Kind::Role {
            tags.retain(|key, _| !self.cx.withheld_tags.contains(key));
            remove_tags.extend(self.cx.withheld_tags.iter().cloned());
        }
        self.resources.push(Desired {
            id: id.clone(),
            spec: Some(spec),
            tags,
            remove_tags,
            after: after.iter().map(|Declared(id)| id.clone()).collect(),
            is_draining: false,
        });
        Declared(id)
    }

    /// Has a sweep lower the maximum of an environment whose jobs do not allow that yet.
    fn mark_limit(&mut self, Declared(id): &Declared, max_vcpus: i32) {
        let found = self.inventory.find::<ComputeEnvironment>(&id.name);
        let is_reached = found.is_none_or(|(_, observed)| attainable(max_vcpus, observed) == max_vcpus);
        let Some(resource) = self.resources.iter_mut().find(|resource| resource.id == *id) else { return };
        if is_reached {
            resource.remove_tags.insert(LIMIT_TAG.to_owned());
        } else {
            resource.tags.insert(LIMIT_TAG.to_owned(), max_vcpus.to_string());
        }
    }

    /// Declares a resource of an older make: its tags say since when it retires, and whose it is if it was adopted.
    fn retire(&mut self, existing: &Existing, spec: Option<Spec>, after: Vec<ResourceId>) {
        let since = existing.tags.get(RETIRING_TAG).unwrap_or(&self.cx.since);
        let mut tags = self.cx.owner.tags();
        tags.insert(RETIRING_TAG.to_owned(), since.clone());
        let remove_tags = BTreeSet::from([RELEASED_TAG.to_owned(), LIMIT_TAG.to_owned()]);
        let id = existing.id.clone();
        self.resources.push(Desired { id, spec, tags, remove_tags, after, is_draining: true });
    }

    fn service_role(&mut self, network: &Result<Network>) -> Declared {
        let name = self.cx.names.role(RoleKind::Service);
        let observed = self.inventory.find::<Role>(&name).map(|(_, observed)| observed);
        let spec = roles::with_default_key(self.cx, &self.draft.roles[&RoleKind::Service], network, observed);
        self.declare_spec(ResourceId::new(Kind::Role, name), spec, &[])
    }

    fn role(&mut self, kind: RoleKind) -> Declared {
        let id = ResourceId::new(Kind::Role, self.cx.names.role(kind));
        self.declare_spec(id, self.draft.roles[&kind].clone(), &[])
    }
}

/// The resources of a forge, in an order in which they can be made.
///
/// # Errors
///
/// [`Error::Refused`] if the observed state does not allow the change, and [`Error::Invalid`] if the network does
/// not; nothing has been changed then.
pub fn desired(
    cx: &Context,
    properties: &Properties,
    draft: &Draft,
    network: &Result<Network>,
    inventory: &Inventory,
) -> Result<Vec<Desired>> {
    let mut forge = Forge { cx, properties, draft, inventory, resources: Vec::new() };
    let mut network = LazyNetwork { network, used: None };

    let service = forge.service_role(network.network);
    let instance = forge.role(RoleKind::Instance);
    let role = cx.names.role(RoleKind::Instance);
    let profile = instance_profile::Spec { role };
    let profile = forge.declare::<InstanceProfile>(cx.names.instance_profile(), profile, &[instance]);
    // Once ours has been made it goes only with the forge: jobs of the past may still be started with it.
    if properties.execution_role.is_none()
        || inventory.find::<Role>(&cx.names.role(RoleKind::Execution)).is_some()
    {
        forge.role(RoleKind::Execution);
    }
    let fleet = properties.needs_fleet_role().then(|| forge.role(RoleKind::Fleet));
    if properties.fargate_head_enabled {
        forge.role(RoleKind::Fargate);
    }
    let log_group = log_group::Spec { retention_days: properties.log_retention_days };
    forge.declare::<LogGroup>(cx.names.log_group(), log_group, &[]);
    storage::declare(&mut forge, &mut network)?;

    let ids = storage::ids(&forge);
    let later = (ids != draft.ids).then(|| Generation::of(properties, &ids));
    let generation = later.as_ref().unwrap_or(&draft.generation);
    let templates = environments::templates(&mut forge, &network, &ids, generation)?;
    let mut after = vec![service, profile];
    after.extend(templates);
    after.extend(fleet);
    let pools = environments::declare(&mut forge, &mut network, generation, &after);
    queues::declare(&mut forge, &pools)?;

    match network.used {
        Some(err) => Err(err),
        None => Ok(forge.resources),
    }
}

/// The network, which matters only if something must be made in it: a rollback or a change in place must not fail
/// because a subnet has gone.
struct LazyNetwork<'a> {
    network: &'a Result<Network>,
    used: Option<Error>,
}

impl LazyNetwork<'_> {
    /// The network, for a resource that may have to be made.
    fn get<R: Registered>(&mut self, forge: &Forge<'_>, name: &str) -> Network {
        match self.network {
            Ok(network) => network.clone(),
            Err(err) => {
                if forge.inventory.find::<R>(name).is_none() {
                    self.used = Some(err.clone());
                }
                Network::default()
            }
        }
    }
}

/// The resources that a forge still needs while it is being deleted: Batch deletes no environment whose service role is
/// gone, and such an environment stays INVALID for ever. The `kept` resources are not deleted.
pub fn desired_while_deleting(cx: &Context, inventory: &Inventory, kept: &[Desired]) -> Vec<Desired> {
    let goes = |existing: &Existing| {
        cx.owner.owns(&existing.tags) && !kept.iter().any(|kept| kept.id == existing.id)
    };
    let name = cx.names.role(RoleKind::Service);
    let stays = inventory.find::<Role>(&name).is_some_and(|(role, _)| !goes(role));
    let id = ResourceId::new(Kind::Role, name);
    let needs_it = |existing: &Existing| existing.id.kind == Kind::ComputeEnvironment && goes(existing);
    if stays || !inventory.referrers(&id).any(needs_it) {
        return Vec::new();
    }
    let role = Desired {
        id,
        spec: Some(Role::spec(roles::service_role_for_deletion(cx))),
        tags: cx.owner.tags(),
        remove_tags: BTreeSet::new(),
        after: Vec::new(),
        is_draining: false,
    };
    // An existing one is kept by its references.
    let serves = inventory.get(&role.id).is_some_and(|existing| role.drift(existing).is_empty());
    if serves { Vec::new() } else { vec![role] }
}

/// A forge that is left to whoever names its ID: everything as it is, but for the tag that says so. The work queue
/// comes last, because only a released work queue makes a forge adoptable, all of it or nothing.
pub fn released(cx: &Context, inventory: &Inventory) -> Vec<Desired> {
    let work_queue = ResourceId::new(Kind::JobQueue, cx.names.queue(Pool::Work));
    let ours = || inventory.resources.values().filter(|existing| cx.owner.owns(&existing.tags));
    let others: Vec<ResourceId> =
        ours().map(|existing| existing.id.clone()).filter(|id| *id != work_queue).collect();
    let release = |existing: &Existing| {
        let since = existing.tags.get(RELEASED_TAG).unwrap_or(&cx.since).clone();
        let after = if existing.id == work_queue { others.clone() } else { Vec::new() };
        let tags = Tags::from([(RELEASED_TAG.to_owned(), since)]);
        Desired { tags, after, ..Desired::as_it_is(existing) }
    };
    let (last, first): (Vec<&Existing>, Vec<&Existing>) =
        ours().partition(|existing| existing.id == work_queue);
    first.into_iter().chain(last).map(release).collect()
}

/// Has a work queue wait for everything that does not wait for it. A released forge is adopted in this order: as long as
/// its work queue is released, a Delete releases the adopted resources again, and deletes nothing.
pub fn put_last(resources: &mut [Desired], work_queue: &ResourceId) {
    resources.sort_by_key(|resource| (resource.after.contains(work_queue), resource.id == *work_queue));
    let before = resources.iter().take_while(|resource| resource.id != *work_queue);
    let before: Vec<ResourceId> = before.map(|resource| resource.id.clone()).collect();
    for queue in resources.iter_mut().filter(|resource| resource.id == *work_queue) {
        queue.after.clone_from(&before);
    }
}

/// Since when the forge has been completed, if it has been once: its work queue says so.
pub fn completed<'a>(cx: &Context, inventory: &'a Inventory) -> Option<&'a String> {
    tag(cx, inventory, COMPLETED_TAG)
}

/// Whether the forge has been let go and not been adopted completely: its work queue, which is adopted last, says so.
pub fn is_released(cx: &Context, inventory: &Inventory) -> bool {
    tag(cx, inventory, RELEASED_TAG).is_some()
}

/// Whether another stack has the forge: its work queue is that stack's.
pub fn is_of_another(cx: &Context, inventory: &Inventory) -> bool {
    let queue = inventory.find::<JobQueue>(&cx.names.queue(Pool::Work));
    queue.is_some_and(|(queue, _)| !cx.owner.owns(&queue.tags))
}

/// The resources that a stack leaves alone when it deletes its own part of another stack's forge. That stack may have
/// released some of them, or not yet adopted the last of them.
pub fn kept_for_another(inventory: &Inventory) -> Vec<Desired> {
    let released = inventory.resources.values().filter(|existing| existing.tags.contains_key(RELEASED_TAG));
    released.map(Desired::as_it_is).collect()
}

fn tag<'a>(cx: &Context, inventory: &'a Inventory, tag: &str) -> Option<&'a String> {
    let (queue, _) = inventory.find::<JobQueue>(&cx.names.queue(Pool::Work))?;
    cx.owner.owns(&queue.tags).then(|| queue.tags.get(tag)).flatten()
}

fn refused(text: impl Into<String>) -> Error {
    Error::Refused(text.into())
}

fn is_usable(existing: &Existing) -> bool {
    !matches!(existing.phase, Phase::Broken(_))
}

#[cfg(test)]
pub(crate) mod tests;
