//! The one walk behind Create, Update, Delete and rollback: look, plan, act, wait, until a fresh plan is empty.
//!
//! *Guarantees.* Nothing is remembered between invocations, so any walk may be broken off and begun again.
//! Steps that do not depend on each other are taken side by side. All that is pending is looked at with one
//! call per kind and tick.

use crate::aws::Aws;
use crate::error::{AwsError, Error, Result, chain};
use crate::inventory::Inventory;
use crate::name::Names;
use crate::plan::{Action, Owner, Plan, Step, plan};
use crate::resource::{self, Kind, Part, PartId, Seen};
use crate::settings::Pace;
use crate::stack::{Verdict, Watch};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How long IAM may take to tell the other services of a role, in seconds; two minutes have been seen.
const IAM_LAG: f64 = 150.0;
/// How long a refusal that AWS takes back is believed, in seconds.
const PATIENCE: f64 = 180.0;
/// How long an accepted change may stay invisible before it is made again, in seconds.
const VISIBLE: f64 = 10.0;
/// How often the same change is made before it is said not to converge.
const TRIES: u32 = 6;
/// How many compute environments, and how many job queues, an account has at most in a region.
const BATCH_QUOTA: usize = 50;
/// How long a step of an operation that has been overtaken may still be under way, in seconds.
const UNDER_WAY: f64 = 20.0;
/// How long permissions by tag may take to know a part just made, in seconds.
const TAG_LAG: f64 = 60.0;

/// How a walk ended, if nothing went wrong.
#[derive(Debug)]
pub enum Outcome {
    /// All is as wanted; this is what is there.
    Done(Inventory),
    /// The invocation's time is over; what is pending.
    Pending(Vec<String>),
    /// Somebody else goes on; why.
    Stopped(String),
    /// The stack does not want it any more; why.
    Unwanted(String),
}

/// One walk.
#[derive(Debug)]
pub struct Walk<'a> {
    /// The clients.
    pub aws: &'a Aws,
    /// The forge.
    pub names: &'a Names,
    /// Whose it is.
    pub owner: &'a Owner,
    /// The kinds to look at.
    pub kinds: BTreeSet<Kind>,
    /// How fast time passes.
    pub pace: Pace,
    /// When the walk has to be broken off.
    pub deadline: Instant,
}

/// What one invocation has tried. Ages of what AWS made come from AWS.
#[derive(Debug, Default)]
struct Memory {
    accepted: BTreeMap<(PartId, &'static str), (Instant, u32)>,
    refused: BTreeMap<PartId, (Instant, String)>,
    made: BTreeMap<PartId, Instant>,
    repairs: BTreeMap<PartId, u32>,
    failed: BTreeMap<PartId, Error>,
    progress: Option<Instant>,
    ticks: u32,
}

impl Walk<'_> {
    /// Walks until all is as `wish` wants it, given what is there; `there` is a first look at all kinds.
    ///
    /// # Errors
    ///
    /// What cannot be done; everything that did not depend on it has been done.
    pub async fn to(
        &self,
        mut there: Inventory,
        wish: &(dyn Fn(&Inventory) -> Result<Vec<Part>> + Sync),
        watch: &mut Watch<'_>,
    ) -> Result<Outcome> {
        let mut memory = Memory::default();
        let mut looked_twice = false;
        loop {
            match watch.verdict(&there).await {
                Verdict::GoOn => {}
                Verdict::Stop(why) => return Ok(Outcome::Stopped(why)),
                Verdict::Undo(why) => return Ok(Outcome::Unwanted(why)),
            }
            let wanted = wish(&there)?;
            let plan = plan(&wanted, &there, self.owner);
            // Each kind has been looked at since it was last acted on, so this plan is a fresh one.
            let done = plan.is_done();
            refuse(&plan, &there)?;
            if (!done || watch.is_contested(&wanted, &there)) && watch.raise(&there).await {
                there = self.look().await?;
                continue;
            }
            if done && !looked_twice && watch.has_overtaken().await {
                looked_twice = true;
                tokio::time::sleep(self.pace.seconds(UNDER_WAY)).await;
                there = self.look().await?;
                continue;
            }
            if done {
                return Ok(Outcome::Done(there));
            }
            // What has come to rest by itself is not held against it when it is refused again.
            memory.refused.retain(|id, _| plan.steps.iter().any(|step| step.id == *id));
            let steps = self.choose(&plan, &there, &mut memory)?;
            let acted = self.act(&steps, &wanted, &there, &mut memory).await?;
            let mut stale: BTreeSet<Kind> =
                plan.settling.iter().map(|(id, _)| id.kind).chain(acted.iter().copied()).collect();
            stale.extend(memory.refused.keys().map(|id| id.kind));
            stale.extend(plan.ready().map(|step| step.id.kind));
            if there.of(Kind::JobQueue).next().is_some() {
                // The fence stands there.
                stale.insert(Kind::JobQueue);
            }
            // What IAM and EC2 make is there at once; Batch and the file systems take their time.
            if acted.iter().any(|kind| !takes_time(*kind)) {
                self.refresh(&mut there, &stale).await?;
                continue;
            }
            if steps.is_empty()
                && plan.settling.is_empty()
                && plan.ready().all(|step| memory.failed.contains_key(&step.id))
            {
                return Err(stuck(memory, &plan));
            }
            let pause = self.pause(&there, &mut memory);
            if Instant::now() + pause >= self.deadline {
                return Ok(Outcome::Pending(last_words(&plan, &memory)));
            }
            tokio::time::sleep(pause).await;
            self.refresh(&mut there, &stale).await?;
        }
    }

    /// Looks at all kinds for the first time.
    ///
    /// # Errors
    ///
    /// AWS's refusal.
    pub async fn look(&self) -> Result<Inventory> {
        let mut there = Inventory::default();
        self.refresh(&mut there, &self.kinds).await?;
        Ok(there)
    }

    /// Looks at some kinds. A service that throttles or fails is asked again, which costs nothing but time: the
    /// SDK has given up after about a minute, and a stack would be rolled back for it.
    async fn refresh(&self, there: &mut Inventory, kinds: &BTreeSet<Kind>) -> Result<()> {
        let begun = Instant::now();
        loop {
            let looked = there.refresh(self.aws, self.names, kinds).await;
            let pause = self.pace.seconds(5.0);
            match looked {
                Err(err) if self.passes(&err, begun) && Instant::now() + pause < self.deadline => {
                    tracing::warn!(forge = self.names.id().as_str(), error = chain(&err), "looks again");
                    tokio::time::sleep(pause).await;
                }
                looked => return looked,
            }
        }
    }

    fn passes(&self, err: &Error, since: Instant) -> bool {
        err.aws().is_some_and(|aws| {
            aws.is_throttled() || aws.is_failure() && since.elapsed() < self.pace.seconds(PATIENCE)
        })
    }

    /// The steps to take now: those that are ready and were not just taken.
    fn choose<'p>(&self, plan: &'p Plan, there: &Inventory, memory: &mut Memory) -> Result<Vec<&'p Step>> {
        let mut steps = Vec::new();
        for step in plan.ready() {
            if memory.failed.contains_key(&step.id) {
                continue;
            }
            if let (Action::Delete, Some(queue)) = (&step.action, self.foreign_holder(step, there)) {
                let text = format!(
                    "{} is held by job queue {queue}, which is not of this forge; take it out of that queue, \
                     then delete again",
                    step.id
                );
                memory.failed.insert(step.id.clone(), Error::Refused(text));
                continue;
            }
            let key = (step.id.clone(), step.action.word());
            if let Some((when, tries)) = memory.accepted.get(&key) {
                if when.elapsed() < self.pace.seconds(VISIBLE) {
                    continue;
                }
                // Repairs and deletions are bounded by time: Batch accepts them and fails later.
                if *tries >= TRIES && matches!(step.action, Action::Create | Action::Update(_)) {
                    return Err(Error::NotConverging(step.id.to_string()));
                }
            }
            steps.push(step);
        }
        Ok(steps)
    }

    /// Takes steps side by side. Returns the kinds that were acted on.
    ///
    /// A refusal that AWS takes back is noted; another one stops what is being made at once, and what is being
    /// unmade only where it stands.
    async fn act(
        &self,
        steps: &[&Step],
        wanted: &[Part],
        there: &Inventory,
        memory: &mut Memory,
    ) -> Result<BTreeSet<Kind>> {
        let repairs = memory.repairs.clone();
        let acts = steps.iter().map(|step| {
            let part = wanted.iter().find(|part| part.id == step.id);
            let repairs = repairs.get(&step.id).copied().unwrap_or_default();
            Box::pin(async move {
                let begun = Instant::now();
                let done = self.take(step, part, there, repairs).await;
                log(self.names, step, begun.elapsed(), done.as_ref().err());
                done
            })
        });
        let results: Vec<Result<()>> = futures_util::future::join_all(acts).await;
        let mut failures = Vec::new();
        for (step, result) in steps.iter().zip(results) {
            let id = step.id.clone();
            match result {
                Ok(()) => {
                    memory.progress = Some(Instant::now());
                    memory.refused.remove(&id);
                    let tries = memory
                        .accepted
                        .entry((id.clone(), step.action.word()))
                        .or_insert((Instant::now(), 0));
                    *tries = (Instant::now(), tries.1 + 1);
                    match step.action {
                        Action::Create => drop(memory.made.insert(id, Instant::now())),
                        Action::Repair(_) if !self.is_lagging(&id, there) => {
                            *memory.repairs.entry(id).or_default() += 1;
                        }
                        _ => {}
                    }
                }
                Err(err) => match self.settles(&err, &id, memory) {
                    Some(why) => {
                        let since = memory.refused.get(&id).map_or_else(Instant::now, |(since, _)| *since);
                        memory.refused.insert(id, (since, why));
                    }
                    None if matches!(step.action, Action::Disable | Action::Delete) => {
                        memory.failed.insert(id, err);
                    }
                    None => failures.push(err),
                },
            }
        }
        if failures.is_empty() {
            Ok(steps.iter().map(|step| step.id.kind).collect())
        } else {
            Err(Error::all(failures))
        }
    }

    async fn take(&self, step: &Step, part: Option<&Part>, there: &Inventory, repairs: u32) -> Result<()> {
        let seen = there.parts.get(&step.id);
        match (&step.action, part, seen) {
            (Action::Create, Some(part), _) => resource::create(self.aws, part).await,
            (Action::Update(_), Some(part), Some(seen)) => resource::update(self.aws, part, seen).await,
            (Action::Repair(why), _, Some(seen)) => self.repair(seen, there, why, repairs).await,
            (Action::Disable | Action::Delete, _, Some(seen)) => resource::delete(self.aws, seen).await,
            _ => Ok(()),
        }
    }

    /// Has Batch look again at an environment that IAM's lag has made INVALID.
    ///
    /// As long as IAM may be lagging its role is named again; then twice more; then it is made anew once, if no
    /// queue holds it. Whether naming the same role is enough is not documented, making it anew is.
    async fn repair(&self, seen: &Seen, there: &Inventory, why: &str, repairs: u32) -> Result<()> {
        let Some(live) = seen.environment() else { return Ok(()) };
        let held = there.holders(&seen.id).next().is_some();
        let name = &seen.id.name;
        match repairs {
            _ if self.is_lagging(&seen.id, there) => {
                crate::resources::compute_environment::repair(self.aws, name, live).await
            }
            0 | 1 => crate::resources::compute_environment::repair(self.aws, name, live).await,
            // Disable, then delete; the next plan makes it anew.
            2 | 3 if !held => resource::delete(self.aws, seen).await,
            _ => Err(Error::Broken { part: seen.id.to_string(), why: why.to_owned() }),
        }
    }

    /// Whether what an environment refers to in IAM is so young that Batch may not know it yet.
    fn is_lagging(&self, id: &PartId, there: &Inventory) -> bool {
        let refs = there.parts.get(id).into_iter().flat_map(|seen| &seen.refs);
        let created = refs.filter_map(|id| there.parts.get(id)?.created()).max();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let age = created.map(|at| now.saturating_sub(Duration::from_secs(at.unsigned_abs())));
        age.is_some_and(|age| self.pace.aws_seconds(age) < IAM_LAG)
    }

    /// Why a refusal will pass, if it will.
    fn settles(&self, err: &Error, id: &PartId, memory: &Memory) -> Option<String> {
        let source: &AwsError = err.aws()?;
        let fresh = memory.made.get(id).is_some_and(|made| made.elapsed() < self.pace.seconds(TAG_LAG));
        if source.is_denied() {
            return fresh.then(|| "permissions by tag do not know it yet".to_owned());
        }
        let why = source.settles()?;
        let since = memory.refused.get(id).map(|(since, _)| since.elapsed()).unwrap_or_default();
        // How long an account stays throttled is not ours to judge.
        (source.is_throttled() || since < self.pace.seconds(PATIENCE))
            .then(|| format!("{why}: {}", source.message))
    }

    /// How long to wait before the next look.
    ///
    /// Two seconds at first, five after a while, longer for what takes minutes; and in proportion to how many
    /// environments and queues of the account are in transition, because all share 50 calls a second with
    /// Nextflow. The jitter comes from the forge's ID.
    fn pause(&self, there: &Inventory, memory: &mut Memory) -> Duration {
        let begun = *memory.progress.get_or_insert_with(Instant::now);
        let waited = self.pace.aws_seconds(begun.elapsed());
        let base = match waited {
            ..30.0 => 2.0,
            ..120.0 => 5.0,
            _ => 12.0,
        };
        #[allow(clippy::cast_precision_loss)] // at most a hundred
        let crowd = there.busy as f64 * 0.15;
        memory.ticks += 1;
        let seed = self
            .names
            .id()
            .as_str()
            .bytes()
            .fold(memory.ticks, |hash, byte| hash.wrapping_mul(31) ^ u32::from(byte));
        let jitter = 0.9 + 0.2 * f64::from(seed % 1000) / 1000.0;
        self.pace.seconds(f64::max(base, crowd) * jitter)
    }

    /// The queue of somebody else that holds an environment which is to go.
    fn foreign_holder(&self, step: &Step, there: &Inventory) -> Option<String> {
        if step.id.kind != Kind::ComputeEnvironment {
            return None;
        }
        let held = there.foreign_holders.iter().find(|(_, environment)| *environment == step.id.name);
        let named_like_ours = || there.holders(&step.id).find(|holder| !self.owner.owns(&holder.tags));
        held.map(|(queue, _)| queue.clone())
            .or_else(|| named_like_ours().map(|holder| holder.id.name.clone()))
    }
}

fn last_words(plan: &Plan, memory: &Memory) -> Vec<String> {
    let mut words = plan.pending();
    words.extend(memory.refused.iter().map(|(id, (_, why))| format!("{id}: {why}")));
    words.extend(memory.failed.values().map(chain));
    words
}

fn takes_time(kind: Kind) -> bool {
    matches!(kind, Kind::ComputeEnvironment | Kind::JobQueue | Kind::Efs | Kind::Fsx)
}

/// Fails on what no waiting mends.
fn refuse(plan: &Plan, there: &Inventory) -> Result<()> {
    let conflicts = plan
        .conflicts
        .iter()
        .map(|(id, owner)| Error::NotOurs { part: id.to_string(), owner: owner.clone() });
    let broken = plan.broken.iter().map(|(id, why)| Error::Broken { part: id.to_string(), why: why.clone() });
    let full =
        [full(plan, Kind::ComputeEnvironment, there.environments), full(plan, Kind::JobQueue, there.queues)];
    let errors: Vec<Error> = conflicts.chain(broken).chain(full.into_iter().flatten()).collect();
    if errors.is_empty() { Ok(()) } else { Err(Error::all(errors)) }
}

/// Whether the account has no room for what is to be made; better said at once than by the last part of a forge.
fn full(plan: &Plan, kind: Kind, has: usize) -> Option<Error> {
    let to_make =
        plan.steps.iter().filter(|step| step.id.kind == kind && step.action == Action::Create).count();
    (to_make > 0 && has + to_make > BATCH_QUOTA).then(|| {
        Error::Refused(format!(
            "this account and region has {has} {kind}s, {to_make} more are needed, and Batch allows \
             {BATCH_QUOTA}, which cannot be raised; delete some, or use another region"
        ))
    })
}

fn stuck(memory: Memory, plan: &Plan) -> Error {
    let failed: Vec<Error> = memory.failed.into_values().collect();
    if failed.is_empty() { Error::NotConverging(plan.pending().join("; ")) } else { Error::all(failed) }
}

/// One line for each step.
fn log(names: &Names, step: &Step, took: Duration, err: Option<&Error>) {
    let forge = names.id().as_str();
    let part = step.id.to_string();
    let (action, milliseconds) = (step.action.word(), u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    match err {
        None => tracing::info!(forge, part, action, milliseconds, outcome = "accepted", why = step.why),
        Some(err) => {
            let error = chain(err);
            tracing::warn!(forge, part, action, milliseconds, outcome = "refused", error);
        }
    }
}
