//! The one loop behind Create, Update, Delete, rollback and sweep: look, plan, act, until a fresh plan is empty.
//!
//! Nothing is remembered between invocations, so a loop may be broken off anywhere and begun again. Steps that do not
//! depend on each other are taken side by side, and every write needs a permit.

use crate::claim::Permit;
use crate::claim::writer::{Gate, Writer, Written};
use crate::error::{Error, Result, ServiceError, chain};
use crate::inventory::Inventory;
use crate::name::Names;
use crate::next::{self, History, Next, Situation, after_acting, is_young, next};
use crate::owner::Owner;
use crate::plan::{Action, Plan, Step, plan};
use crate::port::Cloud;
use crate::registry::{Desired, Existing};
use crate::resource::{Kind, ResourceId};
use crate::table::TableError;
use futures_util::future::{join, join_all, try_join_all};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long to wait before something that cannot be read is read again.
const AGAIN: Duration = Duration::from_secs(5);
/// How long a service that fails is asked again: the SDK gives up after a minute, and a stack would be rolled back.
const PATIENCE: Duration = Duration::from_mins(3);

/// The forge that is reconciled.
#[derive(Debug)]
pub struct Target<'a> {
    /// Its names.
    pub names: &'a Names,
    /// Its owner.
    pub owner: &'a Owner,
    /// The kinds to look at.
    pub kinds: &'a [Kind],
    /// When to break off, by the monotonic clock.
    pub until: Duration,
    /// From when on an absence proves something, by the monotonic clock.
    pub settled: Duration,
}

/// How it ended, if nothing went wrong.
#[derive(Debug)]
pub enum Outcome {
    /// All is as desired.
    Done(Done),
    /// Another invocation is named, which may have been signed in the same second.
    Superseded {
        /// Then the loser answers FAILED.
        lost_tie: bool,
    },
    /// The time is over; what is pending.
    Pending(Vec<String>),
}

/// What stands at the end.
#[derive(Debug)]
pub struct Done {
    /// What has been observed last.
    pub inventory: Inventory,
    /// What has been deleted.
    pub deleted: BTreeSet<ResourceId>,
}

/// Which resources are desired, given what has been observed.
pub type DesiredState<'a> = &'a (dyn Fn(&Inventory) -> Result<Vec<Desired>> + Sync);

/// Reconciles a forge with its desired state.
///
/// # Errors
///
/// What cannot be done; everything that did not depend on it has been done.
pub async fn reconcile<C: Cloud>(
    writer: &Writer<'_, C>,
    target: &Target<'_>,
    desired_state: DesiredState<'_>,
) -> Result<Outcome> {
    let mut inventory = Inventory::default();
    let mut history = History::with_read_lag(writer.timing.read_lag);
    let mut deleted = BTreeSet::new();
    let mut kinds: BTreeSet<Kind> = target.kinds.iter().copied().collect();
    loop {
        let begun = writer.cloud.now().mono;
        let permit = match observe(writer, target, &kinds, &mut inventory).await? {
            Ok(permit) => permit,
            Err(ended) => return Ok(ended),
        };
        history.note_look(&kinds, begun);

        let desired = desired_state(&inventory)?;
        let now = writer.cloud.now();
        let may_lag =
            |existing: &Existing| history.has_repaired(&existing.id) || is_young(existing, &inventory, &now);
        let plan = plan(&desired, &inventory, target.owner, &may_lag);
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
        let pause = match (next(&plan, &history, &situation)?, &permit) {
            (Next::Finish, _) => return Ok(Outcome::Done(Done { inventory, deleted })),
            (Next::Act(steps), Ok(permit)) => {
                let accepted = act(writer, permit, &steps, &mut history, &situation).await?;
                deleted.extend(
                    accepted.iter().filter(|step| step.action == Action::Delete).map(|s| s.id.clone()),
                );
                let accepted = accepted.iter().map(|step| step.id.kind).collect();
                let (pause, more) = after_acting(&plan, &history, &situation, &accepted);
                kinds = more;
                pause
            }
            // Nothing may be written now; whoever may is known at the next look.
            (Next::Act(steps), Err(_)) => {
                kinds = steps.iter().map(|step| step.id.kind).collect();
                AGAIN
            }
            (Next::Look { after, kinds: stale }, _) => {
                kinds = stale;
                after
            }
        };
        if writer.cloud.now().mono + pause >= target.until {
            let unreachable = permit.err().map(|err| err.to_string());
            return Ok(Outcome::Pending(pending(&plan, &history).into_iter().chain(unreachable).collect()));
        }
        if !pause.is_zero() {
            writer.cloud.sleep(pause).await;
        }
    }
}

/// Asks the gate and looks at some kinds, side by side: a permit, unless the table cannot be read; or how it ends.
async fn observe<C: Cloud>(
    writer: &Writer<'_, C>,
    target: &Target<'_>,
    kinds: &BTreeSet<Kind>,
    inventory: &mut Inventory,
) -> Result<Result<Result<Permit, TableError>, Outcome>> {
    let (gate, looked) = join(writer.gate(), look(writer.cloud, target, kinds, inventory)).await;
    let permit = match gate {
        Gate::Superseded { lost_tie } => return Ok(Err(Outcome::Superseded { lost_tie })),
        Gate::Lost => return Err(Error::Refused("another stack has taken this forge".to_owned())),
        Gate::Unreachable(err) if err.is_final() => return Err(err.into()),
        Gate::Unreachable(err) => Err(err),
        Gate::Open(permit) => Ok(permit),
    };
    Ok(match looked? {
        Some(pending) => Err(Outcome::Pending(pending)),
        None => Ok(permit),
    })
}

fn pending(plan: &Plan, history: &History) -> Vec<String> {
    let pending = history.pending(plan);
    if pending.is_empty() { vec!["what was changed before to become visible".to_owned()] } else { pending }
}

/// Looks at some kinds, side by side, and replaces what was known of them. What is throttled or fails is asked again,
/// which costs nothing but time. Returns what is pending if the time is over before.
async fn look<C: Cloud>(
    cloud: &C,
    target: &Target<'_>,
    kinds: &BTreeSet<Kind>,
    inventory: &mut Inventory,
) -> Result<Option<Vec<String>>> {
    let begun = cloud.now().mono;
    loop {
        let looks = kinds.iter().map(|kind| async move {
            Ok::<_, Error>((*kind, Box::pin(cloud.list(*kind, target.names)).await?))
        });
        let err = match try_join_all(looks).await {
            Ok(listings) => {
                for (kind, listing) in listings {
                    inventory.replace(kind, listing);
                }
                return Ok(None);
            }
            Err(err) => err,
        };
        let now = cloud.now().mono;
        let passes = |err: &ServiceError| err.is_throttled() || err.is_failure() && now < begun + PATIENCE;
        if !err.service().is_some_and(passes) {
            return Err(err);
        }
        if now + AGAIN >= target.until {
            return Ok(Some(vec![chain(&err)]));
        }
        tracing::warn!(forge = target.names.id().as_str(), error = chain(&err), "retrying inventory");
        cloud.sleep(AGAIN).await;
    }
}

/// Takes steps side by side. Returns those that AWS took.
///
/// A refusal that AWS takes back is noted; another one stops what is being made at once, and what is being deleted
/// only where it stands.
async fn act<'p, C: Cloud>(
    writer: &Writer<'_, C>,
    permit: &Permit,
    steps: &[&'p Step],
    history: &mut History,
    situation: &Situation<'_>,
) -> Result<Vec<&'p Step>> {
    let seen: &History = history;
    let results = join_all(steps.iter().map(|step| take(writer, permit, step, seen, situation))).await;
    let mut failures = Vec::new();
    let mut accepted = Vec::new();
    let after = Situation { now: writer.cloud.now(), ..*situation };
    for (step, result) in steps.iter().zip(results) {
        // A step that a permit's end has cut short goes on after the next look.
        history.note_sent(step, &after);
        let Some(result) = result else { continue };
        if result.is_ok() {
            accepted.push(*step);
        }
        failures.extend(history.note_step(step, result, &after));
    }
    if failures.is_empty() { Ok(accepted) } else { Err(Error::all(failures)) }
}

/// Takes one step: its calls one after the other. `None` if the permit was over before the last of them.
async fn take<C: Cloud>(
    writer: &Writer<'_, C>,
    permit: &Permit,
    step: &Step,
    history: &History,
    situation: &Situation<'_>,
) -> Option<Result<()>> {
    let begun = writer.cloud.now().mono;
    let work = async {
        for write in next::writes(step, history, situation)? {
            match Box::pin(writer.write(permit, &write)).await? {
                Written::Done => {}
                // It may be somebody else's, made after the look: nothing more is done to it.
                Written::Exists => break,
                Written::PermitOver => return Ok(Written::PermitOver),
            }
        }
        Ok(Written::Done)
    };
    let result = work.await;
    let took = writer.cloud.now().mono.saturating_sub(begun);
    log(situation.seed, step, took, result.as_ref().err());
    match result {
        Ok(Written::PermitOver) => None,
        Ok(Written::Done | Written::Exists) => Some(Ok(())),
        Err(err) => Some(Err(err)),
    }
}

/// One line for each step.
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
