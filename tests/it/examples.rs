//! Each stack of `examples/` is created, updated and deleted.

use std::path::{Path, PathBuf};
use std::process::Command;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::cloud::python;
use crate::rights::{Rights, as_it_comes};
use crate::test_account::{Setting, TestAccount};

/// The forge of an example.
struct Example {
    name: String,
    properties: Value,
    /// The inbound rules of its security group.
    rules: Value,
    /// The attributes that its outputs read.
    outputs: Vec<String>,
    /// The parameters of the deployment that its comment asks for, as environment variables with words for values.
    parameters: Vec<(String, String)>,
}

/// Words that stand for resources of an account, until they are seeded.
const WORDS: [&str; 4] = ["VPC", "SUBNET_A", "SUBNET_B", "GROUP"];

fn examples() -> Vec<Example> {
    let stand_ins = json!({
        "AWS::Region": "eu-west-1",
        "AWS::Partition": "aws",
        "AWS::AccountId": "123456789012",
        "tower-forge-ServiceToken": "the function",
        "VpcId": "VPC",
        "Subnets": ["SUBNET_A", "SUBNET_B"],
        "Subnet": "SUBNET_A",
        "SharedFiles.GroupId": "GROUP",
    });
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python())
        .arg(root.join("tests/examples/resolve.py"))
        .arg(stand_ins.to_string())
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    all.into_iter()
        .map(|each| Example {
            name: each["name"].as_str().unwrap().to_owned(),
            properties: each["properties"].clone(),
            rules: each["rules"].clone(),
            outputs: serde_json::from_value(each["outputs"].clone()).unwrap(),
            parameters: parameters(each["name"].as_str().unwrap()),
        })
        .collect()
}

/// The comment "Deploy the function with Name=<Parameter>" of an example.
fn parameters(name: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(format!("{name}.yaml"));
    let text = std::fs::read_to_string(path).unwrap();
    let asked = text.lines().filter_map(|line| line.strip_prefix("# Deploy the function with "));
    let pairs = asked.flat_map(str::split_whitespace).filter_map(|word| word.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_end_matches('.').to_owned())).collect()
}

/// The variable of a parameter: `TOWER_FORGE_ALLOWED_VPCS` of `AllowedVpcs`.
fn variable(parameter: &str) -> String {
    let words = parameter.chars().flat_map(|c| c.is_uppercase().then_some('_').into_iter().chain([c]));
    format!("TOWER_FORGE{}", words.collect::<String>().to_uppercase())
}

/// Creates, updates and deletes one, with a function that is deployed as it comes but for what the example's comment asks
/// for; returns its `NextflowConfig`.
async fn live(example: Example) -> (String, String) {
    let rights = Rights {
        allowed_buckets: vec!["arn:aws:s3:::example-*".to_owned()],
        role_tags: Vec::new(),
        ..Rights::default()
    };
    let mut environment = as_it_comes();
    environment.push(("TOWER_FORGE_ALLOWED_BUCKETS", rights.allowed_buckets.join(",")));
    // The first account knows the IDs before the second one needs them.
    let aws = TestAccount::with(Setting { rights: rights.clone(), ..Setting::default() }).await;
    let made = aws.seed(json!({"vpc": {"zones": ["eu-west-1a", "eu-west-1b"]}})).await;
    for (parameter, value) in &example.parameters {
        let value =
            if value == "<VpcId>" { made["vpc"]["id"].as_str().unwrap().to_owned() } else { value.clone() };
        environment.push((variable(parameter).leak(), value));
    }
    let aws = aws.beside(Setting { rights, environment, ..Setting::default() }).await;
    let vpc = &made["vpc"];
    let group = json!({"name": "shared-files", "vpc": vpc["id"], "rules": example.rules});
    let group = aws.seed(json!({"security_group": group})).await;
    let ids = [&vpc["id"], &vpc["subnets"][0], &vpc["subnets"][1], &group["security_group"]["id"]];
    let text = WORDS.iter().zip(ids).fold(example.properties.to_string(), |text, (word, id)| {
        text.replace(&format!("\"{word}\""), &id.to_string())
    });
    let mut properties: Value = serde_json::from_str(&text).unwrap();
    let stack = aws.stack(properties.clone());
    // CloudFormation tags what a stack creates.
    let tags = json!({"aws:cloudformation:stack-id": stack.id()});
    aws.seed(json!({"ec2_tags": {"id": group["security_group"]["id"], "tags": tags}})).await;

    let answer = stack.create().await.expect_success();
    assert_eq!(answer.data.as_object().unwrap().len(), 22, "every attribute is always there");
    for name in &example.outputs {
        assert_ne!(answer.attribute(name), "", "{}: an output reads {name}", example.name);
    }
    let storage = |state: &crate::state::State| {
        let ids = state.efs.iter().chain(&state.fsx).map(|system| system.id.clone());
        ids.collect::<Vec<_>>()
    };
    let before = aws.state().await;
    let queue = answer.attribute("ComputeQueue");
    properties["MaxCpus"] = json!(properties["MaxCpus"].as_i64().unwrap() + 8);
    let updated = stack.update(properties.clone()).await.expect_success();
    assert_eq!(updated.physical_id, answer.physical_id);
    assert_eq!(updated.data, answer.data);
    let after = aws.state().await;
    let work = after.first_environment(queue);
    assert_eq!(work.compute_resources["maxvCpus"], properties["MaxCpus"], "{}", example.name);
    assert_eq!(work.arn, before.first_environment(queue).arn);
    assert_eq!(storage(&after), storage(&before));

    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
    (example.name, answer.attribute("NextflowConfig").to_owned())
}

#[tokio::test]
async fn each_example_is_created_updated_and_deleted() {
    let examples = examples();
    let names: Vec<String> = examples.iter().map(|example| example.name.clone()).collect();
    for needed in ["minimal", "on-demand", "fusion-nvme", "efs", "fsx-lustre", "gpu", "graviton-fargate-head"]
    {
        assert!(names.iter().any(|name| name == needed), "{needed} is missing among {names:?}");
    }
    let configs = join_all(examples.into_iter().map(live)).await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nextflow");
    std::fs::create_dir_all(&folder).unwrap();
    let paths: Vec<PathBuf> = configs
        .iter()
        .map(|(name, config)| {
            let path = folder.join(format!("{name}.config"));
            std::fs::write(&path, config).unwrap();
            path
        })
        .collect();
    // Read by a parser of Groovy that is not ours.
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nextflow/read.py");
    let output = Command::new(python()).arg(script).args(&paths).output().expect("Python starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{} examples: {}; {}", names.len(), names.join(", "), said.trim());
}
