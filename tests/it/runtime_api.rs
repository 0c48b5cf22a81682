//! The Lambda Runtime API, and one process of the function that is served by it.
//!
//! A [`Function`] is an execution environment in Lambda's words: a process that handles one event at a time. It
//! starts with an environment that holds only the variables of Lambda and of the template, so no setting
//! of the machine that runs the tests can help it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpListener,
    process::{Child, Command},
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinHandle,
};

/// Which of our two binaries runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// The custom resource.
    TowerForge,
    /// The one that answers for invocations which died.
    DeadLetter,
}

/// The settings that a function is started with.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) program: Program,
    /// Its whole environment, but for the variables that the Runtime API adds.
    pub(crate) environment: BTreeMap<String, String>,
    /// Lambda's own limit for one invocation, after which the process is killed.
    pub(crate) timeout: Duration,
    pub(crate) arn: String,
}

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// The handler returned this.
    Returned(Value),
    /// The handler, or the start of the process, reported an error.
    Errored { r#type: String, message: String },
    /// The process ended, or was ended, before it had reported anything.
    Died(String),
}

impl Outcome {
    /// Whether Lambda regards it as a success.
    pub(crate) fn is_returned(&self) -> bool {
        matches!(self, Self::Returned(_))
    }

    /// The value that the handler returned.
    pub(crate) fn value(&self) -> Option<&Value> {
        match self {
            Self::Returned(value) => Some(value),
            Self::Errored { .. } | Self::Died(_) => None,
        }
    }
}

struct Invocation {
    id: String,
    event: String,
    deadline_ms: u128,
}

struct Served {
    arn: String,
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    current: Mutex<Option<(String, oneshot::Sender<Outcome>)>>,
    initialised: watch::Sender<bool>,
    log: Log,
}

impl Served {
    fn finish(&self, id: Option<&str>, outcome: Outcome) -> StatusCode {
        let mut current = self.current.lock().expect("no test thread panics while it holds this");
        match current.take_if(|(running, _)| id.is_none_or(|id| id == running.as_str())) {
            Some((_, done)) => {
                // Nobody waits any more for an invocation that has run out of time.
                let _ = done.send(outcome);
                StatusCode::ACCEPTED
            }
            None => StatusCode::BAD_REQUEST,
        }
    }
}

/// The output of a process on stdout and stderr, both in one, as in CloudWatch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// All of it so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no test thread panics while it holds this"))
            .into_owned()
    }

    async fn copy_from(self, mut from: impl AsyncRead + Unpin) {
        let mut buffer = [0; 8192];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            self.0
                .lock()
                .expect("no test thread panics while it holds this")
                .extend_from_slice(&buffer[..read]);
        }
    }
}

/// One process of the function.
pub(crate) struct Function {
    pid: u32,
    served: Arc<Served>,
    events: mpsc::UnboundedSender<Invocation>,
    timeout: Duration,
    kill: Arc<Notify>,
    ended: watch::Receiver<Option<String>>,
    task: JoinHandle<()>,
}

/// The dead letter, a package of its own whose binary Cargo puts beside the function's.
fn dead_letter() -> PathBuf {
    let path = std::path::Path::new(env!("CARGO_BIN_EXE_tower-forge")).with_file_name("dead-letter");
    assert!(path.exists(), "{} is missing: run `cargo build --bins --tests` first", path.display());
    path
}

static INVOCATIONS: AtomicU64 = AtomicU64::new(1);

impl Function {
    /// Starts the process; it need not have initialised when this returns.
    pub(crate) async fn start(launch: &Launch) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let (events, waiting) = mpsc::unbounded_channel();
        let served = Arc::new(Served {
            arn: launch.arn.clone(),
            waiting: tokio::sync::Mutex::new(waiting),
            current: Mutex::new(None),
            initialised: watch::Sender::new(false),
            log: Log::default(),
        });
        let router = router(served.clone());
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the Runtime API serves until it is dropped");
        });
        let mut process = Command::new(match launch.program {
            Program::TowerForge => PathBuf::from(env!("CARGO_BIN_EXE_tower-forge")),
            Program::DeadLetter => dead_letter(),
        })
        .env_clear()
        .envs(&launch.environment)
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the function starts");
        let pid = process.id().expect("it runs");
        let stdout = tokio::spawn(served.log.clone().copy_from(process.stdout.take().expect("piped")));
        let stderr = tokio::spawn(served.log.clone().copy_from(process.stderr.take().expect("piped")));
        let kill = Arc::new(Notify::new());
        let (tell, ended) = watch::channel(None);
        let (stop, shared) = (kill.clone(), served.clone());
        tokio::spawn(async move {
            let mut why = wait(&mut process, &stop).await;
            // Its last output is part of its log before anybody learns that it has died.
            let _ = tokio::join!(stdout, stderr);
            if !*shared.initialised.borrow() {
                why = format!("{why} before it asked for its first event");
            }
            shared.finish(None, Outcome::Died(why.clone()));
            tell.send_replace(Some(why));
        });
        Self { pid, served, events, timeout: launch.timeout, kill, ended, task }
    }

    /// Hands it an event and waits for the end of that invocation, as Lambda does: at the deadline the process
    /// is killed.
    pub(crate) async fn invoke(&mut self, event: &str) -> Outcome {
        let deadline = SystemTime::now() + self.timeout;
        self.invoke_until(event, deadline).await
    }

    /// The same with a deadline to be told; one that has passed is not enforced (some emulators send such).
    pub(crate) async fn invoke_until(&mut self, event: &str, deadline: SystemTime) -> Outcome {
        let (done, outcome) = oneshot::channel();
        let id =
            format!("{:08x}-0000-4000-8000-{:012x}", self.pid, INVOCATIONS.fetch_add(1, Ordering::Relaxed));
        *self.served.current.lock().expect("no test thread panics while it holds this") =
            Some((id.clone(), done));
        let deadline_ms = deadline.duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        let remaining = deadline.duration_since(SystemTime::now()).unwrap_or(self.timeout);
        if self.events.send(Invocation { id, event: event.to_owned(), deadline_ms }).is_err()
            || self.has_ended()
        {
            return Outcome::Died(self.ended.borrow().clone().unwrap_or_default());
        }
        if let Ok(outcome) = tokio::time::timeout(remaining, outcome).await {
            return outcome.expect("every invocation is finished");
        }
        self.kill().await;
        Outcome::Died(format!("Task timed out after {:.2} seconds", remaining.as_secs_f64()))
    }

    /// Waits until it has asked for its first event, or has died.
    pub(crate) async fn initialised(&self) {
        let (mut initialised, mut ended) = (self.served.initialised.subscribe(), self.ended.clone());
        tokio::select! {
            _ = initialised.wait_for(|yes| *yes) => {}
            _ = ended.wait_for(Option::is_some) => {}
        }
    }

    /// Kills it, and waits for its end.
    pub(crate) async fn kill(&mut self) {
        self.kill.notify_one();
        self.ended.wait_for(Option::is_some).await.expect("its end is told");
    }

    /// Whether the process has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Its process ID.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Its output.
    pub(crate) fn log(&self) -> Log {
        self.served.log.clone()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.kill.notify_one();
        self.task.abort();
    }
}

async fn wait(process: &mut Child, stop: &Notify) -> String {
    tokio::select! {
        status = process.wait() => match status {
            Ok(status) => format!("the process ended with {status}"),
            Err(why) => format!("the process was lost: {why}"),
        },
        () = stop.notified() => {
            process.kill().await.expect("a child of ours can be killed");
            "the process was killed by the test".to_owned()
        }
    }
}

fn router(served: Arc<Served>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .with_state(served)
}

async fn next(State(served): State<Arc<Served>>) -> Response {
    served.initialised.send_replace(true);
    let Some(invocation) = served.waiting.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let headers = [
        ("lambda-runtime-aws-request-id", invocation.id),
        ("lambda-runtime-deadline-ms", invocation.deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", served.arn.clone()),
        ("lambda-runtime-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0".to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, invocation.event).into_response()
}

async fn response(State(served): State<Arc<Served>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    served.finish(Some(&id), Outcome::Returned(serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

async fn error(State(served): State<Arc<Served>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    served.finish(Some(&id), errored(&body))
}

async fn init_error(State(served): State<Arc<Served>>, body: Bytes) -> StatusCode {
    served.finish(None, errored(&body))
}

fn errored(body: &[u8]) -> Outcome {
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    Outcome::Errored { r#type: text("errorType"), message: text("errorMessage") }
}
