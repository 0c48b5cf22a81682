//! Environments that are INVALID.

use super::*;

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

/// A policy that an Update has just attached to an old role is as unknown to Batch as a new role.
#[test]
fn an_environment_is_only_revalidated_while_a_change_of_its_references_may_not_be_known() {
    let mut inventory = forge_of(&properties(json!({})));
    let owner = context().owner;
    let id = environment(&inventory);
    let old = now(0).wall.secs() - 3600;
    inventory.resources.values_mut().for_each(|existing| existing.created = Some(old));
    let refs = inventory.get(&id).unwrap().refs.clone();
    let role = refs.iter().find(|id| id.kind == Kind::Role).unwrap();
    let profile = refs.iter().find(|id| id.kind == Kind::InstanceProfile).unwrap();
    let in_profile = inventory.get(profile).unwrap().refs[0].clone();
    let log_group = first(&inventory, Kind::LogGroup);
    let recreated = |changed: &ResourceId, at: u64| {
        let mut history = History::default();
        history.repairs.insert(id.clone(), 2);
        let update = step(changed, Action::Update(vec![change("ManagedPolicies")]));
        history.note_step(&update, Ok(()), &situation(&[], &inventory, &owner, 1000, 0));
        recreates(inventory.get(&id).unwrap(), &history, &situation(&[], &inventory, &owner, at, 0))
    };
    for changed in [role, profile, &in_profile] {
        assert!(!recreated(changed, 1149), "{changed}");
        assert!(recreated(changed, 1150), "{changed}");
    }
    assert!(recreated(&log_group, 1000), "no environment refers to it");
}
