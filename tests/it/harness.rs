//! The harness itself: whoever plays CloudFormation must be as strict as CloudFormation is.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::cloud::http;
use crate::cloudformation::Stack;
use crate::operation::stringified;
use crate::response_url::{Echo, ResponseUrls};
use crate::test_account::TestAccount;

/// Everything that a PUT to a response URL can have.
struct Put {
    method: Method,
    url: String,
    content_type: Option<&'static str>,
    body: String,
}

impl Put {
    fn of(url: &str, body: &Value) -> Self {
        Self { method: Method::PUT, url: url.to_owned(), content_type: Some(""), body: body.to_string() }
    }

    async fn send(self) -> u16 {
        let mut request = http().request(self.method, self.url).body(self.body);
        if let Some(content_type) = self.content_type {
            request = request.header("content-type", content_type);
        }
        request.send().await.expect("the server answers").status().as_u16()
    }
}

fn echo(request_type: &str) -> Echo {
    Echo {
        stack_id: Some("arn:aws:cloudformation:eu-west-1:000000000000:stack/s/1".to_owned()),
        request_id: Some("request".to_owned()),
        logical_id: Some("Genomics".to_owned()),
        physical_id: (request_type != "Create").then(|| "forge".to_owned()),
        request_type: request_type.to_owned(),
    }
}

fn success() -> Value {
    json!({
        "Status": "SUCCESS",
        "StackId": "arn:aws:cloudformation:eu-west-1:000000000000:stack/s/1",
        "RequestId": "request",
        "LogicalResourceId": "Genomics",
        "PhysicalResourceId": "forge",
        "Data": {},
    })
}

/// A good answer but for these fields; null takes one away.
fn answer_with(changes: &Value) -> Value {
    let mut answer = success();
    for (key, value) in changes.as_object().expect("an object") {
        answer[key] = value.clone();
    }
    answer.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    answer
}

#[tokio::test]
async fn a_good_answer_is_heeded() {
    let urls = ResponseUrls::start().await;
    let (url, expected) = urls.presign(echo("Create"), Duration::ZERO, None);
    expected.delivered();
    assert_eq!(Put::of(&url, &success()).send().await, 200);
    assert!(expected.answers()[0].succeeded);
    assert_eq!(urls.take_violations(), Vec::<String>::new());
}

#[tokio::test]
async fn s3_refuses_what_the_signature_does_not_cover() {
    let urls = ResponseUrls::start().await;
    let (url, expected) = urls.presign(echo("Create"), Duration::ZERO, None);
    expected.delivered();
    let good = || Put::of(&url, &success());
    let refused = [
        Put { method: Method::POST, ..good() },
        Put { content_type: Some("application/json"), ..good() },
        Put { url: url.replace("%7C", "|"), ..good() },
        Put { url: url.replace("%3A", ":"), ..good() },
        Put { url: url.replace("&X-Amz-Expires=7200", ""), ..good() },
    ];
    let count = refused.len();
    for put in refused {
        let what = format!("{} {} {:?}", put.method, put.url, put.content_type);
        assert_eq!(put.send().await, 403, "{what}");
    }
    assert_eq!(urls.take_violations().len(), count);
    assert_eq!(expected.answers(), Vec::new());
}

#[tokio::test]
async fn a_url_holds_for_two_hours() {
    let urls = ResponseUrls::start().await;
    let (url, expected) = urls.presign(echo("Create"), Duration::from_secs(7300), None);
    expected.delivered();
    assert_eq!(Put::of(&url, &success()).send().await, 403);
    // To come too late is a misfortune and no violation.
    assert_eq!(urls.take_violations(), Vec::<String>::new());
}

#[tokio::test]
async fn what_cloudformation_cannot_read_is_a_violation_and_a_failure() {
    let cases = [
        ("Create", json!({ "Status": "success" })),
        ("Create", json!({ "Status": "FAILED" })),
        ("Create", json!({ "PhysicalResourceId": "" })),
        ("Create", json!({ "PhysicalResourceId": null })),
        ("Create", json!({ "PhysicalResourceId": "x".repeat(1025) })),
        ("Create", json!({ "StackId": "another" })),
        ("Create", json!({ "RequestId": null })),
        ("Create", json!({ "LogicalResourceId": "genomics" })),
        ("Create", json!({ "Data": "text" })),
        ("Create", json!({ "Data": { "NextflowConfig": "x".repeat(4096) } })),
        ("Delete", json!({ "PhysicalResourceId": "another" })),
        ("Update", json!({ "PhysicalResourceId": "another", "Status": "FAILED", "Reason": "why" })),
    ];
    let urls = ResponseUrls::start().await;
    for (request_type, changes) in cases {
        let (url, expected) = urls.presign(echo(request_type), Duration::ZERO, None);
        expected.delivered();
        assert_eq!(
            Put::of(&url, &answer_with(&changes)).send().await,
            200,
            "S3 stores whatever it is: {changes}"
        );
        assert!(!expected.answers()[0].succeeded, "{changes}");
        assert_eq!(urls.take_violations().len(), 1, "{changes}");
    }
}

#[tokio::test]
async fn an_answer_of_4096_bytes_is_the_longest() {
    let urls = ResponseUrls::start().await;
    for (length, violations) in [(4096, 0), (4097, 1)] {
        let (url, expected) = urls.presign(echo("Create"), Duration::ZERO, None);
        expected.delivered();
        let short = answer_with(&json!({ "Data": { "NextflowConfig": "" } })).to_string();
        let long = short.replace(
            "\"NextflowConfig\":\"\"",
            &format!("\"NextflowConfig\":\"{}\"", "x".repeat(length - short.len())),
        );
        assert_eq!(long.len(), length);
        Put { body: long, ..Put::of(&url, &Value::Null) }.send().await;
        assert_eq!(urls.take_violations().len(), violations, "{length} bytes");
    }
}

#[tokio::test]
async fn an_update_may_replace() {
    let urls = ResponseUrls::start().await;
    let (url, expected) = urls.presign(echo("Update"), Duration::ZERO, None);
    expected.delivered();
    Put::of(&url, &answer_with(&json!({ "PhysicalResourceId": "another" }))).send().await;
    assert_eq!(urls.take_violations(), Vec::<String>::new());
    assert_eq!(expected.answers()[0].physical_id, "another");
}

#[tokio::test]
async fn one_delivery_is_answered_once_and_two_agree() {
    let urls = ResponseUrls::start().await;
    let (url, expected) = urls.presign(echo("Create"), Duration::ZERO, None);
    expected.delivered();
    Put::of(&url, &success()).send().await;
    Put::of(&url, &success()).send().await;
    assert_eq!(urls.take_violations().len(), 1, "two answers to one delivery");
    expected.delivered();
    expected.delivered();
    Put::of(&url, &success()).send().await;
    assert_eq!(urls.take_violations(), Vec::<String>::new());
    Put::of(&url, &answer_with(&json!({ "Status": "FAILED", "Reason": "why" }))).send().await;
    assert_eq!(urls.take_violations().len(), 2, "a contradiction, and one answer too many");
}

#[tokio::test]
async fn answers_can_be_made_to_fail() {
    let urls = ResponseUrls::start().await;
    let (url, expected) = urls.presign(echo("Create"), Duration::ZERO, None);
    expected.delivered();
    urls.close_next(1);
    http().put(&url).body(success().to_string()).send().await.expect_err("the connection is closed");
    urls.fail_next(1);
    urls.lose_next(1);
    assert_eq!(Put::of(&url, &success()).send().await, 500, "failed");
    assert_eq!(Put::of(&url, &success()).send().await, 500, "stored, but the receipt is lost");
    assert_eq!(Put::of(&url, &success()).send().await, 200);
    assert_eq!(urls.take_violations(), Vec::<String>::new());
}

#[test]
fn cloudformation_makes_strings_of_scalars() {
    assert_eq!(
        stringified(
            &json!({ "MaxCpus": 500, "EbsEncrypted": true, "Subnets": ["a", 1, null], "Tags": { "k": false }, "VpcId": null })
        ),
        json!({ "MaxCpus": "500", "EbsEncrypted": "true", "Subnets": ["a", "1"], "Tags": { "k": "false" } }),
    );
}

#[tokio::test]
async fn a_secret_in_a_log_is_found() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(json!({}));
    let request = aws.request(stack.create_event(), Duration::ZERO);
    let url = request.event["ResponseURL"].as_str().unwrap();
    let target = url.trim_start_matches("http://").split_once('/').unwrap().1;
    for secret in [url, target, &url[url.len() - 64..]] {
        assert!(
            aws.secret_in(&format!("one line\n{{\"message\":\"PUT {secret}\"}}\nanother")).is_some(),
            "{secret}"
        );
    }
    assert_eq!(aws.secret_in(&format!("the answer to {} has been sent", stack.id())), None);
}

/// The status and the ID in the answer of `DescribeStackResource`.
async fn shown(aws: &TestAccount, stack: &Stack) -> (String, String) {
    let name = percent_encoding::utf8_percent_encode(stack.id(), percent_encoding::NON_ALPHANUMERIC);
    let body = format!(
        "Action=DescribeStackResource&Version=2010-05-15&StackName={name}&LogicalResourceId={}",
        stack.logical_id()
    );
    let (status, text) = aws.cloud.attempt(Method::POST, "cloudformation", "/", None, body).await;
    assert_eq!(status, 200, "{text}");
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>")).unwrap_or_default();
        rest.split_once('<').map(|(value, _)| value.to_owned()).unwrap_or_default()
    };
    (element("ResourceStatus"), element("PhysicalResourceId"))
}

#[tokio::test]
async fn the_id_that_is_shown_is_that_of_the_newest_answer_that_counts() {
    let aws = TestAccount::new().await;
    let stack = aws.stack(known_as("Lab1"));
    let is = async |status: &str, id: &str| {
        assert_eq!(shown(&aws, &stack).await, (status.to_owned(), id.to_owned()));
    };
    let create = stack.start_create().await;
    is("CREATE_IN_PROGRESS", "").await;
    create.ended().await.expect_success();
    is("CREATE_COMPLETE", "Lab1").await;

    let update = stack.start_update(known_as("Lab2")).await;
    is("UPDATE_IN_PROGRESS", "Lab1").await;
    update.ended().await.expect_success();
    is("UPDATE_COMPLETE", "Lab2").await;
    stack.clean_up().await.expect_success();
    is("UPDATE_COMPLETE", "Lab2").await;

    stack.disable_rollback();
    stack.update(json!({ "ForgeId": "Lab3" })).await.expect_failure();
    is("UPDATE_FAILED", "Lab2").await;
    stack.roll_back().await.expect_success();
    is("UPDATE_COMPLETE", "Lab2").await;
    stack.delete().await.expect_success();
    is("DELETE_COMPLETE", "Lab2").await;

    // Made again in the same stack, it has no ID yet; one that is made up is shown with the Delete that carries it.
    let again = stack.start_create().await;
    is("CREATE_IN_PROGRESS", "").await;
    let undone = stack.start_roll_back().await;
    is("DELETE_IN_PROGRESS", &stack.made_up_id()).await;
    undone.ended().await.expect_success();
    again.ended().await;
    is("DELETE_COMPLETE", &stack.made_up_id()).await;
    aws.assert_nothing_left().await;
}

fn known_as(forge_id: &str) -> Value {
    json!({ "ForgeId": forge_id, "WorkDir": "s3://my-bucket/work", "MaxCpus": 8 })
}

#[tokio::test]
async fn a_request_that_awss_models_do_not_allow_is_kept_until_it_is_taken() {
    let aws = TestAccount::new().await;
    let wrong = json!({ "jobqueues": ["work"] }).to_string();
    let (status, _) = aws.cloud.attempt(Method::POST, "batch", "/v1/describejobqueues", None, wrong).await;
    assert_eq!(status, 200, "Batch overlooks it, and the model does not");
    let violations =
        ["batch:DescribeJobQueues request.jobqueues: is no member of DescribeJobQueuesRequest".to_owned()];
    assert_eq!(aws.cloud.violations(), violations);
    assert_eq!(aws.cloud.take_violations(), violations);
    assert!(aws.cloud.violations().is_empty(), "or this test would fail now");
}
