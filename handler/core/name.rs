//! Forge IDs, and the name of every resource of a forge.
//!
//! No other file contains the prefix or the format of names. IDs contain no hyphen, so `TowerForge-<ID>-` is the prefix
//! of the names of exactly one forge.

use crate::properties::Identity;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The default of the setting `TOWER_FORGE_NAME_PREFIX`.
pub const PREFIX: &str = "TowerForge";

/// The tag with the forge of a resource.
pub const FORGE_TAG: &str = "towerforge:forge-id";
/// The tag with the ARN of the stack that owns a resource.
pub const STACK_TAG: &str = "towerforge:stack-id";
/// The tag with the logical ID that owns a resource.
pub const LOGICAL_TAG: &str = "towerforge:logical-id";
/// The tag of a replaced resource, with the time of the replacement.
pub const RETIRING_TAG: &str = "towerforge:retiring";
/// The tag of a work queue whose forge has been completed once.
pub const COMPLETED_TAG: &str = "towerforge:completed";
/// The tag of a queue with the properties that it cannot change.
pub const IDENTITY_TAG: &str = "towerforge:identity";
/// The tag of an environment whose jobs use more vCPUs than its desired maximum, with that maximum: a sweep lowers it.
pub const LIMIT_TAG: &str = "towerforge:max-vcpus";
/// The tag of a resource that its stack has released, and another may adopt.
pub const RELEASED_TAG: &str = "towerforge:released";

/// The ID of a forge, which is the `PhysicalResourceId`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ForgeId(String);

impl ForgeId {
    /// Parses an ID: 1 to 22 letters and digits. Anything else, such as an ID that CloudFormation made up, is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let ok = (1..=22).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        ok.then(|| Self(text.to_owned()))
    }

    /// The default forge ID of a resource of a stack.
    ///
    /// 22 base-62 digits of a hash of the stack, the resource and the properties that a queue cannot change; not of the
    /// request, whose ID CloudFormation reuses. `identity` is `None` if the properties cannot be read.
    pub fn derive(stack_id: &str, logical_id: &str, identity: Option<&Identity>) -> Self {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut text = format!("{stack_id}\n{logical_id}\n");
        for word in identity.map(|identity| identity.words()).unwrap_or_default() {
            text.push_str(word);
            text.push('\n');
        }
        let hash = Sha256::digest(text.as_bytes());
        let mut number = u128::from_be_bytes(hash[..16].try_into().expect("a SHA-256 has 32 bytes"));
        let mut id = String::with_capacity(22);
        for _ in 0..22 {
            id.push(char::from(DIGITS[usize::try_from(number % 62).expect("less than 62")]));
            number /= 62;
        }
        Self(id)
    }

    /// Whether this is a default ID of a resource of a stack. Several stacks can name any other ID.
    pub fn is_derived(&self, stack_id: &str, logical_id: &str) -> bool {
        (0..8).any(|flags| {
            let is = |flag: u8| flags & flag != 0;
            let identity = Identity { arm64: is(1), fargate_head: is(2), scheduling_policy: is(4) };
            Self::derive(stack_id, logical_id, Some(&identity)) == *self
        })
    }

    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ForgeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The roles of a forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleKind {
    /// The service role of Batch.
    Service,
    /// The role of instances.
    Instance,
    /// The ECS task execution role.
    Execution,
    /// The role of the spot fleet.
    Fleet,
    /// The role of head jobs on Fargate.
    Fargate,
}

impl RoleKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Service, Self::Instance, Self::Execution, Self::Fleet, Self::Fargate];

    fn suffix(self) -> &'static str {
        match self {
            Self::Service => "ServiceRole",
            Self::Instance => "InstanceRole",
            Self::Execution => "ExecutionRole",
            Self::Fleet => "FleetRole",
            Self::Fargate => "FargateRole",
        }
    }

    /// The inline policy of a role, made of one or more documents of `policies/`. It is one policy, so that one call changes all
    /// rights of a role. Forge calls that of the instances and of the head job `nextflow-policy` too. The fleet's role has none.
    pub fn inline_policy(self) -> &'static str {
        match self {
            Self::Instance | Self::Fargate => "nextflow-policy",
            Self::Execution => "secrets-policy-execution-role",
            Self::Service | Self::Fleet => "kms-policy",
        }
    }

    /// Whether the role has its inline policy in every forge.
    pub fn always_has_inline_policy(self) -> bool {
        matches!(self, Self::Instance | Self::Fargate)
    }
}

/// The pools of compute environments of a forge, each a sequence of generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pool {
    /// Tasks.
    Work,
    /// Nextflow's head job.
    Head,
    /// Tasks when there is no spot capacity.
    OnDemand,
    /// DRAGEN.
    Dragen,
}

impl Pool {
    /// The pool in names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Head => "head",
            Self::OnDemand => "ondemand",
            Self::Dragen => "dragen",
        }
    }
}

/// The names of one forge's resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    prefix: String,
    id: ForgeId,
}

impl Names {
    /// The names of forge `id`.
    pub fn new(prefix: &str, id: ForgeId) -> Self {
        Self { prefix: prefix.to_owned(), id }
    }

    /// The forge.
    pub fn id(&self) -> &ForgeId {
        &self.id
    }

    /// The prefix of all names.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether a name is that of a resource of a forge of the same deployment.
    pub fn is_of_deployment(&self, name: &str) -> bool {
        name.strip_prefix(&self.prefix).is_some_and(|rest| rest.starts_with('-'))
    }

    /// Whether an ARN is a session of the function's own role, as AWS says who made something. `template.yaml` gives the
    /// role this name. It stays when the function is deployed anew, and nobody else can have it in an account.
    pub fn is_of_function(&self, arn: &str, region: &str) -> bool {
        let role = arn.split_once(":assumed-role/").and_then(|(_, session)| session.split('/').next());
        role == Some(&format!("{}-handler-{region}", self.prefix))
    }

    /// The prefix of the names of this forge's resources, and of no other's.
    pub fn family(&self) -> String {
        format!("{}-{}-", self.prefix, self.id)
    }

    /// A role.
    pub fn role(&self, kind: RoleKind) -> String {
        format!("{}{}", self.family(), kind.suffix())
    }

    /// The instance profile, which has the name of the role inside it.
    pub fn instance_profile(&self) -> String {
        self.role(RoleKind::Instance)
    }

    /// A launch template.
    pub fn launch_template(&self, hash: &str) -> String {
        format!("{}{hash}", self.family())
    }

    /// One generation of a pool of compute environments.
    pub fn environment(&self, pool: Pool, hash: &str) -> String {
        format!("{}{}-{hash}", self.family(), pool.as_str())
    }

    /// A job queue; its name never changes.
    pub fn queue(&self, pool: Pool) -> String {
        format!("{}{}", self.family(), pool.as_str())
    }

    /// A file system, by its tag `Name`.
    pub fn file_system(&self) -> String {
        format!("{}-{}", self.prefix, self.id)
    }

    /// The log group that instances write to.
    pub fn log_group(&self) -> String {
        format!("/tower-forge/{}", self.id)
    }
}

/// The 8 hexadecimal digits that identify a generation.
pub fn hash8(content: &serde_json::Value) -> String {
    let hash = Sha256::digest(content.to_string().as_bytes());
    format!("{:08x}", u32::from_be_bytes(hash[..4].try_into().expect("a SHA-256 has 32 bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: &str =
        "arn:aws:cloudformation:eu-west-1:123456789012:stack/genomics/1f0b2c30-0000-11f0-8000-0123456789ab";

    fn identity(arm64: bool) -> Identity {
        Identity { arm64, fargate_head: false, scheduling_policy: false }
    }

    /// Frozen: changing a value here would replace every existing forge.
    #[test]
    fn ids_never_change() {
        let plain = ForgeId::derive(STACK, "Genomics", Some(&identity(false)));
        expect_test::expect!["I5wFerrBXIcUUGctQWUpP6"].assert_eq(plain.as_str());
        expect_test::expect!["I5wFerrBXIcUUGctQWUpP6"]
            .assert_eq(ForgeId::derive(STACK, "Genomics", None).as_str());
        expect_test::expect!["1H3PQEUEW3XmbN2uoFkYd5"]
            .assert_eq(ForgeId::derive(STACK, "Genomics", Some(&identity(true))).as_str());
    }

    #[test]
    fn an_id_is_derived_or_named() {
        let derived = |id: &str| ForgeId::parse(id).unwrap().is_derived(STACK, "Genomics");
        assert!(derived("I5wFerrBXIcUUGctQWUpP6") && derived("1H3PQEUEW3XmbN2uoFkYd5"));
        assert!(!derived("Lab7"));
        assert!(!ForgeId::derive(STACK, "Other", None).is_derived(STACK, "Genomics"));
    }

    #[test]
    fn an_id_that_cloudformation_made_up_is_none() {
        assert_eq!(ForgeId::parse("genomics-Genomics-1ABCDEF"), None);
        assert_eq!(ForgeId::parse(""), None);
        assert_eq!(ForgeId::parse("2CeQImw0JjWrMM0tRDGRZ7x"), None);
        assert!(ForgeId::parse("2CeQImw0JjWrMM0tRDGRZ7").is_some());
    }

    #[test]
    fn the_function_is_known_by_its_role() {
        let names = Names::new(PREFIX, ForgeId::parse("Cafe1").unwrap());
        let is = |rest: &str| names.is_of_function(&format!("arn:aws:{rest}"), "eu-west-1");
        assert!(is("sts::123456789012:assumed-role/TowerForge-handler-eu-west-1/TowerForge-handler"));
        for other in [
            "sts::123456789012:assumed-role/Admin/TowerForge-handler",
            "sts::123456789012:assumed-role/TowerForge-handler-eu-west-12/x",
            "sts::123456789012:assumed-role/TowerForge-handler-eu-central-1/x",
            "iam::123456789012:user/TowerForge-handler-eu-west-1",
            "iam::123456789012:root",
        ] {
            assert!(!is(other), "{other}");
        }
        assert!(format!("{}-handler-ap-southeast-2", "A".repeat(20)).len() <= 64);
    }

    #[test]
    fn the_longest_role_name_is_legal() {
        let names = Names::new(PREFIX, ForgeId::parse("2CeQImw0JjWrMM0tRDGRZ7").unwrap());
        assert_eq!(names.role(RoleKind::Execution), "TowerForge-2CeQImw0JjWrMM0tRDGRZ7-ExecutionRole");
        assert!(names.role(RoleKind::Execution).len() <= 64);
    }
}
