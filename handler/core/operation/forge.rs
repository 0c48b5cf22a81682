//! The claim on a forge that another stack may also name, held while the forge is changed.
//!
//! The gate does not check it. An invocation that takes it over has first taken over the item of the resource, and another
//! stack can take it over only when it is older than any operation.

use super::Operation;
use crate::claim::writer::{self, Gate};
use crate::claim::{Item, forge_key};
use crate::error::Result;
use crate::name::ForgeId;
use crate::port::Cloud;
use crate::reconcile::Outcome;
use crate::table::Updated;
use std::time::Duration;

/// Pause before the forge's item is read again.
const AGAIN: Duration = Duration::from_secs(5);

/// A forge that may be changed.
pub(super) struct ForgeHeld {
    id: ForgeId,
    /// Whether another stack can name the forge.
    is_shared: bool,
}

impl<C: Cloud> Operation<'_, C> {
    /// Waits until no other stack changes the forge, then claims it; or returns the outcome without the forge.
    pub(super) async fn claim_forge(&self, id: &ForgeId) -> Result<Result<ForgeHeld, Outcome>> {
        if !self.intent.can_be_shared(id) {
            return Ok(Ok(ForgeHeld { id: id.clone(), is_shared: false }));
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
                let shows_all = self.wait_for_reads(old.as_ref().map(Item::read)).await;
                let held = ForgeHeld { id: id.clone(), is_shared: true };
                // The next leg takes the forge over as it is, so that it still knows of the other stack.
                let pending = || Outcome::Pending(vec![format!("changes of forge {id} to become visible")]);
                return Ok(if shows_all { Ok(held) } else { Err(pending()) });
            }
            if self.cloud.now().mono + AGAIN >= until {
                let stack = seen.map(|item| item.stack).unwrap_or_default();
                return Ok(Err(Outcome::Pending(vec![format!(
                    "forge {id}, which stack {stack} is changing"
                )])));
            }
            self.cloud.sleep(AGAIN).await;
        }
    }

    /// Waits until reads show everything that another stack did to the forge. Returns whether time was left for that.
    ///
    /// A holder of the same stack that has not released the forge may not have waited.
    async fn wait_for_reads(&self, old: Option<Item>) -> bool {
        let unknown = old.filter(|item| item.busy || item.stack != self.claimant.stack_id);
        let Some(wrote_at) = unknown.and_then(|item| item.wrote_at) else { return true };
        let now = self.cloud.now();
        let wait = self.deployment.timing.read_lag.saturating_sub(now.since(wrote_at));
        let left = self.window.until.saturating_sub(now.mono);
        self.cloud.sleep(wait.min(left)).await;
        wait <= left
    }

    /// Releases the forge when all calls have ended. An invocation that has taken over the resource has also taken over
    /// the forge. If the release fails, the forge is free once the claim is stale.
    pub(super) async fn release_forge(&self, forge: &ForgeHeld, outcome: &Result<Outcome>) {
        if !forge.is_shared || matches!(outcome, Ok(Outcome::Superseded { .. })) {
            return;
        }
        let release = self.claimant.release_forge(forge.id.as_str(), self.cloud.now().wall);
        if let Err(err) = writer::update(self.cloud, &release, self.window.end).await {
            tracing::warn!(error = err.to_string(), forge = forge.id.as_str(), "the forge stays claimed");
        }
    }
}
