//! EFS and FSx for Lustre.

use super::{Effect, Kind, Property};

/// The fate of a created file system.
const DATA: &str =
    "No Update deletes a file system: one that is no longer desired is detached, and deleted with the forge.";

/// The properties.
pub(super) const PROPERTIES: &[Property] = &[
    Property {
        name: "EfsCreate",
        kind: Kind::Boolean,
        default: "false",
        allowed: "true or false",
        meaning: "Creates an EFS file system.",
        aws: "An encrypted file system with a mount target in each zone, mounted at boot.",
        effects: &[Effect::NewGeneration],
        update: DATA,
    },
    Property {
        name: "EfsId",
        kind: Kind::Text,
        default: "none",
        allowed: "a file system's ID, such as fs-0123456789abcdef0",
        meaning: "An existing EFS file system.",
        aws: "It is mounted at boot.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "EfsMount",
        kind: Kind::Text,
        default: "/mnt/efs",
        allowed: "an absolute path that the system does not use, of letters, digits and -_.",
        meaning: "Mount path of EFS; needs `EfsCreate` or `EfsId`.",
        aws: "It is mounted at boot.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "FsxSize",
        kind: Kind::Integer(1200, i32::MAX),
        default: "none",
        allowed: "1200, or a multiple of 2400",
        meaning: "Creates an FSx for Lustre file system of this many GiB.",
        aws: "A file system in `FsxSubnet`, mounted at boot.",
        effects: &[Effect::InPlace, Effect::NewGeneration, Effect::Refused],
        update: "Growing is in place, and possible once in six hours; shrinking is refused; the first size starts a new \
                 generation. No Update deletes a file \
                 system: one that is no longer desired is detached, and deleted with the forge.",
    },
    Property {
        name: "FsxDeploymentType",
        kind: Kind::OneOf(&["SCRATCH_2", "PERSISTENT_1", "PERSISTENT_2"]),
        default: "SCRATCH_2",
        allowed: "SCRATCH_2, PERSISTENT_1 or PERSISTENT_2",
        meaning: "Durability: only PERSISTENT types survive the loss of a server. Needs `FsxSize`.",
        aws: "`DeploymentType` of the file system.",
        effects: &[Effect::Refused],
        update: "The file system holds data: deploy another forge, and copy it.",
    },
    Property {
        name: "FsxThroughput",
        kind: Kind::Integer(50, 1000),
        default: "50 for PERSISTENT_1, 125 for PERSISTENT_2",
        allowed: "50, 100 or 200 for PERSISTENT_1; 125, 250, 500 or 1000 for PERSISTENT_2",
        meaning: "MB/s per TiB; needs `FsxSize`.",
        aws: "`PerUnitStorageThroughput` of the file system.",
        effects: &[Effect::Refused],
        update: "The file system holds data: deploy another forge, and copy it.",
    },
    Property {
        name: "FsxSubnet",
        kind: Kind::Text,
        default: "the first of the forge's subnets that is in an Availability Zone",
        allowed: "a subnet's ID, such as subnet-0123456789abcdef0",
        meaning: "Subnet of the file system: traffic to instances in other zones costs money. Needs `FsxSize`. It must be in the \
                  VPC of the instances, and not in a Local or Wavelength Zone or on an Outpost.",
        aws: "`SubnetIds` of the file system.",
        effects: &[Effect::Nothing],
        update: "A file system stays in the subnet that it was created in.",
    },
    Property {
        name: "FsxName",
        kind: Kind::Text,
        default: "none",
        allowed: "a DNS name, such as fs-0123456789abcdef0.fsx.eu-west-1.amazonaws.com",
        meaning: "An existing FSx for Lustre file system, by its DNS name.",
        aws: "It is mounted at boot.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "FsxMount",
        kind: Kind::Text,
        default: "/mnt/fsx",
        allowed: "an absolute path that the system does not use, of letters, digits and -_.",
        meaning: "Mount path of Lustre; needs `FsxSize` or `FsxName`.",
        aws: "It is mounted at boot.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
];
