//! The rows of the engine's table.

use super::*;
use crate::desired::tests::{context, forge_of, network, properties};
use crate::error::ServiceError;
use crate::plan::plan;
use crate::registry::Observed;
use crate::resource::Phase;
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
    let account = crate::resource::AccountUse { total: 51, ..Default::default() };
    inventory.replace(Kind::ComputeEnvironment, crate::resource::Listing { found: Vec::new(), account });
    assert!(refuse(&Plan::default(), &inventory).is_ok(), "what makes none needs no room");
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
    let (resized, id) = (change("maxvCpus"), environment(&inventory));
    assert!(!enter(&step(&id, Action::Update(vec![resized])), &tagged, &mut inventory, &now(0)));
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
    Arc::make_mut(observed).is_idle = false;
    assert!(
        repaired(&busy, 3).unwrap().contains(disables),
        "what runs in it is only known once it is disabled"
    );
    let existing = busy.resources.get_mut(&environment(&free)).unwrap();
    let Observed::ComputeEnvironment(observed) = &mut existing.observed else { unreachable!() };
    Arc::make_mut(observed).enabled = false;
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

fn change(field: &str) -> Change {
    Change { field: field.to_owned(), from: "before".to_owned(), to: "after".to_owned() }
}

fn step(id: &ResourceId, action: Action) -> Step {
    Step { id: id.clone(), action, why: String::new(), after: Vec::new() }
}

/// The first observed resource of a kind.
fn first(inventory: &Inventory, kind: Kind) -> ResourceId {
    inventory.resources.keys().find(|id| id.kind == kind).unwrap().clone()
}

/// The result of a step that AWS refuses with this code.
fn refusal(code: &str) -> Result<()> {
    let source = ServiceError { code: code.into(), message: String::new(), request_id: None };
    Err(Error::Call { action: "iam:DeleteRole", name: "x".into(), source })
}

#[test]
fn an_update_that_may_detach_or_stop_what_is_in_use_waits_until_looks_prove_an_absence() {
    let mut inventory = forge_of(&properties(json!({})));
    let owner = context().owner;
    let queue = first(&inventory, Kind::JobQueue);
    let environments: Vec<ResourceId> =
        inventory.resources.keys().filter(|id| id.kind == Kind::ComputeEnvironment).cloned().collect();
    let [draining, serving] = &environments[..] else { unreachable!() };
    let mut history = History::default();
    history.note_look(&all(), S(100));
    let waits = |id: &ResourceId, field: &str, inventory: &Inventory| {
        let each = |existing| {
            let desired = Desired::as_it_is(existing);
            Desired { is_draining: desired.id == *draining, ..desired }
        };
        let desired: Vec<Desired> = inventory.resources.values().map(each).collect();
        let update = step(id, Action::Update(vec![change(field)]));
        is_unsettled(&update, &history, &situation(&desired, inventory, &owner, 100, 130))
    };
    assert!(waits(&queue, "computeEnvironmentOrder", &inventory));
    assert!(!waits(&queue, "Tags.team", &inventory));
    assert!(waits(&queue, &format!("Tags.{RELEASED_TAG}"), &inventory), "it may have been adopted since");
    assert!(waits(draining, "state", &inventory));
    assert!(!waits(draining, "Tags.team", &inventory));
    assert!(!waits(serving, "maxvCpus", &inventory));
    let Observed::ComputeEnvironment(observed) = &mut inventory.resources.get_mut(draining).unwrap().observed
    else {
        unreachable!()
    };
    Arc::make_mut(observed).enabled = false;
    assert!(!waits(draining, "minvCpus", &inventory), "it has stopped already");
}

#[test]
fn what_waits_for_a_proof_of_absence_is_looked_at_with_it_unless_something_else_is_due_before() {
    let mut inventory = forge_of(&properties(json!({})));
    let queue = first(&inventory, Kind::JobQueue);
    inventory.resources.retain(|id, _| *id == queue || id.kind == Kind::InstanceProfile);
    inventory.resources.get_mut(&queue).unwrap().phase = Phase::Deleting("DELETING".to_owned());
    let owner = context().owner;
    let plan = plan(&[], &inventory, &owner);
    let kinds = |at: u64| {
        let mut history = History::default();
        history.note_look(&all(), S(at));
        match next(&plan, &history, &situation(&[], &inventory, &owner, at, 130)).unwrap() {
            Next::Look { kinds, .. } => kinds,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(kinds(100), BTreeSet::from([Kind::JobQueue]));
    assert_eq!(kinds(129), all());
}

#[test]
fn what_stays_denied_is_tried_again_after_twice_the_time() {
    let inventory = Inventory::default();
    let owner = context().owner;
    let id = ResourceId::new(Kind::Role, "TowerForge-Cafe-ServiceRole");
    let takes = |looked: u64| {
        let mut history = History::default();
        let result = Attempted::Refused { since: S(100), reason: String::new(), cause: Cause::Denied };
        history.attempts.insert(id.clone(), Attempt { action: "create", last: S(110), tries: 0, result });
        history.note_look(&all(), S(looked));
        let at = situation(&[], &inventory, &owner, looked, 0);
        matches!(judge(&step(&id, Action::Create), &history, &at), Ok(Judged::Take))
    };
    assert!(!takes(119));
    assert!(takes(120));
}

#[test]
fn new_permissions_may_be_denied_for_a_minute_after_the_creation() {
    let inventory = Inventory::default();
    let owner = context().owner;
    let id = ResourceId::new(Kind::Role, "TowerForge-Cafe-ServiceRole");
    let ends = |at: u64| {
        let mut history = History::default();
        history.note_step(&step(&id, Action::Create), Ok(()), &situation(&[], &inventory, &owner, 100, 0));
        let update = step(&id, Action::Update(Vec::new()));
        let later = situation(&[], &inventory, &owner, at, 0);
        history.note_step(&update, refusal("AccessDenied"), &later).is_some()
    };
    assert!(!ends(159));
    assert!(ends(160));
}

#[test]
fn after_a_refusal_because_of_something_unseen_the_kinds_that_may_use_the_resource_are_looked_at() {
    let mut inventory = forge_of(&properties(json!({})));
    let role = first(&inventory, Kind::Role);
    inventory.resources.retain(|id, _| *id == role);
    let owner = context().owner;
    let mut history = History::default();
    history.note_look(&all(), S(99));
    let delete = step(&role, Action::Delete);
    history.note_step(&delete, refusal("DeleteConflict"), &situation(&[], &inventory, &owner, 100, 0));
    let plan = plan(&[], &inventory, &owner);
    match next(&plan, &history, &situation(&[], &inventory, &owner, 130, 0)).unwrap() {
        Next::Look { kinds, .. } => assert_eq!(kinds, all()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_resource_that_aws_works_on_is_not_looked_at_while_nothing_can_follow() {
    let mut inventory = forge_of(&properties(json!({})));
    let id = environment(&inventory);
    let queue = inventory.referrers(&id).next().unwrap().id.clone();
    let owner = context().owner;
    let history = |result| {
        let mut history = History::default();
        let attempt = Attempt { action: "disable", last: S(100), tries: 1, result };
        history.attempts.insert(id.clone(), attempt);
        history
    };
    let accepted = history(Attempted::Accepted { soonest: S(100) });
    let cut = history(Attempted::CutShort);
    let desired = |id: &ResourceId| [Desired::as_it_is(inventory.get(id).unwrap())];
    let blocked = |id: &ResourceId, history: &History, desired: &[Desired], inventory: &Inventory| {
        is_blocked(id, history, &situation(desired, inventory, &owner, 100, 0))
    };
    assert!(blocked(&id, &accepted, &[], &inventory));
    assert!(blocked(&id, &accepted, &desired(&queue), &inventory));
    assert!(!blocked(&queue, &accepted, &[], &inventory), "nothing refers to it");
    assert!(!blocked(&id, &accepted, &desired(&id), &inventory), "it is wanted");
    assert!(!blocked(&id, &cut, &[], &inventory), "its step is to be taken again");
    inventory.resources.get_mut(&queue).unwrap().tags.clear();
    assert!(!blocked(&id, &accepted, &[], &inventory), "another owner's queue does not go");
}

#[test]
fn a_broken_environment_is_only_revalidated_while_its_role_may_not_be_known() {
    let mut inventory = forge_of(&properties(json!({})));
    let owner = context().owner;
    let id = environment(&inventory);
    let role = inventory.get(&id).unwrap().refs.iter().find(|id| id.kind == Kind::Role).unwrap().clone();
    let mut recreated = |age: i64| {
        inventory.resources.get_mut(&role).unwrap().created = Some(now(0).wall.secs() - age);
        let at = situation(&[], &inventory, &owner, 100, 0);
        let mut history = History::default();
        for _ in 0..2 {
            history.note_step(&step(&id, Action::Repair(String::new())), Ok(()), &at);
        }
        recreates(inventory.get(&id).unwrap(), &history, &at)
    };
    assert!(!recreated(149));
    assert!(recreated(150));
    // Only repairs that should have helped count.
    let mut history = History::default();
    let mut repair = |age: i64| {
        inventory.resources.get_mut(&role).unwrap().created = Some(now(0).wall.secs() - age);
        let at = situation(&[], &inventory, &owner, 100, 0);
        history.note_step(&step(&id, Action::Repair(String::new())), Ok(()), &at);
        history.repairs[&id]
    };
    assert_eq!([0, 149, 150].map(&mut repair), [0, 0, 1]);
}

#[test]
fn an_environment_that_a_foreign_queue_holds_is_not_deleted() {
    let mut inventory = forge_of(&properties(json!({})));
    let id = environment(&inventory);
    let queue = inventory.referrers(&id).next().unwrap().id.clone();
    let owner = context().owner;
    let refused = |inventory: &Inventory| {
        let at = situation(&[], inventory, &owner, 100, 0);
        writes(&step(&id, Action::Delete), &History::default(), &at).err().map(|err| err.to_string())
    };
    assert_eq!(refused(&inventory), None);
    inventory.resources.get_mut(&queue).unwrap().tags.clear();
    assert!(refused(&inventory).unwrap().contains(&format!("job queue {}", queue.name)));
    let account = crate::resource::AccountUse {
        foreign_references: vec![("theirs".to_owned(), id.clone())],
        ..Default::default()
    };
    inventory.replace(Kind::JobQueue, crate::resource::Listing { found: Vec::new(), account });
    assert!(refused(&inventory).unwrap().contains("job queue theirs"));
}

/// What is wanted depends on what is observed, and an old observation may show it as it is wanted now.
#[test]
fn what_was_sent_and_is_not_wanted_any_more_is_seen_again_before_the_end() {
    let inventory = forge_of(&properties(json!({})));
    let owner = context().owner;
    let (desired, plan) = wanted(&inventory);
    let ends = |sent: &Desired, looked: u64| {
        let mut history = History::with_read_lag(S(30));
        let sent = [sent.clone()];
        let update = step(&sent[0].id, Action::Update(Vec::new()));
        history.note_sent(&update, &situation(&sent, &inventory, &owner, 100, 0));
        history.note_look(&all(), S(looked));
        let later = situation(&desired, &inventory, &owner, looked + 1, 0);
        matches!(next(&plan, &history, &later), Ok(Next::Finish))
    };
    assert!(ends(&desired[0], 101), "it is still wanted");
    let mut tagged = desired[0].clone();
    tagged.tags.insert("team".to_owned(), "blue".to_owned());
    let changed = Desired { spec: desired[1].spec.clone(), ..desired[0].clone() };
    for other in [tagged, changed] {
        assert!(!ends(&other, 129));
        assert!(ends(&other, 130));
    }
}

#[test]
fn a_step_that_was_cut_short_is_taken_again_after_a_look() {
    let inventory = Inventory::default();
    let owner = context().owner;
    let create = step(&ResourceId::new(Kind::Role, "TowerForge-Cafe-ServiceRole"), Action::Create);
    let mut history = History::default();
    history.note_step(&create, Ok(()), &situation(&[], &inventory, &owner, 90, 0));
    history.note_cut(&create, S(100));
    assert_eq!(history.attempts[&create.id].tries, 1, "what was accepted before counts");
    let takes = |history: &History| {
        let at = situation(&[], &inventory, &owner, 101, 0);
        matches!(judge(&create, history, &at), Ok(Judged::Take))
    };
    history.note_look(&all(), S(99));
    assert!(!takes(&history));
    assert!(!history.is_fresh(Kind::Role, S(0)), "its first calls may have been made");
    history.note_look(&all(), S(100));
    assert!(takes(&history) && history.is_fresh(Kind::Role, S(0)));
}

#[test]
fn what_was_deleted_is_reported_and_seen_again_if_the_result_is_not_known() {
    let inventory = Inventory::default();
    let owner = context().owner;
    let delete = step(&ResourceId::new(Kind::JobQueue, "TowerForge-Cafe-work"), Action::Delete);
    let mut history = History::default();
    history.note_step(&delete, Ok(()), &situation(&[], &inventory, &owner, 100, 0));
    assert!(history.deleted.contains(&delete.id));
    history.note_unseen(&delete, S(100));
    history.note_look(&all(), S(99));
    assert!(!history.is_fresh(Kind::JobQueue, S(0)));
    history.note_look(&all(), S(100));
    assert!(history.is_fresh(Kind::JobQueue, S(0)));
}

#[test]
fn a_refusal_is_forgotten_when_its_step_is_not_needed_any_more() {
    let inventory = Inventory::default();
    let owner = context().owner;
    let [needed, settled, accepted] = ["a", "b", "c"].map(|name| ResourceId::new(Kind::Role, name));
    let at = situation(&[], &inventory, &owner, 100, 0);
    let mut history = History::default();
    for id in [&needed, &settled] {
        history.note_step(&step(id, Action::Create), refusal("Throttling"), &at);
    }
    history.note_step(&step(&accepted, Action::Create), Ok(()), &at);
    history.forget_settled(&Plan { steps: vec![step(&needed, Action::Create)], ..Plan::default() });
    assert_eq!(history.attempts.keys().collect::<Vec<_>>(), [&needed, &accepted]);
}

#[test]
fn a_deletion_that_fails_is_reported_when_nothing_else_is_left() {
    let mut inventory = forge_of(&properties(json!({})));
    let role = first(&inventory, Kind::Role);
    inventory.resources.retain(|id, _| *id == role);
    let owner = context().owner;
    let mut history = History::default();
    history.note_look(&all(), S(100));
    let at = situation(&[], &inventory, &owner, 100, 0);
    let delete = step(&role, Action::Delete);
    assert!(history.note_step(&delete, refusal("AccessDenied"), &at).is_none(), "others go on");
    let plan = plan(&[], &inventory, &owner);
    let err = next(&plan, &history, &at).unwrap_err();
    assert!(err.service().is_some_and(ServiceError::is_denied), "{err}");
}

#[test]
fn what_is_pending_is_named_with_the_reasons() {
    let inventory = Inventory::default();
    let owner = context().owner;
    let at = situation(&[], &inventory, &owner, 100, 0);
    let [refused, failed, settling] = ["a", "b", "c"].map(|name| ResourceId::new(Kind::Role, name));
    let mut history = History::default();
    history.note_step(&step(&refused, Action::Delete), refusal("Throttling"), &at);
    history.note_step(&step(&failed, Action::Delete), refusal("AccessDenied"), &at);
    let steps = vec![step(&refused, Action::Delete)];
    let plan = Plan { steps, settling: vec![(settling, "CREATING".to_owned())], ..Plan::default() };
    assert_eq!(
        history.pending(&plan),
        [
            "role c (CREATING)",
            "delete of role a",
            "role a: the call was throttled: ",
            "iam:DeleteRole x: AccessDenied",
        ]
    );
}

/// The pause before a kind is looked at again that was looked at just now, in milliseconds.
fn pause(seed: &str, deletes: bool, waited: u64, in_transition: usize, looks: u32) -> u128 {
    let mut inventory = forge_of(&properties(json!({})));
    let desired: Vec<Desired> = inventory.resources.values().map(Desired::as_it_is).collect();
    let account = crate::resource::AccountUse { in_transition, ..Default::default() };
    inventory.replace(Kind::Efs, crate::resource::Listing { found: Vec::new(), account });
    let owner = context().owner;
    let desired = if deletes { &[] } else { &desired[..] };
    let at = Situation { seed, ..situation(desired, &inventory, &owner, waited, 0) };
    let mut history = History::default();
    for _ in 0..looks {
        history.note_look(&all(), S(waited));
    }
    let (pause, kinds) = history.next_look(&[], &[Kind::Role], &at);
    assert_eq!(kinds, BTreeSet::from([Kind::Role]));
    pause.as_millis()
}

#[test]
fn the_pauses_between_looks_grow_with_the_wait_and_with_the_crowd() {
    let about = |seconds: u64, pause: u128| {
        let least = u128::from(seconds) * 900;
        (least..=least * 11 / 9).contains(&pause)
    };
    for (waited, making, deleting) in
        [(0, 2, 3), (19, 2, 3), (20, 2, 5), (29, 2, 5), (30, 5, 5), (119, 5, 5), (120, 12, 12)]
    {
        assert!(about(making, pause("Cafe", false, waited, 0, 1)), "made for {waited} s");
        assert!(about(deleting, pause("Cafe", true, waited, 0, 1)), "deleted for {waited} s");
    }
    assert!(about(15, pause("Cafe", false, 0, 100, 1)), "a hundred resources are in transition");
}

/// Forges that are made at once do not all look at once.
#[test]
fn the_pauses_of_two_forges_and_of_two_looks_differ() {
    let forges = ["Cafe", "Lab7", "Genomics", "Proteomics"];
    let pauses: BTreeSet<u128> =
        (1..=4).flat_map(|looks| forges.map(|forge| pause(forge, false, 200, 0, looks))).collect();
    assert_eq!(pauses.len(), 16);
    assert!(pauses.last().unwrap() - pauses.first().unwrap() > 1000, "{pauses:?}");
}

#[test]
fn what_was_seen_after_it_was_accepted_is_seen_again_only_after_a_pause() {
    let inventory = forge_of(&properties(json!({})));
    let owner = context().owner;
    let queue = first(&inventory, Kind::JobQueue);
    let mut history = History::default();
    history.note_step(&step(&queue, Action::Disable), Ok(()), &situation(&[], &inventory, &owner, 100, 0));
    history.note_look(&all(), S(103));
    let at = situation(&[], &inventory, &owner, 103, 0);
    assert!(history.next_look(&[&queue], &[], &at).0 > S(1));
}
