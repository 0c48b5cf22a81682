//! The core of Tower Forge for CloudFormation: everything that decides, and the engine that acts through a port.
//!
//! No SDK, no network, no environment and no clock: the compiler keeps them out, because this package does not depend
//! on any. In reading order:
//!
//! - [`event`] is a request of CloudFormation, [`respond`] the response to it.
//! - [`intent`] is what a request asks for, read once; [`properties`] is what a stack may say.
//! - [`desired`] turns it into the resources that should exist, with [`policy`] for the rights, [`user_data`] for the
//!   boot, [`nextflow`] and [`attributes`] for those who use the forge.
//! - [`plan`] compares the desired state with the [`inventory`]; [`next`] decides what to do, [`reconcile`] does it.
//! - [`operation`] is Create, Update and Delete, [`preview`] shows them, [`sweep`] collects what they left behind, and
//!   [`dead_letter`] answers for those that died.
//! - [`claim`] orders them: one invocation at a time may write. [`table`] is what it is written in.
//! - [`port`] is all that the engine asks of the world.
//! - [`kinds`], [`resource`], [`registry`] and [`resources`] are the kinds of resource.

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
pub mod network;
pub mod nextflow;
pub mod policy;
pub mod properties;
pub mod user_data;

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
