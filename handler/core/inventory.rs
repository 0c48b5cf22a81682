//! The observed state of one forge. PURE.

use crate::registry::{Desired, Existing, Observed, Registered};
use crate::resource::{AccountUse, Kind, Listing, ResourceId, TagChanges};
use std::collections::{BTreeMap, BTreeSet};

/// The observed state of one forge. Each new observation of a kind replaces the previous one.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// The resources with the forge's names, of any owner.
    pub resources: BTreeMap<ResourceId, Existing>,
    account: BTreeMap<Kind, AccountUse>,
}

impl Inventory {
    /// Replaces the observation of a kind.
    pub fn replace(&mut self, kind: Kind, listing: Listing<Observed>) {
        self.resources.retain(|id, _| id.kind != kind);
        self.resources.extend(listing.found.into_iter().map(|found| (found.id.clone(), found)));
        self.account.insert(kind, listing.account);
    }

    /// Adds a resource.
    pub fn insert(&mut self, existing: Existing) {
        self.resources.insert(existing.id.clone(), existing);
    }

    /// Removes a resource.
    pub fn remove(&mut self, id: &ResourceId) {
        self.resources.remove(id);
    }

    /// Gives a resource the tags that it should bear.
    pub fn change_tags(&mut self, desired: &Desired) {
        let Some(existing) = self.resources.get_mut(&desired.id) else { return };
        let TagChanges { set, remove } = desired.tag_changes(existing);
        existing.tags.extend(set);
        existing.tags.retain(|key, _| !remove.contains(key));
    }

    /// The resource of this ID.
    pub fn get(&self, id: &ResourceId) -> Option<&Existing> {
        self.resources.get(id)
    }

    /// The resource of a kind and name, with its observed state.
    pub fn find<R: Registered>(&self, name: &str) -> Option<(&Existing, &R::Observed)> {
        let existing = self.resources.get(&ResourceId::new(R::KIND, name))?;
        Some((existing, R::observed(&existing.observed)?))
    }

    /// All resources of a kind, with their observed state.
    pub fn all<R: Registered>(&self) -> impl Iterator<Item = (&Existing, &R::Observed)> {
        let of_kind = self.resources.values().filter(|existing| existing.id.kind == R::KIND);
        of_kind.filter_map(|existing| Some((existing, R::observed(&existing.observed)?)))
    }

    /// The resources that refer to `id`.
    pub fn referrers<'a>(&'a self, id: &'a ResourceId) -> impl Iterator<Item = &'a Existing> {
        self.resources.values().filter(move |existing| existing.refs.contains(id))
    }

    /// The name of a foreign resource that refers to `id`.
    pub fn foreign_referrer<'a>(&'a self, id: &'a ResourceId) -> Option<&'a str> {
        let all = self.account.values().flat_map(|account| &account.foreign_references);
        all.filter(|(_, held)| held == id).map(|(name, _)| name.as_str()).next()
    }

    /// The number of resources of a kind in the account.
    pub fn total(&self, kind: Kind) -> usize {
        self.account.get(&kind).map_or(0, |account| account.total)
    }

    /// The number of forges of the deployment, without this one of their IDs.
    pub fn other_forges(&self, id: Option<&str>) -> usize {
        let all: BTreeSet<&String> = self.account.values().flat_map(|account| &account.forges).collect();
        all.into_iter().filter(|forge| Some(forge.as_str()) != id).count()
    }

    /// The number of the account's resources in transition, as a measure of Batch's load.
    pub fn in_transition(&self) -> usize {
        self.account.values().map(|account| account.in_transition).sum()
    }
}
