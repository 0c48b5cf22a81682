//! AWS as one invocation sees it: the core's port.

use super::clients::Clients;
use super::error::Context as _;
use super::{network, registry, stack, sweepable};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use serde_json::Value;
use std::time::Duration;
use tower_forge_core::claim::Permit;
use tower_forge_core::error::{Error, Result};
use tower_forge_core::event::ResponseUrl;
use tower_forge_core::leg::Continuation;
use tower_forge_core::name::Names;
use tower_forge_core::network::Network;
use tower_forge_core::port::{Clock, Cloud, Now, Responder, Shown, Sweepable, Table, Undelivered};
use tower_forge_core::properties::Properties;
use tower_forge_core::registry::{Observed, Write};
use tower_forge_core::resource::{Kind, Listing};
use tower_forge_core::table::{Attributes, TableError, Update, Updated};
use tower_forge_edge::clock::{HostClock, random};
use tower_forge_edge::event::CONTINUATION;
use tower_forge_edge::respond;
use tower_forge_edge::table::ClaimTable;

/// AWS as one invocation sees it. Not `Debug`: the event holds the response URL and values of `NoEcho` parameters.
pub(crate) struct World<'a> {
    pub(crate) clients: &'a Clients,
    pub(crate) table: &'a ClaimTable,
    pub(crate) http: &'a reqwest::Client,
    pub(crate) clock: HostClock,
    /// The event, for the next leg.
    pub(crate) event: &'a Value,
    /// The name by which the function invokes itself.
    pub(crate) function: Option<&'a str>,
    /// When the invocation ends, by the clock's monotonic side.
    pub(crate) end: Duration,
}

impl Clock for World<'_> {
    fn now(&self) -> Now {
        self.clock.now()
    }

    async fn sleep(&self, pause: Duration) {
        self.clock.sleep(pause).await;
    }

    fn random(&self) -> u64 {
        random()
    }
}

impl Table for World<'_> {
    async fn read(&self, key: &str) -> Result<Option<Attributes>, TableError> {
        Box::pin(self.table.read(key)).await
    }

    async fn update(&self, update: &Update) -> Result<Updated, TableError> {
        Box::pin(self.table.update(update)).await
    }
}

impl Responder for World<'_> {
    async fn respond(&self, url: &ResponseUrl, body: &str) -> Result<(), Undelivered> {
        let until = self.end.saturating_sub(Duration::from_secs(2));
        respond::put(self.http, &self.clock, url.expose(), body, until).await
    }
}

impl Cloud for World<'_> {
    async fn list(&self, kind: Kind, names: &Names) -> Result<Listing<Observed>> {
        registry::list(self.clients, kind, names).await
    }

    async fn write(&self, _permit: &Permit, write: &Write) -> Result<()> {
        registry::write(self.clients, write).await
    }

    async fn network(&self, properties: &Properties, names: &Names) -> Result<Network> {
        Box::pin(network::look_up(&self.clients.read, &self.clients.region, properties, names)).await
    }

    async fn shown(&self, stack_id: &str, logical_id: &str) -> Shown {
        Box::pin(stack::shown(self.clients, stack_id, logical_id)).await
    }

    async fn stack_status(&self, stack_id: &str) -> Option<String> {
        Box::pin(stack::status(self.clients, stack_id)).await
    }

    async fn sweepable(&self, prefix: &str) -> Result<Vec<Sweepable>> {
        Box::pin(sweepable::list(&self.clients.read, prefix)).await
    }

    async fn continue_later(&self, continuation: &Continuation) -> Result<()> {
        let function = self.function.ok_or_else(|| Error::Bug("the function has no name".to_owned()))?;
        let mut event = self.event.clone();
        event[CONTINUATION] =
            serde_json::to_value(continuation).map_err(|err| Error::Bug(err.to_string()))?;
        let invoke = self.clients.lambda.invoke().function_name(function);
        let invoke = invoke.payload(Blob::new(event.to_string())).invocation_type(InvocationType::Event);
        Box::pin(invoke.send()).await.on("lambda:InvokeFunction", function).map(drop)
    }
}
