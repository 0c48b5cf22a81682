//! All properties, as their readers see them: the one source of the documentation, of the JSON Schema, of the
//! table of updates and of the names that a misspelt one is compared with.

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
    /// What may be said; faults repeat it.
    pub allowed: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// What it does in AWS.
    pub aws: &'static str,
    /// What changing it does.
    pub effects: &'static [Effect],
    /// More about changing it; may be empty.
    pub update: &'static str,
}

/// The type of a property, as a template writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text of any form.
    Text,
    /// One of several texts.
    OneOf(&'static [&'static str]),
    /// A whole number of a range.
    Integer(i32, i32),
    /// True or false.
    Boolean,
    /// A list of texts, or a text with commas.
    List,
    /// A text of several lines, or a list of lines.
    Lines,
    /// A map, or a list of objects with the two names.
    Pairs(&'static str, &'static str),
    /// IAM statements.
    Statements,
}

/// What an Update does when a property has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// AWS's resources are changed where they stand.
    InPlace,
    /// A queue and its environment come or go.
    Queue,
    /// New compute environments take over behind the same queues.
    NewGeneration,
    /// Another forge, and then the Delete of this one.
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
            Self::Queue => "a queue comes or goes",
            Self::NewGeneration => "new generation",
            Self::Replacement => "replacement",
            Self::Refused => "refused",
            Self::Config => "`NextflowConfig` only",
            Self::Nothing => "nothing",
        }
    }

    /// What it does to running jobs.
    pub fn running_jobs(self) -> &'static str {
        match self {
            Self::Queue => "go on, except in a queue that goes: they end",
            Self::NewGeneration => "go on where they are; new jobs start on the new generation",
            Self::Replacement => "end when CloudFormation deletes the old forge",
            Self::InPlace | Self::Refused | Self::Config | Self::Nothing => "go on",
        }
    }
}

/// Properties that belong together.
#[derive(Debug)]
pub struct Group {
    /// What they are about.
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
