//! IAM instance profiles.

use super::role::as_tags;
use crate::aws::clients::Services;
use crate::aws::error::Context as _;
use tower_forge_core::error::Result;
use tower_forge_core::name::Names;
use tower_forge_core::resource::{Found, Kind, Listing, MutatingCall as _, Phase, ResourceId};
use tower_forge_core::resources::instance_profile::{Call, Observed};

/// Looks for the profile of a forge.
pub(crate) async fn list(services: &Services, names: &Names) -> Result<Listing<Observed>> {
    let name = names.instance_profile();
    let found = services.iam.get_instance_profile().instance_profile_name(&name).send().await;
    let found = match found.on("iam:GetInstanceProfile", &name) {
        Err(err) if err.is_not_found() => return Ok(Listing::of(Vec::new())),
        found => found?,
    };
    let Some(profile) = found.instance_profile else { return Ok(Listing::of(Vec::new())) };
    let roles: Vec<String> = profile.roles.iter().map(|role| role.role_name.clone()).collect();
    Ok(Listing::of(vec![Found {
        id: ResourceId::new(Kind::InstanceProfile, name),
        tags: profile.tags().iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect(),
        phase: Phase::Settled,
        refs: roles.iter().map(|role| ResourceId::new(Kind::Role, role)).collect(),
        created: Some(profile.create_date.secs()),
        observed: Observed { roles },
    }]))
}

/// Makes one mutating call.
pub(crate) async fn write(services: &Services, name: &str, call: &Call) -> Result<()> {
    let iam = &services.iam;
    let action = call.action();
    match call {
        Call::Create(tags) => {
            let create = iam.create_instance_profile().instance_profile_name(name);
            create.set_tags(Some(as_tags(tags))).send().await.on(action, name).map(drop)
        }
        Call::AddRole(role) => {
            let add = iam.add_role_to_instance_profile().instance_profile_name(name).role_name(role);
            add.send().await.on(action, name).map(drop)
        }
        Call::RemoveRole(role) => {
            let remove = iam.remove_role_from_instance_profile().instance_profile_name(name).role_name(role);
            remove.send().await.on(action, name).map(drop)
        }
        Call::Tag(tags) => {
            let tag = iam.tag_instance_profile().instance_profile_name(name).set_tags(Some(as_tags(tags)));
            tag.send().await.on(action, name).map(drop)
        }
        Call::Untag(keys) => {
            let untag = iam.untag_instance_profile().instance_profile_name(name);
            untag.set_tag_keys(Some(keys.clone())).send().await.on(action, name).map(drop)
        }
        Call::Delete => {
            iam.delete_instance_profile().instance_profile_name(name).send().await.on(action, name).map(drop)
        }
    }
}
