//! I/O and environment variables of both functions.

pub mod clock;
pub mod environment;
pub mod event;
pub mod logging;
pub mod respond;
pub mod table;

#[cfg(test)]
mod fuzz;
