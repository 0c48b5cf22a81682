//! What a forge consists of, and the names that must never change.

#![allow(
    clippy::needless_pass_by_value,
    clippy::needless_raw_string_hashes,
    clippy::too_many_lines,
    clippy::unnecessary_wraps,
    reason = "golden texts write themselves, and tests read better so"
)]

use super::*;
use crate::name::{ForgeId, PREFIX};
use crate::plan::{Plan, plan};
use crate::properties::{self, Limits};
use crate::resource::Live;
use crate::resources::{compute_environment, instance_profile, launch_template, role};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

const STACK: &str = "arn:aws:cloudformation:eu-west-1:123456789012:stack/genomics/1";

/// The context of forge `Cafe`, in an operation that began at noon.
pub(crate) fn context() -> Context {
    let owner = Owner {
        forge_id: "Cafe".to_owned(),
        stack_id: STACK.to_owned(),
        logical_id: "Genomics".to_owned(),
        adopts: false,
    };
    Context {
        names: Names::new(PREFIX, ForgeId::parse("Cafe").unwrap()),
        owner,
        partition: "aws".to_owned(),
        region: "eu-west-1".to_owned(),
        account: "123456789012".to_owned(),
        boundary: None,
        since: "2026-11-24T12:00:00Z".to_owned(),
        dropped_tags: BTreeSet::new(),
    }
}

/// A minimal forge with more properties.
pub(crate) fn properties(more: Value) -> Properties {
    let mut raw = json!({"WorkDir": "s3://bucket/work", "MaxCpus": "500"});
    raw.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let limits = Limits {
        region: "eu-west-1".to_owned(),
        account: Some("123456789012".to_owned()),
        name_prefix: PREFIX.to_owned(),
        efs: true,
        fsx: true,
        ..Limits::default()
    };
    properties::parse(raw.as_object().unwrap(), &limits).unwrap()
}

fn surroundings() -> Result<Surroundings> {
    Ok(Surroundings {
        vpc: "vpc-1".to_owned(),
        zones: vec![("subnet-1".to_owned(), "euw1-az1".to_owned())],
        security_groups: vec!["sg-1".to_owned()],
        lustre_mount_name: None,
    })
}

/// AWS after a part has been made as wanted, at rest.
fn made(part: &Part) -> Seen {
    let (live, refs) = match &part.spec {
        Spec::Role(spec) => (
            Live::Role(role::Live {
                arn: format!("arn:aws:iam::123456789012:role/{}", part.id.name),
                trust: spec.trust.clone(),
                managed: spec.managed.clone(),
                inline: spec.inline.clone(),
                boundary: spec.boundary.clone(),
                created: 0,
            }),
            Vec::new(),
        ),
        Spec::InstanceProfile(spec) => (
            Live::InstanceProfile(instance_profile::Live { roles: vec![spec.role.clone()], created: 0 }),
            vec![PartId::new(Kind::Role, &spec.role)],
        ),
        Spec::LogGroup(spec) => {
            let retention_days = Some(spec.retention_days);
            (Live::LogGroup(log_group::Live { arn: String::new(), retention_days }), Vec::new())
        }
        Spec::LaunchTemplate(_) => {
            (Live::LaunchTemplate(launch_template::Live { template_id: "lt-1".to_owned() }), Vec::new())
        }
        Spec::ComputeEnvironment(spec) => {
            let compute_environment::Duty::Serving { min_vcpus } = spec.duty else { panic!("not made") };
            let compute_environment::Resources::Instances(instances) = &spec.resources else {
                panic!("Fargate")
            };
            let live = compute_environment::Live {
                arn: context().environment_arn(&part.id.name),
                enabled: true,
                status: "VALID".to_owned(),
                reason: String::new(),
                min_vcpus: Some(min_vcpus),
                max_vcpus: spec.max_vcpus,
                desired_vcpus: Some(min_vcpus),
                service_role: spec.service_role.clone(),
                spot: instances.spot,
            };
            let refs = vec![
                PartId::new(Kind::Role, "TowerForge-Cafe-ServiceRole"),
                PartId::new(Kind::InstanceProfile, "TowerForge-Cafe-InstanceRole"),
                PartId::new(Kind::LaunchTemplate, &instances.launch_template),
            ];
            (Live::ComputeEnvironment(live), refs)
        }
        Spec::JobQueue(spec) => {
            let live = job_queue::Live {
                arn: format!("arn:aws:batch:eu-west-1:123456789012:job-queue/{}", part.id.name),
                enabled: true,
                status: "VALID".to_owned(),
                reason: String::new(),
                priority: spec.priority,
                order: spec.order.clone(),
                time_limits: Vec::new(),
                scheduling_policy: None,
            };
            let name = crate::resources::batch::name_of;
            let refs =
                spec.order.iter().map(|arn| PartId::new(Kind::ComputeEnvironment, name(arn))).collect();
            (Live::JobQueue(live), refs)
        }
        Spec::Efs(_) | Spec::Fsx(_) => panic!("these tests make no file systems"),
    };
    Seen { id: part.id.clone(), tags: part.tags.clone(), phase: Phase::Settled, refs, live }
}

/// AWS after a forge with these properties has been made.
pub(crate) fn forge_of(wanted: &Properties) -> Inventory {
    let parts = desired(&context(), wanted, &surroundings(), &Inventory::default()).unwrap();
    let mut there = Inventory::default();
    for part in &parts {
        there.parts.insert(part.id.clone(), made(part));
    }
    there
}

fn plan_for(wanted: &Properties, there: &Inventory) -> Plan {
    let parts = desired(&context(), wanted, &surroundings(), there).unwrap();
    plan(&parts, there, &context().owner)
}

fn check(plan: &Plan, expected: Expect) {
    expected.assert_eq(&plan.to_string());
}

/// Frozen: another name here would replace the environments of every forge that has this one.
#[test]
fn the_names_of_generations_never_change() {
    check(
        &plan_for(&properties(json!({})), &Inventory::default()),
        expect![[r#"
            + role                TowerForge-Cafe-ServiceRole  (it does not exist)
            + role                TowerForge-Cafe-InstanceRole  (it does not exist)
            + instance profile    TowerForge-Cafe-InstanceRole  (it does not exist)
            + role                TowerForge-Cafe-ExecutionRole  (it does not exist)
            + log group           /tower-forge/Cafe  (it does not exist)
            + launch template     TowerForge-Cafe-3ade617a  (it does not exist)
            + compute environment TowerForge-Cafe-work-65346d53  (it does not exist)
            + compute environment TowerForge-Cafe-head-a0edb833  (it does not exist)
            + job queue           TowerForge-Cafe-work  (it does not exist)
            + job queue           TowerForge-Cafe-head  (it does not exist)
        "#]],
    );
    let rich = properties(json!({
        "Type": "SPOT", "InstanceTypes": "m6i,c6i", "AllocStrategy": "SPOT_CAPACITY_OPTIMIZED",
        "EbsBootSize": "200", "Tags": {"Team": "genomics"}, "EcsConfig": "ECS_LOGLEVEL=debug",
    }));
    let names: Vec<String> = plan_for(&rich, &Inventory::default())
        .steps
        .iter()
        .filter(|step| matches!(step.id.kind, Kind::ComputeEnvironment | Kind::LaunchTemplate))
        .map(|step| step.id.name.clone())
        .collect();
    expect![[r#"
        TowerForge-Cafe-aa37db8d
        TowerForge-Cafe-work-4c7d1137
        TowerForge-Cafe-head-eaa6d218"#]]
    .assert_eq(&names.join("\n"));
}

#[test]
fn what_stands_as_wanted_needs_nothing() {
    let wanted = properties(json!({}));
    assert_eq!(plan_for(&wanted, &forge_of(&wanted)), Plan::default());
}

#[test]
fn a_default_that_is_said_aloud_is_the_same_forge() {
    let there = forge_of(&properties(json!({})));
    let said = properties(json!({
        "Type": "SPOT", "MinCpus": "0", "BidPercentage": 100, "AllocStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED",
        "InstanceTypes": ["optimal"], "EbsBootSize": "50", "EbsEncrypted": "true", "GpuEnabled": false,
    }));
    assert_eq!(plan_for(&said, &there), Plan::default());
}

#[test]
fn another_instance_type_is_another_generation_beside_the_first() {
    let there = forge_of(&properties(json!({})));
    check(
        &plan_for(&properties(json!({"InstanceTypes": "m6i"})), &there),
        expect![[r#"
            + compute environment TowerForge-Cafe-work-5fd000bf  (it does not exist)
            ~ job queue           TowerForge-Cafe-work  (computeEnvironmentOrder differs)
                  computeEnvironmentOrder: ["TowerForge-Cafe-work-65346d53"] -> ["TowerForge-Cafe-work-5fd000bf", "TowerForge-Cafe-work-65346d53"]
            ~ compute environment TowerForge-Cafe-work-65346d53  (state, Tags.towerforge:retiring differs)
                  state: "ENABLED" -> "DISABLED"
                  Tags.towerforge:retiring: absent -> "2026-11-24T12:00:00Z"
        "#]],
    );
}

#[test]
fn limits_change_in_place() {
    let there = forge_of(&properties(json!({})));
    check(
        &plan_for(&properties(json!({"MaxCpus": "100", "MinCpus": "4"})), &there),
        expect![[r#"
            ~ compute environment TowerForge-Cafe-work-65346d53  (minvCpus, maxvCpus differs)
                  minvCpus: 0 -> 4
                  maxvCpus: 500 -> 100
        "#]],
    );
}

#[test]
fn a_file_system_comes_before_what_mounts_it() {
    let plan = plan_for(&properties(json!({"EfsCreate": "true"})), &Inventory::default());
    let template = plan.steps.iter().find(|step| step.id.kind == Kind::LaunchTemplate).unwrap();
    assert_eq!(template.after, [PartId::new(Kind::Efs, "TowerForge-Cafe")]);
    assert!(template.id.name.ends_with(LATER));
}

#[test]
fn a_full_queue_refuses_a_further_generation_while_all_run_jobs() {
    let mut there = forge_of(&properties(json!({})));
    let queue = PartId::new(Kind::JobQueue, "TowerForge-Cafe-work");
    let serving =
        there.of(Kind::ComputeEnvironment).find(|seen| seen.id.name.contains("-work-")).unwrap().clone();
    for hash in ["00000001", "00000002"] {
        let mut old = serving.clone();
        old.id.name = format!("TowerForge-Cafe-work-{hash}");
        old.tags.insert(RETIRING_TAG.to_owned(), "2026-11-24T11:00:00Z".to_owned());
        let Live::ComputeEnvironment(live) = &mut old.live else { unreachable!() };
        live.enabled = false;
        live.desired_vcpus = Some(8);
        let arn = context().environment_arn(&old.id.name);
        let Live::JobQueue(queue) = &mut there.parts.get_mut(&queue).unwrap().live else { unreachable!() };
        queue.order.push(arn);
        there.parts.insert(old.id.clone(), old);
    }
    let Live::ComputeEnvironment(live) = &mut there.parts.get_mut(&serving.id).unwrap().live else {
        unreachable!()
    };
    live.desired_vcpus = Some(8);

    let err = desired(&context(), &properties(json!({"InstanceTypes": "m6i"})), &surroundings(), &there)
        .unwrap_err();
    assert!(
        matches!(&err, Error::Refused(text) if text.contains("00000002") && text.contains("nothing was changed")),
        "{err}"
    );
    // A change in place is none of it.
    assert!(desired(&context(), &properties(json!({"MaxCpus": "9"})), &surroundings(), &there).is_ok());
}
