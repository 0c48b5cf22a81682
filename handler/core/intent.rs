//! PURE. One request, parsed once, and the desired state that follows from it and from the observed state.
//!
//! [`Intent::decide`] is called by the operation and by its preview alike, so a preview cannot differ.

use crate::attributes::attributes;
use crate::claim::{Claimant, Verb, hex, resource_key};
use crate::deployment::Deployment;
use crate::desired::{self, Context, Draft, desired, desired_while_deleting};
use crate::error::{Error, Result};
use crate::event::{AccountScope, Operation, Request, rfc3339};
use crate::inventory::Inventory;
use crate::name::{COMPLETED_TAG, ForgeId, Names, Pool, RoleKind};
use crate::network::Network;
use crate::owner::Owner;
use crate::port::Timestamp;
use crate::properties::{self, Limits, Properties};
use crate::registry::Desired;
use crate::resource::{Kind, ResourceId};
use crate::resources::fsx::Fsx;
use crate::respond::{LIMIT, Response};
use crate::warnings::warnings;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

/// The longest time that CloudFormation waits, in seconds.
const SERVICE_TIMEOUT: i32 = 3600;

/// One request, parsed. No `Debug`: a `NoEcho` parameter may be among the properties.
#[derive(Clone)]
pub struct Intent {
    /// Create, Update or Delete.
    pub verb: Verb,
    /// The forge that the request is about: for a Delete the one that goes, otherwise the one that is wanted.
    pub forge: ForgeId,
    /// The forge that came with the request.
    pub incoming: Option<ForgeId>,
    /// The forge that the old properties stand for.
    pub previous: Option<ForgeId>,
    /// The ID that a response bears if the operation fails: of a Create the new forge's, so that the Delete that
    /// follows finds the half-made forge; otherwise the one that came, or CloudFormation would delete its forge.
    pub physical_id: String,
    /// The properties, or all their faults; `None` for a Delete.
    pub wanted: Option<Result<Properties>>,
    /// When the operation was signed.
    pub signed: Timestamp,
    /// How long CloudFormation waits.
    pub service_timeout: Duration,
    /// Whether a file system would become smaller, which only a rollback may ask for.
    pub shrinks: bool,
    disposes: Result<bool>,
    /// Whether a forge of the old properties goes with its Delete.
    disposed: bool,
    dropped_tags: BTreeSet<String>,
    stack_id: String,
    logical_id: String,
    account: AccountScope,
    region: String,
    prefix: String,
    boundary: Option<String>,
    unanswerable: Option<Error>,
    limits: Limits,
    /// Made at the first look, because many invocations end before.
    draft: OnceLock<Draft>,
}

impl Intent {
    /// Reads a request that was signed at `signed`.
    pub fn read(request: &Request, deployment: &Deployment, signed: Timestamp) -> Self {
        let raw = &request.properties;
        let empty = Map::new();
        let old = match &request.operation {
            Operation::Update { old } => old,
            Operation::Create | Operation::Delete => &empty,
        };
        let is_update = matches!(request.operation, Operation::Update { .. });
        let limits = deployment.limits(&request.account);
        let parse = |raw: &Map<String, Value>| {
            let faults = |faults: Vec<properties::Fault>| faults.iter().map(ToString::to_string).collect();
            properties::parse(raw, &limits).map_err(|all| Error::Invalid(faults(all)))
        };
        let wanted = (!matches!(request.operation, Operation::Delete)).then(|| parse(raw));
        let old_properties = is_update.then(|| parse(old));
        let incoming = request.envelope.physical_id.as_deref().and_then(ForgeId::parse);
        let forge = forge_of(request, old, incoming.as_ref());
        let mut intent = Self {
            verb: verb_of(&request.operation),
            previous: is_update.then(|| id_of(request, old)),
            physical_id: request.envelope.physical_id.clone().unwrap_or_else(|| forge.to_string()),
            signed,
            service_timeout: service_timeout(raw),
            disposes: properties::dispose_on_deletion(raw)
                .map_err(|fault| Error::Invalid(vec![fault.to_string()])),
            disposed: properties::dispose_on_deletion(old).unwrap_or(false),
            shrinks: shrinks(wanted.as_ref(), old_properties.as_ref()),
            dropped_tags: dropped_tags(wanted.as_ref(), old_properties.as_ref()),
            stack_id: request.envelope.stack_id.clone(),
            logical_id: request.envelope.logical_id.clone(),
            account: request.account.clone(),
            region: deployment.region.clone(),
            prefix: deployment.prefix.clone(),
            boundary: deployment.boundary.clone(),
            unanswerable: None,
            limits: limits.clone(),
            draft: OnceLock::new(),
            forge,
            incoming,
            wanted,
        };
        if let Some(Ok(wanted)) = &intent.wanted {
            let cx = intent.context(&intent.forge);
            intent.unanswerable = Self::check_response(&cx, wanted, request).err();
        }
        intent
    }

    /// The forge that is wanted at the end.
    pub fn wanted_forge(&self) -> Option<&ForgeId> {
        (self.verb != Verb::Delete).then_some(&self.forge)
    }

    /// Whether a forge is wanted that the request does not name as the one that stands.
    fn creates(&self) -> bool {
        self.verb != Verb::Delete && self.incoming.as_ref() != Some(&self.forge)
    }

    /// The forge that CloudFormation will delete because this request replaces it.
    fn replaced(&self) -> Option<&str> {
        self.incoming.as_ref().filter(|_| self.creates() && self.disposed).map(ForgeId::as_str)
    }

    /// Whether another stack may name a forge of this resource too.
    pub fn can_be_shared(&self, forge: &ForgeId) -> bool {
        !forge.is_derived(&self.stack_id, &self.logical_id)
    }

    /// The names, owner and place of a forge of this request.
    pub fn context(&self, forge: &ForgeId) -> Context {
        Context {
            names: Names::new(&self.prefix, forge.clone()),
            owner: Owner {
                forge_id: forge.to_string(),
                stack_id: self.stack_id.clone(),
                logical_id: self.logical_id.clone(),
                // Also a forge that an earlier operation named: it may have adopted a part.
                adopts: self.can_be_shared(forge),
            },
            partition: self.account.partition.clone(),
            region: self.region.clone(),
            account: self.account.account.clone(),
            boundary: self.boundary.clone(),
            since: rfc3339(self.signed),
            dropped_tags: self.dropped_tags.clone(),
            withheld_tags: self.withheld_tags(),
        }
    }

    /// Refuses properties that are unreadable or that would make the response too long.
    fn check_form(&self) -> Result<()> {
        match (&self.wanted, &self.unanswerable) {
            (Some(Err(err)), _) | (_, Some(err)) => Err(err.clone()),
            _ => Ok(()),
        }
    }

    /// The same before AWS is asked, and what goes beyond the deployment's limits: the function asks nothing about names that
    /// a stack may not use. A state that was established before (`was_established`) is not held to the limits, because a
    /// deployment that allows less must not keep a stack from returning to it.
    ///
    /// # Errors
    ///
    /// All faults of the properties, or by how much the response would be too long.
    pub fn check(&self, was_established: bool) -> Result<()> {
        self.check_form()?;
        match &self.wanted {
            Some(Ok(wanted)) if !was_established => invalid(&self.limits.beyond(wanted)),
            _ => Ok(()),
        }
    }

    /// The same of the network that was looked up. One that could not be is needed or not, which shows later.
    ///
    /// # Errors
    ///
    /// Everything in it that goes beyond the limits.
    pub fn check_network(&self, network: &Result<Network>, was_established: bool) -> Result<()> {
        match (&self.wanted, network) {
            (Some(Ok(wanted)), Ok(network)) if !was_established => {
                invalid(&self.limits.allowed.network_faults(wanted, network, &self.account, &self.stack_id))
            }
            _ => Ok(()),
        }
    }

    /// Refuses to begin another forge if the deployment has as many as are allowed. One that this request replaces and
    /// CloudFormation then deletes does not count.
    fn check_number(&self, inventory: &Inventory) -> Result<()> {
        let most = self.limits.allowed.max_forges;
        let has_begun = !inventory.resources.is_empty();
        let others = inventory.other_forges(self.replaced());
        if has_begun || !self.creates() || others < most {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "this deployment has {others} forges, allowed: up to {most}; the deployer of the function can allow more with the \
             template parameter MaxForges"
        )))
    }

    fn withheld_tags(&self) -> BTreeSet<String> {
        let wanted = self.wanted.as_ref().and_then(|wanted| wanted.as_ref().ok());
        let keys = wanted.into_iter().flat_map(|wanted| wanted.tags.keys());
        keys.filter(|key| !self.limits.allowed.is_role_tag(key)).cloned().collect()
    }

    /// The warnings about the wanted properties.
    pub fn warnings(&self) -> Vec<String> {
        let wanted = self.wanted.as_ref().and_then(|wanted| wanted.as_ref().ok());
        wanted.map(warnings).unwrap_or_default()
    }

    /// The desired state of the forge that the request is about; `cx` is its context. A file system that has grown stays as
    /// it is where an Update undoes another one (`is_rollback`), and afterwards, when the template still names the old size.
    ///
    /// # Errors
    ///
    /// Why that cannot be; nothing has been changed then.
    pub fn decide(
        &self,
        cx: &Context,
        network: &Result<Network>,
        inventory: &Inventory,
        is_rollback: bool,
    ) -> Result<Vec<Desired>> {
        self.check_form()?;
        let Some(Ok(wanted)) = &self.wanted else { return self.decide_removal(cx, inventory) };
        self.check_number(inventory)?;
        let draft = self.draft.get_or_init(|| Draft::of(cx, wanted));
        let asks_to_shrink = !is_rollback && (self.verb == Verb::Create || self.shrinks);
        let grown = if asks_to_shrink { None } else { grown(cx, wanted, inventory) };
        let mut resources = desired(cx, grown.as_ref().unwrap_or(wanted), draft, network, inventory)?;
        let work_queue = ResourceId::new(Kind::JobQueue, cx.names.queue(Pool::Work));
        if desired::is_released(cx, inventory) {
            desired::put_last(&mut resources, &work_queue);
        }
        // A Delete keeps only a completed forge: a Create that failed is always cleaned up.
        let is_complete = || resources.iter().all(|resource| resource.stands(inventory));
        let completed =
            desired::completed(cx, inventory).or_else(|| is_complete().then_some(&cx.since)).cloned();
        for queue in resources.iter_mut().filter(|resource| resource.id == work_queue) {
            queue.tags.extend(completed.clone().map(|since| (COMPLETED_TAG.to_owned(), since)));
        }
        Ok(resources)
    }

    /// The desired state of a forge that is not wanted: nothing; or all of it, if it is left to another stack.
    ///
    /// # Errors
    ///
    /// `DisposeOnDeletion` cannot be read, and there is something that it might keep.
    pub fn decide_removal(&self, cx: &Context, inventory: &Inventory) -> Result<Vec<Desired>> {
        // Adopted in part by a Create that failed, or already let go: either way it is not this stack's to delete.
        if desired::is_released(cx, inventory) {
            return Ok(desired::released(cx, inventory));
        }
        if desired::is_of_another(cx, inventory) {
            let kept = desired::kept_for_another(inventory);
            let needed = desired_while_deleting(cx, inventory, &kept);
            return Ok([kept, needed].concat());
        }
        let ours = inventory.resources.values().any(|existing| cx.owner.owns(&existing.tags));
        match &self.disposes {
            Err(fault) if ours => Err(fault.clone()),
            Ok(false) if desired::completed(cx, inventory).is_some() => Ok(desired::released(cx, inventory)),
            _ => Ok(desired_while_deleting(cx, inventory, &[])),
        }
    }

    /// Refuses properties whose response would be too long, before anything is created.
    fn check_response(cx: &Context, wanted: &Properties, request: &Request) -> Result<()> {
        const FILE_SYSTEM: &str = "fs-0123456789abcdef0";
        // Values that are not known yet, at their longest: two environments, a role, a template, and file systems.
        let environment = cx.environment_arn(&cx.names.environment(Pool::OnDemand, "01234567"));
        let dns_name = format!("{FILE_SYSTEM}.fsx.{}.amazonaws.com.cn", cx.region);
        let unknown = 2 * environment.len()
            + cx.role_arn(RoleKind::Fleet).len()
            + "lt-0123456789abcdef0".len()
            + 2 * FILE_SYSTEM.len()
            + dns_name.len();
        let attributes = attributes(cx, wanted, &Inventory::default());
        let response = Response::Success { physical_id: cx.names.id().to_string(), attributes };
        let excess = match response.body(&request.envelope) {
            Ok(body) => (body.len() + unknown).saturating_sub(LIMIT),
            Err(excess) => excess + unknown,
        };
        if excess == 0 {
            return Ok(());
        }
        Err(Error::Invalid(vec![format!(
            "NextflowConfig: CloudFormation takes answers of {LIMIT} bytes, and the attributes would be {excess} \
             bytes longer; shorten NextflowConfig, Environment, Volumes or the scripts, or keep the settings in the \
             pipeline's own configuration"
        )]))
    }
}

/// The faults as an error, if there are any.
fn invalid(faults: &[properties::Fault]) -> Result<()> {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

/// The ID that the response of a failed request bears; see [`Intent::physical_id`].
pub fn failure_id(request: &Request) -> String {
    let empty = Map::new();
    let old = match &request.operation {
        Operation::Update { old } => old,
        Operation::Create | Operation::Delete => &empty,
    };
    let incoming = request.envelope.physical_id.clone();
    incoming.unwrap_or_else(|| forge_of(request, old, None).to_string())
}

/// The invocation `by` of an operation that was signed at `signed`, as a claimant.
pub fn claimant(request: &Request, operation: String, signed: i64, by: String) -> Claimant {
    Claimant {
        key: resource_key(&request.envelope.stack_id, &request.envelope.logical_id),
        stack_id: request.envelope.stack_id.clone(),
        logical_id: request.envelope.logical_id.clone(),
        operation,
        signed,
        verb: verb_of(&request.operation),
        digest: digest(&request.properties),
        by,
    }
}

fn verb_of(operation: &Operation) -> Verb {
    match operation {
        Operation::Create => Verb::Create,
        Operation::Update { .. } => Verb::Update,
        Operation::Delete => Verb::Delete,
    }
}

/// The ID that properties stand for.
fn id_of(request: &Request, raw: &Map<String, Value>) -> ForgeId {
    properties::forge_id(raw).and_then(|id| ForgeId::parse(&id)).unwrap_or_else(|| {
        let identity = properties::identity(raw);
        ForgeId::derive(&request.envelope.stack_id, &request.envelope.logical_id, identity.as_ref())
    })
}

fn forge_of(request: &Request, old: &Map<String, Value>, incoming: Option<&ForgeId>) -> ForgeId {
    let raw = &request.properties;
    match (&request.operation, incoming) {
        (Operation::Delete, Some(incoming)) => incoming.clone(),
        // The same forge, even if a later release should derive IDs in another way.
        (Operation::Update { .. }, Some(incoming))
            if properties::forge_id(raw).is_none()
                && properties::forge_id(old).is_none()
                && properties::identity(raw) == properties::identity(old) =>
        {
            incoming.clone()
        }
        _ => id_of(request, raw),
    }
}

/// Keys of tags that the stack used to set and does not set any more.
fn dropped_tags(wanted: Option<&Result<Properties>>, old: Option<&Result<Properties>>) -> BTreeSet<String> {
    let (Some(Ok(wanted)), Some(Ok(old))) = (wanted, old) else { return BTreeSet::new() };
    old.tags.keys().filter(|key| !wanted.tags.contains_key(*key)).cloned().collect()
}

fn shrinks(wanted: Option<&Result<Properties>>, old: Option<&Result<Properties>>) -> bool {
    let (Some(Ok(wanted)), Some(Ok(old))) = (wanted, old) else { return false };
    wanted.fsx_size.is_some() && wanted.fsx_size < old.fsx_size
}

/// The properties with the current size of a file system that has grown: nothing shrinks, and a rollback must not
/// fail for that. `None` if none has grown.
fn grown(cx: &Context, wanted: &Properties, inventory: &Inventory) -> Option<Properties> {
    let (_, observed) = inventory.find::<Fsx>(&cx.names.file_system())?;
    let has_grown = wanted.fsx_size.is_some_and(|size| size < observed.size);
    has_grown.then(|| Properties { fsx_size: Some(observed.size), ..wanted.clone() })
}

/// The property that CloudFormation reads too; a value that it would refuse is its own default.
fn service_timeout(raw: &Map<String, Value>) -> Duration {
    let given = raw.get("ServiceTimeout");
    let text = given.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let seconds =
        text.and_then(|text| text.trim().parse().ok()).filter(|s| (1..=SERVICE_TIMEOUT).contains(s));
    Duration::from_secs(u64::try_from(seconds.unwrap_or(SERVICE_TIMEOUT)).unwrap_or_default())
}

/// A digest of properties that does not depend on the order of their keys, nor on the function's ARN.
fn digest(raw: &Map<String, Value>) -> String {
    let mut properties = raw.clone();
    properties.remove("ServiceToken");
    let mut properties = Value::Object(properties);
    properties.sort_all_objects();
    hex(&Sha256::digest(properties.to_string().as_bytes())[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_timeout_is_read_however_it_is_written() {
        let timeout =
            |value: Value| service_timeout(&Map::from_iter([("ServiceTimeout".to_owned(), value)])).as_secs();
        assert_eq!((timeout(json!("600")), timeout(json!(600))), (600, 600));
        for odd in [json!("0"), json!("many"), json!(4000), json!(null), json!([1])] {
            assert_eq!(timeout(odd), 3600);
        }
    }

    #[test]
    fn a_digest_depends_on_what_is_said_alone() {
        let of = |value: Value| digest(value.as_object().unwrap());
        let first = of(json!({"A": "1", "B": {"x": 1, "y": 2}, "ServiceToken": "old"}));
        assert_eq!(first, of(json!({"B": {"y": 2, "x": 1}, "A": "1", "ServiceToken": "new"})));
        assert_ne!(first, of(json!({"A": "2", "B": {"x": 1, "y": 2}})));
    }
}
