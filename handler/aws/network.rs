//! Where a forge is put: looked up where the stack names nothing, and checked by the core where it does.

use super::clients::Services;
use super::error::Context as _;
use super::resources::{efs, fsx};
use aws_sdk_ec2::types::{Filter, IpPermission};
use tower_forge_core::error::{Error, Result};
use tower_forge_core::image::{self, Image};
use tower_forge_core::name::Names;
use tower_forge_core::network::{self, EfsReach, Network, Rule, SecurityGroup, Subnet, faults};
use tower_forge_core::properties::Properties;

/// Looks up where a forge is put; an error names all faults: a subnet or group that is not in the VPC, a missing rule.
pub(crate) async fn look_up(
    services: &Services,
    region: &str,
    properties: &Properties,
    names: &Names,
) -> Result<Network> {
    let groups = async {
        match properties.security_groups.as_slice() {
            [] => security_groups(services, "group-name", &["default".to_owned()]).await,
            ids => security_groups(services, "group-id", ids).await,
        }
    };
    let place = place(services, region, properties);
    let (place, mut groups, default_key) =
        futures_util::future::try_join3(place, groups, default_key(services, properties)).await?;
    let Place { vpc, is_default: is_default_vpc, subnets } = place;
    if properties.security_groups.is_empty() {
        groups.retain(|group| group.vpc == vpc);
    }
    let subnets = network::used(properties, subnets);
    let fsx = match &properties.fsx_subnet {
        Some(id) => self::subnets(services, region, Some(("subnet-id", std::slice::from_ref(id)))).await?,
        None => Vec::new(),
    };
    let lustre_mount_name = match &properties.fsx_name {
        Some(dns_name) => Some(mount_name(services, dns_name).await?),
        None => None,
    };
    let reach = if properties.has_efs() {
        efs_reach(services, properties, names, &vpc).await?
    } else {
        EfsReach::New
    };
    let images = images(services, properties).await?;
    let mut faults = faults(properties, &vpc, &subnets, &groups, &reach);
    faults.extend(network::zone_faults(properties, &vpc, &subnets, fsx.first()));
    faults.extend(image::faults(properties, &images));
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let fsx_subnet = network::fsx_subnet(properties, &subnets);
    let zones = subnets.into_iter().map(|subnet| (subnet.id, subnet.zone)).collect();
    let default_group = groups.iter().find(|group| group.name == "default").map(|group| group.id.clone());
    let of_stack = |group: &SecurityGroup| Some((group.id.clone(), group.stack.clone()?));
    let group_stacks = groups.iter().filter_map(of_stack).collect();
    let security_groups = groups.into_iter().map(|group| group.id).collect();
    Ok(Network {
        vpc,
        is_default_vpc,
        default_group,
        group_stacks,
        zones,
        security_groups,
        fsx_subnet,
        lustre_mount_name,
        default_key,
        images,
    })
}

/// The key of the customer that EBS takes for the volumes of instances if a stack names none. Without rights to it no
/// instance starts, and nothing says so.
async fn default_key(services: &Services, properties: &Properties) -> Result<Option<String>> {
    const MANAGED_BY_AWS: &str = "alias/aws/ebs";
    if properties.ebs_kms_key_id.is_some() {
        return Ok(None);
    }
    let ec2 = &services.ec2;
    if !properties.ebs_encrypted {
        let default = ec2.get_ebs_encryption_by_default().send().await;
        let default = default.on("ec2:GetEbsEncryptionByDefault", "encryption by default")?;
        if default.ebs_encryption_by_default() != Some(true) {
            return Ok(None);
        }
    }
    let key = ec2.get_ebs_default_kms_key_id().send().await.on("ec2:GetEbsDefaultKmsKeyId", "default key")?;
    Ok(key.kms_key_id.filter(|key| !key.ends_with(MANAGED_BY_AWS)))
}

/// The VPC and its subnets, or those that the stack names.
struct Place {
    vpc: String,
    /// Whether it is the default VPC.
    is_default: bool,
    subnets: Vec<Subnet>,
}

async fn place(services: &Services, region: &str, properties: &Properties) -> Result<Place> {
    let (named, given) = (&properties.vpc_id, properties.subnets.as_slice());
    if let (None, []) = (named, given) {
        return default_place(services, region).await;
    }
    let subnets = async {
        match named {
            Some(vpc) if given.is_empty() => {
                subnets(services, region, Some(("vpc-id", std::slice::from_ref(vpc)))).await
            }
            _ => subnets(services, region, Some(("subnet-id", given))).await,
        }
    };
    let (default, subnets) = futures_util::future::try_join(default_vpc(services), subnets).await?;
    let of_first = || {
        let first = subnets.iter().find(|subnet| given.first() == Some(&subnet.id));
        first.map(|subnet| subnet.vpc.clone())
    };
    let vpc = named.clone().or_else(of_first).ok_or_else(|| {
        let given = given.first().map_or("", String::as_str);
        Error::Invalid(vec![format!("Subnets: given {given}, allowed: subnets of this account and region")])
    })?;
    Ok(Place { is_default: default.as_ref() == Some(&vpc), vpc, subnets })
}

/// The default VPC and its subnets, as a rule with one call.
async fn default_place(services: &Services, region: &str) -> Result<Place> {
    let mut all = subnets(services, region, None).await?;
    let vpc = match network::default_vpc(&all) {
        Some(vpc) => Some(vpc),
        None => default_vpc(services).await?,
    };
    let vpc = vpc.ok_or_else(|| {
        let fault = "VpcId: missing, and this region has no default VPC; set VpcId or Subnets";
        Error::Invalid(vec![fault.to_owned()])
    })?;
    all.retain(|subnet| subnet.vpc == vpc);
    Ok(Place { vpc, is_default: true, subnets: all })
}

async fn default_vpc(services: &Services) -> Result<Option<String>> {
    let filter = filter("is-default", &["true".to_owned()]);
    let found = services.ec2.describe_vpcs().filters(filter).send().await;
    let found = found.on("ec2:DescribeVpcs", "default VPC")?;
    Ok(found.vpcs().first().and_then(|vpc| vpc.vpc_id()).map(str::to_owned))
}

/// All subnets of the region, or those with certain values of a filter.
async fn subnets(services: &Services, region: &str, by: Option<(&str, &[String])>) -> Result<Vec<Subnet>> {
    let filter = by.map(|(name, values)| filter(name, values));
    let what = by.map_or_else(|| "all".to_owned(), |(_, values)| values.join(","));
    let pages = services.ec2.describe_subnets().set_filters(filter.map(|filter| vec![filter]));
    let pages = pages.into_paginator().items().send();
    let found = pages.try_collect().await.on("ec2:DescribeSubnets", &what)?;
    let subnet = |subnet: aws_sdk_ec2::types::Subnet| {
        let zone_name = subnet.availability_zone.unwrap_or_default();
        Some(Subnet {
            id: subnet.subnet_id?,
            vpc: subnet.vpc_id.unwrap_or_default(),
            zone: subnet.availability_zone_id.unwrap_or_else(|| zone_name.clone()),
            is_default: subnet.default_for_az.unwrap_or_default(),
            is_regional: network::is_availability_zone(&zone_name, region) && subnet.outpost_arn.is_none(),
            zone_name,
        })
    };
    Ok(found.into_iter().filter_map(subnet).collect())
}

fn filter(name: &str, values: &[String]) -> Filter {
    Filter::builder().name(name).set_values(Some(values.to_vec())).build()
}

async fn security_groups(services: &Services, by: &str, values: &[String]) -> Result<Vec<SecurityGroup>> {
    let pages = services.ec2.describe_security_groups().filters(filter(by, values));
    let pages = pages.into_paginator().items().send();
    let found = pages.try_collect().await.on("ec2:DescribeSecurityGroups", &values.join(","))?;
    let group = |group: aws_sdk_ec2::types::SecurityGroup| {
        let stack = group.tags().iter().find(|tag| tag.key() == Some("aws:cloudformation:stack-id"));
        Some(SecurityGroup {
            stack: stack.and_then(|tag| tag.value()).map(str::to_owned),
            id: group.group_id?,
            name: group.group_name.unwrap_or_default(),
            vpc: group.vpc_id.unwrap_or_else(|| "no VPC".to_owned()),
            rules: group.ip_permissions.unwrap_or_default().iter().map(rule).collect(),
        })
    };
    Ok(found.into_iter().filter_map(group).collect())
}

fn rule(rule: &IpPermission) -> Rule {
    let pairs = rule.user_id_group_pairs().iter();
    Rule {
        protocol: rule.ip_protocol().unwrap_or_default().to_owned(),
        from: rule.from_port(),
        to: rule.to_port(),
        groups: pairs.filter_map(|pair| pair.group_id().map(str::to_owned)).collect(),
        has_addresses: !(rule.ip_ranges().is_empty()
            && rule.ipv6_ranges().is_empty()
            && rule.prefix_list_ids().is_empty()),
    }
}

/// The images that the stack names, without those that do not exist.
async fn images(services: &Services, properties: &Properties) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    for id in [&properties.image_id, &properties.dragen_ami_id].into_iter().flatten() {
        let found = services.ec2.describe_images().image_ids(id).send().await;
        match found.on("ec2:DescribeImages", id) {
            Err(err) if err.is_not_found() => {}
            found => images.extend(found?.images.unwrap_or_default().into_iter().filter_map(as_image)),
        }
    }
    Ok(images)
}

fn as_image(image: aws_sdk_ec2::types::Image) -> Option<Image> {
    let root_device = image.root_device_name?;
    let mappings = image.block_device_mappings.unwrap_or_default();
    let root = mappings.into_iter().find(|mapping| mapping.device_name() == Some(&root_device));
    let root_gib = root.and_then(|root| root.ebs?.volume_size).unwrap_or_default();
    Some(Image {
        id: image.image_id?,
        root_device,
        root_gib,
        owner: image.owner_id.unwrap_or_default(),
        owner_alias: image.image_owner_alias,
    })
}

async fn mount_name(services: &Services, dns_name: &str) -> Result<String> {
    let all = fsx::all(services, dns_name).await?;
    let found = all.into_iter().find(|system| system.dns_name() == Some(dns_name));
    let name = found.and_then(|system| system.lustre_configuration?.mount_name);
    name.ok_or_else(|| {
        let allowed = "the DNS name of an FSx for Lustre file system of this account and region";
        Error::Invalid(vec![format!("FsxName: given {dns_name}, allowed: {allowed}")])
    })
}

/// How instances will reach a file system, made or brought.
async fn efs_reach(
    services: &Services,
    properties: &Properties,
    names: &Names,
    vpc: &str,
) -> Result<EfsReach> {
    let id = match &properties.efs_id {
        Some(id) => Some(id.clone()),
        None => efs::id(services, names).await?,
    };
    let Some(id) = id else { return Ok(EfsReach::New) };
    let found = match efs::groups(services, &id, vpc).await {
        Err(err) if err.is_not_found() => None,
        found => Some(found?),
    };
    match (found, properties.efs_create) {
        (Some(ids), _) if !ids.is_empty() => {
            Ok(EfsReach::Reached(security_groups(services, "group-id", &ids).await?))
        }
        // Its mount targets are still to be made.
        (_, true) => Ok(EfsReach::New),
        (Some(_), false) => Ok(EfsReach::Unreachable(format!("{id}, which has no mount target in {vpc}"))),
        (None, false) => {
            Ok(EfsReach::Unreachable(format!("{id}, which does not exist in this account and region")))
        }
    }
}
