//! The start of an operation: it reads the claim, checks with CloudFormation, and claims.

use super::Operation;
use crate::claim::writer::{self, Claimed};
use crate::claim::{Item, Order, Standing, Verb, Waits, waits};
use crate::error::Error;
use crate::event::AccountScope;
use crate::name::ForgeId;
use crate::operation::Ended;
use crate::port::{Cloud, Shown, Undelivered};
use crate::table::TableError;
use futures_util::future::join;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long CloudFormation may take to show a new operation; Lambda retries first after a minute.
const SHOWN_WITHIN: Duration = Duration::from_secs(45);
/// Maximum lag of the operation that CloudFormation shows.
pub(super) const SHOWN_LATE: Duration = Duration::from_secs(10);
/// Maximum step back of CloudFormation's clock.
const CLOCK_STEP: i64 = 10;
/// How often a Delete asks CloudFormation, whose reply decides which forge it keeps, before it proceeds without a
/// reply.
pub(super) const QUESTIONS: u32 = 4;
/// Pause before CloudFormation is asked again.
pub(super) const AGAIN: Duration = Duration::from_secs(3);

/// The information from the claim.
pub(super) struct Held {
    /// From when on observations count, by the monotonic clock.
    pub(super) look: Duration,
    /// From when on absences count.
    pub(super) settled: Duration,
    /// Every forge that operations on the resource have started to create.
    pub(super) begun: BTreeSet<String>,
    /// The forge that is kept although it is not desired.
    pub(super) kept: Option<String>,
    /// The forge that the last successful operation has established.
    pub(super) recorded: Option<String>,
    /// Whether an Update restores the state that an earlier operation has established.
    pub(super) is_rollback: bool,
}

/// The result of claiming.
pub(super) enum Begun {
    Held(Held),
    Ended(Ended),
}

/// Why there is no claim.
pub(super) enum Failed {
    Table(TableError),
    Undelivered(Undelivered),
}

/// How this operation relates to one that was signed later.
enum Newer {
    /// The other one is the newer one.
    Other,
    /// CloudFormation's reply decides, after this pause.
    AskAgain(Duration),
    /// This one is, and counts as signed in this second.
    SignedLate(i64),
}

/// Whether CloudFormation shows this operation.
enum Check {
    /// It does not show it yet.
    Open,
    /// It shows it, or cannot be asked.
    Passed(Shown),
    /// It does not show it after the allowed time.
    Failed,
}

impl<C: Cloud> Operation<'_, C> {
    /// Reads, checks with CloudFormation, and claims.
    pub(super) async fn take_claim(&self) -> Result<Begun, Failed> {
        let mut check = if self.needs_check() { Check::Open } else { Check::Passed(Shown::Unknown) };
        let mut claimant = self.claimant.clone();
        let mut has_asked_again = false;
        let until = self.window.until;
        loop {
            let asked = async { if matches!(check, Check::Open) { Some(self.shown().await) } else { None } };
            let (item, asked) = join(writer::read(self.cloud, &claimant.key, until), asked).await;
            let item = item.map_err(Failed::Table)?;
            if let Some(shown) = asked {
                check = self.judge(shown);
            }
            match claimant.standing(item.as_ref()) {
                Standing::Answered(body) => return ended(self.put(body).await),
                standing @ (Standing::Superseded | Standing::LostTie) => {
                    match self.weigh(&check, item.as_ref(), has_asked_again) {
                        Newer::Other => return ended(self.lose(standing == Standing::LostTie).await),
                        Newer::AskAgain(pause) => {
                            self.cloud.sleep(pause).await;
                            has_asked_again = matches!(check, Check::Passed(Shown::Resource { .. }));
                            check = Check::Open;
                        }
                        Newer::SignedLate(signed) => {
                            tracing::warn!(
                                "signed before an operation that started earlier; ordered after it"
                            );
                            claimant.signed = signed;
                        }
                    }
                    continue;
                }
                Standing::Free if self.is_held_elsewhere(item.as_ref()) => {
                    return Ok(Begun::Ended(Ended::Silent("another delivery of this leg has the claim")));
                }
                Standing::Free => {}
            }
            let shown = match &check {
                Check::Passed(shown) => shown.clone(),
                Check::Failed => return ended(self.respond_failure(&not_shown()).await),
                // Once over, the item is read once more before the answer.
                Check::Open if self.cloud.now().since(self.intent.signed) >= SHOWN_WITHIN => {
                    check = Check::Failed;
                    continue;
                }
                Check::Open => {
                    self.cloud.sleep(AGAIN).await;
                    continue;
                }
            };
            let wanted = self.intent.wanted_forge().map(ForgeId::as_str);
            match writer::claim(self.cloud, &claimant, item.as_ref(), wanted, until).await {
                Ok(Claimed::Won(old)) => return Ok(Begun::Held(self.held(old.as_deref(), &shown))),
                Ok(Claimed::Refused) => {}
                Err(err) => return Err(Failed::Table(err)),
            }
        }
    }

    /// Whether a leg was delivered twice and the other delivery continues it. That delivery has separate retries and a
    /// dead letter, and two chains of legs would take the claim from each other until time runs out.
    fn is_held_elsewhere(&self, item: Option<&Item>) -> bool {
        let (Some(item), Some(leg)) = (item, self.continuation) else { return false };
        let is_own_retry = item.by.split('/').next() == Some(self.lambda.request_id.as_str());
        item.operation == self.claimant.operation && item.by != leg.by && !is_own_retry
    }

    /// Whether to ask CloudFormation: once per operation, and only about a stack that it can show.
    fn needs_check(&self) -> bool {
        let is_signed = self.request.envelope.response_url.signed_at().is_some();
        let own = AccountScope::of(&self.request.envelope.stack_id).as_ref() == Some(&self.request.account);
        self.continuation.is_none() && is_signed && own
    }

    async fn shown(&self) -> Shown {
        let questions = if self.intent.verb == Verb::Delete { QUESTIONS } else { 1 };
        for _ in 1..questions {
            match self.ask().await {
                Shown::Unknown => self.cloud.sleep(AGAIN).await,
                shown => return shown,
            }
        }
        self.ask().await
    }

    async fn ask(&self) -> Shown {
        self.cloud.shown(&self.request.envelope.stack_id, &self.request.envelope.logical_id).await
    }

    /// Whether CloudFormation shows this operation.
    fn judge(&self, shown: Shown) -> Check {
        let passes = match &shown {
            // Not to know is no reason to fail an operation; order and claim still protect.
            Shown::Unknown => true,
            Shown::Nothing => false,
            Shown::Resource { status, physical_id } => {
                is_in_progress(self.intent.verb, status)
                    || self.intent.verb == Verb::Delete && self.is_clean_up(status, physical_id.as_deref())
            }
        };
        if passes { Check::Passed(shown) } else { Check::Open }
    }

    /// Whether a Delete cleans up after a replacement: CloudFormation shows another physical ID, as complete.
    fn is_clean_up(&self, status: &str, physical_id: Option<&str>) -> bool {
        status.ends_with("_COMPLETE")
            && physical_id.is_some()
            && physical_id != self.request.envelope.physical_id.as_deref()
    }

    /// Whether the operation in the item, which was signed later, is really the newer one. It is not if CloudFormation's
    /// clock has stepped back in between: then CloudFormation shows this operation.
    ///
    /// Another delivery of an old Update must not take a newer one's place: CloudFormation's reply does not tell the
    /// two apart, so that only a small step counts.
    fn weigh(&self, check: &Check, item: Option<&Item>, has_asked_again: bool) -> Newer {
        let order = item.and_then(|item| item.order.as_ref());
        let other_verb =
            order.and_then(Order::rank).is_some_and(|rank| Verb::of_rank(rank) != self.intent.verb);
        let second = order.and_then(Order::second);
        let second = second.filter(|second| other_verb && *second <= self.claimant.signed + CLOCK_STEP);
        let is_early = self.cloud.now().since(self.intent.signed) < SHOWN_WITHIN;
        match (second, check) {
            (Some(_), Check::Passed(Shown::Unknown)) if self.needs_check() && is_early => {
                Newer::AskAgain(AGAIN)
            }
            (Some(second), Check::Passed(Shown::Resource { status, .. }))
                if is_in_progress(self.intent.verb, status) =>
            {
                // CloudFormation's reply may be older than the operation in the item.
                if has_asked_again { Newer::SignedLate(second + 1) } else { Newer::AskAgain(SHOWN_LATE) }
            }
            _ => Newer::Other,
        }
    }

    fn held(&self, old: Option<&Item>, shown: &Shown) -> Held {
        let now = self.cloud.now();
        let handed =
            self.continuation.map(|leg| (leg.by.as_str(), Waits { look: leg.look(), close: leg.close() }));
        let waits = waits(&self.claimant, old, handed, &self.deployment.timing, &now);
        let mut begun: BTreeSet<String> = old.map(|item| item.forges.clone()).unwrap_or_default();
        begun.insert(self.intent.forge.to_string());
        // Of a replacement that failed before there was a table.
        begun.extend(self.intent.previous.as_ref().map(ToString::to_string));
        let recorded = old.and_then(|item| item.record.as_ref()).map(|record| record.forge.clone());
        Held {
            look: now.mono + waits.look,
            settled: now.mono + waits.close,
            kept: self.kept(shown, recorded.as_deref()),
            begun,
            recorded,
            is_rollback: self.claimant.is_rollback(old),
        }
    }

    /// The forge that is kept although it is not desired: for an Update the one in the request, for a Delete
    /// the one that CloudFormation shows in its place.
    fn kept(&self, shown: &Shown, recorded: Option<&str>) -> Option<String> {
        let own = self.intent.forge.as_str();
        match (self.intent.verb, shown) {
            (Verb::Update, _) => self.intent.incoming.as_ref().map(ToString::to_string),
            (Verb::Delete, _) if self.continuation.is_some() => self.continuation?.kept.clone(),
            (Verb::Delete, Shown::Resource { status, physical_id }) if status != "DELETE_IN_PROGRESS" => {
                physical_id.clone().filter(|id| id != own)
            }
            (Verb::Delete, Shown::Unknown) => recorded.filter(|forge| *forge != own).map(str::to_owned),
            (Verb::Create | Verb::Delete, _) => None,
        }
    }
}

fn ended(ended: Result<Ended, Undelivered>) -> Result<Begun, Failed> {
    ended.map(Begun::Ended).map_err(Failed::Undelivered)
}

fn not_shown() -> Error {
    Error::Refused("CloudFormation does not show this operation as in progress".to_owned())
}

fn is_in_progress(verb: Verb, status: &str) -> bool {
    let wanted = match verb {
        Verb::Create => "CREATE_IN_PROGRESS",
        Verb::Update => "UPDATE_IN_PROGRESS",
        Verb::Delete => "DELETE_IN_PROGRESS",
    };
    status == wanted
}
