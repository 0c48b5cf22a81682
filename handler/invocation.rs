//! One invocation: from an event to at most one response.

use crate::aws::clients::Clients;
use crate::aws::world::World;
use crate::settings;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tower_forge_core::deployment::Deployment;
use tower_forge_core::error::{Error, Reason};
use tower_forge_core::event::{AccountScope, Envelope, Request};
use tower_forge_core::leg::Continuation;
use tower_forge_core::operation::{self, Ended, Lambda};
use tower_forge_core::port::{Responder as _, Undelivered};
use tower_forge_core::respond::Response;
use tower_forge_core::{preview, sweep};
use tower_forge_edge::clock::HostClock;
use tower_forge_edge::environment::Environment;
use tower_forge_edge::event::Event;
use tower_forge_edge::table::ClaimTable;

/// How long an invocation is taken to last where its deadline is unknown.
const UNKNOWN_DEADLINE: Duration = Duration::from_mins(15);

/// The function, created once per cold start.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) clients: Clients,
    pub(crate) table: ClaimTable,
    pub(crate) http: reqwest::Client,
    pub(crate) clock: HostClock,
    pub(crate) environment: Environment,
    pub(crate) deployment: Deployment,
}

/// Lambda's data on one invocation.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    /// Lambda's request ID.
    pub(crate) request_id: String,
    /// The function's ARN.
    pub(crate) function_arn: String,
    /// When Lambda ends it. One in the past is taken as unknown: `cargo lambda watch` sends 1970.
    pub(crate) deadline: SystemTime,
}

/// CloudFormation has not been answered; to Lambda the invocation has failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvocationError {
    /// The response could not be delivered; Lambda tries the event again.
    #[error("no response to CloudFormation: {0}")]
    Undelivered(#[from] Undelivered),
    /// The event does not say whom to answer; the error makes it visible in the function's metrics.
    #[error("no usable ResponseURL: {0}")]
    NoAddress(String),
}

impl Function {
    /// Carries out one event.
    pub(crate) async fn invoke(
        &self,
        event: Value,
        invocation: &Invocation,
    ) -> Result<Value, InvocationError> {
        let function = settings::function_name();
        let left =
            invocation.deadline.duration_since(SystemTime::now()).ok().map(|left| self.clock.aws(left));
        let world = World {
            clients: &self.clients,
            table: &self.table,
            http: &self.http,
            clock: self.clock,
            event: &event,
            function: function.as_deref(),
            end: self.clock.now().mono + left.unwrap_or(UNKNOWN_DEADLINE),
        };
        let account = AccountScope::of(&invocation.function_arn);
        match Event::read(event.clone(), &self.environment.source, self.clock.now().wall) {
            Event::Request(request, continuation) => {
                let lambda = Lambda {
                    request_id: invocation.request_id.clone(),
                    time_left: left,
                    can_continue: function.is_some(),
                };
                self.carry_out(&world, placed(*request, account), continuation.as_ref(), &lambda).await
            }
            Event::Malformed(envelope, why) => self.refuse(&world, &envelope, why, invocation).await,
            Event::Plan(Ok(request)) => {
                let request = placed(*request, account);
                Ok(Box::pin(preview::preview(&world, &self.deployment, &request)).await)
            }
            Event::Plan(Err(why)) => Ok(json!({"error": why})),
            Event::Sweep => {
                let until = world.end.saturating_sub(Duration::from_mins(1));
                Ok(Box::pin(sweep::sweep(&world, &self.deployment, until)).await)
            }
            Event::Unanswerable(why) => {
                tracing::error!(why, "no usable ResponseURL");
                Err(InvocationError::NoAddress(why))
            }
        }
    }

    async fn carry_out(
        &self,
        world: &World<'_>,
        request: Request,
        continuation: Option<&Continuation>,
        lambda: &Lambda,
    ) -> Result<Value, InvocationError> {
        let carried = operation::carry_out(world, &self.deployment, &request, continuation, lambda);
        Ok(match Box::pin(carried).await? {
            Ended::Responded(body) => {
                let body: Value = serde_json::from_str(&body).unwrap_or_default();
                let (status, physical_id) = (&body["Status"], &body["PhysicalResourceId"]);
                tracing::info!(%status, %physical_id, "responded");
                json!({"status": status, "physicalId": physical_id})
            }
            Ended::Refused(code) => json!({"refused": code}),
            Ended::Silent(why) => json!({"stopped": why}),
            Ended::Continued(leg) => json!({"leg": leg}),
        })
    }

    /// Answers a request that cannot be carried out.
    async fn refuse(
        &self,
        world: &World<'_>,
        envelope: &Envelope,
        why: String,
        invocation: &Invocation,
    ) -> Result<Value, InvocationError> {
        let error = Error::Invalid(vec![why]);
        let (log_stream, request_id) = (&self.environment.log_stream, &invocation.request_id);
        let reason = Reason { error: &error, log_stream, request_id }.to_string();
        tracing::error!(reason, "operation failed");
        let physical_id = envelope.physical_id.clone().unwrap_or_else(|| "unreadable-request".to_owned());
        let body = Response::Failed { physical_id, reason }.body(envelope).unwrap_or_default();
        match world.respond(&envelope.response_url, &body).await {
            Ok(()) => Ok(json!({"status": "FAILED"})),
            Err(Undelivered::Refused(code)) => Ok(json!({"refused": code})),
            Err(err) => Err(err.into()),
        }
    }
}

/// A stack may be in another account than the function; the resources are in the function's account.
fn placed(mut request: Request, account: Option<AccountScope>) -> Request {
    if let Some(account) = account {
        request.account = account;
    }
    request
}
