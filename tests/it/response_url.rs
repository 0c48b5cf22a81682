//! The server behind the presigned response URLs, with the checks of S3 and of CloudFormation.
//!
//! It refuses as S3 does. An answer for which CloudFormation would fail the stack is accepted, as S3 accepts it, and
//! noted as a violation, and a test with violations fails when its account ends.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_smithy_types::{DateTime, date_time::Format};
use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    serve::Listener,
};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::cloud::Account;

/// How every signature begins, so that logs can be searched for it.
pub(crate) const SIGNATURE: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7";
/// For how many seconds a URL holds.
const EXPIRES: i64 = 7200;
/// The longest answer that CloudFormation reads.
const LONGEST: usize = 4096;

/// An answer as CloudFormation reads it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) succeeded: bool,
    pub(crate) reason: String,
    pub(crate) physical_id: String,
    /// The attributes that `Fn::GetAtt` reads.
    pub(crate) data: Value,
    /// Its size in bytes.
    pub(crate) size: usize,
}

impl Answer {
    /// An attribute, as `Fn::GetAtt` would have it.
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.data[name]
            .as_str()
            .unwrap_or_else(|| panic!("Vendor response doesn't contain {name} key: {}", self.data))
    }

    /// Whether CloudFormation could be told both: same success, same ID, same attributes.
    pub(crate) fn agrees_with(&self, other: &Answer) -> bool {
        (self.succeeded, &self.physical_id, &self.data) == (other.succeeded, &other.physical_id, &other.data)
    }
}

/// The IDs that a request's answer must echo; `None` where a malformed event has nothing to echo.
#[derive(Debug, Clone, Default)]
pub(crate) struct Echo {
    pub(crate) stack_id: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) logical_id: Option<String>,
    /// The incoming ID, which Delete and a failed Update must not change.
    pub(crate) physical_id: Option<String>,
    pub(crate) request_type: String,
}

/// A status of the stack and of its resource.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statuses(pub(crate) &'static str, pub(crate) &'static str);

/// The effect of an answer on the stack, as long as its operation is the newest.
pub(crate) struct Effect {
    pub(crate) cloud: Account,
    pub(crate) operation: u64,
    pub(crate) newest: Arc<std::sync::atomic::AtomicU64>,
    pub(crate) succeeded: Statuses,
    pub(crate) failed: Statuses,
    /// The physical ID that CloudFormation counts before it.
    pub(crate) physical_id: Option<String>,
    /// When the answer's ID counts afterwards.
    pub(crate) counts: Counts,
}

/// When the ID of an answer becomes the resource's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    Always,
    AfterSuccess,
    Never,
}

/// One response URL and the answers that have arrived on it.
pub(crate) struct Expected {
    echo: Echo,
    effect: Option<Effect>,
    signed: i64,
    deliveries: AtomicUsize,
    answers: Mutex<Vec<Answer>>,
}

impl Expected {
    /// One more delivery of the event: one more answer is in order.
    pub(crate) fn delivered(&self) {
        self.deliveries.fetch_add(1, Ordering::SeqCst);
    }

    /// The answers so far; CloudFormation heeds the first.
    pub(crate) fn answers(&self) -> Vec<Answer> {
        self.answers.lock().expect("no test thread panics while it holds this").clone()
    }
}

/// CloudFormation's bucket for responses.
#[derive(Clone)]
pub(crate) struct ResponseUrls(Arc<Server>);

struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    expected: Mutex<HashMap<String, Arc<Expected>>>,
    violations: Mutex<Vec<String>>,
    last_signed: AtomicI64,
    fail: AtomicU32,
    lose: AtomicU32,
    close: Arc<AtomicU32>,
}

impl ResponseUrls {
    /// Serves on a free port of this machine.
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let listener = Closing { listener, close: shared.close.clone() };
        let router = Router::new().fallback(receive).with_state(shared.clone());
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves until it is dropped");
        });
        Self(Arc::new(Server { shared, address, task }))
    }

    /// A new presigned URL, signed so long ago. No two are signed in the same second, because no two operations
    /// of one resource begin in one.
    pub(crate) fn presign(
        &self,
        echo: Echo,
        ago: Duration,
        effect: Option<Effect>,
    ) -> (String, Arc<Expected>) {
        let shared = &self.0.shared;
        let now = now();
        let last = shared
            .last_signed
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(now.max(last + 1)))
            .expect("the closure always says Some");
        let signed = now.max(last + 1) - i64::try_from(ago.as_secs()).expect("not that long ago");
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let key = format!("{}|{}|{}", text(&echo.stack_id), text(&echo.logical_id), text(&echo.request_id));
        let mut expected = shared.expected.lock().expect("no test thread panics while it holds this");
        let date = DateTime::from_secs(signed).fmt(Format::DateTime).expect("a year of four digits");
        let date = date.replace(['-', ':'], "");
        let target = format!(
            "/{}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-SignedHeaders=host&X-Amz-Expires={EXPIRES}\
             &X-Amz-Credential=AKIA000000LOCALCLOUD%2F{}%2Feu-west-1%2Fs3%2Faws4_request\
             &X-Amz-Signature={SIGNATURE}{:016x}",
            key.replace(':', "%3A").replace('|', "%7C"),
            &date[..8],
            expected.len(),
        );
        let entry = Arc::new(Expected {
            echo,
            effect,
            signed,
            deliveries: AtomicUsize::new(0),
            answers: Mutex::default(),
        });
        expected.insert(target.clone(), entry.clone());
        (format!("http://{}{target}", self.0.address), entry)
    }

    /// The next answers are refused with a 500.
    pub(crate) fn fail_next(&self, times: u32) {
        self.0.shared.fail.store(times, Ordering::SeqCst);
    }

    /// The next answers are stored, and yet answered with a 500.
    pub(crate) fn lose_next(&self, times: u32) {
        self.0.shared.lose.store(times, Ordering::SeqCst);
    }

    /// The next connections are closed as soon as they stand.
    pub(crate) fn close_next(&self, times: u32) {
        self.0.shared.close.store(times, Ordering::SeqCst);
    }

    /// Takes the violations so far.
    pub(crate) fn take_violations(&self) -> Vec<String> {
        std::mem::take(
            &mut *self.0.shared.violations.lock().expect("no test thread panics while it holds this"),
        )
    }

    /// Every path with its query, all of them secret.
    pub(crate) fn targets(&self) -> Vec<String> {
        let expected = self.0.shared.expected.lock().expect("no test thread panics while it holds this");
        expected.keys().cloned().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A listener that can close the next connections at once.
struct Closing {
    listener: TcpListener,
    close: Arc<AtomicU32>,
}

impl Listener for Closing {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if !take_one(&self.close) {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> (StatusCode, String) {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let found =
        shared.expected.lock().expect("no test thread panics while it holds this").get(&target).cloned();
    let Some(expected) = found else {
        return shared.refuse(&format!("{} to {target}, which nobody has signed", head.method));
    };
    if head.method != Method::PUT {
        return shared.refuse(&format!("{} instead of PUT", head.method));
    }
    if let Some(content_type) = head.headers.get(header::CONTENT_TYPE).filter(|value| !value.is_empty()) {
        return shared.refuse(&format!("content-type {content_type:?}"));
    }
    if !head.headers.contains_key(header::CONTENT_LENGTH) {
        return shared.refuse("no content-length, which S3 wants of every PUT");
    }
    if now() > expected.signed + EXPIRES {
        return s3_error(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired");
    }
    if take_one(&shared.fail) {
        return s3_error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "Please try again.");
    }
    let lost = take_one(&shared.lose);
    shared.heed(&expected, &body, lost).await;
    if lost {
        return s3_error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "Please try again.");
    }
    (StatusCode::OK, String::new())
}

impl Shared {
    fn refuse(&self, violation: &str) -> (StatusCode, String) {
        self.violated(violation.to_owned());
        let message = "The request signature we calculated does not match the signature you provided.";
        s3_error(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message)
    }

    fn violated(&self, violation: String) {
        self.violations.lock().expect("no test thread panics while it holds this").push(violation);
    }

    async fn heed(&self, expected: &Expected, body: &Bytes, lost: bool) {
        let answer = match read(&expected.echo, body) {
            Ok(answer) => answer,
            Err((violation, reason)) => {
                self.violated(violation);
                // The stack's owner would see this instead of our reason.
                Answer {
                    succeeded: false,
                    reason,
                    physical_id: expected.echo.physical_id.clone().unwrap_or_default(),
                    data: Value::Null,
                    size: body.len(),
                }
            }
        };
        let first = expected.answers().is_empty();
        if let Some(effect) = expected.effect.as_ref().filter(|_| first) {
            effect.apply(&expected.echo, answer.succeeded, &answer.physical_id).await;
        }
        if let Some(earlier) = expected.answers().iter().find(|earlier| !earlier.agrees_with(&answer)) {
            self.violated(format!("two answers contradict each other: {earlier:?} and {answer:?}"));
        }
        // An answer whose receipt was lost is sent again, and that is right.
        if !lost {
            let mut answers = expected.answers.lock().expect("no test thread panics while it holds this");
            answers.push(answer);
            let (given, deliveries) = (answers.len(), expected.deliveries.load(Ordering::SeqCst));
            if given > deliveries {
                self.violated(format!("{given} answers to {deliveries} deliveries of {:?}", expected.echo));
            }
        }
    }
}

impl Effect {
    async fn apply(&self, echo: &Echo, succeeded: bool, answered: &str) {
        if self.newest.load(Ordering::SeqCst) != self.operation {
            return;
        }
        let Statuses(stack, resource) = if succeeded { self.succeeded } else { self.failed };
        if let (Some(stack_id), Some(logical_id)) = (&echo.stack_id, &echo.logical_id) {
            let shown = match self.counts {
                Counts::Always => Some(answered),
                Counts::AfterSuccess if succeeded => Some(answered),
                Counts::AfterSuccess | Counts::Never => self.physical_id.as_deref(),
            };
            self.cloud.put_stack(stack_id, stack, logical_id, resource, shown).await;
        }
    }
}

/// Reads an answer, or returns the error in it: for us, and in CloudFormation's words.
fn read(echo: &Echo, body: &[u8]) -> Result<Answer, (String, String)> {
    if body.len() > LONGEST {
        let violation = format!("an answer of {} bytes: {}", body.len(), String::from_utf8_lossy(body));
        return Err((violation, "Response object is too long.".to_owned()));
    }
    let wrong = |what: &str| {
        let violation = format!("{what} in the answer {}", String::from_utf8_lossy(body));
        (violation, format!("Invalid {what}"))
    };
    let value: Value = serde_json::from_slice(body).map_err(|why| wrong(&format!("JSON ({why})")))?;
    let succeeded = match value["Status"].as_str() {
        Some("SUCCESS") => true,
        Some("FAILED") => false,
        _ => return Err(wrong("Status")),
    };
    let reason = value["Reason"].as_str().unwrap_or_default();
    if !succeeded && reason.is_empty() {
        return Err(wrong("Reason"));
    }
    let physical_id = value["PhysicalResourceId"].as_str().unwrap_or_default();
    if physical_id.is_empty() || physical_id.len() > 1024 {
        return Err(wrong("PhysicalResourceId"));
    }
    let keeps_id = echo.request_type == "Delete" || (echo.request_type == "Update" && !succeeded);
    if keeps_id && echo.physical_id.as_deref().is_some_and(|id| id != physical_id) {
        return Err(wrong("PhysicalResourceId, which must not change here,"));
    }
    for (key, wanted) in [
        ("StackId", &echo.stack_id),
        ("RequestId", &echo.request_id),
        ("LogicalResourceId", &echo.logical_id),
    ] {
        if wanted.is_some() && value[key].as_str() != wanted.as_deref() {
            return Err(wrong(key));
        }
    }
    let data = value["Data"].clone();
    if !(data.is_object() || data.is_null()) {
        return Err(wrong("Data"));
    }
    Ok(Answer {
        succeeded,
        reason: reason.to_owned(),
        physical_id: physical_id.to_owned(),
        data,
        size: body.len(),
    })
}

fn s3_error(status: StatusCode, code: &str, message: &str) -> (StatusCode, String) {
    let xml =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    (status, xml)
}

fn take_one(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("before the sun dies")
}
