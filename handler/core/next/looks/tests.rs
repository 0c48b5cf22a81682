//! When the forge is observed next, and which kinds.

use super::*;
use crate::desired::tests::{context, forge_of, properties};
use crate::error::{Error, ServiceError};
use crate::inventory::Inventory;
use crate::next::tests::{S, all, environment, first, situation, step, wanted};
use crate::next::{Next, next};
use crate::plan::plan;
use crate::registry::Desired;
use serde_json::json;

/// The interval before a look at a change of this age, in milliseconds.
fn interval(seed: &str, deletes: bool, age: u64, in_transition: usize, looks: u32) -> u128 {
    let mut inventory = forge_of(&properties(json!({})));
    let desired: Vec<Desired> = inventory.resources.values().map(Desired::as_it_is).collect();
    let account = crate::resource::AccountUse { in_transition, ..Default::default() };
    inventory.replace(Kind::Efs, crate::resource::Listing { found: Vec::new(), account });
    let owner = context().owner;
    let desired = if deletes { &[] } else { &desired[..] };
    let at = Situation { seed, ..situation(desired, &inventory, &owner, age, 0) };
    let mut history = History::default();
    for _ in 0..looks {
        history.note_look(&all(), S(age));
    }
    let plan = Plan { settling: vec![(environment(&inventory), String::new())], ..Plan::default() };
    Schedule::of(&plan, &history, &at).interval(Takes::seconds(10, 60), S(age)).as_millis()
}

/// √(2·c·rest), from 1.5 to 12 seconds.
#[test]
fn the_intervals_shrink_towards_the_usual_end_and_grow_after_it_and_with_the_crowd() {
    let about = |tenths: u128, interval: u128| (tenths * 90..=tenths * 111).contains(&interval);
    for (age, making, deleting) in
        [(0, 42, 85), (10, 39, 77), (40, 24, 49), (59, 15, 15), (60, 15, 15), (110, 39, 77), (999, 120, 120)]
    {
        assert!(about(making, interval("Cafe", false, age, 0, 1)), "made for {age} s");
        assert!(about(deleting, interval("Cafe", true, age, 0, 1)), "deleted for {age} s");
    }
    assert!(about(150, interval("Cafe", false, 0, 100, 1)), "a hundred resources are in transition");
}

/// Forges that are made at once do not all look at once.
#[test]
fn the_intervals_of_two_forges_and_of_two_looks_differ() {
    let forges = ["Cafe", "Lab7", "Genomics", "Proteomics"];
    let intervals: BTreeSet<u128> =
        (1..=4).flat_map(|looks| forges.map(|forge| interval(forge, false, 999, 0, looks))).collect();
    assert_eq!(intervals.len(), 16);
    assert!(intervals.last().unwrap() - intervals.first().unwrap() > 1000, "{intervals:?}");
}

#[test]
fn a_change_is_seen_after_its_shortest_time_and_one_that_is_complete_at_once() {
    let inventory = forge_of(&properties(json!({})));
    let owner = context().owner;
    let at = situation(&[], &inventory, &owner, 100, 0);
    let mut history = History::default();
    let [queue, role] = [Kind::JobQueue, Kind::Role].map(|kind| first(&inventory, kind));
    for id in [&queue, &role] {
        history.note_step(&step(id, Action::Disable), Ok(()), &at);
    }
    let due = |history: &History, id| Schedule::of(&Plan::default(), history, &at).due(id).at;
    assert_eq!(due(&history, &role), S(100));
    let first = due(&history, &queue);
    assert!(first > S(100) + Kind::JobQueue.traits().stops.least + S(1), "{first:?}");
    history.note_look(&all(), S(103));
    assert!(due(&history, &queue) > S(104), "what was just seen is seen again after an interval");
    assert!(due(&history, &role) > S(104));
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
    // Two seconds, and an interval of about six.
    assert_eq!(after_deleting(&accepted, &inventory, 100), (7, vec![Kind::JobQueue]));
    inventory.resources.retain(|id, _| id.kind != Kind::JobQueue);
    let environments_only = &accepted[queues.len()..];
    assert_eq!(after_deleting(environments_only, &inventory, 100), (17, vec![Kind::ComputeEnvironment]));
    assert_eq!(after_deleting(environments_only, &inventory, 105), (12, vec![Kind::ComputeEnvironment]));
}

/// The groups of pending resources that the next steps wait for.
fn awaited_of(
    inventory: &Inventory,
    desired: &[Desired],
    accepted: &[(&ResourceId, Action)],
) -> Vec<Vec<ResourceId>> {
    let owner = context().owner;
    let at = situation(desired, inventory, &owner, 100, 0);
    let mut history = History::default();
    for (id, action) in accepted {
        history.note_step(&step(id, action.clone()), Ok(()), &at);
    }
    let plan = plan(desired, inventory, &owner);
    Schedule::of(&plan, &history, &at)
        .awaited()
        .into_iter()
        .map(|group| group.into_iter().cloned().collect())
        .collect()
}

fn in_phase(inventory: &mut Inventory, id: &ResourceId, phase: Phase) {
    inventory.resources.get_mut(id).unwrap().phase = phase;
}

#[test]
fn an_environment_that_goes_is_looked_at_once_its_queue_is_being_deleted() {
    let mut inventory = forge_of(&properties(json!({})));
    let environment = environment(&inventory);
    let queue = inventory.referrers(&environment).next().unwrap().id.clone();
    let both = [environment.clone(), queue.clone()];
    inventory.resources.retain(|id, _| both.contains(id));
    for id in &both {
        in_phase(&mut inventory, id, Phase::Settling("UPDATING".to_owned()));
    }
    assert_eq!(awaited_of(&inventory, &[], &[]), [vec![queue.clone()]], "its own deletion follows");
    in_phase(&mut inventory, &queue, Phase::Deleting("DELETING".to_owned()));
    assert_eq!(awaited_of(&inventory, &[], &[]), [vec![queue.clone(), environment.clone()]]);
    inventory.resources.get_mut(&queue).unwrap().tags.clear();
    assert_eq!(
        awaited_of(&inventory, &[], &[]),
        [vec![environment.clone()]],
        "another owner's queue does not go"
    );
    inventory.remove(&queue);
    in_phase(&mut inventory, &environment, Phase::Deleting("DELETING".to_owned()));
    assert_eq!(awaited_of(&inventory, &[], &[]), [vec![environment]], "nothing follows but the end");
}

/// The roles and the template wait for both environments, so the one that may take longer decides.
#[test]
fn steps_that_wait_for_several_resources_wait_for_all_of_them() {
    let mut inventory = forge_of(&properties(json!({})));
    inventory.resources.retain(|id, _| id.kind != Kind::JobQueue);
    let environments: Vec<ResourceId> =
        inventory.resources.keys().filter(|id| id.kind == Kind::ComputeEnvironment).cloned().collect();
    for id in &environments {
        in_phase(&mut inventory, id, Phase::Deleting("DELETING".to_owned()));
    }
    let groups = awaited_of(&inventory, &[], &[]);
    assert!(environments.len() == 2 && groups.contains(&environments), "{groups:?}");
}

/// The queue of the head jobs is not looked at while the environment of the work queue is made: nothing would follow.
#[test]
fn the_last_change_of_a_resource_that_no_step_waits_for_is_looked_at_last() {
    let mut inventory = forge_of(&properties(json!({})));
    let (desired, _) = wanted(&inventory);
    let environment = environment(&inventory);
    let user = inventory.referrers(&environment).next().unwrap().id.clone();
    let queue =
        inventory.resources.keys().find(|id| id.kind == Kind::JobQueue && **id != user).unwrap().clone();
    let mut tagged = desired.clone();
    let changed = tagged.iter_mut().find(|desired| desired.id == queue).unwrap();
    changed.tags.insert("team".to_owned(), "blue".to_owned());
    let is_awaited = |desired: &[Desired], inventory: &Inventory, accepted: &[(&ResourceId, Action)]| {
        awaited_of(inventory, desired, accepted).iter().any(|group| group.contains(&queue))
    };
    in_phase(&mut inventory, &queue, Phase::Settling("CREATING".to_owned()));
    assert!(is_awaited(&desired, &inventory, &[]), "nothing else is pending");
    inventory.remove(&user);
    in_phase(&mut inventory, &environment, Phase::Settling("CREATING".to_owned()));
    assert!(!is_awaited(&desired, &inventory, &[]));
    assert!(is_awaited(&tagged, &inventory, &[]), "another change follows");
    in_phase(&mut inventory, &queue, Phase::Deleting("DELETING".to_owned()));
    assert!(is_awaited(&desired, &inventory, &[]), "it is made again");
    inventory.remove(&queue);
    assert!(!is_awaited(&desired, &inventory, &[(&queue, Action::Create)]));
}

/// Batch finds the relationship of a queue that is gone for seconds, and a look shows nothing of it.
#[test]
fn a_deletion_that_is_refused_for_users_that_are_gone_is_tried_again_without_a_look_at_first() {
    let mut inventory = forge_of(&properties(json!({})));
    let id = environment(&inventory);
    inventory.resources.retain(|other, _| *other == id);
    inventory.resources.get_mut(&id).unwrap().phase = Phase::Settled;
    let owner = context().owner;
    let delete = step(&id, Action::Delete);
    let refused = |times: &[u64]| {
        let mut history = History::default();
        history.note_look(&all(), S(99));
        for at in times {
            let at = situation(&[], &inventory, &owner, *at, 0);
            let message = "Cannot delete, found existing JobQueue relationship".into();
            let source = ServiceError { code: "ClientException".into(), message, request_id: None };
            let name = id.name.as_str().into();
            let refusal = Error::Call { action: "batch:DeleteComputeEnvironment", name, source };
            history.note_step(&delete, Err(refusal), &at);
        }
        history
    };
    let next_at = |history: &History, at: u64| {
        let plan = Plan { steps: vec![delete.clone()], ..Plan::default() };
        match next(&plan, history, &situation(&[], &inventory, &owner, at, 0)).unwrap() {
            Next::Look { after, kinds } => Some((after.as_millis(), kinds)),
            Next::Act(_) => None,
            Next::Finish => panic!("there is a step"),
        }
    };
    let first = refused(&[100]);
    assert_eq!(next_at(&first, 100), Some((1500, BTreeSet::new())));
    assert_eq!(next_at(&first, 102), None, "it is tried");
    let later = refused(&[100, 106, 112]);
    let (after, kinds) = next_at(&later, 112).expect("it is looked at");
    assert!(
        after > 1000 && kinds.contains(&Kind::ComputeEnvironment) && kinds.contains(&Kind::JobQueue),
        "{kinds:?}"
    );
}
