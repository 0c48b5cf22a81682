//! Create, Update and Delete: one walk with another wish.

use crate::attributes::attributes;
use crate::converge::{Outcome, Walk};
use crate::desired::{self, Context};
use crate::error::{Error, Result};
use crate::event::{Operation, Request};
use crate::function::Function;
use crate::inventory::Inventory;
use crate::name::{COMPLETED_TAG, ForgeId, Line, Names, OPERATION_TAG, RELEASED_TAG};
use crate::network;
use crate::plan::Owner;
use crate::properties::{self, Properties};
use crate::resource::{self, Kind, Live, TagChanges, Tags};
use crate::stack::{self, Verdict, Watch};
use crate::wish::{
    check_answer, check_identity, context, dropped_tags, id_of, is_behind_queues, physical_id,
    read_properties, wanted_id,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// How long a Delete waits before it looks a second time, in seconds: a Create may still be running.
const SECOND_LOOK: f64 = 5.0;

/// How the work of one invocation ended, if nothing went wrong.
#[derive(Debug)]
pub enum Finish {
    /// It is done.
    Done {
        /// The forge.
        physical_id: String,
        /// What `!GetAtt` gives.
        attributes: Map<String, Value>,
    },
    /// Somebody else answers; why.
    Stopped(String),
    /// The invocation's time is over; what is pending.
    Pending(Vec<String>),
}

/// Carries out a request until `until`.
///
/// # Errors
///
/// Why it cannot be done.
pub async fn carry_out(function: &Function, request: &Request, until: Instant) -> Result<Finish> {
    let bench = Bench { function, request, until };
    match &request.operation {
        Operation::Create => bench.make(&Map::new()).await,
        Operation::Update { old } => bench.update(old).await,
        Operation::Delete => bench.delete().await,
    }
}

/// Whether a failed request is not waited for any more: whoever overtook it may be why it failed, and an answer
/// could contradict the one that was heeded. A Create that nobody wants is undone.
///
/// # Errors
///
/// It could not be undone.
pub async fn overtaken(function: &Function, request: &Request, until: Instant) -> Result<Option<Finish>> {
    let bench = Bench { function, request, until };
    let names = Names::new(&function.settings.prefix, wanted_id(request));
    let cx = context(function, request, &names, BTreeSet::new());
    match bench.watch(&names, &cx.owner).last_verdict().await {
        Verdict::GoOn => Ok(None),
        Verdict::Stop(why) => Ok(Some(Finish::Stopped(why))),
        Verdict::Undo(why) => bench.undo(&names, why).await.map(Some),
    }
}

/// What one operation works with.
struct Bench<'a> {
    function: &'a Function,
    request: &'a Request,
    until: Instant,
}

impl Bench<'_> {
    async fn update(&self, old: &Map<String, Value>) -> Result<Finish> {
        let incoming = self.request.envelope.physical_id.as_deref().and_then(ForgeId::parse);
        let wanted = wanted_id(self.request);
        let finish = self.make(old).await?;
        // A replacement that failed answered with the old ID, so nobody will ever delete what it had made.
        let left = id_of(self.request, old);
        if matches!(finish, Finish::Done { .. }) && left != wanted && incoming.as_ref() != Some(&left) {
            let names = Names::new(&self.function.settings.prefix, left);
            let cx = context(self.function, self.request, &names, BTreeSet::new());
            let there = self.walk(&names, &cx.owner).look().await?;
            return match self.clear(&names, there).await? {
                Outcome::Pending(pending) => Ok(Finish::Pending(pending)),
                _ => Ok(finish),
            };
        }
        Ok(finish)
    }

    /// Makes the wanted forge, or brings it to what is wanted.
    async fn make(&self, old: &Map<String, Value>) -> Result<Finish> {
        let Self { function, request, .. } = self;
        let mut wanted = read_properties(function, request)?;
        let names = Names::new(&function.settings.prefix, wanted_id(request));
        let cx = context(function, request, &names, dropped_tags(&wanted, old, function, request));
        check_answer(&cx, &wanted, request)?;
        let walk = self.walk(&names, &cx.owner);
        let (surroundings, there) =
            futures_util::future::join(network::look(&function.aws, &wanted, &names), walk.look()).await;
        let there = there?;
        self.keep_growth(&mut wanted, &names, &there).await;
        let mut watch = self.watch(&names, &cx.owner);
        let wish = |there: &Inventory| desired::desired(&cx, &wanted, &surroundings, there);
        if let Err(refusal) = check_identity(request, old, names.id())
            && !is_behind_queues(&wish(&there)?, &there)
        {
            return Err(refusal);
        }
        let before = read_properties(function, &Request { properties: old.clone(), ..(*request).clone() });
        let rival = |there: &Inventory| {
            desired::desired(&cx, before.as_ref().map_err(Clone::clone)?, &surroundings, there)
        };
        if matches!(request.operation, Operation::Update { .. }) {
            watch.against(&rival);
        }
        let there = match Box::pin(walk.to(there, &wish, &mut watch)).await? {
            Outcome::Done(there) => there,
            Outcome::Pending(pending) => return Ok(Finish::Pending(pending)),
            Outcome::Stopped(why) => return Ok(Finish::Stopped(why)),
            Outcome::Unwanted(why) => return self.undo(&names, why).await,
        };
        match watch.last_verdict().await {
            Verdict::GoOn => {}
            Verdict::Stop(why) => return Ok(Finish::Stopped(why)),
            Verdict::Undo(why) => return self.undo(&names, why).await,
        }
        complete(function, request, &cx, &there).await?;
        Ok(Finish::Done { physical_id: names.id().to_string(), attributes: attributes(&cx, &wanted, &there) })
    }

    /// Takes the size of a file system that has grown as it is where an Update is rolled back: nothing shrinks, and
    /// a rollback must not fail for that.
    async fn keep_growth(&self, wanted: &mut Properties, names: &Names, there: &Inventory) {
        let Some(Live::Fsx(live)) = there.get(Kind::Fsx, &names.file_system()).map(|seen| &seen.live) else {
            return;
        };
        if wanted.fsx_size.is_some_and(|size| size < live.size)
            && stack::is_rolling_back(&self.function.aws, &self.request.envelope.stack_id).await
        {
            wanted.fsx_size = Some(live.size);
        }
    }

    async fn delete(&self) -> Result<Finish> {
        let names = Names::new(&self.function.settings.prefix, wanted_id(self.request));
        let cx = context(self.function, self.request, &names, BTreeSet::new());
        let there = self.walk(&names, &cx.owner).look().await?;
        let ours = there.parts.values().any(|seen| cx.owner.owns(&seen.tags));
        let completed = desired::is_completed(&cx, &there);
        // Adopted in part by a Create that failed, or already let go: either way it is not this stack's to delete.
        if desired::is_released(&cx, &there) {
            release(self.function, &cx, &there).await?;
            return Ok(gone(&physical_id(self.request)));
        }
        match properties::dispose_on_deletion(&self.request.properties) {
            Err(fault) if ours => return Err(Error::Invalid(vec![fault.to_string()])),
            Ok(false) if completed => {
                release(self.function, &cx, &there).await?;
                return Ok(gone(&physical_id(self.request)));
            }
            _ => {}
        }
        let gone = gone(&physical_id(self.request));
        match self.clear(&names, there).await? {
            Outcome::Pending(pending) => return Ok(Finish::Pending(pending)),
            Outcome::Stopped(why) => return Ok(Finish::Stopped(why)),
            // Of a forge that was completed no Create is running any more.
            Outcome::Done(_) | Outcome::Unwanted(_) if completed => return self.unless_answered(gone).await,
            Outcome::Done(_) | Outcome::Unwanted(_) => {}
        }
        tokio::time::sleep(self.function.settings.pace.seconds(SECOND_LOOK)).await;
        let there = self.walk(&names, &cx.owner).look().await?;
        match self.clear(&names, there).await? {
            Outcome::Pending(pending) => Ok(Finish::Pending(pending)),
            Outcome::Stopped(why) => Ok(Finish::Stopped(why)),
            Outcome::Done(_) | Outcome::Unwanted(_) => self.unless_answered(gone).await,
        }
    }

    /// The end of a Delete, unless another delivery of it, or a second leg of the same number, has told it.
    async fn unless_answered(&self, gone: Finish) -> Result<Finish> {
        Ok(overtaken(self.function, self.request, self.until).await?.unwrap_or(gone))
    }

    /// Undoes what a Create that nobody wants any more has made.
    async fn undo(&self, names: &Names, why: String) -> Result<Finish> {
        let cx = context(self.function, self.request, names, BTreeSet::new());
        let there = self.walk(names, &cx.owner).look().await?;
        let released = there.parts.values().any(|seen| seen.tags.contains_key(RELEASED_TAG));
        if released {
            return Ok(Finish::Stopped(why));
        }
        let owner = cx.owner.clone();
        let mut unwatched = Watch::new(&self.function.aws, names, &owner, self.function.settings.pace, None);
        let wish = |there: &Inventory| Ok(desired::desired_while_deleting(&cx, there));
        match Box::pin(self.walk(names, &owner).to(there, &wish, &mut unwatched)).await? {
            Outcome::Pending(pending) => Ok(Finish::Pending(pending)),
            _ => Ok(Finish::Stopped(why)),
        }
    }

    /// Brings a forge to nothing.
    async fn clear(&self, names: &Names, there: Inventory) -> Result<Outcome> {
        let cx = context(self.function, self.request, names, BTreeSet::new());
        let mut watch = self.watch(names, &cx.owner);
        let wish = |there: &Inventory| Ok(desired::desired_while_deleting(&cx, there));
        Box::pin(self.walk(names, &cx.owner).to(there, &wish, &mut watch)).await
    }

    fn walk<'w>(&'w self, names: &'w Names, owner: &'w Owner) -> Walk<'w> {
        Walk {
            aws: &self.function.aws,
            names,
            owner,
            kinds: self.function.kinds(),
            pace: self.function.settings.pace,
            deadline: self.until,
        }
    }

    fn watch<'w>(&'w self, names: &'w Names, owner: &'w Owner) -> Watch<'w> {
        Watch::new(&self.function.aws, names, owner, self.function.settings.pace, Some(self.request))
    }
}

fn gone(physical_id: &str) -> Finish {
    Finish::Done { physical_id: physical_id.to_owned(), attributes: Map::new() }
}

/// Marks a forge as having been completed, for [`release`] and for a Delete that need not look twice, and with the
/// operation that did it: a Delete of an earlier forge of the same ID may still be retried.
async fn complete(function: &Function, request: &Request, cx: &Context, there: &Inventory) -> Result<()> {
    let Some(queue) = there.get(Kind::JobQueue, &cx.names.queue(Line::Work)) else { return Ok(()) };
    if queue.tags.contains_key(COMPLETED_TAG) {
        return Ok(());
    }
    let mut set = Tags::from([(COMPLETED_TAG.to_owned(), cx.since.clone())]);
    let signed = request.envelope.response_url.signed_at();
    set.extend(signed.map(|signed| (OPERATION_TAG.to_owned(), signed.to_string())));
    resource::retag(&function.aws, queue, &TagChanges { set, remove: Vec::new() }).await
}

/// Leaves a forge to whoever names its ID: `DisposeOnDeletion: false`.
async fn release(function: &Function, cx: &Context, there: &Inventory) -> Result<()> {
    let set = Tags::from([(RELEASED_TAG.to_owned(), cx.since.clone())]);
    let tags = TagChanges { set, remove: Vec::new() };
    let ours = there.parts.values().filter(|seen| cx.owner.owns(&seen.tags));
    let unmarked = ours.filter(|seen| !seen.tags.contains_key(RELEASED_TAG));
    let retags = unmarked.map(|seen| resource::retag(&function.aws, seen, &tags));
    let errors: Vec<Error> =
        futures_util::future::join_all(retags).await.into_iter().filter_map(Result::err).collect();
    if errors.is_empty() { Ok(()) } else { Err(Error::all(errors)) }
}
