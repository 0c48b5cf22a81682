//! What is remembered of attempts and looks, and the pauses.

use super::*;
use crate::desired::tests::{context, forge_of, properties};
use crate::inventory::Inventory;
use crate::next::tests::{S, all, environment, first, refusal, situation, step, wanted};
use crate::next::{Judged, Next, judge, next};
use crate::plan::plan;
use crate::resource::Change;
use serde_json::json;

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

/// A limit that follows the jobs of an environment converges, however often it is changed.
#[test]
fn an_update_to_other_values_is_not_the_same_update_again() {
    let inventory = forge_of(&properties(json!({})));
    let owner = context().owner;
    let id = environment(&inventory);
    let to = |to: u64| {
        let change = Change { field: "maxvCpus".to_owned(), from: "500".to_owned(), to: to.to_string() };
        step(&id, Action::Update(vec![change]))
    };
    let tries = |targets: &[u64]| {
        let mut history = History::default();
        for target in targets {
            history.note_step(&to(*target), Ok(()), &situation(&[], &inventory, &owner, 100, 0));
        }
        history.attempts[&id].tries_of(&to(*targets.last().unwrap()).action)
    };
    assert_eq!(tries(&[100, 100, 100]), 3);
    assert_eq!(tries(&[300, 200, 100]), 1);
    assert_eq!(tries(&[100, 100, 200, 100]), 1);
}
