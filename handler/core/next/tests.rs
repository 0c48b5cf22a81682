//! The rows of the engine's table.

use super::*;
use crate::desired::tests::{context, forge_of, network, properties};
use crate::error::ServiceError;
use crate::plan::plan;
use serde_json::json;

const S: fn(u64) -> Duration = Duration::from_secs;

fn now(seconds: u64) -> Now {
    Now { mono: S(seconds), wall: Timestamp::from_secs(1_795_509_000), scale: 1.0 }
}

fn all() -> BTreeSet<Kind> {
    Kind::ALL.iter().copied().collect()
}

/// Decides about a forge that is to go, after a look at everything at `looked`.
fn deleting(history: &mut History, looked: u64, at: u64, settled: u64) -> Vec<String> {
    let inventory = forge_of(&properties(json!({})));
    let owner = context().owner;
    history.note_look(&all(), S(looked));
    let plan = plan(&[], &inventory, &owner, &|_| false);
    let situation = Situation {
        desired: &[],
        inventory: &inventory,
        owner: &owner,
        kinds: Kind::ALL,
        now: now(at),
        settled: S(settled),
        seed: "Cafe",
    };
    match next(&plan, history, &situation).unwrap() {
        Next::Act(steps) => steps.iter().map(|step| step.id.to_string()).collect(),
        Next::Finish | Next::Look { .. } => Vec::new(),
    }
}

#[test]
fn a_deletion_that_rests_on_an_absence_waits_until_looks_prove_one() {
    let role = "role TowerForge-Cafe-ExecutionRole".to_owned();
    assert!(deleting(&mut History::default(), 100, 100, 0).contains(&role));
    let early = deleting(&mut History::default(), 100, 100, 130);
    assert!(!early.contains(&role) && !early.is_empty(), "queues and environments go meanwhile: {early:?}");
    assert!(!deleting(&mut History::default(), 129, 131, 130).contains(&role), "the look began before");
    assert!(deleting(&mut History::default(), 130, 131, 130).contains(&role));
}

#[test]
fn what_stands_is_finished_only_by_looks_that_count() {
    let wanted = properties(json!({}));
    let inventory = forge_of(&wanted);
    let cx = context();
    let desired = crate::desired::desired(
        &cx,
        &wanted,
        &crate::desired::Roles::of(&cx, &wanted),
        &network(),
        &inventory,
    )
    .unwrap();
    let plan = plan(&desired, &inventory, &cx.owner, &|_| false);
    let decide = |looked: u64, settled: u64| {
        let mut history = History::default();
        history.note_look(&all(), S(looked));
        let situation = Situation {
            desired: &desired,
            inventory: &inventory,
            owner: &cx.owner,
            kinds: Kind::ALL,
            now: now(100),
            settled: S(settled),
            seed: "Cafe",
        };
        format!("{:?}", next(&plan, &history, &situation).unwrap())
    };
    assert_eq!(decide(100, 0), "Finish");
    assert!(decide(100, 130).starts_with("Look { after: 30s"), "{}", decide(100, 130));
    assert!(decide(90, 95).starts_with("Look { after: 0ns"), "{}", decide(90, 95));
}

/// What becomes of a step whose call AWS answers with this code and text.
fn refused(code: &str, message: &str, tries: usize) -> (Option<Error>, bool) {
    let inventory = Inventory::default();
    let owner = context().owner;
    let id = ResourceId::new(Kind::Role, "TowerForge-Cafe-ServiceRole");
    let step = Step { id, action: Action::Create, why: String::new(), after: Vec::new() };
    let mut history = History::default();
    let mut ended = None;
    for attempt in 0..tries {
        let situation = Situation {
            desired: &[],
            inventory: &inventory,
            owner: &owner,
            kinds: Kind::ALL,
            now: now(100 * attempt as u64),
            settled: Duration::ZERO,
            seed: "Cafe",
        };
        let source = ServiceError { code: code.into(), message: message.into(), request_id: None };
        let err = Error::Call { action: "iam:CreateRole", name: "x".into(), source };
        ended = history.note_step(&step, Err(err), &situation);
    }
    let everywhere = history
        .attempts
        .values()
        .any(|attempt| matches!(attempt.result, Attempted::Refused { looks_everywhere: true, .. }));
    (ended, everywhere)
}

#[test]
fn a_refusal_that_aws_takes_back_is_waited_for_and_not_for_ever() {
    assert!(refused("ConcurrentModification", "", 1).0.is_none());
    assert!(refused("ConcurrentModification", "", 3).0.is_some(), "after 200 s it is not believed any more");
    assert!(
        refused("Throttling", "", 30).0.is_none(),
        "how long an account stays throttled is not ours to judge"
    );
    assert!(refused("MalformedPolicyDocument", "", 1).0.is_some());
    assert!(refused("AccessDenied", "", 1).0.is_some());
}

#[test]
fn a_refusal_whose_cause_is_not_known_has_everything_looked_at() {
    assert!(refused("DeleteConflict", "must detach all policies first", 1).1);
    assert!(refused("ClientException", "Cannot delete, found existing JobQueue relationship", 1).1);
    assert!(!refused("ConcurrentModification", "", 1).1);
}

#[test]
fn a_forge_that_the_account_has_no_room_for_is_refused_before_anything_is_made() {
    let wanted = properties(json!({}));
    let cx = context();
    let mut inventory = Inventory::default();
    let account = crate::resource::AccountUse { total: 49, ..Default::default() };
    inventory.replace(Kind::ComputeEnvironment, crate::resource::Listing { found: Vec::new(), account });
    let desired = crate::desired::desired(
        &cx,
        &wanted,
        &crate::desired::Roles::of(&cx, &wanted),
        &network(),
        &inventory,
    )
    .unwrap();
    let plan = plan(&desired, &inventory, &cx.owner, &|_| false);
    let err = refuse(&plan, &inventory).unwrap_err().to_string();
    assert!(err.contains("49 compute environments") && err.contains("needs 2 more"), "{err}");
}
