//! AWS's resources in memory, with their past: reads lag.

use crate::executor::{Ms, S};
use crate::stacks::Stack;
use crate::world::{LAG, World};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use tower_forge_core::error::ServiceError;
use tower_forge_core::name::{FORGE_TAG, Names, RELEASED_TAG};
use tower_forge_core::registry::{Existing, Observed};
use tower_forge_core::resource::{AccountUse, Kind, Listing, Phase, ResourceId, Tags};

/// A resource at some time.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// As a look shows it.
    pub(crate) existing: Existing,
    /// Of a role, profile or launch template: from when on other services know it.
    pub(crate) ready: Ms,
    /// Of an environment: how many jobs run in it.
    pub(crate) jobs: u32,
    /// Of an environment: Batch did not find its launch template when it was created, and does not look for it again.
    pub(crate) lacks_template: bool,
    /// Of a file system: from when on it may grow again.
    pub(crate) grows_from: Ms,
    /// Of an environment: until when Batch believes that a queue holds it.
    pub(crate) held_until: Ms,
    /// Which transition it is in; a tag does not end one.
    pub(crate) transition: u64,
    /// Of a file system: how a look shows it once its transition is over, if otherwise.
    pub(crate) after: Option<Observed>,
}

impl Version {
    /// A resource that is at rest.
    pub(crate) fn of(existing: Existing) -> Self {
        Self {
            existing,
            ready: 0,
            jobs: 0,
            lacks_template: false,
            grows_from: 0,
            held_until: 0,
            transition: 0,
            after: None,
        }
    }

    /// The stack of the life whose tags it bears.
    pub(crate) fn owner(&self) -> Option<Stack> {
        Stack::of_tags(&self.existing.tags)
    }

    /// Whether it has been let go, and not been adopted.
    pub(crate) fn is_released(&self) -> bool {
        self.existing.tags.contains_key(RELEASED_TAG)
    }
}

type Past = Vec<(Ms, Option<Rc<Version>>)>;

/// AWS's resources.
#[derive(Default)]
pub(crate) struct Account {
    resources: BTreeMap<ResourceId, Past>,
    /// When somebody else, or a job, changed something last: answers may not know it yet.
    pub(crate) disturbed: Ms,
}

fn past_of(past: &Past, at: Ms) -> Option<&Rc<Version>> {
    past.iter().rev().find(|(since, _)| *since <= at).and_then(|(_, version)| version.as_ref())
}

impl Account {
    /// A resource as it is.
    pub(crate) fn truth(&self, id: &ResourceId) -> Option<Rc<Version>> {
        self.resources.get(id).and_then(|past| past.last()).and_then(|(_, version)| version.clone())
    }

    /// A resource as it was at a time.
    pub(crate) fn was(&self, id: &ResourceId, at: Ms) -> Option<&Rc<Version>> {
        past_of(self.resources.get(id)?, at)
    }

    /// All resources as they are.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&ResourceId, &Rc<Version>)> {
        self.resources.iter().filter_map(|(id, past)| Some((id, past.last()?.1.as_ref()?)))
    }

    /// The resources that belong to a stack and have not been released.
    pub(crate) fn of(&self, stack: Stack) -> Vec<ResourceId> {
        let ours = self.all().filter(|(_, version)| version.owner() == Some(stack) && !version.is_released());
        ours.map(|(id, _)| id.clone()).collect()
    }

    /// The resources that refer to a resource.
    pub(crate) fn referrers<'a>(&'a self, id: &'a ResourceId) -> impl Iterator<Item = &'a Rc<Version>> {
        self.all().map(|(_, version)| version).filter(move |version| version.existing.refs.contains(id))
    }

    fn put(&mut self, now: Ms, id: &ResourceId, version: Option<Version>) {
        let past = self.resources.entry(id.clone()).or_default();
        let old = past.iter().rposition(|(since, _)| since + LAG + 5 * S < now).unwrap_or_default();
        past.drain(..old);
        past.push((now, version.map(Rc::new)));
    }

    /// Looks at a kind; `at` says at which time each resource is looked at.
    fn look(&self, kind: Kind, names: &Names, mut at: impl FnMut() -> Ms) -> Listing<Observed> {
        let family = if kind == Kind::LogGroup { names.log_group() } else { names.family() };
        let mut listing = Listing::of(Vec::new());
        let file_system = names.file_system();
        let batch = matches!(kind, Kind::ComputeEnvironment | Kind::JobQueue);
        let of_kind = self.resources.range(ResourceId::new(kind, "")..).take_while(|(id, _)| id.kind == kind);
        for (id, past) in of_kind {
            let is_named = id.name.starts_with(&family) || id.name == file_system;
            if !is_named && !batch {
                continue;
            }
            let Some(version) = past_of(past, at()) else { continue };
            let existing = &version.existing;
            if batch {
                note_use(&mut listing.account, existing, is_named, names);
            }
            if is_named {
                listing.found.push(as_shown(existing, names));
            }
        }
        listing
    }
}

/// A resource as a look at a forge shows it: the policies of another owner's role are not read, nor is the lifecycle
/// policy of a file system in transition.
fn as_shown(existing: &Existing, names: &Names) -> Existing {
    let mut shown = existing.clone();
    if let Observed::Efs(system) = &mut shown.observed
        && existing.phase != Phase::Settled
    {
        Arc::make_mut(system).tiered = false;
    }
    if let Observed::Role(role) = &mut shown.observed
        && existing.tags.get(FORGE_TAG).map(String::as_str) != Some(names.id().as_str())
    {
        let role = Arc::make_mut(role);
        role.managed.clear();
        role.inline.clear();
    }
    shown
}

fn note_use(account: &mut AccountUse, existing: &Existing, is_named: bool, names: &Names) {
    account.total += 1;
    account.in_transition += usize::from(matches!(existing.phase, Phase::Settling(_) | Phase::Deleting(_)));
    if existing.id.kind == Kind::ComputeEnvironment && names.is_of_deployment(&existing.id.name) {
        account.forges.extend(existing.tags.get(FORGE_TAG).cloned());
    }
    if !is_named && existing.id.kind == Kind::JobQueue {
        let held = existing.refs.iter().filter(|id| id.name.starts_with(&names.family()));
        account.foreign_references.extend(held.map(|id| (existing.id.name.clone(), id.clone())));
    }
}

impl World {
    /// A look at a kind that lags as AWS's do.
    pub(crate) fn look(&self, kind: Kind, names: &Names) -> Listing<Observed> {
        let now = self.now();
        self.account.borrow().look(kind, names, || {
            if !self.chance(self.mix.lag) {
                return now;
            }
            let rng = &self.sim.rng;
            now - if rng.permille(300) { LAG - rng.range(0, S) } else { rng.range(0, LAG) }
        })
    }

    /// A look at a kind as it is.
    pub(crate) fn look_exactly(&self, kind: Kind, names: &Names) -> Listing<Observed> {
        self.account.borrow().look(kind, names, || Ms::MAX)
    }

    /// A resource as it is.
    pub(crate) fn truth(&self, id: &ResourceId) -> Option<Rc<Version>> {
        self.account.borrow().truth(id)
    }

    /// Whether no other environment of one of our queues takes jobs.
    pub(crate) fn is_the_last_of_a_queue(&self, id: &ResourceId) -> bool {
        let account = self.account.borrow();
        let takes_jobs =
            |id: &ResourceId| account.truth(id).is_some_and(|version| version.existing.is_enabled());
        account
            .referrers(id)
            .filter(|user| user.existing.id.kind == Kind::JobQueue && user.owner().is_some())
            .any(|queue| !queue.existing.refs.iter().any(|other| other != id && takes_jobs(other)))
    }

    /// Makes a resource, or puts another version in its place.
    pub(crate) fn put(&self, version: Version) {
        let id = version.existing.id.clone();
        self.account.borrow_mut().put(self.now(), &id, Some(version));
    }

    /// Removes a resource.
    pub(crate) fn remove(&self, id: &ResourceId) {
        self.account.borrow_mut().put(self.now(), id, None);
    }

    /// Changes a resource, if it exists.
    pub(crate) fn edit(&self, id: &ResourceId, change: impl FnOnce(&mut Version)) {
        if let Some(version) = self.truth(id) {
            let mut version = Version::clone(&version);
            change(&mut version);
            self.put(version);
        }
    }

    /// Changes the tags of a resource.
    pub(crate) fn edit_tags(&self, id: &ResourceId, set: &Tags, remove: &[String]) {
        self.edit(id, |version| {
            let tags = &mut version.existing.tags;
            tags.extend(set.clone());
            tags.retain(|key, _| !remove.contains(key));
        });
    }

    /// Somebody who is not CloudFormation has changed something.
    pub(crate) fn disturb(&self) {
        self.account.borrow_mut().disturbed = self.now();
    }

    /// Seconds since 1970, as AWS says when it made something.
    pub(crate) fn seconds(&self) -> i64 {
        self.wall().secs()
    }
}

/// A refusal.
pub(crate) fn refusal(code: &str, message: impl Into<String>) -> ServiceError {
    ServiceError { code: code.to_owned(), message: message.into(), request_id: None }
}
