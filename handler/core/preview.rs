//! `{"plan": <a CloudFormation event>}`: the plan of a request. It changes nothing and sends no response.

use crate::claim::Item;
use crate::deployment::Deployment;
use crate::desired::Context;
use crate::error::{Error, Result, chain};
use crate::event::{Operation, Request};
use crate::intent::{self, Intent};
use crate::inventory::Inventory;
use crate::name::ForgeId;
use crate::network::Network;
use crate::plan::{Action, Plan, plan};
use crate::port::{Cloud, Timestamp};
use crate::properties;
use crate::resource::Kind;
use crate::resources::compute_environment::ComputeEnvironment;
use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// The plan of a request as data and as text, or the error.
pub async fn preview<C: Cloud>(cloud: &C, deployment: &Deployment, request: &Request) -> Value {
    match plan_of(cloud, deployment, request).await {
        Ok(preview) => preview,
        Err(err) => json!({"error": format!("[{}] {}", err.code(), chain(&err))}),
    }
}

async fn plan_of<C: Cloud>(cloud: &C, deployment: &Deployment, request: &Request) -> Result<Value> {
    let now = cloud.now();
    let signed = request.envelope.response_url.signed_at().map_or(now.wall, Timestamp::from_secs);
    let intent = Intent::read(request, deployment, signed);
    let claimant = intent::claimant(request, String::new(), signed.secs(), String::new());
    // Without the claim's table an Update counts as one to a new state.
    let item = cloud.read(&claimant.key).await.ok().flatten();
    let item = item.as_ref().map(Item::read);
    let was_established = claimant.was_established(item.as_ref());
    intent.check(was_established)?;
    let cx = intent.context(&intent.forge);
    let network = match &intent.wanted {
        Some(Ok(wanted)) => cloud.network(wanted, &cx.names).await,
        _ => Ok(Network::default()),
    };
    intent.check_network(&network, was_established)?;
    let names = &cx.names;
    let looks =
        Kind::ALL.iter().map(|kind| async move { Ok::<_, Error>((*kind, cloud.list(*kind, names).await?)) });
    let mut inventory = Inventory::default();
    for (kind, listing) in try_join_all(looks).await? {
        inventory.replace(kind, listing);
    }
    let desired = intent.decide(&cx, &network, &inventory, claimant.is_rollback(item.as_ref()))?;
    let plan = plan(&desired, &inventory, &cx.owner);
    let incoming = intent.incoming.as_ref().filter(|incoming| **incoming != intent.forge);
    let replaces = incoming.filter(|_| intent.wanted.is_some());
    let changed = match &request.operation {
        Operation::Update { old } => changes(old, &request.properties),
        Operation::Create | Operation::Delete => Vec::new(),
    };
    let mut preview = plan.to_json();
    preview["operation"] = json!(request.operation.as_str());
    preview["forge"] = json!(intent.forge.as_str());
    preview["replaces"] = json!(replaces.map(ForgeId::as_str));
    preview["properties"] = json!(changed);
    preview["warnings"] = json!(warnings(&plan, &inventory, replaces, &intent, &cx));
    preview["text"] = json!(plan.to_string());
    Ok(preview)
}

/// The changed properties, with the effect of an Update of each.
fn changes(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<Value> {
    if old.is_empty() {
        return Vec::new();
    }
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    let changed = changed.filter_map(|name| {
        let row = properties::table::find(name)?;
        let effects: Vec<&str> = row.effects.iter().map(|effect| effect.name()).collect();
        Some(json!({"name": name, "from": old.get(name), "to": new.get(name), "effect": effects}))
    });
    changed.collect()
}

/// Below this `ServiceTimeout`, an operation that supersedes another one has too little time.
const SHORT: Duration = Duration::from_mins(3);

fn warnings(
    plan: &Plan,
    inventory: &Inventory,
    replaces: Option<&ForgeId>,
    intent: &Intent,
    cx: &Context,
) -> Vec<String> {
    let mut warnings = intent.warnings();
    if intent.service_timeout < SHORT {
        warnings.push(format!(
            "ServiceTimeout is {} s: an operation that supersedes another one may have too little time; give {} s or more",
            intent.service_timeout.as_secs(),
            SHORT.as_secs()
        ));
    }
    if let Some(old) = replaces {
        warnings.push(format!(
            "forge {old} is replaced: CloudFormation deletes it afterwards, and its running jobs are terminated"
        ));
    }
    let ours = || inventory.all::<ComputeEnvironment>().filter(|(existing, _)| cx.owner.owns(&existing.tags));
    let running = ours().filter(|(_, observed)| !observed.is_idle);
    let running: Vec<&str> = running.map(|(existing, _)| existing.id.name.as_str()).collect();
    let changes_role =
        plan.steps.iter().any(|step| step.id.kind == Kind::Role && matches!(step.action, Action::Update(_)));
    if changes_role && !running.is_empty() {
        warnings.push(format!("rights change at once, also for the jobs that run on {}", running.join(", ")));
    }
    warnings.extend(ours().filter_map(|(existing, _)| {
        let queue = inventory.foreign_referrer(&existing.id)?;
        Some(format!("{} is attached to job queue {queue}, which this forge does not own", existing.id))
    }));
    warnings
}
