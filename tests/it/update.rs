//! A forge is changed while pipelines run on it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::create_and_delete::minimal;
use crate::state::State;
use crate::test_account::{Setting, TestAccount};

/// A minimal forge with more properties.
pub(crate) fn with(more: Value) -> Value {
    let mut all = minimal();
    all.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    all
}

/// An account whose sweep collects at once.
pub(crate) async fn impatient() -> TestAccount {
    let environment = vec![("TOWER_FORGE_RETIRE_AFTER", "0".to_owned())];
    TestAccount::with(Setting { environment, ..Setting::default() }).await
}

/// The job of this ID, as Batch tells of it.
pub(crate) fn job<'a>(state: &'a State, id: &str) -> &'a Value {
    state.jobs.iter().find(|job| job["job"] == id).unwrap_or_else(|| panic!("no job {id}: {:#?}", state.jobs))
}

/// The job still runs, on this environment.
#[track_caller]
pub(crate) fn assert_runs_on(state: &State, id: &str, environment: &str) {
    let job = job(state, id);
    assert_eq!((&job["status"], &job["environment"]), (&json!("RUNNING"), &json!(environment)), "{job:#}");
    assert_eq!(job["killed"], json!(false), "{job:#}");
}

#[tokio::test]
async fn a_running_job_survives_another_instance_type() {
    let aws = impatient().await;
    let stack = aws.stack(minimal());
    let made = stack.create().await.expect_success();
    let (work, head) = (made.attribute("ComputeQueue"), made.attribute("HeadQueue"));
    let before = aws.state().await;
    let (task, blue) = aws.cloud.start_job(work).await;
    let (pipeline, head_blue) = aws.cloud.start_job(head).await;

    let updated = stack.update(with(json!({"InstanceTypes": "m6i"}))).await.expect_success();
    let state = aws.state().await;
    for attribute in ["ForgeId", "ComputeQueue", "ComputeQueueArn", "HeadQueue", "HeadQueueArn"] {
        assert_eq!(made.attribute(attribute), updated.attribute(attribute), "{attribute}");
    }
    assert_eq!(state.queue(work).arn, before.queue(work).arn);
    assert_runs_on(&state, &task, &blue);
    assert_runs_on(&state, &pipeline, &head_blue);
    let (next, green) = aws.cloud.start_job(work).await;
    assert_ne!(green, blue);
    assert_eq!(updated.attribute("ComputeComputeEnvironmentArn"), state.environment(&green).arn);
    let order: Vec<&str> =
        state.queue(work).order.iter().map(|arn| state.environment(arn).name.as_str()).collect();
    assert_eq!(order, [green.as_str(), blue.as_str()], "the old generation stays behind the queue");
    assert_eq!(state.environment(&blue).state, "DISABLED");
    assert!(state.environment(&blue).tags.contains_key("towerforge:retiring"));
    assert_eq!(state.environment(&head_blue).state, "ENABLED", "the head jobs' environment has not changed");

    let swept = aws.invoke(json!({"sweep": true})).await.value().cloned().expect("a report");
    assert_eq!(swept["collected"], json!([]), "{swept:#}");
    assert!(swept["waiting"].to_string().contains("jobs are still running in it"), "{swept:#}");
    assert_runs_on(&aws.state().await, &task, &blue);

    aws.cloud.end_job(&task).await;
    let swept = aws.invoke(json!({"sweep": true})).await.value().cloned().expect("a report");
    assert!(swept["collected"].to_string().contains(&blue), "{swept:#}");
    let state = aws.state().await;
    assert_eq!(state.count(), before.count(), "nothing else is left");
    assert!(state.compute_environments.iter().all(|environment| environment.name != blue));
    assert_runs_on(&state, &next, &green);
    assert_runs_on(&state, &pipeline, &head_blue);

    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_template_goes_with_the_last_generation_that_uses_it() {
    let aws = impatient().await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
    let before = aws.state().await;
    stack.update(with(json!({"EbsBootSize": 200}))).await.expect_success();
    let during = aws.state().await;
    assert_eq!((during.launch_templates.len(), during.compute_environments.len()), (2, 4));
    aws.invoke(json!({"sweep": true})).await;
    let after = aws.state().await;
    assert_eq!(after.count(), before.count());
    assert_ne!(after.launch_templates[0].name, before.launch_templates[0].name);
}

#[tokio::test]
async fn an_update_of_nothing_but_the_form_writes_nothing() {
    let aws = TestAccount::new().await;
    let said = json!({
        "WorkDir": "s3://my-bucket/work", "MaxCpus": 500, "Type": "SPOT", "EbsEncrypted": true,
        "InstanceTypes": ["m6i", "c6i"], "AllowBuckets": ["s3://one", "s3://two"],
        "Tags": {"Team": "genomics", "Cost": "1"},
    });
    let said_otherwise = json!({
        "WorkDir": "s3://my-bucket/work/", "MaxCpus": " 500 ", "EbsEncrypted": "True", "MinCpus": "0",
        "InstanceTypes": "c6i, m6i", "AllowBuckets": "two,one", "BidPercentage": "",
        "Tags": [{"Key": "Cost", "Value": 1}, {"Key": "Team", "Value": "genomics"}],
    });
    let stack = aws.stack(said.clone());
    let made = stack.create().await.expect_success();
    for properties in [said_otherwise, said] {
        let (before, seq) = (aws.state().await, aws.now().await);
        stack.sign(Duration::ZERO);
        let updated = stack.update(properties).await.expect_success();
        assert!(made.agrees_with(&updated), "{made:?} {updated:?}");
        aws.assert_no_change_since(seq).await;
        assert_eq!(aws.state().await, before);
    }
}

#[tokio::test]
async fn a_fourth_generation_is_refused_while_three_run_jobs_and_idle_ones_make_room() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(minimal());
    stack.sign(Duration::from_secs(12));
    let queue = stack.create().await.expect_success().attribute("ComputeQueue").to_owned();
    let mut jobs = vec![aws.cloud.start_job(&queue).await];
    // URLs tell the second, and these Updates are faster than that.
    for (ago, types) in [(10, "m6i"), (8, "c6i")] {
        stack.sign(Duration::from_secs(ago));
        stack.update(with(json!({"InstanceTypes": types}))).await.expect_success();
        jobs.push(aws.cloud.start_job(&queue).await);
    }
    let (before, seq) = (aws.state().await, aws.now().await);
    assert_eq!(before.queue(&queue).order.len(), 3);

    stack.sign(Duration::from_secs(6));
    let refused = stack.update(with(json!({"InstanceTypes": "r6i"}))).await.expect_failure();
    for (_, environment) in &jobs {
        assert!(refused.reason.contains(environment), "{environment}: {}", refused.reason);
    }
    assert!(refused.reason.contains("nothing was changed"), "{}", refused.reason);
    aws.assert_no_change_since(seq).await;
    assert_eq!(aws.state().await, before);
    stack.sign(Duration::from_secs(4));
    stack.roll_back().await.expect_success();
    assert_eq!(aws.state().await.compute_environments, before.compute_environments);

    // The oldest becomes idle: it goes, and the fourth finds its place.
    let (oldest, gone) = jobs.remove(0);
    aws.cloud.end_job(&oldest).await;
    stack.sign(Duration::from_secs(2));
    stack.update(with(json!({"InstanceTypes": "r6i"}))).await.expect_success();
    let state = aws.state().await;
    assert!(state.compute_environments.iter().all(|environment| environment.name != gone));
    assert_eq!(state.queue(&queue).order.len(), 3);
    for (job, environment) in &jobs {
        assert_runs_on(&state, job, environment);
    }
    let (_, newest) = aws.cloud.start_job(&queue).await;
    assert_eq!(state.first_environment(&queue).name, newest);
}

#[tokio::test]
async fn a_fallback_with_both_environments_busy_is_refused_and_with_one_it_is_replaced() {
    let aws = TestAccount::new().await;
    let fallback = |types: &str| with(json!({"OnDemandFallback": true, "InstanceTypes": types}));
    let stack = aws.stack(fallback("m6i"));
    let queue = stack.create().await.expect_success().attribute("ComputeQueue").to_owned();
    let state = aws.state().await;
    let order = state.queue(&queue).order.clone();
    assert_eq!(order.len(), 2);
    let (spot, demand) = (state.environment(&order[0]).clone(), state.environment(&order[1]).clone());
    assert_eq!(
        (&spot.compute_resources["type"], &demand.compute_resources["type"]),
        (&json!("SPOT"), &json!("EC2"))
    );
    let on_spot = aws.cloud.start_job(&queue).await.0;
    // Spot capacity is exhausted, so the next job runs on demand.
    aws.cloud
        .call(
            "batch",
            "/v1/updatecomputeenvironment",
            json!({"computeEnvironment": spot.arn, "state": "DISABLED"}).to_string(),
        )
        .await;
    aws.until("spot is disabled", |state| {
        state.environment(&spot.arn).state == "DISABLED" && state.environment(&spot.arn).status == "VALID"
    })
    .await;
    let on_demand = aws.cloud.start_job(&queue).await;
    assert_eq!(on_demand.1, demand.name);
    aws.cloud
        .call(
            "batch",
            "/v1/updatecomputeenvironment",
            json!({"computeEnvironment": spot.arn, "state": "ENABLED"}).to_string(),
        )
        .await;
    aws.until("spot is enabled", |state| {
        state.environment(&spot.arn).state == "ENABLED" && state.environment(&spot.arn).status == "VALID"
    })
    .await;

    let (before, seq) = (aws.state().await, aws.now().await);
    let refused = stack.update(fallback("c6i")).await.expect_failure();
    assert!(refused.reason.contains(&demand.name), "{}", refused.reason);
    aws.assert_no_change_since(seq).await;
    assert_eq!(aws.state().await, before);

    aws.cloud.end_job(&on_demand.0).await;
    stack.sign(Duration::ZERO);
    stack.update(fallback("c6i")).await.expect_success();
    let state = aws.state().await;
    let order = state.queue(&queue).order.clone();
    let types: Vec<&Value> =
        order.iter().map(|arn| &state.environment(arn).compute_resources["type"]).collect();
    assert_eq!(types, [&json!("SPOT"), &json!("EC2"), &json!("SPOT")]);
    assert_eq!(order[2], spot.arn);
    assert_runs_on(&state, &on_spot, &spot.name);
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn another_identity_behind_a_fixed_id_is_refused() {
    let aws = TestAccount::new().await;
    let fusion = json!({"ForgeId": "Cafe1", "WaveEnabled": true, "Fusion2Enabled": true});
    let stack = aws.stack(with(fusion.clone()));
    stack.create().await.expect_success();
    let (before, seq) = (aws.state().await, aws.now().await);
    let mut changed = with(fusion);
    changed["FargateHeadEnabled"] = json!(true);
    let refused = stack.update(changed.clone()).await.expect_failure();
    assert!(
        refused.reason.contains("FargateHeadEnabled") && refused.reason.contains("change ForgeId too"),
        "{}",
        refused.reason
    );
    assert_eq!(refused.physical_id, "Cafe1");
    aws.assert_no_change_since(seq).await;
    // Nothing but the fence: an Update that wanted something else may still have been running.
    stack.roll_back().await.expect_success();
    let writes = aws.calls().await.since(seq).mutating().by_operation();
    assert!(writes.keys().all(|call| call == "batch:TagResource"), "{writes:?}");
    assert_eq!(aws.state().await.compute_environments, before.compute_environments);

    changed["ForgeId"] = json!("Cafe2");
    assert_eq!(stack.update(changed).await.expect_success().physical_id, "Cafe2");
    stack.clean_up().await.expect_success();
    let state = aws.state().await;
    assert!(
        state.resources().iter().all(|(_, _, tags)| tags["towerforge:forge-id"] == "Cafe2"),
        "{state:#?}"
    );
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn no_update_deletes_a_file_system() {
    let aws = impatient().await;
    let group = aws
        .seed(json!({"security_group": {"name": "open", "rules": [{"from": 0, "to": 65535}]}}))
        .await["security_group"]["id"]
        .clone();
    let stack = aws.stack(with(json!({"EfsCreate": true, "SecurityGroups": [group]})));
    let made = stack.create().await.expect_success();
    let efs = made.attribute("EfsId").to_owned();
    stack.update(with(json!({"SecurityGroups": [group]}))).await.expect_success();
    for sweep in 0..2 {
        let state = aws.state().await;
        assert_eq!(state.efs.len(), 1, "sweep {sweep}");
        assert_eq!(state.efs[0].id, efs);
        assert!(state.efs[0].tags.contains_key("towerforge:retiring"), "{:?}", state.efs[0].tags);
        aws.invoke(json!({"sweep": true})).await;
    }
    // Wanted again, it is the same one.
    stack.sign(Duration::ZERO);
    let again =
        stack.update(with(json!({"EfsCreate": true, "SecurityGroups": [group]}))).await.expect_success();
    assert_eq!(again.attribute("EfsId"), efs);
    assert!(!aws.state().await.efs[0].tags.contains_key("towerforge:retiring"));
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_nonce_repairs_what_was_changed_behind_the_stack() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(with(json!({"Nonce": "1", "JobStateTimeLimit": 3600})));
    let made = stack.create().await.expect_success();
    let mut before = aws.state().await;
    let role = format!("TowerForge-{}-InstanceRole", made.physical_id);
    let policy = before.role(&role).inline.keys().next().expect("a policy").clone();
    let delete = format!("Action=DeleteRolePolicy&Version=2010-05-08&RoleName={role}&PolicyName={policy}");
    aws.cloud.call("iam", "/", delete).await;
    let anybody = json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"});
    let trust = json!({"Version": "2012-10-17", "Statement": [anybody]}).to_string();
    let trust = percent_encoding::utf8_percent_encode(&trust, percent_encoding::NON_ALPHANUMERIC);
    let execution = format!("TowerForge-{}-ExecutionRole", made.physical_id);
    let update = "Action=UpdateAssumeRolePolicy&Version=2010-05-08";
    let trust = format!("{update}&RoleName={execution}&PolicyDocument={trust}");
    aws.cloud.call("iam", "/", trust).await;
    let queue = made.attribute("ComputeQueue");
    let change = json!({"jobQueue": queue, "priority": 7, "jobStateTimeLimitActions": []});
    aws.cloud.call("batch", "/v1/updatejobqueue", change.to_string()).await;
    aws.until("the queue is VALID", |state| {
        state.queue(queue).priority == 7 && state.queue(queue).status == "VALID"
    })
    .await;
    assert_ne!(aws.state().await.role(&role), before.role(&role));

    stack.update(with(json!({"Nonce": "2", "JobStateTimeLimit": 3600}))).await.expect_success();
    let mut after = aws.state().await;
    for state in [&mut before, &mut after] {
        for queue in &mut state.job_queues {
            queue.tags.remove("towerforge:operation");
        }
    }
    assert_eq!(after, before);
}

#[tokio::test]
async fn dragen_goes_with_its_queue_and_environment() {
    let aws = impatient().await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
    let before = aws.state().await;
    let dragen = stack.update(with(json!({"DragenEnabled": true}))).await.expect_success();
    let queue = dragen.attribute("DragenQueue").to_owned();
    assert_eq!(
        aws.state().await.first_environment(&queue).compute_resources["instanceTypes"],
        json!(["f2.6xlarge"])
    );
    stack.sign(Duration::ZERO);
    let without = stack.update(minimal()).await.expect_success();
    assert_eq!(without.attribute("DragenQueue"), "");
    aws.invoke(json!({"sweep": true})).await;
    assert_eq!(aws.state().await.count(), before.count());
}

#[tokio::test]
async fn a_change_of_type_moves_the_head_jobs_too() {
    let aws = impatient().await;
    let stack = aws.stack(minimal());
    let made = stack.create().await.expect_success();
    let (work, head) = (made.attribute("ComputeQueue"), made.attribute("HeadQueue"));
    let spot = aws.state().await;
    let jobs = [aws.cloud.start_job(work).await, aws.cloud.start_job(head).await];

    stack.update(with(json!({"Type": "EC2"}))).await.expect_success();
    let state = aws.state().await;
    assert_eq!(state.first_environment(work), state.first_environment(head));
    assert_eq!(state.first_environment(work).compute_resources["type"], "EC2");
    for (job, environment) in &jobs {
        assert_runs_on(&state, job, environment);
    }
    let on_demand = [aws.cloud.start_job(work).await, aws.cloud.start_job(head).await];
    for (job, _) in &jobs {
        aws.cloud.end_job(job).await;
    }
    aws.invoke(json!({"sweep": true})).await;
    assert_eq!(aws.state().await.compute_environments.len(), 1);

    stack.sign(Duration::ZERO);
    stack.update(minimal()).await.expect_success();
    let state = aws.state().await;
    assert_ne!(state.first_environment(work), state.first_environment(head));
    for (job, environment) in &on_demand {
        assert_runs_on(&state, job, environment);
        aws.cloud.end_job(job).await;
    }
    aws.invoke(json!({"sweep": true})).await;
    assert_eq!(aws.state().await.count(), spot.count());
}
