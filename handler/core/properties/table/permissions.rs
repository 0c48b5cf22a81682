//! Roles and their permissions.

use super::{Effect, Kind, Property};

/// When revoked permissions are lost.
const AT_ONCE: &str = "Revoked permissions are lost immediately, even by running jobs.";

/// The properties.
pub(super) const PROPERTIES: &[Property] = &[
    Property {
        name: "AllowBuckets",
        kind: Kind::List,
        default: "none",
        allowed: "s3://bucket, s3://bucket/path, or buckets' names",
        meaning: "Additional buckets that tasks may read and write. A path is accepted, but grants access to its whole bucket.",
        aws: "The instance role's S3 policy.",
        effects: &[Effect::InPlace],
        update: AT_ONCE,
    },
    Property {
        name: "ReadBuckets",
        kind: Kind::List,
        default: "the public buckets ngi-igenomes and nf-core-awsmegatests",
        allowed: "s3://bucket, s3://bucket/prefix, buckets' names, or * for all buckets",
        meaning: "Additional buckets that tasks may read but not write. With a prefix, only the objects below it can be read. AWS \
                  requires this permission for public buckets too. The default has the reference genomes (iGenomes) and the test \
                  data of nf-core pipelines, which would fail without it; they are public, so reading them exposes nothing. A list \
                  replaces the default. Other buckets than these two must be among the `AllowedBuckets` of the deployment, and a \
                  private bucket of another account must allow the role too.",
        aws: "The S3 read policy of the instance and Fargate roles.",
        effects: &[Effect::InPlace],
        update: AT_ONCE,
    },
    Property {
        name: "ExecutionRole",
        kind: Kind::Text,
        default: "a role that the forge creates",
        allowed: "the ARN of a role that the deployment allows",
        meaning: "Role that ECS uses to start jobs: for logs, images and secrets.",
        aws: "The forge creates no execution role; the instance and Fargate roles may pass this one.",
        effects: &[Effect::InPlace],
        update: "A role that the forge has created is deleted only with the forge.",
    },
    Property {
        name: "HeadJobRole",
        kind: Kind::Text,
        default: "the instance's role; with `FargateHeadEnabled` a role that the forge creates",
        allowed: "the ARN of a role that the deployment allows",
        meaning: "Role of head jobs.",
        aws: "The instance and Fargate roles may pass it.",
        effects: &[Effect::InPlace],
        update: "",
    },
    Property {
        name: "ComputeJobRole",
        kind: Kind::Text,
        default: "the instance's role",
        allowed: "the ARN of a role that the deployment allows",
        meaning: "Role of tasks.",
        aws: "The instance and Fargate roles may pass it.",
        effects: &[Effect::InPlace],
        update: "",
    },
    Property {
        name: "PermissionsBoundary",
        kind: Kind::Text,
        default: "the function's",
        allowed: "the ARN of a policy that the deployment allows",
        meaning: "Upper limit of the permissions of all the forge's roles.",
        aws: "The permissions boundary of every role.",
        effects: &[Effect::InPlace],
        update: AT_ONCE,
    },
    Property {
        name: "InstanceRolePolicies",
        kind: Kind::List,
        default: "none",
        allowed: "up to 6 ARNs of managed policies that the deployment allows",
        meaning: "Additional permissions of instances, and of tasks without a job role.",
        aws: "Managed policies of the instance role.",
        effects: &[Effect::InPlace],
        update: AT_ONCE,
    },
    Property {
        name: "InstanceRoleStatements",
        kind: Kind::Statements,
        default: "none",
        allowed: "IAM statements with Effect, Action or NotAction, Resource or NotResource, and perhaps Sid and Condition",
        meaning: "Additional permissions of instances, within the permissions boundary.",
        aws: "An inline policy of the instance role.",
        effects: &[Effect::InPlace],
        update: AT_ONCE,
    },
    Property {
        name: "PipelineSecrets",
        kind: Kind::Boolean,
        default: "false",
        allowed: "true or false",
        meaning: "Pipelines may use the secrets that Seqera Platform keeps for them, also those that are encrypted with a key of \
                  this account, if its policy leaves access to IAM.",
        aws: "Secrets Manager statements on the execution and instance roles.",
        effects: &[Effect::InPlace],
        update: AT_ONCE,
    },
];
