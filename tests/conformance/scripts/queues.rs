//! Job queues.

use super::{Script, Step, writes};
use crate::site::{ONE, Site, more_keys, more_tags};
use tower_forge_core::name::RoleKind::Service;
use tower_forge_core::registry::Write;
use tower_forge_core::resources::job_queue::{Call, Spec, Update};
use tower_forge_core::resources::role;

const TWO: &str = "00000002";
const ALL: [&str; 4] = [ONE, TWO, "00000003", "00000004"];

/// These environments stand.
fn standing(site: &Site, hashes: &[&str]) -> Vec<Step> {
    let create = hashes.iter().map(|hash| site.create_fargate(hash)).collect();
    vec![Step::Prepare(site.service_role()), Step::Prepare(create)]
}

/// A queue stands on the first of these.
fn queue(site: &Site, hashes: &[&str]) -> Vec<Step> {
    let mut steps = standing(site, hashes);
    steps.push(Step::Prepare(vec![site.create_queue(&hashes[..1])]));
    steps
}

/// The same, disabled.
fn disabled(site: &Site, hashes: &[&str]) -> Vec<Step> {
    let mut steps = queue(site, hashes);
    steps.push(Step::Prepare(vec![site.enable_queue(false)]));
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

fn order(site: &Site, hashes: &[&str]) -> Write {
    site.update_queue(Update { order: Some(site.queue_on(hashes).order), ..Update::default() })
}

fn create_with(site: &Site, change: impl FnOnce(&mut Spec)) -> Write {
    let mut spec = site.queue_on(&[ONE]);
    change(&mut spec);
    site.queue(Call::Create { spec, tags: site.tags() })
}

fn policy(site: &Site) -> String {
    format!("arn:aws:batch:eu-west-1:{}:scheduling-policy/fair", site.account)
}

fn tag(site: &Site) -> Write {
    site.queue(Call::Tag { arn: site.queue_arn(), tags: more_tags() })
}

fn untag(site: &Site) -> Write {
    site.queue(Call::Untag { arn: site.queue_arn(), keys: more_keys() })
}

/// All that is tried on a queue.
pub(crate) const SCRIPTS: &[Script] = &[
    ("a queue is created", |site| then(standing(site, &[ONE]), [site.create_queue(&[ONE])])),
    ("a queue is created twice, and once more at rest", |site| {
        let create = || site.create_queue(&[ONE]);
        at_rest(then(standing(site, &[ONE]), [create(), create()]), [create()])
    }),
    ("a queue is created with three environments", |site| {
        then(standing(site, &ALL), [site.create_queue(&ALL[..3])])
    }),
    ("a queue is created with four environments", |site| {
        then(standing(site, &ALL), [site.create_queue(&ALL)])
    }),
    ("a queue is created without any environment", |site| writes([site.create_queue(&[])])),
    ("a queue is created with an environment that does not exist", |site| {
        then(standing(site, &[ONE]), [site.create_queue(&[ONE, TWO])])
    }),
    ("a queue is created with an environment twice", |site| {
        then(standing(site, &[ONE]), [site.create_queue(&[ONE, ONE])])
    }),
    ("a queue is created on Fargate and on instances", |site| {
        let mut steps = standing(site, &[ONE]);
        steps.push(Step::Prepare(site.for_instances().split_off(2)));
        steps.push(Step::Prepare(vec![site.create_on_instances(TWO, 0)]));
        then(steps, [site.create_queue(&[ONE, TWO])])
    }),
    ("a queue is created on an environment that is being created", |site| {
        let mut steps = vec![Step::Prepare(site.service_role())];
        steps.extend(writes([site.create_fargate(ONE), site.create_queue(&[ONE])]));
        steps
    }),
    ("a queue is created on an environment that is being updated", |site| {
        let change = tower_forge_core::resources::compute_environment::Update {
            max_vcpus: Some(8),
            ..Default::default()
        };
        then(standing(site, &[ONE]), [site.update_environment(ONE, change), site.create_queue(&[ONE])])
    }),
    ("a queue is created on a disabled environment", |site| {
        let mut steps = standing(site, &[ONE]);
        steps.push(Step::Prepare(vec![site.enable_environment(ONE, false)]));
        then(steps, [site.create_queue(&[ONE])])
    }),
    ("a queue is created on an environment that is being deleted", |site| {
        let mut steps = standing(site, &[ONE]);
        steps.push(Step::Prepare(vec![site.enable_environment(ONE, false)]));
        then(steps, [site.delete_environment(ONE), site.create_queue(&[ONE])])
    }),
    ("a queue is created on an INVALID environment", |site| {
        at_rest(writes([site.create_fargate(ONE)]), [site.create_queue(&[ONE])])
    }),
    ("a queue is created with limits in time", |site| {
        then(standing(site, &[ONE]), [create_with(site, |spec| spec.time_limit = Some(600))])
    }),
    ("a queue is created with a scheduling policy that does not exist", |site| {
        let policy = policy(site);
        then(standing(site, &[ONE]), [create_with(site, |spec| spec.scheduling_policy = Some(policy))])
    }),
    ("a queue gets a scheduling policy", |site| {
        let update = Update { scheduling_policy: Some(policy(site)), ..Update::default() };
        then(queue(site, &[ONE]), [site.update_queue(update)])
    }),
    ("a queue is disabled and enabled", |site| {
        at_rest(then(queue(site, &[ONE]), [site.enable_queue(false)]), [site.enable_queue(true)])
    }),
    ("a queue gets another priority and limits in time, and loses them", |site| {
        let time_limits = Some(Spec { time_limit: Some(900), ..site.queue_on(&[ONE]) }.time_limits());
        let change = Update { priority: Some(7), time_limits, ..Update::default() };
        let back = Update { time_limits: Some(Vec::new()), ..Update::default() };
        at_rest(then(queue(site, &[ONE]), [site.update_queue(change)]), [site.update_queue(back)])
    }),
    ("a queue exchanges its environment, which can be deleted then", |site| {
        let steps = then(queue(site, &[ONE, TWO]), [order(site, &[TWO])]);
        let steps = at_rest(steps, [site.enable_environment(ONE, false)]);
        at_rest(steps, [site.delete_environment(ONE)])
    }),
    ("a queue gets a second environment, before the first", |site| {
        then(queue(site, &[ONE, TWO]), [order(site, &[TWO, ONE])])
    }),
    ("a queue gets four environments, none, and one that does not exist", |site| {
        let missing = order(site, &["00000009"]);
        then(queue(site, &ALL), [order(site, &ALL), order(site, &[]), missing])
    }),
    ("a queue gets an environment that is being created", |site| {
        then(queue(site, &[ONE]), [site.create_fargate(TWO), order(site, &[ONE, TWO])])
    }),
    ("a queue is updated while it is created", |site| {
        let create = site.create_queue(&[ONE]);
        then(standing(site, &[ONE]), [create, site.enable_queue(false)])
    }),
    ("a queue is updated while it is updated", |site| {
        then(queue(site, &[ONE]), [site.enable_queue(false), site.enable_queue(true)])
    }),
    ("a queue is updated while it is deleted", |site| {
        then(disabled(site, &[ONE]), [site.delete_queue(), site.enable_queue(true)])
    }),
    ("a queue is updated that does not exist", |site| writes([site.enable_queue(false)])),
    ("an enabled queue is deleted", |site| then(queue(site, &[ONE]), [site.delete_queue()])),
    ("a queue is deleted while it is created", |site| {
        then(standing(site, &[ONE]), [site.create_queue(&[ONE]), site.delete_queue()])
    }),
    ("a queue is deleted while it is disabled", |site| {
        then(queue(site, &[ONE]), [site.enable_queue(false), site.delete_queue()])
    }),
    ("a disabled queue is deleted twice, and once more when it is gone", |site| {
        let delete = || site.delete_queue();
        at_rest(then(disabled(site, &[ONE]), [delete(), delete()]), [delete()])
    }),
    ("an environment is deleted while the last queue on it is deleted", |site| {
        let mut steps = disabled(site, &[ONE]);
        steps.push(Step::Prepare(vec![site.enable_environment(ONE, false)]));
        let steps = then(steps, [site.delete_queue(), site.delete_environment(ONE)]);
        at_rest(steps, [site.delete_environment(ONE)])
    }),
    ("a queue is created while one of its name is deleted, and when that is gone", |site| {
        let steps = then(disabled(site, &[ONE]), [site.delete_queue(), site.create_queue(&[ONE])]);
        at_rest(steps, [site.create_queue(&[ONE])])
    }),
    ("the service role under a queue goes", |site| {
        let detach = site.role(Service, role::Call::Detach(crate::site::SERVICE_POLICY.to_owned()));
        let mut steps = queue(site, &[ONE]);
        steps.push(Step::Prepare(vec![detach, site.role(Service, role::Call::Delete)]));
        then(steps, [tag(site), order(site, &[ONE]), site.enable_queue(false)])
    }),
    ("a queue of somebody else is on an environment of ours", |site| {
        let mut create = site.create_queue(&[ONE]);
        "somebodys".clone_into(&mut create.id.name);
        then(standing(site, &[ONE]), [create])
    }),
    ("a queue is tagged and untagged", |site| {
        then(queue(site, &[ONE]), [tag(site), untag(site), untag(site)])
    }),
    ("a queue is tagged that does not exist", |site| writes([tag(site), untag(site)])),
];
