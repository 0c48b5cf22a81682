//! The scripts: steps, one after the other, as data.

pub(crate) mod environments;
pub(crate) mod iam;
pub(crate) mod immediate;
pub(crate) mod queues;
pub(crate) mod storage;

use crate::site::Site;
use tower_forge_core::registry::Write;
use tower_forge_core::resource::ResourceId;

/// One step of a script. Its last one is followed by a [`Step::Settle`].
#[derive(Debug)]
pub(crate) enum Step {
    /// Calls that both sides must take, and time for them to settle; nothing is compared.
    Prepare(Vec<Write>),
    /// A call, and a look at its kind.
    Write(Write),
    /// A job begins on the work queue, in this environment.
    Begin(ResourceId),
    /// The job that began last ends.
    End(ResourceId),
    /// Time until nothing is under way, and a look at each kind that a call was about.
    Settle,
}

/// A description and the steps.
pub(crate) type Script = (&'static str, fn(&Site) -> Vec<Step>);

/// These calls, one after the other.
pub(crate) fn writes<const N: usize>(writes: [Write; N]) -> Vec<Step> {
    writes.map(Step::Write).into()
}

/// The same after some that prepare them.
pub(crate) fn after<const N: usize>(prepared: Vec<Write>, then: [Write; N]) -> Vec<Step> {
    let mut steps = vec![Step::Prepare(prepared)];
    steps.extend(writes(then));
    steps
}
