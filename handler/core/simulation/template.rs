//! The templates of a life.

use crate::executor::{Ms, S};
use crate::shared::FORGE;
use serde_json::{Map, Value, json};

/// The properties of the forge in a template.
#[expect(clippy::struct_excessive_bools, reason = "each is a property of the stack")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// Changed in place.
    pub(crate) max_cpus: u32,
    /// Which instance types: a change makes a new generation.
    pub(crate) types: usize,
    /// A change replaces the forge: 0 is plain, 1 has the head job on Fargate, 2 has Graviton besides.
    pub(crate) identity: usize,
    /// Whether spot capacity has a fallback: two environments in the work queue.
    pub(crate) fallback: bool,
    /// Whether there is an EFS file system. Not with Fargate, which refuses it.
    pub(crate) efs: bool,
    /// The size of an FSx file system, if there is one. Not with Fargate.
    pub(crate) lustre: u32,
    /// Whether a Delete deletes.
    pub(crate) disposes: bool,
    /// Whether it names the ID of the forge.
    pub(crate) named: bool,
}

impl Template {
    /// The plainest.
    pub(crate) const PLAIN: Self = Self {
        max_cpus: 100,
        types: 0,
        identity: 0,
        fallback: false,
        efs: false,
        lustre: 0,
        disposes: true,
        named: false,
    };

    /// The properties, for a response within `timeout`.
    pub(crate) fn properties(&self, timeout: Ms) -> Map<String, Value> {
        let (fargate, arm64) = (self.identity > 0, self.identity > 1);
        let types = if arm64 { ["m6g", "c6g", "r6g"] } else { ["m5", "c5", "r5"] };
        let mut all = json!({
            "ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:tower-forge",
            "WorkDir": "s3://bucket/work",
            "MaxCpus": self.max_cpus.to_string(),
            "Fusion2Enabled": "true",
            "WaveEnabled": "true",
            "InstanceTypes": [types[self.types % 3]],
        });
        let flags =
            [("Arm64Enabled", arm64), ("FargateHeadEnabled", fargate), ("OnDemandFallback", self.fallback)];
        if self.efs && !fargate {
            all["EfsCreate"] = json!("true");
        }
        if self.lustre > 0 && !fargate {
            all["FsxSize"] = json!(self.lustre.to_string());
        }
        for (name, _) in flags.iter().filter(|(_, set)| *set) {
            all[*name] = json!("true");
        }
        if !self.disposes {
            all["DisposeOnDeletion"] = json!("false");
        }
        if self.named {
            all["ForgeId"] = json!(FORGE);
        }
        if timeout != 3600 * S {
            all["ServiceTimeout"] = json!((timeout / S).to_string());
        }
        match all {
            Value::Object(all) => all,
            _ => Map::new(),
        }
    }
}
