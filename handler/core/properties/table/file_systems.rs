//! EFS and FSx for Lustre.

use super::{Effect, Kind, Property};

/// What becomes of a created file system.
const DATA: &str =
    "No Update deletes a file system: one that is no longer wanted is detached, and goes with the forge.";

/// The properties.
pub(super) const PROPERTIES: &[Property] = &[
    Property {
        name: "EfsCreate",
        kind: Kind::Boolean,
        default: "false",
        allowed: "true or false",
        meaning: "Makes an EFS file system.",
        aws: "An encrypted file system, a mount target in each zone, and the mount at boot.",
        effects: &[Effect::NewGeneration],
        update: DATA,
    },
    Property {
        name: "EfsId",
        kind: Kind::Text,
        default: "none",
        allowed: "a file system's ID, such as fs-0123456789abcdef0",
        meaning: "An EFS file system that exists.",
        aws: "The mount at boot.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "EfsMount",
        kind: Kind::Text,
        default: "/mnt/efs",
        allowed: "an absolute path that the system does not use, of letters, digits and -_.",
        meaning: "Where EFS is mounted; needs `EfsCreate` or `EfsId`.",
        aws: "The mount at boot.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "FsxSize",
        kind: Kind::Integer(1200, i32::MAX),
        default: "none",
        allowed: "1200, or a multiple of 2400",
        meaning: "Makes an FSx for Lustre file system of so many GiB.",
        aws: "A file system in the first subnet, and the mount at boot.",
        effects: &[Effect::InPlace, Effect::NewGeneration, Effect::Refused],
        update: "More is in place, less is refused; the first size makes a new generation. No Update deletes a file \
                 system: one that is no longer wanted is detached, and goes with the forge.",
    },
    Property {
        name: "FsxDeploymentType",
        kind: Kind::OneOf(&["SCRATCH_2", "PERSISTENT_1", "PERSISTENT_2"]),
        default: "SCRATCH_2",
        allowed: "SCRATCH_2, PERSISTENT_1 or PERSISTENT_2",
        meaning: "Whether the file system survives the loss of a server; needs `FsxSize`.",
        aws: "`DeploymentType` of the file system.",
        effects: &[Effect::Refused],
        update: "A file system is data; make another forge, and copy.",
    },
    Property {
        name: "FsxThroughput",
        kind: Kind::Integer(50, 1000),
        default: "50 for PERSISTENT_1, 125 for PERSISTENT_2",
        allowed: "50, 100 or 200 for PERSISTENT_1; 125, 250, 500 or 1000 for PERSISTENT_2",
        meaning: "MB/s for each TiB; needs `FsxSize`.",
        aws: "`PerUnitStorageThroughput` of the file system.",
        effects: &[Effect::Refused],
        update: "A file system is data; make another forge, and copy.",
    },
    Property {
        name: "FsxName",
        kind: Kind::Text,
        default: "none",
        allowed: "a DNS name, such as fs-0123456789abcdef0.fsx.eu-west-1.amazonaws.com",
        meaning: "An FSx for Lustre file system that exists, by its DNS name.",
        aws: "The mount at boot.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "FsxMount",
        kind: Kind::Text,
        default: "/mnt/fsx",
        allowed: "an absolute path that the system does not use, of letters, digits and -_.",
        meaning: "Where Lustre is mounted; needs `FsxSize` or `FsxName`.",
        aws: "The mount at boot.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
];
