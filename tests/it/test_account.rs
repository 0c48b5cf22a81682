//! The environment of a test: an AWS account, the function in it, and CloudFormation.
//!
//! When an account ends, it looks back: no answer may have violated CloudFormation's contract, no request to AWS and no
//! answer of the local AWS may have violated AWS's own models, nothing that others have in the account may have
//! changed, and no log line may hold a secret. So every test proves these four, whatever else it is about.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::cloud::Account;
use crate::cloudformation::{CloudFormation, Request, Stack};
use crate::ended::Ended;
use crate::lambda::Lambda;
use crate::response_url::{ResponseUrls, SIGNATURE};
use crate::rights::{self, Rights};
use crate::runtime_api::{Launch, Outcome, Program};
use crate::state::{Calls, State};

/// The claim's table, which every account of the local AWS has.
pub(crate) const CLAIM_TABLE: &str = "tower-forge-claims";
const FUNCTION_NAME: &str = "TowerForge-handler";
const SECRET_ACCESS_KEY: &str = "5ec2e7-access-key-that-no-log-may-hold";
const SESSION_TOKEN: &str = "5ec2e7-session-token-that-no-log-may-hold";
/// Nothing in these tests lasts this long, so whoever waits longer waits in vain.
const PATIENCE: Duration = Duration::from_mins(2);

/// How an account differs from the usual one.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// The region of the function, which decides the partition.
    pub(crate) region: &'static str,
    /// Real seconds per second of AWS's time, for the cloud and for the function's own waits.
    pub(crate) scale: f64,
    /// `AWS_LAMBDA_LOG_LEVEL`.
    pub(crate) log_level: &'static str,
    /// Lambda's limit for one invocation, in real time.
    pub(crate) timeout: Duration,
    /// Which binary runs.
    pub(crate) program: Program,
    /// The rights of the function.
    pub(crate) rights: Rights,
    /// More environment variables, or other values.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Whether others have environments and queues in the account, which no test has to know of.
    pub(crate) inhabited: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            region: "eu-west-1",
            scale: 0.03,
            log_level: "DEBUG",
            timeout: PATIENCE,
            program: Program::TowerForge,
            rights: Rights::default(),
            environment: Vec::new(),
            inhabited: true,
        }
    }
}

/// The account of one test.
pub(crate) struct TestAccount {
    /// The AWS account.
    pub(crate) cloud: Account,
    /// The function.
    pub(crate) lambda: Lambda,
    /// Where answers arrive.
    pub(crate) urls: ResponseUrls,
    region: &'static str,
    cloudformation: CloudFormation,
    others: Mutex<State>,
}

impl TestAccount {
    /// A fresh account in which only others have anything, and the function as it is shipped.
    pub(crate) async fn new() -> Self {
        Self::with(Setting::default()).await
    }

    /// The same with another setting.
    pub(crate) async fn with(setting: Setting) -> Self {
        let cloud = Account::fresh();
        cloud.configure(serde_json::json!({ "scale": setting.scale })).await;
        let rights = Rights::of(&setting, &cloud.id);
        let region = setting.region;
        let boundary = rights::boundary(&cloud.id, region, &rights);
        let boundary = serde_json::json!({ "name": rights::boundary_name(), "document": boundary });
        let mut things = serde_json::json!({ "region": region, "policy": boundary });
        if setting.inhabited {
            things["inhabitants"] = serde_json::json!({ "batch_only": true, "hidden": true });
        }
        cloud.seed(things).await;
        let policy = rights::forge_policy(&cloud.id, region, &rights);
        cloud.put_policy(Some(&[policy])).await;
        let others = cloud.state().await;
        Self::over(cloud, others, setting).await
    }

    /// A second function for the same account, with a setting of its own, as a new release would be.
    pub(crate) async fn beside(&self, setting: Setting) -> Self {
        let others = self.others().clone();
        Self::over(self.cloud.clone(), others, setting).await
    }

    async fn over(cloud: Account, others: State, setting: Setting) -> Self {
        let region = setting.region;
        let partition = rights::partition(region);
        let arn = format!("arn:{partition}:lambda:{region}:{}:function:{FUNCTION_NAME}", cloud.id);
        let launch = Launch {
            program: setting.program,
            environment: environment(&cloud, &setting),
            timeout: setting.timeout,
            arn: arn.clone(),
        };
        let lambda = Lambda::new(launch, cloud.clone());
        let urls = ResponseUrls::start().await;
        let cloudformation = CloudFormation {
            cloud: cloud.clone(),
            lambda: lambda.clone(),
            urls: urls.clone(),
            service_token: arn,
            region: region.to_owned(),
        };
        Self { cloud, lambda, urls, region, cloudformation, others: Mutex::new(others) }
    }

    /// A stack that declares one forge; nothing is created yet.
    pub(crate) fn stack(&self, properties: Value) -> Stack {
        Stack::new(self.cloudformation.clone(), &properties)
    }

    /// A stack of another function of this account, from now on served by this one.
    pub(crate) fn adopt(&self, stack: &Stack) -> Stack {
        stack.served_by(self.cloudformation.clone())
    }

    /// Delivers any event as CloudFormation would, with a response URL of ours where it has one, while it shows that
    /// operation as in progress.
    pub(crate) async fn play(&self, event: Value) -> Ended {
        let text = |key: &str| event[key].as_str().map(ToOwned::to_owned);
        if let (Some(stack), Some(logical), Some(kind)) =
            (text("StackId"), text("LogicalResourceId"), text("RequestType"))
        {
            let status = format!("{}_IN_PROGRESS", kind.to_uppercase());
            self.cloud
                .put_stack(&stack, &status, &logical, &status, text("PhysicalResourceId").as_deref())
                .await;
        }
        self.cloudformation.deliver(&self.request(event, Duration::ZERO)).await
    }

    /// A request with a URL signed so long ago, to be delivered with [`TestAccount::deliver`].
    pub(crate) fn request(&self, event: Value, ago: Duration) -> Request {
        self.cloudformation.adopt(event, ago, None)
    }

    /// Delivers a request, for the first time or again.
    pub(crate) async fn deliver(&self, request: &Request) -> Ended {
        self.cloudformation.deliver(request).await
    }

    /// Invokes the function and waits, as `aws lambda invoke` does.
    pub(crate) async fn invoke(&self, event: Value) -> Outcome {
        self.lambda.invoke(&event.to_string()).await
    }

    /// Makes things that are somebody else's; [`TestAccount::assert_nothing_left`] wants them as they are now.
    pub(crate) async fn seed(&self, mut things: Value) -> Value {
        things["region"] = self.region.into();
        let answer = self.cloud.seed(things).await;
        *self.others() = self.cloud.state().await;
        answer
    }

    /// Deletes a thing behind everybody's back: drift.
    pub(crate) async fn lose(&self, kind: &str, name: &str) {
        self.cloud.drop_thing(self.region, kind, name).await;
    }

    /// Everything that exists.
    pub(crate) async fn state(&self) -> State {
        self.cloud.state().await
    }

    /// Every call so far.
    pub(crate) async fn calls(&self) -> Calls {
        self.cloud.calls().await
    }

    /// The number of the newest call, for [`TestAccount::assert_no_change_since`].
    pub(crate) async fn now(&self) -> u64 {
        self.calls().await.last_seq()
    }

    /// Waits until the account looks so.
    pub(crate) async fn until(&self, what: &str, so: impl Fn(&State) -> bool) -> State {
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            let state = self.state().await;
            if so(&state) {
                return state;
            }
            let log = self.lambda.log();
            assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}: {state:#?}\n{log}");
        }
    }

    /// Waits until this call has been made so often.
    pub(crate) async fn until_called(&self, operation: &str, times: usize) -> Calls {
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            let calls = self.calls().await;
            if calls.of(operation).len() >= times {
                return calls;
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {operation}\n{}", self.lambda.log());
        }
    }

    /// Nothing exists but the resources that were there before, unchanged.
    pub(crate) async fn assert_nothing_left(&self) {
        let mut left = self.state().await;
        let others = self.others().clone();
        left.jobs.clone_from(&others.jobs);
        assert!(
            left == others,
            "left: {left:#?}\nbut of others there was: {others:#?}\n{}",
            self.lambda.log()
        );
    }

    /// The resources that were there before the forge: those of others.
    pub(crate) fn others_at_first(&self) -> State {
        self.others().clone()
    }

    /// No call has tried to change anything since then.
    pub(crate) async fn assert_no_change_since(&self, seq: u64) {
        let changes = self.calls().await.since(seq).mutating();
        assert!(changes.len() == 0, "these calls change something: {:?}", changes.by_operation());
    }

    /// No process has written a response URL, a signature, a session token or a secret key.
    pub(crate) fn assert_no_secret_logged(&self) {
        let secret = self.secret_in(&self.lambda.log());
        assert!(secret.is_none(), "a log line holds a secret: {}", secret.unwrap_or_default());
    }

    /// The line of a log that holds a secret.
    pub(crate) fn secret_in(&self, log: &str) -> Option<String> {
        let mut secrets = self.urls.targets();
        secrets
            .extend([SIGNATURE, SECRET_ACCESS_KEY, SESSION_TOKEN, "X-Amz-Signature="].map(ToOwned::to_owned));
        log.lines().find(|line| secrets.iter().any(|secret| line.contains(secret))).map(ToOwned::to_owned)
    }

    fn others(&self) -> std::sync::MutexGuard<'_, State> {
        self.others.lock().expect("no test thread panics while it holds this")
    }
}

impl Drop for TestAccount {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let violations = self.urls.take_violations();
            assert!(violations.is_empty(), "violations: {violations:#?}\n{}", self.lambda.log());
            let violations = self.cloud.violations();
            assert!(violations.is_empty(), "against AWS's models: {violations:#?}");
            self.assert_no_secret_logged();
        }
    }
}

fn environment(cloud: &Account, setting: &Setting) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::from(
        [
            ("AWS_ACCESS_KEY_ID", cloud.access_key_id().as_str()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
            ("AWS_SESSION_TOKEN", SESSION_TOKEN),
            ("AWS_REGION", setting.region),
            ("AWS_DEFAULT_REGION", setting.region),
            ("AWS_ENDPOINT_URL", cloud.url.as_str()),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_LAMBDA_FUNCTION_NAME", FUNCTION_NAME),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/TowerForge"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_LAMBDA_LOG_LEVEL", setting.log_level),
            ("RUST_BACKTRACE", "1"),
            ("TOWER_FORGE_LOCAL", "1"),
            ("TOWER_FORGE_TABLE", CLAIM_TABLE),
            ("TOWER_FORGE_TIME_SCALE", setting.scale.to_string().as_str()),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    let rights = rights::environment(&cloud.id, setting.region, &Rights::of(setting, &cloud.id));
    environment.extend(rights.into_iter().map(|(key, value)| (key.to_owned(), value)));
    environment.extend(setting.environment.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    environment
}
