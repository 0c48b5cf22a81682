//! Create, Update and Delete: claim, reconcile the forge with its desired state, delete other forges of the resource,
//! record the outcome, respond.
//!
//! *Guarantees.* Once a response URL has been read, CloudFormation gets one response, even after invalid properties, an
//! AWS error, a panic or a timeout. The exception is that another invocation responds: the next leg of the same
//! operation, or a newer operation.

mod begin;
mod end;
mod forge;

use crate::claim::writer::Writer;
use crate::claim::{Claimant, Permit, Verb, duties};
use crate::deployment::Deployment;
use crate::error::{Error, Result, ServiceError, chain};
use crate::event::Request;
use crate::intent::{self, Intent};
use crate::inventory::Inventory;
use crate::leg::Continuation;
use crate::name::ForgeId;
use crate::network::Network;
use crate::operation::begin::{Begun, Failed, Held};
use crate::port::{Cloud, Now, Timestamp, Undelivered};
use crate::properties::Properties;
use crate::reconcile::{Done, Outcome, Target, reconcile};
use crate::resource::Kind;
use futures_util::FutureExt as _;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

/// Time before the end of an invocation at which the next leg takes over.
const HANDOVER: Duration = Duration::from_mins(1);
/// Assumed duration of an invocation with an unknown deadline.
const UNKNOWN_DEADLINE: Duration = Duration::from_mins(15);
/// Lambda's data on one invocation.
#[derive(Clone, Debug)]
pub struct Lambda {
    /// Lambda's request ID.
    pub request_id: String,
    /// Remaining time of the invocation, in AWS time; `None` if unknown.
    pub time_left: Option<Duration>,
    /// Whether the function can invoke itself.
    pub can_continue: bool,
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// CloudFormation has the response.
    Responded(String),
    /// CloudFormation refused the URL: it has expired or was never valid. A retry is useless.
    Refused(u16),
    /// Another invocation responds, or no response is expected; the reason.
    Silent(&'static str),
    /// The operation continues in the leg of this number.
    Continued(u32),
}

/// Time limits of an invocation, by the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When to hand over to the next leg or respond.
    pub until: Duration,
    /// When the invocation ends.
    pub end: Duration,
    /// Whether the operation's whole budget ends in this invocation.
    pub is_last: bool,
}

impl Window {
    /// The time limits of an invocation for an operation signed at `signed`, for which CloudFormation waits `timeout`.
    pub fn of(now: &Now, time_left: Option<Duration>, signed: Timestamp, timeout: Duration) -> Self {
        let left = time_left.unwrap_or(UNKNOWN_DEADLINE);
        // A short invocation still works for half of its time.
        let leg_end = now.mono + left.saturating_sub(HANDOVER.min(left / 2));
        let budget = timeout.saturating_sub((timeout / 10).min(Duration::from_mins(2)));
        let budget_end = now.mono + budget.saturating_sub(now.since(signed));
        Self { until: leg_end.min(budget_end), end: now.mono + left, is_last: budget_end <= leg_end }
    }
}

/// One invocation of one operation.
struct Operation<'a, C> {
    cloud: &'a C,
    deployment: &'a Deployment,
    request: &'a Request,
    continuation: Option<&'a Continuation>,
    lambda: &'a Lambda,
    intent: Intent,
    claimant: Claimant,
    window: Window,
    /// When it last sent a write, by the monotonic clock.
    last_write: Cell<Option<Duration>>,
    /// The last permit.
    permit: RefCell<Option<Permit>>,
}

/// The outcome of an operation.
enum Verdict {
    /// The desired state has been reached.
    Success { inventory: Option<Box<Inventory>>, gone: BTreeSet<String> },
    /// The operation failed.
    Failure(Error),
    /// Another invocation holds the claim.
    Superseded { lost_tie: bool },
    /// Time ran out; the pending resources.
    Pending(Vec<String>),
}

/// Carries out a request.
///
/// # Errors
///
/// The response could not be delivered; Lambda should retry the event.
pub async fn carry_out<C: Cloud>(
    cloud: &C,
    deployment: &Deployment,
    request: &Request,
    continuation: Option<&Continuation>,
    lambda: &Lambda,
) -> Result<Ended, Undelivered> {
    let now = cloud.now();
    let url = &request.envelope.response_url;
    let signed = url.signed_at().or(continuation.map(|leg| leg.signed)).unwrap_or(now.wall.secs());
    let operation = match (url.signed_at(), continuation) {
        (None, Some(leg)) => leg.operation.clone(),
        (None, None) => format!("{:016x}{:016x}", cloud.random(), cloud.random()),
        (Some(_), _) => request.operation_id(),
    };
    let intent = Intent::read(request, deployment, Timestamp::from_secs(signed));
    if url.signed_at().is_some() && now.since(intent.signed) > intent.service_timeout {
        tracing::warn!("stale event; nothing was changed");
        return Ok(Ended::Silent("CloudFormation has given up"));
    }
    let by = format!("{}/{:016x}", lambda.request_id, cloud.random());
    let operation = Operation {
        cloud,
        deployment,
        request,
        continuation,
        lambda,
        claimant: intent::claimant(request, operation, signed, by),
        window: Window::of(&now, lambda.time_left, intent.signed, intent.service_timeout),
        intent,
        last_write: Cell::default(),
        permit: RefCell::default(),
    };
    let leg = continuation.map_or(1, |leg| leg.leg);
    let (verb, logical_id) = (request.operation.as_str(), &request.envelope.logical_id);
    tracing::info!(
        operation = verb,
        forge = operation.intent.forge.as_str(),
        logical_id,
        leg,
        "operation started"
    );
    Box::pin(operation.run()).await
}

impl<C: Cloud> Operation<'_, C> {
    async fn run(&self) -> Result<Ended, Undelivered> {
        let held = match self.take_claim().await {
            Ok(Begun::Held(held)) => held,
            Ok(Begun::Ended(ended)) => return Ok(ended),
            Err(Failed::Undelivered(err)) => return Err(err),
            Err(Failed::Table(err)) => return self.respond_failure(&err.into()).await,
        };
        // A panic must not leave CloudFormation waiting. Calls may then still be under way.
        let (verdict, busy) = match guarded(self.work(&held)).await {
            Ok(verdict) => (verdict, self.cloud.now().mono < held.look),
            Err(bug) => (Verdict::Failure(bug), true),
        };
        let verdict = match verdict {
            Verdict::Superseded { lost_tie } => return self.lose(lost_tie).await,
            Verdict::Pending(pending) => match self.hand_over(&held, pending).await {
                Ok(ended) => return Ok(ended),
                Err(err) => Verdict::Failure(err),
            },
            verdict => verdict,
        };
        self.finish(verdict, busy, &held).await
    }

    /// Reconciles the desired forge, then deletes all others that were started.
    async fn work(&self, held: &Held) -> Verdict {
        if let Some(pending) = self.wait_for_quiet(held).await {
            return Verdict::Pending(pending);
        }
        let mut inventory = None;
        if self.intent.verb != Verb::Delete {
            match self.establish(held).await {
                Ok(Outcome::Done(done)) => inventory = Some(Box::new(done.inventory)),
                Ok(Outcome::Superseded { lost_tie }) => return Verdict::Superseded { lost_tie },
                Ok(Outcome::Pending(pending)) => return Verdict::Pending(pending),
                Err(err) if err.service().is_some_and(ServiceError::is_throttled) => {
                    return Verdict::Pending(vec![chain(&err)]);
                }
                Err(err) => return Verdict::Failure(err),
            }
        }
        self.clear(held, inventory).await
    }

    /// Waits until no call of a predecessor can be in progress. Returns the pending items if time runs out first.
    async fn wait_for_quiet(&self, held: &Held) -> Option<Vec<String>> {
        let now = self.cloud.now().mono;
        if held.look > now {
            self.cloud.sleep(held.look.min(self.window.until).saturating_sub(now)).await;
        }
        let pending = || vec!["calls of an invocation that was superseded".to_owned()];
        (self.cloud.now().mono < held.look).then(pending)
    }

    /// Creates the desired forge, or reconciles it.
    async fn establish(&self, held: &Held) -> Result<Outcome> {
        self.intent.check(held.was_established)?;
        for warning in self.intent.warnings() {
            tracing::warn!("{warning}");
        }
        let forge = match self.claim_forge(&self.intent.forge).await? {
            Ok(forge) => forge,
            Err(outcome) => return Ok(outcome),
        };
        let outcome = self.bring_to_what_is_wanted(held).await;
        self.release_forge(&forge, &outcome).await;
        outcome
    }

    async fn bring_to_what_is_wanted(&self, held: &Held) -> Result<Outcome> {
        let cx = self.intent.context(&self.intent.forge);
        let is_rollback = held.is_rollback || self.is_rolling_back().await;
        let kinds = self.deployment.kinds();
        let intent = &self.intent;
        let decide = |inventory: &Inventory, network: &Result<Network>| {
            intent.check_network(network, held.was_established)?;
            intent.decide(&cx, network, inventory, is_rollback)
        };
        let placed = self.intent.wanted.as_ref().and_then(|wanted| wanted.as_ref().ok());
        self.reconcile(held, &cx, &kinds, placed, &decide).await
    }

    /// Whether the stack is undoing an Update that had succeeded. This matters only to a file system that has grown.
    async fn is_rolling_back(&self) -> bool {
        if !self.intent.shrinks {
            return false;
        }
        for _ in 0..begin::QUESTIONS {
            let status = self.cloud.stack_status(&self.request.envelope.stack_id).await;
            if status.as_ref().is_some_and(|status| status.starts_with("UPDATE_ROLLBACK")) {
                return true;
            }
            // CloudFormation may show the rollback late, or not answer.
            let is_late = self.cloud.now().since(self.intent.signed) >= begin::SHOWN_LATE;
            if status.is_some() && is_late {
                return false;
            }
            self.cloud.sleep(begin::AGAIN).await;
        }
        false
    }

    /// Deletes every forge that is neither desired nor kept. Only the Delete of the resource itself fails if
    /// one of them remains.
    async fn clear(&self, held: &Held, inventory: Option<Box<Inventory>>) -> Verdict {
        let wanted = self.intent.wanted_forge().map(ForgeId::as_str);
        let must_go = self.intent.verb == Verb::Delete;
        let mut gone = BTreeSet::new();
        let mut failures = Vec::new();
        let mut pending = Vec::new();
        for forge in duties(&held.begun, wanted, held.kept.as_deref()) {
            let Some(id) = ForgeId::parse(&forge) else { continue };
            match self.remove(held, &id).await {
                Ok(Outcome::Done(Done { .. })) => drop(gone.insert(forge)),
                Ok(Outcome::Superseded { lost_tie }) => return Verdict::Superseded { lost_tie },
                Ok(Outcome::Pending(more)) => pending.extend(more),
                Err(err) => failures.push(err),
            }
        }
        if !pending.is_empty() && (must_go || !self.window.is_last) {
            return Verdict::Pending(pending);
        }
        if must_go && !failures.is_empty() {
            return Verdict::Failure(Error::all(failures));
        }
        let left: Vec<String> = failures.iter().map(chain).chain(pending).collect();
        if !left.is_empty() {
            tracing::warn!(left = left.join("; "), "left to the next operation");
        }
        Verdict::Success { inventory, gone }
    }

    /// Deletes a forge, or leaves it to another stack.
    async fn remove(&self, held: &Held, id: &ForgeId) -> Result<Outcome> {
        let forge = match self.claim_forge(id).await? {
            Ok(forge) => forge,
            Err(outcome) => return Ok(outcome),
        };
        let cx = self.intent.context(id);
        let intent = &self.intent;
        let decide = |inventory: &Inventory, _: &Result<Network>| intent.decide_removal(&cx, inventory);
        // A file system may have been made before the deployer turned them off.
        let outcome = self.reconcile(held, &cx, Kind::ALL, None, &decide).await;
        self.release_forge(&forge, &outcome).await;
        outcome
    }

    async fn reconcile(
        &self,
        held: &Held,
        cx: &crate::desired::Context,
        kinds: &[Kind],
        placed: Option<&Properties>,
        desired: crate::reconcile::DesiredState<'_>,
    ) -> Result<Outcome> {
        let target = Target {
            names: &cx.names,
            owner: &cx.owner,
            kinds,
            placed,
            until: self.window.until,
            settled: held.settled,
        };
        Box::pin(reconcile(&self.writer(), &target, desired)).await
    }

    fn writer(&self) -> Writer<'_, C> {
        Writer {
            cloud: self.cloud,
            key: &self.claimant.key,
            by: &self.claimant.by,
            claimant: Some(&self.claimant),
            timing: self.deployment.timing,
            last_write: &self.last_write,
            permit: &self.permit,
        }
    }
}

/// Runs a future and converts a panic into an error.
async fn guarded<T>(work: impl Future<Output = T>) -> Result<T> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.map_err(|panic| Error::Bug(panic_text(panic.as_ref())))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_text() {
        #[allow(clippy::panic)] // that is what is tested
        let work = async { panic!("the thing is broken") };
        let err = guarded::<()>(work).now_or_never().unwrap().unwrap_err();
        assert_eq!(
            (err.code(), err.to_string().as_str()),
            ("InternalFailure", "a bug in this function: the thing is broken")
        );
    }

    #[test]
    fn a_window_ends_with_the_invocation_or_with_the_budget() {
        let now = Now { mono: Duration::from_secs(100), wall: Timestamp::from_secs(1000), scale: 1.0 };
        let of = |left: u64, age: i64, timeout: u64| {
            let left = Some(Duration::from_secs(left));
            let window =
                Window::of(&now, left, Timestamp::from_secs(1000 - age), Duration::from_secs(timeout));
            (window.until.as_secs(), window.is_last)
        };
        assert_eq!(of(900, 0, 3600), (940, false));
        assert_eq!(of(900, 3400, 3600), (180, true), "less a margin of two minutes");
        assert_eq!(of(900, 4000, 3600), (100, true));
        assert_eq!(of(60, 0, 3600), (130, false), "a short invocation works for half of its time");
        assert_eq!(of(900, 0, 200), (280, true));
    }
}
