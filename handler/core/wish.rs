//! What a request asks for: which forge, for whom, with which properties; and what is refused before anything is
//! changed.

use crate::attributes::attributes;
use crate::desired::Context;
use crate::error::{Error, Result};
use crate::event::{Operation, Request};
use crate::function::Function;
use crate::inventory::Inventory;
use crate::name::{ForgeId, Line, Names, RoleKind};
use crate::plan::Owner;
use crate::properties::{self, Limits, Properties};
use crate::resource::{Part, Seen, Spec};
use crate::resources::job_queue;
use crate::respond::{Answer, LIMIT};
use aws_smithy_types::date_time::{DateTime, Format};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::time::SystemTime;

/// The ID that an answer bears if the operation fails: of a Create the new forge's, so that the Delete that
/// follows finds what is half-made; otherwise the one that came, or CloudFormation would delete what it names.
pub fn physical_id(request: &Request) -> String {
    let incoming = request.envelope.physical_id.clone();
    incoming.unwrap_or_else(|| wanted_id(request).to_string())
}

/// The ID that the properties of a request stand for.
pub fn id_of(request: &Request, raw: &Map<String, Value>) -> ForgeId {
    properties::forge_id(raw).and_then(|id| ForgeId::parse(&id)).unwrap_or_else(|| {
        let identity = properties::identity(raw);
        ForgeId::derive(&request.envelope.stack_id, &request.envelope.logical_id, identity.as_ref())
    })
}

/// The forge that a request is about: for a Delete the one that goes, otherwise the one that is wanted.
pub fn wanted_id(request: &Request) -> ForgeId {
    let incoming = request.envelope.physical_id.as_deref().and_then(ForgeId::parse);
    let raw = &request.properties;
    match (&request.operation, incoming) {
        (Operation::Delete, Some(incoming)) => incoming,
        // The same forge, even if a later release should derive IDs in another way.
        (Operation::Update { old }, Some(incoming))
            if properties::forge_id(raw).is_none()
                && properties::forge_id(old).is_none()
                && properties::identity(raw) == properties::identity(old) =>
        {
            incoming
        }
        _ => id_of(request, raw),
    }
}

/// Reads the properties of a Create or an Update.
///
/// # Errors
///
/// All faults at once.
pub fn read_properties(function: &Function, request: &Request) -> Result<Properties> {
    let settings = &function.settings;
    let mut allowed_boundaries = settings.allowed_boundaries.clone();
    allowed_boundaries.extend(settings.boundary.clone());
    let limits = Limits {
        region: function.aws.region.clone(),
        account: Some(request.home.account.clone()),
        name_prefix: settings.prefix.clone(),
        allowed_boundaries,
        allowed_policies: settings.allowed_policies.clone(),
        allowed_roles: settings.allowed_roles.clone(),
        efs: settings.efs,
        fsx: settings.fsx,
    };
    properties::parse(&request.properties, &limits)
        .map_err(|faults| Error::Invalid(faults.iter().map(ToString::to_string).collect()))
}

/// What a forge is made for and of.
pub fn context(
    function: &Function,
    request: &Request,
    names: &Names,
    dropped_tags: BTreeSet<String>,
) -> Context {
    let signed = request.envelope.response_url.signed_at().map(DateTime::from_secs);
    let since = signed.unwrap_or_else(|| DateTime::from(SystemTime::now()));
    Context {
        names: names.clone(),
        owner: Owner {
            forge_id: names.id().to_string(),
            stack_id: request.envelope.stack_id.clone(),
            logical_id: request.envelope.logical_id.clone(),
            adopts: properties::forge_id(&request.properties).as_deref() == Some(names.id().as_str()),
        },
        partition: request.home.partition.clone(),
        region: function.aws.region.clone(),
        account: request.home.account.clone(),
        boundary: function.settings.boundary.clone(),
        since: since.fmt(Format::DateTime).unwrap_or_default(),
        dropped_tags,
    }
}

/// Keys of tags that the stack used to set and does not set any more.
pub fn dropped_tags(
    wanted: &Properties,
    old: &Map<String, Value>,
    function: &Function,
    request: &Request,
) -> BTreeSet<String> {
    let old = Request { properties: old.clone(), ..request.clone() };
    let old = read_properties(function, &old).map(|old| old.tags).unwrap_or_default();
    old.into_keys().filter(|key| !wanted.tags.contains_key(key)).collect()
}

/// Refuses a change that no queue can carry across, where the stack has fixed the forge's ID.
///
/// # Errors
///
/// Says what to do instead.
pub fn check_identity(request: &Request, old: &Map<String, Value>, wanted: &ForgeId) -> Result<()> {
    let incoming = request.envelope.physical_id.as_deref().and_then(ForgeId::parse);
    let (before, after) = (properties::identity(old), properties::identity(&request.properties));
    if incoming.as_ref() != Some(wanted)
        || properties::forge_id(&request.properties).is_none()
        || before == after
    {
        return Ok(());
    }
    let (Some(before), Some(after)) = (before, after) else { return Ok(()) };
    let changed = [
        ("Arm64Enabled", before.arm64 != after.arm64),
        ("FargateHeadEnabled", before.fargate_head != after.fargate_head),
        ("SchedulingPolicyArn (whether there is one)", before.scheduling_policy != after.scheduling_policy),
    ];
    let changed: Vec<&str> =
        changed.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect();
    Err(Error::Refused(format!(
        "{} cannot change behind the same queues, and ForgeId fixes them to {wanted}; change ForgeId too, and \
         CloudFormation replaces the forge",
        changed.join(", ")
    )))
}

/// Whether the queues hold what is wanted already, as when the refusal of another identity is rolled back: the
/// first state has never been left then.
pub fn is_behind_queues(wanted: &[Part], there: &Inventory) -> bool {
    let queues = wanted.iter().filter_map(|part| match &part.spec {
        Spec::JobQueue(spec) => Some((spec, there.parts.get(&part.id).and_then(Seen::queue))),
        _ => None,
    });
    let holds = |(spec, live): (&job_queue::Spec, Option<&job_queue::Live>)| {
        live.is_some_and(|live| {
            live.order.first() == spec.order.first()
                && live.scheduling_policy.is_some() == spec.scheduling_policy.is_some()
        })
    };
    queues.into_iter().all(holds)
}

/// Refuses what could not be answered, before anything is made.
///
/// # Errors
///
/// By how many bytes the answer would be too long.
pub fn check_answer(cx: &Context, wanted: &Properties, request: &Request) -> Result<()> {
    const FILE_SYSTEM: &str = "fs-0123456789abcdef0";
    // What is not known yet, at its longest: two environments, a role, a template, and file systems.
    let environment = cx.environment_arn(&cx.names.environment(Line::OnDemand, "01234567"));
    let dns_name = format!("{FILE_SYSTEM}.fsx.{}.amazonaws.com.cn", cx.region);
    let unknown = 2 * environment.len()
        + cx.role_arn(RoleKind::Fleet).len()
        + "lt-0123456789abcdef0".len()
        + 2 * FILE_SYSTEM.len()
        + dns_name.len();
    let attributes = attributes(cx, wanted, &Inventory::default());
    let answer = Answer::Success { physical_id: cx.names.id().to_string(), attributes };
    let excess = match answer.body(&request.envelope) {
        Ok(body) => (body.len() + unknown).saturating_sub(LIMIT),
        Err(excess) => excess + unknown,
    };
    if excess == 0 {
        return Ok(());
    }
    Err(Error::Invalid(vec![format!(
        "NextflowConfig: CloudFormation takes answers of {LIMIT} bytes, and the attributes would be {excess} bytes \
         longer; shorten NextflowConfig, Environment, Volumes or the scripts, or keep the settings in the pipeline's own configuration"
    )]))
}
