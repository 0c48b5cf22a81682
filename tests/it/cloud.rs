//! The local AWS (`tests/cloud`): its processes, and the control client of one account.
//!
//! A test process starts two clouds at most, one for each core of a small machine, when the first test asks
//! for them. They hold the reading end of a pipe from us and end when we do, however that is. Every test has an
//! account of its own, so that tests neither wait for nor see each other.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower_forge_edge::respond::client_builder;

use crate::faults::Fault;
use crate::state::{Calls, State};

/// One process of the local AWS.
struct Cloud {
    url: String,
    /// Held for its stdin: the cloud ends when that is closed.
    _process: Child,
}

/// The Python with the packages that the tests need.
pub(crate) fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os("TOWER_FORGE_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from)
}

static CLOUDS: [OnceLock<Cloud>; 2] = [const { OnceLock::new() }; 2];
static ACCOUNTS: AtomicU64 = AtomicU64::new(1);

impl Cloud {
    fn start(number: usize) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = python();
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cloud-{number}.log"));
        let log_file = File::create(&log).unwrap_or_else(|why| panic!("{}: {why}", log.display()));
        let report = reports_folder().join(format!("{}-{number}.json", std::process::id()));
        let mut process = Command::new(&python)
            .arg(root.join("tests/cloud"))
            .arg("--report")
            .arg(report)
            .current_dir(root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .unwrap_or_else(|why| {
                panic!("{} does not start the local AWS: {why}; `make test` sets it up", python.display())
            });
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("stdout is piped"))
            .read_line(&mut line)
            .expect("the local AWS says where it listens");
        let ready: Value = serde_json::from_str(&line)
            .unwrap_or_else(|why| panic!("the local AWS said {line:?} ({why}); see {}", log.display()));
        Self { url: ready["url"].as_str().expect("a URL").to_owned(), _process: process }
    }
}

/// The clouds write here the questions to the function's policy and to AWS's models. `tests/policies/usage.py` and
/// `tests/cloud/checked.py` read them once all tests are through: the rights that no test needs show only then.
fn reports_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reports");
    std::fs::create_dir_all(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    folder
}

/// An account of the local AWS, seen from the control side.
#[derive(Clone)]
pub(crate) struct Account {
    /// Twelve digits.
    pub(crate) id: String,
    /// The value of `AWS_ENDPOINT_URL`.
    pub(crate) url: String,
    http: reqwest::Client,
}

impl Account {
    /// An account that nobody has used.
    pub(crate) fn fresh() -> Self {
        let number = ACCOUNTS.fetch_add(1, Ordering::Relaxed);
        let which = usize::from(number.is_multiple_of(2));
        let cloud = CLOUDS[which].get_or_init(|| Cloud::start(which));
        Self { id: format!("{number:012}"), url: cloud.url.clone(), http: http() }
    }

    /// The access key ID that leads into this account.
    pub(crate) fn access_key_id(&self) -> String {
        format!("LOCAL{}", self.id)
    }

    /// Changes the clock, durations, quotas, rates or latencies; settings that are not named stay.
    pub(crate) async fn configure(&self, change: Value) {
        self.control(Method::PUT, "config", Some(change)).await;
    }

    /// All calls of this account so far.
    pub(crate) async fn calls(&self) -> Calls {
        Calls(read("calls", &self.control(Method::GET, "calls", None).await))
    }

    /// Forgets the calls so far.
    pub(crate) async fn forget_calls(&self) {
        self.control(Method::DELETE, "calls", None).await;
    }

    /// Puts these faults in the place of those before.
    pub(crate) async fn put_faults(&self, faults: &[Fault]) {
        self.control(Method::PUT, "faults", Some(json!({ "rules": faults }))).await;
    }

    /// How often each fault has struck, in the order in which they were put.
    pub(crate) async fn fault_hits(&self) -> Vec<u64> {
        let answer = self.control(Method::GET, "faults", None).await;
        let rules = answer.get("rules").unwrap_or(&answer).as_array().expect("a list of rules").clone();
        rules.iter().map(|rule| rule["hits"].as_u64().expect("a number of hits")).collect()
    }

    /// Everything that exists in this account.
    pub(crate) async fn state(&self) -> State {
        read("state", &self.control(Method::GET, "state", None).await)
    }

    /// The same as it arrives.
    pub(crate) async fn snapshot(&self) -> Value {
        self.control(Method::GET, "state", None).await
    }

    /// Calls AWS as somebody with a console would, behind the function's back.
    pub(crate) async fn call(&self, service: &str, path: &str, body: String) {
        let scope = format!("{}/20261124/eu-west-1/{service}/aws4_request", self.access_key_id());
        let kind =
            if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
        let signed = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none");
        let request = self.http.post(format!("{}{path}", self.url)).header("authorization", signed);
        let response =
            request.header("content-type", kind).body(body).send().await.expect("the cloud answers");
        let (status, text) = (response.status(), response.text().await.unwrap_or_default());
        assert!(status.is_success(), "{service} {path}: {status} {text}");
    }

    /// Makes things that are somebody else's.
    pub(crate) async fn seed(&self, things: Value) -> Value {
        self.control(Method::POST, "seed", Some(things)).await
    }

    /// Starts a job of four vCPUs on a queue: its ID, and the name of the environment that it runs on.
    pub(crate) async fn start_job(&self, queue: &str) -> (String, String) {
        self.start_job_of(4, queue).await
    }

    /// Starts a job of so many vCPUs on a queue, and says which environment runs it.
    pub(crate) async fn start_job_of(&self, vcpus: u32, queue: &str) -> (String, String) {
        let job = self.control(Method::POST, "jobs", Some(json!({ "queue": queue, "vcpus": vcpus }))).await;
        let text = |key: &str| job[key].as_str().unwrap_or_else(|| panic!("no {key} in {job}")).to_owned();
        (text("job"), text("environment"))
    }

    /// Ends a job.
    pub(crate) async fn end_job(&self, job: &str) {
        self.control(Method::DELETE, &format!("jobs/{job}"), None).await;
    }

    /// The answers of `DescribeStacks` and `DescribeStackResource` from now on.
    pub(crate) async fn put_stack(
        &self,
        stack_id: &str,
        stack: &str,
        logical_id: &str,
        resource: &str,
        physical_id: Option<&str>,
    ) {
        let body = json!({
            "stack_id": stack_id,
            "stack_status": stack,
            "resources": { logical_id: resource },
            "physical_ids": { logical_id: physical_id.unwrap_or_default() },
        });
        self.control(Method::PUT, "stacks", Some(body)).await;
    }

    /// The same with all that a stack can say.
    pub(crate) async fn put_stacks(&self, stack: Value) {
        self.control(Method::PUT, "stacks", Some(stack)).await;
    }

    /// What AWS's own models do not allow in the requests and answers so far; see `tests/cloud/models.py`.
    ///
    /// It blocks, so that a test can ask as it ends.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.ask_for_violations("GET")
    }

    /// The same in a test that has wanted them; they are forgotten.
    pub(crate) fn take_violations(&self) -> Vec<String> {
        self.ask_for_violations("DELETE")
    }

    fn ask_for_violations(&self, method: &str) -> Vec<String> {
        let mut stream =
            TcpStream::connect(self.url.trim_start_matches("http://")).expect("the cloud listens");
        let request = format!("{method} /_cloud/{}/violations HTTP/1.0\r\n\r\n", self.id);
        let mut answer = String::new();
        stream
            .write_all(request.as_bytes())
            .and_then(|()| stream.read_to_string(&mut answer))
            .expect("the cloud answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a body");
        serde_json::from_str(body).unwrap_or_else(|why| panic!("violations: {why} in {answer}"))
    }

    /// Takes the asynchronous invocations that the function has asked for: their payloads.
    pub(crate) async fn take_invocations(&self) -> Vec<Value> {
        let answer = self.control(Method::DELETE, "invocations", None).await;
        let taken = answer.get("invocations").unwrap_or(&answer).as_array().cloned().unwrap_or_default();
        taken
            .into_iter()
            .map(|invocation| match &invocation["payload"] {
                Value::String(text) => serde_json::from_str(text).expect("a payload is JSON"),
                payload => payload.clone(),
            })
            .collect()
    }

    /// The identity policies that every call is judged by from now on; `None` allows all. A denial fails the suite.
    pub(crate) async fn put_policy(&self, documents: Option<&[Value]>) {
        self.control(Method::PUT, "policy", Some(json!({ "documents": documents }))).await;
    }

    /// The same in a test that tries calls which must not be allowed.
    pub(crate) async fn try_policy(&self, documents: &[Value]) {
        self.control(Method::PUT, "policy", Some(json!({ "documents": documents, "case": true }))).await;
    }

    /// Makes a call with the rights of the function, even one that fails: returns the status and the answer's text.
    ///
    /// `target` is the operation where the protocol has it in a header.
    pub(crate) async fn attempt(
        &self,
        method: Method,
        service: &str,
        path: &str,
        target: Option<&str>,
        body: String,
    ) -> (u16, String) {
        let scope = format!("{}/20261124/eu-west-1/{service}/aws4_request", self.access_key_id());
        let kind = match (body.starts_with('{'), target) {
            (_, Some(_)) => "application/x-amz-json-1.1",
            (true, None) => "application/json",
            (false, None) => "application/x-www-form-urlencoded",
        };
        let signed = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none");
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        request = request.header("authorization", signed).header("content-type", kind).body(body);
        if let Some(target) = target {
            request = request.header("x-amz-target", target);
        }
        let response = request.send().await.expect("the cloud answers");
        (response.status().as_u16(), response.text().await.unwrap_or_default())
    }

    /// Whether a role may do these things, each an action, a resource and the context of the request, and who
    /// says so.
    pub(crate) async fn may(&self, role: &str, asks: Value) -> Vec<(bool, String)> {
        let answer = self.control(Method::POST, "may", Some(json!({ "role": role, "asks": asks }))).await;
        let answers = answer.as_array().expect("an answer to each");
        answers
            .iter()
            .map(|one| (one["allowed"] == true, one["by"].as_str().unwrap_or_default().to_owned()))
            .collect()
    }

    /// Deletes a thing behind everybody's back.
    pub(crate) async fn drop_thing(&self, region: &str, kind: &str, name: &str) {
        self.control(Method::POST, "drop", Some(json!({ "region": region, "kind": kind, "name": name })))
            .await;
    }

    async fn control(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let what = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}/_cloud/{}/{path}", self.url, self.id));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap_or_else(|why| panic!("{what}: {why}"));
        let status = response.status();
        let text = response.text().await.unwrap_or_else(|why| panic!("{what}: {why}"));
        assert!(status.is_success(), "{what}: {status} {text}");
        if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).expect("control answers are JSON")
        }
    }
}

/// A client for plain HTTP on this machine: no proxy, and no certificates to look for.
pub(crate) fn http() -> reqwest::Client {
    client_builder().no_proxy().tls_certs_only(Vec::new()).build().expect("a client without TLS")
}

fn read<T: DeserializeOwned>(what: &str, value: &Value) -> T {
    T::deserialize(value).unwrap_or_else(|why| panic!("{what}: {why} in {value}"))
}
