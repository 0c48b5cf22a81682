//! The network of a forge: VPC, subnets and security groups, and its checks. PURE.
//!
//! The network is used when resources are created, and never compared afterwards.

use crate::image::Image;
use crate::properties::Properties;
use std::collections::BTreeMap;

/// The network of a forge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The VPC.
    pub vpc: String,
    /// Subnets with the IDs of their availability zones, sorted by ID.
    pub zones: Vec<(String, String)>,
    /// The security groups.
    pub security_groups: Vec<String>,
    /// The mount name of an existing Lustre file system.
    pub lustre_mount_name: Option<String>,
    /// The customer managed key that encrypts the instances' volumes by default: an ID, an alias or an ARN.
    pub default_key: Option<String>,
    /// The images that the stack names.
    pub images: Vec<Image>,
}

impl Network {
    /// The subnets.
    pub fn subnets(&self) -> Vec<String> {
        self.zones.iter().map(|(subnet, _)| subnet.clone()).collect()
    }

    /// One subnet per availability zone: EFS allows one mount target in each.
    pub fn subnet_per_zone(&self) -> BTreeMap<String, String> {
        self.zones.iter().rev().map(|(subnet, zone)| (zone.clone(), subnet.clone())).collect()
    }
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Its ID.
    pub id: String,
    /// Its VPC.
    pub vpc: String,
    /// The ID of its availability zone.
    pub zone: String,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroup {
    /// Its ID.
    pub id: String,
    /// Its name; every VPC has one named `default`.
    pub name: String,
    /// Its VPC.
    pub vpc: String,
    /// Its inbound rules.
    pub rules: Vec<Rule>,
}

/// An inbound rule of a security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The protocol, `-1` for all.
    pub protocol: String,
    /// The first port.
    pub from: Option<i32>,
    /// The last port.
    pub to: Option<i32>,
    /// The source groups.
    pub groups: Vec<String>,
    /// Whether it also has source addresses. They may include the instances; this is not checked.
    pub has_addresses: bool,
}

/// Reachability of the EFS file system from the instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EfsReach {
    /// It will be created with the groups of the instances.
    New,
    /// It exists and has mount targets with these groups.
    Reached(Vec<SecurityGroup>),
    /// Instances cannot mount the file system that the stack named; the reason.
    Unreachable(String),
}

/// The ports of a protocol that must be open among the instances and a file system.
struct Ports {
    property: &'static str,
    purpose: &'static str,
    ranges: &'static [(i32, i32)],
}

const NFS: Ports = Ports { property: "EFS", purpose: "NFS", ranges: &[(2049, 2049)] };
const LUSTRE: Ports =
    Ports { property: "FSx for Lustre", purpose: "Lustre", ranges: &[(988, 988), (1018, 1023)] };

/// All faults of the network of a forge.
pub fn faults(
    properties: &Properties,
    vpc: &str,
    subnets: &[Subnet],
    groups: &[SecurityGroup],
    efs: &EfsReach,
) -> Vec<String> {
    let mut faults = Vec::new();
    for given in &properties.subnets {
        match subnets.iter().find(|subnet| subnet.id == *given) {
            None => faults
                .push(format!("Subnets: given {given}, which does not exist in this account and region")),
            Some(subnet) if subnet.vpc != vpc => {
                faults.push(format!("Subnets: given {given} of {}, allowed: subnets of {vpc}", subnet.vpc));
            }
            Some(_) => {}
        }
    }
    if properties.subnets.is_empty() && subnets.is_empty() {
        faults.push(format!("Subnets: missing, and {vpc} has none; set Subnets of another VPC"));
    }
    for given in &properties.security_groups {
        match groups.iter().find(|group| group.id == *given) {
            None => {
                faults.push(format!(
                    "SecurityGroups: given {given}, which does not exist in this account and region"
                ));
            }
            Some(group) if group.vpc != vpc => {
                let of = &group.vpc;
                faults.push(format!("SecurityGroups: given {given} of {of}, allowed: groups of {vpc}"));
            }
            Some(_) => {}
        }
    }
    if !faults.is_empty() {
        return faults;
    }
    if properties.has_efs() {
        match efs {
            EfsReach::New => faults.extend(missing_rules(groups, Some(groups), &NFS)),
            EfsReach::Reached(targets) => faults.extend(missing_rules(targets, Some(groups), &NFS)),
            EfsReach::Unreachable(why) => faults.push(format!("EfsId: given {why}")),
        }
    }
    if properties.has_fsx() {
        // Lustre calls its clients back. The groups of a file system that the stack brought are not known.
        let from = if properties.fsx_size.is_some() { Some(groups) } else { None };
        faults.extend(missing_rules(groups, from, &LUSTRE));
    }
    faults
}

/// The missing inbound rules for the given source groups, or for any source if they are unknown.
fn missing_rules(groups: &[SecurityGroup], from: Option<&[SecurityGroup]>, ports: &Ports) -> Vec<String> {
    let ids = |groups: &[SecurityGroup]| groups.iter().map(|group| group.id.clone()).collect::<Vec<_>>();
    let sources = from.map(ids);
    let let_in = |group: &str| sources.as_ref().is_none_or(|sources| sources.iter().any(|id| id == group));
    let missing = ports.ranges.iter().filter(|(low, high)| {
        let opens = |rule: &Rule| {
            let within = rule.protocol == "tcp"
                && rule.from.is_some_and(|from| from <= *low)
                && rule.to.is_some_and(|to| to >= *high);
            let group = rule.groups.iter().any(|group| let_in(group));
            (rule.protocol == "-1" || within) && (group || rule.has_addresses)
        };
        !groups.iter().flat_map(|group| &group.rules).any(opens)
    });
    let Ports { property, purpose, .. } = ports;
    let here = ids(groups).join(", ");
    let (whom, source) = match &sources {
        Some(sources) if sources.join(", ") == here => ("itself".to_owned(), "the group itself".to_owned()),
        Some(sources) => (sources.join(", "), sources.join(", ")),
        None => ("the file system".to_owned(), "the file system's group".to_owned()),
    };
    missing
        .map(|(low, high)| {
            let range = if low == high { format!("port {low}") } else { format!("ports {low}-{high}") };
            format!(
                "SecurityGroups: {here} does not allow inbound TCP {range} from {whom}, which {property} needs for {purpose}; \
                 add an inbound rule for TCP {range} with {source} as source"
            )
        })
        .collect()
}
