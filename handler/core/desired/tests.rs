//! The resources of a forge, and the names that must never change.

#![allow(
    clippy::needless_pass_by_value,
    clippy::needless_raw_string_hashes,
    clippy::too_many_lines,
    clippy::unnecessary_wraps,
    reason = "golden texts write themselves, and tests read better so"
)]

use super::*;
use crate::event::AccountScope;
use crate::name::{ForgeId, IDENTITY_TAG, PREFIX};
use crate::plan::{Plan, plan};
use crate::properties::{self, Allowed, Limits};
use crate::registry::{Observed, Spec};
use crate::resources::{compute_environment, job_queue, launch_template, log_group, name_of};
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use std::sync::Arc;

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
        withheld_tags: BTreeSet::new(),
    }
}

/// A minimal forge with more properties.
pub(crate) fn properties(more: Value) -> Properties {
    let mut raw = json!({"WorkDir": "s3://bucket/work", "MaxCpus": "500"});
    raw.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let limits = Limits {
        region: "eu-west-1".to_owned(),
        account: AccountScope { partition: "aws".to_owned(), account: "123456789012".to_owned() },
        name_prefix: PREFIX.to_owned(),
        allowed: Allowed::everything(),
        efs: true,
        fsx: true,
    };
    properties::parse(raw.as_object().unwrap(), &limits).unwrap()
}

pub(crate) fn network() -> Result<Network> {
    Ok(Network {
        vpc: "vpc-1".to_owned(),
        is_default_vpc: true,
        zones: vec![("subnet-1".to_owned(), "euw1-az1".to_owned())],
        security_groups: vec!["sg-1".to_owned()],
        fsx_subnet: Some("subnet-1".to_owned()),
        ..Network::default()
    })
}

/// AWS after a resource has been made as desired, at rest.
fn made(resource: &Desired) -> Existing {
    if let Some(known) = resource.created(0) {
        return Existing { created: None, ..known };
    }
    let (observed, refs) = match resource.spec.as_ref().unwrap() {
        Spec::LogGroup(spec) => {
            let retention_days = Some(spec.retention_days);
            let observed = log_group::Observed { arn: String::new(), retention_days };
            (Observed::LogGroup(Arc::new(observed)), Vec::new())
        }
        Spec::LaunchTemplate(_) => {
            let observed = launch_template::Observed { template_id: "lt-1".to_owned(), stranger: None };
            (Observed::LaunchTemplate(Arc::new(observed)), Vec::new())
        }
        Spec::ComputeEnvironment(spec) => {
            let compute_environment::Lifecycle::Active { min_vcpus } = spec.lifecycle else {
                panic!("not made")
            };
            let Some(compute_environment::Resources::Instances(instances)) = &spec.resources else {
                panic!("Fargate")
            };
            let observed = compute_environment::Observed {
                arn: context().environment_arn(&resource.id.name),
                enabled: true,
                min_vcpus: Some(min_vcpus),
                max_vcpus: spec.max_vcpus,
                desired_vcpus: min_vcpus,
                is_idle: min_vcpus == 0,
                service_role: spec.service_role.clone().expect("instances have one"),
            };
            let refs = vec![
                ResourceId::new(Kind::Role, "TowerForge-Cafe-ServiceRole"),
                ResourceId::new(Kind::InstanceProfile, "TowerForge-Cafe-InstanceRole"),
                ResourceId::new(Kind::LaunchTemplate, &instances.launch_template),
            ];
            (Observed::ComputeEnvironment(Arc::new(observed)), refs)
        }
        Spec::JobQueue(spec) => {
            let observed = job_queue::Observed {
                arn: format!("arn:aws:batch:eu-west-1:123456789012:job-queue/{}", resource.id.name),
                enabled: true,
                priority: spec.priority,
                order: spec.order.clone(),
                time_limits: Vec::new(),
                scheduling_policy: None,
            };
            let refs = spec
                .order
                .iter()
                .map(|arn| ResourceId::new(Kind::ComputeEnvironment, name_of(arn)))
                .collect();
            (Observed::JobQueue(Arc::new(observed)), refs)
        }
        Spec::Role(_) | Spec::InstanceProfile(_) | Spec::Efs(_) | Spec::Fsx(_) => {
            panic!("known above, or a file system, which these tests do not make")
        }
    };
    Existing {
        id: resource.id.clone(),
        tags: resource.tags.clone(),
        phase: Phase::Settled,
        refs,
        created: None,
        observed,
    }
}

/// AWS after a forge with these properties has been made.
pub(crate) fn forge_of(wanted: &Properties) -> Inventory {
    let resources =
        desired(&context(), wanted, &Draft::of(&context(), wanted), &network(), &Inventory::default())
            .unwrap();
    let mut inventory = Inventory::default();
    for resource in &resources {
        inventory.resources.insert(resource.id.clone(), made(resource));
    }
    inventory
}

fn plan_for(wanted: &Properties, inventory: &Inventory) -> Plan {
    let resources =
        desired(&context(), wanted, &Draft::of(&context(), wanted), &network(), inventory).unwrap();
    plan(&resources, inventory, &context().owner)
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

/// Frozen as well. Only the templates, which are named by their images too, are newer than the names of environments.
#[test]
fn the_names_of_generations_with_images_never_change() {
    let images = properties(json!({
        "EbsBootSize": "20", "ImageId": "ami-00000001", "CliPath": "/opt/aws/bin/aws", "DragenEnabled": "true",
        "DragenAmiId": "ami-00000002", "SchedulingPolicyArn":
        "arn:aws:batch:eu-west-1:123456789012:scheduling-policy/fair",
    }));
    let generation = |wanted: &Properties, inventory: &Inventory| {
        let steps = plan_for(wanted, inventory).steps.into_iter().map(|step| step.id);
        let of = |id: &ResourceId| matches!(id.kind, Kind::ComputeEnvironment | Kind::LaunchTemplate);
        steps.filter(of).map(|id| id.name).collect::<Vec<_>>().join("\n")
    };
    expect![[r#"
        TowerForge-Cafe-68c1edbe
        TowerForge-Cafe-e4a35609
        TowerForge-Cafe-work-64204b14
        TowerForge-Cafe-head-780e082e
        TowerForge-Cafe-dragen-59e505a1"#]]
    .assert_eq(&generation(&images, &Inventory::default()));

    // Environments that were created with another template need no new one.
    let mut inventory = forge_of(&images);
    inventory.resources.retain(|id, _| id.kind != Kind::LaunchTemplate);
    assert_eq!(generation(&images, &inventory), "");
}

/// A template has the root device of one image.
#[test]
fn another_image_has_another_template() {
    let template = |image: Value| {
        let inventory = forge_of(&properties(image));
        inventory.all::<launch_template::LaunchTemplate>().next().unwrap().0.id.name.clone()
    };
    let (one, other) = (json!({"ImageId": "ami-00000001"}), json!({"ImageId": "ami-00000002"}));
    assert!(template(one.clone()) != template(other) && template(one) != template(json!({})));
}

/// A forge of an earlier release, whose root volume is smaller than the image, changes in place and can be restored.
#[test]
fn a_fault_of_the_image_matters_only_where_a_generation_must_be_created() {
    let small = properties(json!({"EbsBootSize": "20"}));
    let mut inventory = forge_of(&small);
    let refused = Err(Error::Invalid(crate::image::faults(&small, &[])));
    let desire = |wanted: &Properties, inventory: &Inventory| {
        desired(&context(), wanted, &Draft::of(&context(), wanted), &refused, inventory)
    };
    assert!(desire(&properties(json!({"EbsBootSize": "20", "MaxCpus": "9"})), &inventory).is_ok());
    let fallback = properties(json!({"EbsBootSize": "20", "OnDemandFallback": "true"}));
    let err = desire(&fallback, &inventory).unwrap_err().to_string();
    assert!(err.contains("EbsBootSize: given 20, allowed: an integer from 30"), "{err}");

    // An Update to a larger volume, and its rollback.
    for (id, existing) in forge_of(&properties(json!({}))).resources {
        inventory.resources.entry(id).or_insert(existing);
    }
    assert!(desire(&small, &inventory).is_ok());
}

#[test]
fn what_stands_as_wanted_needs_nothing() {
    let wanted = properties(json!({}));
    assert_eq!(plan_for(&wanted, &forge_of(&wanted)), Plan::default());
}

#[test]
fn a_default_that_is_said_aloud_is_the_same_forge() {
    let inventory = forge_of(&properties(json!({})));
    let said = properties(json!({
        "Type": "SPOT", "MinCpus": "0", "BidPercentage": 100, "AllocStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED",
        "InstanceTypes": ["optimal"], "EbsBootSize": "50", "EbsEncrypted": "true", "GpuEnabled": false,
    }));
    assert_eq!(plan_for(&said, &inventory), Plan::default());
}

#[test]
fn another_instance_type_is_another_generation_beside_the_first() {
    let mut inventory = forge_of(&properties(json!({})));
    let old = ResourceId::new(Kind::ComputeEnvironment, "TowerForge-Cafe-work-65346d53");
    inventory.resources.get_mut(&old).unwrap().tags.insert(LIMIT_TAG.to_owned(), "50".to_owned());
    check(
        &plan_for(&properties(json!({"InstanceTypes": "m6i"})), &inventory),
        expect![[r#"
            + compute environment TowerForge-Cafe-work-5fd000bf  (it does not exist)
            ~ job queue           TowerForge-Cafe-work  (computeEnvironmentOrder differs)
                  computeEnvironmentOrder: ["TowerForge-Cafe-work-65346d53"] -> ["TowerForge-Cafe-work-5fd000bf", "TowerForge-Cafe-work-65346d53"]
            ~ compute environment TowerForge-Cafe-work-65346d53  (state, Tags.towerforge:retiring, Tags.towerforge:max-vcpus differs)
                  state: "ENABLED" -> "DISABLED"
                  Tags.towerforge:retiring: absent -> "2026-11-24T12:00:00Z"
                  Tags.towerforge:max-vcpus: "50" -> absent
        "#]],
    );
}

#[test]
fn a_work_queue_is_adopted_after_all_that_it_does_not_hold_up() {
    let inventory = forge_of(&properties(json!({})));
    let wanted = properties(json!({"InstanceTypes": "m6i"}));
    let mut resources =
        desired(&context(), &wanted, &Draft::of(&context(), &wanted), &network(), &inventory).unwrap();
    let work_queue = ResourceId::new(Kind::JobQueue, "TowerForge-Cafe-work");
    put_last(&mut resources, &work_queue);
    let (last, others): (Vec<_>, Vec<_>) = resources.iter().partition(|resource| resource.id == work_queue);
    let (behind, before): (Vec<_>, Vec<_>) =
        others.iter().partition(|other| other.after.contains(&work_queue));
    let names =
        |resources: Vec<&Desired>| resources.iter().map(|each| each.id.to_string()).collect::<Vec<_>>();
    assert_eq!(
        names(behind.into_iter().copied().collect()),
        ["compute environment TowerForge-Cafe-work-65346d53"]
    );
    let before: Vec<ResourceId> = before.iter().map(|resource| resource.id.clone()).collect();
    assert_eq!(last[0].after, before);
    assert!(before.iter().any(|id| id.kind == Kind::LogGroup) && before.len() > 5, "{before:?}");
}

/// Its jobs bear the share identifier of all tasks, which only a queue with a policy takes.
#[test]
fn a_new_dragen_queue_has_the_scheduling_policy_too() {
    let policy = "arn:aws:batch:eu-west-1:123456789012:scheduling-policy/fair";
    let fair = properties(json!({"DragenEnabled": "true", "SchedulingPolicyArn": policy}));
    let policies = |inventory: &Inventory| {
        let draft = Draft::of(&context(), &fair);
        let all = desired(&context(), &fair, &draft, &network(), inventory).unwrap();
        let policy = |queue: &Desired| match &queue.spec {
            Some(Spec::JobQueue(spec)) => Some((queue.id.name.clone(), spec.scheduling_policy.is_some())),
            _ => None,
        };
        all.iter().filter_map(policy).collect::<BTreeMap<String, bool>>()
    };
    let of = |dragen| {
        let queues = [("dragen", dragen), ("head", false), ("work", true)];
        BTreeMap::from(queues.map(|(pool, has_one)| (format!("TowerForge-Cafe-{pool}"), has_one)))
    };
    assert_eq!(policies(&Inventory::default()), of(true));
    assert_eq!(policies(&forge_of(&fair)), of(false), "an older queue has none, and cannot gain one");
}

#[test]
fn limits_change_in_place() {
    let inventory = forge_of(&properties(json!({})));
    check(
        &plan_for(&properties(json!({"MaxCpus": "100", "MinCpus": "4"})), &inventory),
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
    assert_eq!(template.after, [ResourceId::new(Kind::Efs, "TowerForge-Cafe")]);
    assert!(template.id.name.ends_with(LATER));
}

#[test]
fn an_invalid_environment_that_runs_jobs_leaves_its_queue_and_is_kept() {
    let mut inventory = forge_of(&properties(json!({})));
    let serving = inventory.all::<ComputeEnvironment>().find(|(each, _)| each.id.name.contains("-work-"));
    let id = serving.unwrap().0.id.clone();
    let old = inventory.resources.get_mut(&id).unwrap();
    old.phase = Phase::Broken("CLIENT_ERROR".to_owned());
    let Observed::ComputeEnvironment(observed) = &mut old.observed else { unreachable!() };
    Arc::make_mut(observed).is_idle = false;

    let wanted = properties(json!({"InstanceTypes": "m6i"}));
    let resources =
        desired(&context(), &wanted, &Draft::of(&context(), &wanted), &network(), &inventory).unwrap();
    let find = |id: &ResourceId| resources.iter().find(|resource| resource.id == *id).unwrap();
    let queue = ResourceId::new(Kind::JobQueue, "TowerForge-Cafe-work");
    let retires = find(&id);
    assert!(retires.is_draining && retires.after == [queue.clone()]);
    let Some(Spec::JobQueue(spec)) = &find(&queue).spec else { unreachable!() };
    assert!(!spec.order.iter().any(|arn| arn.ends_with(&id.name)), "Batch takes only valid ones");
}

#[test]
fn an_environment_that_runs_jobs_is_kept_although_no_queue_has_it() {
    let mut inventory = forge_of(&properties(json!({})));
    let wanted = properties(json!({"InstanceTypes": "m6i"}));
    let id = ResourceId::new(Kind::ComputeEnvironment, "TowerForge-Cafe-work-00000001");
    let serving = inventory.all::<ComputeEnvironment>().find(|(each, _)| each.id.name.contains("-work-"));
    let mut other = serving.unwrap().0.clone();
    other.id = id.clone();
    let is_kept = |inventory: &Inventory| {
        let draft = Draft::of(&context(), &wanted);
        let all = desired(&context(), &wanted, &draft, &network(), inventory).unwrap();
        all.iter().any(|resource| resource.id == id)
    };
    inventory.resources.insert(id.clone(), other);
    assert!(!is_kept(&inventory), "the remains of an Update");
    let other = inventory.resources.get_mut(&id).unwrap();
    let Observed::ComputeEnvironment(observed) = &mut other.observed else { unreachable!() };
    Arc::make_mut(observed).is_idle = false;
    assert!(is_kept(&inventory));
}

#[test]
fn another_identity_is_refused_while_a_queue_has_the_old_one() {
    let raw = json!({"WaveEnabled": "true", "Fusion2Enabled": "true", "FargateHeadEnabled": "true"});
    let (plain, fargate) = (properties(json!({})), properties(raw));
    let desire = |inventory: &Inventory| {
        desired(&context(), &fargate, &Draft::of(&context(), &fargate), &network(), inventory)
    };
    let mut inventory = forge_of(&plain);
    let err = desire(&inventory).unwrap_err().to_string();
    assert!(err.contains("FargateHeadEnabled was false") && !err.contains("Arm64Enabled"), "{err}");
    for queue in inventory.resources.values_mut().filter(|existing| existing.id.kind == Kind::JobQueue) {
        queue.tags.remove(IDENTITY_TAG);
    }
    let untagged = desire(&inventory).unwrap();
    let bears = |resource: &Desired| resource.tags.contains_key(IDENTITY_TAG);
    assert!(!untagged.iter().any(bears), "Batch may still refuse it, and then the tag would be wrong");
    inventory.resources.retain(|id, _| id.kind != Kind::JobQueue);
    assert!(desire(&inventory).unwrap().iter().any(bears), "nothing has the old one");
}

#[test]
fn a_full_queue_refuses_a_further_generation_while_all_run_jobs() {
    let mut inventory = forge_of(&properties(json!({})));
    let queue = ResourceId::new(Kind::JobQueue, "TowerForge-Cafe-work");
    let serving = inventory.all::<ComputeEnvironment>().find(|(each, _)| each.id.name.contains("-work-"));
    let serving = serving.unwrap().0.clone();
    for hash in ["00000001", "00000002"] {
        let mut old = serving.clone();
        old.id.name = format!("TowerForge-Cafe-work-{hash}");
        old.tags.insert(RETIRING_TAG.to_owned(), "2026-11-24T11:00:00Z".to_owned());
        let Observed::ComputeEnvironment(observed) = &mut old.observed else { unreachable!() };
        let observed = Arc::make_mut(observed);
        (observed.enabled, observed.is_idle) = (false, false);
        let arn = context().environment_arn(&old.id.name);
        let queue = inventory.resources.get_mut(&queue).unwrap();
        let Observed::JobQueue(queue) = &mut queue.observed else { unreachable!() };
        Arc::make_mut(queue).order.push(arn);
        inventory.resources.insert(old.id.clone(), old);
    }
    let serving = inventory.resources.get_mut(&serving.id).unwrap();
    let Observed::ComputeEnvironment(observed) = &mut serving.observed else { unreachable!() };
    Arc::make_mut(observed).is_idle = false;

    let desire = |wanted: &Properties| {
        desired(&context(), wanted, &Draft::of(&context(), wanted), &network(), &inventory)
    };
    let err = desire(&properties(json!({"InstanceTypes": "m6i"}))).unwrap_err();
    assert!(
        matches!(&err, Error::Refused(text) if text.contains("00000002") && text.contains("nothing was changed")),
        "{err}"
    );
    // A change in place is none of it.
    assert!(desire(&properties(json!({"MaxCpus": "9"}))).is_ok());
}
