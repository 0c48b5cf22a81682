//! The port over the AWS SDKs: mapping only, nothing is decided here.

pub(crate) mod clients;
pub(crate) mod error;
mod http;
pub(crate) mod network;
pub(crate) mod registry;
pub(crate) mod resources;
pub(crate) mod stack;
pub(crate) mod sweepable;
pub(crate) mod world;
