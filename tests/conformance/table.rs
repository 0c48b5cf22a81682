//! The claim's table: every update of the rules on every state of the item, in memory and in the local `DynamoDB`.

use crate::sides::Adapter;
use std::collections::BTreeSet;
use tower_forge_core::claim::{Claimant, End, Item, Recorded, Verb, claim_for_sweep, release};
use tower_forge_core::port::Timestamp;
use tower_forge_core::table::{Attributes, Condition, Edit, KEY, Update, Updated, Value};
use tower_forge_edge::table::ClaimTable;

/// The claim's table, which every account of the local AWS has.
const TABLE: &str = "tower-forge-claims";

/// Those that claim and finish: an operation, another delivery of it, and newer ones.
struct Claimants {
    create: Claimant,
    again: Claimant,
    update: Claimant,
    tie: Claimant,
    rollback: Claimant,
    delete: Claimant,
}

impl Claimants {
    fn of(key: &str) -> Self {
        let claimant = |verb: Verb, signed: i64, operation: &str, by: &str| Claimant {
            key: key.to_owned(),
            stack_id: "stack".to_owned(),
            logical_id: "Genomics".to_owned(),
            operation: operation.to_owned(),
            signed,
            verb,
            digest: format!("digest of {operation}"),
            by: by.to_owned(),
        };
        let create = claimant(Verb::Create, 10, "create", "1/1");
        let rollback =
            Claimant { digest: create.digest.clone(), ..claimant(Verb::Update, 30, "rollback", "3/1") };
        Self {
            create,
            again: claimant(Verb::Create, 10, "create", "1/2"),
            update: claimant(Verb::Update, 20, "update", "2/1"),
            tie: claimant(Verb::Delete, 20, "tie", "5/1"),
            rollback,
            delete: claimant(Verb::Delete, 40, "delete", "4/1"),
        }
    }

    fn all(&self) -> [&Claimant; 6] {
        [&self.create, &self.again, &self.update, &self.tie, &self.rollback, &self.delete]
    }
}

const NOW: Timestamp = Timestamp::from_secs(100);
/// When no claim of [`NOW`] can be held any more.
const LATER: Timestamp = Timestamp::from_secs(9000);

fn set(forges: &[&str]) -> BTreeSet<String> {
    forges.iter().map(|forge| (*forge).to_owned()).collect()
}

fn established(forge: &str) -> End {
    End {
        body: "SUCCESS".to_owned(),
        record: Recorded::Forge { forge: forge.to_owned(), before: String::new() },
        ..End::default()
    }
}

fn failed(busy: bool) -> End {
    End { body: "FAILED".to_owned(), busy, ..End::default() }
}

fn gone(forges: &[&str]) -> End {
    let (body, record, gone) = ("SUCCESS".to_owned(), Recorded::Gone, set(forges));
    End { body, busy: false, record, gone, forget: true }
}

/// A state of the item, by the updates that lead to it.
type State = (&'static str, fn(&str, &Claimants) -> Vec<Update>);

const STATES: &[State] = &[
    ("nothing", |_, _| Vec::new()),
    ("a sweep's claim alone", |key, _| vec![claim_for_sweep(key, "sweep/1", NOW)]),
    ("a sweep that is over, alone", |key, _| {
        vec![claim_for_sweep(key, "sweep/1", NOW), release(key, "sweep/1", NOW)]
    }),
    ("claimed", |_, by| vec![by.create.claim(None, Some("Cafe"), NOW)]),
    ("claimed without a forge", |_, by| vec![by.create.claim(None, None, NOW)]),
    ("claimed by another delivery", |_, by| vec![by.again.claim(None, Some("Cafe"), NOW)]),
    ("established", |_, by| {
        vec![by.create.claim(None, Some("Cafe"), NOW), by.create.finish(&established("Cafe"), NOW)]
    }),
    ("failed", |_, by| vec![by.create.claim(None, Some("Cafe"), NOW), by.create.finish(&failed(false), NOW)]),
    ("failed while another may be at work", |_, by| {
        vec![by.create.claim(None, Some("Cafe"), NOW), by.create.finish(&failed(true), NOW)]
    }),
    ("finished for a dead one", |_, by| {
        vec![by.create.claim(None, Some("Cafe"), NOW), by.again.finish_for("1/1", "FAILED", NOW)]
    }),
    ("established and being swept", |key, by| {
        let finish = by.create.finish(&established("Cafe"), NOW);
        vec![by.create.claim(None, Some("Cafe"), NOW), finish, claim_for_sweep(key, "sweep/1", NOW)]
    }),
    ("an update claims what was established", |_, by| {
        let mut item = None;
        let mut all =
            vec![by.create.claim(None, Some("Cafe"), NOW), by.create.finish(&established("Cafe"), NOW)];
        apply(&mut item, &all);
        all.push(by.update.claim(seen(item.as_ref()).as_ref(), Some("Bar"), NOW));
        all
    }),
    ("an update has replaced what was established", |_, by| {
        let mut item = None;
        let mut all =
            vec![by.create.claim(None, Some("Cafe"), NOW), by.create.finish(&established("Cafe"), NOW)];
        apply(&mut item, &all);
        all.push(by.update.claim(seen(item.as_ref()).as_ref(), Some("Bar"), NOW));
        all.push(by.update.finish(&established("Bar"), NOW));
        all
    }),
    ("a forge that is claimed", |key, by| vec![on(key, by.create.claim_forge("Cafe", None, NOW))]),
    ("a forge that is free", |key, by| {
        let release = by.create.release_forge("Cafe", true, NOW);
        vec![on(key, by.create.claim_forge("Cafe", None, NOW)), on(key, release)]
    }),
    ("deleted", |_, by| {
        vec![by.delete.claim(None, Some("Cafe"), NOW), by.delete.finish(&gone(&["Cafe"]), NOW)]
    }),
    ("deleted, with a forge left", |_, by| {
        vec![by.delete.claim(None, Some("Cafe"), NOW), by.delete.finish(&gone(&["Bar"]), NOW)]
    }),
];

/// All updates of the rules, given the item as it was seen.
fn updates(key: &str, by: &Claimants, seen: Option<&Item>) -> Vec<(String, Update)> {
    let mut all = Vec::new();
    for claimant in by.all() {
        let name = |what: &str| format!("{what} by {} ({})", claimant.by, claimant.operation);
        all.push((name("a claim that saw the item"), claimant.claim(seen, Some("Bar"), LATER)));
        all.push((name("a claim that saw nothing"), claimant.claim(None, None, LATER)));
        all.push((name("a success"), claimant.finish(&established("Bar"), LATER)));
    }
    for claimant in [&by.create, &by.again, &by.update, &by.delete] {
        let name = |what: &str| format!("{what} by {} ({})", claimant.by, claimant.operation);
        all.push((name("a failure"), claimant.finish(&failed(true), LATER)));
        all.push((name("an end"), claimant.finish(&gone(&["Cafe", "Bar"]), LATER)));
        all.push((name("an end for 1/1"), claimant.finish_for("1/1", "FAILED", LATER)));
    }
    let stranger = Claimant { stack_id: "another stack".to_owned(), ..by.delete.clone() };
    for claimant in [&by.create, &stranger] {
        let name = |what: &str| format!("{what} of {}", claimant.stack_id);
        all.push((name("a claim on a forge"), on(key, claimant.claim_forge("Cafe", seen, NOW))));
        all.push((name("a late claim on a forge"), on(key, claimant.claim_forge("Cafe", seen, LATER))));
        all.push((
            name("the end of a claim on a forge"),
            on(key, claimant.release_forge("Cafe", true, LATER)),
        ));
    }
    for sweep in ["sweep/1", "sweep/2"] {
        all.push((format!("{sweep} claims at once"), claim_for_sweep(key, sweep, NOW)));
        all.push((format!("{sweep} claims late"), claim_for_sweep(key, sweep, LATER)));
        all.push((format!("{sweep} ends"), release(key, sweep, LATER)));
    }
    all
}

/// An update of the item of a forge, made on this one.
fn on(key: &str, update: Update) -> Update {
    Update { key: key.to_owned(), ..update }
}

fn seen(item: Option<&Attributes>) -> Option<Item> {
    item.map(Item::read)
}

fn apply(item: &mut Option<Attributes>, updates: &[Update]) {
    for update in updates {
        assert!(matches!(update.apply(item), Updated::Done(_)), "{update:?} on {item:?}");
    }
}

/// An update that makes this item where there is none.
fn making(key: &str, item: &Attributes) -> Update {
    let names = [
        "order",
        "operation",
        "by",
        "busy",
        "claimed_at",
        "stack",
        "logical",
        "forges",
        "outcome",
        "wrote_at",
    ];
    let names = names.into_iter().chain(["record", "ttl"]);
    let edits: Vec<Edit> = names.filter_map(|name| Some(Edit::Set(name, item.get(name)?.clone()))).collect();
    assert_eq!(edits.len() + 1, item.len(), "an attribute that this test does not know: {item:?}");
    Update { key: key.to_owned(), edits, condition: Condition::Missing(&[KEY]) }
}

/// The item under another key.
fn moved(item: Option<&Attributes>, key: &str) -> Option<Attributes> {
    let mut item = item.cloned()?;
    item.insert(KEY.to_owned(), Value::S(key.to_owned()));
    Some(item)
}

/// The results of some of the pairs.
#[derive(Default)]
struct Compared {
    pairs: usize,
    refused: usize,
    faults: Vec<String>,
}

/// Compares the pairs whose number leaves this remainder after division by two.
async fn compare(table: &ClaimTable, half: usize) -> Compared {
    let (mut compared, mut pair) = (Compared::default(), 0);
    for (state, begins) in STATES {
        let mut before = None;
        apply(&mut before, &begins("any", &Claimants::of("any")));
        let count = updates("any", &Claimants::of("any"), None).len();
        for number in 0..count {
            // An item of its own, so that no pair follows from another.
            let key = format!("resource#{pair}");
            pair += 1;
            if pair % 2 != half {
                continue;
            }
            compared.pairs += 1;
            let mut item = moved(before.as_ref(), &key);
            if let Some(item) = &item {
                let made = table.update(&making(&key, item)).await.unwrap();
                assert_eq!(made, Updated::Done(None));
            }
            let (what, update) =
                updates(&key, &Claimants::of(&key), seen(item.as_ref()).as_ref()).remove(number);
            let real = (table.update(&update).await.unwrap(), table.read(&key).await.unwrap());
            let simulated = (update.apply(&mut item), item);
            compared.refused += usize::from(matches!(simulated.0, Updated::Refused(_)));
            if real != simulated {
                let fault = format!("{state}, {what}:\n  local AWS: {real:?}\n  simulated: {simulated:?}");
                compared.faults.push(fault);
            }
        }
    }
    compared
}

/// In two accounts side by side, because the local `DynamoDB` takes its time.
#[tokio::test]
async fn every_update_of_every_state_of_the_item_ends_alike() {
    let (one, two) = (Adapter::new().await.table(TABLE), Adapter::new().await.table(TABLE));
    let (one, two) = tokio::join!(compare(&one, 0), compare(&two, 1));
    let (pairs, refused) = (one.pairs + two.pairs, one.refused + two.refused);
    let faults = [one.faults, two.faults].concat();
    assert!(faults.is_empty(), "{} of {pairs} pairs:\n{}", faults.len(), faults.join("\n"));
    assert!(refused > 100 && pairs - refused > 100, "{refused} of {pairs} are refused: a side is not tried");
}
