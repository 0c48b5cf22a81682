//! Options of Tower Forge that are not properties, and their alternatives.

use serde_json::Value;

use super::read;

/// An option of Tower Forge that is not a property.
#[derive(Debug)]
pub struct Retired {
    /// The name that its property would have.
    pub name: &'static str,
    /// Whether `false` is accepted, because Tower Forge's exports contain it.
    pub may_be_false: bool,
    /// The reason and an alternative.
    pub instead: &'static str,
}

impl Retired {
    /// Whether a value means that the option is not used.
    pub fn accepts(&self, value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::String(text) if text.trim().is_empty() => true,
            _ => self.may_be_false && read::boolean(value) == Some(false),
        }
    }

    /// The allowed values.
    pub fn allowed(&self) -> &'static str {
        if self.may_be_false { "false, or nothing" } else { "nothing" }
    }
}

const fn retired(name: &'static str, instead: &'static str) -> Retired {
    Retired { name, may_be_false: false, instead }
}

/// All of them.
pub const RETIRED: &[Retired] = &[
    Retired {
        name: "EbsAutoScale",
        may_be_false: true,
        instead: "EBS autoscaling is retired and its software archived; use Fusion2Enabled, or a larger EbsBootSize",
    },
    retired("EbsBlockSize", "it belongs to EbsAutoScale, which is retired; use EbsBootSize"),
    Retired {
        name: "FusionEnabled",
        may_be_false: true,
        instead: "Fusion v1 is retired; use Fusion2Enabled with WaveEnabled",
    },
    retired("NvnmeStorageEnabled", "the name is misspelt in Tower Forge; use NvmeStorageEnabled"),
    retired("StorageType", "it is retired; use EfsCreate, EfsId, FsxSize or FsxName"),
    retired("LustreId", "it is retired; use FsxName, the file system's DNS name"),
    retired("HeadQueue", "the forge creates its queues; read the attribute HeadQueue"),
    retired("ComputeQueue", "the forge creates its queues; read the attribute ComputeQueue"),
    retired(
        "DragenQueue",
        "the forge creates its queues; set DragenEnabled and read the attribute DragenQueue",
    ),
    retired(
        "ForgedResources",
        "Tower Forge's record of what it created; read the attributes, or the tag towerforge:forge-id",
    ),
    retired("DeletedResources", "Tower Forge's record of what it deleted; see the function's log"),
    retired(
        "SecretsKmsKeyId",
        "Seqera Platform creates the secrets and owns the key; PipelineSecrets lets pipelines read them",
    ),
    retired("FusionMetricsCollectionEnabled", "Seqera Platform collects the metrics; set it there"),
    retired("LabelIds", "they are labels of Seqera Platform; use Tags"),
    retired("Platform", "every forge is for AWS Batch"),
    retired("CredentialsId", "the function uses its own role"),
];
