//! Tests of requests and their URLs.

use super::*;
use serde_json::json;

const URL: &str = "https://cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com/arn%3Aaws%3A\
    x%7CGenomics%7Cr?X-Amz-Date=20261124T083000Z&X-Amz-Expires=7200&X-Amz-Signature=secret";
/// When it was signed.
const SIGNED: i64 = 1_795_509_000;

fn aws(region: &str) -> Source {
    Source { region: region.to_owned(), local: false }
}

fn local() -> Source {
    Source { region: "eu-west-1".to_owned(), local: true }
}

fn envelope(url: &str, source: &Source) -> Envelope {
    let event = json!({"ResponseURL": url, "StackId": "arn:aws:x", "LogicalResourceId": "Genomics", "RequestId": "r"});
    Envelope::salvage(event.as_object().unwrap(), source).unwrap()
}

#[test]
fn a_url_keeps_its_escapes_and_shows_itself_to_nobody() {
    let url = ResponseUrl::parse(URL, &aws("eu-west-1")).unwrap();
    assert_eq!(url.expose().as_str(), URL);
    assert!(!format!("{url:?}").contains("secret"));
    assert_eq!(url.signed_at(), Some(SIGNED));
}

/// Every host but CloudFormation's own, in the ways in which it could be imitated.
#[test]
fn an_answer_goes_to_cloudformation_only() {
    const BUCKET: &str = "cloudformation-custom-resource-response-euwest1";
    let forged = [
        "https://attacker.example/x".to_owned(),
        "http://s3.amazonaws.com/x".to_owned(),
        "https://amazonaws.com.attacker.example/x".to_owned(),
        "https://attackeramazonaws.com/x".to_owned(),
        "https://s3.amazonaws.com/attacker/x".to_owned(),
        "https://attacker.s3.amazonaws.com/x".to_owned(),
        "https://abc123.execute-api.eu-west-1.amazonaws.com/x".to_owned(),
        format!("http://{BUCKET}.s3.eu-west-1.amazonaws.com/x"),
        format!("https://{BUCKET}.s3.eu-west-1.amazonaws.com:8443/x"),
        format!("https://user@{BUCKET}.s3.eu-west-1.amazonaws.com/x"),
        format!("https://{BUCKET}.s3.eu-west-1.amazonaws.com.cn/x"),
        format!("https://{BUCKET}.s3.us-east-1.amazonaws.com/x"),
        format!("https://{BUCKET}.attacker.s3.amazonaws.com/x"),
        format!("https://{BUCKET}.s3.attacker.s3.amazonaws.com/x"),
        format!("https://{BUCKET}.s3-website-eu-west-1.amazonaws.com/x"),
        format!("https://{BUCKET}2.s3.eu-west-1.amazonaws.com/x"),
        format!("https://x{BUCKET}.s3.eu-west-1.amazonaws.com/x"),
        format!("https://s3.eu-west-1.amazonaws.com/{BUCKET}/x"),
        "https://cloudformation-custom-resource-response-mars1.s3.amazonaws.com/x".to_owned(),
        "http://127.0.0.1/x".to_owned(),
        "not a URL".to_owned(),
    ];
    for text in &forged {
        assert!(ResponseUrl::parse(text, &aws("eu-west-1")).is_err(), "{text}");
    }
    assert!(ResponseUrl::parse("http://127.0.0.1:9010/x", &local()).is_ok());
    assert!(ResponseUrl::parse("http://10.0.0.1:9010/x", &local()).is_err());
}

/// Hosts as events on public record have them, and the same for the other partitions.
#[test]
fn every_partition_has_its_hosts() {
    for (region, host) in [
        ("eu-west-1", "euwest1.s3-eu-west-1.amazonaws.com"),
        ("us-west-2", "uswest2.s3-us-west-2.amazonaws.com"),
        ("ap-northeast-2", "apnortheast2.s3.ap-northeast-2.amazonaws.com"),
        ("us-east-1", "useast1.s3.amazonaws.com"),
        ("us-east-1", "useast1.s3.us-east-1.amazonaws.com"),
        ("us-gov-west-1", "usgovwest1.s3.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "cnnorth1.s3.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "euscdeeast1.s3.eusc-de-east-1.amazonaws.eu"),
        ("us-iso-east-1", "usisoeast1.s3.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", "usisobeast1.s3.us-isob-east-1.sc2s.sgov.gov"),
        ("us-isof-south-1", "usisofsouth1.s3.us-isof-south-1.csp.hci.ic.gov"),
        ("eu-isoe-west-1", "euisoewest1.s3.eu-isoe-west-1.cloud.adc-e.uk"),
    ] {
        let url = format!("https://cloudformation-custom-resource-response-{host}/x");
        assert!(ResponseUrl::parse(&url, &aws(region)).is_ok(), "{url}");
    }
}

#[test]
fn a_request_is_of_its_own_url() {
    let source = aws("eu-west-1");
    let check = |url: &str, now: i64| envelope(url, &source).check(&source, Timestamp::from_secs(now));
    assert_eq!(check(URL, SIGNED), Ok(()));
    assert_eq!(check(URL, SIGNED - 60), Ok(()), "clocks differ");
    // Old ones are recognized later, after what was answered to them has been looked up.
    assert_eq!(check(URL, SIGNED + 100_000), Ok(()));
    let forged = [
        (URL.to_owned(), SIGNED - 61, "ahead"),
        (URL.replace("20261124T083000Z", "20991124T083000Z"), SIGNED, "ahead"),
        (URL.replace("X-Amz-Date=20261124T083000Z", "Expires=99999999999"), SIGNED, "ahead"),
        (URL.replace("X-Amz-Date=20261124T083000Z", "Expires=9223372036854775807"), SIGNED, "ahead"),
        (URL.replace("X-Amz-Date=20261124T083000Z&", ""), SIGNED, "not signed"),
        (URL.replace("20261124T083000Z", "yesterday"), SIGNED, "not signed"),
        (URL.replace("20261124T083000Z", "20261324T083000Z"), SIGNED, "not signed"),
        (URL.replace("Genomics", "Other"), SIGNED, "for another request"),
        (URL.replace("%7Cr?", "%7Cr2?"), SIGNED, "for another request"),
        (URL.replace("%3Ax%7C", "%3Ay%7C"), SIGNED, "for another request"),
        (URL.replace("arn%3A", "prefix/arn%3A"), SIGNED, "for another request"),
        (URL.replace("%7Cr?", "?"), SIGNED, "for another request"),
        (URL.replace("%7C", "%FF"), SIGNED, "for another request"),
    ];
    for (url, now, why) in &forged {
        assert_ne!((url.as_str(), *now), (URL, SIGNED), "nothing is forged");
        let said = check(url, *now).unwrap_err();
        assert!(said.contains(why) && !said.contains("secret") && !said.contains("https"), "{url}: {said}");
    }
}

#[test]
fn a_local_request_need_not_be_signed() {
    let check = |url: &str| envelope(url, &local()).check(&local(), Timestamp::from_secs(SIGNED));
    assert_eq!(check("http://127.0.0.1:9010/x"), Ok(()));
    assert!(check("http://127.0.0.1:9010/x?X-Amz-Date=20991124T083000Z").is_err());
}

#[test]
fn every_region_has_its_suffix() {
    assert_eq!(dns_suffix("eu-west-1"), "amazonaws.com");
    assert_eq!(dns_suffix("cn-north-1"), "amazonaws.com.cn");
}

#[test]
fn a_request_shows_no_properties() {
    let properties = Map::from_iter([("Environment".to_owned(), json!([{"Value": "hunter2"}]))]);
    let request = Request {
        envelope: envelope(URL, &aws("eu-west-1")),
        operation: Operation::Update { old: properties.clone() },
        properties,
        account: AccountScope { partition: "aws".to_owned(), account: "123456789012".to_owned() },
    };
    let shown = format!("{request:?}");
    assert!(shown.contains("Update") && !shown.contains("hunter2"), "{shown}");
}
