//! The rows of the engine's table.

use super::*;
use crate::desired::tests::{context, forge_of, network, properties};
use crate::error::ServiceError;
use crate::plan::plan;
use crate::registry::Observed;
use serde_json::json;
use std::sync::Arc;

const S: fn(u64) -> Duration = Duration::from_secs;

fn now(seconds: u64) -> Now {
    Now { mono: S(seconds), wall: Timestamp::from_secs(1_795_509_000), scale: 1.0 }
}

fn all() -> BTreeSet<Kind> {
    Kind::ALL.iter().copied().collect()
}

/// A situation of a forge with all kinds, in which absences count from `settled` on.
fn situation<'a>(
    desired: &'a [Desired],
    inventory: &'a Inventory,
    owner: &'a Owner,
    at: u64,
    settled: u64,
) -> Situation<'a> {
    Situation { desired, inventory, owner, kinds: Kind::ALL, now: now(at), settled: S(settled), seed: "Cafe" }
}

/// The desired state, given an observed one, and the plan for it.
fn wanted(inventory: &Inventory) -> (Vec<Desired>, Plan) {
    let (cx, wanted) = (context(), properties(json!({})));
    let draft = crate::desired::Draft::of(&cx, &wanted);
    let desired = crate::desired::desired(&cx, &wanted, &draft, &network(), inventory).unwrap();
    let plan = plan(&desired, inventory, &cx.owner);
    (desired, plan)
}

/// Decides about a forge that is to go, or of which only roles are left, after a look at everything at `looked`.
fn deleting(only_roles: bool, looked: u64, at: u64, settled: u64) -> Vec<String> {
    let mut inventory = forge_of(&properties(json!({})));
    inventory.resources.retain(|id, _| !only_roles || id.kind == Kind::Role);
    let mut history = History::default();
    let owner = context().owner;
    history.note_look(&all(), S(looked));
    let plan = plan(&[], &inventory, &owner);
    match next(&plan, &history, &situation(&[], &inventory, &owner, at, settled)).unwrap() {
        Next::Act(steps) => steps.iter().map(|step| step.id.to_string()).collect(),
        Next::Finish | Next::Look { .. } => Vec::new(),
    }
}

#[test]
fn a_deletion_that_rests_on_an_absence_waits_until_looks_prove_one() {
    let role = "role TowerForge-Cafe-ExecutionRole".to_owned();
    assert!(deleting(true, 100, 100, 0).contains(&role));
    assert!(deleting(true, 100, 100, 130).is_empty());
    assert!(deleting(true, 129, 131, 130).is_empty(), "the look began before");
    assert!(deleting(true, 130, 131, 130).contains(&role));
    let early = deleting(false, 100, 100, 130);
    assert!(!early.contains(&role) && !early.is_empty(), "queues and environments go meanwhile: {early:?}");
}

#[test]
fn what_stands_is_finished_only_by_looks_that_count() {
    let inventory = forge_of(&properties(json!({})));
    let owner = context().owner;
    let (desired, plan) = wanted(&inventory);
    let decide = |looked: u64, settled: u64| {
        let mut history = History::default();
        history.note_look(&all(), S(looked));
        let situation = situation(&desired, &inventory, &owner, 100, settled);
        format!("{:?}", next(&plan, &history, &situation).unwrap())
    };
    assert_eq!(decide(100, 0), "Finish");
    assert!(decide(100, 130).starts_with("Look { after: 30s"), "{}", decide(100, 130));
    assert!(decide(90, 95).starts_with("Look { after: 0ns"), "{}", decide(90, 95));
}

/// The result of a step whose call AWS refuses with this code and text.
fn refused(code: &str, message: &str, tries: u64) -> (Option<Error>, bool) {
    let inventory = Inventory::default();
    let owner = context().owner;
    let id = ResourceId::new(Kind::Role, "TowerForge-Cafe-ServiceRole");
    let step = Step { id, action: Action::Create, why: String::new(), after: Vec::new() };
    let mut history = History::default();
    let mut ended = None;
    for attempt in 0..tries {
        let situation = situation(&[], &inventory, &owner, 100 * attempt, 0);
        let source = ServiceError { code: code.into(), message: message.into(), request_id: None };
        let err = Error::Call { action: "iam:CreateRole", name: "x".into(), source };
        ended = history.note_step(&step, Err(err), &situation);
    }
    let everywhere = history
        .attempts
        .values()
        .any(|attempt| matches!(attempt.result, Attempted::Refused { cause: Cause::Unseen, .. }));
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
    let mut inventory = Inventory::default();
    let account = crate::resource::AccountUse { total: 49, ..Default::default() };
    inventory.replace(Kind::ComputeEnvironment, crate::resource::Listing { found: Vec::new(), account });
    let (_, plan) = wanted(&inventory);
    let err = refuse(&plan, &inventory).unwrap_err().to_string();
    assert!(err.contains("49 compute environments") && err.contains("needs 2 more"), "{err}");
    let account = crate::resource::AccountUse { total: 48, ..Default::default() };
    inventory.replace(Kind::ComputeEnvironment, crate::resource::Listing { found: Vec::new(), account });
    assert!(refuse(&plan, &inventory).is_ok(), "48 and 2 are 50");
}

/// The next observation after these steps were accepted ten seconds ago, of a forge that is to go.
fn after_deleting(accepted: &[(Kind, &str, Action)], inventory: &Inventory, at: u64) -> (u64, Vec<Kind>) {
    let owner = context().owner;
    let mut history = History::default();
    history.note_look(&all(), S(100));
    let situation = |at| situation(&[], inventory, &owner, at, 0);
    for (kind, name, action) in accepted {
        let id = ResourceId::new(*kind, *name);
        let step = Step { id, action: action.clone(), why: String::new(), after: Vec::new() };
        history.note_step(&step, Ok(()), &situation(100));
        history.note_unseen(&step, S(100));
    }
    let plan = plan(&[], inventory, &owner);
    match next(&plan, &history, &situation(at)).unwrap() {
        Next::Look { after, kinds } => (after.as_secs(), kinds.into_iter().collect()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_observed_before_it_can_have_changed_or_while_another_has_to_go_first() {
    let mut inventory = forge_of(&properties(json!({})));
    let of = |kind: Kind, inventory: &Inventory| -> Vec<String> {
        let all = inventory.resources.keys().filter(|id| id.kind == kind);
        all.map(|id| id.name.clone()).collect()
    };
    let (queues, environments) = (of(Kind::JobQueue, &inventory), of(Kind::ComputeEnvironment, &inventory));
    let mut accepted: Vec<_> =
        queues.iter().map(|name| (Kind::JobQueue, name.as_str(), Action::Disable)).collect();
    accepted
        .extend(environments.iter().map(|name| (Kind::ComputeEnvironment, name.as_str(), Action::Disable)));
    assert_eq!(after_deleting(&accepted, &inventory, 100), (2, vec![Kind::JobQueue]));
    inventory.resources.retain(|id, _| id.kind != Kind::JobQueue);
    let environments_only = &accepted[queues.len()..];
    assert_eq!(after_deleting(environments_only, &inventory, 100), (10, vec![Kind::ComputeEnvironment]));
    assert_eq!(after_deleting(environments_only, &inventory, 105), (5, vec![Kind::ComputeEnvironment]));
}

#[test]
fn what_needs_no_look_is_entered() {
    let forge = forge_of(&properties(json!({})));
    let mut inventory = Inventory::default();
    let (desired, _) = wanted(&inventory);
    let step =
        |id: &ResourceId, action| Step { id: id.clone(), action, why: String::new(), after: Vec::new() };
    for resource in &desired {
        let is_entered = enter(&step(&resource.id, Action::Create), &desired, &mut inventory, &now(0));
        let is_known = matches!(resource.id.kind, Kind::Role | Kind::InstanceProfile);
        assert_eq!((is_entered, inventory.get(&resource.id).is_some()), (is_known, is_known));
    }
    assert!(
        desired.iter().filter(|each| inventory.get(&each.id).is_some()).all(|each| each.stands(&inventory))
    );

    let mut inventory = forge.clone();
    for id in forge.resources.keys() {
        let is_entered = enter(&step(id, Action::Delete), &[], &mut inventory, &now(0));
        let takes_time = matches!(id.kind, Kind::ComputeEnvironment | Kind::JobQueue);
        assert_eq!((is_entered, inventory.get(id).is_some()), (!takes_time, takes_time), "{id}");
    }

    let mut inventory = forge;
    let tagged: Vec<Desired> = desired
        .iter()
        .map(|each| {
            let mut each = each.clone();
            each.tags.insert("team".to_owned(), "blue".to_owned());
            each
        })
        .collect();
    for resource in &tagged {
        let changes = resource.drift(inventory.get(&resource.id).unwrap());
        assert!(enter(&step(&resource.id, Action::Update(changes)), &tagged, &mut inventory, &now(0)));
        assert!(resource.stands(&inventory), "{}", resource.id);
    }
}

/// An environment of a forge that exists.
fn environment(inventory: &Inventory) -> ResourceId {
    let mut all = inventory.resources.keys().filter(|id| id.kind == Kind::ComputeEnvironment);
    all.next().unwrap().clone()
}

#[test]
fn a_change_that_aws_accepts_and_never_shows_is_made_again_and_not_for_ever() {
    let inventory = forge_of(&properties(json!({})));
    let owner = context().owner;
    let id = environment(&inventory);
    for (action, is_bounded) in [(Action::Create, true), (Action::Delete, false)] {
        let step = Step { id: id.clone(), action, why: String::new(), after: Vec::new() };
        let mut history = History::default();
        for attempt in 1..=8 {
            let at = situation(&[], &inventory, &owner, 100 * attempt, 0);
            history.note_step(&step, Ok(()), &at);
            history.note_look(&all(), S(100 * attempt + 9));
            assert!(matches!(judge(&step, &history, &at), Ok(Judged::Skip)), "it may not be visible yet");
            history.note_look(&all(), S(100 * attempt + 10));
            let judged = judge(&step, &history, &at);
            if is_bounded && attempt >= 6 {
                assert!(matches!(judged, Err(Error::NotConverging(_))), "attempt {attempt}");
            } else {
                assert!(matches!(judged, Ok(Judged::Take)), "attempt {attempt}");
            }
        }
    }
}

#[test]
fn an_environment_that_stays_invalid_is_made_anew_unless_a_queue_holds_it() {
    let held = forge_of(&properties(json!({})));
    let mut free = held.clone();
    free.resources.retain(|id, _| id.kind != Kind::JobQueue);
    let owner = context().owner;
    let repaired = |inventory: &Inventory, before: u32| {
        let mut history = History::default();
        let id = environment(inventory);
        history.repairs.insert(id.clone(), before);
        let calls = repair(
            None,
            inventory.get(&id).unwrap(),
            "INVALID",
            &history,
            &situation(&[], inventory, &owner, 100, 0),
        );
        calls.map(|calls| format!("{:?}", calls[0].call)).map_err(|err| err.to_string())
    };
    let (revalidates, disables) = ("service_role: Some", "enabled: Some(false)");
    for before in [0, 1] {
        assert!(repaired(&held, before).unwrap().contains(revalidates));
    }
    for before in [2, 3] {
        assert!(repaired(&free, before).unwrap().contains(disables));
        assert!(repaired(&held, before).unwrap_err().contains("is broken: INVALID"));
    }
    assert!(repaired(&free, 4).is_err());
    // Of a replaced generation that is wanted again.
    let mut busy = free.clone();
    let existing = busy.resources.get_mut(&environment(&free)).unwrap();
    let Observed::ComputeEnvironment(observed) = &mut existing.observed else { unreachable!() };
    let observed = Arc::make_mut(observed);
    (observed.enabled, observed.is_idle) = (false, false);
    assert!(repaired(&busy, 3).unwrap_err().contains("is broken: INVALID"), "its jobs would be terminated");
}

/// An old observation shows it as it was, and the operation would end with a disabled environment.
#[test]
fn an_environment_that_was_disabled_to_be_made_anew_is_seen_again_before_the_end() {
    let inventory = forge_of(&properties(json!({})));
    let owner = context().owner;
    let (desired, plan) = wanted(&inventory);
    let id = environment(&inventory);
    let step = |action| Step { id: id.clone(), action, why: String::new(), after: Vec::new() };
    let ends = |repairs: u32, looked: u64| {
        let mut history = History::with_read_lag(S(30));
        history.repairs.insert(id.clone(), repairs);
        let at = situation(&desired, &inventory, &owner, 100, 0);
        history.note_sent(&step(Action::Repair("INVALID".to_owned())), &at);
        history.note_look(&all(), S(looked));
        let later = situation(&desired, &inventory, &owner, looked + 1, 0);
        matches!(next(&plan, &history, &later), Ok(Next::Finish))
    };
    assert!(ends(1, 101), "a revalidation changes nothing");
    assert!(!ends(2, 129));
    assert!(ends(2, 130));
}

/// Revalidating it would name the role again that somebody has given it.
#[test]
fn a_broken_environment_that_differs_is_updated() {
    let mut inventory = forge_of(&properties(json!({})));
    let id = environment(&inventory);
    let Observed::ComputeEnvironment(observed) = &mut inventory.resources.get_mut(&id).unwrap().observed
    else {
        unreachable!()
    };
    Arc::make_mut(observed).service_role = "arn:aws:iam::123456789012:role/other".to_owned();
    let (desired, _) = wanted(&inventory);
    let owner = context().owner;
    let step = Step { id, action: Action::Repair(String::new()), why: String::new(), after: Vec::new() };
    let at = situation(&desired, &inventory, &owner, 100, 0);
    let calls = writes(&step, &History::default(), &at).unwrap();
    assert_eq!(calls.len(), 1);
    assert!(format!("{:?}", calls[0].call).contains("TowerForge-Cafe-ServiceRole"), "{calls:?}");
}
