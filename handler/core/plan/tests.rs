//! Plans of the whole forge `Cafe`, as `desired` wants it.

#![allow(
    clippy::needless_pass_by_value,
    clippy::needless_raw_string_hashes,
    clippy::too_many_lines,
    clippy::unnecessary_wraps,
    reason = "golden texts write themselves, and tests read better so"
)]

use super::*;
use crate::desired::tests::{context, forge_of, properties};
use crate::name::{FORGE_TAG, RELEASED_TAG, STACK_TAG};
use crate::resource::Kind;
use expect_test::expect;
use serde_json::json;

#[test]
fn deletion_stops_queues_and_environments_at_once_and_the_rest_waits() {
    let inventory = forge_of(&properties(json!({})));
    let plan = plan(&[], &inventory, &context().owner);
    let ready: Vec<String> =
        plan.ready().map(|step| format!("{} {}", step.action.as_str(), step.id)).collect();
    expect![[r#"
        disable job queue TowerForge-Cafe-work
        disable job queue TowerForge-Cafe-head
        disable compute environment TowerForge-Cafe-work-65346d53
        disable compute environment TowerForge-Cafe-head-a0edb833"#]]
    .assert_eq(&ready.join("\n"));
    let service = plan.steps.iter().find(|step| step.id.name.ends_with("ServiceRole")).unwrap();
    let outlived = |kind: Kind| service.after.iter().filter(|id| id.kind == kind).count();
    assert_eq!((outlived(Kind::ComputeEnvironment), outlived(Kind::JobQueue)), (2, 2), "{:?}", service.after);
    assert_eq!(outlived(Kind::LogGroup), 0, "it may stay: {:?}", service.after);
}

#[test]
fn a_resource_of_another_owner_is_a_conflict_where_desired_and_invisible_where_not() {
    let wanted = properties(json!({}));
    let mut inventory = forge_of(&wanted);
    let id = ResourceId::new(Kind::JobQueue, "TowerForge-Cafe-work");
    inventory.resources.get_mut(&id).unwrap().tags.insert(STACK_TAG.to_owned(), "arn:theirs".to_owned());
    let resources = crate::desired::desired(
        &context(),
        &wanted,
        &crate::desired::Draft::of(&context(), &wanted),
        &Err(crate::error::Error::Refused("unused".into())),
        &inventory,
    );
    let conflicts = plan(&resources.unwrap(), &inventory, &context().owner).conflicts;
    assert_eq!(conflicts.len(), 1);
    assert!(conflicts[0].1.contains("arn:theirs"), "{conflicts:?}");
    assert!(plan(&[], &inventory, &context().owner).steps.iter().all(|step| step.id != id));
}

#[test]
fn what_was_released_is_adopted_by_who_names_it_and_by_nobody_else() {
    let owner = context().owner;
    let mut tags = owner.tags();
    tags.insert(STACK_TAG.to_owned(), "arn:theirs".to_owned());
    tags.insert(RELEASED_TAG.to_owned(), "2026-11-24T12:00:00Z".to_owned());
    assert!(!owner.owns(&tags));
    let adopting = Owner { adopts: true, ..owner };
    assert!(adopting.owns(&tags));
    tags.insert(FORGE_TAG.to_owned(), "Other".to_owned());
    assert!(!adopting.owns(&tags));
}

/// The observed resources, desired as they are; one of them draining.
fn as_they_are(inventory: &Inventory, draining: Option<&ResourceId>) -> Vec<Desired> {
    let all = inventory.resources.values();
    all.map(|each| Desired { is_draining: draining == Some(&each.id), ..Desired::as_it_is(each) }).collect()
}

#[test]
fn what_is_broken_is_mended_or_reported_unless_it_only_drains() {
    let broken = |kind: Kind, drains: bool| {
        let mut inventory = forge_of(&properties(json!({})));
        let existing = inventory.resources.values_mut().find(|each| each.id.kind == kind).unwrap();
        existing.phase = Phase::Broken("INVALID".to_owned());
        let id = existing.id.clone();
        let plan = plan(&as_they_are(&inventory, drains.then_some(&id)), &inventory, &context().owner);
        (plan.steps.iter().map(|step| step.action.as_str()).collect::<Vec<_>>(), plan.broken.len())
    };
    assert_eq!(broken(Kind::ComputeEnvironment, false), (vec!["repair"], 0));
    assert_eq!(broken(Kind::ComputeEnvironment, true), (vec![], 0));
    assert_eq!(broken(Kind::Role, false), (vec![], 1), "nothing makes AWS check it again");
}

#[test]
fn a_template_lives_as_long_as_its_environment_and_an_environment_not_as_long_as_its_queue() {
    let inventory = forge_of(&properties(json!({})));
    let goes = |kept: Kind, kind: Kind| {
        let mut desired = as_they_are(&inventory, None);
        desired.retain(|each| each.id.kind == kept);
        plan(&desired, &inventory, &context().owner).steps.iter().any(|step| step.id.kind == kind)
    };
    assert!(!goes(Kind::ComputeEnvironment, Kind::LaunchTemplate));
    assert!(goes(Kind::JobQueue, Kind::ComputeEnvironment));
}

#[test]
fn a_plan_as_data_has_the_changes_and_what_stands_in_the_way() {
    let id = ResourceId::new(Kind::ComputeEnvironment, "work");
    let change = Change { field: "maxvCpus".to_owned(), from: "500".to_owned(), to: "100".to_owned() };
    let (action, why) = (Action::Update(vec![change]), "maxvCpus differs".to_owned());
    let entry = |text: &str| vec![(id.clone(), text.to_owned())];
    let plan = Plan {
        steps: vec![Step {
            id: id.clone(),
            action,
            why,
            after: vec![ResourceId::new(Kind::Role, "service")],
        }],
        settling: entry("UPDATING"),
        conflicts: entry("another owner"),
        broken: entry("INVALID"),
    };
    assert_eq!(
        plan.to_json(),
        json!({
            "steps": [{
                "mark": "~",
                "action": "update",
                "kind": "compute environment",
                "name": "work",
                "why": "maxvCpus differs",
                "changes": [{"field": "maxvCpus", "from": "500", "to": "100"}],
                "after": ["role service"],
            }],
            "settling": [{"resource": "compute environment work", "status": "UPDATING"}],
            "conflicts": [{"resource": "compute environment work", "owner": "another owner"}],
            "broken": [{"resource": "compute environment work", "why": "INVALID"}],
        })
    );
}
