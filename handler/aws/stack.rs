//! The status of stacks and their resources.

use super::clients::Clients;
use super::error::Context as _;
use tower_forge_core::error::{ServiceError, chain};
use tower_forge_core::port::Shown;

/// CloudFormation's view of a resource of a stack.
pub(crate) async fn shown(clients: &Clients, stack_id: &str, logical_id: &str) -> Shown {
    let ask = clients.cloudformation.describe_stack_resource();
    let found = ask.stack_name(stack_id).logical_resource_id(logical_id).send().await;
    match found.on("cloudformation:DescribeStackResource", logical_id) {
        Ok(found) => {
            let detail = found.stack_resource_detail;
            detail.and_then(|detail| Some((detail.resource_status?, detail.physical_resource_id))).map_or(
                Shown::Unknown,
                |(status, physical_id)| Shown::Resource {
                    status: status.as_str().to_owned(),
                    physical_id: physical_id.filter(|id| !id.is_empty()),
                },
            )
        }
        Err(err) if err.service().is_some_and(|err| err.message.contains("does not exist")) => Shown::Nothing,
        Err(err) if err.service().is_some_and(ServiceError::is_denied) => Shown::Denied(err),
        Err(err) => {
            tracing::warn!(error = chain(&err), "CloudFormation does not show the resource");
            Shown::Unknown
        }
    }
}

/// The status of a stack; `None` where it cannot be told.
pub(crate) async fn status(clients: &Clients, stack_id: &str) -> Option<String> {
    let found = clients.cloudformation.describe_stacks().stack_name(stack_id).send().await.ok()?;
    let status = found.stacks.unwrap_or_default().into_iter().next()?.stack_status?;
    Some(status.as_str().to_owned())
}
