//! The instances' root volume, which is gp3.

use super::{Effect, Kind, Property};

/// The properties.
pub(super) const PROPERTIES: &[Property] = &[
    Property {
        name: "EbsBootSize",
        kind: Kind::Integer(8, 16384),
        default: "50; 100 for Fusion without NVMe",
        allowed: "an integer from 8 to 16384, not smaller than the snapshot of the image: 30 for the ECS image",
        meaning: "Root volume size in GiB. Instances do not start with a root volume that is smaller than their image's.",
        aws: "The launch template's block device.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "EbsEncrypted",
        kind: Kind::Boolean,
        default: "true",
        allowed: "true or false",
        meaning: "Encrypts the root volume.",
        aws: "The launch template's block device.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "EbsKmsKeyId",
        kind: Kind::Text,
        default: "the account's default key",
        allowed: "a KMS key's ID, alias, or ARN in this region",
        meaning: "KMS key that encrypts the root volume. Its policy must allow the service-linked role of Auto Scaling to use it. \
                  The same holds for the account's default key, unless that is AWS's own.",
        aws: "The launch template's block device.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "EbsThroughput",
        kind: Kind::Integer(125, 2000),
        default: "125; 325 for Fusion without NVMe",
        allowed: "an integer from 125 to 2000, and a quarter of EbsIops at most",
        meaning: "Root volume throughput in MiB/s.",
        aws: "The launch template's block device.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "EbsIops",
        kind: Kind::Integer(3000, 80000),
        default: "3000",
        allowed: "an integer from 3000 to 80000, and 500 for each GiB at most",
        meaning: "Root volume IOPS.",
        aws: "The launch template's block device.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
];
