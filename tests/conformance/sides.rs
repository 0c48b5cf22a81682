//! The two sides of the port, and a script played on both.

use crate::answer;
use crate::aws::clients::Clients;
use crate::aws::registry;
use crate::cloud::{Account, http};
use crate::executor::S;
use crate::rng::Rng;
use crate::scripts::Step;
use crate::site::{GIVEN_ID, Site};
use crate::world::{Mix, World};
use aws_sdk_batch::config::{Credentials, SharedCredentialsProvider};
use serde_json::json;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use tower_forge_core::claim::Timing;
use tower_forge_core::error::{Error, Result};
use tower_forge_core::name::{Names, Pool};
use tower_forge_core::registry::{Call, Desired, Existing, Observed, Write};
use tower_forge_core::resource::{Kind, Listing, MutatingCall as _, ResourceId};
use tower_forge_core::resources::{efs, fsx, launch_template};
use tower_forge_edge::clock::HostClock;
use tower_forge_edge::environment::Access;
use tower_forge_edge::table::ClaimTable;

/// The region of both sides.
const REGION: &str = "eu-west-1";
/// The account of the simulated world.
const SIMULATED_ACCOUNT: &str = "123456789012";
/// How long a script lets time pass, in seconds: longer than AWS takes for anything.
const AGES: u64 = 7200;

/// One side of the port.
trait Side {
    /// Makes one mutating call.
    async fn write(&self, write: &Write) -> Result<()>;
    /// Looks at a kind.
    async fn list(&self, kind: Kind, names: &Names) -> Result<Listing<Observed>>;
    /// A job begins on a queue, in this environment.
    async fn begin_job(&self, queue: &str, environment: &ResourceId);
    /// That job ends.
    async fn end_job(&self, environment: &ResourceId);
    /// Lets time pass until nothing is under way.
    async fn settle(&self);
}

/// The simulated world, without any chance.
struct Simulated(Rc<World>);

impl Side for Simulated {
    async fn write(&self, write: &Write) -> Result<()> {
        let refused =
            |source| Error::Call { action: write.call.action(), name: write.id.name.clone(), source };
        self.0.answer(write).map_err(refused)
    }

    async fn list(&self, kind: Kind, names: &Names) -> Result<Listing<Observed>> {
        Ok(self.0.look(kind, names))
    }

    async fn begin_job(&self, _queue: &str, environment: &ResourceId) {
        self.0.run_jobs(environment, 1, 0);
    }

    async fn end_job(&self, environment: &ResourceId) {
        self.0.run_jobs(environment, 0, 1);
    }

    async fn settle(&self) {
        let sim = &self.0.sim;
        // Time passes only as far as something is to happen.
        sim.at(sim.now() + AGES * S, || {});
        assert!(sim.run(), "the simulated world comes to rest");
    }
}

/// The adapter over an account of the local AWS.
pub(crate) struct Adapter {
    clients: Clients,
    account: Account,
    access: Access,
    job: RefCell<String>,
}

impl Adapter {
    /// The adapter over a new account, in which time stands still.
    pub(crate) async fn new() -> Self {
        let account = Account::fresh();
        // At this scale no test lives to see a second, and the limit of calls per second would never let go.
        let change = json!({"scale": 1e6, "tps": {"batch": null}, "durations": {
            "association_lag": 0, "iam_propagation": 0,
        }});
        account.configure(change).await;
        let credentials = Credentials::new(account.access_key_id(), "secret", None, None, "test");
        let access = Access {
            http: http(),
            credentials: SharedCredentialsProvider::new(credentials),
            region: REGION.to_owned(),
            endpoint: Some(account.url.clone()),
            app: None,
        };
        let config = Clients::configuration(access.clone());
        let clients = Clients::new(&config, &HostClock::start(1.0), &Timing::AWS);
        Self { clients, account, access, job: RefCell::default() }
    }

    /// The claim's table.
    pub(crate) fn table(&self, name: &str) -> ClaimTable {
        ClaimTable::new(&self.access, name.to_owned())
    }

    /// A script's names and numbers in this account.
    async fn site(&self) -> Site {
        let ec2 = &self.clients.read.ec2;
        let subnets = ec2.describe_subnets().send().await.expect("a default VPC").subnets.unwrap_or_default();
        let groups = ec2.describe_security_groups().send().await.expect("its group");
        let group =
            groups.security_groups().first().and_then(|group| group.group_id()).expect("an ID").to_owned();
        Site::new(
            &self.account.id,
            subnets.into_iter().filter_map(|subnet| subnet.subnet_id).collect(),
            group,
        )
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let violations = self.account.violations();
            assert!(violations.is_empty(), "AWS's models do not allow: {violations:#?}");
        }
    }
}

impl Side for Adapter {
    async fn write(&self, write: &Write) -> Result<()> {
        registry::write(&self.clients, write).await
    }

    async fn list(&self, kind: Kind, names: &Names) -> Result<Listing<Observed>> {
        registry::list(&self.clients, kind, names).await
    }

    async fn begin_job(&self, queue: &str, environment: &ResourceId) {
        let (job, place) = self.account.start_job(queue).await;
        assert_eq!(place, environment.name);
        self.job.replace(job);
    }

    async fn end_job(&self, _environment: &ResourceId) {
        let job = self.job.take();
        self.account.end_job(&job).await;
    }

    async fn settle(&self) {
        self.account.configure(json!({ "advance": AGES })).await;
    }
}

/// A step, and the answers of one side.
type Answers = Vec<(String, Vec<String>)>;

/// Plays a script on one side.
async fn answers(of: &impl Side, site: &Site, steps: Vec<Step>) -> Answers {
    let mut answers = Vec::new();
    let mut kinds = BTreeSet::new();
    let mut given = BTreeMap::new();
    for step in steps.into_iter().chain([Step::Settle]) {
        match step {
            Step::Prepare(writes) => {
                for write in writes {
                    of.write(&write).await.unwrap_or_else(|err| panic!("{write:?}: {err:?}"));
                }
                of.settle().await;
            }
            Step::Begin(id) => {
                of.begin_job(&site.names.queue(Pool::Work), &id).await;
                kinds.insert(id.kind);
                answers.push(("a job begins".to_owned(), look(of, site, id.kind).await));
            }
            Step::End(id) => {
                of.end_job(&id).await;
                answers.push(("a job ends".to_owned(), look(of, site, id.kind).await));
            }
            Step::Settle => {
                of.settle().await;
                for kind in &kinds {
                    answers.push((format!("once at rest, {kind}"), look(of, site, *kind).await));
                }
            }
            Step::Write(mut write) => {
                name_it(&mut write, &given);
                let kind = write.id.kind;
                kinds.insert(kind);
                let mut answer = vec![answer::of_write(&site.account, &of.write(&write).await)];
                let listing = of.list(kind, &site.names).await;
                if let Some(found) = listing.as_ref().ok().and_then(|listing| listing.found.first()) {
                    given.insert(kind, found.observed.clone());
                }
                answer.extend(answer::of_list(&site.account, listing));
                answers.push((format!("{} {}", write.call.action(), write.id.name), answer));
            }
        }
    }
    answers
}

async fn look(at: &impl Side, site: &Site, kind: Kind) -> Vec<String> {
    answer::of_list(&site.account, at.list(kind, &site.names).await)
}

/// Puts the ID that a resource was given into a call that stands in a script without it.
fn name_it(write: &mut Write, given: &BTreeMap<Kind, Observed>) {
    use efs::Call as Efs;
    use fsx::Call as Fsx;
    use launch_template::Call as Template;
    let Some(observed) = given.get(&write.id.kind) else { return };
    let (id, name) = match (&mut write.call, observed) {
        (Call::LaunchTemplate(call), Observed::LaunchTemplate(template)) => match &mut **call {
            Template::Delete(id) | Template::Tag { id, .. } | Template::Untag { id, .. } => {
                (id, Some(&template.template_id))
            }
            Template::Create { .. } => return,
        },
        (Call::Efs(call), Observed::Efs(system)) => match &mut **call {
            Efs::DeleteMountTarget(id) => (id, system.mount_targets.values().next()),
            Efs::CreateMountTarget { id, .. }
            | Efs::Tier(id)
            | Efs::Delete(id)
            | Efs::Tag { id, .. }
            | Efs::Untag { id, .. } => (id, Some(&system.id)),
            Efs::Create(_) => return,
        },
        (Call::Fsx(call), Observed::Fsx(system)) => match &mut **call {
            Fsx::Grow { id, .. } | Fsx::Delete(id) => (id, Some(&system.id)),
            Fsx::Tag { arn, .. } | Fsx::Untag { arn, .. } => (arn, Some(&system.arn)),
            Fsx::Create { .. } => return,
        },
        _ => return,
    };
    if let (GIVEN_ID, Some(name)) = (id.as_str(), name) {
        id.clone_from(name);
    }
}

/// The resources that the engine enters without a look, and those that a look then shows on one side.
async fn entered(of: &impl Side, site: &Site, resources: &[Desired]) -> Vec<(Existing, Option<Existing>)> {
    let mut both = Vec::new();
    for resource in resources {
        for write in resource.create() {
            of.write(&write).await.unwrap_or_else(|err| panic!("{write:?}: {err:?}"));
        }
        let shown = of.list(resource.id.kind, &site.names).await.expect("a look");
        let shown = shown.found.into_iter().find(|found| found.id == resource.id);
        let shown = shown.map(|shown| Existing { created: shown.created.map(|_| 0), ..shown });
        both.push((resource.created(0).expect("known without a look"), shown));
    }
    both
}

/// Creates resources on both sides, and compares the entries that the engine makes without a look with those of a look.
pub(crate) async fn enter(resources: fn(&Site) -> Vec<Desired>) -> Vec<(Existing, Option<Existing>)> {
    let (adapter, site) = real().await;
    let mut both = entered(&adapter, &site, &resources(&site)).await;
    let (world, site) = simulated();
    both.extend(entered(&world, &site, &resources(&site)).await);
    both
}

async fn real() -> (Adapter, Site) {
    let adapter = Adapter::new().await;
    let site = adapter.site().await;
    (adapter, site)
}

fn simulated() -> (Simulated, Site) {
    let world = Simulated(World::new(Rng::of_seed(1), false, |_| Mix::default()));
    (world, Site::new(SIMULATED_ACCOUNT, vec!["subnet-1".to_owned()], "sg-1".to_owned()))
}

/// Plays a script on both sides: the differences.
pub(crate) async fn play(script: fn(&Site) -> Vec<Step>) -> Vec<String> {
    let (adapter, site) = real().await;
    let real = answers(&adapter, &site, script(&site)).await;
    let (world, site) = simulated();
    let simulated = answers(&world, &site, script(&site)).await;
    assert_eq!(real.len(), simulated.len());
    let both = real.into_iter().zip(simulated).filter(|(real, simulated)| real != simulated);
    both.map(|((step, real), (_, simulated))| {
        let only = |all: &[String], other: &[String]| -> Vec<String> {
            all.iter().filter(|line| !other.contains(line)).cloned().collect()
        };
        let (real, simulated) = (only(&real, &simulated), only(&simulated, &real));
        format!(
            "  {step}\n    local AWS: {}\n    simulated: {}",
            real.join("\n      "),
            simulated.join("\n      ")
        )
    })
    .collect()
}
