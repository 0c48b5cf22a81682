//! What the deployment allows its stacks to name, and the properties that go beyond it. PURE.
//!
//! A rollback to a state that an earlier operation has established is not held to it: a deployment that allows less than
//! before must not wedge stacks. Old properties in an event do not count as such a state, because events can be forged.

use serde_json::Value;

use super::{Fault, Properties, WorkDir, checks};
use crate::event::AccountScope;
use crate::network::Network;

/// The word for the default VPC of the region, and for the default security group of a VPC.
const DEFAULT: &str = "default";

/// The word for the security groups that the stack itself has created: it gives them only rules of its own, and another
/// group lets it in only if that group's owner says so.
const STACK: &str = "stack";

/// The public buckets that the permissions boundary lets instances read.
const PUBLIC_BUCKETS: [&str; 2] = ["nf-core-awsmegatests", "ngi-igenomes"];

/// What stacks may name. In lists `*` stands for any text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// ARNs of buckets and their objects.
    pub buckets: Vec<String>,
    /// IDs of VPCs; `default` alone is the default VPC.
    pub vpcs: Vec<String>,
    /// IDs of security groups; `default` is the group of that name, `stack` those that the stack has created.
    pub security_groups: Vec<String>,
    /// Owners of images: account IDs, EC2's aliases such as `amazon`, and `self`.
    pub image_owners: Vec<String>,
    /// Names of EC2 key pairs.
    pub key_pairs: Vec<String>,
    /// ARNs of KMS keys and aliases.
    pub keys: Vec<String>,
    /// IDs of EFS and FSx file systems, and DNS names of the latter.
    pub file_systems: Vec<String>,
    /// ARNs of log groups and their streams.
    pub log_groups: Vec<String>,
    /// ARNs of the policies that `PermissionsBoundary` may name.
    pub boundaries: Vec<String>,
    /// ARNs of the policies that `InstanceRolePolicies` may name.
    pub policies: Vec<String>,
    /// ARNs of the roles that `ExecutionRole`, `HeadJobRole` and `ComputeJobRole` may name.
    pub roles: Vec<String>,
    /// Keys of `Tags` that roles bear too: to IAM they are tags of the principal.
    pub role_tags: Vec<String>,
    /// Maximum of vCPUs of an environment.
    pub max_vcpus: i32,
    /// Maximum size of a root volume in GiB.
    pub max_volume_size: i32,
    /// Maximum size of an FSx file system in GiB.
    pub max_fsx_size: i32,
    /// Maximum number of forges of the deployment.
    pub max_forges: usize,
    /// Whether root volumes may be unencrypted.
    pub unencrypted: bool,
}

impl Allowed {
    /// Everything, as a deployer has to type it.
    pub fn everything() -> Self {
        let any = || vec!["*".to_owned()];
        Self {
            buckets: any(),
            vpcs: any(),
            security_groups: any(),
            image_owners: any(),
            key_pairs: any(),
            keys: any(),
            file_systems: any(),
            log_groups: any(),
            boundaries: any(),
            policies: any(),
            roles: any(),
            role_tags: any(),
            max_vcpus: i32::MAX,
            max_volume_size: i32::MAX,
            max_fsx_size: i32::MAX,
            max_forges: usize::MAX,
            unencrypted: true,
        }
    }

    /// Whether roles bear a tag of this key.
    pub fn is_role_tag(&self, key: &str) -> bool {
        checks::allowed(key, &self.role_tags)
    }

    /// The properties that go beyond what is allowed, as far as they tell by themselves.
    pub fn faults(&self, properties: &Properties, account: &AccountScope, region: &str) -> Vec<Fault> {
        let mut faults = self.bucket_faults(properties);
        let mut check =
            |name: &str, given: Option<&String>, allowed: bool, list: &[String], parameter: &str| {
                faults.extend(
                    given.filter(|_| !allowed).map(|given| listed(name, given.as_str(), list, parameter)),
                );
            };
        let Properties { ec2_key_pair, ebs_kms_key_id, efs_id, fsx_name, log_group, .. } = properties;
        let is = |given: &Option<String>, list: &[String]| {
            given.as_ref().is_none_or(|given| checks::allowed(given, list))
        };
        for (name, role) in [
            ("ExecutionRole", &properties.execution_role),
            ("HeadJobRole", &properties.head_job_role),
            ("ComputeJobRole", &properties.compute_job_role),
        ] {
            check(name, role.as_ref(), is(role, &self.roles), &self.roles, "AllowedRoles");
        }
        let boundary = &properties.permissions_boundary;
        let allowed = is(boundary, &self.boundaries);
        check("PermissionsBoundary", boundary.as_ref(), allowed, &self.boundaries, "AllowedBoundaries");
        for policy in &properties.instance_role_policies {
            let allowed = checks::allowed(policy, &self.policies);
            check("InstanceRolePolicies", Some(policy), allowed, &self.policies, "AllowedPolicies");
        }
        let allowed = is(ec2_key_pair, &self.key_pairs);
        check("Ec2KeyPair", ec2_key_pair.as_ref(), allowed, &self.key_pairs, "AllowedKeyPairs");
        let arn = |service: &str, resource: &str| {
            format!("arn:{}:{service}:{region}:{}:{resource}", account.partition, account.account)
        };
        let key = ebs_kms_key_id.as_ref().map(|key| match key.as_str() {
            key if key.starts_with("arn:") => key.to_owned(),
            key if key.starts_with("alias/") => arn("kms", key),
            key => arn("kms", &format!("key/{key}")),
        });
        check("EbsKmsKeyId", ebs_kms_key_id.as_ref(), is(&key, &self.keys), &self.keys, "AllowedKeys");
        let allowed = is(efs_id, &self.file_systems);
        check("EfsId", efs_id.as_ref(), allowed, &self.file_systems, "AllowedFileSystems");
        let fsx_id = fsx_name.as_ref().and_then(|name| name.split('.').next()).map(str::to_owned);
        let allowed = is(fsx_name, &self.file_systems) || is(&fsx_id, &self.file_systems);
        check("FsxName", fsx_name.as_ref(), allowed, &self.file_systems, "AllowedFileSystems");
        // Batch's own groups need no word. Permissions on others are about their streams.
        let group = log_group.as_ref().filter(|name| !name.starts_with("/aws/batch/job"));
        let named = arn("logs", &format!("log-group:{}", group.map_or("", String::as_str)));
        let allowed = is(&group.map(|_| format!("{named}:log-stream:job")), &self.log_groups);
        let parameter = format!("AllowedLogGroups, as {named}:*, with its streams");
        check("LogGroup", group, allowed, &self.log_groups, &parameter);
        faults.extend(self.size_faults(properties));
        faults
    }

    fn bucket_faults(&self, properties: &Properties) -> Vec<Fault> {
        let work = match &properties.work_dir {
            WorkDir::S3 { bucket, .. } => Some(("WorkDir", bucket.as_str())),
            WorkDir::Path(_) => None,
        };
        let more = properties.allow_buckets.iter().map(|bucket| ("AllowBuckets", bucket.as_str()));
        let read = properties.read_buckets.iter().filter_map(|place| place.split('/').next());
        let read =
            read.filter(|bucket| !PUBLIC_BUCKETS.contains(bucket)).map(|bucket| ("ReadBuckets", bucket));
        let given = work.into_iter().chain(more).chain(read);
        let beyond = given.filter(|(_, bucket)| !self.has_bucket(bucket));
        beyond.map(|(name, bucket)| listed(name, bucket, &self.buckets, "AllowedBuckets")).collect()
    }

    /// Whether a pattern matches the bucket, or objects in it.
    fn has_bucket(&self, bucket: &str) -> bool {
        let name = |pattern: &str| {
            let name = pattern.rsplit(":::").next().unwrap_or_default();
            name.split('/').next().unwrap_or_default().to_owned()
        };
        checks::allowed(bucket, &self.buckets.iter().map(|pattern| name(pattern)).collect::<Vec<_>>())
    }

    fn size_faults(&self, properties: &Properties) -> Vec<Fault> {
        let capped = [
            ("MaxCpus", Some(properties.max_cpus), self.max_vcpus, "MaxVcpus"),
            ("MinCpus", Some(properties.min_cpus), self.max_vcpus, "MaxVcpus"),
            ("HeadMaxCpus", Some(properties.head_max_cpus), self.max_vcpus, "MaxVcpus"),
            ("EbsBootSize", Some(properties.ebs_boot_size()), self.max_volume_size, "MaxVolumeSize"),
            ("FsxSize", properties.fsx_size, self.max_fsx_size, "MaxFsxSize"),
        ];
        let over = capped.into_iter().filter_map(|(name, given, most, parameter)| {
            let given = given.filter(|given| *given > most)?;
            Some(Fault::rule(name, given, &format!("up to {most} in this deployment"), &remedy(parameter)))
        });
        let unencrypted = (!properties.ebs_encrypted && !self.unencrypted).then(|| {
            Fault::rule("EbsEncrypted", false, "true in this deployment", &remedy("RequireEncryption"))
        });
        over.chain(unencrypted).collect()
    }

    /// Where the forge would be put beyond what is allowed. `network` is what was looked up for the properties.
    pub fn network_faults(
        &self,
        properties: &Properties,
        network: &Network,
        account: &AccountScope,
        stack_id: &str,
    ) -> Vec<Fault> {
        let vpc = &network.vpc;
        let is_vpc_allowed = match self.vpcs.as_slice() {
            [only] if only == DEFAULT => network.is_default_vpc,
            listed => checks::allowed(vpc, listed),
        };
        let place =
            if properties.vpc_id.is_none() && !properties.subnets.is_empty() { "Subnets" } else { "VpcId" };
        let vpc = (!is_vpc_allowed).then(|| listed(place, vpc.as_str(), &self.vpcs, "AllowedVpcs"));
        let has = |word: &str| self.security_groups.iter().any(|group| group == word);
        let is_default = |group: &String| has(DEFAULT) && network.default_group.as_ref() == Some(group);
        let is_own = |group: &String| {
            has(STACK) && network.group_stacks.get(group).is_some_and(|stack| stack == stack_id)
        };
        let groups = network.security_groups.iter().filter(|group| {
            !is_default(group) && !is_own(group) && !checks::allowed(group, &self.security_groups)
        });
        let groups = groups.map(|group| {
            listed("SecurityGroups", group.as_str(), &self.security_groups, "AllowedSecurityGroups")
        });
        let images = network.images.iter().filter(|image| {
            let own = image.owner == account.account;
            let owners = [Some(image.owner.as_str()), image.owner_alias.as_deref(), own.then_some("self")];
            !owners.into_iter().flatten().any(|name| checks::allowed(name, &self.image_owners))
        });
        let images = images.map(|image| {
            let named =
                if properties.image_id.as_ref() == Some(&image.id) { "ImageId" } else { "DragenAmiId" };
            let owner = image.owner_alias.as_ref().unwrap_or(&image.owner);
            let given = format!("{} of {owner}", image.id);
            let allowed = format!("images of {}", or(&self.image_owners));
            Fault::rule(named, given, &allowed, &remedy("AllowedImageOwners"))
        });
        vpc.into_iter().chain(groups).chain(images).collect()
    }
}

fn listed(name: &str, given: impl Into<Value>, list: &[String], parameter: &str) -> Fault {
    Fault::rule(name, given, &or(list), &remedy(parameter))
}

fn or(list: &[String]) -> String {
    if list.is_empty() { "none in this deployment".to_owned() } else { list.join(" or ") }
}

fn remedy(parameter: &str) -> String {
    format!("the deployer of the function can allow it with the template parameter {parameter}")
}
