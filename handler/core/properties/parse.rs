//! Parsing of CloudFormation's properties, one line for each.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::read::{Reader, did_you_mean, integer, scalar, text_block};
use super::{AllocStrategy, Fault, FsxDeploymentType, Limits, Properties, Provisioning, WorkDir};
use super::{checks, rules, table, tags};
use crate::user_data::check;

/// Reads all properties, then checks the rules between them.
pub(super) fn parse(raw: &Map<String, Value>, limits: &Limits) -> Result<Properties, Vec<Fault>> {
    let mut reader = Reader::new(raw, limits);
    names(&mut reader);
    let properties = values(&mut reader);
    rules::check(&properties, &mut reader);
    if reader.faults.is_empty() {
        return Ok(properties);
    }
    // An unreadable number is taken as the largest one, which is beyond every limit.
    let is_known = |fault: &Fault| reader.faults.iter().any(|known| known.property == fault.property);
    let mut beyond = limits.beyond(&properties);
    beyond.retain(|fault| fault.property != "MaxCpus" || !is_known(fault));
    reader.faults.extend(beyond);
    Err(reader.faults)
}

/// Refuses names that are unknown or retired.
fn names(reader: &mut Reader<'_>) {
    for (name, value) in reader.raw {
        if table::find(name).is_some() {
            continue;
        }
        match table::RETIRED.iter().find(|retired| retired.name == name) {
            Some(retired) if retired.accepts(value) => {}
            Some(retired) => {
                let allowed = retired.allowed();
                reader.fault(Fault::rule(name, value.clone(), allowed, retired.instead));
            }
            None => {
                let known = table::all().map(|row| row.name);
                reader.fault(Fault::unknown(name, did_you_mean(name, known)));
            }
        }
    }
}

#[expect(clippy::too_many_lines, reason = "one line for each property reads best in one piece")]
fn values(reader: &mut Reader<'_>) -> Properties {
    let r = reader;
    let region = r.limits.region.as_str();
    required(r, "WorkDir");
    required(r, "MaxCpus");
    own_region(r);
    r.number("ServiceTimeout", 120..=3600);
    Properties {
        work_dir: r
            .read("WorkDir", |v| checks::work_dir(&scalar(v)?))
            .unwrap_or_else(|| WorkDir::Path(String::new())),
        wave_enabled: r.flag("WaveEnabled", false),
        fusion2_enabled: r.flag("Fusion2Enabled", false),
        nvme_storage_enabled: r.flag("NvmeStorageEnabled", false),
        fusion_snapshots: r.flag("FusionSnapshots", false),
        cli_path: r.read("CliPath", |v| checks::cli_path(&scalar(v)?)),
        r#type: r.one_of("Type", Provisioning::ALL).unwrap_or(Provisioning::Spot),
        min_cpus: r.number("MinCpus", 0..=i32::MAX).unwrap_or(0),
        max_cpus: r.number("MaxCpus", 1..=i32::MAX).unwrap_or(i32::MAX),
        head_max_cpus: r.number("HeadMaxCpus", 1..=i32::MAX).unwrap_or(32),
        instance_types: r.set("InstanceTypes", checks::instance_type),
        alloc_strategy: r.one_of("AllocStrategy", AllocStrategy::ALL),
        bid_percentage: r.number("BidPercentage", 1..=100),
        on_demand_fallback: r.flag("OnDemandFallback", false),
        gpu_enabled: r.flag("GpuEnabled", false),
        arm64_enabled: r.flag("Arm64Enabled", false),
        fargate_head_enabled: r.flag("FargateHeadEnabled", false),
        dragen_enabled: r.flag("DragenEnabled", false),
        dragen_ami_id: r.text("DragenAmiId", |t| checks::aws_id("ami", t)),
        dragen_instance_type: r.text("DragenInstanceType", checks::dragen_instance_type),
        image_id: r.text("ImageId", |t| checks::aws_id("ami", t)),
        image_refresh: r.text("ImageRefresh", |t| checks::printable(t, 128)),
        ec2_key_pair: r.text("Ec2KeyPair", |t| checks::printable(t, 255)),
        ecs_config: ecs_config(r),
        job_state_time_limit: r.number("JobStateTimeLimit", 600..=86400),
        scheduling_policy_arn: scheduling_policy(r),
        share_identifier: r.text("ShareIdentifier", checks::share_identifier),
        vpc_id: r.text("VpcId", |t| checks::aws_id("vpc", t)),
        subnets: r.set("Subnets", |t| checks::aws_id("subnet", t)),
        security_groups: r.set("SecurityGroups", |t| checks::aws_id("sg", t)),
        ebs_boot_size: r.number("EbsBootSize", 8..=16384),
        ebs_encrypted: r.flag("EbsEncrypted", true),
        ebs_kms_key_id: r.text("EbsKmsKeyId", |t| checks::kms_key(t, region)),
        ebs_throughput: r.number("EbsThroughput", 125..=2000),
        ebs_iops: r.number("EbsIops", 3000..=80000),
        efs_create: r.flag("EfsCreate", false),
        efs_id: r.text("EfsId", |t| checks::aws_id("fs", t)),
        efs_mount: r.read("EfsMount", |v| checks::mount(&scalar(v)?)),
        fsx_size: r.read("FsxSize", |v| integer(v).filter(|&n| n == 1200 || n > 0 && n % 2400 == 0)),
        fsx_name: r.text("FsxName", |t| check::check_fsx_dns(t).is_ok()),
        fsx_subnet: r.text("FsxSubnet", |t| checks::aws_id("subnet", t)),
        fsx_mount: r.read("FsxMount", |v| checks::mount(&scalar(v)?)),
        fsx_deployment_type: r.one_of("FsxDeploymentType", FsxDeploymentType::ALL),
        fsx_throughput: r.number("FsxThroughput", 50..=1000),
        allow_buckets: allow_buckets(r),
        read_buckets: read_buckets(r),
        execution_role: role(r, "ExecutionRole"),
        head_job_role: role(r, "HeadJobRole"),
        compute_job_role: role(r, "ComputeJobRole"),
        permissions_boundary: boundary(r),
        instance_role_policies: policies(r),
        instance_role_statements: statements(r),
        pipeline_secrets: r.flag("PipelineSecrets", false),
        head_job_cpus: r.number("HeadJobCpus", 1..=256),
        head_job_memory_mb: r.number("HeadJobMemoryMb", 512..=i32::MAX),
        log_group: r.text("LogGroup", checks::log_group),
        volumes: r.list("Volumes", checks::volume),
        environment: tags::environment(r),
        pre_run_script: r.read("PreRunScript", |v| text_block(v).filter(|t| checks::block(t, 1024))),
        post_run_script: r.read("PostRunScript", |v| text_block(v).filter(|t| checks::block(t, 1024))),
        nextflow_config: r.read("NextflowConfig", |v| text_block(v).filter(|t| checks::block(t, 2048))),
        forge_id: forge_id(r),
        dispose_on_deletion: r.flag("DisposeOnDeletion", true),
        nonce: r.text("Nonce", |t| checks::printable(t, 128)),
        log_retention_days: log_retention_days(r),
        tags: tags::tags(r),
    }
}

fn required(r: &mut Reader<'_>, name: &str) {
    if r.value(name).is_none() {
        r.fault(Fault::missing(name));
    }
}

fn own_region(r: &mut Reader<'_>) {
    let Some(value) = r.value("Region") else { return };
    if scalar(value).as_deref() != Some(&r.limits.region) {
        let hint = format!(
            "this function creates forges in {} only; deploy it to the other region too",
            r.limits.region
        );
        r.fault(Fault::form("Region", value).hint(hint));
    }
}

fn ecs_config(r: &mut Reader<'_>) -> Vec<String> {
    let Some(text) = r.read("EcsConfig", |v| text_block(v).filter(|t| t.len() <= 4096)) else {
        return Vec::new();
    };
    let lines = check::ecs_config_lines(&text);
    for line in &lines {
        if let Err(why) = check::check_ecs_line(line) {
            // The value may be a password, so it is not repeated.
            let name = line.split('=').next().unwrap_or_default();
            r.fault(Fault::form("EcsConfig", &Value::from(name)).hint(why));
        }
    }
    lines
}

fn scheduling_policy(r: &mut Reader<'_>) -> Option<String> {
    let (region, account) = (r.limits.region.clone(), r.limits.account.account.clone());
    r.text("SchedulingPolicyArn", |text| {
        checks::arn(text).is_some_and(|arn| {
            let own = account == arn.account;
            let name = arn.resource.strip_prefix("scheduling-policy/").unwrap_or_default();
            own && arn.service == "batch" && arn.region == region && !name.is_empty()
        })
    })
}

fn allow_buckets(r: &mut Reader<'_>) -> Vec<String> {
    let given = r.set("AllowBuckets", |text| checks::bucket_of(text).is_some());
    let mut buckets: Vec<_> = given.iter().filter_map(|text| checks::bucket_of(text)).collect();
    buckets.sort();
    buckets.dedup();
    buckets
}

fn read_buckets(r: &mut Reader<'_>) -> Vec<String> {
    let given = r.set("ReadBuckets", |text| checks::read_bucket(text).is_some());
    let buckets: BTreeSet<_> = given.iter().filter_map(|text| checks::read_bucket(text)).collect();
    buckets.into_iter().collect()
}

/// A role of this account.
fn role(r: &mut Reader<'_>, name: &str) -> Option<String> {
    let account = r.limits.account.account.clone();
    let own = |text: &str| checks::arn(text).is_some_and(|arn| account == arn.account);
    r.text(name, |text| checks::iam_arn("role", text) && own(text))
}

fn boundary(r: &mut Reader<'_>) -> Option<String> {
    r.text("PermissionsBoundary", |text| checks::iam_arn("policy", text))
}

fn policies(r: &mut Reader<'_>) -> Vec<String> {
    let arns = r.set("InstanceRolePolicies", |text| checks::iam_arn("policy", text));
    if arns.len() > 6 {
        let hint = "IAM allows 10 managed policies on a role, and the forge uses some";
        r.fault(Fault::rule("InstanceRolePolicies", arns.len(), "up to 6 policies", hint));
    }
    arns.into_iter().filter(|arn| checks::iam_arn("policy", arn)).collect()
}

/// Statements of an identity policy: a list, one object, or the JSON of either.
fn statements(r: &mut Reader<'_>) -> Vec<Value> {
    const NAME: &str = "InstanceRoleStatements";
    let read = |value: &Value| {
        let parsed = value.as_str().and_then(|text| serde_json::from_str(text).ok());
        match parsed.unwrap_or_else(|| value.clone()) {
            Value::Array(list) => Some(list),
            object @ Value::Object(_) => Some(vec![object]),
            _ => None,
        }
    };
    let statements = r.read(NAME, read).unwrap_or_default();
    for statement in statements.iter().filter(|statement| !is_statement(statement)) {
        r.fault(Fault::form(NAME, statement));
    }
    let length: usize = statements.iter().map(|statement| statement.to_string().len()).sum();
    if length > 4096 {
        let hint = "IAM allows 10240 characters of inline policies on a role, and the forge uses some";
        r.fault(Fault::rule(NAME, length, "up to 4096 characters", hint));
    }
    statements
}

fn is_statement(value: &Value) -> bool {
    const KEYS: &[&str] = &["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    let texts = |value: &Value| match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty() && list.iter().all(Value::is_string),
        _ => false,
    };
    value.as_object().is_some_and(|statement| {
        let one = |a, b| match (statement.get(a), statement.get(b)) {
            (Some(value), None) | (None, Some(value)) => texts(value),
            _ => false,
        };
        statement.keys().all(|key| KEYS.contains(&key.as_str()))
            && statement.get("Effect").is_some_and(|effect| effect == "Allow" || effect == "Deny")
            && one("Action", "NotAction")
            && one("Resource", "NotResource")
            && statement.get("Condition").is_none_or(Value::is_object)
    })
}

fn forge_id(r: &mut Reader<'_>) -> Option<String> {
    let value = r.value("ForgeId")?;
    let text = scalar(value).unwrap_or_default();
    if checks::forge_id(&text) {
        return Some(text);
    }
    let prefix = format!("{}-", r.limits.name_prefix);
    let hint = if text.starts_with(&prefix) {
        format!("{prefix} is prepended automatically")
    } else {
        String::new()
    };
    r.fault(Fault::form("ForgeId", value).hint(hint));
    None
}

fn log_retention_days(r: &mut Reader<'_>) -> i32 {
    const DAYS: &[i32] = &[
        1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288,
        3653,
    ];
    r.read("LogRetentionDays", |v| integer(v).filter(|days| DAYS.contains(days))).unwrap_or(30)
}
