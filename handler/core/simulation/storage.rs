//! EFS and FSx.

use crate::account::{Version, refusal};
use crate::executor::{Ms, S};
use crate::world::World;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use tower_forge_core::error::ServiceError;
use tower_forge_core::registry::{Existing, Observed};
use tower_forge_core::resource::{Phase, ResourceId, Tags};
use tower_forge_core::resources::{efs, fsx};

type Landed = Result<(), ServiceError>;

/// How the phase of a file system that grows begins.
const GROWING: &str = "growing";

/// The file system itself is being created; its mount targets come later.
const EFS_CREATING: &str = "creating";

fn missing(id: &str) -> ServiceError {
    refusal("FileSystemNotFound", format!("File system '{id}' does not exist."))
}

/// A file system, which bears its name as a tag, as the adapter gives it one.
fn new(id: &ResourceId, tags: &Tags, observed: Observed) -> Version {
    let mut tags = tags.clone();
    tags.entry("Name".to_owned()).or_insert_with(|| id.name.clone());
    Version::of(Existing {
        id: id.clone(),
        tags,
        phase: Phase::Settled,
        refs: Vec::new(),
        created: None,
        observed,
    })
}

/// The zone of a subnet of the life's network.
fn zone_of(subnet: &str) -> String {
    crate::judge::network()
        .zones
        .into_iter()
        .find(|(id, _)| id == subnet)
        .map(|(_, zone)| zone)
        .unwrap_or_default()
}

impl World {
    /// A call on an EFS file system.
    pub(crate) fn land_on_efs(self: &Rc<Self>, id: &ResourceId, call: &efs::Call) -> Landed {
        use efs::Call;
        let now = self.truth(id);
        let found = now.as_deref().and_then(|version| match &version.existing.observed {
            Observed::Efs(observed) => Some((observed.as_ref().clone(), version.existing.phase.clone())),
            _ => None,
        });
        if let Call::Create(tags) = call {
            return self.create_efs(id, tags, found.as_ref());
        }
        if let Call::DeleteMountTarget(target) = call {
            return self.delete_mount_target(id, target, found.map(|(observed, _)| observed));
        }
        let (Call::CreateMountTarget { id: of, .. }
        | Call::Tier(of)
        | Call::Delete(of)
        | Call::Tag { id: of, .. }
        | Call::Untag { id: of, .. }) = call
        else {
            return Ok(());
        };
        let Some((observed, phase)) = found.filter(|(observed, _)| observed.id == *of) else {
            return Err(missing(of));
        };
        let state = match &phase {
            Phase::Deleting(state) => Some(state),
            Phase::Settling(state) if state == EFS_CREATING => Some(state),
            _ => None,
        };
        if let (Some(state), Call::CreateMountTarget { .. } | Call::Tier(_)) = (state, call) {
            let text = format!("File system '{of}' is in state '{state}', must be 'available'.");
            return Err(refusal("IncorrectFileSystemLifeCycleState", text));
        }
        match call {
            Call::CreateMountTarget { subnet, .. } => {
                return self.create_mount_target(id, zone_of(subnet), &observed);
            }
            Call::Tier(_) => self.edit(id, |version| edit(version, |efs| efs.tiered = true)),
            Call::Delete(_) if !observed.mount_targets.is_empty() => {
                return Err(refusal("FileSystemInUse", format!("File system '{of}' has mount targets.")));
            }
            Call::Delete(_) => {
                let phase = Phase::Deleting("deleting".to_owned());
                self.begin(id, phase, self.takes(2 * S, 6 * S), |_| {});
            }
            Call::Tag { tags, .. } => self.edit_tags(id, tags, &[]),
            Call::Untag { keys, .. } => self.edit_tags(id, &Tags::new(), keys),
            Call::Create(_) | Call::DeleteMountTarget(_) => {}
        }
        Ok(())
    }

    fn create_efs(
        self: &Rc<Self>,
        id: &ResourceId,
        tags: &Tags,
        found: Option<&(efs::Observed, Phase)>,
    ) -> Landed {
        if let Some((observed, _)) = found {
            let text =
                format!("File system '{}' already exists with creation token '{}'", observed.id, id.name);
            return Err(refusal("FileSystemAlreadyExists", text));
        }
        self.count("an EFS file system is created");
        let fs = format!("fs-{:017x}", self.fresh());
        let observed = efs::Observed { id: fs, mount_targets: BTreeMap::new(), tiered: false, vpc: None };
        self.put(new(id, tags, Observed::Efs(Arc::new(observed))));
        self.begin(id, Phase::Settling(EFS_CREATING.to_owned()), self.takes(6 * S, 12 * S), |_| {});
        Ok(())
    }

    fn create_mount_target(
        self: &Rc<Self>,
        id: &ResourceId,
        zone: String,
        observed: &efs::Observed,
    ) -> Landed {
        if observed.mount_targets.contains_key(&zone) {
            return Err(refusal("MountTargetConflict", "mount target already exists in this AZ"));
        }
        let target = format!("fsmt-{:017x}", self.fresh());
        let phase = Phase::Settling("mount target creating".to_owned());
        self.begin(id, phase, self.takes(60 * S, 90 * S), |version| {
            edit(version, |efs| {
                efs.mount_targets.insert(zone, target);
                efs.vpc = Some("vpc-1".to_owned());
            });
        });
        Ok(())
    }

    fn delete_mount_target(
        self: &Rc<Self>,
        id: &ResourceId,
        target: &str,
        found: Option<efs::Observed>,
    ) -> Landed {
        let is_there = |observed: &efs::Observed| observed.mount_targets.values().any(|id| id == target);
        let Some(observed) = found.filter(is_there) else {
            let text = format!("Mount target '{target}' does not exist.");
            return Err(refusal("MountTargetNotFound", text));
        };
        let phase = Phase::Settling("mount target deleting".to_owned());
        self.begin(id, phase, self.takes(10 * S, 30 * S), |version| {
            // Others may be on their way already.
            let mut after = match version.after.take() {
                Some(Observed::Efs(after)) => after.as_ref().clone(),
                _ => observed,
            };
            after.mount_targets.retain(|_, id| id != target);
            if after.mount_targets.is_empty() {
                after.vpc = None;
            }
            version.after = Some(Observed::Efs(Arc::new(after)));
        });
        Ok(())
    }

    /// A call on an FSx file system.
    pub(crate) fn land_on_fsx(self: &Rc<Self>, id: &ResourceId, call: &fsx::Call) -> Landed {
        use fsx::Call;
        let now = self.truth(id);
        let found = now.as_deref().and_then(|version| match &version.existing.observed {
            Observed::Fsx(observed) => Some((observed.as_ref().clone(), version.existing.phase.clone())),
            _ => None,
        });
        if let Call::Create { spec, tags, .. } = call {
            return self.create_fsx(id, spec, tags, found.as_ref());
        }
        let names_it = |observed: &fsx::Observed| match call {
            Call::Grow { id, .. } | Call::Delete(id) => *id == observed.id,
            Call::Tag { arn, .. } | Call::Untag { arn, .. } => *arn == observed.arn,
            Call::Create { .. } => false,
        };
        let Some((observed, phase)) = found.filter(|(observed, _)| names_it(observed)) else {
            return Err(match call {
                Call::Tag { arn, .. } | Call::Untag { arn, .. } => {
                    refusal("ResourceNotFound", format!("Resource '{arn}' does not exist."))
                }
                _ => missing(&id.name),
            });
        };
        match call {
            Call::Grow { size, .. } => {
                let grows_from = now.map_or(0, |version| version.grows_from);
                self.check_growth(*size, &observed, &phase, grows_from)?;
                self.grow(id, *size, &observed);
            }
            Call::Delete(_) if matches!(phase, Phase::Deleting(_)) => {}
            Call::Delete(_) => {
                let phase = Phase::Deleting("DELETING".to_owned());
                self.begin(id, phase, self.takes(180 * S, 300 * S), |_| {});
            }
            Call::Tag { tags, .. } => self.edit_tags(id, tags, &[]),
            Call::Untag { keys, .. } => self.edit_tags(id, &Tags::new(), keys),
            Call::Create { .. } => {}
        }
        Ok(())
    }

    /// The checks of a growth that FSx makes at once.
    fn check_growth(&self, size: i32, observed: &fsx::Observed, phase: &Phase, grows_from: Ms) -> Landed {
        let bad = |text: String| Err(refusal("BadRequest", text));
        let (present, kind) = (observed.size, &observed.deployment_type);
        match phase {
            Phase::Settling(state) if state.starts_with(GROWING) => {
                let text =
                    "Unable to perform the storage capacity update. There is an update already in progress.";
                bad(text.to_owned())
            }
            Phase::Settling(state) | Phase::Deleting(state) => {
                bad(format!("File system {} is {state}, it must be AVAILABLE.", observed.id))
            }
            _ if size <= present => bad(format!(
                "Storage capacity {size} must be greater than the current {present}, which {kind} must allow."
            )),
            _ if self.now() < grows_from => {
                bad("Unable to perform the storage capacity update. The last one was \
                                                 requested less than 6 hours ago."
                    .to_owned())
            }
            _ => Ok(()),
        }
    }

    /// A file system grows, or fails to; it shows its coming capacity meanwhile.
    fn grow(self: &Rc<Self>, id: &ResourceId, size: i32, observed: &fsx::Observed) {
        let fails = self.chance(150);
        self.count(if fails { "an FSx file system fails to grow" } else { "an FSx file system grows" });
        let show = |size: i32, failed_growth: Option<String>| {
            Observed::Fsx(Arc::new(fsx::Observed { size, failed_growth, ..observed.clone() }))
        };
        let failed = || show(observed.size, Some("FSx gives no reason".to_owned()));
        let (growing, after) = (show(size, None), if fails { failed() } else { show(size, None) });
        let again = self.now() + if fails { 0 } else { 6 * 3600 * S };
        let phase = Phase::Settling(format!("{GROWING} to {size} GiB"));
        self.begin(id, phase, self.takes(60 * S, 300 * S), |version| {
            version.existing.observed = growing;
            version.after = Some(after);
            version.grows_from = again;
        });
    }

    /// The same token, which is the life's only one, answers with the same file system.
    fn create_fsx(
        self: &Rc<Self>,
        id: &ResourceId,
        spec: &fsx::Spec,
        tags: &Tags,
        found: Option<&(fsx::Observed, Phase)>,
    ) -> Landed {
        match found {
            Some((observed, _)) if observed.size == spec.size => return Ok(()),
            Some(_) => {
                let text = "A file system with the same client request token but different parameters already \
                            exists.";
                return Err(refusal("IncompatibleParameterError", text));
            }
            None => {}
        }
        self.count("an FSx file system is created");
        let fs = format!("fs-{:017x}", self.fresh());
        let observed = fsx::Observed {
            arn: format!("arn:aws:fsx:eu-west-1:123456789012:file-system/{fs}"),
            dns_name: format!("{fs}.fsx.eu-west-1.amazonaws.com"),
            id: fs,
            mount_name: "abcdefgh".to_owned(),
            size: spec.size,
            deployment_type: spec.deployment_type.clone(),
            throughput: spec.throughput,
            failed_growth: None,
            vpc: "vpc-1".to_owned(),
        };
        self.put(new(id, tags, Observed::Fsx(Arc::new(observed))));
        self.begin(id, Phase::Settling("CREATING".to_owned()), self.takes(300 * S, 480 * S), |_| {});
        Ok(())
    }
}

fn edit(version: &mut Version, change: impl FnOnce(&mut efs::Observed)) {
    if let Observed::Efs(observed) = &mut version.existing.observed {
        change(Arc::make_mut(observed));
    }
}
