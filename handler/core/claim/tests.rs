//! The rules of the claim, on items in memory; how they work together is for the simulation.

use super::*;
use crate::table::{Attributes, Updated};

pub(super) fn claimant(verb: Verb, signed: i64, operation: &str, by: &str) -> Claimant {
    Claimant {
        key: "resource#1".into(),
        stack_id: "stack".into(),
        logical_id: "Genomics".into(),
        operation: operation.into(),
        signed,
        verb,
        digest: format!("digest of {operation}"),
        by: by.into(),
    }
}

/// Claims on an item as it is, having seen `seen`.
pub(super) fn claim(item: &mut Option<Attributes>, by: &Claimant, seen: Option<&Item>) -> bool {
    let update = by.claim(seen, Some("Cafe"), Timestamp::from_secs(by.signed));
    matches!(update.apply(item), Updated::Done(_))
}

pub(super) fn seen(item: Option<&Attributes>) -> Option<Item> {
    item.map(Item::read)
}

pub(super) fn finish(item: &mut Option<Attributes>, by: &Claimant, body: &str) -> bool {
    let end = End {
        body: body.into(),
        record: Recorded::Forge { forge: "Cafe".into(), before: String::new() },
        ..End::default()
    };
    matches!(by.finish(&end, Timestamp::from_secs(by.signed + 60)).apply(item), Updated::Done(_))
}

#[test]
fn a_newer_operation_takes_the_name_and_an_older_one_does_not() {
    let mut item = None;
    let (create, delete) = (claimant(Verb::Create, 10, "c", "1/1"), claimant(Verb::Delete, 20, "d", "2/1"));
    assert!(claim(&mut item, &delete, None));
    let now = seen(item.as_ref());
    assert_eq!(create.standing(now.as_ref()), Standing::Superseded);
    assert!(!claim(&mut item, &create, now.as_ref()));
    assert!(finish(&mut item, &delete, "gone"));
    assert_eq!(delete.standing(seen(item.as_ref()).as_ref()), Standing::Answered("gone".into()));
    assert_eq!(create.standing(seen(item.as_ref()).as_ref()), Standing::Superseded);
}

#[test]
fn a_late_first_try_of_a_claim_names_nobody_who_has_left() {
    let mut item = None;
    let (first, second) = (claimant(Verb::Create, 10, "c", "1/1"), claimant(Verb::Create, 10, "c", "1/2"));
    assert!(claim(&mut item, &first, None));
    let now = seen(item.as_ref());
    assert!(claim(&mut item, &second, now.as_ref()), "another delivery of the operation");
    assert!(!claim(&mut item, &first, now.as_ref()), "what it compares is not there any more");
    // A retry after a lost answer wins again.
    assert!(claim(&mut item, &second, now.as_ref()));
    assert!(!finish(&mut item, &first, "late"));
    assert!(finish(&mut item, &second, "done"));
}

#[test]
fn operations_signed_in_one_second_go_by_rank_and_the_loser_is_told() {
    let mut item = None;
    let (update, delete) = (claimant(Verb::Update, 10, "u", "1/1"), claimant(Verb::Delete, 10, "d", "2/1"));
    assert!(claim(&mut item, &update, None));
    let now = seen(item.as_ref());
    assert!(claim(&mut item, &delete, now.as_ref()));
    assert_eq!(update.standing(seen(item.as_ref()).as_ref()), Standing::LostTie);
}

#[test]
fn an_update_to_what_another_operation_has_established_is_a_rollback() {
    let mut item = None;
    let create = claimant(Verb::Create, 10, "c", "1/1");
    assert!(claim(&mut item, &create, None) && finish(&mut item, &create, "made"));
    let mut back = claimant(Verb::Update, 30, "r", "3/1");
    back.digest.clone_from(&create.digest);
    assert!(back.is_rollback(seen(item.as_ref()).as_ref()));
    assert!(!claimant(Verb::Update, 30, "u", "2/1").is_rollback(seen(item.as_ref()).as_ref()));
    assert_eq!(back.order(seen(item.as_ref()).as_ref()).rank(), Some(2));
    let other = claimant(Verb::Update, 30, "u", "2/1").order(seen(item.as_ref()).as_ref());
    assert_eq!(other.rank(), Some(1), "signed in one second, the rollback comes after the Update");
}

#[test]
fn the_last_state_and_the_one_before_were_established() {
    let claimed = |item: &mut Option<Attributes>, by: &Claimant, before: &str| {
        let now = seen(item.as_ref());
        assert!(claim(item, by, now.as_ref()));
        let record = Recorded::Forge { forge: "Cafe".into(), before: before.into() };
        let end = End { record, ..End::default() };
        assert!(matches!(by.finish(&end, Timestamp::from_secs(by.signed)).apply(item), Updated::Done(_)));
    };
    let mut item = None;
    let is = |verb: Verb, digest: &str, item: Option<&Attributes>| {
        let mut back = claimant(verb, 90, "r", "9/1");
        back.digest = digest.into();
        back.was_established(seen(item).as_ref())
    };
    assert!(!is(Verb::Update, "digest of c", None), "the table has been lost");
    claimed(&mut item, &claimant(Verb::Create, 10, "c", "1/1"), "");
    assert!(is(Verb::Update, "digest of c", item.as_ref()));
    assert!(!is(Verb::Update, "digest of u", item.as_ref()));
    claimed(&mut item, &claimant(Verb::Update, 20, "u", "2/1"), "digest of c");
    claimed(&mut item, &claimant(Verb::Update, 30, "v", "3/1"), "digest of u");
    assert!(is(Verb::Update, "digest of v", item.as_ref()) && is(Verb::Update, "digest of u", item.as_ref()));
    assert!(!is(Verb::Update, "digest of c", item.as_ref()), "two states back");
    assert!(!is(Verb::Create, "digest of v", item.as_ref()), "a Create returns to nothing");
}

#[test]
fn who_takes_the_name_from_one_that_may_write_waits() {
    let now = Now { mono: Duration::ZERO, wall: Timestamp::from_secs(100), scale: 1.0 };
    let mut item = None;
    let (create, delete) = (claimant(Verb::Create, 10, "c", "1/1"), claimant(Verb::Delete, 20, "d", "2/1"));
    let of = |item: Option<&Item>, handed| waits(&delete, item, handed, &Timing::AWS, &now);
    let quiet = Waits { look: Timing::AWS.quiet(), close: Timing::AWS.visible() };
    assert_eq!(of(None, None), quiet, "the table has been lost");
    assert!(claim(&mut item, &create, None));
    let busy = seen(item.as_ref());
    assert_eq!(of(busy.as_ref(), None), quiet);
    let left = Waits { look: Duration::from_secs(1), close: Duration::from_secs(2) };
    assert_eq!(of(busy.as_ref(), Some(("1/1", left))), left, "the leg before has ended its calls");
    assert_eq!(of(busy.as_ref(), Some(("1/0", left))), quiet);
    assert!(finish(&mut item, &create, "made"));
    let waits = of(seen(item.as_ref()).as_ref(), None);
    assert_eq!(waits, Waits { look: Duration::ZERO, close: Duration::ZERO }, "30 s ago: {waits:?}");
    let soon = Now { wall: Timestamp::from_secs(80), ..now };
    let waits = super::waits(&delete, seen(item.as_ref()).as_ref(), None, &Timing::AWS, &soon);
    assert_eq!(waits.close, Duration::from_secs(20));
}

#[test]
fn a_permit_ends_by_the_clock_that_ends_it_first() {
    let sent = Now { mono: Duration::from_secs(50), wall: Timestamp::from_secs(100), scale: 1.0 };
    let permit = Permit::new(&sent, &Timing::AWS);
    let at = |mono: u64, wall: i64| {
        permit.holds(&Now { mono: Duration::from_secs(mono), wall: Timestamp::from_secs(wall), scale: 1.0 })
    };
    assert!(at(64, 114));
    assert!(!at(65, 114));
    assert!(!at(51, 115), "a frozen host's monotonic clock may have stood still");
}

#[test]
fn a_sweep_takes_the_name_from_nobody_at_work_and_leaves_the_rest() {
    let mut item = None;
    let create = claimant(Verb::Create, 10, "c", "1/1");
    assert!(claim(&mut item, &create, None));
    let sweep = |item: &mut Option<Attributes>, at| {
        matches!(
            claim_for_sweep("resource#1", "sweep/1", Timestamp::from_secs(at)).apply(item),
            Updated::Done(_)
        )
    };
    assert!(!sweep(&mut item, 20));
    assert!(finish(&mut item, &create, "made"));
    assert!(sweep(&mut item, 100));
    assert_eq!(create.standing(seen(item.as_ref()).as_ref()), Standing::Answered("made".into()));
    let delete = claimant(Verb::Delete, 200, "d", "2/1");
    let now = seen(item.as_ref());
    assert!(claim(&mut item, &delete, now.as_ref()));
    let released = release("resource#1", "sweep/1", Timestamp::from_secs(210)).apply(&mut item);
    assert!(matches!(released, Updated::Refused(_)));
}

#[test]
fn duties_are_what_was_begun_and_is_neither_wanted_nor_kept() {
    let begun = BTreeSet::from(["A".to_owned(), "X".to_owned(), "Y".to_owned()]);
    assert_eq!(duties(&begun, Some("A"), Some("X")), BTreeSet::from(["Y".to_owned()]));
    assert_eq!(duties(&begun, None, None), begun);
}

/// Claims a forge on its item as it is, having seen `seen`.
fn claim_forge(item: &mut Option<Attributes>, by: &Claimant, seen: Option<&Item>) -> bool {
    let update = by.claim_forge("Lab7", seen, Timestamp::from_secs(by.signed));
    matches!(update.apply(item), Updated::Done(_))
}

#[test]
fn a_forge_that_another_stack_works_on_is_waited_for() {
    let mut item = None;
    let ours = claimant(Verb::Create, 10, "c", "1/1");
    let theirs = Claimant { stack_id: "another".into(), ..claimant(Verb::Create, 20, "x", "9/1") };
    assert!(claim_forge(&mut item, &ours, None));
    let now = seen(item.as_ref());
    assert!(claim_forge(&mut item, &ours, now.as_ref()), "it had claimed without knowing");
    assert!(!claim_forge(&mut item, &theirs, None), "it did not exist when it was seen");
    assert!(!claim_forge(&mut item, &theirs, now.as_ref()), "somebody is at work");
    let later = Claimant { signed: 20 + 3 * 3600, ..theirs.clone() };
    assert!(claim_forge(&mut item.clone(), &later, now.as_ref()), "nobody works for so long");
    let mut unchanged = item.clone();
    ours.release_forge("Lab7", false, Timestamp::from_secs(30)).apply(&mut unchanged);
    assert_eq!(unchanged.as_ref().unwrap().get("busy"), Some(&Value::Bool(false)));
    assert_eq!(unchanged.unwrap().get("wrote_at"), None, "nothing was written that reads may not show");
    ours.release_forge("Lab7", true, Timestamp::from_secs(30)).apply(&mut item);
    assert_eq!(item.as_ref().unwrap().get("wrote_at"), Some(&Value::N(30_000)));
    assert_eq!(item.as_ref().unwrap().get("ttl"), Some(&Value::N(30 + 604_800)), "kept for a week");
    for seen in [None, now.as_ref()] {
        assert!(
            !claim_forge(&mut item, &ours, seen),
            "a late first try: nobody would release the forge again"
        );
    }
    let now = seen(item.as_ref());
    assert!(claim_forge(&mut item, &theirs, now.as_ref()));
    assert!(claim_forge(&mut item, &theirs, now.as_ref()), "a retry after a lost answer wins again");
    let late = ours.release_forge("Lab7", true, Timestamp::from_secs(40)).apply(&mut item);
    assert!(matches!(late, Updated::Refused(_)));
}

#[test]
fn a_forge_that_is_given_back_after_a_stale_claim_is_free() {
    let mut item = None;
    let ours = claimant(Verb::Create, 3 * 3600, "c", "1/1");
    let theirs = Claimant { stack_id: "another".into(), ..claimant(Verb::Create, 0, "x", "9/1") };
    assert!(claim_forge(&mut item, &theirs, None));
    let stale = seen(item.as_ref()).unwrap();
    assert!(claim_forge(&mut item, &ours, Some(&stale)));
    assert!(matches!(ours.give_forge_back("Lab7", &stale).apply(&mut item), Updated::Done(_)));
    let given = seen(item.as_ref());
    let again = Claimant { signed: 3 * 3600 + 10, by: "9/2".into(), ..theirs };
    assert!(claim_forge(&mut item.clone(), &again, given.as_ref()), "the stale holder's stack");
    let third = Claimant { stack_id: "a third".into(), ..again };
    assert!(claim_forge(&mut item, &third, given.as_ref()));
}

#[test]
fn who_has_lost_the_resource_does_not_take_the_forge_back() {
    let mut item = None;
    let (create, delete) = (claimant(Verb::Create, 10, "c", "1/1"), claimant(Verb::Delete, 20, "d", "2/1"));
    // The Create has seen the item before it lost the resource to the Delete.
    let before = seen(item.as_ref());
    assert!(claim_forge(&mut item, &delete, None));
    assert!(!claim_forge(&mut item, &create, before.as_ref()));
    // The Delete takes it from the Create of its own resource, which may have died.
    let mut item = None;
    assert!(claim_forge(&mut item, &create, None));
    let now = seen(item.as_ref());
    assert!(claim_forge(&mut item, &delete, now.as_ref()));
}

#[test]
fn a_permit_is_reused_for_half_of_its_time_and_valid_for_all_of_it_by_both_clocks() {
    let at = |mono: u64, wall: i64| Now {
        mono: Duration::from_millis(mono),
        wall: Timestamp(1_795_509_000_000 + wall),
        scale: 1.0,
    };
    let permit = Permit::new(&at(100_000, 0), &Timing::AWS);
    let state = |mono: u64, wall: i64| {
        let now = at(100_000 + mono, wall);
        (permit.is_fresh(&now), permit.holds(&now))
    };
    assert_eq!([0, 7_499].map(|ms| state(ms, 0)), [(true, true); 2]);
    assert_eq!([7_500, 14_999].map(|ms| state(ms, 0)), [(false, true); 2]);
    assert_eq!(state(15_000, 0), (false, false));
    assert_eq!([7_499, 7_500, 15_000].map(|ms| state(0, ms)), [(true, true), (false, true), (false, false)]);
}

#[test]
fn the_item_of_a_resource_without_any_forge_expires_after_a_week() {
    let mut item = None;
    let delete = claimant(Verb::Delete, 10, "d", "1/1");
    assert!(claim(&mut item, &delete, None));
    let end = End { forget: true, ..End::default() };
    assert!(matches!(delete.finish(&end, Timestamp::from_secs(70)).apply(&mut item), Updated::Done(_)));
    assert_eq!(item.as_ref().and_then(|item| item.get("ttl")), Some(&Value::N(70 + 604_800)));
    let now = seen(item.as_ref());
    assert!(claim(&mut item, &claimant(Verb::Create, 80, "c", "2/1"), now.as_ref()));
    assert_eq!(item.and_then(|item| item.get("ttl").cloned()), None, "a new operation keeps it");
}

#[test]
fn a_new_holder_waits_for_longer_than_calls_of_the_old_one_last_and_stay_unseen() {
    let Timing { permit, call, read_lag } = Timing::AWS;
    assert!(Timing::AWS.quiet() > permit + call);
    assert!(Timing::AWS.visible() >= permit + call + read_lag);
}

#[test]
fn a_later_leg_stays_where_the_first_one_was_put() {
    let mut item = None;
    let create = claimant(Verb::Create, 100, "c", "1/1");
    assert!(claim(&mut item, &create, None));
    // Signed at 99, when CloudFormation's clock had stepped back.
    let now = seen(item.as_ref());
    assert!(claim(&mut item, &claimant(Verb::Delete, 101, "d", "2/1"), now.as_ref()));
    let now = seen(item.as_ref());
    assert!(claim(&mut item, &claimant(Verb::Delete, 99, "d", "3/1"), now.as_ref()));
    let now = seen(item.as_ref());
    let again = Claimant { by: "4/1".to_owned(), ..create };
    assert!(!claim(&mut item, &again, now.as_ref()), "the Create would take the claim from the Delete");
}

#[test]
fn a_rank_tells_the_type_of_its_operation() {
    for verb in [Verb::Create, Verb::Update, Verb::Delete] {
        let order = claimant(verb, 10, "o", "1/1").order(None);
        assert_eq!(Verb::of_rank(order.rank().unwrap()), verb);
    }
}

#[test]
fn only_another_operation_of_the_same_second_has_lost_the_tie() {
    let mut item = None;
    let delete = claimant(Verb::Delete, 10, "d", "2/1");
    assert!(claim(&mut item, &delete, None));
    let now = seen(item.as_ref());
    assert!(claimant(Verb::Update, 10, "u", "1/1").has_lost_tie(now.as_ref()));
    assert!(!claimant(Verb::Update, 9, "u", "1/1").has_lost_tie(now.as_ref()), "it is older");
    assert!(!delete.has_lost_tie(now.as_ref()), "it holds the claim");
}

#[test]
fn a_forge_that_is_gone_is_not_deleted_again() {
    let mut item = None;
    let delete = claimant(Verb::Delete, 10, "d", "1/1");
    assert!(claim(&mut item, &delete, None));
    let gone = BTreeSet::from(["Cafe".to_owned()]);
    assert_eq!(seen(item.as_ref()).unwrap().forges, gone);
    let end = End { gone, ..End::default() };
    delete.finish(&end, Timestamp::from_secs(70)).apply(&mut item);
    assert_eq!(seen(item.as_ref()).unwrap().forges, BTreeSet::new());
    let edits = delete.finish(&End::default(), Timestamp::from_secs(70)).edits;
    let subtracts = edits.iter().any(|edit| matches!(edit, Edit::Subtract(..)));
    assert!(!subtracts, "DynamoDB takes no empty set");
}

/// Frozen: with another key, the holder and the duties of every resource would be forgotten.
#[test]
fn the_keys_of_items_never_change() {
    assert_eq!(forge_key("Lab7"), "forge#Lab7");
    assert_eq!(
        resource_key("stack", "Genomics"),
        "resource#c776e2614764000d48793dc5bf1934a5a4e22c8d8d4c4cf1df8d813f834fc035"
    );
}
