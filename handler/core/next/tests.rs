//! The rows of the engine's table.

use super::*;
use crate::desired::tests::{context, forge_of, network, properties};
use crate::error::ServiceError;
use crate::next::history::Attempt;
use crate::plan::plan;
use crate::registry::Observed;
use crate::resource::Phase;
use serde_json::json;
use std::sync::Arc;

mod repairs;

pub(super) const S: fn(u64) -> Duration = Duration::from_secs;

pub(super) fn now(seconds: u64) -> Now {
    Now { mono: S(seconds), wall: Timestamp::from_secs(1_795_509_000), scale: 1.0 }
}

pub(super) fn all() -> BTreeSet<Kind> {
    Kind::ALL.iter().copied().collect()
}

/// A situation of a forge with all kinds, in which absences count from `settled` on.
pub(super) fn situation<'a>(
    desired: &'a [Desired],
    inventory: &'a Inventory,
    owner: &'a Owner,
    at: u64,
    settled: u64,
) -> Situation<'a> {
    Situation { desired, inventory, owner, kinds: Kind::ALL, now: now(at), settled: S(settled), seed: "Cafe" }
}

/// The desired state, given an observed one, and the plan for it.
pub(super) fn wanted(inventory: &Inventory) -> (Vec<Desired>, Plan) {
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

pub(super) fn change(field: &str) -> Change {
    Change { field: field.to_owned(), from: "before".to_owned(), to: "after".to_owned() }
}

pub(super) fn step(id: &ResourceId, action: Action) -> Step {
    Step { id: id.clone(), action, why: String::new(), after: Vec::new() }
}

/// The first observed resource of a kind.
pub(super) fn first(inventory: &Inventory, kind: Kind) -> ResourceId {
    inventory.resources.keys().find(|id| id.kind == kind).unwrap().clone()
}

/// The result of a step that AWS refuses with this code.
pub(super) fn refusal(code: &str) -> Result<()> {
    let source = ServiceError { code: code.into(), message: String::new(), request_id: None };
    Err(Error::Call { action: "iam:DeleteRole", name: "x".into(), source })
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
pub(super) fn environment(inventory: &Inventory) -> ResourceId {
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
        history
            .attempts
            .insert(id.clone(), Attempt { action: Action::Create, last: S(110), tries: 0, result });
        history.note_look(&all(), S(looked));
        let at = situation(&[], &inventory, &owner, looked, 0);
        matches!(judge(&step(&id, Action::Create), &history, &at), Ok(Judged::Take))
    };
    assert!(!takes(119));
    assert!(takes(120));
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
