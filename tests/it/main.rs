//! Integration tests: the real binary, driven as Lambda and CloudFormation drive it, against a local AWS.
//!
//! A test talks to [`test_account`]. Below it, [`cloud`] is AWS, [`lambda`] and [`runtime_api`] are Lambda,
//! [`cloudformation`] and [`response_url`] are CloudFormation. The tests follow, by subject.

#![recursion_limit = "256"] // json!() of a stack that says everything
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test, whatever is not as it should be ends the test"
)]
#![allow(clippy::print_stdout, reason = "the matrices print their figures")]
#![allow(
    clippy::case_sensitive_file_extension_comparisons,
    clippy::similar_names,
    clippy::too_many_lines,
    clippy::type_complexity,
    reason = "tables of cases are long, and files are our own"
)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "tests read better with json!() in the place of an argument"
)]
#![allow(
    dead_code,
    reason = "the harness offers what AWS, Lambda and CloudFormation do, also where no test asks for it yet"
)]

mod cloud;
mod cloudformation;
mod faults;
mod forged;
mod lambda;
mod matrix;
mod operation;
mod response_url;
mod rights;
mod runtime_api;
mod state;
mod test_account;

mod availability_zones;
mod cancelled;
mod changes;
mod continuation;
mod crashes;
mod create_and_delete;
mod crowd;
mod dead_letters;
mod deliveries;
mod edge;
mod ended;
mod escalation;
mod examples;
mod fault_matrix;
mod file_systems;
mod harness;
mod images;
mod inhabited;
mod kept;
mod keys;
mod limits;
mod logs;
mod options;
mod overlaps;
mod partitions;
mod pitfalls;
mod refusals;
mod semantics;
mod tidy;
mod user_data;

mod preview;
mod rollback;
mod sweep;
mod update;
