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
