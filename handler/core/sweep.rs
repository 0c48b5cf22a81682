//! `{"sweep": true}`: collects, of all forges of the region, what has been replaced and is idle.
//!
//! It knows no properties, so it only takes away: an environment that is tagged as retiring, disabled and idle,
//! once its stack is at rest, and templates that nothing refers to any more. It disables nothing: AWS refuses to
//! delete an ENABLED environment, and that refusal is the fence against a rollback that has just enabled it.

use crate::aws::Aws;
use crate::desired::queue_as_it_is;
use crate::error::{AwsError, Context as _, Result, chain};
use crate::function::Function;
use crate::inventory::Inventory;
use crate::name::{FORGE_TAG, ForgeId, LOGICAL_TAG, Names, RETIRING_TAG, RoleKind, STACK_TAG};
use crate::plan::Owner;
use crate::resource::{self, Kind, Phase, Seen, TagChanges};
use crate::resources::batch::name_of;
use crate::resources::job_queue;
use crate::settings::Settings;
use crate::stack;
use aws_smithy_types::date_time::{DateTime, Format};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;
use tokio::time::Instant;

/// How long something is left alone if its stack's state cannot be told, in seconds.
const UNKNOWN: f64 = 24.0 * 3600.0;

/// What a sweep looks at.
const KINDS: [Kind; 3] = [Kind::LaunchTemplate, Kind::ComputeEnvironment, Kind::JobQueue];

/// What a sweep did to one forge.
#[derive(Debug, Default)]
struct Report {
    collected: Vec<String>,
    waiting: Vec<String>,
    failed: Vec<String>,
}

/// Sweeps all forges of the region until `until`. Never fails: what does not go is said, and tried the next time.
pub async fn sweep(function: &Function, until: Instant) -> Value {
    let owners = match owners(&function.aws, &function.settings).await {
        Ok(owners) => owners,
        Err(err) => {
            tracing::error!(error = chain(&err), "the sweep cannot look");
            return json!({"failed": [chain(&err)]});
        }
    };
    let mut all = Report::default();
    for owner in owners {
        let mut report = Report::default();
        if let Err(err) = sweep_forge(function, &owner, until, &mut report).await {
            report.failed.push(format!("forge {}: {}", owner.forge_id, chain(&err)));
        }
        let (collected, failed) = (report.collected.join(", "), report.failed.join(", "));
        let waiting = report.waiting.join(", ");
        tracing::info!(forge = owner.forge_id, collected, waiting, failed, "swept");
        all.collected.append(&mut report.collected);
        all.waiting.append(&mut report.waiting);
        all.failed.append(&mut report.failed);
    }
    json!({"collected": all.collected, "waiting": all.waiting, "failed": all.failed})
}

/// The forges that have something that retires, as their parts' tags name them.
async fn owners(aws: &Aws, settings: &Settings) -> Result<Vec<Owner>> {
    let prefix = format!("{}-", settings.prefix);
    let pages = aws.batch.describe_compute_environments().into_paginator().items().send();
    let environments = pages.try_collect().await.on("batch:DescribeComputeEnvironments", &prefix)?;
    let pages = aws.ec2.describe_launch_templates().into_paginator().items().send();
    let templates = pages.try_collect().await.on("ec2:DescribeLaunchTemplates", &prefix)?;
    let environments = environments.into_iter().map(|found| {
        let tags: BTreeMap<String, String> = found.tags.unwrap_or_default().into_iter().collect();
        (found.compute_environment_name.unwrap_or_default(), tags, true)
    });
    let templates = templates.into_iter().map(|found| {
        let tags = found.tags.unwrap_or_default().into_iter();
        let tags = tags.filter_map(|tag| Some((tag.key?, tag.value?))).collect();
        (found.launch_template_name.unwrap_or_default(), tags, false)
    });
    let mut owners = BTreeMap::new();
    for (name, tags, environment) in environments.chain(templates) {
        let tag = |key: &str| tags.get(key).cloned();
        let retires = !environment || tags.contains_key(RETIRING_TAG);
        let (true, true, Some(forge_id), Some(stack_id), Some(logical_id)) =
            (retires, name.starts_with(&prefix), tag(FORGE_TAG), tag(STACK_TAG), tag(LOGICAL_TAG))
        else {
            continue;
        };
        owners.insert(
            (forge_id.clone(), stack_id.clone()),
            Owner { forge_id, stack_id, logical_id, adopts: false },
        );
    }
    Ok(owners.into_values().collect())
}

async fn sweep_forge(function: &Function, owner: &Owner, until: Instant, report: &mut Report) -> Result<()> {
    let Some(id) = ForgeId::parse(&owner.forge_id) else { return Ok(()) };
    let names = Names::new(&function.settings.prefix, id);
    let kinds = BTreeSet::from(KINDS);
    let mut waiting: BTreeSet<String> = BTreeSet::new();
    loop {
        let mut there = Inventory::default();
        there.refresh(&function.aws, &names, &kinds).await?;
        let in_progress = stack::is_in_progress(&function.aws, &owner.stack_id).await;
        let step = next(function, owner, &there, in_progress, &mut waiting);
        let done = match step {
            Step::LetGo(queue, without) => let_go(function, queue, &without).await,
            Step::Delete(seen) => {
                let gone = resource::delete(&function.aws, seen).await;
                if gone.is_ok() {
                    report.collected.push(seen.id.to_string());
                }
                gone
            }
            Step::Wait => Ok(()),
            Step::Nothing => {
                report.waiting.extend(waiting);
                if !report.collected.is_empty() && in_progress == Some(false) {
                    collect_fleet_role(function, owner, &names, there, report).await?;
                }
                return Ok(());
            }
        };
        match done {
            Err(err) if err.aws().and_then(AwsError::settles).is_none() => return Err(err),
            _ => {}
        }
        let pause = function.settings.pace.seconds(3.0);
        if Instant::now() + pause >= until {
            report.waiting.push(format!("forge {}: the sweep's time is over", owner.forge_id));
            return Ok(());
        }
        tokio::time::sleep(pause).await;
    }
}

/// Collects the spot fleet's role once the last environment that used it has gone.
async fn collect_fleet_role(
    function: &Function,
    owner: &Owner,
    names: &Names,
    mut there: Inventory,
    report: &mut Report,
) -> Result<()> {
    there.refresh(&function.aws, names, &BTreeSet::from([Kind::Role, Kind::ComputeEnvironment])).await?;
    let role = there.get(Kind::Role, &names.role(RoleKind::Fleet)).filter(|seen| owner.owns(&seen.tags));
    let stands = there.of(Kind::ComputeEnvironment).any(|seen| owner.owns(&seen.tags));
    if let Some(role) = role.filter(|role| stands && there.holders(&role.id).next().is_none()) {
        resource::delete(&function.aws, role).await?;
        report.collected.push(role.id.to_string());
    }
    Ok(())
}

enum Step<'a> {
    /// Take environments out of a queue.
    LetGo(&'a Seen, BTreeSet<String>),
    /// Delete a part.
    Delete(&'a Seen),
    /// Something is in transition.
    Wait,
    /// Nothing is left to collect now.
    Nothing,
}

/// PURE. The next step of a sweep, and why what retires is left alone.
fn next<'a>(
    function: &Function,
    owner: &Owner,
    there: &'a Inventory,
    in_progress: Option<bool>,
    waiting: &mut BTreeSet<String>,
) -> Step<'a> {
    waiting.clear();
    if in_progress == Some(true) {
        waiting.insert(format!("forge {}: its stack is in progress", owner.forge_id));
        return Step::Nothing;
    }
    let ours = |seen: &&Seen| owner.owns(&seen.tags);
    let mut ripe = BTreeSet::new();
    let mut settling = false;
    for seen in there.of(Kind::ComputeEnvironment).filter(ours) {
        let Some(since) = seen.tags.get(RETIRING_TAG) else { continue };
        match unripe(function, there, seen, since, in_progress) {
            None => drop(ripe.insert(seen.id.name.clone())),
            Some(Unripe::Settling) => settling = true,
            Some(Unripe::Waits(why)) => drop(waiting.insert(format!("{}: {why}", seen.id))),
        }
    }
    for queue in there.of(Kind::JobQueue).filter(ours) {
        let order = queue.queue().map(|live| live.order.as_slice()).unwrap_or_default();
        let held: BTreeSet<String> =
            order.iter().map(|arn| name_of(arn).to_owned()).filter(|name| ripe.contains(name)).collect();
        if held.is_empty() || held.len() == order.len() {
            continue;
        }
        if matches!(queue.phase, Phase::Settling(_)) {
            return Step::Wait;
        }
        return Step::LetGo(queue, held);
    }
    let free = there
        .of(Kind::ComputeEnvironment)
        .filter(ours)
        .find(|seen| ripe.contains(&seen.id.name) && there.holders(&seen.id).next().is_none());
    if let Some(seen) = free {
        return Step::Delete(seen);
    }
    if settling || !ripe.is_empty() {
        return Step::Wait;
    }
    // Without any environment the forge is being made or unmade, which is not for the sweep to meddle with.
    let stands =
        in_progress == Some(false) && there.of(Kind::ComputeEnvironment).any(|seen| owner.owns(&seen.tags));
    let unused = |seen: &&Seen| there.holders(&seen.id).next().is_none();
    match there.of(Kind::LaunchTemplate).filter(ours).find(unused) {
        Some(template) if stands => Step::Delete(template),
        _ => Step::Nothing,
    }
}

enum Unripe {
    Settling,
    Waits(String),
}

/// Why a retiring environment may not go yet.
fn unripe(
    function: &Function,
    there: &Inventory,
    seen: &Seen,
    since: &str,
    in_progress: Option<bool>,
) -> Option<Unripe> {
    let waits = |why: &str| Some(Unripe::Waits(why.to_owned()));
    if matches!(seen.phase, Phase::Settling(_)) {
        return Some(Unripe::Settling);
    }
    if seen.is_enabled() {
        return waits("it is enabled");
    }
    let idle = seen.environment().and_then(crate::resources::compute_environment::Live::is_idle);
    if !idle.unwrap_or_else(|| there.idle.contains(&seen.id.name)) {
        return waits("jobs still run in it");
    }
    let Ok(since) = DateTime::from_str(since, Format::DateTime) else {
        return waits("its tag does not tell since when");
    };
    let now = DateTime::from(SystemTime::now());
    #[allow(clippy::cast_precision_loss)] // seconds since a date of this century
    let age = (now.secs() - since.secs()) as f64;
    let least = function.settings.retire_after.as_secs_f64();
    let least = if in_progress.is_none() { least.max(UNKNOWN) } else { least };
    if age < least { waits("it has not retired for long enough") } else { None }
}

async fn let_go(function: &Function, queue: &Seen, without: &BTreeSet<String>) -> Result<()> {
    let Some(live) = queue.queue() else { return Ok(()) };
    let mut spec = queue_as_it_is(live);
    spec.order.retain(|arn| !without.contains(name_of(arn)));
    job_queue::update(&function.aws, &queue.id.name, &spec, live, &TagChanges::default()).await
}
