//! The start of an operation: it reads the claim, checks with CloudFormation, and claims.

use super::Operation;
use crate::claim::writer::{self, Claimed, Won};
use crate::claim::{Item, Order, Record, Standing, Verb, Waits, waits};
use crate::error::Error;
use crate::event::Envelope;
use crate::name::ForgeId;
use crate::operation::Ended;
use crate::port::{Cloud, Shown, Undelivered};
use crate::table::TableError;
use futures_util::future::join;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long CloudFormation may take to show a new operation; Lambda retries first after a minute.
const SHOWN_WITHIN: Duration = Duration::from_secs(45);
/// How long CloudFormation is asked if it does not reply. Whoever can keep it from replying, by using up the account's rate,
/// must not get a forged operation through.
const KNOWN_WITHIN: Duration = Duration::from_mins(3);
/// Maximum lag of the operation that CloudFormation shows.
pub(super) const SHOWN_LATE: Duration = Duration::from_secs(10);
/// Maximum step back of CloudFormation's clock.
const CLOCK_STEP: i64 = 10;
/// How often CloudFormation is asked whether the stack rolls back before it counts as not rolling back.
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
    /// The state that the last successful operation has established.
    pub(super) recorded: Option<Record>,
    /// Whether an Update restores the state that an earlier operation has established.
    pub(super) is_rollback: bool,
    /// Whether an Update wants a state that was established before, so that the deployer has allowed it.
    pub(super) was_established: bool,
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
    /// It has not replied.
    Unknown,
    /// It shows it; or it has done so before, or cannot show the stack.
    Passed(Shown),
    /// It has not shown it within the allowed time; why the operation fails.
    Failed(Error),
}

impl<C: Cloud> Operation<'_, C> {
    /// Reads, checks with CloudFormation, and claims.
    pub(super) async fn take_claim(&self) -> Result<Begun, Failed> {
        if let Err(err) = self.deployment.check_account(self.request) {
            return ended(self.respond_failure(&err).await);
        }
        let mut check = self.first_check().await?;
        let mut claimant = self.claimant.clone();
        let mut has_asked_again = false;
        let until = self.window.until;
        loop {
            let is_open = matches!(check, Check::Open | Check::Unknown);
            let asked = async { if is_open { Some(self.ask().await) } else { None } };
            let (item, asked) = join(writer::read(self.cloud, &claimant.key, until), asked).await;
            let item = item.map_err(Failed::Table)?;
            if let Some((shown, stack)) = asked {
                check = self.judge(shown, stack.as_deref());
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
                Check::Failed(err) => return ended(self.respond_failure(err).await),
                open => {
                    match self.overdue(open) {
                        // The item is read once more before the answer.
                        Some(err) => check = Check::Failed(err),
                        None => self.cloud.sleep(AGAIN).await,
                    }
                    continue;
                }
            };
            let wanted = self.intent.wanted_forge().map(ForgeId::as_str);
            match writer::claim(self.cloud, &claimant, item.as_ref(), wanted, until).await {
                Ok(Claimed::Won(won)) => return Ok(Begun::Held(self.hold(&won, &shown))),
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

    /// Whether CloudFormation has to be asked: once per operation, and only about a stack that it can show. Whoever sends an
    /// event can add a continuation, but an operation has its claim from nobody else.
    async fn first_check(&self) -> Result<Check, Failed> {
        let is_signed = self.request.envelope.response_url.signed_at().is_some();
        if !is_signed || !self.request.is_of_own_account() {
            return Ok(Check::Passed(Shown::Unknown));
        }
        if self.continuation.is_some() {
            let item = writer::read(self.cloud, &self.claimant.key, self.window.until).await;
            if item.map_err(Failed::Table)?.is_some_and(|item| item.operation == self.claimant.operation) {
                return Ok(Check::Passed(Shown::Unknown));
            }
        }
        Ok(Check::Open)
    }

    /// Why CloudFormation is not asked any longer.
    fn overdue(&self, check: &Check) -> Option<Error> {
        let why = match check {
            Check::Open if self.is_since(SHOWN_WITHIN) => "does not show this operation as in progress",
            Check::Unknown if self.is_over() || self.is_since(KNOWN_WITHIN) => {
                "could not be asked whether it has begun this operation"
            }
            _ => return None,
        };
        Some(Error::Refused(format!("CloudFormation {why}")))
    }

    /// Whether there is no time for another attempt.
    fn is_over(&self) -> bool {
        self.cloud.now().mono + AGAIN >= self.window.until
    }

    /// Whether so much time has passed since the operation was signed.
    fn is_since(&self, duration: Duration) -> bool {
        self.cloud.now().since(self.intent.signed) >= duration
    }

    /// CloudFormation's view of the resource, and the status of the stack if that matters.
    async fn ask(&self) -> (Shown, Option<String>) {
        let Envelope { stack_id, logical_id, .. } = &self.request.envelope;
        let shown = self.cloud.shown(stack_id, logical_id).await;
        let stack = if self.may_be_clean_up(&shown) { self.cloud.stack_status(stack_id).await } else { None };
        (shown, stack)
    }

    /// Whether CloudFormation shows this operation.
    fn judge(&self, shown: Shown, stack: Option<&str>) -> Check {
        let is_clean_up = self.may_be_clean_up(&shown);
        match (&shown, stack) {
            (Shown::Unknown, _) => Check::Unknown,
            (Shown::Denied(err), _) => Check::Failed(err.clone()),
            (Shown::Resource { status, .. }, _) if is_in_progress(self.intent.verb, status) => {
                Check::Passed(shown)
            }
            (_, None) if is_clean_up => Check::Unknown,
            // Before its clean-up a stack may still roll back, and would then need the forge.
            (_, Some(stack)) if is_clean_up && stack.ends_with("_CLEANUP_IN_PROGRESS") => {
                Check::Passed(shown)
            }
            _ => Check::Open,
        }
    }

    /// Whether a Delete may clean up after a replacement: CloudFormation shows another physical ID, as complete.
    fn may_be_clean_up(&self, shown: &Shown) -> bool {
        let Shown::Resource { status, physical_id } = shown else { return false };
        self.intent.verb == Verb::Delete
            && status.ends_with("_COMPLETE")
            && physical_id.is_some()
            && *physical_id != self.request.envelope.physical_id
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
            (Some(_), Check::Unknown) if is_early => Newer::AskAgain(AGAIN),
            (Some(second), Check::Passed(Shown::Resource { status, .. }))
                if is_in_progress(self.intent.verb, status) =>
            {
                // CloudFormation's reply may be older than the operation in the item.
                if has_asked_again { Newer::SignedLate(second + 1) } else { Newer::AskAgain(SHOWN_LATE) }
            }
            _ => Newer::Other,
        }
    }

    /// Takes the permit that the claim gives, and reads the previous item.
    fn hold(&self, won: &Won, shown: &Shown) -> Held {
        self.permit.replace(Some(won.permit(&self.deployment.timing)));
        let old = won.old.as_deref();
        let now = self.cloud.now();
        let handed =
            self.continuation.map(|leg| (leg.by.as_str(), Waits { look: leg.look(), close: leg.close() }));
        let waits = waits(&self.claimant, old, handed, &self.deployment.timing, &now);
        let mut begun: BTreeSet<String> = old.map(|item| item.forges.clone()).unwrap_or_default();
        begun.insert(self.intent.forge.to_string());
        // Of a replacement that failed before there was a table.
        begun.extend(self.intent.previous.as_ref().map(ToString::to_string));
        let recorded = old.and_then(|item| item.record.clone());
        Held {
            look: now.mono + waits.look,
            settled: now.mono + waits.close,
            kept: self.kept(shown, recorded.as_ref().map(|record| record.forge.as_str())),
            begun,
            recorded,
            is_rollback: self.claimant.is_rollback(old),
            was_established: self.claimant.was_established(old),
        }
    }

    /// The forge that is kept although it is not desired: for an Update the one in the request, for a Delete
    /// the one that CloudFormation shows in its place, or the recorded one if CloudFormation cannot show the stack.
    fn kept(&self, shown: &Shown, recorded: Option<&str>) -> Option<String> {
        let own = self.intent.forge.as_str();
        match (self.intent.verb, shown) {
            (Verb::Update, _) => self.intent.incoming.as_ref().map(ToString::to_string),
            (Verb::Delete, Shown::Unknown) if self.continuation.is_some() => self.continuation?.kept.clone(),
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

fn is_in_progress(verb: Verb, status: &str) -> bool {
    let wanted = match verb {
        Verb::Create => "CREATE_IN_PROGRESS",
        Verb::Update => "UPDATE_IN_PROGRESS",
        Verb::Delete => "DELETE_IN_PROGRESS",
    };
    status == wanted
}
