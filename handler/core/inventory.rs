//! All that has been observed of one forge. PURE.

use crate::registry::{Existing, Observed, Registered};
use crate::resource::{AccountUse, Kind, Listing, ResourceId};
use std::collections::BTreeMap;

/// All that has been observed of one forge. Each kind is replaced as a whole by the newest look at it.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// The resources that bear the forge's names, whoever they belong to.
    pub resources: BTreeMap<ResourceId, Existing>,
    account: BTreeMap<Kind, AccountUse>,
}

impl Inventory {
    /// Replaces what was known of a kind.
    pub fn replace(&mut self, kind: Kind, listing: Listing<Observed>) {
        self.resources.retain(|id, _| id.kind != kind);
        self.resources.extend(listing.found.into_iter().map(|found| (found.id.clone(), found)));
        self.account.insert(kind, listing.account);
    }

    /// The resource of this ID.
    pub fn get(&self, id: &ResourceId) -> Option<&Existing> {
        self.resources.get(id)
    }

    /// The resource of a kind and name, and what AWS says it is.
    pub fn find<R: Registered>(&self, name: &str) -> Option<(&Existing, &R::Observed)> {
        let existing = self.resources.get(&ResourceId::new(R::KIND, name))?;
        Some((existing, R::observed(&existing.observed)?))
    }

    /// All resources of a kind, and what AWS says they are.
    pub fn all<R: Registered>(&self) -> impl Iterator<Item = (&Existing, &R::Observed)> {
        let of_kind = self.resources.values().filter(|existing| existing.id.kind == R::KIND);
        of_kind.filter_map(|existing| Some((existing, R::observed(&existing.observed)?)))
    }

    /// The resources that refer to `id`.
    pub fn referrers<'a>(&'a self, id: &'a ResourceId) -> impl Iterator<Item = &'a Existing> {
        self.resources.values().filter(move |existing| existing.refs.contains(id))
    }

    /// The name of a resource of another owner, outside the forge, that refers to `id`.
    pub fn foreign_referrer<'a>(&'a self, id: &'a ResourceId) -> Option<&'a str> {
        let all = self.account.values().flat_map(|account| &account.foreign_references);
        all.filter(|(_, held)| held == id).map(|(name, _)| name.as_str()).next()
    }

    /// How many resources of a kind the account has.
    pub fn total(&self, kind: Kind) -> usize {
        self.account.get(&kind).map_or(0, |account| account.total)
    }

    /// How many resources of the account are in transition: how busy its Batch is.
    pub fn in_transition(&self) -> usize {
        self.account.values().map(|account| account.in_transition).sum()
    }
}
