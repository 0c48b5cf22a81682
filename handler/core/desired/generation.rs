//! PURE. The hashes that name generations.
//!
//! A hash covers the user's properties that an environment or a template cannot change in place, and the IDs of created
//! file systems. It does not cover looked-up values or the function's user data, because a new release of the function
//! must not replace environments.
//!
//! **Invariant**: frozen. A property that is added later may enter a hash only if it is set.

use super::storage::Ids;
use crate::name::{Pool, hash8};
use crate::properties::Properties;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A placeholder for a hash that is unknown until a file system is created.
pub const LATER: &str = "(known later)";

/// The hashes of one generation.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    /// The hash of the launch template of each pool that has instances.
    pub(super) templates: BTreeMap<Pool, String>,
    /// The hash of the environment of each pool that is wanted.
    pub(super) environments: BTreeMap<Pool, String>,
}

impl Generation {
    /// The generation of these properties and file systems.
    pub(super) fn of(properties: &Properties, ids: &Ids) -> Self {
        let content = template_content(properties, ids);
        let hash = |of: &dyn Fn(&Value) -> Value| match &content {
            None => LATER.to_owned(),
            Some(content) => hash8(&of(content)),
        };
        // The root device in a template is the image's. An environment's hash has covered the image from the beginning.
        let template = |pool: Pool| match image(properties, pool) {
            None => hash(&Value::clone),
            Some(image) => hash(&|content| json!({"Template": content, "ImageId": image})),
        };
        let environment = |pool: Pool| hash(&|content| environment_content(properties, content, pool));
        let all = pools(properties);
        let with_instances =
            all.iter().filter(|pool| **pool != Pool::Head || !properties.fargate_head_enabled);
        Self {
            templates: with_instances.map(|pool| (*pool, template(*pool))).collect(),
            environments: all.iter().map(|pool| (*pool, environment(*pool))).collect(),
        }
    }
}

/// The image that the stack names for the instances of a pool.
pub(super) fn image(properties: &Properties, pool: Pool) -> Option<&str> {
    let own = properties.dragen_ami_id.as_deref().filter(|_| pool == Pool::Dragen);
    own.or(properties.image_id.as_deref())
}

/// The pools that are wanted.
fn pools(properties: &Properties) -> Vec<Pool> {
    let wanted = [
        (Pool::Work, true),
        (Pool::Head, properties.has_head_environment()),
        (Pool::OnDemand, properties.on_demand_fallback),
        (Pool::Dragen, properties.dragen_enabled),
    ];
    wanted.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(pool, _)| pool).collect()
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
