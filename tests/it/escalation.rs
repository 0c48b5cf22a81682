//! An attacker gains nothing who may deploy stacks, or holds the rights of the function.
//!
//! [`stacks`] tries the properties of a stack, [`calls`] the calls of the function's role, [`roles`] the rights of the
//! roles of a forge under their boundary. Every attempt and its outcome stands in `docs/escalation.md`, which
//! is written by the test (`UPDATE_EXPECT=1`) and checked by it.

use std::fmt::Write as _;

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::rights::Rights;
use crate::test_account::{Setting, TestAccount};
use crate::{forged, limits};

mod calls;
mod roles;
mod stacks;

/// One attempt and its outcome.
pub(crate) struct Row {
    what: String,
    outcome: String,
    said: String,
}

impl Row {
    fn new(what: impl Into<String>, outcome: impl Into<String>, said: impl Into<String>) -> Self {
        Self { what: what.into(), outcome: outcome.into(), said: said.into() }
    }
}

/// Rows with one outcome.
fn rows(attempts: Vec<(String, String)>, outcome: &str) -> Vec<Row> {
    attempts.into_iter().map(|(what, said)| Row::new(what, outcome, said)).collect()
}

/// An account whose deployer allows something, so that a stack can try to stretch it.
async fn generous() -> TestAccount {
    let rights = Rights {
        allowed_roles: vec!["arn:aws:iam::*:role/genomics-*".to_owned()],
        allowed_policies: vec!["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore".to_owned()],
        allowed_buckets: ["arn:aws:s3:::lab-*", "arn:aws:s3:::lab-*/*"].map(str::to_owned).to_vec(),
        key_pairs: vec!["-".to_owned()],
        vpcs: vec!["arn:*:ec2:*:*:vpc/vpc-0000000000000lab0".to_owned()],
        ..Rights::default()
    };
    TestAccount::with(Setting { rights, ..Setting::default() }).await
}

/// The least that a stack has to say, with some more.
fn with(more: &Value) -> Value {
    let mut properties = json!({ "WorkDir": "s3://lab-data/work", "MaxCpus": 8 });
    for (key, value) in more.as_object().expect("properties") {
        properties[key] = value.clone();
    }
    properties
}

#[tokio::test]
async fn nothing_is_gained() {
    let aws = generous().await;
    let sections = [
        (
            "A hostile stack",
            "Forbidden values are refused before the function makes any call except the one for the stack's status. The \
             reason names\nthe property and the allowed values. Free text, such as the values of `EcsConfig`, is quoted; \
             `tests/it/user_data/hostile.rs`\nlets bash read the result.",
            stacks::properties(&aws).await,
        ),
        (
            "What the deployer has not allowed",
            "The deployment is as `template.yaml` has it, with `AllowedBuckets` for buckets named `genomics-*`. Nothing is \
             created.",
            rows(limits::beyond().await, "refused by the function"),
        ),
        (
            "Events that CloudFormation did not send",
            "The attacker may invoke the function. Forged addresses and dates are in `handler/core/event/tests.rs`, more in \
             `tests/it/forged.rs`.",
            rows(forged::deletes().await, "refused by the function"),
        ),
        (
            "Another stack's forge",
            "Resources are identified by their tags. A resource with the tags of another stack is never changed.",
            stacks::foreign_forge().await,
        ),
        (
            "The roles that a stack can create",
            "The stack requests every action on every resource in `InstanceRoleStatements`. The role gets them; its \
             boundary denies them.\nThe deployer allows buckets named `lab-*` and one VPC.",
            roles::under_the_boundary(&aws).await,
        ),
        (
            "The function's own rights",
            "Calls that an attacker makes with the credentials of the function's role.",
            calls::denied().await,
        ),
        (
            "Calls that no IAM policy can prevent",
            "The function's role allows these calls, but its code never makes them. [SECURITY.md](../SECURITY.md) \
             explains how their\nconsequences are limited.",
            calls::left().await,
        ),
    ];
    let mut page = String::from(
        "# Privilege escalation attempts\n\n`tests/it/escalation.rs` makes each attempt against the real function or its shipped \
         policy. The test writes this\npage (`UPDATE_EXPECT=1 cargo test --test it -- escalation`) and fails when an outcome changes.\n",
    );
    let mut total = 0;
    for (title, about, rows) in &sections {
        write!(page, "\n## {title}\n\n{about}\n\n| attempt | outcome | reason |\n|---|---|---|\n").unwrap();
        for Row { what, outcome, said } in rows {
            writeln!(page, "| {} | {outcome} | {} |", cell(what), cell(said)).unwrap();
        }
        total += rows.len();
        println!("escalation: {title}: {} attempts", rows.len());
    }
    println!("escalation: {total} attempts, see docs/escalation.md");
    expect_file!["../../docs/escalation.md"].assert_eq(&page);
}

/// A text as a table's cell: one line, nothing invisible, and no asterisk that Markdown would take for its own.
fn cell(text: &str) -> String {
    let shown: String = text
        .chars()
        .map(|c| if c.is_ascii() { c.to_string() } else { c.escape_unicode().to_string() })
        .collect();
    let shown = shown.replace('|', "\\|").replace(['\n', '\r'], " ");
    if shown.contains('`') { shown } else { shown.replace('*', "\\*") }
}
