//! Where a script is played: the names and numbers that its calls need.

use serde_json::{Value, json};
use tower_forge_core::name::{FORGE_TAG, ForgeId, LOGICAL_TAG, Names, Pool, RoleKind, STACK_TAG};
use tower_forge_core::registry::{Call, Write};
use tower_forge_core::resource::{Kind, ResourceId, Tags};
use tower_forge_core::resources::{
    compute_environment, instance_profile, job_queue, launch_template, log_group, role,
};

/// The managed policy that a service role needs.
pub(crate) const SERVICE_POLICY: &str = "arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole";
/// A managed policy that does not matter.
pub(crate) const OTHER_POLICY: &str = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
/// The environments' hash, where there is one only.
pub(crate) const ONE: &str = "00000001";
/// The ID that stands for the one that a template was given.
pub(crate) const GIVEN_ID: &str = "lt-GIVEN";
/// An ID that no template was given.
pub(crate) const NO_ID: &str = "lt-0123456789abcdef0";

/// Where a script is played.
#[derive(Debug)]
pub(crate) struct Site {
    /// The account's number.
    pub(crate) account: String,
    /// The subnets of the default VPC.
    pub(crate) subnets: Vec<String>,
    /// Its security group.
    pub(crate) group: String,
    /// The names of the script's forge.
    pub(crate) names: Names,
}

/// A trust policy that lets a service assume the role.
pub(crate) fn trust(service: &str) -> Value {
    let statement = json!({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"});
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

/// An inline policy.
pub(crate) fn inline() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]})
}

/// Tags beyond those of the forge.
pub(crate) fn more_tags() -> Tags {
    Tags::from([("cost-centre".to_owned(), "42".to_owned())])
}

/// The names of the tags of [`more_tags`].
pub(crate) fn more_keys() -> Vec<String> {
    more_tags().into_keys().collect()
}

impl Site {
    /// A site in an account.
    pub(crate) fn new(account: &str, subnets: Vec<String>, group: String) -> Self {
        let id = ForgeId::parse("Conformance").expect("letters and digits");
        Self { account: account.to_owned(), subnets, group, names: Names::new("TowerForge", id) }
    }

    /// The tags of all that belongs to the forge.
    pub(crate) fn tags(&self) -> Tags {
        let stack = format!("arn:aws:cloudformation:eu-west-1:{}:stack/genomics/1f0b2c30", self.account);
        let forge = self.names.id().as_str().to_owned();
        let tags = [(FORGE_TAG, forge), (STACK_TAG, stack), (LOGICAL_TAG, "Genomics".to_owned())];
        tags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// A call on a role.
    pub(crate) fn role(&self, kind: RoleKind, call: role::Call) -> Write {
        Write { id: ResourceId::new(Kind::Role, self.names.role(kind)), call: Call::Role(Box::new(call)) }
    }

    /// Creates a role that this service may assume.
    pub(crate) fn create_role(&self, kind: RoleKind, service: &str) -> Write {
        let (trust, tags) = (trust(service), self.tags());
        self.role(kind, role::Call::Create { trust, boundary: None, tags })
    }

    /// The ARN of a role.
    pub(crate) fn role_arn(&self, kind: RoleKind) -> String {
        format!("arn:aws:iam::{}:role/{}", self.account, self.names.role(kind))
    }

    /// A call on the instance profile.
    pub(crate) fn profile(&self, call: instance_profile::Call) -> Write {
        let id = ResourceId::new(Kind::InstanceProfile, self.names.instance_profile());
        Write { id, call: Call::InstanceProfile(Box::new(call)) }
    }

    /// A call on the launch template.
    pub(crate) fn template(&self, call: launch_template::Call) -> Write {
        let id = ResourceId::new(Kind::LaunchTemplate, self.names.launch_template(ONE));
        Write { id, call: Call::LaunchTemplate(Box::new(call)) }
    }

    /// Creates the launch template.
    pub(crate) fn create_template(&self) -> Write {
        let boot = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"part\"\n\n\
                    --part\nContent-Type: text/x-shellscript; charset=\"utf-8\"\n\n#!/bin/bash\n\n--part--\n";
        let (device, size, encrypted, kms_key) = ("/dev/xvda".to_owned(), 50, false, None);
        let content = launch_template::Spec {
            root: launch_template::RootVolume {
                device,
                size,
                encrypted,
                kms_key,
                iops: None,
                throughput: None,
            },
            user_data: boot.to_owned(),
            instance_tags: self.tags(),
        };
        self.template(launch_template::Call::Create { content, tags: self.tags() })
    }

    /// A call on the log group.
    pub(crate) fn log_group(&self, call: log_group::Call) -> Write {
        let id = ResourceId::new(Kind::LogGroup, self.names.log_group());
        Write { id, call: Call::LogGroup(Box::new(call)) }
    }

    /// The ARN of the log group.
    pub(crate) fn log_group_arn(&self) -> String {
        format!("arn:aws:logs:eu-west-1:{}:log-group:{}", self.account, self.names.log_group())
    }

    /// The service role, ready to be used.
    pub(crate) fn service_role(&self) -> Vec<Write> {
        vec![
            self.create_role(RoleKind::Service, "batch.amazonaws.com"),
            self.role(RoleKind::Service, role::Call::Attach(SERVICE_POLICY.to_owned())),
        ]
    }

    /// All that an environment of instances needs.
    pub(crate) fn for_instances(&self) -> Vec<Write> {
        let mut all = self.service_role();
        all.extend([
            self.create_role(RoleKind::Instance, "ec2.amazonaws.com"),
            self.profile(instance_profile::Call::Create(self.tags())),
            self.profile(instance_profile::Call::AddRole(self.names.role(RoleKind::Instance))),
            self.create_template(),
        ]);
        all
    }

    /// A call on a compute environment.
    pub(crate) fn environment(&self, hash: &str, call: compute_environment::Call) -> Write {
        let id = ResourceId::new(Kind::ComputeEnvironment, self.names.environment(Pool::Work, hash));
        Write { id, call: Call::ComputeEnvironment(Box::new(call)) }
    }

    /// The ARN of a compute environment.
    pub(crate) fn environment_arn(&self, hash: &str) -> String {
        let name = self.names.environment(Pool::Work, hash);
        format!("arn:aws:batch:eu-west-1:{}:compute-environment/{name}", self.account)
    }

    fn placement(&self) -> compute_environment::Placement {
        let security_groups = vec![self.group.clone()];
        compute_environment::Placement { subnets: self.subnets.clone(), security_groups }
    }

    /// Creates an environment on Fargate.
    pub(crate) fn create_fargate(&self, hash: &str) -> Write {
        let call = compute_environment::Call::Create {
            min_vcpus: 0,
            max_vcpus: 16,
            service_role: Some(self.role_arn(RoleKind::Service)),
            resources: compute_environment::Resources::Fargate(self.placement()),
            tags: self.tags(),
        };
        self.environment(hash, call)
    }

    /// The same under Batch's service-linked role.
    pub(crate) fn create_linked(&self, hash: &str) -> Write {
        let call = compute_environment::Call::Create {
            min_vcpus: 0,
            max_vcpus: 16,
            service_role: None,
            resources: compute_environment::Resources::Fargate(self.placement()),
            tags: self.tags(),
        };
        self.environment(hash, call)
    }

    /// The spec of an environment of instances.
    pub(crate) fn instances(&self) -> compute_environment::Instances {
        compute_environment::Instances {
            spot: false,
            strategy: "BEST_FIT_PROGRESSIVE".to_owned(),
            bid_percentage: None,
            instance_types: vec!["m6i".to_owned()],
            placement: self.placement(),
            instance_profile: format!(
                "arn:aws:iam::{}:instance-profile/{}",
                self.account,
                self.names.instance_profile()
            ),
            fleet_role: None,
            launch_template: self.names.launch_template(ONE),
            image_type: "ECS_AL2023".to_owned(),
            image_id: None,
            key_pair: None,
            instance_tags: self.tags(),
        }
    }

    /// Creates an environment of instances.
    pub(crate) fn create_on_instances(&self, hash: &str, min_vcpus: i32) -> Write {
        self.create_environment(hash, min_vcpus, self.instances())
    }

    /// The same with other instances.
    pub(crate) fn create_environment(
        &self,
        hash: &str,
        min_vcpus: i32,
        instances: compute_environment::Instances,
    ) -> Write {
        let call = compute_environment::Call::Create {
            min_vcpus,
            max_vcpus: 16,
            service_role: Some(self.role_arn(RoleKind::Service)),
            resources: compute_environment::Resources::Instances(Box::new(instances)),
            tags: self.tags(),
        };
        self.environment(hash, call)
    }

    /// Updates an environment.
    pub(crate) fn update_environment(&self, hash: &str, update: compute_environment::Update) -> Write {
        self.environment(hash, compute_environment::Call::Update(update))
    }

    /// Enables or disables an environment.
    pub(crate) fn enable_environment(&self, hash: &str, enabled: bool) -> Write {
        let update = compute_environment::Update { enabled: Some(enabled), ..Default::default() };
        self.update_environment(hash, update)
    }

    /// Deletes an environment.
    pub(crate) fn delete_environment(&self, hash: &str) -> Write {
        self.environment(hash, compute_environment::Call::Delete)
    }

    /// A call on the work queue.
    pub(crate) fn queue(&self, call: job_queue::Call) -> Write {
        let id = ResourceId::new(Kind::JobQueue, self.names.queue(Pool::Work));
        Write { id, call: Call::JobQueue(Box::new(call)) }
    }

    /// The ARN of the work queue.
    pub(crate) fn queue_arn(&self) -> String {
        format!("arn:aws:batch:eu-west-1:{}:job-queue/{}", self.account, self.names.queue(Pool::Work))
    }

    /// The spec of a queue on these environments.
    pub(crate) fn queue_on(&self, hashes: &[&str]) -> job_queue::Spec {
        let order = hashes.iter().map(|hash| self.environment_arn(hash)).collect();
        job_queue::Spec { priority: 1, order, time_limit: None, scheduling_policy: None }
    }

    /// Creates the work queue on these environments.
    pub(crate) fn create_queue(&self, hashes: &[&str]) -> Write {
        self.queue(job_queue::Call::Create { spec: self.queue_on(hashes), tags: self.tags() })
    }

    /// Updates the work queue.
    pub(crate) fn update_queue(&self, update: job_queue::Update) -> Write {
        self.queue(job_queue::Call::Update { arn: self.queue_arn(), update })
    }

    /// Enables or disables the work queue.
    pub(crate) fn enable_queue(&self, enabled: bool) -> Write {
        self.update_queue(job_queue::Update { enabled: Some(enabled), ..Default::default() })
    }

    /// Deletes the work queue.
    pub(crate) fn delete_queue(&self) -> Write {
        self.queue(job_queue::Call::Delete { arn: self.queue_arn() })
    }
}
