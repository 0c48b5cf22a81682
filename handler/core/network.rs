//! Where a forge is put: the VPC, its subnets and security groups, looked up where the stack names none and
//! checked where it does.
//!
//! What is looked up is used when something is made and never compared afterwards.

use crate::aws::Aws;
use crate::error::{Context as _, Error, Result};
use crate::name::Names;
use crate::properties::Properties;
use crate::resources::efs;
use aws_sdk_ec2::types::{Filter, IpPermission, SecurityGroup};
use std::collections::BTreeMap;

/// Where a forge is put.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The VPC.
    pub vpc: String,
    /// Subnets with the IDs of their availability zones, sorted by ID.
    pub zones: Vec<(String, String)>,
    /// The security groups.
    pub security_groups: Vec<String>,
    /// What clients mount of a Lustre file system that the stack brought.
    pub lustre_mount_name: Option<String>,
}

impl Surroundings {
    /// The subnets.
    pub fn subnets(&self) -> Vec<String> {
        self.zones.iter().map(|(subnet, _)| subnet.clone()).collect()
    }

    /// One subnet for each availability zone: EFS takes one mount target in each.
    pub fn subnet_per_zone(&self) -> BTreeMap<String, String> {
        self.zones.iter().rev().map(|(subnet, zone)| (zone.clone(), subnet.clone())).collect()
    }
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

/// Looks up and checks where a forge is put.
///
/// # Errors
///
/// [`Error::Invalid`] with all faults: a subnet or group that is not in the VPC, a rule that is missing.
pub async fn look(aws: &Aws, properties: &Properties, names: &Names) -> Result<Surroundings> {
    let vpc = vpc(aws, properties).await?;
    let in_vpc = std::slice::from_ref(&vpc);
    let subnets = async {
        match properties.subnets.as_slice() {
            [] => subnets(aws, "vpc-id", in_vpc).await,
            ids => subnets(aws, "subnet-id", ids).await,
        }
    };
    let groups = async {
        match properties.security_groups.as_slice() {
            [] => {
                let groups = describe_groups(aws, "vpc-id", in_vpc).await?;
                Ok(groups.into_iter().filter(|group| group.group_name() == Some("default")).collect())
            }
            ids => describe_groups(aws, "group-id", ids).await,
        }
    };
    let (subnets, groups) = futures_util::future::try_join(subnets, groups).await?;
    let lustre_mount_name = match &properties.fsx_name {
        Some(dns_name) => Some(mount_name(aws, dns_name).await?),
        None => None,
    };
    let efs = if properties.has_efs() { efs_groups(aws, properties, names, &vpc).await? } else { Efs::New };
    let faults = faults(properties, &vpc, &subnets, &groups, &efs);
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let mut zones: Vec<_> = subnets.into_iter().map(|subnet| (subnet.id, subnet.zone)).collect();
    zones.sort();
    let security_groups = groups.into_iter().filter_map(|group| group.group_id).collect();
    Ok(Surroundings { vpc, zones, security_groups, lustre_mount_name })
}

async fn vpc(aws: &Aws, properties: &Properties) -> Result<String> {
    if let Some(vpc) = &properties.vpc_id {
        return Ok(vpc.clone());
    }
    if !properties.subnets.is_empty() {
        let first = subnets(aws, "subnet-id", &properties.subnets[..1]).await?;
        return first.into_iter().next().map(|subnet| subnet.vpc).ok_or_else(|| {
            let given = &properties.subnets[0];
            Error::Invalid(vec![format!(
                "Subnets: given {given}, allowed: subnets of this account and region"
            )])
        });
    }
    let filter = Filter::builder().name("is-default").values("true").build();
    let found = aws.ec2.describe_vpcs().filters(filter).send().await.on("ec2:DescribeVpcs", "default VPC")?;
    found.vpcs().first().and_then(|vpc| vpc.vpc_id()).map(str::to_owned).ok_or_else(|| {
        let fault = "VpcId: not given, and this region has no default VPC; name a VPC, or Subnets";
        Error::Invalid(vec![fault.to_owned()])
    })
}

struct Subnet {
    id: String,
    vpc: String,
    zone: String,
}

async fn subnets(aws: &Aws, by: &str, values: &[String]) -> Result<Vec<Subnet>> {
    let filter = Filter::builder().name(by).set_values(Some(values.to_vec())).build();
    let pages = aws.ec2.describe_subnets().filters(filter).into_paginator().items().send();
    let found = pages.try_collect().await.on("ec2:DescribeSubnets", &values.join(","))?;
    let subnet = |subnet: aws_sdk_ec2::types::Subnet| {
        let zone = subnet.availability_zone_id.or(subnet.availability_zone).unwrap_or_default();
        Some(Subnet { id: subnet.subnet_id?, vpc: subnet.vpc_id.unwrap_or_default(), zone })
    };
    Ok(found.into_iter().filter_map(subnet).collect())
}

async fn describe_groups(aws: &Aws, by: &str, values: &[String]) -> Result<Vec<SecurityGroup>> {
    let filter = Filter::builder().name(by).set_values(Some(values.to_vec())).build();
    let pages = aws.ec2.describe_security_groups().filters(filter).into_paginator().items().send();
    pages.try_collect().await.on("ec2:DescribeSecurityGroups", &values.join(","))
}

async fn mount_name(aws: &Aws, dns_name: &str) -> Result<String> {
    let all = crate::resources::fsx::all(aws, dns_name).await?;
    let found = all.into_iter().find(|system| system.dns_name() == Some(dns_name));
    let name = found.and_then(|system| system.lustre_configuration?.mount_name);
    name.ok_or_else(|| {
        let allowed = "the DNS name of an FSx for Lustre file system of this account and region";
        Error::Invalid(vec![format!("FsxName: given {dns_name}, allowed: {allowed}")])
    })
}

/// What is known of the EFS file system beforehand.
enum Efs {
    /// It will be made, with the groups of the instances.
    New,
    /// It exists and has mount targets with these groups.
    Reached(Vec<SecurityGroup>),
    /// The stack named it, and instances cannot mount it; why.
    Unreachable(String),
}

/// The groups of the mount targets of a file system, made or brought.
async fn efs_groups(aws: &Aws, properties: &Properties, names: &Names, vpc: &str) -> Result<Efs> {
    let id = match &properties.efs_id {
        Some(id) => Some(id.clone()),
        None => efs::id(aws, names).await?,
    };
    let Some(id) = id else { return Ok(Efs::New) };
    let found = match efs::groups(aws, &id, vpc).await {
        Err(err) if err.is_not_found() => None,
        found => Some(found?),
    };
    match (found, properties.efs_create) {
        (Some(ids), _) if !ids.is_empty() => Ok(Efs::Reached(describe_groups(aws, "group-id", &ids).await?)),
        // Its mount targets are still to be made.
        (_, true) => Ok(Efs::New),
        (Some(_), false) => Ok(Efs::Unreachable(format!("{id}, which has no mount target in {vpc}"))),
        (None, false) => {
            Ok(Efs::Unreachable(format!("{id}, which does not exist in this account and region")))
        }
    }
}

/// Everything that is wrong with where a forge shall be put.
fn faults(
    properties: &Properties,
    vpc: &str,
    subnets: &[Subnet],
    groups: &[SecurityGroup],
    efs: &Efs,
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
        faults.push(format!("Subnets: not given, and {vpc} has none; name subnets of another VPC"));
    }
    for given in &properties.security_groups {
        match groups.iter().find(|group| group.group_id() == Some(given)) {
            None => {
                faults.push(format!(
                    "SecurityGroups: given {given}, which does not exist in this account and region"
                ));
            }
            Some(group) if group.vpc_id() != Some(vpc) => {
                let of = group.vpc_id().unwrap_or("no VPC");
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
            Efs::New => faults.extend(missing_rules(groups, Some(groups), &NFS)),
            Efs::Reached(targets) => faults.extend(missing_rules(targets, Some(groups), &NFS)),
            Efs::Unreachable(why) => faults.push(format!("EfsId: given {why}")),
        }
    }
    if properties.has_fsx() {
        // Lustre calls its clients back. The groups of a file system that the stack brought are not known.
        let from = if properties.fsx_size.is_some() { Some(groups) } else { None };
        faults.extend(missing_rules(groups, from, &LUSTRE));
    }
    faults
}

/// The rules that groups lack to let others in, or, where these are not known, anybody.
fn missing_rules(groups: &[SecurityGroup], from: Option<&[SecurityGroup]>, ports: &Ports) -> Vec<String> {
    let ids = |groups: &[SecurityGroup]| {
        groups.iter().filter_map(SecurityGroup::group_id).map(str::to_owned).collect::<Vec<_>>()
    };
    let sources = from.map(ids);
    let let_in = |group: &str| sources.as_ref().is_none_or(|sources| sources.iter().any(|id| id == group));
    let missing = ports.ranges.iter().filter(|(low, high)| {
        let opens = |rule: &IpPermission| {
            let protocol = rule.ip_protocol().unwrap_or_default();
            let within = protocol == "tcp"
                && rule.from_port().is_some_and(|from| from <= *low)
                && rule.to_port().is_some_and(|to| to >= *high);
            let pairs = rule.user_id_group_pairs();
            let group = pairs.iter().any(|pair| pair.group_id().is_some_and(let_in));
            // Whether the instances' addresses are among them is not ours to find out.
            let addresses = !(rule.ip_ranges().is_empty()
                && rule.ipv6_ranges().is_empty()
                && rule.prefix_list_ids().is_empty());
            (protocol == "-1" || within) && (group || addresses)
        };
        !groups.iter().flat_map(SecurityGroup::ip_permissions).any(opens)
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
                "SecurityGroups: {here} lets no TCP {range} in from {whom}, which {property} needs for {purpose}; \
                 add an inbound rule for TCP {range} with {source} as source"
            )
        })
        .collect()
}
