//! The contract between the engine and the kinds of resource: what a kind has to say of itself.
//!
//! A kind says what a resource should be (`Spec`), what AWS says it is (`Observed`), how the two differ, and which
//! AWS calls lead from one to the other (`Call`). It makes no call itself: the adapter in `handler/aws/` maps each
//! `Call` to one request. Waiting is not part of it: the engine looks until a resource is [`Phase::Settled`].

use crate::error::ServiceError;
use crate::for_each_kind;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

macro_rules! kind_enum {
    ($($kind:ident => $module:ident, $doc:literal,)+) => {
        /// The kinds of AWS resource, in the order of creation; deletion runs backwards.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $(#[doc = $doc] $kind),+ }

        impl Kind {
            /// All of them, in the order of creation.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];
        }
    };
}
for_each_kind!(kind_enum);

/// What the engine must know of a kind and no single resource shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that the engine asks of a kind")]
pub struct Traits {
    /// The kind in the words of a person.
    pub noun: &'static str,
    /// Whether a change shows at the next look; Batch and the file systems take their time.
    pub is_immediate: bool,
    /// How many of them an account may have in a region.
    pub quota: Option<usize>,
    /// Whether instances use it to the end, so that it goes only after the last compute environment.
    pub outlives_instances: bool,
    /// Whether AWS would delete or empty it while something still uses it. Such a deletion rests on having seen no
    /// user, and a look proves that only once it is settled (`claim.rs`).
    pub rests_on_absence: bool,
    /// Whether what it refers to must stay as long as it does; a queue lets go of its environments.
    pub keeps_references: bool,
    /// What has to be deployed with the function before it may make one.
    pub feature: Option<Feature>,
}

/// A part of the function that its deployer can leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// EFS file systems.
    Efs,
    /// FSx file systems.
    Fsx,
}

/// One resource of a forge, by kind and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// Its kind.
    pub kind: Kind,
    /// Its name; of a file system its tag `Name`.
    pub name: String,
}

impl ResourceId {
    /// The resource of that kind and name.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// How far along a resource is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// At rest: it can be used, changed or deleted.
    Settled,
    /// On its way, with AWS's status.
    Settling(String),
    /// On its way to being gone, with AWS's status.
    Deleting(String),
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
    /// To remove, by key.
    pub remove: Vec<String>,
}

impl TagChanges {
    /// What leads from `observed` to having `wanted` and not having `unwanted`; other tags are left alone.
    pub fn between(observed: &Tags, wanted: &Tags, unwanted: &BTreeSet<String>) -> Self {
        let set = wanted.iter().filter(|(key, value)| observed.get(*key) != Some(*value));
        let remove = unwanted.iter().filter(|key| observed.contains_key(*key));
        Self { set: set.map(|(k, v)| (k.clone(), v.clone())).collect(), remove: remove.cloned().collect() }
    }

    /// The calls that make these changes, setting before removing.
    pub fn calls<C>(&self, set: impl FnOnce(Tags) -> C, remove: impl FnOnce(Vec<String>) -> C) -> Vec<C> {
        let set = (!self.set.is_empty()).then(|| set(self.set.clone()));
        let remove = (!self.remove.is_empty()).then(|| remove(self.remove.clone()));
        set.into_iter().chain(remove).collect()
    }
}

/// A resource that AWS shows, whoever it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<O> {
    /// Which resource.
    pub id: ResourceId,
    /// Its tags, which say whose it is.
    pub tags: Tags,
    /// How far along it is.
    pub phase: Phase,
    /// The resources of the same forge that it refers to.
    pub refs: Vec<ResourceId>,
    /// When AWS made it, in seconds since 1970, where AWS says so.
    pub created: Option<i64>,
    /// What AWS says it is.
    pub observed: O,
}

impl<O> Found<O> {
    /// The same with something else in place of what AWS says.
    pub fn map<P>(self, map: impl FnOnce(O) -> P) -> Found<P> {
        let Self { id, tags, phase, refs, created, observed } = self;
        Found { id, tags, phase, refs, created, observed: map(observed) }
    }
}

/// One look: the forge's resources of a kind, and what the account has of that kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing<O> {
    /// The resources that bear the forge's names.
    pub found: Vec<Found<O>>,
    /// The rest of the account.
    pub account: AccountUse,
}

impl<O> Listing<O> {
    /// A look that shows the account nothing beyond the forge.
    pub fn of(found: Vec<Found<O>>) -> Self {
        Self { found, account: AccountUse::default() }
    }

    /// The same with something else in place of what AWS says.
    pub fn map<P>(self, mut map: impl FnMut(O) -> P) -> Listing<P> {
        let found = self.found.into_iter().map(|found| found.map(&mut map)).collect();
        Listing { found, account: self.account }
    }
}

/// What the account has of a kind, whoever it belongs to; zero for kinds whose look does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountUse {
    /// How many there are.
    pub total: usize,
    /// How many of them are in transition: how busy the service is.
    pub in_transition: usize,
    /// What resources of others refer to: (name of the other resource, resource of this forge).
    pub foreign_references: Vec<(String, ResourceId)>,
}

/// How to mend a resource that AWS shows as [`Phase::Broken`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing helps but a person.
    None,
    /// AWS may find it valid when it looks again.
    Revalidate,
}

/// One mutating AWS call on a resource: what the port's `write` carries out.
pub trait MutatingCall {
    /// The operation as IAM spells it, e.g. `iam:CreateRole`.
    fn action(&self) -> &'static str;

    /// Whether a refusal means that the call was not needed: a resource that exists already or is gone already.
    fn tolerates(&self, refusal: &ServiceError) -> bool;
}

/// A kind of resource. Everything here is pure.
pub trait Resource {
    /// Which one.
    const KIND: Kind;
    /// What the engine must know of it.
    const TRAITS: Traits;
    /// What a resource should be.
    type Spec: Clone + fmt::Debug + PartialEq + 'static;
    /// What AWS says a resource is.
    type Observed: Clone + fmt::Debug + PartialEq + 'static;
    /// The mutating calls of this kind, one variant each.
    type Call: Clone + fmt::Debug + PartialEq + MutatingCall;

    /// What sets a resource apart from its spec, tags apart: what can be changed in place.
    fn drift(spec: &Self::Spec, observed: &Self::Observed) -> Vec<Change>;

    /// The calls that make a resource, one after the other.
    fn create(name: &str, spec: &Self::Spec, tags: &Tags) -> Vec<Self::Call>;

    /// The calls that bring a resource to its spec, sending only what differs.
    fn update(name: &str, spec: &Self::Spec, observed: &Self::Observed) -> Vec<Self::Call>;

    /// The calls that change nothing but tags.
    fn set_tags(observed: &Self::Observed, changes: &TagChanges) -> Vec<Self::Call>;

    /// The calls of the next step towards being gone; what is enabled is disabled first and deleted the next time.
    fn delete(observed: &Self::Observed) -> Vec<Self::Call>;

    /// Whether it serves until it is disabled.
    fn is_enabled(_observed: &Self::Observed) -> bool {
        false
    }

    /// How to mend a broken resource. `may_lag`: something it refers to is so young that its service may not know
    /// it yet, whatever text AWS gives.
    fn recovery(_observed: &Self::Observed, _reason: &str, _may_lag: bool) -> Recovery {
        Recovery::None
    }

    /// The calls that make AWS look at a broken resource again.
    fn revalidate(_observed: &Self::Observed) -> Vec<Self::Call> {
        Vec::new()
    }
}
