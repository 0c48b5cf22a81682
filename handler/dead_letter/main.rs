//! The dead-letter function: answers for invocations of the other one that died without an answer.
//!
//! Lambda sends it the record of an event whose tries are used up: out of memory, a crash at start, a response that
//! could not be delivered. It changes nothing in AWS, and answers only where the claim shows that nobody else will.

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tower_forge_core::dead_letter::{Answered, Died, answer};
use tower_forge_core::event::{Envelope, ResponseUrl, Source};
use tower_forge_core::port::{Clock, Now, Responder, Table, Undelivered};
use tower_forge_core::respond::Response;
use tower_forge_core::table::{Attributes, TableError, Update, Updated};
use tower_forge_edge::clock::{HostClock, random};
use tower_forge_edge::environment::{Access, Environment};
use tower_forge_edge::event::Event;
use tower_forge_edge::table::ClaimTable;
use tower_forge_edge::{logging, respond};

/// AWS, as far as the dead letter uses it: the table and the response URL.
#[derive(Debug)]
struct World {
    table: ClaimTable,
    http: reqwest::Client,
    clock: HostClock,
    source: Source,
}

/// One invocation of it.
struct Letter<'a> {
    world: &'a World,
    end: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    logging::start();
    let environment = Environment::read();
    let http = respond::client_builder().build()?;
    let table = ClaimTable::new(&Access::read(http.clone()), environment.table);
    let clock = HostClock::start(environment.scale);
    let world = World { table, http, clock, source: environment.source };
    let world = &world;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let left = event.context.deadline().duration_since(SystemTime::now());
        let left = world.clock.aws(left.unwrap_or(Duration::from_mins(1)));
        let letter = Letter { world, end: world.clock.now().mono + left };
        letter.open(event.payload).await.map_err(lambda_runtime::Error::from)
    }))
    .await
}

impl Letter<'_> {
    async fn open(&self, record: Value) -> Result<Value, Undelivered> {
        let reason = format!(
            "[InternalFailure] the function ended without a response: {}. To do: check the function's log, then \
             deploy or delete again; the work resumes where it stopped",
            cause(&record)
        );
        let request_id = record["requestContext"]["requestId"].as_str().unwrap_or_default();
        let answered =
            match Event::read(record["requestPayload"].clone(), &self.world.source, self.now().wall) {
                Event::Request(request, continuation) => {
                    let continuation = continuation.as_ref();
                    let died = Died { request: &request, continuation, request_id, reason };
                    Box::pin(answer(self, &died)).await?
                }
                Event::Malformed(envelope, _) => self.refuse(&envelope, reason).await?,
                Event::Sweep | Event::Plan(_) | Event::Unanswerable(_) => {
                    return Ok(json!({"ignored": "no response is expected"}));
                }
            };
        Ok(match answered {
            Answered::Responded => json!({"status": "FAILED"}),
            Answered::Superseded => json!({"ignored": "superseded by a newer operation"}),
            Answered::Held => json!({"ignored": "another invocation responds"}),
        })
    }

    async fn refuse(&self, envelope: &Envelope, reason: String) -> Result<Answered, Undelivered> {
        tracing::error!(reason, "responding for an invocation that died");
        let physical_id = envelope.physical_id.clone().unwrap_or_else(|| "unreadable-request".to_owned());
        let body = Response::Failed { physical_id, reason }.body(envelope).unwrap_or_default();
        self.respond(&envelope.response_url, &body).await.map(|()| Answered::Responded)
    }
}

/// Why Lambda gave up, as its record says.
fn cause(record: &Value) -> String {
    let condition = record["requestContext"]["condition"].as_str().unwrap_or("unknown");
    let tries = record["requestContext"]["approximateInvokeCount"].as_u64().unwrap_or_default();
    let error = record["responsePayload"]["errorMessage"].as_str();
    let error = error.or_else(|| record["responseContext"]["functionError"].as_str());
    format!("{condition} after {tries} tries, {}", error.unwrap_or("no error reported"))
}

impl Clock for Letter<'_> {
    fn now(&self) -> Now {
        self.world.clock.now()
    }

    async fn sleep(&self, pause: Duration) {
        self.world.clock.sleep(pause).await;
    }

    fn random(&self) -> u64 {
        random()
    }
}

impl Table for Letter<'_> {
    async fn read(&self, key: &str) -> Result<Option<Attributes>, TableError> {
        self.world.table.read(key).await
    }

    async fn update(&self, update: &Update) -> Result<Updated, TableError> {
        self.world.table.update(update).await
    }
}

impl Responder for Letter<'_> {
    async fn respond(&self, url: &ResponseUrl, body: &str) -> Result<(), Undelivered> {
        let until = self.end.saturating_sub(Duration::from_secs(2));
        respond::put(&self.world.http, &self.world.clock, url.expose(), body, until).await
    }
}
