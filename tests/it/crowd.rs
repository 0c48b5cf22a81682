//! Many forges at once share the quotas of Batch in an account, and Nextflow needs most of them.

use futures_util::future::join_all;
use serde_json::json;

use crate::cloudformation::Stack;
use crate::test_account::{Setting, TestAccount};

const FORGES: u32 = 20;

#[tokio::test]
async fn twenty_forges_at_once_use_a_fifth_of_what_batch_allows() {
    // Slow enough that the seconds of AWS are not spent on this machine's own work.
    // Their environments need most of the 50 that an account can have.
    let aws =
        TestAccount::with(Setting { scale: 0.4, log_level: "INFO", inhabited: false, ..Setting::default() })
            .await;
    let stacks: Vec<_> =
        (0..FORGES).map(|_| aws.stack(json!({ "WorkDir": "s3://my-bucket/work", "MaxCpus": 64 }))).collect();
    let made = join_all(stacks.iter().map(Stack::create)).await;
    for ended in made {
        ended.expect_success();
    }
    let calls = aws.calls().await;
    let batch: Vec<_> = calls.0.iter().filter(|call| call.service == "batch").collect();
    let throttled =
        batch.iter().filter(|call| call.error.as_deref() == Some("TooManyRequestsException")).count();
    let first = batch.first().expect("calls").at;
    let seconds = batch.last().expect("calls").at - first;
    let count = |calls: usize| f64::from(u32::try_from(calls).expect("thousands"));
    let rate = count(batch.len()) / seconds;
    // In any ten seconds, so that a quiet end does not hide a busy beginning.
    let busiest = (0..).map(|second| first + f64::from(second)).take_while(|at| *at < first + seconds);
    let within = |from: f64| batch.iter().filter(|call| (from..from + 10.0).contains(&call.at)).count();
    let busiest = busiest.map(within).max().unwrap_or_default();
    println!(
        "{FORGES} forges at once: {} calls of Batch in {seconds:.0} s, {rate:.1} a second on average, {:.1} in the \
         busiest ten seconds, {throttled} throttled",
        batch.len(),
        count(busiest) / 10.0,
    );
    assert!(rate < 10.0, "{rate} calls a second");
    for stack in &stacks {
        assert_eq!(stack.physical_id().len(), 22);
    }
}
