//! Lambda: as many processes of the function as events at once, asynchronous retries, and self-invocations.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::cloud::Account;
use crate::runtime_api::{Function, Launch, Log, Outcome};

/// How often Lambda runs an asynchronous event at most: once, and two retries.
const ATTEMPTS: usize = 3;
/// After so many invocations in one chain Lambda's loop detector ends it.
const CHAIN: usize = 16;

/// The Lambda service with our one function in it.
#[derive(Clone)]
pub(crate) struct Lambda(Arc<Service>);

struct Service {
    launch: Launch,
    cloud: Account,
    idle: Mutex<Vec<(String, Function)>>,
    logs: Mutex<BTreeMap<String, Log>>,
    started: AtomicUsize,
    running: watch::Sender<usize>,
}

/// A process that waits for its first event.
#[derive(Debug, Clone)]
pub(crate) struct Warm {
    pub(crate) pid: u32,
    /// The name by which its AWS calls are known.
    pub(crate) app: String,
}

impl Lambda {
    pub(crate) fn new(launch: Launch, cloud: Account) -> Self {
        Self(Arc::new(Service {
            launch,
            cloud,
            idle: Mutex::default(),
            logs: Mutex::default(),
            started: AtomicUsize::new(0),
            running: watch::Sender::new(0),
        }))
    }

    /// Starts a process ahead of time. The next event goes to it.
    pub(crate) async fn warm(&self) -> Warm {
        let (app, function) = self.start().await;
        function.initialised().await;
        let warm = Warm { pid: function.pid(), app: app.clone() };
        self.idle().push((app, function));
        warm
    }

    /// Ends the processes that wait for events, so that the next event meets a cold start.
    pub(crate) async fn cool(&self) {
        let idle = std::mem::take(&mut *self.idle());
        for (_, mut function) in idle {
            function.kill().await;
        }
    }

    /// Runs one event once, and returns the outcome that Lambda would return to a caller that waits.
    pub(crate) async fn invoke(&self, event: &str) -> Outcome {
        self.run(event, None).await
    }

    /// The same with this deadline in the event's headers.
    pub(crate) async fn invoke_until(&self, event: &str, deadline: SystemTime) -> Outcome {
        self.run(event, Some(deadline)).await
    }

    /// Runs an asynchronous event: two retries after an error, and whatever the function sends itself, until
    /// nothing is left to run. Every attempt's outcome, in the order in which they ended.
    pub(crate) async fn deliver(&self, event: &str) -> Vec<Outcome> {
        let mut outcomes = self.attempt(event).await;
        for _ in 0..CHAIN {
            let legs = self.0.cloud.take_invocations().await;
            if legs.is_empty() {
                return outcomes;
            }
            for leg in legs {
                outcomes.extend(self.attempt(&leg.to_string()).await);
            }
        }
        panic!(
            "the function invoked itself {CHAIN} times: Lambda's loop detector would have ended it\n{}",
            self.log()
        );
    }

    /// Waits until no event runs.
    pub(crate) async fn quiet(&self) {
        self.0.running.subscribe().wait_for(|running| *running == 0).await.expect("we hold the sender");
    }

    /// The output of all processes so far.
    pub(crate) fn log(&self) -> String {
        let logs = self.0.logs.lock().expect("no test thread panics while it holds this");
        let texts: Vec<String> = logs.iter().map(|(app, log)| format!("--- {app}\n{}", log.text())).collect();
        texts.concat()
    }

    async fn attempt(&self, event: &str) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for _ in 0..ATTEMPTS {
            let outcome = self.run(event, None).await;
            let returned = outcome.is_returned();
            outcomes.push(outcome);
            if returned {
                break;
            }
        }
        outcomes
    }

    async fn run(&self, event: &str, deadline: Option<SystemTime>) -> Outcome {
        let _running = Running::of(&self.0);
        let idle = self.take_idle();
        let (app, mut function) = match idle {
            Some(idle) => idle,
            None => self.start().await,
        };
        let outcome = match deadline {
            Some(deadline) => function.invoke_until(event, deadline).await,
            None => function.invoke(event).await,
        };
        if !matches!(outcome, Outcome::Died(_)) {
            self.idle().push((app, function));
        }
        outcome
    }

    async fn start(&self) -> (String, Function) {
        let app = format!("fn-{}", 1 + self.0.started.fetch_add(1, Ordering::Relaxed));
        let mut launch = self.0.launch.clone();
        launch.environment.insert("AWS_SDK_UA_APP_ID".to_owned(), app.clone());
        launch
            .environment
            .insert("AWS_LAMBDA_LOG_STREAM_NAME".to_owned(), format!("2026/11/24/[$LATEST]{app}"));
        let function = Function::start(&launch).await;
        self.0
            .logs
            .lock()
            .expect("no test thread panics while it holds this")
            .insert(app.clone(), function.log());
        (app, function)
    }

    fn take_idle(&self) -> Option<(String, Function)> {
        let mut idle = self.idle();
        idle.retain(|(_, function)| !function.has_ended());
        idle.pop()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(String, Function)>> {
        self.0.idle.lock().expect("no test thread panics while it holds this")
    }
}

/// The record that Lambda sends to the `OnFailure` destination when it has given an event up.
pub(crate) fn given_up(event: &Value) -> Value {
    json!({
        "version": "1.0",
        "timestamp": "2026-11-24T08:36:23.000Z",
        "requestContext": {
            "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
            "functionArn": "arn:aws:lambda:eu-west-1:000000000000:function:TowerForge-handler:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": ATTEMPTS,
        },
        "requestPayload": event,
        "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
        "responsePayload": { "errorType": "Runtime.ExitError", "errorMessage": "RequestId: e4b46cbf Error: exit status 1" },
    })
}

/// Counts an event that runs, for as long as it lives.
struct Running<'a>(&'a Service);

impl<'a> Running<'a> {
    fn of(service: &'a Service) -> Self {
        service.running.send_modify(|running| *running += 1);
        Self(service)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.send_modify(|running| *running -= 1);
    }
}
