//! Whether the stack still wants what an event asks for, and which of two operations is the newer one.
//!
//! CloudFormation sends Delete while a Create still runs, and a rollback while a cancelled Update still runs;
//! Lambda delivers an event again hours later. Nobody stops the older invocation, so it has to notice by itself.

use crate::aws::Aws;
use crate::error::{Context as _, Result, chain};
use crate::event::{Home, Operation, Request};
use crate::inventory::Inventory;
use crate::name::{Line, Names, OPERATION_TAG};
use crate::plan::Owner;
use crate::resource::{Kind, Part, TagChanges, Tags};
use crate::settings::Pace;
use std::time::Duration;
use tokio::time::Instant;

/// How often CloudFormation is asked, in seconds of AWS.
const EVERY: f64 = 20.0;
/// How long CloudFormation may take to show what it has begun, in seconds; Lambda's first retry comes after a minute.
const YOUNG: i64 = 45;

/// What an invocation should do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    GoOn,
    /// Stop and answer nobody: somebody else has answered, or will.
    Stop(String),
    /// Undo what this invocation has made, and answer nobody.
    Undo(String),
}

/// What another operation on the same forge would want, given what is there.
type Wish<'a> = &'a (dyn Fn(&Inventory) -> Result<Vec<Part>> + Sync);

/// Watches over one invocation.
pub struct Watch<'a> {
    aws: &'a Aws,
    names: &'a Names,
    owner: &'a Owner,
    pace: Pace,
    operation: Option<&'a Request>,
    rival: Option<Wish<'a>>,
    asked: Option<Instant>,
    untaggable: bool,
    raised: bool,
}

impl<'a> Watch<'a> {
    /// Watches over an operation of a stack. Without one, such as when undoing, it always says to go on.
    pub fn new(
        aws: &'a Aws,
        names: &'a Names,
        owner: &'a Owner,
        pace: Pace,
        operation: Option<&'a Request>,
    ) -> Self {
        Self {
            aws,
            names,
            owner,
            pace,
            operation,
            rival: None,
            asked: None,
            untaggable: false,
            raised: false,
        }
    }

    /// Has the fence raised also where nothing is left to do, if `rival` would want something else.
    ///
    /// A rollback may find the first state still untouched, because the Update that it undoes has not got far;
    /// without a fence that Update would go on after the rollback has ended.
    pub fn against(&mut self, rival: Wish<'a>) {
        self.rival = Some(rival);
    }

    /// Says whether to go on: before the first change and then at every look.
    pub async fn verdict(&mut self, there: &Inventory) -> Verdict {
        if let (Some(mine), Some(newest)) = (self.mine(), self.newest(there))
            && newest > mine
        {
            return Verdict::Stop("a newer operation on this forge has begun".to_owned());
        }
        let due = self.asked.is_none_or(|asked| asked.elapsed() >= self.pace.seconds(EVERY));
        if !due {
            return Verdict::GoOn;
        }
        self.asked = Some(Instant::now());
        self.last_verdict().await
    }

    /// Says whether to go on by what CloudFormation shows at this moment: also right before an answer, because a
    /// Delete may have begun meanwhile that has not seen the last parts.
    pub async fn last_verdict(&self) -> Verdict {
        let Some(request) = self.operation else { return Verdict::GoOn };
        match resource_status(self.aws, request).await {
            Shown::As(status) => judge(&request.operation, &status),
            Shown::Nowhere => gone(request),
            Shown::Unknown => Verdict::GoOn,
        }
    }

    /// Whether an operation that may still run at the same time would want something else than `wanted`.
    pub fn is_contested(&self, wanted: &[Part], there: &Inventory) -> bool {
        self.rival.is_some_and(|rival| rival(there).is_ok_and(|other| other != wanted))
    }

    /// Raises the fence before the first change: tags the work queue with this operation. Returns whether it has
    /// just been raised; an older operation may have acted until then, so the caller has to look again.
    pub async fn raise(&mut self, there: &Inventory) -> bool {
        // A Create marks the queue when it completes it.
        if self.untaggable
            || self.operation.is_none_or(|request| matches!(request.operation, Operation::Create))
        {
            return false;
        }
        let Some(mine) = self.mine() else { return false };
        let Some(queue) = there.get(Kind::JobQueue, &self.names.queue(Line::Work)) else { return false };
        if !self.owner.owns(&queue.tags) || self.newest(there) == Some(mine) {
            return false;
        }
        let set = Tags::from([(OPERATION_TAG.to_owned(), mine.to_string())]);
        let tags = TagChanges { set, remove: Vec::new() };
        if let Err(err) = crate::resource::retag(self.aws, queue, &tags).await {
            tracing::warn!(error = %chain(&err), "the work queue could not be tagged with this operation");
            self.untaggable = true;
            return false;
        }
        // Whoever is newer may have ended meanwhile, and its tag may just have been overwritten.
        self.asked = None;
        self.raised = true;
        true
    }

    /// Whether the Update that this operation undoes may still have had a call under way when the fence was raised.
    pub async fn has_overtaken(&self) -> bool {
        match self.operation {
            Some(request) if self.raised && self.rival.is_some() => {
                is_rolling_back(self.aws, &request.envelope.stack_id).await
            }
            _ => false,
        }
    }

    /// When the operation began, as its URL says.
    fn mine(&self) -> Option<i64> {
        self.operation?.envelope.response_url.signed_at()
    }

    /// The newest operation that has raised the fence.
    fn newest(&self, there: &Inventory) -> Option<i64> {
        let queue = there.get(Kind::JobQueue, &self.names.queue(Line::Work))?;
        queue.tags.get(OPERATION_TAG).filter(|_| self.owner.owns(&queue.tags))?.parse().ok()
    }
}

/// What CloudFormation shows of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shown {
    /// With this status.
    As(String),
    /// There is no such resource, or no such stack.
    Nowhere,
    /// It cannot be told.
    Unknown,
}

async fn resource_status(aws: &Aws, request: &Request) -> Shown {
    let ask = aws
        .cloudformation
        .describe_stack_resource()
        .stack_name(&request.envelope.stack_id)
        .logical_resource_id(&request.envelope.logical_id)
        .customize()
        .config_override(impatient());
    match ask.send().await.on("cloudformation:DescribeStackResource", &request.envelope.logical_id) {
        Ok(found) => {
            let status = found.stack_resource_detail.and_then(|detail| detail.resource_status);
            status.map_or(Shown::Unknown, |status| Shown::As(status.as_str().to_owned()))
        }
        Err(err) => {
            tracing::debug!(error = chain(&err), "CloudFormation does not tell the state of the resource");
            let nowhere = err.aws().is_some_and(|aws| aws.message.contains("does not exist"));
            if nowhere { Shown::Nowhere } else { Shown::Unknown }
        }
    }
}

/// Not to know is no reason to wait for long.
fn impatient() -> aws_sdk_cloudformation::config::Builder {
    use aws_sdk_cloudformation::config::{retry::RetryConfig, timeout::TimeoutConfig};
    aws_sdk_cloudformation::Config::builder()
        .retry_config(RetryConfig::standard().with_max_attempts(2))
        .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(5)).build())
}

/// What it means that CloudFormation knows no such resource: a retry that comes after the end of it.
///
/// Not believed while the request is so young that CloudFormation may not show everywhere yet what it has just
/// begun, nor of another account's stack, which the function cannot see.
fn gone(request: &Request) -> Verdict {
    let old = request.envelope.age().is_some_and(|age| age >= YOUNG);
    let visible = Home::of(&request.envelope.stack_id).as_ref() == Some(&request.home);
    let why = || "CloudFormation knows no such resource any more".to_owned();
    match &request.operation {
        _ if !old || !visible => Verdict::GoOn,
        Operation::Create => Verdict::Undo(why()),
        Operation::Update { .. } => Verdict::Stop(why()),
        Operation::Delete => Verdict::GoOn,
    }
}

/// What a status of the resource means for an operation on it.
fn judge(operation: &Operation, status: &str) -> Verdict {
    let text = format!("CloudFormation shows the resource as {status}");
    match operation {
        Operation::Create if status.starts_with("DELETE_") || status == "CREATE_FAILED" => {
            Verdict::Undo(text)
        }
        Operation::Create if status != "CREATE_IN_PROGRESS" => Verdict::Stop(text),
        Operation::Update { .. }
            if !status.ends_with("_IN_PROGRESS")
                || status.starts_with("CREATE_")
                || status.starts_with("DELETE_") =>
        {
            Verdict::Stop(text)
        }
        // Another delivery of this Delete has been answered for.
        Operation::Delete if matches!(status, "DELETE_COMPLETE" | "DELETE_FAILED") => Verdict::Stop(text),
        // A Delete of a replaced resource comes while the new one is shown, so no other status speaks against it.
        _ => Verdict::GoOn,
    }
}

/// Whether a stack is in the middle of an operation; `None` where it cannot be told.
pub async fn is_in_progress(aws: &Aws, stack_id: &str) -> Option<bool> {
    Some(stack_status(aws, stack_id).await?.ends_with("_IN_PROGRESS"))
}

/// Whether a stack is undoing an Update, as far as can be told.
pub async fn is_rolling_back(aws: &Aws, stack_id: &str) -> bool {
    stack_status(aws, stack_id).await.is_some_and(|status| status.starts_with("UPDATE_ROLLBACK"))
}

async fn stack_status(aws: &Aws, stack_id: &str) -> Option<String> {
    let ask =
        aws.cloudformation.describe_stacks().stack_name(stack_id).customize().config_override(impatient());
    let found = ask.send().await.ok()?;
    let status = found.stacks.unwrap_or_default().into_iter().next()?.stack_status?;
    Some(status.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_create_whose_stack_has_gone_on_stops_or_undoes() {
        let create = Operation::Create;
        assert_eq!(judge(&create, "CREATE_IN_PROGRESS"), Verdict::GoOn);
        assert!(matches!(judge(&create, "DELETE_IN_PROGRESS"), Verdict::Undo(_)));
        assert!(matches!(judge(&create, "DELETE_COMPLETE"), Verdict::Undo(_)));
        assert!(matches!(judge(&create, "CREATE_FAILED"), Verdict::Undo(_)));
        assert!(matches!(judge(&create, "CREATE_COMPLETE"), Verdict::Stop(_)));
        assert!(matches!(judge(&create, "UPDATE_COMPLETE"), Verdict::Stop(_)));
        assert!(matches!(judge(&create, "UPDATE_IN_PROGRESS"), Verdict::Stop(_)));
    }

    #[test]
    fn an_update_whose_stack_has_gone_on_stops() {
        let update = Operation::Update { old: serde_json::Map::new() };
        assert_eq!(judge(&update, "UPDATE_IN_PROGRESS"), Verdict::GoOn);
        for status in ["UPDATE_COMPLETE", "UPDATE_FAILED", "DELETE_IN_PROGRESS", "CREATE_IN_PROGRESS"] {
            assert!(matches!(judge(&update, status), Verdict::Stop(_)), "{status}");
        }
    }

    #[test]
    fn a_delete_is_stopped_only_by_its_own_end() {
        for status in ["DELETE_IN_PROGRESS", "UPDATE_COMPLETE", "CREATE_COMPLETE"] {
            assert_eq!(judge(&Operation::Delete, status), Verdict::GoOn);
        }
        for status in ["DELETE_COMPLETE", "DELETE_FAILED"] {
            assert!(matches!(judge(&Operation::Delete, status), Verdict::Stop(_)));
        }
    }
}
