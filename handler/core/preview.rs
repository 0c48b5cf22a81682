//! `{"plan": <a CloudFormation event>}`: what a request would do. Changes nothing and answers nobody.

use crate::desired;
use crate::error::{Result, chain};
use crate::event::{Event, Home, Operation, Request};
use crate::function::{Function, Invocation};
use crate::inventory::Inventory;
use crate::name::{ForgeId, Names};
use crate::network;
use crate::plan::{Plan, plan};
use crate::properties;
use crate::resource::Kind;
use crate::wish;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The plan of a request, as data and as text; or why there is none.
pub async fn preview(function: &Function, event: Value, invocation: &Invocation) -> Value {
    let mut request = match Event::read(with_url(event), true) {
        Event::Request(request) => request,
        Event::Malformed(_, why) | Event::Unanswerable(why) => return json!({"error": why}),
        Event::Plan(_) | Event::Sweep => {
            return json!({"error": "only a request of CloudFormation can be previewed"});
        }
    };
    if let Some(home) = Home::of(&invocation.function_arn) {
        request.home = home;
    }
    match plan_of(function, &request).await {
        Ok(preview) => preview,
        Err(err) => json!({"error": format!("[{}] {}", err.code(), chain(&err))}),
    }
}

/// A preview answers nobody, so an event without a response URL, or with any, will do.
fn with_url(mut event: Value) -> Value {
    if event.is_object() {
        event["ResponseURL"] = json!("http://127.0.0.1/nobody");
    }
    event
}

async fn plan_of(function: &Function, request: &Request) -> Result<Value> {
    let wanted = wish::wanted_id(request);
    let names = Names::new(&function.settings.prefix, wanted.clone());
    let mut there = Inventory::default();
    let (cx, plan, changed) = if request.operation.wants_forge() {
        let properties = wish::read_properties(function, request)?;
        let old = match &request.operation {
            Operation::Update { old } => old.clone(),
            _ => Map::new(),
        };
        let dropped = wish::dropped_tags(&properties, &old, function, request);
        let cx = wish::context(function, request, &names, dropped);
        wish::check_answer(&cx, &properties, request)?;
        let surroundings = network::look(&function.aws, &properties, &names).await;
        there.refresh(&function.aws, &names, &function.kinds()).await?;
        let parts = desired::desired(&cx, &properties, &surroundings, &there)?;
        if let Err(refusal) = wish::check_identity(request, &old, &wanted)
            && !wish::is_behind_queues(&parts, &there)
        {
            return Err(refusal);
        }
        let plan = plan(&parts, &there, &cx.owner);
        (cx, plan, changes(&old, &request.properties))
    } else {
        let cx = wish::context(function, request, &names, BTreeSet::new());
        there.refresh(&function.aws, &names, &function.kinds()).await?;
        let plan = plan(&[], &there, &cx.owner);
        (cx, plan, Vec::new())
    };
    let incoming = request.envelope.physical_id.as_deref().and_then(ForgeId::parse);
    let replaces = incoming.filter(|incoming| *incoming != wanted && request.operation.wants_forge());
    let mut preview = plan.to_json();
    preview["operation"] = json!(request.operation.word());
    preview["forge"] = json!(wanted.as_str());
    preview["replaces"] = json!(replaces.as_ref().map(ForgeId::as_str));
    preview["properties"] = json!(changed);
    preview["warnings"] = json!(warnings(&plan, &there, replaces.as_ref(), &cx));
    preview["text"] = json!(plan.to_string());
    Ok(preview)
}

/// Which properties differ, with what an Update of each does.
fn changes(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<Value> {
    if old.is_empty() {
        return Vec::new();
    }
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    let changed = changed.filter_map(|name| {
        let row = properties::table::find(name)?;
        Some(json!({"name": name, "from": old.get(name), "to": new.get(name), "effect": row.effects.iter().map(|effect| effect.name()).collect::<Vec<_>>()}))
    });
    changed.collect()
}

fn warnings(
    plan: &Plan,
    there: &Inventory,
    replaces: Option<&ForgeId>,
    cx: &desired::Context,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(old) = replaces {
        warnings.push(format!(
            "forge {old} is replaced: CloudFormation deletes it afterwards, and its running jobs end"
        ));
    }
    let running = there.of(Kind::ComputeEnvironment).filter(|seen| {
        cx.owner.owns(&seen.tags) && seen.environment().is_some_and(|live| live.is_idle() == Some(false))
    });
    let running: Vec<&str> = running.map(|seen| seen.id.name.as_str()).collect();
    let roles = plan.steps.iter().any(|step| step.id.kind == Kind::Role && step.action.word() == "update");
    if roles && !running.is_empty() {
        warnings.push(format!("rights change at once, also for the jobs that run on {}", running.join(", ")));
    }
    warnings
}
