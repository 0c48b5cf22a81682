//! PURE. The hashes that name generations.
//!
//! A hash covers what the user said that an environment or a template cannot change in place, and the IDs of
//! created file systems; not what was looked up, and not our own recipe for user data: a new release of the
//! function must not replace anybody's environments.
//!
//! **Invariant**: frozen. A property that is added later may enter a hash only where it has been given.

use super::storage::Ids;
use crate::name::{Pool, hash8};
use crate::properties::Properties;
use serde_json::{Value, json};

/// Stands for a hash that is not known yet, because a file system has to be made first.
pub const LATER: &str = "(known later)";

/// The hashes of the generation that is wanted.
pub(super) struct Generation<'a> {
    properties: &'a Properties,
    /// What the launch template's hash covers; `None` if that is not known yet.
    content: Option<Value>,
    /// The hash of the launch template.
    pub(super) template: String,
}

impl<'a> Generation<'a> {
    /// The generation of these properties and file systems.
    pub(super) fn of(properties: &'a Properties, ids: &Ids) -> Self {
        let content = template_content(properties, ids);
        let template = content.as_ref().map_or_else(|| LATER.to_owned(), hash8);
        Self { properties, content, template }
    }

    /// The hash of one pool's environment.
    pub(super) fn environment(&self, pool: Pool) -> String {
        match &self.content {
            None => LATER.to_owned(),
            Some(content) => hash8(&environment_content(self.properties, content, pool)),
        }
    }
}

fn template_content(properties: &Properties, ids: &Ids) -> Option<Value> {
    let Ids::Known { efs, fsx } = ids else { return None };
    Some(json!({
        "EbsBootSize": properties.ebs_boot_size(),
        "EbsEncrypted": properties.ebs_encrypted,
        "EbsKmsKeyId": properties.ebs_kms_key_id,
        "EbsThroughput": properties.ebs_throughput(),
        "EbsIops": properties.ebs_iops(),
        "EcsConfig": properties.ecs_config,
        "Fusion2Enabled": properties.fusion2_enabled,
        "NvmeStorageEnabled": properties.nvme_storage_enabled,
        "Arm64Enabled": properties.arm64_enabled,
        "Efs": efs.as_ref().map(|id| (id, properties.efs_mount())),
        "Fsx": fsx.as_ref().map(|id| (id, properties.fsx_mount())),
        "ImageRefresh": properties.image_refresh,
        "Tags": properties.tags,
    }))
}

fn environment_content(properties: &Properties, template: &Value, pool: Pool) -> Value {
    let network = json!({
        "VpcId": properties.vpc_id,
        "Subnets": properties.subnets,
        "SecurityGroups": properties.security_groups,
    });
    if pool == Pool::Head && properties.fargate_head_enabled {
        return json!({"Network": network, "ImageRefresh": properties.image_refresh});
    }
    let mut content = json!({
        "Template": template,
        "Network": network,
        "ImageId": properties.image_id,
        "Ec2KeyPair": properties.ec2_key_pair,
    });
    let more = match pool {
        Pool::Head => json!({"InstanceTypes": properties.head_instance_types()}),
        Pool::Work => json!({
            "Type": properties.r#type.as_str(),
            "InstanceTypes": properties.instance_types(),
            "AllocStrategy": properties.alloc_strategy().as_str(),
            "BidPercentage": properties.bid_percentage(),
            "GpuEnabled": properties.gpu_enabled,
        }),
        Pool::OnDemand => json!({
            "InstanceTypes": properties.instance_types(),
            "GpuEnabled": properties.gpu_enabled,
        }),
        Pool::Dragen => json!({
            "Type": properties.r#type.as_str(),
            "DragenInstanceType": properties.dragen_instance_type(),
            "DragenAmiId": properties.dragen_ami_id,
        }),
    };
    content["Line"] = more;
    content
}
