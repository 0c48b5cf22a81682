//! The forges of the region that a sweep has to look at.

use super::clients::Services;
use super::error::Context as _;
use futures_util::future::join;
use std::collections::{BTreeMap, BTreeSet};
use tower_forge_core::error::Result;
use tower_forge_core::name::{FORGE_TAG, LIMIT_TAG, LOGICAL_TAG, RETIRING_TAG, STACK_TAG};
use tower_forge_core::port::Sweepable;

/// The forges that have an environment which retires or whose maximum is to be lowered, and those that have a launch
/// template, as their tags name them.
pub(crate) async fn list(services: &Services, prefix: &str) -> Result<Vec<Sweepable>> {
    let environments = services.batch.describe_compute_environments().into_paginator().items().send();
    let templates = services.ec2.describe_launch_templates().into_paginator().items().send();
    let (environments, templates) = join(environments.try_collect(), templates.try_collect()).await;
    let environments = environments.on("batch:DescribeComputeEnvironments", prefix)?;
    let templates = templates.on("ec2:DescribeLaunchTemplates", prefix)?;
    let environments = environments.into_iter().map(|found| {
        let tags: BTreeMap<String, String> = found.tags.unwrap_or_default().into_iter().collect();
        (found.compute_environment_name.unwrap_or_default(), tags)
    });
    let is_due = |tags: &BTreeMap<_, _>| [RETIRING_TAG, LIMIT_TAG].iter().any(|tag| tags.contains_key(*tag));
    let due = environments.filter(|(_, tags)| is_due(tags));
    let templates = templates.into_iter().map(|found| {
        let tags = found.tags.unwrap_or_default().into_iter();
        let tags = tags.filter_map(|tag| Some((tag.key?, tag.value?))).collect();
        (found.launch_template_name.unwrap_or_default(), tags)
    });
    let named = due.chain(templates).filter(|(name, _)| name.starts_with(prefix));
    let owners: BTreeSet<Sweepable> = named.filter_map(|(_, tags)| owner(&tags)).collect();
    Ok(owners.into_iter().collect())
}

fn owner(tags: &BTreeMap<String, String>) -> Option<Sweepable> {
    let tag = |key: &str| tags.get(key).cloned();
    Some(Sweepable { forge_id: tag(FORGE_TAG)?, stack_id: tag(STACK_TAG)?, logical_id: tag(LOGICAL_TAG)? })
}
