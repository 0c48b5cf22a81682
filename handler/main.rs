//! The Lambda function `Custom::TowerForge`: clients once per cold start, then one event after the other.
//!
//! Everything that decides is in `tower-forge-core`; here are the adapters to AWS, and the edge to Lambda.

mod aws;
mod invocation;
mod settings;

use crate::aws::clients::Clients;
use crate::invocation::{Function, Invocation};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tower_forge_edge::clock::HostClock;
use tower_forge_edge::environment::{Access, Environment};
use tower_forge_edge::table::ClaimTable;
use tower_forge_edge::{logging, respond};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    logging::start();
    let environment = Environment::read();
    let clock = HostClock::start(environment.scale);
    let http = respond::client_builder().build()?;
    let access = Access::read(http.clone());
    let table = ClaimTable::new(&access, environment.table.clone());
    let clients = Clients::new(&Clients::configuration(access), &clock, &environment.timing());
    let deployment = settings::deployment(&environment, clients.region.clone());
    let function = Function { clients, table, http, clock, environment, deployment };
    let function = &function;
    // The event is taken as plain JSON: one that does not fit a type would never reach us, and nobody would answer.
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let LambdaEvent { payload, context } = event;
        let invocation = Invocation {
            deadline: context.deadline(),
            request_id: context.request_id,
            function_arn: context.invoked_function_arn,
        };
        Box::pin(function.invoke(payload, &invocation)).await.map_err(lambda_runtime::Error::from)
    }))
    .await
}
