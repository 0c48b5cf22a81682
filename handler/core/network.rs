//! The network of a forge: VPC, subnets and security groups, and its checks. PURE.
//!
//! The network is used when resources are created, and never compared afterwards.

use crate::image::Image;
use crate::properties::Properties;
use std::collections::BTreeMap;

/// The number of subnets that Batch takes for Fargate (Batch API, `ComputeResource`).
pub const FARGATE_SUBNETS: usize = 16;

/// The number of security groups that a Fargate task can have (ECS API, `AwsVpcConfiguration`).
pub const FARGATE_SECURITY_GROUPS: usize = 5;

/// The network of a forge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The VPC.
    pub vpc: String,
    /// Whether it is the default VPC of the region.
    pub is_default_vpc: bool,
    /// The group among the security groups that is the VPC's default group.
    pub default_group: Option<String>,
    /// The security groups that stacks created, with the stacks.
    pub group_stacks: BTreeMap<String, String>,
    /// Subnets with the IDs of their availability zones, sorted by ID.
    pub zones: Vec<(String, String)>,
    /// The security groups.
    pub security_groups: Vec<String>,
    /// The subnet of a new Lustre file system.
    pub fsx_subnet: Option<String>,
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

    /// The subnets for Fargate: if there are more than it takes, some of each zone.
    pub fn fargate_subnets(&self) -> Vec<String> {
        let mut in_zone: BTreeMap<&String, usize> = BTreeMap::new();
        let mut ranked: Vec<(usize, &String)> = Vec::new();
        for (subnet, zone) in &self.zones {
            let rank = in_zone.entry(zone).or_default();
            ranked.push((*rank, subnet));
            *rank += 1;
        }
        ranked.sort();
        let mut subnets: Vec<String> =
            ranked.into_iter().take(FARGATE_SUBNETS).map(|(_, subnet)| subnet.clone()).collect();
        subnets.sort();
        subnets
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
    /// The name of its zone, such as `eu-west-1a`.
    pub zone_name: String,
    /// Whether it is the default subnet of its zone.
    pub is_default: bool,
    /// Whether it is in an Availability Zone of the region, and not in a Local or Wavelength Zone or on an Outpost.
    /// Fargate and EFS are only there, and FSx with few exceptions.
    pub is_regional: bool,
}

/// The default VPC, by its subnets: only it has subnets that are the default of their zone. They may have been deleted.
pub fn default_vpc(subnets: &[Subnet]) -> Option<String> {
    subnets.iter().find(|subnet| subnet.is_default).map(|subnet| subnet.vpc.clone())
}

/// Whether a zone is an Availability Zone: its name is the region's with a letter. The name of a Local or Wavelength Zone
/// has a location too, such as `us-west-2-lax-1a` (EC2 User Guide, "Local Zones").
pub fn is_availability_zone(name: &str, region: &str) -> bool {
    name.strip_prefix(region).is_some_and(|rest| !rest.contains('-'))
}

/// The subnets of a forge among those that were found: the ones that the stack names, or else the regional ones of the VPC.
pub fn used(properties: &Properties, mut found: Vec<Subnet>) -> Vec<Subnet> {
    found.retain(|subnet| !properties.subnets.is_empty() || subnet.is_regional);
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found
}

/// The subnet of a new Lustre file system: the one that the stack names, or else the first regional one.
pub fn fsx_subnet(properties: &Properties, subnets: &[Subnet]) -> Option<String> {
    let first = subnets.iter().find(|subnet| subnet.is_regional).map(|subnet| subnet.id.clone());
    properties.fsx_subnet.clone().or(first)
}

/// The faults of subnets in zones where a service of the forge is not available. `fsx` is the subnet that the stack names
/// for FSx, if it exists.
pub fn zone_faults(
    properties: &Properties,
    vpc: &str,
    subnets: &[Subnet],
    fsx: Option<&Subnet>,
) -> Vec<String> {
    let services = [("EFS", properties.has_efs()), ("Fargate", properties.fargate_head_enabled)];
    let services: Vec<&str> =
        services.into_iter().filter(|(_, is_used)| *is_used).map(|(name, _)| name).collect();
    let mut faults = Vec::new();
    for subnet in subnets.iter().filter(|subnet| !subnet.is_regional && !services.is_empty()) {
        faults.push(format!(
            "Subnets: given {} in {}, allowed: {REGIONAL}, because {} is not available there",
            subnet.id,
            subnet.zone_name,
            services.join(" or ")
        ));
    }
    match (&properties.fsx_subnet, fsx) {
        (Some(given), None) => {
            faults.push(format!("FsxSubnet: given {given}, which does not exist in this account and region"));
        }
        (Some(given), Some(subnet)) if subnet.vpc != vpc => {
            faults.push(format!("FsxSubnet: given {given} of {}, allowed: a subnet of {vpc}", subnet.vpc));
        }
        (Some(given), Some(subnet)) if !subnet.is_regional => faults.push(format!(
            "FsxSubnet: given {given} in {}, allowed: {REGIONAL}, because FSx is not available there",
            subnet.zone_name
        )),
        (None, _)
            if properties.fsx_size.is_some()
                && !subnets.is_empty()
                && fsx_subnet(properties, subnets).is_none() =>
        {
            faults.push(format!(
                "FsxSubnet: missing, and no subnet of Subnets is in an Availability Zone; set it to one of {REGIONAL} of {vpc}"
            ));
        }
        _ => {}
    }
    faults
}

/// The subnets that every service can use.
const REGIONAL: &str = "subnets in Availability Zones, not in Local or Wavelength Zones or on Outposts";

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroup {
    /// Its ID.
    pub id: String,
    /// Its name; every VPC has one named `default`.
    pub name: String,
    /// Its VPC.
    pub vpc: String,
    /// The stack that created it, by a tag that only CloudFormation can set.
    pub stack: Option<String>,
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
        faults.push(format!("Subnets: missing, and {vpc} has none in an Availability Zone; set Subnets"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::tests::properties;
    use serde_json::{Value, json};

    fn subnet(id: &str, zone_name: &str) -> Subnet {
        Subnet {
            id: id.to_owned(),
            vpc: "vpc-1".to_owned(),
            zone: format!("id of {zone_name}"),
            zone_name: zone_name.to_owned(),
            is_default: false,
            is_regional: is_availability_zone(zone_name, "us-west-2"),
        }
    }

    #[test]
    fn the_default_vpc_has_the_default_subnets() {
        let default =
            Subnet { vpc: "vpc-2".to_owned(), is_default: true, ..subnet("subnet-2", "us-west-2a") };
        assert_eq!(default_vpc(&[subnet("subnet-1", "us-west-2a"), default]).as_deref(), Some("vpc-2"));
        assert_eq!(default_vpc(&[subnet("subnet-1", "us-west-2a")]), None);
    }

    #[test]
    fn a_zone_with_a_location_in_its_name_is_no_availability_zone() {
        let is = is_availability_zone;
        assert!(is("us-west-2d", "us-west-2") && is("us-gov-west-1a", "us-gov-west-1"));
        for name in ["us-west-2-lax-1a", "us-west-2-wl1-las-wlz-1", "us-east-1a", ""] {
            assert!(!is(name, "us-west-2"), "{name}");
        }
    }

    #[test]
    fn subnets_that_are_looked_up_are_in_availability_zones_and_named_ones_are_used_as_they_are() {
        let found =
            || vec![subnet("subnet-00000002", "us-west-2-lax-1a"), subnet("subnet-00000001", "us-west-2a")];
        let ids = |more: Value| {
            used(&properties(more), found()).into_iter().map(|subnet| subnet.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(json!({})), ["subnet-00000001"]);
        let named = json!({"Subnets": "subnet-00000002,subnet-00000001"});
        assert_eq!(ids(named), ["subnet-00000001", "subnet-00000002"]);
    }

    #[test]
    fn services_that_are_in_availability_zones_only_are_refused_elsewhere() {
        let edge = [subnet("subnet-00000002", "us-west-2-lax-1a")];
        let of = |more: Value, fsx: Option<&Subnet>| {
            let mut all = json!({"Subnets": "subnet-00000002"});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            zone_faults(&properties(all), "vpc-1", &edge, fsx).join("; ")
        };
        assert_eq!(of(json!({}), None), "", "instances are there");
        let says =
            "Subnets: given subnet-00000002 in us-west-2-lax-1a, allowed: subnets in Availability Zones";
        assert!(of(json!({"EfsCreate": true}), None).starts_with(says));
        let fargate = json!({"FargateHeadEnabled": true, "WaveEnabled": true, "Fusion2Enabled": true});
        assert!(of(fargate, None).ends_with("because Fargate is not available there"));
        assert!(of(json!({"FsxSize": 1200}), None).starts_with("FsxSubnet: missing"));
        let named = |id: &str| json!({"FsxSize": 1200, "FsxSubnet": id});
        assert!(of(named("subnet-00000009"), None).contains("which does not exist"));
        assert!(of(named("subnet-00000002"), Some(&edge[0])).contains("in us-west-2-lax-1a, allowed: "));
        let regional = subnet("subnet-00000001", "us-west-2a");
        assert_eq!(of(named("subnet-00000001"), Some(&regional)), "");
        let other = Subnet { vpc: "vpc-2".to_owned(), ..regional };
        assert!(of(named("subnet-00000001"), Some(&other)).ends_with("of vpc-2, allowed: a subnet of vpc-1"));
    }

    #[test]
    fn fargate_gets_subnets_of_every_zone() {
        let zones = (0..20)
            .map(|number| (format!("subnet-{number:02}"), if number < 18 { "a" } else { "b" }.to_owned()));
        let network = Network { zones: zones.collect(), ..Network::default() };
        let chosen = network.fargate_subnets();
        assert_eq!(chosen.len(), FARGATE_SUBNETS);
        assert!(
            chosen.contains(&"subnet-18".to_owned()) && chosen.contains(&"subnet-19".to_owned()),
            "{chosen:?}"
        );
    }
}
