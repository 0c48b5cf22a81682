//! The Lambda function: clients once per cold start, then one event after the other.

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tower_forge::aws::Aws;
use tower_forge::function::{Function, Invocation};
use tower_forge::settings::Settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tower_forge::logging::start();
    let settings = Settings::from_env();
    let aws = Aws::from_env(settings.pace).await;
    // An answer goes where CloudFormation says and nowhere else.
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let function = Function { aws, http, settings };
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
