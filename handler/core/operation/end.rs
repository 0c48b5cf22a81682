//! The end of an invocation: it hands over to the next leg, or records the outcome and responds.

use super::begin::Held;
use super::{Operation, Verdict};
use crate::attributes::attributes;
use crate::claim::writer::{self, Finished, Gate};
use crate::claim::{End, Recorded};
use crate::error::{Error, Reason, Result, chain};
use crate::inventory::Inventory;
use crate::leg::{Continuation, LEGS};
use crate::name::ForgeId;
use crate::operation::Ended;
use crate::port::{Cloud, Undelivered};
use crate::properties::Properties;
use crate::respond::Response;
use crate::warnings;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::time::Duration;

/// Time for the next leg to claim before it counts as lost.
const LEG_BEGINS: Duration = Duration::from_secs(10);
/// Pause before the gate is asked again.
const AGAIN: Duration = Duration::from_secs(3);
/// Time before the end of an invocation by which the last response must have been tried.
const LAST_MOMENT: Duration = Duration::from_secs(5);

impl<C: Cloud> Operation<'_, C> {
    /// Continues the same event in another invocation.
    pub(super) async fn hand_over(&self, held: &Held, mut pending: Vec<String>) -> Result<Ended> {
        let leg = self.continuation.map_or(1, |leg| leg.leg).saturating_add(1);
        if self.window.is_last || leg > LEGS || !self.lambda.can_continue {
            return Err(Error::TimedOut(pending));
        }
        let now = self.cloud.now().mono;
        let left = |then: Duration| u64::try_from(then.saturating_sub(now).as_millis()).unwrap_or_default();
        // The next leg's reads may not show yet all that this one has created.
        let shown = |wrote: Duration| wrote + self.deployment.timing.call + self.deployment.timing.read_lag;
        let continuation = Continuation {
            leg,
            by: self.claimant.by.clone(),
            operation: self.claimant.operation.clone(),
            signed: self.claimant.signed,
            look_not_before: left(held.look),
            close_not_before: left(held.settled.max(self.last_write.get().map_or(now, shown))),
            kept: held.kept.clone(),
        };
        let Err(err) = self.cloud.continue_later(&continuation).await else {
            tracing::info!(leg, pending = pending.join("; "), "continues in another invocation");
            return Ok(Ended::Continued(leg));
        };
        // Whether it arrived is unknown.
        let until = self.cloud.now().mono + LEG_BEGINS;
        while self.cloud.now().mono < until {
            if let Gate::Superseded { .. } = self.writer().gate().await {
                return Ok(Ended::Continued(leg));
            }
            self.cloud.sleep(AGAIN).await;
        }
        pending.push(format!("the function could not invoke itself: {}", chain(&err)));
        Err(Error::TimedOut(pending))
    }

    /// Records the outcome, then responds.
    pub(super) async fn finish(
        &self,
        verdict: Verdict,
        busy: bool,
        held: &Held,
    ) -> Result<Ended, Undelivered> {
        let (response, record, gone) = match verdict {
            Verdict::Success { inventory, gone } => {
                let (response, record) = self.success(inventory.as_deref(), &gone, held);
                (response, record, gone)
            }
            Verdict::Failure(err) => (self.failure(&err), Recorded::Nothing, BTreeSet::new()),
            Verdict::Superseded { .. } | Verdict::Pending(_) => unreachable!("both have been dealt with"),
        };
        let wanted = self.intent.wanted_forge().map(ForgeId::as_str);
        let stays = held.begun.iter().filter(|forge| !gone.contains(*forge));
        let is_success = matches!(response, Response::Success { .. });
        let end = End {
            body: self.body(&response),
            busy,
            record,
            forget: is_success && wanted.is_none() && stays.count() == 0,
            gone,
        };
        let until = self.window.end.saturating_sub(LAST_MOMENT);
        match writer::finish(self.cloud, &self.claimant, &end, until).await {
            Ok(Finished::Respond(body)) => self.put(body).await,
            Ok(Finished::Superseded { lost_tie }) => self.lose(lost_tie).await,
            Err(err) if err.is_final() || self.window.is_last => self.respond_failure(&err.into()).await,
            Err(err) => Err(Undelivered::Unreachable(err.to_string())),
        }
    }

    /// Leaves the response to the invocation that holds the claim. Only if that one belongs to another operation that was
    /// signed in the same second, this one has to respond: CloudFormation may be waiting for it.
    pub(super) async fn lose(&self, lost_tie: bool) -> Result<Ended, Undelivered> {
        if lost_tie {
            let err = "another operation signed in the same second takes precedence; try again";
            return self.respond_failure(&Error::Refused(err.to_owned())).await;
        }
        tracing::info!("superseded; another invocation responds");
        Ok(Ended::Silent("a newer operation or another delivery has the claim"))
    }

    fn success(
        &self,
        inventory: Option<&Inventory>,
        gone: &BTreeSet<String>,
        held: &Held,
    ) -> (Response, Recorded) {
        let (Some(inventory), Some(Ok(wanted))) = (inventory, &self.intent.wanted) else {
            let physical_id = self.intent.physical_id.clone();
            let recorded = held.recorded.as_ref().is_some_and(|record| gone.contains(&record.forge));
            let record = if recorded { Recorded::Gone } else { Recorded::Nothing };
            return (Response::Success { physical_id, attributes: Map::new() }, record);
        };
        let cx = self.intent.context(&self.intent.forge);
        let physical_id = self.intent.forge.to_string();
        let attributes = self.with_limits(attributes(&cx, wanted, inventory), wanted, inventory);
        // Said once more, the same state does not hide the one before it.
        let before = held.recorded.as_ref().map(|record| {
            let is_same = record.digest == self.claimant.digest;
            if is_same { record.before.clone() } else { record.digest.clone() }
        });
        let record = Recorded::Forge { forge: physical_id.clone(), before: before.unwrap_or_default() };
        (Response::Success { physical_id, attributes }, record)
    }

    /// The attributes with the limits that jobs keep from being reached. Only the other warnings are known, and measured,
    /// before anything is created, so these are left to the log if the response has no room for them.
    fn with_limits(
        &self,
        attributes: Map<String, Value>,
        wanted: &Properties,
        inventory: &Inventory,
    ) -> Map<String, Value> {
        let limits = warnings::limits(inventory);
        if limits.is_empty() {
            return attributes;
        }
        for limit in &limits {
            tracing::warn!("{limit}");
        }
        let text = warnings::text(&[limits, warnings::warnings(wanted)].concat());
        let mut longer = attributes.clone();
        longer.insert("Warnings".to_owned(), text.into());
        let physical_id = self.intent.forge.to_string();
        let response = Response::Success { physical_id, attributes: longer.clone() };
        if response.body(&self.request.envelope).is_ok() { longer } else { attributes }
    }

    pub(super) fn failure(&self, error: &Error) -> Response {
        let (log_stream, request_id) = (&self.deployment.log_stream, &self.lambda.request_id);
        let reason = Reason { error, log_stream, request_id }.to_string();
        tracing::error!(reason, physical_id = self.intent.physical_id, "operation failed");
        Response::Failed { physical_id: self.intent.physical_id.clone(), reason }
    }

    pub(super) fn body(&self, response: &Response) -> String {
        let physical_id = self.intent.physical_id.clone();
        let body = response.body(&self.request.envelope).or_else(|excess| {
            // Cannot happen: the attributes are measured before anything is made.
            let reason = format!("[InternalFailure] the response is {excess} bytes too long");
            Response::Failed { physical_id, reason }.body(&self.request.envelope)
        });
        body.unwrap_or_default()
    }

    /// Responds without a record, because nothing was written or the table is unavailable.
    pub(super) async fn respond_failure(&self, err: &Error) -> Result<Ended, Undelivered> {
        self.put(self.body(&self.failure(err))).await
    }

    pub(super) async fn put(&self, body: String) -> Result<Ended, Undelivered> {
        match self.cloud.respond(&self.request.envelope.response_url, &body).await {
            Ok(()) => Ok(Ended::Responded(body)),
            Err(Undelivered::Refused(code)) => {
                tracing::error!(code, "CloudFormation refused the response: its URL has expired or is wrong");
                Ok(Ended::Refused(code))
            }
            Err(err) => Err(err),
        }
    }
}
