//! The effect of each property, in AWS or in the attribute `NextflowConfig`, one row for each.
//!
//! A few forges say all properties between them, none its default; a last check is that no property lacks a row.

mod cases;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tower_forge_core::properties::table;

use crate::response_url::Answer;
use crate::state::{FileSystem, JobQueue, State};
use crate::test_account::{Setting, TestAccount};
use cases::{Case, ELSEWHERE, cases};

/// A forge that has been made.
struct Made {
    /// The properties in the stack.
    given: Value,
    id: String,
    account: String,
    answer: Answer,
    state: State,
}

impl Made {
    fn queue(&self, line: &str) -> &JobQueue {
        self.state.queue(&format!("TowerForge-{}-{line}", self.id))
    }

    /// The compute resources of an environment, by its place behind a queue.
    fn environment(&self, line: &str, place: usize) -> &Value {
        &self.state.environment(&self.queue(line).order[place]).compute_resources
    }

    fn work(&self) -> &Value {
        self.environment("work", 0)
    }

    fn head(&self) -> &Value {
        self.environment("head", 0)
    }

    /// The root volume that the launch template asks for.
    fn root(&self) -> &Value {
        &self.template()["BlockDeviceMappings"][0]["Ebs"]
    }

    fn template(&self) -> &Value {
        &self.state.launch_templates[0].data
    }

    fn boots_with(&self, text: &str) -> bool {
        self.template()["UserData"].as_str().expect("a template has user data").contains(text)
    }

    /// Whether all policies of a role together say this.
    fn may(&self, role: &str, text: &str) -> bool {
        let role = self.state.role(&format!("TowerForge-{}-{role}", self.id));
        json!([role.inline, role.managed]).to_string().contains(text)
    }

    fn config(&self, text: &str) -> bool {
        self.answer.attribute("NextflowConfig").contains(text)
    }

    fn efs(&self) -> &FileSystem {
        of_forge(&self.state.efs)
    }

    fn fsx(&self) -> &FileSystem {
        of_forge(&self.state.fsx)
    }

    fn role_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/{name}", self.account)
    }
}

fn of_forge(systems: &[FileSystem]) -> &FileSystem {
    systems.iter().find(|it| it.tags.contains_key("towerforge:forge-id")).expect("the forge has made one")
}

/// The values that the deployer of these functions allows.
pub(crate) fn generous() -> Setting {
    let allow = |variable, pattern: &str| (variable, pattern.to_owned());
    Setting {
        environment: vec![
            allow("TOWER_FORGE_ALLOWED_ROLES", "arn:aws:iam::*:role/pipelines/*"),
            allow("TOWER_FORGE_ALLOWED_POLICIES", "arn:aws:iam::aws:policy/AmazonEC2Container*"),
            allow("TOWER_FORGE_ALLOWED_BOUNDARIES", "arn:aws:iam::*:policy/boundary"),
        ],
        ..Setting::default()
    }
}

/// Furnishes an account, and replaces the words in capitals by the names of its resources.
async fn seed_for(aws: &TestAccount, case: &Case) -> Value {
    let all =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let things = json!({
        "vpc": {"zones": ["eu-west-1a", "eu-west-1b"]},
        "policy": {"name": "boundary", "document": all},
        "scheduling_policy": {"name": "fair"},
        "key_pair": {"name": "lab"},
    });
    let mut made = aws.seed(things).await;
    let text = case.properties.to_string();
    if text.contains("\"EFS\"") {
        let vpc = &made["vpc"];
        let efs = json!({"subnets": vpc["subnets"], "security_groups": vpc["security_groups"]});
        let systems = aws.seed(json!({"efs": efs, "fsx": {}})).await;
        made["efs"] = systems["efs"].clone();
        made["fsx"] = systems["fsx"].clone();
    }
    let named = |path: &str| made.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let dns_name = format!("{}.fsx.eu-west-1.amazonaws.com", named("/fsx/id"));
    let text = [
        ("VPC", named("/vpc/id")),
        ("SUBNET_A", named("/vpc/subnets/0")),
        ("GROUP", named("/vpc/security_groups/0")),
        ("POLICY", named("/scheduling_policy/arn")),
        ("BOUNDARY", named("/policy/arn")),
        ("EFS", named("/efs/id")),
        ("FSX", dns_name),
    ]
    .iter()
    .fold(text, |text, (word, value)| text.replace(&format!("\"{word}\""), &format!("\"{value}\"")))
    .replace("\"ROLE/", &format!("\"arn:aws:iam::{}:role/pipelines/", aws.cloud.id));
    serde_json::from_str(&text).unwrap()
}

/// Makes the forge of a case and checks its rows: the names of those without an effect.
async fn show(case: Case) -> Vec<String> {
    let aws = TestAccount::with(generous()).await;
    let properties = seed_for(&aws, &case).await;
    let stack = aws.stack(properties.clone());
    let answer = stack.create().await.expect_success();
    let made = Made {
        given: properties,
        id: answer.physical_id.clone(),
        account: aws.cloud.id.clone(),
        answer,
        state: aws.state().await,
    };
    let failed = case.rows.iter().filter(|(_, effect)| !effect(&made));
    let failed: Vec<String> = failed.map(|(name, _)| format!("{name} ({})", case.name)).collect();
    if !failed.is_empty() {
        println!("{}: {:#?}\n{}", case.name, made.state, made.answer.attribute("NextflowConfig"));
    }
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
    failed
}

#[tokio::test]
async fn each_property_has_its_effect() {
    let rows: usize = cases().iter().map(|case| case.rows.len()).sum();
    let failed: Vec<String> = join_all(cases().into_iter().map(show)).await.concat();
    println!("{} forges, {rows} rows", cases().len());
    assert!(failed.is_empty(), "without their effect: {failed:?}");
}

#[test]
fn no_property_lacks_a_row() {
    let mut shown: BTreeSet<&str> =
        cases().iter().flat_map(|case| case.rows.iter().map(|(name, _)| *name)).collect();
    shown.extend(ELSEWHERE.iter().map(|(name, _)| *name));
    let all: BTreeSet<&str> = table::all().map(|row| row.name).collect();
    assert_eq!(shown, all);
    let said: BTreeSet<String> = cases()
        .iter()
        .flat_map(|case| case.properties.as_object().unwrap().keys().cloned().collect::<Vec<_>>())
        .collect();
    for case in cases() {
        // "EbsBootSize" of a forge that leaves it out is about the default.
        let absent = case.rows.iter().map(|(name, _)| *name).filter(|name| !said.contains(*name));
        assert_eq!(absent.collect::<Vec<_>>(), Vec::<&str>::new(), "{}", case.name);
    }
}

#[tokio::test]
async fn a_new_image_is_a_new_generation_and_a_nonce_is_nothing() {
    let aws = TestAccount::new().await;
    let with = |refresh: &str, nonce: &str| json!({"WorkDir": "s3://my-bucket/work", "MaxCpus": 9, "ImageRefresh": refresh, "Nonce": nonce});
    let stack = aws.stack(with("2026-01", "1"));
    let id = stack.create().await.expect_success().physical_id;
    let before = aws.state().await;
    let seq = aws.now().await;
    stack.update(with("2026-01", "2")).await.expect_success();
    // The operation's tag apart, which is how a newer operation is told from an older one.
    let changes = aws.calls().await.since(seq).mutating();
    assert_eq!(changes.of("TagResource").len(), changes.len(), "{:?}", changes.by_operation());
    let work = format!("TowerForge-{id}-work");
    assert_eq!(aws.state().await.queue(&work).order, before.queue(&work).order);

    stack.update(with("2026-02", "2")).await.expect_success();
    let after = aws.state().await;
    assert_ne!(after.first_environment(&work).name, before.first_environment(&work).name);
    assert_eq!(after.launch_templates.len(), 2);
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn an_older_event_than_its_timeout_is_stale() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(json!({"WorkDir": "s3://my-bucket/work", "MaxCpus": 9, "ServiceTimeout": 120}));
    stack.put_statuses("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS").await;
    let request = stack.request(stack.create_event(), std::time::Duration::from_secs(150));
    aws.deliver(&request).await.expect_silence();
    aws.assert_no_change_since(0).await;
}
