//! The claim on a forge that another stack may name too, around the work on it (rule 11 of the claim).

use super::Operation;
use crate::claim::writer::{self, Gate};
use crate::claim::{Item, forge_key};
use crate::error::Result;
use crate::name::ForgeId;
use crate::port::Cloud;
use crate::reconcile::Outcome;
use crate::table::Updated;
use std::time::Duration;

/// How long to wait before the forge's item is read again.
const AGAIN: Duration = Duration::from_secs(5);

/// A forge that may be worked on.
pub(super) struct ForgeHeld {
    id: ForgeId,
    /// The key of its item; none if no other stack can name it.
    pub(super) key: Option<String>,
}

impl<C: Cloud> Operation<'_, C> {
    /// Waits until no other stack works on a forge, and claims it; or how the operation goes on without.
    pub(super) async fn claim_forge(&self, id: &ForgeId) -> Result<Result<ForgeHeld, Outcome>> {
        if !self.intent.can_be_shared(id) {
            return Ok(Ok(ForgeHeld { id: id.clone(), key: None }));
        }
        let key = forge_key(id.as_str());
        let until = self.window.until;
        loop {
            let seen = writer::read(self.cloud, &key, until).await?;
            if let Gate::Superseded { lost_tie } = self.writer().gate().await {
                return Ok(Err(Outcome::Superseded { lost_tie }));
            }
            let claim = self.claimant.claim_forge(id.as_str(), seen.as_ref(), self.cloud.now().wall);
            if let Updated::Done(old) = writer::update(self.cloud, &claim, until).await? {
                self.wait_for_reads(old.as_ref().map(Item::read)).await;
                return Ok(Ok(ForgeHeld { id: id.clone(), key: Some(key) }));
            }
            if self.cloud.now().mono + AGAIN >= until {
                let stack = seen.map(|item| item.stack).unwrap_or_default();
                return Ok(Err(Outcome::Pending(vec![format!("forge {id}, on which stack {stack} works")])));
            }
            self.cloud.sleep(AGAIN).await;
        }
    }

    /// Waits until reads show all that another stack has done to the forge.
    async fn wait_for_reads(&self, old: Option<Item>) {
        let other = old.filter(|item| item.stack != self.claimant.stack_id);
        let Some(wrote_at) = other.and_then(|item| item.wrote_at) else { return };
        let now = self.cloud.now();
        let wait = self.deployment.timing.read_lag.saturating_sub(now.since(wrote_at));
        self.cloud.sleep(wait.min(self.window.until.saturating_sub(now.mono))).await;
    }

    /// Gives the forge back when all calls have ended. Whoever has taken the resource has taken the forge as well; and
    /// where it cannot be given back, it is free again once the claim is stale.
    pub(super) async fn release_forge(&self, forge: &ForgeHeld, outcome: &Result<Outcome>) {
        if forge.key.is_none() || matches!(outcome, Ok(Outcome::Superseded { .. })) {
            return;
        }
        let release = self.claimant.release_forge(forge.id.as_str(), self.cloud.now().wall);
        if let Err(err) = writer::update(self.cloud, &release, self.window.end).await {
            tracing::warn!(error = err.to_string(), forge = forge.id.as_str(), "the forge stays claimed");
        }
    }
}
