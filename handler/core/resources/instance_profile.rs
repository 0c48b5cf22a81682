//! IAM instance profiles: what hands a role to EC2 instances.

use super::role::as_tags;
use crate::aws::Aws;
use crate::error::{Context as _, Result};
use crate::name::Names;
use crate::resource::{Change, Kind, Live as AnyLive, PartId, Phase, Seen, TagChanges, Tags};

/// What an instance profile should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The name of the role inside.
    pub role: String,
}

/// What IAM says an instance profile is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The names of the roles inside; IAM allows one.
    pub roles: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
}

/// What sets a profile apart from its spec.
pub fn drift(spec: &Spec, live: &Live) -> Vec<Change> {
    let mut changes = Vec::new();
    Change::note(&mut changes, "Roles", &live.roles, &vec![spec.role.clone()]);
    changes
}

/// Looks for the profile of a forge.
///
/// # Errors
///
/// AWS's refusal.
pub async fn look(aws: &Aws, names: &Names) -> Result<Vec<Seen>> {
    let name = names.instance_profile();
    let found = aws.iam.get_instance_profile().instance_profile_name(&name).send().await;
    let found = match found.on("iam:GetInstanceProfile", &name) {
        Err(err) if err.is_not_found() => return Ok(Vec::new()),
        found => found?,
    };
    let Some(profile) = found.instance_profile else { return Ok(Vec::new()) };
    let roles: Vec<String> = profile.roles.iter().map(|role| role.role_name.clone()).collect();
    Ok(vec![Seen {
        id: PartId::new(Kind::InstanceProfile, name),
        tags: profile.tags().iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect(),
        phase: Phase::Settled,
        refs: roles.iter().map(|role| PartId::new(Kind::Role, role)).collect(),
        live: AnyLive::InstanceProfile(Live { roles, created: profile.create_date.secs() }),
    }])
}

/// Makes a profile and puts its role in.
///
/// # Errors
///
/// AWS's refusal.
pub async fn create(aws: &Aws, name: &str, spec: &Spec, tags: &Tags) -> Result<()> {
    let profile = aws.iam.create_instance_profile().instance_profile_name(name).set_tags(Some(as_tags(tags)));
    profile.send().await.on("iam:CreateInstanceProfile", name)?;
    add(aws, name, &spec.role).await
}

/// Puts the right role in and sets the tags.
///
/// # Errors
///
/// AWS's refusal.
pub async fn update(aws: &Aws, name: &str, spec: &Spec, live: &Live, tags: &TagChanges) -> Result<()> {
    for role in live.roles.iter().filter(|role| **role != spec.role) {
        remove(aws, name, role).await?;
    }
    if !live.roles.contains(&spec.role) {
        add(aws, name, &spec.role).await?;
    }
    retag(aws, name, tags).await
}

async fn add(aws: &Aws, name: &str, role: &str) -> Result<()> {
    let add = aws.iam.add_role_to_instance_profile().instance_profile_name(name).role_name(role);
    match add.send().await.on("iam:AddRoleToInstanceProfile", name) {
        // A role is inside already; the next look tells which.
        Err(err) if err.aws().is_some_and(|aws| aws.code.starts_with("LimitExceeded")) => Ok(()),
        added => added.map(drop),
    }
}

async fn remove(aws: &Aws, name: &str, role: &str) -> Result<()> {
    let remove = aws.iam.remove_role_from_instance_profile().instance_profile_name(name).role_name(role);
    match remove.send().await.on("iam:RemoveRoleFromInstanceProfile", name) {
        Err(err) if err.is_not_found() => Ok(()),
        removed => removed.map(drop),
    }
}

/// Sets and removes tags.
///
/// # Errors
///
/// AWS's refusal.
pub async fn retag(aws: &Aws, name: &str, tags: &TagChanges) -> Result<()> {
    if !tags.set.is_empty() {
        let tag =
            aws.iam.tag_instance_profile().instance_profile_name(name).set_tags(Some(as_tags(&tags.set)));
        tag.send().await.on("iam:TagInstanceProfile", name)?;
    }
    if !tags.remove.is_empty() {
        let untag = aws.iam.untag_instance_profile().instance_profile_name(name);
        let untag = untag.set_tag_keys(Some(tags.remove.clone()));
        untag.send().await.on("iam:UntagInstanceProfile", name)?;
    }
    Ok(())
}

/// Empties a profile and deletes it.
///
/// # Errors
///
/// AWS's refusal.
pub async fn delete(aws: &Aws, name: &str, live: &Live) -> Result<()> {
    for role in &live.roles {
        remove(aws, name, role).await?;
    }
    let delete = aws.iam.delete_instance_profile().instance_profile_name(name);
    delete.send().await.on("iam:DeleteInstanceProfile", name).map(drop)
}
