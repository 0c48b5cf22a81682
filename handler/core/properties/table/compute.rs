//! Compute environments, their instances and network, and the queues.

use super::{Effect, Kind, Property};

/// Size and type of the compute environments.
pub(super) const ENVIRONMENTS: &[Property] = &[
    Property {
        name: "Type",
        kind: Kind::OneOf(&["SPOT", "EC2"]),
        default: "SPOT",
        allowed: "SPOT or EC2",
        meaning: "Spot instances for tasks and an on-demand instance for the head job, or on-demand instances for both.",
        aws: "The type of the work environment; with SPOT there is a head environment too.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "MinCpus",
        kind: Kind::Integer(0, i32::MAX),
        default: "0",
        allowed: "an integer from 0 to MaxCpus",
        meaning: "vCPUs that are kept running, even when idle.",
        aws: "`minvCpus` of the work environment.",
        effects: &[Effect::InPlace],
        update: "",
    },
    Property {
        name: "MaxCpus",
        kind: Kind::Integer(1, i32::MAX),
        default: "required",
        allowed: "an integer from 1",
        meaning: "Maximum vCPUs for tasks.",
        aws: "`maxvCpus` of the work environment.",
        effects: &[Effect::InPlace],
        update: "If jobs use more vCPUs than the new limit, the environment gets the lowest possible limit, and the hourly sweep \
                 lowers it as jobs finish. `Warnings` names such environments.",
    },
    Property {
        name: "HeadMaxCpus",
        kind: Kind::Integer(1, i32::MAX),
        default: "32",
        allowed: "an integer from 1",
        meaning: "Maximum vCPUs for head jobs.",
        aws: "`maxvCpus` of the head environment, if there is one.",
        effects: &[Effect::InPlace],
        update: "",
    },
    Property {
        name: "InstanceTypes",
        kind: Kind::List,
        default: "optimal; with `NvmeStorageEnabled` c5ad c5d c6id i3 i4i m5ad m5d m6id r5ad r5d r6id; with \
                  `Arm64Enabled` c6g m6g r6g, with both c6gd m6gd r6gd",
        allowed: "instance types or families of one architecture, or optimal",
        meaning: "Instance types for tasks. The order has no meaning.",
        aws: "`instanceTypes` of the work environment.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "AllocStrategy",
        kind: Kind::OneOf(&[
            "BEST_FIT",
            "BEST_FIT_PROGRESSIVE",
            "SPOT_CAPACITY_OPTIMIZED",
            "SPOT_PRICE_CAPACITY_OPTIMIZED",
        ]),
        default: "SPOT_PRICE_CAPACITY_OPTIMIZED with `Type` SPOT, BEST_FIT_PROGRESSIVE with EC2",
        allowed: "BEST_FIT, BEST_FIT_PROGRESSIVE, SPOT_CAPACITY_OPTIMIZED or SPOT_PRICE_CAPACITY_OPTIMIZED",
        meaning: "How Batch chooses among the instance types.",
        aws: "`allocationStrategy` of the work environment; BEST_FIT with SPOT adds a spot fleet role.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "BidPercentage",
        kind: Kind::Integer(1, 100),
        default: "100",
        allowed: "an integer from 1 to 100",
        meaning: "Maximum spot price in percent of the on-demand price; with `Type` SPOT only.",
        aws: "`bidPercentage` of the work environment.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "OnDemandFallback",
        kind: Kind::Boolean,
        default: "false",
        allowed: "true or false",
        meaning: "Tasks run on demand when there is no spot capacity; with `Type` SPOT only.",
        aws: "A second, on-demand environment behind the spot one in the work queue.",
        effects: &[Effect::InPlace],
        update: "The on-demand environment is added or retired; the spot environment stays.",
    },
    Property {
        name: "FargateHeadEnabled",
        kind: Kind::Boolean,
        default: "false",
        allowed: "true or false",
        meaning: "Head jobs run on Fargate; needs SPOT and `Fusion2Enabled`, and no file system. In subnets without a NAT gateway, \
                  the job definition of the head job must set `assignPublicIp` to ENABLED, or it cannot pull its image.",
        aws: "A Fargate head environment, and a role for head jobs.",
        effects: &[Effect::Replacement],
        update: "",
    },
    Property {
        name: "DragenEnabled",
        kind: Kind::Boolean,
        default: "false",
        allowed: "true or false",
        meaning: "A third queue, for Illumina DRAGEN.",
        aws: "A queue and an environment with FPGA instances.",
        effects: &[Effect::Queue],
        update: "",
    },
    Property {
        name: "DragenAmiId",
        kind: Kind::Text,
        default: "the image of the other instances",
        allowed: "an image's ID, such as ami-0123456789abcdef0",
        meaning: "The image with DRAGEN; needs `DragenEnabled`. Its snapshot may need a larger `EbsBootSize`.",
        aws: "The image of the DRAGEN environment, and a launch template with its root device.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "DragenInstanceType",
        kind: Kind::OneOf(&[
            "f1.2xlarge",
            "f1.4xlarge",
            "f1.16xlarge",
            "f2.6xlarge",
            "f2.12xlarge",
            "f2.48xlarge",
        ]),
        default: "f2.6xlarge",
        allowed: "f1.2xlarge, f1.4xlarge, f1.16xlarge, f2.6xlarge, f2.12xlarge or f2.48xlarge",
        meaning: "Instance type for DRAGEN; needs `DragenEnabled`.",
        aws: "`instanceTypes` of the DRAGEN environment.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
];

/// Images and settings of the instances.
pub(super) const INSTANCES: &[Property] = &[
    Property {
        name: "ImageId",
        kind: Kind::Text,
        default: "the newest image of ECS on Amazon Linux 2023",
        allowed: "an image's ID, such as ami-0123456789abcdef0",
        meaning: "A custom image. It must have the ECS agent, and takes precedence over the GPU image. The root volume may have \
                  any device name, and its snapshot may need a larger `EbsBootSize`.",
        aws: "`imageIdOverride` of all environments except Fargate; the root device in the launch template.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "GpuEnabled",
        kind: Kind::Boolean,
        default: "false",
        allowed: "true or false",
        meaning: "Instances with NVIDIA drivers. It selects only the image; list GPU instance families in `InstanceTypes`.",
        aws: "The image type ECS_AL2023_NVIDIA.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "Arm64Enabled",
        kind: Kind::Boolean,
        default: "false",
        allowed: "true or false",
        meaning: "Graviton; needs `FargateHeadEnabled`, `WaveEnabled` and `Fusion2Enabled`, and no GPU.",
        aws: "Graviton instances and images.",
        effects: &[Effect::Replacement],
        update: "",
    },
    Property {
        name: "Ec2KeyPair",
        kind: Kind::Text,
        default: "none",
        allowed: "the name of a key pair of this region",
        meaning: "Key pair for logging in to instances.",
        aws: "`ec2KeyPair` of the environments.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "EcsConfig",
        kind: Kind::Lines,
        default: "none",
        allowed: "lines of NAME=value, up to 4096 bytes",
        meaning: "Additional settings of the ECS agent, after the forge's own.",
        aws: "Lines of `/etc/ecs/ecs.config`.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
];

/// Scheduling.
pub(super) const QUEUES: &[Property] = &[
    Property {
        name: "JobStateTimeLimit",
        kind: Kind::Integer(600, 86400),
        default: "none",
        allowed: "an integer from 600 to 86400",
        meaning: "Seconds after which a job that cannot run is cancelled.",
        aws: "`jobStateTimeLimitActions` of the queues.",
        effects: &[Effect::InPlace],
        update: "Jobs that have already waited longer are cancelled.",
    },
    Property {
        name: "SchedulingPolicyArn",
        kind: Kind::Text,
        default: "none: first in, first out",
        allowed: "the ARN of a Batch scheduling policy of this account and region",
        meaning: "Fair-share scheduling on the work queue, and on the DRAGEN queue. Jobs need a `ShareIdentifier`.",
        aws: "`schedulingPolicyArn` of the work queue and of the DRAGEN queue.",
        effects: &[Effect::InPlace, Effect::Replacement],
        update: "Replacing one policy with another happens in place; adding the first or removing the last replaces the \
                 forge.",
    },
    Property {
        name: "ShareIdentifier",
        kind: Kind::Text,
        default: "nf with `SchedulingPolicyArn`",
        allowed: "up to 255 letters and digits",
        meaning: "The share that tasks count against; a queue with fair-share scheduling refuses jobs without one. Pipelines that \
                  are to share the queue fairly need different ones: set `aws.batch.shareIdentifier` in each pipeline's own \
                  configuration. Needs `SchedulingPolicyArn`.",
        aws: "Nothing: Nextflow sets it on each job.",
        effects: &[Effect::Config],
        update: "",
    },
];

/// Placement of the instances.
pub(super) const NETWORK: &[Property] = &[
    Property {
        name: "VpcId",
        kind: Kind::Text,
        default: "the default VPC",
        allowed: "a VPC's ID, such as vpc-0123456789abcdef0",
        meaning: "The VPC in which subnets and security groups are looked up.",
        aws: "Nothing by itself.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "Subnets",
        kind: Kind::List,
        default: "all subnets of the VPC that are in Availability Zones",
        allowed: "subnets' IDs, such as subnet-0123456789abcdef0; up to 16 with `FargateHeadEnabled`",
        meaning: "Subnets for instances. They need a route to the AWS service endpoints. EFS and Fargate are not available in \
                  Local Zones, in Wavelength Zones and on Outposts.",
        aws: "`subnets` of the environments; EFS gets a mount target in each of their zones.",
        effects: &[Effect::NewGeneration],
        update: "",
    },
    Property {
        name: "SecurityGroups",
        kind: Kind::List,
        default: "the VPC's default security group",
        allowed: "security groups' IDs, such as sg-0123456789abcdef0; up to 5 with `FargateHeadEnabled`",
        meaning: "Security groups of instances. With a file system, they must allow inbound TCP from themselves: 2049 for \
                  EFS, 988 and 1018 to 1023 for Lustre.",
        aws: "`securityGroupIds` of the environments, and of created file systems.",
        effects: &[Effect::NewGeneration],
        update: "A file system keeps the groups it was created with. Keep them in the list, or let them allow inbound \
                 traffic from the new ones.",
    },
];
