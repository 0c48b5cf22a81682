//! Compute environments.

use super::{Script, Step, after, writes};
use crate::site::{GIVEN_ID, ONE, SERVICE_POLICY, Site, more_keys, more_tags};
use tower_forge_core::name::RoleKind::{Execution, Fleet, Instance, Service};
use tower_forge_core::registry::Write;
use tower_forge_core::resource::{ResourceId, Tags};
use tower_forge_core::resources::compute_environment::{Call, Update};
use tower_forge_core::resources::{instance_profile, launch_template, role};

/// A service role, and an environment on Fargate that stands.
fn fargate(site: &Site) -> Vec<Step> {
    let create = vec![site.create_fargate(ONE)];
    vec![Step::Prepare(site.service_role()), Step::Prepare(create)]
}

/// The same on instances.
fn instances(site: &Site, min_vcpus: i32) -> Vec<Step> {
    let create = vec![site.create_on_instances(ONE, min_vcpus)];
    vec![Step::Prepare(site.for_instances()), Step::Prepare(create)]
}

/// The same, disabled.
fn disabled(site: &Site) -> Vec<Step> {
    let mut steps = fargate(site);
    steps.push(Step::Prepare(vec![site.enable_environment(ONE, false)]));
    steps
}

fn then<const N: usize>(mut steps: Vec<Step>, more: [Write; N]) -> Vec<Step> {
    steps.extend(writes(more));
    steps
}

fn at_rest<const N: usize>(mut steps: Vec<Step>, more: [Write; N]) -> Vec<Step> {
    steps.push(Step::Settle);
    then(steps, more)
}

fn id(site: &Site) -> ResourceId {
    site.delete_environment(ONE).id
}

fn limits(site: &Site, min_vcpus: Option<i32>, max_vcpus: Option<i32>) -> Write {
    site.update_environment(ONE, Update { min_vcpus, max_vcpus, ..Update::default() })
}

/// Names a service role, which also makes Batch look again.
fn with_role(site: &Site, kind: tower_forge_core::name::RoleKind) -> Write {
    let service_role = Some(site.role_arn(kind));
    site.update_environment(ONE, Update { enabled: Some(true), service_role, ..Update::default() })
}

fn tag(site: &Site) -> Write {
    site.environment(ONE, Call::Tag { arn: site.environment_arn(ONE), tags: more_tags() })
}

fn untag(site: &Site) -> Write {
    site.environment(ONE, Call::Untag { arn: site.environment_arn(ONE), keys: more_keys() })
}

/// All that is tried on an environment.
pub(crate) const SCRIPTS: &[Script] = &[
    ("an environment on Fargate is created", |site| after(site.service_role(), [site.create_fargate(ONE)])),
    ("an environment of instances is created", |site| {
        after(site.for_instances(), [site.create_on_instances(ONE, 0)])
    }),
    ("an environment that keeps instances running is created", |site| {
        after(site.for_instances(), [site.create_on_instances(ONE, 4)])
    }),
    ("an environment is created twice, and once more at rest", |site| {
        let create = || site.create_fargate(ONE);
        at_rest(after(site.service_role(), [create(), create()]), [create()])
    }),
    ("an environment is created whose service role does not exist", |site| {
        writes([site.create_fargate(ONE)])
    }),
    ("an environment is created whose service role has no policy", |site| {
        after(vec![site.create_role(Service, "batch.amazonaws.com")], [site.create_fargate(ONE)])
    }),
    ("an environment is created whose service role does not trust Batch", |site| {
        let mut prepared = site.service_role();
        prepared[0] = site.create_role(Service, "ec2.amazonaws.com");
        after(prepared, [site.create_fargate(ONE)])
    }),
    ("an environment is created whose profile does not exist", |site| {
        let mut prepared = site.service_role();
        prepared.push(site.create_template());
        after(prepared, [site.create_on_instances(ONE, 0)])
    }),
    ("an environment is created whose profile is empty", |site| {
        let mut prepared = site.for_instances();
        prepared.remove(4);
        after(prepared, [site.create_on_instances(ONE, 0)])
    }),
    ("an environment is created whose launch template does not exist", |site| {
        let mut prepared = site.for_instances();
        prepared.pop();
        after(prepared, [site.create_on_instances(ONE, 0)])
    }),
    ("an environment is updated whose launch template is gone", |site| {
        let mut prepared = site.for_instances();
        prepared.pop();
        let gone = launch_template::Call::Delete(GIVEN_ID.to_owned());
        let mut steps = after(prepared, [site.create_template()]);
        steps.push(Step::Prepare(vec![site.create_on_instances(ONE, 0)]));
        steps.extend(writes([site.template(gone), limits(site, None, Some(8))]));
        steps
    }),
    ("an environment is created whose fleet role does not exist", |site| {
        let (spot, strategy) = (true, "BEST_FIT".to_owned());
        let fleet_role = Some(site.role_arn(Fleet));
        let fleet = tower_forge_core::resources::compute_environment::Instances {
            spot,
            strategy,
            fleet_role,
            ..site.instances()
        };
        after(site.for_instances(), [site.create_environment(ONE, 0, fleet)])
    }),
    ("an environment is disabled and enabled", |site| {
        let steps = then(fargate(site), [site.enable_environment(ONE, false)]);
        at_rest(steps, [site.enable_environment(ONE, true)])
    }),
    ("an environment of instances is disabled, and its instances let go", |site| {
        let disable = Update { enabled: Some(false), min_vcpus: Some(0), ..Update::default() };
        then(instances(site, 4), [site.update_environment(ONE, disable)])
    }),
    ("an environment's limits are changed", |site| {
        then(instances(site, 0), [limits(site, Some(2), Some(32))])
    }),
    ("one limit of an environment is changed", |site| {
        then(instances(site, 2), [limits(site, None, Some(8))])
    }),
    ("an environment's limits come to contradict each other", |site| {
        then(instances(site, 4), [limits(site, None, Some(2)), limits(site, Some(32), None)])
    }),
    ("the least of an environment on Fargate is changed", |site| {
        then(fargate(site), [limits(site, Some(2), None)])
    }),
    ("an update changes nothing", |site| then(instances(site, 0), [limits(site, None, Some(16))])),
    ("an environment is updated while it is created", |site| {
        after(site.service_role(), [site.create_fargate(ONE), limits(site, None, Some(8))])
    }),
    ("an environment is updated while it is updated", |site| {
        then(fargate(site), [limits(site, None, Some(8)), limits(site, None, Some(32))])
    }),
    ("an environment is updated while it is deleted", |site| {
        then(disabled(site), [site.delete_environment(ONE), limits(site, None, Some(8))])
    }),
    ("an environment is updated that does not exist", |site| writes([limits(site, None, Some(8))])),
    ("an environment gets another service role", |site| {
        let attach = site.role(Execution, role::Call::Attach(SERVICE_POLICY.to_owned()));
        let other = vec![site.create_role(Execution, "batch.amazonaws.com"), attach];
        let mut steps = fargate(site);
        steps.push(Step::Prepare(other));
        then(steps, [with_role(site, Execution)])
    }),
    ("an environment gets a service role that does not exist", |site| {
        then(fargate(site), [with_role(site, Execution)])
    }),
    ("an enabled environment is deleted", |site| then(fargate(site), [site.delete_environment(ONE)])),
    ("an environment is deleted while it is created", |site| {
        after(site.service_role(), [site.create_fargate(ONE), site.delete_environment(ONE)])
    }),
    ("an environment is deleted while it is disabled", |site| {
        then(fargate(site), [site.enable_environment(ONE, false), site.delete_environment(ONE)])
    }),
    ("a disabled environment is deleted twice, and once more when it is gone", |site| {
        let delete = || site.delete_environment(ONE);
        at_rest(then(disabled(site), [delete(), delete()]), [delete()])
    }),
    ("an environment is created while one of its name is deleted, and when that is gone", |site| {
        let steps = then(disabled(site), [site.delete_environment(ONE), site.create_fargate(ONE)]);
        at_rest(steps, [site.create_fargate(ONE)])
    }),
    ("an environment in use by a queue is deleted", |site| {
        let mut steps = fargate(site);
        steps.push(Step::Prepare(vec![site.create_queue(&[ONE])]));
        steps.push(Step::Prepare(vec![site.enable_environment(ONE, false)]));
        then(steps, [site.delete_environment(ONE)])
    }),
    ("a job runs in an environment of instances that is disabled meanwhile", |site| {
        let mut steps = instances(site, 0);
        steps.push(Step::Prepare(vec![site.create_queue(&[ONE])]));
        steps.push(Step::Begin(id(site)));
        steps.extend(writes([limits(site, None, Some(8))]));
        let mut steps = at_rest(steps, [site.enable_environment(ONE, false)]);
        steps.extend([Step::Settle, Step::End(id(site))]);
        steps
    }),
    ("the maximum is set below the vCPUs of a running job", |site| {
        let mut steps = instances(site, 0);
        steps.push(Step::Prepare(vec![site.create_queue(&[ONE])]));
        steps.push(Step::Begin(id(site)));
        steps.extend(writes([limits(site, None, Some(3)), limits(site, None, Some(4))]));
        steps.extend([Step::Settle, Step::End(id(site))]);
        then(steps, [limits(site, None, Some(3))])
    }),
    ("an environment is created, changed and deleted under the role that Batch makes for itself", |site| {
        let steps = writes([site.create_linked(ONE), limits(site, None, Some(8))]);
        let steps = at_rest(steps, [limits(site, None, Some(8)), site.enable_environment(ONE, false)]);
        at_rest(steps, [site.delete_environment(ONE)])
    }),
    ("a job runs in an environment on Fargate that is disabled meanwhile", |site| {
        let mut steps = vec![Step::Prepare(vec![site.create_linked(ONE)])];
        steps.push(Step::Prepare(vec![site.create_queue(&[ONE])]));
        steps.push(Step::Begin(id(site)));
        steps.extend(writes([site.enable_environment(ONE, false)]));
        steps.extend([Step::Settle, Step::End(id(site))]);
        steps
    }),
    ("a queue is deleted while its job runs, and then the environment", |site| {
        let mut steps = instances(site, 0);
        steps.push(Step::Prepare(vec![site.create_queue(&[ONE])]));
        steps.push(Step::Begin(id(site)));
        let off = vec![site.enable_environment(ONE, false), site.enable_queue(false)];
        steps.push(Step::Prepare(off));
        steps.extend(writes([site.delete_queue()]));
        at_rest(steps, [site.delete_environment(ONE)])
    }),
    ("the service role of a standing environment is deleted, and made again", |site| {
        let mut steps = fargate(site);
        let detach = site.role(Service, role::Call::Detach(SERVICE_POLICY.to_owned()));
        steps.push(Step::Prepare(vec![detach]));
        steps.extend(writes([site.role(Service, role::Call::Delete), tag(site)]));
        steps.push(Step::Prepare(site.service_role()));
        then(steps, [with_role(site, Service)])
    }),
    ("an environment is deleted whose service role is gone", |site| {
        let mut steps = disabled(site);
        let detach = site.role(Service, role::Call::Detach(SERVICE_POLICY.to_owned()));
        steps.push(Step::Prepare(vec![detach, site.role(Service, role::Call::Delete)]));
        steps.extend(writes([site.delete_environment(ONE)]));
        steps.push(Step::Settle);
        steps.push(Step::Prepare(site.service_role()));
        then(steps, [site.delete_environment(ONE)])
    }),
    ("an environment is deleted whose service role has lost its policy", |site| {
        let mut steps = disabled(site);
        let detach = site.role(Service, role::Call::Detach(SERVICE_POLICY.to_owned()));
        steps.push(Step::Prepare(vec![detach]));
        then(steps, [site.delete_environment(ONE)])
    }),
    ("an environment is mended that was made before its service role", |site| {
        let mut steps = writes([site.create_fargate(ONE)]);
        steps.push(Step::Prepare(site.service_role()));
        then(steps, [with_role(site, Service)])
    }),
    ("an environment is mended that was made before its profile was full", |site| {
        let mut prepared = site.for_instances();
        prepared.remove(4);
        let mut steps = after(prepared, [site.create_on_instances(ONE, 0)]);
        let add = instance_profile::Call::AddRole(site.names.role(Instance));
        steps.push(Step::Prepare(vec![site.profile(add)]));
        then(steps, [with_role(site, Service)])
    }),
    ("an environment is disabled and deleted that is INVALID", |site| {
        let mut steps = writes([site.create_fargate(ONE)]);
        steps.push(Step::Prepare(site.service_role()));
        steps.extend(writes([site.delete_environment(ONE), site.enable_environment(ONE, false)]));
        at_rest(steps, [site.delete_environment(ONE)])
    }),
    ("an environment is tagged and untagged", |site| {
        then(fargate(site), [tag(site), untag(site), untag(site)])
    }),
    ("an environment is tagged while it is created", |site| {
        after(site.service_role(), [site.create_fargate(ONE), tag(site)])
    }),
    ("an environment is tagged that does not exist", |site| writes([tag(site), untag(site)])),
    ("an environment of somebody else has no tags of a forge", |site| {
        let mut create = site.create_fargate(ONE);
        if let tower_forge_core::registry::Call::ComputeEnvironment(call) = &mut create.call
            && let Call::Create { tags, .. } = &mut **call
        {
            *tags = Tags::from([("owner".to_owned(), "somebody".to_owned())]);
        }
        "somebodys".clone_into(&mut create.id.name);
        after(site.service_role(), [create])
    }),
];
