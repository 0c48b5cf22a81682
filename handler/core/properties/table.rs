//! All properties, as users see them. The documentation, the JSON Schema, the table of updates and the suggestions for
//! misspelled names are generated from this table.

use super::read;

mod compute;
mod file_systems;
mod general;
mod jobs;
mod permissions;
mod retired;
mod root_volume;

pub use retired::{RETIRED, Retired};

/// A property of `Custom::TowerForge`.
#[derive(Debug)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its default, in words.
    pub default: &'static str,
    /// The allowed values; faults repeat it.
    pub allowed: &'static str,
    /// Its purpose.
    pub meaning: &'static str,
    /// Its effect in AWS.
    pub aws: &'static str,
    /// The effects of changing it.
    pub effects: &'static [Effect],
    /// A note on changing it; may be empty.
    pub update: &'static str,
}

/// The type of a property, as a template writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any string.
    Text,
    /// One of several strings.
    OneOf(&'static [&'static str]),
    /// An integer in a range.
    Integer(i32, i32),
    /// True or false.
    Boolean,
    /// A list of strings, or a comma-separated string.
    List,
    /// A multi-line string, or a list of lines.
    Lines,
    /// A map, or a list of objects with these two keys.
    Pairs(&'static str, &'static str),
    /// IAM statements.
    Statements,
}

/// The effect of a changed property in an Update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Existing resources are modified.
    InPlace,
    /// A queue and its compute environment are created or deleted.
    Queue,
    /// New compute environments are created behind the same queues.
    NewGeneration,
    /// CloudFormation creates another forge, then deletes this one.
    Replacement,
    /// The Update fails before anything is changed.
    Refused,
    /// Only the attribute `NextflowConfig` changes.
    Config,
    /// Nothing changes.
    Nothing,
}

impl Effect {
    /// The effect in a few words.
    pub fn name(self) -> &'static str {
        match self {
            Self::InPlace => "in place",
            Self::Queue => "a queue is added or removed",
            Self::NewGeneration => "new generation",
            Self::Replacement => "replacement",
            Self::Refused => "refused",
            Self::Config => "`NextflowConfig` only",
            Self::Nothing => "nothing",
        }
    }

    /// The effect on running jobs: they finish, or they are terminated.
    pub fn running_jobs(self) -> &'static str {
        match self {
            Self::Queue => "finish; jobs in a deleted queue are terminated",
            Self::NewGeneration => "finish on the old generation; new jobs start on the new one",
            Self::Replacement => "are terminated when CloudFormation deletes the old forge",
            Self::InPlace | Self::Refused | Self::Config | Self::Nothing => "finish",
        }
    }
}

/// Properties that belong together.
#[derive(Debug)]
pub struct Group {
    /// The heading in the documentation.
    pub title: &'static str,
    /// The properties, in reading order.
    pub properties: &'static [Property],
}

/// All groups, in reading order.
pub const GROUPS: &[Group] = &[
    Group { title: "Work directory and Fusion", properties: general::WORK },
    Group { title: "Compute environments", properties: compute::ENVIRONMENTS },
    Group { title: "Instances", properties: compute::INSTANCES },
    Group { title: "Queues", properties: compute::QUEUES },
    Group { title: "Network", properties: compute::NETWORK },
    Group { title: "Root volume", properties: root_volume::PROPERTIES },
    Group { title: "File systems", properties: file_systems::PROPERTIES },
    Group { title: "Permissions", properties: permissions::PROPERTIES },
    Group { title: "Jobs", properties: jobs::PROPERTIES },
    Group { title: "The forge itself", properties: general::FORGE },
];

/// All properties, in reading order.
pub fn all() -> impl Iterator<Item = &'static Property> {
    GROUPS.iter().flat_map(|group| group.properties)
}

/// The property of a name.
pub fn find(name: &str) -> Option<&'static Property> {
    all().find(|row| row.name == name)
}
