//! The contract between the engine and the kinds of resource.
//!
//! A kind defines the desired state of a resource (`Spec`), its observed state (`Observed`), their differences, and the
//! AWS calls between them (`Call`). It makes no call: the adapter in `handler/aws/` maps each `Call` to one request. It
//! does not wait either: the engine observes until a resource is [`Phase::Settled`].

use crate::error::ServiceError;
use crate::for_each_kind;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

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

/// Properties of a kind that the engine needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that the engine asks of a kind")]
pub struct Traits {
    /// The kind in messages.
    pub noun: &'static str,
    /// How long a creation or an update takes.
    pub settles: Takes,
    /// How long it takes to disable it; nothing if it is deleted without that.
    pub stops: Takes,
    /// How long a deletion takes.
    pub goes: Takes,
    /// The quota per account and region.
    pub quota: Option<usize>,
    /// Whether instances use it until they terminate, so that it is deleted only after the last compute environment.
    pub outlives_instances: bool,
    /// Whether AWS would delete or empty it while it is in use. Such a deletion requires that no user was observed, and
    /// an observation proves this only after the read lag (`claim.rs`).
    pub rests_on_absence: bool,
    /// Whether an update may detach a resource from it that is in use. Such an update requires an observation after the
    /// read lag too, because an older one may not show that the resource was attached.
    pub update_detaches: bool,
    /// How long AWS may still find users of it that are gone. A deletion that it refuses because of them is tried again without a
    /// look for that time.
    pub finds_users_for: Duration,
    /// Whether it needs its references until it is deleted; a queue can be detached from its environments.
    pub keeps_references: bool,
    /// The feature that must be deployed with the function for creating one.
    pub feature: Option<Feature>,
}

/// How long AWS takes for a change once it has accepted it; nothing if the change is complete then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takes {
    /// The shortest time that has been seen. Nothing is observed earlier.
    pub least: Duration,
    /// The time after which most such changes are complete.
    pub most: Duration,
}

impl Takes {
    /// A change that is complete once AWS has accepted it.
    pub const NOTHING: Self = Self::seconds(0, 0);

    /// From `least` to `most` seconds.
    pub const fn seconds(least: u64, most: u64) -> Self {
        Self { least: Duration::from_secs(least), most: Duration::from_secs(most) }
    }

    /// Whether the change is complete once AWS has accepted it.
    pub fn is_nothing(&self) -> bool {
        self.most.is_zero()
    }
}

/// A feature of the function that its deployer can disable.
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
    /// Its name; for a file system its tag `Name`.
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

/// The lifecycle phase of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Settled: it can be used, changed or deleted.
    Settled,
    /// In transition, with AWS's status.
    Settling(String),
    /// Being deleted, with AWS's status.
    Deleting(String),
    /// In a failed state that it does not leave by itself, with AWS's reason.
    Broken(String),
}

/// Precedes the keys of tags among the names of fields.
const TAGS: &str = "Tags.";

/// The value of a tag that is not set.
pub const ABSENT: &str = "absent";

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
    /// A change of a tag.
    pub fn of_tag(key: &str, from: String, to: String) -> Self {
        Self { field: format!("{TAGS}{key}"), from, to }
    }

    /// Whether a tag changes; tags change at once.
    pub fn is_of_tag(&self) -> bool {
        self.field.starts_with(TAGS)
    }

    /// Whether this tag is to be set.
    pub fn sets_tag(&self, key: &str) -> bool {
        self.field.strip_prefix(TAGS) == Some(key) && self.to != ABSENT
    }

    /// Records a difference, if there is one.
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
    /// The changes after which `observed` has `wanted` and lacks `unwanted`; other tags are unchanged.
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

/// A resource that AWS shows, of any owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<O> {
    /// Its ID.
    pub id: ResourceId,
    /// Its tags, which determine its owner.
    pub tags: Tags,
    /// Its phase.
    pub phase: Phase,
    /// The resources of the same forge that it refers to.
    pub refs: Vec<ResourceId>,
    /// When it was created, in seconds since 1970, if AWS reports it.
    pub created: Option<i64>,
    /// Its observed state.
    pub observed: O,
}

impl<O> Found<O> {
    /// The same with a mapped observed state.
    pub fn map<P>(self, map: impl FnOnce(O) -> P) -> Found<P> {
        let Self { id, tags, phase, refs, created, observed } = self;
        Found { id, tags, phase, refs, created, observed: map(observed) }
    }
}

/// One observation: the forge's resources of a kind, and the account's use of that kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing<O> {
    /// The resources with the forge's names.
    pub found: Vec<Found<O>>,
    /// The rest of the account.
    pub account: AccountUse,
}

impl<O> Listing<O> {
    /// An observation without account data.
    pub fn of(found: Vec<Found<O>>) -> Self {
        Self { found, account: AccountUse::default() }
    }

    /// The same with a mapped observed state.
    pub fn map<P>(self, mut map: impl FnMut(O) -> P) -> Listing<P> {
        let found = self.found.into_iter().map(|found| found.map(&mut map)).collect();
        Listing { found, account: self.account }
    }
}

/// The account's use of a kind, of any owner; zero for kinds that do not report it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountUse {
    /// The number of resources.
    pub total: usize,
    /// The number of resources in transition, as a measure of the service's load.
    pub in_transition: usize,
    /// References of foreign resources: (name of the foreign resource, resource of this forge).
    pub foreign_references: Vec<(String, ResourceId)>,
    /// The IDs of the forges of the same deployment that have such a resource.
    pub forges: BTreeSet<String>,
}

/// One mutating AWS call on a resource, for the port's `write`.
pub trait MutatingCall {
    /// The operation as IAM spells it, e.g. `iam:CreateRole`.
    fn action(&self) -> &'static str;

    /// Whether a refusal means that the call was not needed: a resource that exists already or is gone already.
    fn tolerates(&self, refusal: &ServiceError) -> bool;
}

/// A kind of resource. Everything here is pure.
pub trait Resource {
    /// The kind.
    const KIND: Kind;
    /// Its properties.
    const TRAITS: Traits;
    /// The desired state of a resource.
    type Spec: Clone + fmt::Debug + PartialEq + 'static;
    /// The observed state of a resource.
    type Observed: Clone + fmt::Debug + PartialEq + 'static;
    /// The mutating calls of this kind, one variant each.
    type Call: Clone + fmt::Debug + PartialEq + MutatingCall;

    /// The differences between a resource and its spec that can be changed in place, without tags.
    fn drift(spec: &Self::Spec, observed: &Self::Observed) -> Vec<Change>;

    /// The calls that create a resource, in sequence.
    fn create(name: &str, spec: &Self::Spec, tags: &Tags) -> Vec<Self::Call>;

    /// The state right after the creation, and the resources that it refers to, if the spec determines both.
    fn created(_spec: &Self::Spec) -> Option<(Self::Observed, Vec<ResourceId>)> {
        None
    }

    /// The calls that update a resource to its spec, sending only differences.
    fn update(name: &str, spec: &Self::Spec, observed: &Self::Observed) -> Vec<Self::Call>;

    /// The calls that change only tags.
    fn set_tags(observed: &Self::Observed, changes: &TagChanges) -> Vec<Self::Call>;

    /// The calls of the next step of the deletion; an enabled resource is disabled first and deleted the next time.
    fn delete(observed: &Self::Observed) -> Vec<Self::Call>;

    /// Whether it must be disabled before it is deleted.
    fn is_enabled(_observed: &Self::Observed) -> bool {
        false
    }

    /// Whether something runs in it, as far as is known.
    fn is_busy(_observed: &Self::Observed) -> bool {
        false
    }

    /// Who made it, if AWS tells and it was not the function: such a resource is not taken for a desired one, whatever its
    /// tags are.
    fn stranger(_observed: &Self::Observed) -> Option<&str> {
        None
    }

    /// AWS's reason if it accepted the last update, and failed to make it.
    fn failed_update(_observed: &Self::Observed) -> Option<&str> {
        None
    }

    /// The calls that make AWS check a broken resource again; none if that cannot repair it.
    fn revalidate(_observed: &Self::Observed) -> Vec<Self::Call> {
        Vec::new()
    }
}
