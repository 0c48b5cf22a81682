//! PURE. File systems. They hold data, so no Update deletes one.

use super::{Forge, LazyNetwork, refused};
use crate::error::Result;
use crate::properties::Properties;
use crate::registry::{Existing, Registered};
use crate::resource::Phase;
use crate::resources::efs::{self, Efs};
use crate::resources::fsx::{self, Fsx};

/// The IDs of a forge's file systems, created or existing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// A desired file system has not been created yet.
    Later,
    /// Known.
    Known {
        /// EFS.
        efs: Option<String>,
        /// FSx; for an existing one, its DNS name.
        fsx: Option<String>,
    },
}

/// Declares the file systems.
pub(super) fn declare(forge: &mut Forge<'_>, network: &mut LazyNetwork<'_>) -> Result<()> {
    let name = forge.cx.names.file_system();
    if forge.properties.efs_create {
        let network = network.get::<Efs>(forge, &name);
        if let Some((_, observed)) = forge.inventory.find::<Efs>(&name) {
            refuse_move("EFS", &observed.id, observed.vpc.as_deref(), &network.vpc)?;
        }
        let spec = efs::Spec { subnets: network.subnet_per_zone(), security_groups: network.security_groups };
        forge.declare::<Efs>(name.clone(), spec, &[]);
    } else if let Some(existing) = kept::<Efs>(forge, &name) {
        forge.retire(existing, None, Vec::new());
    }
    if let Some(size) = forge.properties.fsx_size {
        let network = network.get::<Fsx>(forge, &name);
        let vpc = &network.vpc.clone();
        let spec = fsx::Spec {
            size,
            deployment_type: forge.properties.fsx_deployment_type().as_str().to_owned(),
            throughput: forge.properties.fsx_throughput(),
            subnet: network.fsx_subnet.unwrap_or_default(),
            security_groups: network.security_groups,
        };
        if let Some((_, observed)) = forge.inventory.find::<Fsx>(&name) {
            refuse_move("FSx", &observed.id, Some(&observed.vpc), vpc)?;
            refuse(&spec, observed)?;
        }
        forge.declare::<Fsx>(name, spec, &[]);
    } else if let Some(existing) = kept::<Fsx>(forge, &name) {
        forge.retire(existing, None, Vec::new());
    }
    Ok(())
}

/// A file system that is no longer desired but kept; a failed one holds no data.
fn kept<'a, R: Registered>(forge: &Forge<'a>, name: &str) -> Option<&'a Existing> {
    let (existing, _) = forge.inventory.find::<R>(name)?;
    let stays = !matches!(existing.phase, Phase::Deleting(_) | Phase::Broken(_));
    (stays && forge.cx.owner.owns(&existing.tags)).then_some(existing)
}

/// Refuses another network: its instances could not reach the file system.
fn refuse_move(kind: &str, id: &str, now: Option<&str>, wanted: &str) -> Result<()> {
    match now {
        // Without a network nothing is created, and the wanted VPC is unknown.
        Some(now) if !now.is_empty() && !wanted.is_empty() && now != wanted => Err(refused(format!(
            "VpcId: given {wanted}, allowed: {now}, where the {kind} file system {id} is; a file system \
             holds data and cannot move; to change the network, deploy another forge, copy the files, and delete the \
             old forge"
        ))),
        _ => Ok(()),
    }
}

fn refuse(spec: &fsx::Spec, observed: &fsx::Observed) -> Result<()> {
    let instead = "a file system holds data and can only grow; for any other change, deploy another forge with \
                   the new properties, copy the files, and delete the old forge";
    if spec.size < observed.size {
        let (given, now) = (spec.size, observed.size);
        return Err(refused(format!(
            "FsxSize: given {given}, allowed: at least {now}, its current size; {instead}"
        )));
    }
    if !observed.deployment_type.is_empty() && spec.deployment_type != observed.deployment_type {
        let (given, now) = (&spec.deployment_type, &observed.deployment_type);
        return Err(refused(format!(
            "FsxDeploymentType: given {given}, allowed: {now}, its current type; {instead}"
        )));
    }
    if let (Some(given), Some(now)) = (spec.throughput, observed.throughput)
        && given != now
    {
        return Err(refused(format!(
            "FsxThroughput: given {given}, allowed: {now}, its current throughput; {instead}"
        )));
    }
    Ok(())
}

impl Ids {
    /// The IDs, given those of created file systems.
    fn of(properties: &Properties, efs: Option<String>, fsx: Option<String>) -> Self {
        let efs = efs.or_else(|| properties.efs_id.clone());
        let fsx = fsx.or_else(|| properties.fsx_name.clone());
        let later = properties.has_efs() && efs.is_none() || properties.has_fsx() && fsx.is_none();
        if later { Self::Later } else { Self::Known { efs, fsx } }
    }

    /// The IDs before anything has been made.
    pub(super) fn given(properties: &Properties) -> Self {
        Self::of(properties, None, None)
    }
}

/// The IDs, as far as they are known.
pub(super) fn ids(forge: &Forge<'_>) -> Ids {
    let properties = forge.properties;
    let efs = made::<Efs>(forge).filter(|_| properties.efs_create);
    // The mount name comes with the first answer, as a rule.
    let fsx = made::<Fsx>(forge).filter(|fsx| properties.fsx_size.is_some() && !fsx.mount_name.is_empty());
    Ids::of(properties, efs.map(|efs| efs.id.clone()), fsx.map(|fsx| fsx.id.clone()))
}

fn made<'a, R: Registered>(forge: &Forge<'a>) -> Option<&'a R::Observed> {
    let (existing, observed) = forge.inventory.find::<R>(&forge.cx.names.file_system())?;
    forge.cx.owner.owns(&existing.tags).then_some(observed)
}

/// DNS name and mount name of the Lustre file system.
pub(super) fn lustre(forge: &Forge<'_>, network: &LazyNetwork<'_>) -> (String, String) {
    let found = forge.inventory.find::<Fsx>(&forge.cx.names.file_system());
    if let Some((_, observed)) = found.filter(|_| forge.properties.fsx_size.is_some()) {
        return (observed.dns_name.clone(), observed.mount_name.clone());
    }
    let network = network.network.as_ref().ok();
    let mount_name = network.and_then(|network| network.lustre_mount_name.clone());
    (forge.properties.fsx_name.clone().unwrap_or_default(), mount_name.unwrap_or_default())
}
