//! The update table against reality: every property is changed alone. The plan of the function, its actions and the
//! resources afterwards are compared with the table and, where they have been changed in place, with a fresh forge.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tower_forge_core::properties::table::{self, Effect};

use crate::changes::cases::{Case, cases};
use crate::cloudformation::Stack;
use crate::test_account::{Setting, TestAccount};

mod cases;

/// How many accounts work at once.
const AT_ONCE: usize = 6;
/// CloudFormation itself refuses another one; the function is never asked.
const NOT_OURS: &str = "ServiceToken";
/// The tags that differ between two forges with the same properties.
const TOLD_APART: [&str; 2] = ["towerforge:completed", "towerforge:operation"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_property_does_what_the_table_says() {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let tasks: Vec<_> = cases()
        .into_iter()
        .map(|case| {
            let turns = turns.clone();
            tokio::spawn(async move {
                let _turn = turns.acquire_owned().await.expect("nobody closes it");
                (case.name, case.effect, play(&case).await)
            })
        })
        .collect();
    let mut shown: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let number = tasks.len();
    let mut failures = 0;
    for task in tasks {
        match task.await {
            Ok((name, effect, also)) => {
                shown.entry(name).or_default().extend([effect].into_iter().chain(also).map(Effect::name));
            }
            // The panic has printed the error, as in any test.
            Err(_) => failures += 1,
        }
    }
    assert_eq!(failures, 0, "of {number} changes these did not do what the table says; see above");
    let rows = table::all().filter(|row| row.name != NOT_OURS).map(|row| {
        let said: BTreeSet<&str> = row.effects.iter().map(|effect| effect.name()).collect();
        (row.name, said, shown.get(row.name).cloned().unwrap_or_default())
    });
    let wrong: Vec<_> = rows.filter(|(_, said, real)| said != real).collect();
    assert!(wrong.is_empty(), "the table says the first, and the second is real: {wrong:#?}");
    println!("{number} changes of {} properties, each alone, do what the table says", shown.len());
}

/// Plays one case; returns any effect besides the one that the case names.
async fn play(case: &Case) -> Option<Effect> {
    let title = case.title();
    let (aws, known) = aws().await;
    let properties = |value: &Value| said(case, value, &known);
    let (from, to) = (properties(&case.from), properties(&case.to));
    let stack = aws.stack(from);
    let made = stack.create().await.expect_success();
    let before = aws.cloud.snapshot().await;

    let seq = aws.now().await;
    let said = aws.invoke(json!({"plan": stack.update_event(to.clone())})).await;
    let plan = said.value().unwrap_or_else(|| panic!("{title}: no plan but {said:?}")).clone();
    aws.assert_no_change_since(seq).await;
    let updated = stack.update(to.clone()).await;
    let after = aws.cloud.snapshot().await;
    let changed = aws.calls().await.since(seq).mutating();

    if case.effect == Effect::Refused {
        assert!(plan["error"].is_string(), "{title}: the preview refuses nothing: {plan:#}");
        let refused = updated.expect_failure();
        assert!(refused.reason.contains(case.name), "{title}: {}", refused.reason);
        assert_eq!(refused.physical_id, made.physical_id, "{title}");
        assert_eq!((before, changed.len()), (after, 0), "{title}");
        return None;
    }
    let answer = updated.expect_success();
    let (before, after) = (resources(&before, &made.physical_id), resources(&after, &answer.physical_id));
    assert_foretold(&title, &plan, &before, &after);
    let effect = if answer.physical_id != made.physical_id {
        assert_eq!(plan["replaces"], made.physical_id.as_str(), "{title}");
        stack.clean_up().await.expect_success();
        Effect::Replacement
    } else if queues(&before) != queues(&after) {
        Effect::Queue
    } else if new_generation(&before, &after) {
        Effect::NewGeneration
    } else if changed.len() > 0 {
        Effect::InPlace
    } else if answer.data == made.data {
        Effect::Nothing
    } else {
        let others = |data: &Value| {
            let mut data = data.as_object().cloned().unwrap_or_default();
            data.remove("NextflowConfig");
            data
        };
        assert_eq!(others(&answer.data), others(&made.data), "{title}");
        Effect::Config
    };
    assert_eq!(effect, case.effect, "{title}: {:?}", changed.by_operation());
    // A new generation is created, as a fresh forge is; other changes are made to what exists.
    if !matches!(effect, Effect::NewGeneration | Effect::Config | Effect::Nothing) || !case.stays.is_empty() {
        assert_like_new(case, &aws, &stack, to).await;
    }
    (effect == Effect::NewGeneration && tagged_in_place(&before, &after)).then_some(Effect::InPlace)
}

/// An account with things to name in properties, by the names that stand for them.
async fn aws() -> (TestAccount, BTreeMap<String, String>) {
    let allow = |name: &'static str, value: &str| (name, value.to_owned());
    let environment = vec![
        allow("TOWER_FORGE_RETIRE_AFTER", "0"),
        allow("TOWER_FORGE_ALLOWED_POLICIES", "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"),
        allow("TOWER_FORGE_ALLOWED_ROLES", "arn:aws:iam::*:role/*"),
        allow("TOWER_FORGE_ALLOWED_BOUNDARIES", "arn:aws:iam::aws:policy/AdministratorAccess"),
    ];
    let aws = TestAccount::with(Setting { environment, log_level: "INFO", ..Setting::default() }).await;
    // The effects of IAM's lag are shown elsewhere; here many accounts share two processors.
    aws.cloud.configure(json!({"durations": {"iam_propagation": 0}})).await;
    let open = json!([{"from": 0, "to": 65535}]);
    let made = aws
        .seed(json!({
            "vpc": {"zones": ["eu-west-1a"]},
            "security_group": {"name": "genomics", "rules": open},
            "key_pair": {"name": "somebody"},
            "image": {"id": "ami-0123456789abcdef0"},
            "scheduling_policy": [{"name": "one"}, {"name": "two"}],
            "role": {"name": "theirs", "trust": "ecs-tasks.amazonaws.com"},
            "fsx": {},
        }))
        .await;
    let there = json!({"name": "there", "vpc": made["vpc"]["id"], "rules": open});
    let there = aws.seed(json!({"security_group": there})).await["security_group"]["id"].clone();
    let targets = json!({
        "token": "theirs", "subnets": made["vpc"]["subnets"], "security_groups": [there],
    });
    let efs = aws.seed(json!({"efs": targets})).await["efs"]["id"].clone();
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{made:#}")).to_owned();
    let fsx = format!("{}.fsx.eu-west-1.amazonaws.com", text(&made["fsx"]["id"]));
    let group = text(&made["security_group"]["id"]);
    let known = [
        ("{vpc}", text(&made["vpc"]["id"])),
        ("{subnet}", text(&made["vpc"]["subnets"][0])),
        ("{group}", group),
        ("{group-there}", text(&there)),
        ("{efs}", text(&efs)),
        ("{fsx}", fsx),
        ("{policy-1}", text(&made["scheduling_policy"][0]["arn"])),
        ("{policy-2}", text(&made["scheduling_policy"][1]["arn"])),
        ("{role}", text(&made["role"]["arn"])),
        ("{boundary}", "arn:aws:iam::aws:policy/AdministratorAccess".to_owned()),
    ];
    (aws, known.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The properties of a case with this value.
fn said(case: &Case, value: &Value, known: &BTreeMap<String, String>) -> Value {
    let mut all = json!({"WorkDir": "s3://my-bucket/work", "MaxCpus": 500});
    let map = all.as_object_mut().expect("an object");
    map.extend(case.with.as_object().expect("an object").clone());
    if value.is_null() {
        map.remove(case.name);
    } else {
        map.insert(case.name.to_owned(), value.clone());
    }
    let mut text = all.to_string().replace("{id-1}", "Before").replace("{id-2}", "After");
    for (name, value) in known {
        text = text.replace(name, value);
    }
    serde_json::from_str(&text).expect("still JSON")
}

/// The resources of a forge by kind and name.
fn resources(state: &Value, forge_id: &str) -> BTreeMap<(String, String), Value> {
    let kinds = state.as_object().expect("an object").iter().filter(|(kind, _)| *kind != "jobs");
    let all = kinds.flat_map(|(kind, all)| {
        let all = all.as_array().expect("a list").iter();
        all.map(move |resource| (kind.clone(), resource.clone()))
    });
    let ours = all.filter(|(_, resource)| resource["tags"]["towerforge:forge-id"] == forge_id);
    ours.map(|(kind, resource)| {
        let name = if matches!(kind.as_str(), "efs" | "fsx") {
            &resource["tags"]["Name"]
        } else {
            &resource["name"]
        };
        ((kind, name.as_str().expect("a name").to_owned()), resource)
    })
    .collect()
}

type Resources = BTreeMap<(String, String), Value>;

fn queues(resources: &Resources) -> BTreeSet<&String> {
    resources.keys().filter(|(kind, _)| kind == "job_queues").map(|(_, name)| name).collect()
}

fn new_generation(before: &Resources, after: &Resources) -> bool {
    let environment = |(kind, _): &&(String, String)| kind == "compute_environments";
    let made = after.keys().filter(environment).any(|id| !before.contains_key(id));
    let retires = |resource: &Value| resource["tags"].get("towerforge:retiring").is_some();
    made && after.iter().any(|((kind, _), resource)| kind == "compute_environments" && retires(resource))
}

/// Whether resources that have no generations bear other tags.
fn tagged_in_place(before: &Resources, after: &Resources) -> bool {
    let lasting = ["roles", "job_queues", "log_groups", "efs", "fsx"];
    let mine = |resource: &Value| {
        let tags = resource["tags"].as_object().cloned().unwrap_or_default();
        tags.into_iter().filter(|(key, _)| !key.starts_with("towerforge:")).collect::<Map<_, _>>()
    };
    let lasting = before.iter().filter(|((kind, _), _)| lasting.contains(&kind.as_str()));
    let mut pairs = lasting.filter_map(|(id, resource)| Some((resource, after.get(id)?)));
    pairs.any(|(old, new)| mine(old) != mine(new))
}

/// The preview matches the changes, resource by resource.
fn assert_foretold(title: &str, plan: &Value, before: &Resources, after: &Resources) {
    let steps = plan["steps"].as_array().unwrap_or_else(|| panic!("{title}: {plan:#}"));
    let said = |mark: &str| -> BTreeSet<String> {
        let steps = steps.iter().filter(|step| step["mark"] == mark);
        steps.map(|step| format!("{} {}", text(&step["kind"]), text(&step["name"]))).collect()
    };
    let names = |ids: Vec<&(String, String)>| -> BTreeSet<String> {
        ids.into_iter().map(|(kind, name)| format!("{} {name}", in_words(kind))).collect()
    };
    let made = names(after.keys().filter(|id| !before.contains_key(*id)).collect());
    // The names of the mounts of a file system that does not exist yet are known later.
    let later = said("+").iter().any(|step| step.ends_with(LATER));
    let until_later = |names: BTreeSet<String>| -> BTreeSet<String> {
        let cut = |name: String| match name.rsplit_once('-') {
            Some((start, end)) if later && (end.len() == 8 || end == LATER) => start.to_owned(),
            _ => name,
        };
        names.into_iter().map(cut).collect()
    };
    assert_eq!(
        until_later(said("+")),
        until_later(made),
        "{title}: what the preview would make, what was made"
    );
    let differs = |id: &&(String, String)| {
        let told = |resource: &Value| {
            let mut resource = resource.clone();
            // The fence, and a field that is no change but its consequence.
            resource["tags"].as_object_mut().expect("tags").remove("towerforge:operation");
            resource["status_reason"].take();
            resource
        };
        before.get(*id).is_some_and(|old| told(old) != told(&after[*id]))
    };
    let changed = names(after.keys().filter(differs).collect());
    assert_eq!(said("~"), changed, "{title}: what the preview would change, what was changed");
}

const LATER: &str = "(known later)";

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn in_words(kind: &str) -> &str {
    match kind {
        "roles" => "role",
        "instance_profiles" => "instance profile",
        "launch_templates" => "launch template",
        "compute_environments" => "compute environment",
        "job_queues" => "job queue",
        "efs" => "EFS file system",
        "fsx" => "FSx file system",
        _ => "log group",
    }
}

/// After a sweep the forge equals a fresh one with its properties.
async fn assert_like_new(case: &Case, aws: &TestAccount, stack: &Stack, properties: Value) {
    let title = case.title();
    let swept = aws.invoke(json!({"sweep": true})).await;
    let report = swept.value().unwrap_or_else(|| panic!("{title}: {swept:?}")).clone();
    assert_eq!((&report["failed"], &report["waiting"]), (&json!([]), &json!([])), "{title}");
    let mut other = properties;
    if let Some(id) = other.get_mut("ForgeId") {
        *id = json!("Fresh");
    }
    let fresh = aws.stack(other);
    fresh.create().await.expect_success();
    let state = aws.cloud.snapshot().await;
    let mounts =
        ["EfsCreate", "FsxSize"].iter().any(|name| case.name == *name || case.with.get(name).is_some());
    let mut changed = like_any(&state, stack, mounts);
    let made = like_any(&state, &fresh, mounts);
    for end in case.stays {
        let stays = changed.keys().filter(|(kind, name)| name.ends_with(end) || kind == end).cloned();
        let stays: Vec<_> = stays.collect();
        assert_eq!(stays.len(), 1, "{title}: {end} stays");
        changed.remove(&stays[0]);
    }
    assert_eq!(changed.keys().collect::<Vec<_>>(), made.keys().collect::<Vec<_>>(), "{title}");
    for (id, resource) in &changed {
        assert_eq!(
            *resource, made[id],
            "{title}: {id:?} has become the one on the left, a fresh one is on the right"
        );
    }
}

/// The resources of a forge without the values that differ between two forges with the same properties.
fn like_any(state: &Value, stack: &Stack, mounts: bool) -> Resources {
    let forge_id = stack.physical_id();
    let resources = resources(state, &forge_id);
    let mut text: BTreeMap<(String, String), String> = BTreeMap::new();
    let hashes: BTreeSet<String> = resources
        .keys()
        .filter(|(kind, _)| mounts && matches!(kind.as_str(), "compute_environments" | "launch_templates"))
        .filter_map(|(_, name)| name.rsplit_once('-').map(|(_, hash)| hash.to_owned()))
        .collect();
    let mount_names: Vec<String> = resources
        .values()
        .filter_map(|resource| resource["mount_name"].as_str())
        .map(ToOwned::to_owned)
        .collect();
    let anonymous = |text: &str| {
        let mut text = text.replace(stack.id(), "STACK").replace(&forge_id, "ID");
        for hash in &hashes {
            text = text.replace(hash, "HASH");
        }
        for name in &mount_names {
            text = text.replace(name, "MOUNT");
        }
        text.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
            .map(without_id)
            .collect::<String>()
    };
    for ((kind, name), mut resource) in resources {
        for key in TOLD_APART {
            resource["tags"].as_object_mut().expect("tags").remove(key);
        }
        if matches!(kind.as_str(), "efs" | "fsx") {
            for key in ["mount_name", "token"] {
                resource.as_object_mut().expect("an object").remove(key);
            }
        }
        text.insert((kind, anonymous(&name)), anonymous(&resource.to_string()));
    }
    text.into_iter().map(|(id, text)| (id, serde_json::from_str(&text).expect("still JSON"))).collect()
}

/// A word, with only the kind of an ID that AWS has given.
fn without_id(word: &str) -> String {
    let prefixes = ["lt-", "fs-", "fsmt-"];
    let end: String =
        word.chars().next_back().filter(|c| !c.is_ascii_alphanumeric() && *c != '-').into_iter().collect();
    match prefixes.iter().find(|prefix| word.starts_with(*prefix)) {
        Some(prefix) => format!("{prefix}ID{end}"),
        None => word.to_owned(),
    }
}
