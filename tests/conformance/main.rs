//! Conformance: the simulated world answers like the adapter over the local AWS.
//!
//! The simulation proves the engine only as far as its world answers like AWS. So the same scripts are played on both
//! sides of the port, and all answers are compared: the result of each call, and of a look after it. For the
//! claim's table every update of its rules is made on every state of the item. Remaining differences are listed in
//! [`EXCEPTIONS`].
//!
//! Time stands still on both sides until a script lets it pass, so nothing depends on how fast this machine is.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test, whatever is not as it should be ends the test"
)]
#![allow(dead_code, reason = "each side is more than the part of it that is compared here")]

/// The adapter, as the binary has it.
#[path = "../../handler"]
mod handler {
    pub(crate) mod aws;
}

/// The local AWS, as the integration tests start it.
#[path = "../it"]
mod it {
    pub(crate) mod cloud;
    pub(crate) mod faults;
    pub(crate) mod state;
}

/// The simulated world, as the simulation of the engine has it.
#[path = "../../handler/core/simulation"]
mod simulation {
    pub(crate) mod account;
    pub(crate) mod answers;
    pub(crate) mod batch;
    pub(crate) mod executor;
    pub(crate) mod host;
    pub(crate) mod iam;
    pub(crate) mod judge;
    pub(crate) mod lambda;
    pub(crate) mod ledger;
    pub(crate) mod queues;
    pub(crate) mod rng;
    pub(crate) mod shared;
    pub(crate) mod stack_view;
    pub(crate) mod stacks;
    pub(crate) mod storage;
    pub(crate) mod story;
    pub(crate) mod world;
}

mod answer;
mod scripts;
mod sides;
mod site;
mod table;

// Under the names that they have where they come from.
use handler::aws;
use it::{cloud, faults, state};
use scripts::Script;
use simulation::{
    account, batch, executor, host, judge, lambda, ledger, rng, shared, stack_view, stacks, story, world,
};

/// Scripts whose answers differ, each with the reason; if they agree one day, the test says so.
///
/// Left out altogether, because the simulated world has none of it: quotas, rights, limits of names, tags
/// and documents, and which managed policies, instance types, images, subnets and keys there are. Whatever is left to chance
/// there is not compared either: how long things take, how far IAM lags, and the reason of an INVALID environment.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "a queue is created with a scheduling policy that does not exist",
        "the simulated world has no scheduling policies: all that are named exist",
    ),
    (
        "a queue is deleted while its job runs, and then the environment",
        "in the simulated world no job ends with its queue, so that it sees who deletes the environment under a job",
    ),
    (
        "a launch template that does not exist is untagged",
        "EC2's documents do not say; the simulated world is the stricter one",
    ),
];

/// Plays scripts on both sides, and fails with all differences that no exception explains.
async fn compare(scripts: &[Script]) {
    let mut faults = Vec::new();
    for (name, script) in scripts {
        let differences = sides::play(*script).await;
        let exception = EXCEPTIONS.iter().find(|(excepted, _)| excepted == name);
        match (exception, differences.is_empty()) {
            (None, false) => faults.push(format!("{name}:\n{}", differences.join("\n"))),
            (Some(_), true) => faults.push(format!("{name}: both sides agree; it is no exception any more")),
            _ => {}
        }
    }
    assert!(faults.is_empty(), "{} of {} scripts:\n{}", faults.len(), scripts.len(), faults.join("\n\n"));
}

#[tokio::test]
async fn roles_and_profiles_answer_alike() {
    compare(scripts::iam::SCRIPTS).await;
}

#[tokio::test]
async fn templates_and_log_groups_answer_alike() {
    compare(scripts::immediate::SCRIPTS).await;
}

#[tokio::test]
async fn environments_answer_alike() {
    compare(scripts::environments::SCRIPTS).await;
}

#[tokio::test]
async fn queues_answer_alike() {
    compare(scripts::queues::SCRIPTS).await;
}

#[tokio::test]
async fn file_systems_answer_alike() {
    compare(scripts::storage::SCRIPTS).await;
}

#[tokio::test]
async fn what_is_entered_without_a_look_is_what_a_look_shows() {
    let both = sides::enter(scripts::iam::known_without_a_look).await;
    assert_eq!(both.len(), 4, "a role and a profile on each side");
    for (entered, shown) in both {
        assert_eq!(Some(entered), shown);
    }
}

#[tokio::test]
async fn every_exception_is_a_script() {
    let all = [
        scripts::iam::SCRIPTS,
        scripts::immediate::SCRIPTS,
        scripts::environments::SCRIPTS,
        scripts::queues::SCRIPTS,
        scripts::storage::SCRIPTS,
    ]
    .concat();
    for (name, _) in EXCEPTIONS {
        assert!(all.iter().any(|(script, _)| script == name), "{name}");
    }
}
