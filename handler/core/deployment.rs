//! The deployer's settings.

use crate::claim::Timing;
use crate::event::AccountScope;
use crate::properties::Limits;
use crate::resource::{Feature, Kind};
use std::time::Duration;

/// The deployer's settings.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The prefix of all names.
    pub prefix: String,
    /// The region that the function runs in.
    pub region: String,
    /// The permissions boundary of a role unless its stack names another.
    pub boundary: Option<String>,
    /// Boundaries that a stack may name.
    pub allowed_boundaries: Vec<String>,
    /// Managed policies that a stack may attach to its instance role.
    pub allowed_policies: Vec<String>,
    /// Roles that a stack may set for its jobs, `*` as wildcard.
    pub allowed_roles: Vec<String>,
    /// Whether this function may create EFS file systems.
    pub efs: bool,
    /// Whether this function may create FSx file systems.
    pub fsx: bool,
    /// Minimum time for which a replaced generation is kept.
    pub retire_after: Duration,
    /// Durations of permits and calls.
    pub timing: Timing,
    /// The function's log stream, for the Reason.
    pub log_stream: String,
}

impl Deployment {
    /// The limits for a stack of this account.
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

    /// The kinds that it may create.
    pub fn kinds(&self) -> Vec<Kind> {
        let may_make = |kind: &Kind| match kind.traits().feature {
            Some(Feature::Efs) => self.efs,
            Some(Feature::Fsx) => self.fsx,
            None => true,
        };
        Kind::ALL.iter().copied().filter(may_make).collect()
    }
}
