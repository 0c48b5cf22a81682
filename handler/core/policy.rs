//! PURE. The IAM documents of a forge's roles, filled in from the files in `policies/`.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The documents, as they stand in `policies/`, each read once.
pub mod documents {
    use serde_json::Value;
    use std::sync::LazyLock;

    /// A document.
    pub type Document = LazyLock<Value>;

    fn read(text: &str) -> Value {
        serde_json::from_str(text).expect("the files in policies/ are JSON; a test reads them")
    }

    /// Batch may assume the service role.
    pub static TRUST_BATCH: Document =
        LazyLock::new(|| read(include_str!("../../policies/trust-batch.json")));
    /// EC2 may assume the instance role.
    pub static TRUST_EC2: Document = LazyLock::new(|| read(include_str!("../../policies/trust-ec2.json")));
    /// ECS tasks may assume the execution and head-job roles.
    pub static TRUST_ECS_TASKS: Document =
        LazyLock::new(|| read(include_str!("../../policies/trust-ecs-tasks.json")));
    /// Spot Fleet may assume the fleet role.
    pub static TRUST_SPOTFLEET: Document =
        LazyLock::new(|| read(include_str!("../../policies/trust-spotfleet.json")));
    /// The actions of Nextflow's head job.
    pub static NEXTFLOW: Document =
        LazyLock::new(|| read(include_str!("../../policies/nextflow-policy.json")));
    /// The work bucket and `AllowBuckets`.
    pub static S3: Document = LazyLock::new(|| read(include_str!("../../policies/s3-policy.json")));
    /// `ReadBuckets`.
    pub static S3_READ: Document = LazyLock::new(|| read(include_str!("../../policies/s3-read-policy.json")));
    /// The roles that Nextflow writes into job definitions.
    pub static PASS_ROLE: Document =
        LazyLock::new(|| read(include_str!("../../policies/pass-role-policy.json")));
    /// The forge's log group, write only.
    pub static CLOUDWATCH_AGENT: Document =
        LazyLock::new(|| read(include_str!("../../policies/cloudwatch-agent-policy.json")));
    /// The key of encrypted volumes.
    pub static KMS: Document = LazyLock::new(|| read(include_str!("../../policies/kms-policy.json")));
    /// Pipeline secrets, for the execution role.
    pub static SECRETS_EXECUTION: Document =
        LazyLock::new(|| read(include_str!("../../policies/secrets-policy-execution-role.json")));
    /// Pipeline secrets, for the instance role.
    pub static SECRETS_INSTANCE: Document =
        LazyLock::new(|| read(include_str!("../../policies/secrets-policy-instance-role.json")));
}

/// The values of the placeholders in a document.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// Placeholders with one value.
    pub single: BTreeMap<&'static str, String>,
    /// Placeholders with any number of values: a string in a list becomes as many strings.
    pub many: BTreeMap<&'static str, Vec<String>>,
}

/// Fills in a document. `None` if no statement is left.
///
/// A statement whose resources or condition values come to nothing is left out: it would otherwise mean
/// something else.
pub fn fill(document: &Value, values: &Values) -> Option<Value> {
    let mut document = filled(document, values);
    let statements = document.get_mut("Statement").and_then(Value::as_array_mut)?;
    statements.retain(|statement| !has_empty_list(statement));
    (!statements.is_empty()).then_some(document)
}

/// One document with the statements of all. `None` if there are no documents.
pub fn join(documents: impl Iterator<Item = Value>) -> Option<Value> {
    documents.reduce(|mut joined, mut document| {
        let (all, more) = (joined["Statement"].as_array_mut(), document["Statement"].as_array_mut());
        all.into_iter().zip(more).for_each(|(all, more)| all.append(more));
        joined
    })
}

fn filled(value: &Value, values: &Values) -> Value {
    match value {
        Value::String(text) => Value::String(single(text, values)),
        Value::Array(items) => Value::Array(items.iter().flat_map(|item| expanded(item, values)).collect()),
        Value::Object(object) => Value::Object(
            object.iter().map(|(key, value)| (key.clone(), filled(value, values))).collect::<Map<_, _>>(),
        ),
        other => other.clone(),
    }
}

fn expanded(item: &Value, values: &Values) -> Vec<Value> {
    if let Value::String(text) = item
        && text.contains("${")
        && let Some((name, all)) = values.many.iter().find(|(name, _)| text.contains(&placeholder(name)))
    {
        let replaced = all.iter().map(|value| text.replace(&placeholder(name), value));
        return replaced.map(|text| Value::String(single(&text, values))).collect();
    }
    vec![filled(item, values)]
}

fn single(text: &str, values: &Values) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        let value = after.split_once('}').and_then(|(name, after)| Some((values.single.get(name)?, after)));
        // Anything else is a variable of IAM.
        let (value, after) = value.map_or(("${", after), |(value, after)| (value, after));
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    filled
}

fn placeholder(name: &str) -> String {
    format!("${{{name}}}")
}

fn has_empty_list(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty() || items.iter().any(has_empty_list),
        Value::Object(object) => object.values().any(has_empty_list),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(buckets: &[&str]) -> Values {
        Values {
            single: BTreeMap::from([("Partition", "aws".to_owned())]),
            many: BTreeMap::from([("Bucket", buckets.iter().map(ToString::to_string).collect())]),
        }
    }

    #[test]
    fn a_bucket_becomes_a_resource_each() {
        let document = fill(&documents::S3, &values(&["a", "b"])).unwrap();
        let resources = &document["Statement"][1]["Resource"];
        assert_eq!(resources, &serde_json::json!(["arn:aws:s3:::a/*", "arn:aws:s3:::b/*"]));
    }

    #[test]
    fn documents_are_joined_without_empty_statements() {
        let mut values = values(&["a"]);
        values.many.extend(["ReadBucket", "ReadObject"].map(|name| (name, Vec::new())));
        let all = [&documents::S3, &documents::S3_READ, &documents::CLOUDWATCH_AGENT];
        let joined = join(all.into_iter().filter_map(|document| fill(document, &values))).unwrap();
        let sids: Vec<&Value> =
            joined["Statement"].as_array().unwrap().iter().map(|statement| &statement["Sid"]).collect();
        assert_eq!(sids, ["ListBuckets", "ReadAndWriteObjects", "WriteInstanceLogs"]);
    }

    #[test]
    fn a_policy_on_nothing_is_no_policy() {
        assert_eq!(fill(&documents::S3, &values(&[])), None);
    }
}
