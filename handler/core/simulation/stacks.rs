//! The stacks of a life: the first, and in some lives a second one that names the same forge.

use crate::stack_view::{Asked, StackView};
use crate::world::World;
use std::cell::RefCell;
use std::sync::LazyLock;
use tower_forge_core::claim::resource_key;
use tower_forge_core::name::{LOGICAL_TAG, STACK_TAG};
use tower_forge_core::resource::Tags;

/// A stack with its one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stack {
    /// The stack of every life.
    First,
    /// The other one that names the forge of the first.
    Second,
}

/// The keys of the items of both resources.
static KEYS: LazyLock<[String; 2]> =
    LazyLock::new(|| Stack::ALL.map(|stack| resource_key(stack.id(), stack.logical_id())));

impl Stack {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::First, Self::Second];

    /// Its ARN.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::First => "arn:aws:cloudformation:eu-west-1:123456789012:stack/genomics/1f0b2c30",
            Self::Second => "arn:aws:cloudformation:eu-west-1:123456789012:stack/oncology/7c5d9e14",
        }
    }

    /// The logical ID of its resource.
    pub(crate) fn logical_id(self) -> &'static str {
        match self {
            Self::First => "Genomics",
            Self::Second => "Oncology",
        }
    }

    /// The key of the item of its resource.
    pub(crate) fn key(self) -> &'static str {
        &KEYS[self as usize]
    }

    /// The other stack.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// The stack with this resource.
    pub(crate) fn of(stack_id: &str, logical_id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stack| stack.id() == stack_id && stack.logical_id() == logical_id)
    }

    /// The stack that owns a resource with these tags.
    pub(crate) fn of_tags(tags: &Tags) -> Option<Self> {
        Self::of(tags.get(STACK_TAG)?, tags.get(LOGICAL_TAG)?)
    }

    /// The stack whose resource has the item with this key.
    pub(crate) fn of_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stack| stack.key() == key)
    }
}

impl World {
    /// CloudFormation's side of a stack.
    pub(crate) fn view(&self, stack: Stack) -> &RefCell<StackView> {
        &self.stacks[stack as usize]
    }

    /// Polls the task that plays CloudFormation, if there is one.
    pub(crate) fn wake_driver(&self, stack: Stack) {
        let driver = self.view(stack).borrow().driver;
        if let Some(driver) = driver {
            self.sim.wake(driver);
        }
    }

    /// An operation that CloudFormation has asked for.
    pub(crate) fn asked(&self, operation: &str) -> Option<Asked> {
        Stack::ALL.iter().find_map(|stack| self.view(*stack).borrow().asked.get(operation).cloned())
    }

    /// The operation that is under way in a stack may stay without an answer.
    pub(crate) fn excuse(&self, stack: Stack, why: &'static str) {
        self.view(stack).borrow_mut().is_excused = true;
        self.count(why);
        self.say(|| format!("excused: {why}"));
    }
}
