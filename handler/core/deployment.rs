//! The deployer's settings.

use crate::claim::Timing;
use crate::error::{Error, Result};
use crate::event::{AccountScope, Request};
use crate::properties::{Allowed, Limits};
use crate::resource::{Feature, Kind};
use std::time::Duration;

/// The deployer's settings.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The prefix of all names.
    pub prefix: String,
    /// The region that the function runs in.
    pub region: String,
    /// The accounts, besides its own, whose stacks may use the function; `*` is any.
    pub stack_accounts: Vec<String>,
    /// The permissions boundary of a role unless its stack names another.
    pub boundary: Option<String>,
    /// What stacks may name. The boundary above is among them.
    pub allowed: Allowed,
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
    /// Refuses a stack of another account unless the deployer allows that account: CloudFormation does not show such stacks,
    /// so that nobody could tell whether it has sent the request.
    ///
    /// # Errors
    ///
    /// What the deployer would have to allow.
    pub fn check_account(&self, request: &Request) -> Result<()> {
        let account = AccountScope::of(&request.envelope.stack_id).map(|scope| scope.account);
        let is_allowed =
            |account: &String| self.stack_accounts.iter().any(|one| one == account || one == "*");
        if request.is_of_own_account() || account.as_ref().is_some_and(is_allowed) {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "StackId: given a stack of account {}, allowed: {}; the deployer of the function can allow it with the template \
             parameter StackAccounts",
            account.unwrap_or_default(),
            request.account.account
        )))
    }

    /// The limits for a stack of this account.
    pub fn limits(&self, account: &AccountScope) -> Limits {
        Limits {
            region: self.region.clone(),
            account: account.clone(),
            name_prefix: self.prefix.clone(),
            allowed: self.allowed.clone(),
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
