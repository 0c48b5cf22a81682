//! Roles and instance profiles.

use super::{Script, after, writes};
use crate::site::{OTHER_POLICY, SERVICE_POLICY, Site, inline, more_keys, more_tags, trust};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tower_forge_core::name::RoleKind::{Execution, Instance, Service};
use tower_forge_core::registry::{Desired, Spec, Write};
use tower_forge_core::resource::{Kind, ResourceId, Tags};
use tower_forge_core::resources::{instance_profile as profile, role};

fn on(site: &Site, call: role::Call) -> Write {
    site.role(Execution, call)
}

fn create(site: &Site) -> Write {
    site.create_role(Execution, "ecs-tasks.amazonaws.com")
}

fn attach(site: &Site) -> Write {
    on(site, role::Call::Attach(SERVICE_POLICY.to_owned()))
}

fn put(site: &Site) -> Write {
    on(site, role::Call::Put("inline".to_owned(), inline()))
}

fn add(site: &Site) -> Write {
    site.profile(profile::Call::AddRole(site.names.role(Instance)))
}

fn remove(site: &Site) -> Write {
    site.profile(profile::Call::RemoveRole(site.names.role(Instance)))
}

fn role_and_profile(site: &Site) -> Vec<Write> {
    vec![site.create_role(Instance, "ec2.amazonaws.com"), site.profile(profile::Call::Create(site.tags()))]
}

fn full_profile(site: &Site) -> Vec<Write> {
    let mut all = role_and_profile(site);
    all.push(add(site));
    all
}

/// A role and a profile, of which the engine knows everything once they have been created.
pub(crate) fn known_without_a_look(site: &Site) -> Vec<Desired> {
    let role = Spec::Role(Arc::new(role::Spec {
        trust: trust("ec2.amazonaws.com"),
        managed: BTreeSet::from([SERVICE_POLICY.to_owned(), OTHER_POLICY.to_owned()]),
        inline: BTreeMap::from([("inline".to_owned(), inline()), ("other".to_owned(), second())]),
        boundary: None,
        exact: true,
    }));
    let profile = Spec::InstanceProfile(Arc::new(profile::Spec { role: site.names.role(Instance) }));
    let desired = |kind: Kind, name: String, spec: Spec| Desired {
        id: ResourceId::new(kind, name),
        spec: Some(spec),
        tags: site.tags(),
        remove_tags: BTreeSet::new(),
        after: Vec::new(),
        is_draining: false,
    };
    vec![
        desired(Kind::Role, site.names.role(Instance), role),
        desired(Kind::InstanceProfile, site.names.instance_profile(), profile),
    ]
}

/// All that is tried on a role.
pub(crate) const SCRIPTS: &[Script] = &[
    ("a role is created twice", |site| writes([create(site), create(site)])),
    ("a role is created that bears no tags", |site| {
        let (trust, tags) = (trust("ecs-tasks.amazonaws.com"), Tags::new());
        let create = on(site, role::Call::Create { trust, boundary: None, tags });
        writes([create, attach(site), put(site), on(site, role::Call::Tag(site.tags()))])
    }),
    ("a policy is attached twice and detached twice", |site| {
        let detach = || on(site, role::Call::Detach(SERVICE_POLICY.to_owned()));
        after(vec![create(site)], [attach(site), attach(site), detach(), detach()])
    }),
    ("a policy that was never attached is detached", |site| {
        after(vec![create(site), attach(site)], [on(site, role::Call::Detach(OTHER_POLICY.to_owned()))])
    }),
    ("a policy is put twice, with two documents, and deleted twice", |site| {
        let other = on(site, role::Call::Put("inline".to_owned(), second()));
        let delete = || on(site, role::Call::DeletePolicy("inline".to_owned()));
        after(vec![create(site)], [put(site), other, delete(), delete()])
    }),
    ("a role's trust is replaced", |site| {
        after(vec![create(site)], [on(site, role::Call::SetTrust(trust("ec2.amazonaws.com")))])
    }),
    ("a role gets a boundary, another one, and none", |site| {
        let set = |arn: &str| on(site, role::Call::SetBoundary(arn.to_owned()));
        let remove = || on(site, role::Call::RemoveBoundary);
        after(vec![create(site)], [set(OTHER_POLICY), set(SERVICE_POLICY), remove()])
    }),
    ("a role is tagged, tagged again and untagged twice", |site| {
        let again = Tags::from([("cost-centre".to_owned(), "43".to_owned())]);
        let tag = |tags: Tags| on(site, role::Call::Tag(tags));
        let untag = || on(site, role::Call::Untag(more_keys()));
        after(vec![create(site)], [tag(more_tags()), tag(again), untag(), untag()])
    }),
    ("a role with a managed policy is deleted", |site| {
        after(vec![create(site), attach(site)], [on(site, role::Call::Delete)])
    }),
    ("a role with an inline policy is deleted", |site| {
        after(vec![create(site), put(site)], [on(site, role::Call::Delete)])
    }),
    ("a role with policies of both sorts is deleted", |site| {
        after(vec![create(site), put(site), attach(site)], [on(site, role::Call::Delete)])
    }),
    ("a role is deleted twice", |site| {
        after(vec![create(site)], [on(site, role::Call::Delete), on(site, role::Call::Delete)])
    }),
    ("a role in a profile is deleted", |site| {
        let detach = site.role(Instance, role::Call::Attach(OTHER_POLICY.to_owned()));
        after(
            full_profile(site),
            [site.role(Instance, role::Call::Delete), detach, site.role(Instance, role::Call::Delete)],
        )
    }),
    ("everything is done to a role that does not exist", |site| {
        writes([
            attach(site),
            on(site, role::Call::Detach(SERVICE_POLICY.to_owned())),
            put(site),
            on(site, role::Call::DeletePolicy("inline".to_owned())),
            on(site, role::Call::SetTrust(trust("ec2.amazonaws.com"))),
            on(site, role::Call::SetBoundary(OTHER_POLICY.to_owned())),
            on(site, role::Call::RemoveBoundary),
            on(site, role::Call::Tag(more_tags())),
            on(site, role::Call::Untag(more_keys())),
        ])
    }),
    ("a role is created again after it was deleted", |site| {
        after(vec![create(site), on(site, role::Call::Delete)], [create(site), attach(site)])
    }),
    ("a profile is created twice", |site| {
        let create = || site.profile(profile::Call::Create(site.tags()));
        writes([create(), create()])
    }),
    ("a role is put into a profile twice", |site| after(role_and_profile(site), [add(site), add(site)])),
    ("another role is put into a full profile", |site| {
        let mut prepared = full_profile(site);
        prepared.push(site.create_role(Service, "batch.amazonaws.com"));
        after(prepared, [site.profile(profile::Call::AddRole(site.names.role(Service)))])
    }),
    ("a role that does not exist is put into a profile, empty and full", |site| {
        let missing = || site.profile(profile::Call::AddRole(site.names.role(Service)));
        after(role_and_profile(site), [missing(), add(site), missing()])
    }),
    ("a role is put into a profile that does not exist", |site| {
        after(vec![site.create_role(Instance, "ec2.amazonaws.com")], [add(site)])
    }),
    ("neither role nor profile exists", |site| writes([add(site), remove(site)])),
    ("a role is taken out of a profile twice", |site| {
        after(full_profile(site), [remove(site), remove(site)])
    }),
    ("a role that is not inside is taken out of a profile", |site| {
        let mut prepared = full_profile(site);
        prepared.push(site.create_role(Service, "batch.amazonaws.com"));
        after(prepared, [site.profile(profile::Call::RemoveRole(site.names.role(Service)))])
    }),
    ("a profile with a role in it is deleted", |site| {
        after(full_profile(site), [site.profile(profile::Call::Delete)])
    }),
    ("a profile is deleted twice", |site| {
        let delete = || site.profile(profile::Call::Delete);
        after(role_and_profile(site), [delete(), delete()])
    }),
    ("a profile is tagged and untagged", |site| {
        let (tag, untag) = (profile::Call::Tag(more_tags()), profile::Call::Untag(more_keys()));
        after(role_and_profile(site), [site.profile(tag), site.profile(untag)])
    }),
    ("a profile that does not exist is tagged, untagged and deleted", |site| {
        let (tag, untag) = (profile::Call::Tag(more_tags()), profile::Call::Untag(more_keys()));
        writes([site.profile(tag), site.profile(untag), site.profile(profile::Call::Delete)])
    }),
];

/// Another inline policy.
fn second() -> serde_json::Value {
    let mut policy = inline();
    policy["Statement"][0]["Action"] = "s3:GetObject".into();
    policy
}
