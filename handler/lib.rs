//! Tower Forge for CloudFormation: AWS Batch for Nextflow as the custom resource `Custom::TowerForge`.
//!
//! In reading order:
//!
//! - [`invocation`] is one invocation, from an event to at most one answer; [`event`] and [`respond`] are its ends.
//! - [`wish`] is what a request asks for; [`operation`] is Create, Update and Delete, [`preview`] shows them, [`sweep`]
//!   collects what they left behind.
//! - [`properties`] is what a stack may say; [`desired`] turns it into the parts that should exist, with
//!   [`policy`] for the rights, [`user_data`] for the boot, [`nextflow`] and [`attributes`] for who uses the forge.
//! - [`plan`] compares what is wanted with what is there; [`converge`] looks, plans, acts and waits; [`stack`]
//!   says whether the stack still wants it.
//! - [`resource`] is what all kinds have in common, [`inventory`] is a look at what is there, [`resources`] has one file per kind, [`network`] is where a
//!   forge is put.
//! - [`function`], [`name`], [`aws`], [`settings`] and [`error`] serve all of them.

#[cfg(test)]
mod fuzz;

pub mod invocation;

pub mod event;
pub mod respond;

pub mod wish;

pub mod operation;
pub mod preview;
pub mod sweep;

pub mod attributes;
pub mod desired;
pub mod nextflow;
pub mod policy;
pub mod properties;
pub mod user_data;

pub mod converge;
pub mod plan;
pub mod stack;

pub mod inventory;
pub mod network;
pub mod resource;
pub mod resources;

pub mod aws;
pub mod error;
pub mod function;
pub mod logging;
pub mod name;
pub mod settings;
