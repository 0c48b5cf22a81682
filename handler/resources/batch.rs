//! What compute environments and job queues have in common.

use crate::aws::Aws;
use crate::error::{Context as _, Result};
use crate::resource::TagChanges;

/// Sets and removes tags.
///
/// # Errors
///
/// AWS's refusal.
pub async fn retag(aws: &Aws, arn: &str, tags: &TagChanges) -> Result<()> {
    if !tags.set.is_empty() {
        let set = tags.set.clone().into_iter().collect();
        aws.batch
            .tag_resource()
            .resource_arn(arn)
            .set_tags(Some(set))
            .send()
            .await
            .on("batch:TagResource", arn)?;
    }
    if !tags.remove.is_empty() {
        let keys = Some(tags.remove.clone());
        let untag = aws.batch.untag_resource().resource_arn(arn).set_tag_keys(keys);
        untag.send().await.on("batch:UntagResource", arn)?;
    }
    Ok(())
}

/// The last part of an ARN or path: the name.
pub fn name_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
