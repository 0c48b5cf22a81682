//! EFS and FSx file systems.

use super::{Script, Step, writes};
use crate::site::{GIVEN_ID, NO_ID, Site, more_keys, more_tags};
use tower_forge_core::registry::{Call, Write};
use tower_forge_core::resource::{Kind, ResourceId};
use tower_forge_core::resources::{efs, fsx};

fn on_efs(site: &Site, call: efs::Call) -> Write {
    let id = ResourceId::new(Kind::Efs, site.names.file_system());
    Write { id, call: Call::Efs(Box::new(call)) }
}

fn create(site: &Site) -> Write {
    on_efs(site, efs::Call::Create(site.tags()))
}

fn target(site: &Site, id: &str) -> Write {
    let (id, security_groups) = (id.to_owned(), vec![site.group.clone()]);
    on_efs(site, efs::Call::CreateMountTarget { id, subnet: site.subnets[0].clone(), security_groups })
}

fn tier(site: &Site, id: &str) -> Write {
    on_efs(site, efs::Call::Tier(id.to_owned()))
}

fn delete(site: &Site, id: &str) -> Write {
    on_efs(site, efs::Call::Delete(id.to_owned()))
}

fn delete_target(site: &Site, id: &str) -> Write {
    on_efs(site, efs::Call::DeleteMountTarget(id.to_owned()))
}

fn on_fsx(site: &Site, call: fsx::Call) -> Write {
    let id = ResourceId::new(Kind::Fsx, site.names.file_system());
    Write { id, call: Call::Fsx(Box::new(call)) }
}

fn create_lustre(site: &Site, gib: i32) -> Write {
    let spec = fsx::Spec {
        size: gib,
        deployment_type: "SCRATCH_2".to_owned(),
        throughput: None,
        subnet: site.subnets[0].clone(),
        security_groups: vec![site.group.clone()],
    };
    on_fsx(site, fsx::Call::Create { client_token: "token".to_owned(), spec, tags: site.tags() })
}

fn grow(site: &Site, gib: i32) -> Write {
    on_fsx(site, fsx::Call::Grow { id: GIVEN_ID.to_owned(), size: gib })
}

fn delete_lustre(site: &Site) -> Write {
    on_fsx(site, fsx::Call::Delete(GIVEN_ID.to_owned()))
}

/// Steps with time between the calls.
fn at_rest<const N: usize>(each: [Write; N]) -> Vec<Step> {
    each.into_iter().flat_map(|write| [Step::Write(write), Step::Settle]).collect()
}

/// All that is tried on file systems.
pub(crate) const SCRIPTS: &[Script] = &[
    ("an EFS file system is created twice", |site| writes([create(site), create(site)])),
    ("an EFS file system is deleted twice", |site| {
        let mut steps = at_rest([create(site)]);
        steps.extend(writes([delete(site, GIVEN_ID), delete(site, GIVEN_ID)]));
        steps
    }),
    ("an EFS file system is changed before it is available", |site| {
        writes([create(site), target(site, GIVEN_ID), tier(site, GIVEN_ID)])
    }),
    ("an EFS file system gets two mount targets in one zone", |site| {
        let mut steps = at_rest([create(site)]);
        steps.extend(writes([target(site, GIVEN_ID), target(site, GIVEN_ID), tier(site, GIVEN_ID)]));
        steps
    }),
    ("an EFS file system is deleted before its mount target", |site| {
        let mut steps = at_rest([create(site), target(site, GIVEN_ID)]);
        steps.extend(writes([
            delete(site, GIVEN_ID),
            delete_target(site, GIVEN_ID),
            delete_target(site, GIVEN_ID),
            delete(site, GIVEN_ID),
        ]));
        steps.push(Step::Settle);
        steps.extend(at_rest([delete(site, GIVEN_ID)]));
        steps
    }),
    ("an EFS file system is tagged, and untagged twice", |site| {
        let id = || GIVEN_ID.to_owned();
        let untag = || on_efs(site, efs::Call::Untag { id: id(), keys: more_keys() });
        let tag = on_efs(site, efs::Call::Tag { id: id(), tags: more_tags() });
        writes([create(site), tag, untag(), untag()])
    }),
    ("an EFS file system that does not exist is changed and deleted", |site| {
        let no_id = NO_ID.replace("lt-", "fs-");
        let no_target = NO_ID.replace("lt-", "fsmt-");
        let (tags, id) = (more_tags(), no_id.clone());
        writes([
            target(site, &no_id),
            tier(site, &no_id),
            delete(site, &no_id),
            delete_target(site, &no_target),
            on_efs(site, efs::Call::Tag { id, tags }),
        ])
    }),
    ("an FSx file system is created twice, and then with another size", |site| {
        writes([create_lustre(site, 1200), create_lustre(site, 1200), create_lustre(site, 2400)])
    }),
    ("an FSx file system grows, and does not shrink", |site| {
        let mut steps = writes([create_lustre(site, 1200), grow(site, 2400)]);
        steps.push(Step::Settle);
        steps.extend(writes([grow(site, 2400), grow(site, 4800)]));
        steps.push(Step::Settle);
        steps.extend(writes([grow(site, 2400)]));
        steps
    }),
    ("an FSx file system is deleted twice, and a third time when it is gone", |site| {
        let mut steps = at_rest([create_lustre(site, 1200)]);
        steps.extend(writes([delete_lustre(site), delete_lustre(site)]));
        steps.extend(at_rest([delete_lustre(site)]));
        steps.extend(writes([create_lustre(site, 1200)]));
        steps
    }),
    ("an FSx file system is tagged, and untagged twice", |site| {
        let arn = || GIVEN_ID.to_owned();
        let untag = || on_fsx(site, fsx::Call::Untag { arn: arn(), keys: more_keys() });
        let tag = on_fsx(site, fsx::Call::Tag { arn: arn(), tags: more_tags() });
        writes([create_lustre(site, 1200), tag, untag(), untag()])
    }),
];
