//! PURE. File systems. A file system is data: no Update deletes one.

use super::{Around, Forge, refused};
use crate::error::Result;
use crate::resource::{Kind, Live, Phase, Seen, Spec};
use crate::resources::{efs, fsx};
use std::collections::BTreeMap;

/// The IDs of a forge's file systems, made or brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// One that is wanted has not been made yet.
    Later,
    /// Known.
    Known {
        /// EFS.
        efs: Option<String>,
        /// FSx; of one that was brought, its DNS name.
        fsx: Option<String>,
    },
}

/// Declares the file systems.
pub(super) fn declare(forge: &mut Forge<'_>, around: &mut Around<'_>) -> Result<()> {
    let name = forge.cx.names.file_system();
    if forge.properties.efs_create {
        let surroundings = around.get(forge, Kind::Efs, &name);
        if let Some(Live::Efs(live)) = forge.there.get(Kind::Efs, &name).map(|seen| &seen.live) {
            refuse_move("EFS", &live.id, live.vpc.as_deref(), &surroundings.vpc)?;
        }
        let spec = efs::Spec {
            subnets: surroundings.subnet_per_zone(),
            security_groups: surroundings.security_groups,
            retiring: false,
        };
        forge.declare(Kind::Efs, name.clone(), Spec::Efs(spec), &[]);
    } else if let Some(seen) = kept(forge, Kind::Efs, &name) {
        let spec = efs::Spec { subnets: BTreeMap::new(), security_groups: Vec::new(), retiring: true };
        forge.retire(seen, Spec::Efs(spec), Vec::new());
    }
    if let Some(size) = forge.properties.fsx_size {
        let surroundings = around.get(forge, Kind::Fsx, &name);
        let vpc = &surroundings.vpc.clone();
        let spec = fsx::Spec {
            size,
            deployment_type: forge.properties.fsx_deployment_type().as_str().to_owned(),
            throughput: forge.properties.fsx_throughput(),
            subnet: surroundings.subnets().into_iter().next().unwrap_or_default(),
            security_groups: surroundings.security_groups,
            retiring: false,
        };
        if let Some(Live::Fsx(live)) = forge.there.get(Kind::Fsx, &name).map(|seen| &seen.live) {
            refuse_move("FSx", &live.id, Some(&live.vpc), vpc)?;
            refuse(&spec, live)?;
        }
        forge.declare(Kind::Fsx, name, Spec::Fsx(spec), &[]);
    } else if let Some(seen) = kept(forge, Kind::Fsx, &name) {
        let spec = fsx::Spec {
            size: 0,
            deployment_type: String::new(),
            throughput: None,
            subnet: String::new(),
            security_groups: Vec::new(),
            retiring: true,
        };
        forge.retire(seen, Spec::Fsx(spec), Vec::new());
    }
    Ok(())
}

/// A file system that is not wanted any more but kept; one that failed holds nothing.
fn kept<'a>(forge: &Forge<'a>, kind: Kind, name: &str) -> Option<&'a Seen> {
    let seen = forge.there.get(kind, name).filter(|seen| forge.cx.owner.owns(&seen.tags))?;
    let going =
        matches!(&seen.phase, Phase::Settling(status) if status.to_ascii_uppercase().contains("DELETING"));
    (!going && !matches!(seen.phase, Phase::Broken(_))).then_some(seen)
}

/// Refuses another network: instances there would not reach the file system.
fn refuse_move(kind: &str, id: &str, now: Option<&str>, wanted: &str) -> Result<()> {
    match now {
        // What is wanted is unknown where the network could not be looked up, and then nothing is made in it.
        Some(now) if !now.is_empty() && !wanted.is_empty() && now != wanted => Err(refused(format!(
            "VpcId: given {wanted}, allowed: {now}, where the {kind} file system {id} is; a created file system is \
             data and does not move; to change the network, deploy another forge, copy the files, and delete the \
             old forge"
        ))),
        _ => Ok(()),
    }
}

fn refuse(spec: &fsx::Spec, live: &fsx::Live) -> Result<()> {
    let instead = "a created file system is data and only grows; to change it otherwise, deploy another forge with \
                   the new properties, copy the files, and delete the old forge";
    if spec.size < live.size {
        let (given, now) = (spec.size, live.size);
        return Err(refused(format!(
            "FsxSize: given {given}, allowed: at least {now}, the size it has; {instead}"
        )));
    }
    if !live.deployment_type.is_empty() && spec.deployment_type != live.deployment_type {
        let (given, now) = (&spec.deployment_type, &live.deployment_type);
        return Err(refused(format!(
            "FsxDeploymentType: given {given}, allowed: {now}, which it has; {instead}"
        )));
    }
    if let (Some(given), Some(now)) = (spec.throughput, live.throughput)
        && given != now
    {
        return Err(refused(format!(
            "FsxThroughput: given {given}, allowed: {now}, which it has; {instead}"
        )));
    }
    Ok(())
}

/// The IDs, as far as they are known.
pub(super) fn ids(forge: &Forge<'_>) -> Ids {
    let name = forge.cx.names.file_system();
    let made = |kind: Kind| forge.there.get(kind, &name).filter(|seen| forge.cx.owner.owns(&seen.tags));
    let efs = match made(Kind::Efs).map(|seen| &seen.live) {
        Some(Live::Efs(live)) if forge.properties.efs_create => Some(live.id.clone()),
        _ => forge.properties.efs_id.clone(),
    };
    let fsx = match made(Kind::Fsx).map(|seen| &seen.live) {
        // The mount name comes with the first answer, as a rule.
        Some(Live::Fsx(live)) if forge.properties.fsx_size.is_some() && !live.mount_name.is_empty() => {
            Some(live.id.clone())
        }
        _ => forge.properties.fsx_name.clone(),
    };
    let later = forge.properties.has_efs() && efs.is_none() || forge.properties.has_fsx() && fsx.is_none();
    if later { Ids::Later } else { Ids::Known { efs, fsx } }
}

/// DNS name and mount name of the Lustre file system.
pub(super) fn lustre(forge: &Forge<'_>, around: &Around<'_>) -> (String, String) {
    let made = forge.there.get(Kind::Fsx, &forge.cx.names.file_system());
    match made.map(|seen| &seen.live) {
        Some(Live::Fsx(live)) if forge.properties.fsx_size.is_some() => {
            (live.dns_name.clone(), live.mount_name.clone())
        }
        _ => {
            let mount_name =
                around.surroundings.as_ref().ok().and_then(|around| around.lustre_mount_name.clone());
            (forge.properties.fsx_name.clone().unwrap_or_default(), mount_name.unwrap_or_default())
        }
    }
}
