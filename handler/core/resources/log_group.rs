//! CloudWatch log groups: what the agent on a forge's instances writes to.

use crate::aws::Aws;
use crate::error::{Context as _, Error, Result};
use crate::name::Names;
use crate::resource::{Change, Kind, Live as AnyLive, PartId, Phase, Seen, TagChanges, Tags};

/// What a log group should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// After how many days events are removed.
    pub retention_days: i32,
}

/// What CloudWatch Logs says a log group is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its ARN, without the `:*` that stands for its streams.
    pub arn: String,
    /// After how many days events are removed.
    pub retention_days: Option<i32>,
}

/// What sets a log group apart from its spec.
pub fn drift(spec: &Spec, live: &Live) -> Vec<Change> {
    let mut changes = Vec::new();
    Change::note(&mut changes, "retentionInDays", &live.retention_days, &Some(spec.retention_days));
    changes
}

/// Looks for the log group of a forge.
///
/// # Errors
///
/// AWS's refusal.
pub async fn look(aws: &Aws, names: &Names) -> Result<Vec<Seen>> {
    let name = names.log_group();
    let found = aws.logs.describe_log_groups().log_group_name_prefix(&name).send().await;
    let groups = found.on("logs:DescribeLogGroups", &name)?.log_groups.unwrap_or_default();
    let Some(group) = groups.into_iter().find(|group| group.log_group_name() == Some(&name)) else {
        return Ok(Vec::new());
    };
    let arn = group.arn().unwrap_or_default().trim_end_matches(":*").to_owned();
    let tags = match aws.logs.list_tags_for_resource().resource_arn(&arn).send().await {
        Ok(found) => found.tags.unwrap_or_default(),
        result => match result.on("logs:ListTagsForResource", &name) {
            // It went away while we looked.
            Err(Error::Call { source, .. }) if source.is_not_found() => return Ok(Vec::new()),
            result => result?.tags.unwrap_or_default(),
        },
    };
    Ok(vec![Seen {
        id: PartId::new(Kind::LogGroup, name),
        tags: tags.into_iter().collect(),
        phase: Phase::Settled,
        refs: Vec::new(),
        live: AnyLive::LogGroup(Live { arn, retention_days: group.retention_in_days() }),
    }])
}

/// Makes a log group.
///
/// # Errors
///
/// AWS's refusal.
pub async fn create(aws: &Aws, name: &str, spec: &Spec, tags: &Tags) -> Result<()> {
    let tags = Some(tags.clone().into_iter().collect());
    aws.logs
        .create_log_group()
        .log_group_name(name)
        .set_tags(tags)
        .send()
        .await
        .on("logs:CreateLogGroup", name)?;
    retain(aws, name, spec).await
}

async fn retain(aws: &Aws, name: &str, spec: &Spec) -> Result<()> {
    let retain = aws.logs.put_retention_policy().log_group_name(name).retention_in_days(spec.retention_days);
    retain.send().await.on("logs:PutRetentionPolicy", name).map(drop)
}

/// Brings a log group to its spec.
///
/// # Errors
///
/// AWS's refusal.
pub async fn update(aws: &Aws, name: &str, spec: &Spec, live: &Live, tags: &TagChanges) -> Result<()> {
    if live.retention_days != Some(spec.retention_days) {
        retain(aws, name, spec).await?;
    }
    retag(aws, live, tags).await
}

/// Sets and removes tags.
///
/// # Errors
///
/// AWS's refusal.
pub async fn retag(aws: &Aws, live: &Live, tags: &TagChanges) -> Result<()> {
    if !tags.set.is_empty() {
        let set = Some(tags.set.clone().into_iter().collect());
        let tag = aws.logs.tag_resource().resource_arn(&live.arn).set_tags(set);
        tag.send().await.on("logs:TagResource", &live.arn)?;
    }
    if !tags.remove.is_empty() {
        let untag = aws.logs.untag_resource().resource_arn(&live.arn).set_tag_keys(Some(tags.remove.clone()));
        untag.send().await.on("logs:UntagResource", &live.arn)?;
    }
    Ok(())
}

/// Deletes a log group with its events.
///
/// # Errors
///
/// AWS's refusal.
pub async fn delete(aws: &Aws, name: &str) -> Result<()> {
    aws.logs.delete_log_group().log_group_name(name).send().await.on("logs:DeleteLogGroup", name).map(drop)
}
