//! What both functions need of the network and of their environment.

pub mod clock;
pub mod environment;
pub mod event;
pub mod logging;
pub mod respond;
pub mod table;

#[cfg(test)]
mod fuzz;
