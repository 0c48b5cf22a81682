//! An Update that did not stay: other failures in the stack, killed processes, operations that ran at the same time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::cloudformation::Stack;
use crate::create_and_delete::minimal;
use crate::faults::Fault;
use crate::runtime_api::Outcome;
use crate::state::State;
use crate::test_account::{Setting, TestAccount};
use crate::update::{assert_runs_on, impatient, with};

/// How many accounts work at once.
const AT_ONCE: usize = 6;

/// Another generation with another template, other rights and other limits: every sort of step of an Update.
fn changed() -> Value {
    with(
        json!({"EbsBootSize": 200, "MaxCpus": 100, "AllowBuckets": "reference-data", "JobStateTimeLimit": 3600}),
    )
}

/// A forge that was created a while ago, and its state then.
async fn created(aws: &TestAccount) -> (Stack, State) {
    let stack = aws.stack(minimal());
    stack.sign(Duration::from_secs(6));
    stack.create().await.expect_success();
    (stack, aws.state().await)
}

/// After a sweep everything is as it was, but for the marks that operations leave.
pub(crate) async fn assert_first_state(aws: &TestAccount, first: &State, title: &str) {
    aws.invoke(json!({"sweep": true})).await;
    let mut now = aws.state().await;
    let mut first = first.clone();
    for state in [&mut now, &mut first] {
        state.jobs.clear();
        for queue in &mut state.job_queues {
            queue.tags.remove("towerforge:operation");
        }
        for environment in &mut state.compute_environments {
            // It tells of jobs.
            environment.compute_resources["desiredvCpus"].take();
            environment.running_jobs.take();
        }
    }
    assert!(now == first, "{title}: {now:#?}\nand it was {first:#?}\n{}", aws.lambda.log());
}

#[tokio::test]
async fn a_rollback_ends_in_the_first_state_with_running_jobs_alive() {
    let aws = impatient().await;
    let (stack, first) = created(&aws).await;
    let queue = format!("TowerForge-{}-work", stack.physical_id());
    let (old_job, blue) = aws.cloud.start_job(&queue).await;
    stack.sign(Duration::from_secs(3));
    stack.update(changed()).await.expect_success();
    let (new_job, green) = aws.cloud.start_job(&queue).await;

    stack.sign(Duration::ZERO);
    stack.roll_back().await.expect_success();
    let state = aws.state().await;
    assert_eq!(state.first_environment(&queue).name, blue);
    assert_eq!(state.environment(&blue).state, "ENABLED");
    assert!(!state.environment(&blue).tags.contains_key("towerforge:retiring"));
    assert_eq!(state.environment(&green).state, "DISABLED");
    assert_runs_on(&state, &old_job, &blue);
    assert_runs_on(&state, &new_job, &green);
    aws.cloud.end_job(&new_job).await;
    assert_first_state(&aws, &first, "rolled back").await;
    assert_runs_on(&aws.state().await, &old_job, &blue);
}

#[tokio::test]
async fn a_failed_update_leaves_the_old_generation_serving() {
    for denied in ["batch:CreateComputeEnvironment", "batch:UpdateJobQueue", "batch:UpdateComputeEnvironment"]
    {
        let aws = impatient().await;
        let (stack, first) = created(&aws).await;
        let queue = format!("TowerForge-{}-work", stack.physical_id());
        let (job, blue) = aws.cloud.start_job(&queue).await;
        aws.cloud.put_faults(&[Fault::deny().on(denied).always()]).await;
        stack.sign(Duration::from_secs(3));
        let failed = stack.update(with(json!({"InstanceTypes": "m6i"}))).await.expect_failure();
        assert_eq!(failed.physical_id, stack.physical_id());
        let state = aws.state().await;
        assert_eq!(state.environment(&blue).state, "ENABLED", "{denied}");
        assert!(state.queue(&queue).order.contains(&state.environment(&blue).arn), "{denied}");
        aws.cloud.put_faults(&[]).await;
        stack.sign(Duration::ZERO);
        stack.roll_back().await.expect_success();
        assert_first_state(&aws, &first, denied).await;
        assert_runs_on(&aws.state().await, &job, &blue);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_and_its_rollback_are_killed_after_any_sort_of_write_and_end_the_same() {
    // Which sorts of calls change something, when nothing is killed.
    let aws = impatient().await;
    let (stack, _) = created(&aws).await;
    stack.sign(Duration::from_secs(3));
    let seq = aws.now().await;
    stack.update(changed()).await.expect_success();
    let writes = aws.calls().await.since(seq).mutating().by_operation();
    assert!(writes.len() > 4, "an Update with every sort of step makes {writes:?}");

    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let tasks: Vec<_> = writes
        .into_keys()
        .map(|write| {
            let turns = turns.clone();
            tokio::spawn(async move {
                let _turn = turns.acquire_owned().await.expect("nobody closes it");
                killed(&write).await
            })
        })
        .collect();
    let (mut cases, mut deaths) = (0, 0);
    for task in tasks {
        deaths += task.await.unwrap_or_else(|why| std::panic::resume_unwind(why.into_panic()));
        cases += 1;
    }
    assert!(deaths > cases, "{deaths} deaths in {cases} cases");
    println!("{cases} Updates with their rollbacks, {deaths} killed processes: all end in the first state");
}

/// Kills the Update after its first call of a sort, and the rollback; returns how many processes died.
async fn killed(write: &str) -> usize {
    let title = format!("killed after {write}");
    let aws = impatient().await;
    let (stack, first) = created(&aws).await;
    let queue = format!("TowerForge-{}-work", stack.physical_id());
    let (job, blue) = aws.cloud.start_job(&queue).await;
    let mut deaths = 0;
    for (ago, forth) in [(3, true), (0, false)] {
        aws.lambda.cool().await;
        let process = aws.lambda.warm().await;
        aws.cloud.put_faults(&[Fault::kill_after(process.pid).of(&process.app).on(write)]).await;
        stack.sign(Duration::from_secs(ago));
        let ended = if forth { stack.update(changed()).await } else { stack.roll_back().await };
        deaths += ended.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Died(_))).count();
        ended.expect_success();
        assert_runs_on(&aws.state().await, &job, &blue);
    }
    assert_first_state(&aws, &first, &title).await;
    assert_runs_on(&aws.state().await, &job, &blue);
    deaths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_update_beside_its_rollback_ends_in_the_first_state() {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let moments = [
        ("DescribeStackResource", 1),
        ("TagResource", 1),
        ("CreateLaunchTemplate", 1),
        ("CreateComputeEnvironment", 1),
        ("UpdateJobQueue", 1),
        ("UpdateComputeEnvironment", 1),
    ];
    let cases = moments.into_iter().flat_map(|moment| ["fn-1", "fn-2"].map(|slow| (moment, slow)));
    let tasks: Vec<_> = cases
        .map(|((operation, times), slow)| {
            let turns = turns.clone();
            tokio::spawn(async move {
                let _turn = turns.acquire_owned().await.expect("nobody closes it");
                beside(operation, times, slow).await;
            })
        })
        .collect();
    let number = tasks.len();
    for task in tasks {
        task.await.unwrap_or_else(|why| std::panic::resume_unwind(why.into_panic()));
    }
    println!(
        "{number} rollbacks beside the Update that they undo, either being slower, end in the first state"
    );
}

/// A rollback that begins when the Update has come so far; the process `slow` takes its time for every change.
async fn beside(operation: &str, times: usize, slow: &str) {
    let title = format!("rolled back at {operation} {times}, {slow} being slow");
    // Slower than elsewhere: a call under way when the fence is raised must end within the time that AWS takes.
    let environment = vec![("TOWER_FORGE_RETIRE_AFTER", "0".to_owned())];
    let aws = TestAccount::with(Setting { scale: 0.04, environment, ..Setting::default() }).await;
    let (stack, first) = created(&aws).await;
    let queue = format!("TowerForge-{}-work", stack.physical_id());
    let (job, blue) = aws.cloud.start_job(&queue).await;
    aws.cloud.put_faults(&[Fault::slow(2.0).of(slow).on_changes().always()]).await;
    stack.sign(Duration::from_secs(3));
    let already = aws.calls().await.of(operation).len();
    let update = stack.start_update(changed()).await;
    aws.until_called(operation, times + already).await;
    stack.sign(Duration::ZERO);
    let rolled_back = stack.start_roll_back().await;
    rolled_back.ended().await.expect_success();
    let update = update.ended().await;
    assert!(update.outcomes.iter().all(Outcome::is_returned), "{title}: {:?}", update.outcomes);
    assert_first_state(&aws, &first, &title).await;
    assert_runs_on(&aws.state().await, &job, &blue);
}

#[tokio::test]
async fn a_failed_replacement_leaves_nothing_of_the_new_forge() {
    for denied in ["batch:CreateComputeEnvironment", "batch:CreateJobQueue", "iam:CreateInstanceProfile"] {
        let aws = impatient().await;
        let fusion = with(json!({"WaveEnabled": true, "Fusion2Enabled": true}));
        let stack = aws.stack(fusion.clone());
        stack.sign(Duration::from_secs(6));
        let id = stack.create().await.expect_success().physical_id;
        let first = aws.state().await;
        let mut fargate = fusion;
        fargate["FargateHeadEnabled"] = json!(true);
        aws.cloud.put_faults(&[Fault::deny().on(denied).always()]).await;
        stack.sign(Duration::from_secs(3));
        let failed = stack.update(fargate).await.expect_failure();
        assert_eq!(failed.physical_id, id, "or CloudFormation would delete the forge that serves");
        assert_ne!(aws.state().await.count(), first.count(), "{denied}: something of the new forge is there");
        aws.cloud.put_faults(&[]).await;
        stack.sign(Duration::ZERO);
        assert_eq!(stack.roll_back().await.expect_success().physical_id, id);
        assert_first_state(&aws, &first, denied).await;
    }
}

/// Batch refuses a maximum below the vCPUs in use; neither an Update nor a rollback may fail by that.
#[tokio::test]
async fn limits_below_the_vcpus_in_use_are_approached() {
    let aws = impatient().await;
    let (stack, _) = created(&aws).await;
    let queue = format!("TowerForge-{}-work", stack.physical_id());
    let limits = async |environment: &str| {
        let state = aws.state().await;
        let found = state.environment(environment);
        (found.compute_resources["maxvCpus"].clone(), found.tags.get("towerforge:max-vcpus").cloned())
    };
    let sweep = async || aws.invoke(json!({ "sweep": true })).await.value().cloned().expect("a report");

    stack.sign(Duration::from_secs(3));
    stack.update(with(json!({ "MaxCpus": 700 }))).await.expect_success();
    let (first, blue) = aws.cloud.start_job_of(400, &queue).await;
    let (second, _) = aws.cloud.start_job_of(250, &queue).await;
    stack.sign(Duration::from_secs(2));
    let warned = stack.roll_back().await.expect_success();
    assert_eq!(limits(&blue).await, (json!(650), Some("500".to_owned())), "the jobs go on");
    let warning = format!("{blue} has at most 650 vCPUs instead of 500");
    assert!(warned.attribute("Warnings").contains(&warning), "{}", warned.attribute("Warnings"));
    assert!(aws.lambda.log().contains(&warning), "{}", aws.lambda.log());

    // To another generation and back, which is as busy.
    stack.sign(Duration::from_secs(1));
    stack.update(changed()).await.expect_success();
    stack.sign(Duration::ZERO);
    stack.roll_back().await.expect_success();
    assert_eq!(limits(&blue).await, (json!(650), Some("500".to_owned())));
    for job in [&first, &second] {
        assert_runs_on(&aws.state().await, job, &blue);
    }

    aws.cloud.end_job(&second).await;
    let report = sweep().await;
    assert_eq!(limits(&blue).await, (json!(500), None), "{report:#}");
    assert_runs_on(&aws.state().await, &first, &blue);
}
