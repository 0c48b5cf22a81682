//! The loop behind Create, Update, Delete, rollback and sweep: observe, plan, act, until a fresh plan is empty.
//!
//! No state is kept between invocations, so the loop can be interrupted and restarted anywhere. Independent steps run
//! concurrently, and every write needs a permit.

use crate::claim::Permit;
use crate::claim::writer::{Gate, Writer, Written};
use crate::error::{Error, Result, ServiceError, chain};
use crate::inventory::Inventory;
use crate::name::Names;
use crate::network::Network;
use crate::next::{self, History, Next, Situation, enter, next};
use crate::owner::Owner;
use crate::plan::{Plan, Step, plan};
use crate::port::{Cloud, Now};
use crate::properties::Properties;
use crate::registry::Desired;
use crate::resource::{Kind, ResourceId};
use futures_util::future::{join, join_all, try_join_all};
use std::collections::BTreeSet;
use std::time::Duration;

/// Pause before a failed read is repeated.
const AGAIN: Duration = Duration::from_secs(5);
/// How long reads of a failing service are retried: the SDK gives up after a minute, and the stack would be rolled
/// back.
const PATIENCE: Duration = Duration::from_mins(3);

/// The forge that is reconciled.
#[derive(Debug)]
pub struct Target<'a> {
    /// Its names.
    pub names: &'a Names,
    /// Its owner.
    pub owner: &'a Owner,
    /// The kinds to observe.
    pub kinds: &'a [Kind],
    /// The properties whose network is observed too.
    pub placed: Option<&'a Properties>,
    /// When to stop, by the monotonic clock.
    pub until: Duration,
    /// From when on absences count, by the monotonic clock.
    pub settled: Duration,
}

/// The outcome if there was no error.
#[derive(Debug)]
pub enum Outcome {
    /// The desired state has been reached.
    Done(Done),
    /// Another invocation holds the claim; it may have been signed in the same second.
    Superseded {
        /// If so, the loser responds FAILED.
        lost_tie: bool,
    },
    /// Time ran out; the pending resources.
    Pending(Vec<String>),
}

/// The state at the end.
#[derive(Debug)]
pub struct Done {
    /// The last observation.
    pub inventory: Inventory,
    /// The deleted resources.
    pub deleted: BTreeSet<ResourceId>,
}

/// The desired resources, given the observed ones and the network.
pub type DesiredState<'a> = &'a (dyn Fn(&Inventory, &Result<Network>) -> Result<Vec<Desired>> + Sync);

/// Reconciles a forge with its desired state.
///
/// # Errors
///
/// A step failed permanently; all independent steps have been taken.
pub async fn reconcile<C: Cloud>(
    writer: &Writer<'_, C>,
    target: &Target<'_>,
    desired_state: DesiredState<'_>,
) -> Result<Outcome> {
    let mut inventory = Inventory::default();
    let mut history = History::with_read_lag(writer.timing.read_lag);
    let mut kinds: BTreeSet<Kind> = target.kinds.iter().copied().collect();
    // The network is observed once, with all kinds.
    let (network, mut pending) =
        join(network(writer.cloud, target), look(writer.cloud, target, &kinds, &mut inventory, &mut history))
            .await;
    let network = match network {
        Read::Answered(network) => network,
        Read::OutOfTime(err) => return Ok(Outcome::Pending(vec![chain(&err)])),
    };
    loop {
        if let Some(pending) = pending? {
            return Ok(Outcome::Pending(pending));
        }
        let desired = desired_state(&inventory, &network)?;
        let now = writer.cloud.now();
        let plan = plan(&desired, &inventory, target.owner);
        history.forget_settled(&plan);
        let situation = Situation {
            desired: &desired,
            inventory: &inventory,
            owner: target.owner,
            kinds: target.kinds,
            now,
            settled: target.settled,
            seed: target.names.id().as_str(),
        };
        let mut unreachable = None;
        let pause = match next(&plan, &history, &situation)? {
            Next::Finish => return Ok(Outcome::Done(Done { inventory, deleted: history.deleted })),
            Next::Look { after, kinds: stale } => {
                kinds = stale;
                after
            }
            Next::Act(steps) => match writer.permit().await {
                Gate::Open(permit) => {
                    let accepted = act(writer, &permit, &steps, &mut history, &situation).await?;
                    writer.permit.replace(Some(permit));
                    note(&accepted, &desired, &mut inventory, &mut history, &writer.cloud.now());
                    // Before anything is observed, the next steps may be ready.
                    kinds.clear();
                    Duration::ZERO
                }
                Gate::Unreachable(err) if err.is_final() => return Err(err.into()),
                Gate::Unreachable(err) => {
                    kinds = steps.iter().map(|step| step.id.kind).collect();
                    unreachable = Some(err.to_string());
                    AGAIN
                }
                Gate::Superseded { lost_tie } => return Ok(Outcome::Superseded { lost_tie }),
            },
        };
        if !rest(writer.cloud, pause, target.until).await {
            return Ok(Outcome::Pending(left(&plan, &history).into_iter().chain(unreachable).collect()));
        }
        pending = look(writer.cloud, target, &kinds, &mut inventory, &mut history).await;
    }
}

/// Pauses, but not beyond `until`. Returns whether there was any time left.
async fn rest<C: Cloud>(cloud: &C, pause: Duration, until: Duration) -> bool {
    let left = until.saturating_sub(cloud.now().mono);
    if !left.is_zero() && !pause.is_zero() {
        cloud.sleep(pause.min(left)).await;
    }
    !left.is_zero()
}

fn left(plan: &Plan, history: &History) -> Vec<String> {
    let pending = history.pending(plan);
    if pending.is_empty() { vec!["earlier changes to become visible".to_owned()] } else { pending }
}

/// The end of a read that was repeated.
enum Read<T> {
    Answered(Result<T>),
    /// Time ran out; the last error.
    OutOfTime(Error),
}

/// Reads from AWS. Throttled and failed reads, and those of a resource in transition, are repeated, which only costs time.
async fn read<T, C: Cloud>(cloud: &C, target: &Target<'_>, read: impl AsyncFn() -> Result<T>) -> Read<T> {
    let begun = cloud.now().mono;
    loop {
        let err = match read().await {
            Ok(answer) => return Read::Answered(Ok(answer)),
            Err(err) => err,
        };
        let now = cloud.now().mono;
        let passes =
            |err: &ServiceError| err.is_throttled() || err.transient().is_some() && now < begun + PATIENCE;
        if !err.service().is_some_and(passes) {
            return Read::Answered(Err(err));
        }
        if now + AGAIN >= target.until {
            return Read::OutOfTime(err);
        }
        tracing::warn!(forge = target.names.id().as_str(), error = chain(&err), "retrying a read");
        cloud.sleep(AGAIN).await;
    }
}

async fn network<C: Cloud>(cloud: &C, target: &Target<'_>) -> Read<Network> {
    match target.placed {
        Some(properties) => {
            read(cloud, target, async || Box::pin(cloud.network(properties, target.names)).await).await
        }
        None => Read::Answered(Ok(Network::default())),
    }
}

/// Observes some kinds concurrently and replaces their inventory. Returns the pending items if time runs out first.
async fn look<C: Cloud>(
    cloud: &C,
    target: &Target<'_>,
    kinds: &BTreeSet<Kind>,
    inventory: &mut Inventory,
    history: &mut History,
) -> Result<Option<Vec<String>>> {
    let begun = cloud.now().mono;
    let listings = read(cloud, target, async || {
        let looks = kinds.iter().map(|kind| async move {
            Ok::<_, Error>((*kind, Box::pin(cloud.list(*kind, target.names)).await?))
        });
        try_join_all(looks).await
    });
    match listings.await {
        Read::Answered(listings) => {
            for (kind, listing) in listings? {
                inventory.replace(kind, listing);
            }
            history.note_look(kinds, begun);
            Ok(None)
        }
        Read::OutOfTime(err) => Ok(Some(vec![chain(&err)])),
    }
}

/// Executes steps concurrently. Returns those that AWS accepted, with the results of their calls.
///
/// A transient refusal is recorded. Any other stops creations immediately, and a deletion only of the resource
/// concerned.
async fn act<'p, C: Cloud>(
    writer: &Writer<'_, C>,
    permit: &Permit,
    steps: &[&'p Step],
    history: &mut History,
    situation: &Situation<'_>,
) -> Result<Vec<(&'p Step, Written)>> {
    let seen: &History = history;
    let results = join_all(steps.iter().map(|step| take(writer, permit, step, seen, situation))).await;
    let mut failures = Vec::new();
    let mut accepted = Vec::new();
    let after = Situation { now: writer.cloud.now(), ..*situation };
    for (step, result) in steps.iter().zip(results) {
        history.note_sent(step, &after);
        match result {
            // It goes on after the next observation.
            Ok(Written::PermitOver) => history.note_cut(step, after.now.mono),
            Ok(written) => {
                accepted.push((*step, written));
                history.note_step(step, Ok(()), &after);
            }
            Err(err) => failures.extend(history.note_step(step, Err(err), &after)),
        }
    }
    if failures.is_empty() { Ok(accepted) } else { Err(Error::all(failures)) }
}

/// Enters the results of accepted steps into the inventory, or notes that they have to be observed.
fn note(
    accepted: &[(&Step, Written)],
    desired: &[Desired],
    inventory: &mut Inventory,
    history: &mut History,
    now: &Now,
) {
    for (step, written) in accepted {
        if *written != Written::Done || !enter(step, desired, inventory, now) {
            history.note_unseen(step, now.mono);
        }
    }
}

/// Executes one step, its calls in sequence. Returns the result of the call that ended it, or of one that was not needed.
async fn take<C: Cloud>(
    writer: &Writer<'_, C>,
    permit: &Permit,
    step: &Step,
    history: &History,
    situation: &Situation<'_>,
) -> Result<Written> {
    let begun = writer.cloud.now().mono;
    let work = async {
        let mut result = Written::Done;
        for write in next::writes(step, history, situation)? {
            match Box::pin(writer.write(permit, &write)).await? {
                Written::Done => {}
                Written::Unneeded => result = Written::Unneeded,
                // It may be somebody else's, made after the look: nothing more is done to it.
                end @ (Written::Exists | Written::PermitOver) => return Ok(end),
            }
        }
        Ok(result)
    };
    let result = work.await;
    let took = writer.cloud.now().mono.saturating_sub(begun);
    log(situation.seed, step, took, result.as_ref().err());
    result
}

/// Logs one line per step.
fn log(forge: &str, step: &Step, took: Duration, err: Option<&Error>) {
    let resource = step.id.to_string();
    let (action, milliseconds) = (step.action.as_str(), u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    match err {
        None => tracing::info!(forge, resource, action, milliseconds, outcome = "accepted", why = step.why),
        Some(err) => {
            let error = chain(err);
            tracing::warn!(forge, resource, action, milliseconds, outcome = "refused", error);
        }
    }
}
