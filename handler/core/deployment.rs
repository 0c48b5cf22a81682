//! What the deployer of the function decided.

use crate::claim::Timing;
use crate::event::AccountScope;
use crate::properties::Limits;
use crate::resource::{Feature, Kind};
use std::time::Duration;

/// What the deployer of the function decided.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// What every name begins with.
    pub prefix: String,
    /// The region that the function runs in.
    pub region: String,
    /// The permissions boundary that a role gets unless its stack names another.
    pub boundary: Option<String>,
    /// Boundaries that a stack may name.
    pub allowed_boundaries: Vec<String>,
    /// Managed policies that a stack may attach to its instance role.
    pub allowed_policies: Vec<String>,
    /// Roles that a stack may hand to its jobs, `*` as wildcard.
    pub allowed_roles: Vec<String>,
    /// Whether this function may make EFS file systems.
    pub efs: bool,
    /// Whether this function may make FSx file systems.
    pub fsx: bool,
    /// How long a replaced generation is kept at least.
    pub retire_after: Duration,
    /// How long permits and calls last.
    pub timing: Timing,
    /// The function's log stream, for the person who reads a Reason.
    pub log_stream: String,
}

impl Deployment {
    /// What it allows a stack of this account to say.
    pub fn limits(&self, account: &AccountScope) -> Limits {
        let mut allowed_boundaries = self.allowed_boundaries.clone();
        allowed_boundaries.extend(self.boundary.clone());
        Limits {
            region: self.region.clone(),
            account: Some(account.account.clone()),
            name_prefix: self.prefix.clone(),
            allowed_boundaries,
            allowed_policies: self.allowed_policies.clone(),
            allowed_roles: self.allowed_roles.clone(),
            efs: self.efs,
            fsx: self.fsx,
        }
    }

    /// The kinds of which it may make resources.
    pub fn kinds(&self) -> Vec<Kind> {
        let may_make = |kind: &Kind| match kind.traits().feature {
            Some(Feature::Efs) => self.efs,
            Some(Feature::Fsx) => self.fsx,
            None => true,
        };
        Kind::ALL.iter().copied().filter(may_make).collect()
    }
}
