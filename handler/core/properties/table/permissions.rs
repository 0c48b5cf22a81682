//! Who may do what.

use super::{Effect, Kind, Property};

/// When rights that are taken away are gone.
const AT_ONCE: &str = "Rights that are taken away are gone at once, for running jobs too.";

/// The properties.
pub(super) const PROPERTIES: &[Property] = &[
    Property {
        name: "AllowBuckets",
        kind: Kind::List,
        default: "none",
        allowed: "s3://bucket, s3://bucket/path, or buckets' names",
        meaning: "More buckets that tasks may read and write. A path is accepted, and the right is for its bucket.",
        aws: "The instance role's policy for S3.",
        effects: &[Effect::InPlace],
        update: AT_ONCE,
    },
    Property {
        name: "ExecutionRole",
        kind: Kind::Text,
        default: "a role that the forge makes",
        allowed: "the ARN of a role that the deployment allows",
        meaning: "What ECS uses to start jobs: for logs, images and secrets.",
        aws: "The forge makes no execution role; the instance and Fargate roles may pass this one.",
        effects: &[Effect::InPlace],
        update: "A role that the forge has made stays until the forge goes.",
    },
    Property {
        name: "HeadJobRole",
        kind: Kind::Text,
        default: "the instance's role; with `FargateHeadEnabled` a role that the forge makes",
        allowed: "the ARN of a role that the deployment allows",
        meaning: "What head jobs may do.",
        aws: "The instance and Fargate roles may pass it.",
        effects: &[Effect::InPlace],
        update: "",
    },
    Property {
        name: "ComputeJobRole",
        kind: Kind::Text,
        default: "the instance's role",
        allowed: "the ARN of a role that the deployment allows",
        meaning: "What tasks may do.",
        aws: "The instance and Fargate roles may pass it.",
        effects: &[Effect::InPlace],
        update: "",
    },
    Property {
        name: "PermissionsBoundary",
        kind: Kind::Text,
        default: "the function's",
        allowed: "the ARN of a policy that the deployment allows",
        meaning: "The most that any of the forge's roles may do.",
        aws: "The permissions boundary of every role.",
        effects: &[Effect::InPlace],
        update: AT_ONCE,
    },
    Property {
        name: "InstanceRolePolicies",
        kind: Kind::List,
        default: "none",
        allowed: "up to 6 ARNs of managed policies that the deployment allows",
        meaning: "More rights of instances, and of tasks that have no role of their own.",
        aws: "Managed policies of the instance role.",
        effects: &[Effect::InPlace],
        update: AT_ONCE,
    },
    Property {
        name: "InstanceRoleStatements",
        kind: Kind::Statements,
        default: "none",
        allowed: "IAM statements with Effect, Action or NotAction, Resource or NotResource, and perhaps Sid and Condition",
        meaning: "More rights of instances, within the permissions boundary.",
        aws: "An inline policy of the instance role.",
        effects: &[Effect::InPlace],
        update: AT_ONCE,
    },
    Property {
        name: "PipelineSecrets",
        kind: Kind::Boolean,
        default: "false",
        allowed: "true or false",
        meaning: "Pipelines may use the secrets that Seqera Platform keeps for them.",
        aws: "Statements for Secrets Manager on the execution and the instance role.",
        effects: &[Effect::InPlace],
        update: AT_ONCE,
    },
];
