//! Responds for an invocation that died without a response: out of memory, a crash at start, retries used up.
//!
//! It changes nothing in AWS. It responds FAILED only if no other invocation will respond.

use crate::claim::writer::{self, Claimed};
use crate::claim::{Claimant, Item, Standing, Timing};
use crate::event::Request;
use crate::intent;
use crate::leg::Continuation;
use crate::port::{Clock, Responder, Table, Undelivered};
use crate::respond::Response;
use crate::table::Updated;
use std::time::Duration;

/// How long the table is tried before the response is sent without it.
const PATIENCE: Duration = Duration::from_mins(1);

/// The invocation that died.
#[derive(Clone, Debug)]
pub struct Died<'a> {
    /// Its request.
    pub request: &'a Request,
    /// The state from an earlier leg.
    pub continuation: Option<&'a Continuation>,
    /// Lambda's request ID, the same for all its retries.
    pub request_id: &'a str,
    /// The reason, for users.
    pub reason: String,
}

/// The result of the dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It has responded.
    Responded,
    /// A newer operation has started, so no response is expected.
    Superseded,
    /// Another invocation holds the claim, and will respond or have its own dead letter.
    Held,
}

/// The next action, given the item.
#[derive(Debug, PartialEq)]
enum Next<'a> {
    /// Respond with this body.
    Respond(String),
    /// Record the failure for this holder.
    FinishFor(&'a str),
    /// Claim: the operation never started.
    Claim,
    /// Do nothing.
    Leave(Answered),
}

/// Responds for an invocation that died.
///
/// # Errors
///
/// CloudFormation could not be reached.
pub async fn answer<W: Table + Clock + Responder>(
    world: &W,
    died: &Died<'_>,
) -> Result<Answered, Undelivered> {
    let until = world.now().mono + PATIENCE;
    let claimant = claimant(world, died);
    let body = failure(died);
    let url = &died.request.envelope.response_url;
    let mut has_waited = false;
    loop {
        // Without the table for so long, silence would be worse than an answer that may contradict another one.
        let Ok(item) = writer::read(world, &claimant.key, until).await else { break };
        let holder = match next(&claimant, item.as_ref(), died, &body) {
            Next::Respond(body) => return world.respond(url, &body).await.map(|()| Answered::Responded),
            // A last claim of the dead invocation may still be under way, and take the name from the other one.
            Next::Leave(Answered::Held) if !std::mem::replace(&mut has_waited, true) => {
                world.sleep(Timing::AWS.call).await;
                continue;
            }
            Next::Leave(answered) => return Ok(answered),
            Next::FinishFor(holder) => holder,
            Next::Claim => match writer::claim(world, &claimant, item.as_ref(), None, until).await {
                Ok(Claimed::Won(_)) => &claimant.by,
                Ok(Claimed::Refused) => continue,
                Err(_) => break,
            },
        };
        let finish = claimant.finish_for(holder, &body, world.now().wall);
        match writer::update(world, &finish, until).await {
            Ok(Updated::Done(_)) | Err(_) => break,
            // Something has happened meanwhile; look again.
            Ok(Updated::Refused(_)) => {}
        }
    }
    world.respond(url, &body).await.map(|()| Answered::Responded)
}

fn next<'a>(claimant: &Claimant, item: Option<&'a Item>, died: &Died<'_>, body: &str) -> Next<'a> {
    match claimant.standing(item) {
        Standing::Answered(body) => return Next::Respond(body),
        Standing::Superseded => return Next::Leave(Answered::Superseded),
        Standing::LostTie => return Next::Respond(body.to_owned()),
        Standing::Free => {}
    }
    let Some(item) = item.filter(|item| item.operation == claimant.operation) else { return Next::Claim };
    let of_the_dead = item.by.split('/').next() == Some(died.request_id);
    // A leg that never claimed leaves the name with the leg before, which has ended.
    let handed = died.continuation.is_some_and(|leg| leg.by == item.by);
    if of_the_dead || handed { Next::FinishFor(&item.by) } else { Next::Leave(Answered::Held) }
}

fn claimant<W: Clock>(world: &W, died: &Died<'_>) -> Claimant {
    let url = &died.request.envelope.response_url;
    let leg = died.continuation;
    let signed = url.signed_at().or(leg.map(|leg| leg.signed)).unwrap_or(world.now().wall.secs());
    let operation = match (url.signed_at(), leg) {
        (None, Some(leg)) => leg.operation.clone(),
        _ => died.request.operation_id(),
    };
    let by = format!("{}/{:016x}", died.request_id, world.random());
    intent::claimant(died.request, operation, signed, by)
}

fn failure(died: &Died<'_>) -> String {
    let physical_id = intent::failure_id(died.request);
    tracing::error!(reason = died.reason, "responding for an invocation that died");
    let response = Response::Failed { physical_id, reason: died.reason.clone() };
    response.body(&died.request.envelope).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::writer::tests::Fake;
    use crate::event::{AccountScope, Envelope, Operation, ResponseUrl, Source};
    use crate::port::Timestamp;
    use futures_util::FutureExt as _;
    use serde_json::Map;

    fn create() -> Request {
        let stack_id = "arn:aws:cloudformation:eu-west-1:123456789012:stack/genomics/1".to_owned();
        let account = AccountScope::of(&stack_id).unwrap();
        let source = Source { region: "eu-west-1".to_owned(), local: true };
        let envelope = Envelope {
            response_url: ResponseUrl::parse("http://127.0.0.1/a?X-Amz-Date=20261124T083000Z", &source)
                .unwrap(),
            stack_id,
            request_id: "r".to_owned(),
            logical_id: "Genomics".to_owned(),
            physical_id: None,
        };
        Request { envelope, operation: Operation::Create, properties: Map::new(), account }
    }

    /// Answers for `dead` while another delivery holds the claim. Returns the result and the number of responses.
    fn answered(is_late: bool) -> (Answered, usize) {
        let request = create();
        let died =
            Died { request: &request, continuation: None, request_id: "dead", reason: "killed".into() };
        let mut world = Fake::new(None);
        let of_the_dead = claimant(&world, &died);
        let now = Timestamp::from_secs(of_the_dead.signed);
        let other = Claimant { by: "other/1".into(), ..of_the_dead.clone() };
        other.claim(None, Some("Cafe"), now).apply(world.item.get_mut());
        let seen = world.item.borrow().as_ref().map(Item::read);
        world.late = is_late.then(|| of_the_dead.claim(seen.as_ref(), Some("Cafe"), now));
        let answered = answer(&world, &died).now_or_never().unwrap().unwrap();
        (answered, world.bodies.into_inner().len())
    }

    #[test]
    fn another_delivery_is_left_alone_unless_a_last_call_of_the_dead_takes_the_name_from_it() {
        assert_eq!(answered(false), (Answered::Held, 0));
        assert_eq!(answered(true), (Answered::Responded, 1));
    }
}
