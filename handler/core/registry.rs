//! The kinds as one: enums over them, and the switch from the engine, which speaks of resources, to the kind.

use crate::error::ServiceError;
use crate::for_each_kind;
use crate::inventory::Inventory;
use crate::resource::{
    ABSENT, Change, Found, Kind, Listing, MutatingCall, Phase, Resource, ResourceId, TagChanges, Tags, Traits,
};
use crate::resources;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// A kind that the enums of this file know.
pub trait Registered: Resource {
    /// The spec as one of all kinds.
    fn spec(spec: Self::Spec) -> Spec;
    /// The observed state, if it is one of this kind.
    fn observed(observed: &Observed) -> Option<&Self::Observed>;
}

macro_rules! registry {
    ($($kind:ident => $module:ident, $doc:literal,)+) => {
        /// The desired state of a resource, by kind. Shared, because the same spec is desired at every look.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Spec { $(#[doc = $doc] $kind(Arc<<resources::$module::$kind as Resource>::Spec>)),+ }

        /// The observed state of a resource, by kind. Shared, as specs are.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Observed { $(#[doc = $doc] $kind(Arc<<resources::$module::$kind as Resource>::Observed>)),+ }

        /// One mutating AWS call, by kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Call { $(#[doc = $doc] $kind(Box<<resources::$module::$kind as Resource>::Call>)),+ }

        $(impl Registered for resources::$module::$kind {
            fn spec(spec: Self::Spec) -> Spec {
                Spec::$kind(Arc::new(spec))
            }

            fn observed(observed: &Observed) -> Option<&Self::Observed> {
                match observed {
                    Observed::$kind(observed) => Some(observed),
                    _ => None,
                }
            }
        })+

        impl Kind {
            /// The properties of the kind that the engine needs.
            pub fn traits(self) -> &'static Traits {
                match self { $(Self::$kind => &<resources::$module::$kind as Resource>::TRAITS),+ }
            }
        }

        impl MutatingCall for Call {
            fn action(&self) -> &'static str {
                match self { $(Self::$kind(call) => call.action()),+ }
            }

            fn tolerates(&self, refusal: &ServiceError) -> bool {
                match self { $(Self::$kind(call) => call.tolerates(refusal)),+ }
            }
        }

        impl Desired {
            /// The differences between a resource and its spec and tags.
            pub fn drift(&self, existing: &Existing) -> Vec<Change> {
                let mut changes = match (&self.spec, &existing.observed) {
                    $((Some(Spec::$kind(spec)), Observed::$kind(observed)) => {
                        <resources::$module::$kind as Resource>::drift(spec, observed)
                    })+
                    _ => Vec::new(),
                };
                self.note_tags(existing, &mut changes);
                changes
            }

            /// The calls that make it; none for a resource that is only kept as it is.
            pub fn create(&self) -> Vec<Write> {
                let calls = match &self.spec {
                    $(Some(Spec::$kind(spec)) => wrap(
                        <resources::$module::$kind as Resource>::create(&self.id.name, spec, &self.tags),
                        Call::$kind,
                    ),)+
                    None => Vec::new(),
                };
                writes(&self.id, calls)
            }

            /// The resource right after its creation, in seconds since 1970, if its spec determines that.
            pub fn created(&self, at: i64) -> Option<Existing> {
                let (observed, refs) = match &self.spec {
                    $(Some(Spec::$kind(spec)) => {
                        let (observed, refs) = <resources::$module::$kind as Resource>::created(spec)?;
                        (Observed::$kind(Arc::new(observed)), refs)
                    })+
                    None => return None,
                };
                let (id, tags) = (self.id.clone(), self.tags.clone());
                Some(Existing { id, tags, phase: Phase::Settled, refs, created: Some(at), observed })
            }

            /// The calls that update a resource to its desired state, tags first.
            pub fn update(&self, existing: &Existing) -> Vec<Write> {
                let tags = self.tag_changes(existing);
                let calls = match (&self.spec, &existing.observed) {
                    $((spec, Observed::$kind(observed)) => {
                        let mut calls = <resources::$module::$kind as Resource>::set_tags(observed, &tags);
                        if let Some(Spec::$kind(spec)) = spec {
                            calls.extend(<resources::$module::$kind as Resource>::update(&self.id.name, spec, observed));
                        }
                        wrap(calls, Call::$kind)
                    })+
                };
                writes(&self.id, calls)
            }
        }

        impl Existing {
            /// Whether it serves until it is disabled.
            pub fn is_enabled(&self) -> bool {
                match &self.observed {
                    $(Observed::$kind(observed) => <resources::$module::$kind as Resource>::is_enabled(observed)),+
                }
            }

            /// Whether something runs in it.
            pub fn is_busy(&self) -> bool {
                match &self.observed {
                    $(Observed::$kind(observed) => <resources::$module::$kind as Resource>::is_busy(observed)),+
                }
            }

            /// AWS's reason if it accepted the last update, and failed to make it.
            pub fn failed_update(&self) -> Option<&str> {
                match &self.observed {
                    $(Observed::$kind(observed) => <resources::$module::$kind as Resource>::failed_update(observed)),+
                }
            }

            /// Who made it, if that was not the function.
            pub fn stranger(&self) -> Option<&str> {
                match &self.observed {
                    $(Observed::$kind(observed) => <resources::$module::$kind as Resource>::stranger(observed)),+
                }
            }

            /// The calls of the next step towards being gone.
            pub fn delete(&self) -> Vec<Write> {
                let calls = match &self.observed {
                    $(Observed::$kind(observed) => {
                        wrap(<resources::$module::$kind as Resource>::delete(observed), Call::$kind)
                    }),+
                };
                writes(&self.id, calls)
            }

            /// The calls that make AWS check it again; none if that cannot repair it.
            pub fn revalidate(&self) -> Vec<Write> {
                let calls = match &self.observed {
                    $(Observed::$kind(observed) => {
                        wrap(<resources::$module::$kind as Resource>::revalidate(observed), Call::$kind)
                    }),+
                };
                writes(&self.id, calls)
            }
        }

        $(impl From<Listing<<resources::$module::$kind as Resource>::Observed>> for Listing<Observed> {
            fn from(listing: Listing<<resources::$module::$kind as Resource>::Observed>) -> Self {
                listing.map(|observed| Observed::$kind(Arc::new(observed)))
            }
        })+
    };
}
for_each_kind!(registry);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.traits().noun)
    }
}

/// A resource as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Which resource.
    pub id: ResourceId,
    /// Its desired state; `None` keeps it as it is, except for its tags.
    pub spec: Option<Spec>,
    /// The tags that it should bear.
    pub tags: Tags,
    /// Keys of tags that it should not bear; others that somebody else has set are left alone.
    pub remove_tags: BTreeSet<String>,
    /// The resources that must exist as desired before it can be created or changed.
    pub after: Vec<ResourceId>,
    /// Whether it only drains: it must exist no longer than it does, and is never mended.
    pub is_draining: bool,
}

impl Desired {
    /// A resource that stays as it is.
    pub fn as_it_is(existing: &Existing) -> Self {
        Self {
            id: existing.id.clone(),
            spec: None,
            tags: Tags::new(),
            remove_tags: BTreeSet::new(),
            after: Vec::new(),
            is_draining: true,
        }
    }

    /// Whether it stands as desired; one that only drains counts as such.
    pub fn stands(&self, inventory: &Inventory) -> bool {
        let is_so = |existing: &Existing| existing.phase == Phase::Settled && self.drift(existing).is_empty();
        self.is_draining || inventory.get(&self.id).is_some_and(is_so)
    }

    /// The changes of an observed resource's tags.
    pub fn tag_changes(&self, existing: &Existing) -> TagChanges {
        TagChanges::between(&existing.tags, &self.tags, &self.remove_tags)
    }

    fn note_tags(&self, existing: &Existing, changes: &mut Vec<Change>) {
        let TagChanges { set, remove } = self.tag_changes(existing);
        let now = |key: &String| {
            existing.tags.get(key).map_or_else(|| ABSENT.to_owned(), |value| format!("{value:?}"))
        };
        let set = set.iter().map(|(key, value)| (key, format!("{value:?}")));
        let remove = remove.iter().map(|key| (key, ABSENT.to_owned()));
        changes.extend(set.chain(remove).map(|(key, to)| Change::of_tag(key, now(key), to)));
    }
}

/// A resource that exists, whoever it belongs to.
pub type Existing = Found<Observed>;

/// One mutating AWS call on one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The resource.
    pub id: ResourceId,
    /// The call.
    pub call: Call,
}

fn wrap<C>(calls: Vec<C>, call: impl Fn(Box<C>) -> Call) -> Vec<Call> {
    calls.into_iter().map(|each| call(Box::new(each))).collect()
}

fn writes(id: &ResourceId, calls: Vec<Call>) -> Vec<Write> {
    calls.into_iter().map(|call| Write { id: id.clone(), call }).collect()
}
