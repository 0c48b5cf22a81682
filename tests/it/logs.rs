//! Log lines: one for each step, as data, at the level that Lambda's settings ask for. That they hold no secret is
//! looked at in every test when its account ends.

use serde_json::Value;

use crate::create_and_delete::minimal;
use crate::faults::Fault;
use crate::test_account::{Setting, TestAccount};

async fn lines_at(level: &'static str) -> Vec<Value> {
    let aws = TestAccount::with(Setting { log_level: level, ..Setting::default() }).await;
    aws.cloud.put_faults(&[Fault::deny().on("batch:DeleteJobQueue")]).await;
    let stack = aws.stack(minimal());
    stack.create().await.expect_success();
    stack.delete().await.expect_failure();
    let log = aws.lambda.log();
    log.lines()
        .filter(|line| !line.starts_with("---"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn every_step_is_a_line_with_its_part_duration_and_outcome() {
    let lines = lines_at("INFO").await;
    let steps: Vec<&Value> = lines.iter().filter(|line| line["outcome"].is_string()).collect();
    assert!(steps.len() >= 12, "{steps:#?}");
    for step in &steps {
        assert_eq!(step["forge"].as_str().map(str::len), Some(22), "{step}");
        assert!(
            step["resource"]
                .as_str()
                .is_some_and(|name| name.contains("TowerForge-") || name.contains("/tower-forge/")),
            "{step}"
        );
        assert!(
            step["action"].is_string() && step["milliseconds"].is_u64() && step["timestamp"].is_string(),
            "{step}"
        );
    }
    // Others may have been refused that AWS takes back, such as an environment that a queue still holds.
    let refused: Vec<_> = steps.iter().filter(|step| step["outcome"] == "refused").collect();
    assert!(refused.iter().all(|step| step["level"] == "WARN"), "{refused:?}");
    let denied = |step: &&&&Value| {
        let error = step["error"].as_str().unwrap();
        error.contains("batch:DeleteJobQueue") && error.contains("AccessDenied")
    };
    assert_eq!(refused.iter().filter(denied).count(), 1, "{refused:?}");
}

#[tokio::test]
async fn lambdas_level_is_honoured() {
    let levels = |lines: &[Value]| -> std::collections::BTreeSet<String> {
        lines.iter().filter_map(|line| line["level"].as_str().map(ToOwned::to_owned)).collect()
    };
    let warn = levels(&lines_at("WARN").await);
    assert!(warn.contains("WARN") && !warn.contains("INFO") && !warn.contains("DEBUG"), "{warn:?}");
    let fatal = levels(&lines_at("FATAL").await);
    assert!(fatal.iter().all(|level| level == "ERROR"), "{fatal:?}");
    let info = levels(&lines_at("INFO").await);
    assert!(info.contains("INFO") && !info.contains("DEBUG"), "{info:?}");
}
