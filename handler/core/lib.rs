//! The core of Tower Forge for CloudFormation: all decisions, and the engine that acts through a port.
//!
//! It uses no SDK, network, environment variable or clock: the package does not depend on any, and the compiler
//! enforces this. In reading order:
//!
//! - [`event`] is a request of CloudFormation, [`respond`] the response to it.
//! - [`intent`] is a request, parsed once; [`properties`] parses and validates the stack's properties.
//! - [`desired`] turns it into the desired resources, with [`policy`] for permissions, [`user_data`] for the boot
//!   script, [`nextflow`] and [`attributes`] for the users of the forge.
//! - [`plan`] compares the desired state with the [`inventory`]; [`next`] decides the next action, [`reconcile`]
//!   executes it.
//! - [`operation`] is Create, Update and Delete. [`preview`] shows their plan, [`sweep`] deletes replaced generations,
//!   and [`dead_letter`] responds for invocations that died.
//! - [`claim`] orders operations: one invocation at a time may write. [`table`] models its storage.
//! - [`port`] has the traits through which the engine acts.
//! - [`kinds`], [`resource`], [`registry`] and [`resources`] define the kinds of resource.

pub mod kinds;

pub mod event;
pub mod leg;
pub mod respond;

pub mod deployment;
pub mod intent;

pub mod dead_letter;
pub mod operation;
pub mod preview;
pub mod sweep;

pub mod attributes;
pub mod desired;
pub mod image;
pub mod network;
pub mod nextflow;
pub mod policy;
pub mod properties;
pub mod user_data;
pub mod warnings;

pub mod claim;
pub mod table;

pub mod next;
pub mod plan;
pub mod reconcile;

pub mod inventory;
pub mod owner;
pub mod registry;
pub mod resource;
pub mod resources;

pub mod error;
pub mod name;
pub mod port;
