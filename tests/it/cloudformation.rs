//! CloudFormation, for stacks of one resource.
//!
//! It sends the same events as CloudFormation: every scalar a string, the service token inside and outside of the
//! properties, a presigned URL full of percent-escapes; Delete after a failed Create, with our ID or, where
//! none came, with one that it makes up; the properties swapped for the rollback of an Update; Delete of the old
//! ID in the clean-up after a replacement. A step is taken only when the test says so, which lets it do
//! something in between.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use crate::cloud::Account;
use crate::ended::Ended;
use crate::lambda::Lambda;
use crate::operation::{Operation, stringified};
use crate::response_url::{Answer, Echo, Effect, Expected, ResponseUrls, Statuses};
use crate::rights;

/// The parts of the world that CloudFormation needs.
#[derive(Clone)]
pub(crate) struct CloudFormation {
    pub(crate) cloud: Account,
    pub(crate) lambda: Lambda,
    pub(crate) urls: ResponseUrls,
    pub(crate) service_token: String,
    pub(crate) region: String,
}

/// A request and the URL that its answers arrive on; cloned and delivered again it is a duplicate.
#[derive(Clone)]
pub(crate) struct Request {
    /// The event that Lambda passes to the function.
    pub(crate) event: Value,
    expected: Arc<Expected>,
}

impl Request {
    /// The test delivers it by itself.
    pub(crate) fn delivered(&self) {
        self.expected.delivered();
    }

    /// The answers so far; CloudFormation heeds the first.
    pub(crate) fn answers(&self) -> Vec<Answer> {
        self.expected.answers()
    }
}

/// A request that is under way.
pub(crate) struct Running {
    /// The request that was sent.
    pub(crate) request: Request,
    task: JoinHandle<Ended>,
}

impl Running {
    /// Waits for its end.
    pub(crate) async fn ended(self) -> Ended {
        self.task.await.unwrap_or_else(|why| std::panic::resume_unwind(why.into_panic()))
    }
}

impl CloudFormation {
    /// Presigns a URL for any event, also one that is malformed, and puts it where the event has one.
    pub(crate) fn adopt(&self, mut event: Value, ago: Duration, effect: Option<Effect>) -> Request {
        let text = |key: &str| event[key].as_str().map(ToOwned::to_owned);
        let echo = Echo {
            stack_id: text("StackId"),
            request_id: text("RequestId"),
            logical_id: text("LogicalResourceId"),
            physical_id: text("PhysicalResourceId"),
            request_type: text("RequestType").unwrap_or_default(),
        };
        let (url, expected) = self.urls.presign(echo, ago, effect);
        if event.get("ResponseURL").is_some() {
            event["ResponseURL"] = Value::String(url);
        }
        Request { event, expected }
    }

    /// Delivers a request, for the first time or again, and waits until nothing of it runs any more.
    pub(crate) async fn deliver(&self, request: &Request) -> Ended {
        request.expected.delivered();
        let outcomes = self.lambda.deliver(&request.event.to_string()).await;
        if request.answers().is_empty() {
            // Somebody else may have taken over a leg of ours.
            self.lambda.quiet().await;
        }
        Ended {
            answer: request.answers().first().cloned(),
            outcomes,
            what: format!("{} of {}", request.event["RequestType"], request.event["StackId"]),
            log: self.lambda.log(),
        }
    }
}

/// A stack with one resource.
#[derive(Clone)]
pub(crate) struct Stack(Arc<Inner>);

struct Inner {
    cloudformation: CloudFormation,
    name: String,
    id: String,
    logical_id: String,
    newest: Arc<AtomicU64>,
    known: Mutex<Known>,
    /// How long ago the next request was signed.
    ago: Mutex<Duration>,
}

/// The record of the resource in CloudFormation.
#[derive(Clone, Default)]
struct Known {
    physical_id: Option<String>,
    properties: Value,
    /// The properties that a rollback restores, once there has been an Update.
    before: Option<Value>,
    /// The properties that the newest rollback of an Update undoes.
    undone: Value,
    /// Whether a failure stays as it is: `--disable-rollback`.
    stays_failed: bool,
    /// Whether the newest Update has been rolled back, so that the clean-up is that of a rollback.
    rolled_back: bool,
    replaced: Vec<(String, Value)>,
    last: Option<Request>,
}

static NAMES: AtomicU64 = AtomicU64::new(1);

impl Stack {
    /// A stack that does not exist yet.
    pub(crate) fn new(cloudformation: CloudFormation, properties: &Value) -> Self {
        let number = NAMES.fetch_add(1, Ordering::Relaxed);
        let name = format!("stack-{number}");
        let (region, account) = (&cloudformation.region, &cloudformation.cloud.id);
        let partition = rights::partition(region);
        let id = format!(
            "arn:{partition}:cloudformation:{region}:{account}:stack/{name}/51af3dc0-da77-11e4-872e-{number:012x}"
        );
        let known = Known { properties: stringified(properties), ..Known::default() };
        Self(Arc::new(Inner {
            cloudformation,
            name,
            id,
            logical_id: "Genomics".to_owned(),
            newest: Arc::default(),
            known: Mutex::new(known),
            ago: Mutex::default(),
        }))
    }

    /// The same stack, whose next requests go to another function.
    pub(crate) fn served_by(&self, cloudformation: CloudFormation) -> Self {
        let Inner { name, id, logical_id, newest, .. } = &*self.0;
        let (name, id, logical_id, newest) = (name.clone(), id.clone(), logical_id.clone(), newest.clone());
        let known = Mutex::new(self.known().clone());
        Self(Arc::new(Inner { cloudformation, name, id, logical_id, newest, known, ago: Mutex::default() }))
    }

    /// The ARN of the stack.
    pub(crate) fn id(&self) -> &str {
        &self.0.id
    }

    /// The resource's name in the template.
    pub(crate) fn logical_id(&self) -> &str {
        &self.0.logical_id
    }

    /// The value of `!Ref`.
    pub(crate) fn physical_id(&self) -> String {
        self.known().physical_id.clone().expect("the resource has been answered for")
    }

    /// Creates the resource.
    pub(crate) async fn create(&self) -> Ended {
        self.start_create().await.ended().await
    }

    /// Gives the resource other properties. After a replacement, [`Stack::clean_up`] is next.
    pub(crate) async fn update(&self, properties: Value) -> Ended {
        self.start_update(properties).await.ended().await
    }

    /// Deletes the resource.
    pub(crate) async fn delete(&self) -> Ended {
        self.start_delete().await.ended().await
    }

    /// Undoes the last Create or Update, whether it failed, succeeded (something else in the stack failed), never
    /// answered, or still runs. A Create without an answer is undone by an ID that CloudFormation makes up.
    pub(crate) async fn roll_back(&self) -> Ended {
        self.start_roll_back().await.ended().await
    }

    /// Deletes the resource that the last Update (or its rollback) replaced; a failed clean-up is repeated with it.
    ///
    /// CloudFormation tries three times, and then leaves the old resource where it is.
    pub(crate) async fn clean_up(&self) -> Ended {
        let (known, replaced) = {
            let mut known = self.known();
            let replaced = known.replaced.pop().expect("something has been replaced");
            (known.clone(), replaced)
        };
        let operation = if known.rolled_back { Operation::CleanUpRollBack } else { Operation::CleanUp };
        let (id, properties) = replaced.clone();
        let ended = self.begin(operation, Some(id), properties, None).await.ended().await;
        if ended.answer.as_ref().is_none_or(|answer| !answer.succeeded) {
            self.known().replaced.push(replaced);
        }
        ended
    }

    /// Leaves failures as they are from now on: `--disable-rollback`.
    pub(crate) fn disable_rollback(&self) {
        self.known().stays_failed = true;
    }

    /// Waits no longer for the newest request, which may go on: it is cancelled, or `ServiceTimeout` is over. Later
    /// answers are not heeded; [`Stack::roll_back`] is next, or [`Stack::delete`].
    pub(crate) async fn give_up(&self, request: Operation) {
        self.0.newest.fetch_add(1, Ordering::SeqCst);
        let Statuses(stack, resource) = self.failed(request);
        self.put_statuses(stack, resource).await;
    }

    /// Tries a rollback of an Update again that failed: `continue-update-rollback`.
    pub(crate) async fn continue_roll_back(&self) -> Ended {
        let known = self.known().clone();
        let (id, before) = (known.physical_id, known.properties);
        self.begin(Operation::RollBackUpdate, id, before, Some(known.undone)).await.ended().await
    }

    /// The same with the resource among `--resources-to-skip`: it is sent nothing, and is taken for rolled back.
    pub(crate) async fn skip_in_roll_back(&self) {
        self.0.newest.fetch_add(1, Ordering::SeqCst);
        let [_, Statuses(stack, resource), _] = Operation::RollBackUpdate.statuses();
        self.put_statuses(stack, resource).await;
    }

    /// Tells CloudFormation the ID of a resource whose Create runs, as the answer of another delivery would.
    pub(crate) fn learn_id(&self, id: &str) {
        self.known().physical_id = Some(id.to_owned());
    }

    /// Begins to create the resource; again, if it was deleted.
    pub(crate) async fn start_create(&self) -> Running {
        let properties = {
            let mut known = self.known();
            (known.physical_id, known.before) = (None, None);
            known.properties.clone()
        };
        self.begin(Operation::Create, None, properties, None).await
    }

    /// Begins to give it other properties.
    pub(crate) async fn start_update(&self, properties: Value) -> Running {
        let new = stringified(&properties);
        let (id, old) = {
            let mut known = self.known();
            let old = std::mem::replace(&mut known.properties, new.clone());
            known.before = Some(old.clone());
            known.rolled_back = false;
            (known.physical_id.clone(), old)
        };
        self.begin(Operation::Update, id, new, Some(old)).await
    }

    /// Begins to delete it.
    pub(crate) async fn start_delete(&self) -> Running {
        let known = self.known().clone();
        let id = known.physical_id.unwrap_or_else(|| self.made_up_id());
        self.begin(Operation::Delete, Some(id), known.properties, None).await
    }

    /// Begins to undo the last Create or Update.
    pub(crate) async fn start_roll_back(&self) -> Running {
        let known = self.known().clone();
        let id = known.physical_id.unwrap_or_else(|| self.made_up_id());
        match known.before {
            None => self.begin(Operation::RollBackCreate, Some(id), known.properties, None).await,
            Some(before) => {
                {
                    let mut now = self.known();
                    now.properties.clone_from(&before);
                    now.undone.clone_from(&known.properties);
                    now.rolled_back = true;
                }
                self.begin(Operation::RollBackUpdate, Some(id), before, Some(known.properties)).await
            }
        }
    }

    /// Delivers the newest request once more: Lambda's duplicate, or a retry that comes late.
    pub(crate) async fn redeliver(&self) -> Ended {
        let last = self.known().last.clone().expect("a request has been sent");
        self.0.cloudformation.deliver(&last).await
    }

    /// A request that is not sent: for events that a test changes before it delivers them, or ones from long ago.
    pub(crate) fn request(&self, event: Value, ago: Duration) -> Request {
        self.0.cloudformation.adopt(event, ago, None)
    }

    /// The event that a Create of this stack would carry.
    pub(crate) fn create_event(&self) -> Value {
        let properties = self.known().properties.clone();
        self.event(Operation::Create, None, properties, None)
    }

    /// The event that an Update of this stack to other properties would carry.
    pub(crate) fn update_event(&self, properties: Value) -> Value {
        let known = self.known().clone();
        self.event(Operation::Update, known.physical_id, stringified(&properties), Some(known.properties))
    }

    /// Has the following requests signed so long ago: URLs tell the second, and tests are faster than that.
    pub(crate) fn sign(&self, ago: Duration) {
        *self.0.ago.lock().expect("no test thread panics while it holds this") = ago;
    }

    /// Sets the answers of `DescribeStacks` and `DescribeStackResource` for this stack, with the ID of the newest
    /// operation that was answered.
    pub(crate) async fn put_statuses(&self, stack: &str, resource: &str) {
        let physical_id = self.known().physical_id.clone();
        self.put_shown(stack, resource, physical_id).await;
    }

    async fn put_shown(&self, stack: &str, resource: &str, physical_id: Option<String>) {
        let cloud = &self.0.cloudformation.cloud;
        cloud.put_stack(&self.0.id, stack, &self.0.logical_id, resource, physical_id.as_deref()).await;
    }

    /// An ID as CloudFormation makes one up for a resource that never told its own.
    pub(crate) fn made_up_id(&self) -> String {
        format!("{}-{}-1ABCDEFGHIJKL", self.0.name, self.0.logical_id)
    }

    async fn begin(
        &self,
        operation: Operation,
        id: Option<String>,
        properties: Value,
        old: Option<Value>,
    ) -> Running {
        let number = 1 + self.0.newest.fetch_add(1, Ordering::SeqCst);
        let [Statuses(stack, resource), succeeded, _] = operation.statuses();
        let failed = self.failed(operation);
        // An ID that was made up is shown once a Delete is sent with it.
        let known = self.known().physical_id.clone();
        let shown = known.or_else(|| id.clone());
        self.put_shown(stack, resource, shown.clone()).await;
        let cloudformation = &self.0.cloudformation;
        let effect = Effect {
            cloud: cloudformation.cloud.clone(),
            operation: number,
            newest: self.0.newest.clone(),
            succeeded,
            failed,
            physical_id: shown,
            counts: operation.counts(),
        };
        let event = self.event(operation, id.clone(), properties, old.clone());
        let ago = *self.0.ago.lock().expect("no test thread panics while it holds this");
        let request = cloudformation.adopt(event, ago, Some(effect));
        self.known().last = Some(request.clone());
        let (stack, sent) = (self.clone(), request.clone());
        let task = tokio::spawn(async move {
            let ended = stack.0.cloudformation.deliver(&sent).await;
            if stack.0.newest.load(Ordering::SeqCst) == number {
                stack.learn(operation, id, old, ended.answer.as_ref());
            }
            ended
        });
        Running { request, task }
    }

    /// How stack and resource stand when an operation has failed.
    fn failed(&self, operation: Operation) -> Statuses {
        let [_, _, failed] = operation.statuses();
        if self.known().stays_failed { operation.stays_failed().unwrap_or(failed) } else { failed }
    }

    fn learn(&self, operation: Operation, id: Option<String>, old: Option<Value>, answer: Option<&Answer>) {
        let Some(answer) = answer else { return };
        let mut known = self.known();
        match operation {
            Operation::Create => known.physical_id = Some(answer.physical_id.clone()),
            Operation::Update | Operation::RollBackUpdate => {
                let new = Some(answer.physical_id.clone());
                if let (true, Some(id), Some(old)) = (new != id, id, old) {
                    known.replaced.push((id, old));
                }
                known.physical_id = new;
            }
            Operation::Delete
            | Operation::RollBackCreate
            | Operation::CleanUp
            | Operation::CleanUpRollBack => {}
        }
    }

    fn event(
        &self,
        operation: Operation,
        id: Option<String>,
        properties: Value,
        old: Option<Value>,
    ) -> Value {
        let token = &self.0.cloudformation.service_token;
        let with_token = |properties: Value| {
            let mut all = Map::from_iter([("ServiceToken".to_owned(), Value::String(token.clone()))]);
            all.extend(properties.as_object().cloned().unwrap_or_default());
            Value::Object(all)
        };
        let number = NAMES.fetch_add(1, Ordering::Relaxed);
        let mut event = json!({
            "RequestType": operation.request_type(),
            "ServiceToken": token,
            "ResponseURL": "set when it is signed",
            "StackId": self.0.id,
            "RequestId": format!("5af09cf3-9d20-4b1f-8c51-{number:012x}"),
            "LogicalResourceId": self.0.logical_id,
        });
        if let Some(id) = id {
            event["PhysicalResourceId"] = Value::String(id);
        }
        event["ResourceType"] = json!("Custom::TowerForge");
        event["ResourceProperties"] = with_token(properties);
        if let Some(old) = old {
            event["OldResourceProperties"] = with_token(old);
        }
        event
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.known.lock().expect("no test thread panics while it holds this")
    }
}
