//! The common part of the matrices of crashes and faults: trials side by side, each in an account of its own with
//! neighbours in it, and the figures that come of them.

use std::{collections::BTreeSet, future::Future, sync::Mutex};

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::cloudformation::Stack;
use crate::ended::Ended;
use crate::faults::Fault;
use crate::test_account::{Setting, TestAccount};

/// How many trials run at once.
const AT_ONCE: usize = 6;
const FORGE: &str = "Cafe1";

/// Whether the long matrices are wanted: `make soak`.
pub(crate) fn soak() -> bool {
    std::env::var_os("TOWER_FORGE_SOAK").is_some_and(|value| value == "1")
}

/// The requests of CloudFormation, in the order of a stack's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Create,
    Update,
    Delete,
}

impl Phase {
    pub(crate) const ALL: [Self; 3] = [Self::Create, Self::Update, Self::Delete];
}

/// The figures of a matrix. All but `struck` should be empty at its end.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) struck: usize,
    pub(crate) unconverged: Vec<String>,
    pub(crate) leaks: Vec<String>,
    pub(crate) foreign: Vec<String>,
    pub(crate) doubles: Vec<String>,
}

impl Figures {
    /// Prints them, and fails if something went wrong.
    pub(crate) fn conclude(self, what: &str) {
        let Self { struck, unconverged, leaks, foreign, doubles } = self;
        println!(
            "{what}: {struck} tried, {} did not converge, leaks {}, foreign resources touched {}, double or contradicting \
             answers {}",
            unconverged.len(),
            leaks.len(),
            foreign.len(),
            doubles.len()
        );
        let wrong: Vec<String> = [unconverged, leaks, foreign, doubles].concat();
        assert!(wrong.is_empty(), "{} of the trials went wrong, among them: {}", wrong.len(), wrong[0]);
        assert!(struck > 0, "nothing has been tried");
    }
}

/// The calls of an ordinary life, by phase.
#[derive(Debug, Default)]
pub(crate) struct Ordinary {
    /// How many calls a phase makes at most.
    pub(crate) calls: u32,
    /// The operations of each phase.
    pub(crate) operations: [BTreeSet<String>; 3],
    /// Those of them that write.
    pub(crate) writes: [BTreeSet<String>; 3],
}

/// Plays an ordinary life.
pub(crate) async fn ordinary(figures: &Mutex<Figures>) -> Ordinary {
    let case = Case::begin("an ordinary life".to_owned(), figures).await;
    let mut ordinary = Ordinary::default();
    for phase in Phase::ALL {
        let before = case.aws.now().await;
        case.play(phase).await.expect_success();
        let calls = case.aws.calls().await.since(before);
        println!("{phase:?}: {} calls, of which {} change something", calls.len(), calls.mutating().len());
        ordinary.calls = ordinary.calls.max(u32::try_from(calls.len()).expect("hundreds"));
        ordinary.operations[phase as usize] = calls.by_operation().into_keys().collect();
        ordinary.writes[phase as usize] = calls.mutating().by_operation().into_keys().collect();
    }
    case.end().await;
    ordinary
}

/// Runs trials side by side.
pub(crate) async fn run<F: Future<Output = ()>>(trials: impl IntoIterator<Item = F>) {
    futures_util::stream::iter(trials).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// One case: a forge among neighbours.
pub(crate) struct Case<'a> {
    pub(crate) aws: TestAccount,
    pub(crate) stack: Stack,
    what: String,
    figures: &'a Mutex<Figures>,
}

impl<'a> Case<'a> {
    pub(crate) async fn begin(what: String, figures: &'a Mutex<Figures>) -> Self {
        let aws = TestAccount::with(Setting { log_level: "INFO", ..Setting::default() }).await;
        // The shipped policy is in force in all other tests; judging every call of these would double their time.
        aws.cloud.put_policy(None).await;
        seed_neighbours(&aws).await;
        let stack = aws.stack(properties("first"));
        Self { aws, stack, what, figures }
    }

    /// Lets CloudFormation do one thing with the forge.
    pub(crate) async fn play(&self, phase: Phase) -> Ended {
        match phase {
            Phase::Create => self.stack.create().await,
            // Another generation of everything that cannot be changed in place.
            Phase::Update => self.stack.update(properties("second")).await,
            Phase::Delete => self.stack.delete().await,
        }
    }

    /// The same while a fault is in force; it has to succeed nevertheless. Says whether the fault has struck.
    pub(crate) async fn play_under(&self, phase: Phase, faults: &[Fault]) -> bool {
        self.aws.cloud.put_faults(faults).await;
        let ended = self.play(phase).await;
        let hits: u64 = self.aws.cloud.fault_hits().await.iter().sum();
        self.aws.cloud.put_faults(&[]).await;
        if ended.answer.as_ref().is_none_or(|answer| !answer.succeeded) {
            let text = format!("{} {phase:?}: {:?}", self.what, ended);
            self.note(|figures| figures.unconverged.push(text));
        }
        self.note(|figures| figures.struck += usize::try_from(hits).expect("few"));
        hits > 0
    }

    /// Kills the process of one phase as `kill` says, and lets Lambda try again.
    pub(crate) async fn play_killed(&self, phase: Phase, kill: impl Fn(u32) -> Fault) -> bool {
        let process = self.aws.lambda.warm().await;
        self.play_under(phase, &[kill(process.pid).of(&process.app)]).await
    }

    /// Checks the account after the forge has been deleted.
    pub(crate) async fn end(self) {
        let left = self.aws.state().await;
        let before = self.aws.others_at_first();
        let ours: Vec<String> = left
            .resources()
            .into_iter()
            .filter(|(_, name, tags)| {
                tags.get("towerforge:forge-id").is_some_and(|id| id == FORGE) || name.contains("-Cafe1-")
            })
            .map(|(kind, name, _)| format!("{kind} {name}"))
            .collect();
        let violations = self.aws.urls.take_violations();
        let what = self.what;
        let log = || self.aws.lambda.log();
        let mut figures = self.figures.lock().expect("no test thread panics while it holds this");
        if !ours.is_empty() {
            figures.leaks.push(format!("{what} leaves {ours:?}\n{}", log()));
        } else if left != before {
            figures.foreign.push(format!("{what}: {before:#?} became {left:#?}"));
        }
        if !violations.is_empty() {
            figures.doubles.push(format!("{what}: {violations:?}\n{}", log()));
        }
    }

    pub(crate) fn note(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.figures.lock().expect("no test thread panics while it holds this"));
    }
}

/// The properties of the forge; another `generation` replaces its environments and template.
pub(crate) fn properties(generation: &str) -> Value {
    json!({ "ForgeId": FORGE, "WorkDir": "s3://my-bucket/work", "MaxCpus": 64, "ImageRefresh": generation })
}

/// Resources whose names begin like ours, of a forge in another stack.
async fn seed_neighbours(aws: &TestAccount) {
    let tags = json!({
        "towerforge:forge-id": "Cafe12",
        "towerforge:stack-id": "arn:aws:cloudformation:eu-west-1:000000000000:stack/theirs/1",
        "towerforge:logical-id": "Genomics",
    });
    let named = |name: &str| json!({ "name": format!("TowerForge-Cafe12-{name}"), "tags": tags });
    let things = json!({
        "role": named("ServiceRole"),
        "environment": named("work-00000000"),
        "queue": named("work"),
        "template": named("00000000"),
    });
    aws.seed(things).await;
}
