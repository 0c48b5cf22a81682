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
use crate::table::{Update, Updated};
use std::time::Duration;

/// Pause before the forge's item is read again.
const AGAIN: Duration = Duration::from_secs(5);

/// A forge that may be changed.
pub(super) struct ForgeHeld {
    id: ForgeId,
    /// Whether another stack can name the forge.
    is_shared: bool,
    /// Whether the holder before had released it. One that died may have written shortly before, so its successor counts as
    /// having written too.
    was_idle: bool,
    /// This invocation's last write before it claimed the forge.
    last_write: Option<Duration>,
}

impl<C: Cloud> Operation<'_, C> {
    /// Waits until no other stack changes the forge, then claims it; or returns the outcome without the forge.
    pub(super) async fn claim_forge(&self, id: &ForgeId) -> Result<Result<ForgeHeld, Outcome>> {
        if !self.intent.can_be_shared(id) {
            let (is_shared, was_idle, last_write) = (false, true, self.last_write.get());
            return Ok(Ok(ForgeHeld { id: id.clone(), is_shared, was_idle, last_write }));
        }
        let key = forge_key(id.as_str());
        let until = self.window.until;
        loop {
            let seen = writer::read(self.cloud, &key, until).await?;
            match self.writer().permit().await {
                Gate::Open(permit) => drop(self.permit.replace(Some(permit))),
                Gate::Superseded { lost_tie } => return Ok(Err(Outcome::Superseded { lost_tie })),
                Gate::Unreachable(_) => {}
            }
            let claim = self.claimant.claim_forge(id.as_str(), seen.as_ref(), self.cloud.now().wall);
            if let Updated::Done(old) = writer::update(self.cloud, &claim, until).await? {
                let old = old.as_ref().map(Item::read);
                let was_idle = old.as_ref().is_none_or(|old| !old.busy);
                let last_write = self.last_write.get();
                let held = ForgeHeld { id: id.clone(), is_shared: true, was_idle, last_write };
                return Ok(match old.filter(|old| self.may_not_be_shown(old)) {
                    Some(old) => self.wait_for_reads(held, &old).await,
                    None => Ok(held),
                });
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

    /// Whether reads may not show everything that another stack did to the forge. A holder of the same stack that has not
    /// released it may not have waited for that.
    fn may_not_be_shown(&self, old: &Item) -> bool {
        old.busy || old.stack != self.claimant.stack_id
    }

    /// Waits until reads show everything that another stack did to the forge. Gives the forge back if there is no time
    /// for that.
    async fn wait_for_reads(&self, held: ForgeHeld, old: &Item) -> Result<ForgeHeld, Outcome> {
        let now = self.cloud.now();
        let since = old.wrote_at.map_or(Duration::MAX, |wrote_at| now.since(wrote_at));
        let wait = self.deployment.timing.read_lag.saturating_sub(since);
        if now.mono + wait <= self.window.until {
            self.cloud.sleep(wait).await;
            return Ok(held);
        }
        let id = &held.id;
        let give_back = self.claimant.give_forge_back(id.as_str(), old);
        self.end_claim(id, &give_back).await;
        self.cloud.sleep(self.window.until.saturating_sub(now.mono)).await;
        Err(Outcome::Pending(vec![format!("changes of forge {id} to become visible")]))
    }

    /// Releases the forge when all calls have ended. An invocation that has taken over the resource has also taken over
    /// the forge. If the release fails, the forge is free once the claim is stale.
    pub(super) async fn release_forge(&self, forge: &ForgeHeld, outcome: &Result<Outcome>) {
        if !forge.is_shared || matches!(outcome, Ok(Outcome::Superseded { .. })) {
            return;
        }
        let written = !forge.was_idle || forge.last_write != self.last_write.get();
        let release = self.claimant.release_forge(forge.id.as_str(), written, self.cloud.now().wall);
        self.end_claim(&forge.id, &release).await;
    }

    async fn end_claim(&self, id: &ForgeId, end: &Update) {
        if let Err(err) = writer::update(self.cloud, end, self.window.end).await {
            tracing::warn!(error = err.to_string(), forge = id.as_str(), "the forge stays claimed");
        }
    }
}
