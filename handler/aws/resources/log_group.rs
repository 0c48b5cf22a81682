//! CloudWatch log groups.

use crate::aws::clients::Services;
use crate::aws::error::Context as _;
use tower_forge_core::error::Result;
use tower_forge_core::name::Names;
use tower_forge_core::resource::{Found, Kind, Listing, MutatingCall as _, Phase, ResourceId};
use tower_forge_core::resources::log_group::{Call, Observed};

/// Looks for the log group of a forge.
pub(crate) async fn list(services: &Services, names: &Names) -> Result<Listing<Observed>> {
    let name = names.log_group();
    let found = services.logs.describe_log_groups().log_group_name_prefix(&name).send().await;
    let groups = found.on("logs:DescribeLogGroups", &name)?.log_groups.unwrap_or_default();
    let Some(group) = groups.into_iter().find(|group| group.log_group_name() == Some(&name)) else {
        return Ok(Listing::of(Vec::new()));
    };
    let arn = group.arn().unwrap_or_default().trim_end_matches(":*").to_owned();
    let tags = services.logs.list_tags_for_resource().resource_arn(&arn).send().await;
    let tags = match tags.on("logs:ListTagsForResource", &name) {
        // It was deleted in between.
        Err(err) if err.is_not_found() => return Ok(Listing::of(Vec::new())),
        tags => tags?.tags.unwrap_or_default(),
    };
    Ok(Listing::of(vec![Found {
        id: ResourceId::new(Kind::LogGroup, name),
        tags: tags.into_iter().collect(),
        phase: Phase::Settled,
        refs: Vec::new(),
        created: None,
        observed: Observed { arn, retention_days: group.retention_in_days() },
    }]))
}

/// Makes one mutating call.
pub(crate) async fn write(services: &Services, name: &str, call: &Call) -> Result<()> {
    let logs = &services.logs;
    let action = call.action();
    match call {
        Call::Create(tags) => {
            let tags = Some(tags.clone().into_iter().collect());
            let create = logs.create_log_group().log_group_name(name).set_tags(tags);
            create.send().await.on(action, name).map(drop)
        }
        Call::Retain(days) => {
            let retain = logs.put_retention_policy().log_group_name(name).retention_in_days(*days);
            retain.send().await.on(action, name).map(drop)
        }
        Call::Tag { arn, tags } => {
            let tags = Some(tags.clone().into_iter().collect());
            logs.tag_resource().resource_arn(arn).set_tags(tags).send().await.on(action, arn).map(drop)
        }
        Call::Untag { arn, keys } => {
            let untag = logs.untag_resource().resource_arn(arn).set_tag_keys(Some(keys.clone()));
            untag.send().await.on(action, arn).map(drop)
        }
        Call::Delete => logs.delete_log_group().log_group_name(name).send().await.on(action, name).map(drop),
    }
}
