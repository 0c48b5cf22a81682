//! What somebody gains who is hostile and may deploy stacks, or holds the rights of the function: nothing.
//!
//! [`stacks`] is what a stack may say, [`calls`] is what the function's role may call, [`roles`] is what the roles of
//! a forge may do under their boundary. Every attempt and what became of it stands in `docs/escalation.md`, which
//! is written by the test (`UPDATE_EXPECT=1`) and checked by it.

use std::fmt::Write as _;

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::rights::Rights;
use crate::world::{Setting, World};

mod calls;
mod roles;
mod stacks;

/// One attempt, and what became of it.
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

/// A world whose deployer allows something, so that a stack can try to stretch it.
async fn generous() -> World {
    let rights = Rights {
        allowed_roles: vec!["arn:aws:iam::*:role/genomics-*".to_owned()],
        allowed_policies: vec!["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore".to_owned()],
        allowed_buckets: ["arn:aws:s3:::lab-*", "arn:aws:s3:::lab-*/*"].map(str::to_owned).to_vec(),
        ..Rights::default()
    };
    World::with(Setting { rights, ..Setting::default() }).await
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
    let world = generous().await;
    let sections = [
        (
            "A hostile stack",
            "What a stack may not say is refused before the function has made any call but the one for the stack's status; \
             the answer\nnames the property and what is allowed. Where text may hold anything, as in the values of \
             `EcsConfig`, it is quoted:\n`tests/it/user_data/hostile.rs` has bash read the result.",
            stacks::properties(&world).await,
        ),
        (
            "Another stack's forge",
            "Parts are known by their tags. What bears those of another stack is left as it is.",
            stacks::foreign_forge().await,
        ),
        (
            "The roles that a stack can have made",
            "The stack asks for every action on everything in `InstanceRoleStatements`. The role gets them, and the \
             boundary takes them back.\nThe deployer allows buckets named `lab-*`.",
            roles::under_the_boundary(&world).await,
        ),
        (
            "The function's own rights",
            "Calls made with the policy of the function's role, by somebody who has got hold of its credentials.",
            calls::denied().await,
        ),
        (
            "What no policy of AWS's can forbid",
            "These calls are allowed with the function's rights, though its code never makes them; what follows from \
             them is limited as\n[SECURITY.md](../SECURITY.md) says.",
            calls::left().await,
        ),
    ];
    let mut page = String::from(
        "# Attempts at more rights\n\nEach attempt is made by `tests/it/escalation.rs` against the real function or its \
         shipped policy.\nThe test writes this page (`UPDATE_EXPECT=1 cargo test --test it -- escalation`) and fails when an outcome changes.\n",
    );
    let mut total = 0;
    for (title, about, rows) in &sections {
        write!(page, "\n## {title}\n\n{about}\n\n| attempt | outcome | in its words |\n|---|---|---|\n")
            .unwrap();
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
