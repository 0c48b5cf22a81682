//! The calls of the table and of AWS, on a world in memory.

use super::*;
use crate::claim::tests::{claim, claimant, finish as finished, seen};
use crate::claim::{Verb, claim_for_sweep, release};
use crate::error::ServiceError;
use crate::event::ResponseUrl;
use crate::leg::Continuation;
use crate::name::Names;
use crate::network::Network;
use crate::port::{Clock, Now, Responder, Shown, Sweepable, Timestamp, Undelivered};
use crate::properties::Properties;
use crate::registry::{Call, Observed};
use crate::resource::{Kind, Listing, ResourceId};
use crate::resources::log_group;
use crate::table::Attributes;
use futures_util::FutureExt as _;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// A table that may refuse its first calls, a clock that only pauses move, and an AWS that refuses everything.
pub(crate) struct Fake {
    pub(crate) item: RefCell<Option<Attributes>>,
    failures: Cell<u32>,
    error: TableError,
    slept: Cell<Duration>,
    /// A call of somebody else that takes effect during a pause.
    pub(crate) late: Option<Update>,
    /// The responses that were sent.
    pub(crate) bodies: RefCell<Vec<String>>,
}

impl Fake {
    /// A table with this item, which refuses nothing.
    pub(crate) fn new(item: Option<Attributes>) -> Self {
        Self::failing(item, 0, TableError::Unreachable(String::new()))
    }

    fn failing(item: Option<Attributes>, failures: u32, error: TableError) -> Self {
        Self {
            item: RefCell::new(item),
            failures: Cell::new(failures),
            error,
            slept: Cell::default(),
            late: None,
            bodies: RefCell::default(),
        }
    }

    fn try_once(&self) -> Result<(), TableError> {
        match self.failures.get() {
            0 => Ok(()),
            left => {
                self.failures.set(left - 1);
                Err(self.error.clone())
            }
        }
    }
}

impl Clock for Fake {
    fn now(&self) -> Now {
        Now { mono: self.slept.get(), wall: Timestamp::from_secs(100), scale: 1.0 }
    }

    async fn sleep(&self, pause: Duration) {
        self.slept.set(self.slept.get() + pause);
        if let Some(late) = &self.late {
            late.apply(&mut self.item.borrow_mut());
        }
    }

    fn random(&self) -> u64 {
        7
    }
}

impl Table for Fake {
    async fn read(&self, _key: &str) -> Result<Option<Attributes>, TableError> {
        self.try_once().map(|()| self.item.borrow().clone())
    }

    async fn update(&self, update: &Update) -> Result<Updated, TableError> {
        self.try_once().map(|()| update.apply(&mut self.item.borrow_mut()))
    }
}

#[test]
fn a_table_that_is_away_is_tried_again_as_long_as_there_is_time() {
    let tried = |error: &TableError, failures: u32| {
        let away = || Fake::failing(None, failures, error.clone());
        let (first, second) = (away(), away());
        let until = Duration::from_secs(10);
        let read = read(&first, "resource#1", until).now_or_never().unwrap().is_ok();
        let release = release("resource#1", "1/1", Timestamp::from_secs(100));
        let updated = update(&second, &release, until).now_or_never().unwrap().is_ok();
        assert_eq!((read, first.slept.get()), (updated, second.slept.get()));
        (read, first.slept.get().as_secs())
    };
    let away = TableError::Unreachable("throttled".to_owned());
    assert_eq!(tried(&away, 3), (true, 6));
    assert_eq!(tried(&away, 99), (false, 8), "a further try would come too late");
    assert_eq!(tried(&TableError::Gone("claims".to_owned()), 1), (false, 0));
}

#[test]
fn an_outcome_that_was_recorded_before_is_the_response_and_that_of_another_operation_is_not() {
    let mut item = None;
    let (create, delete) = (claimant(Verb::Create, 10, "c", "1/1"), claimant(Verb::Delete, 200, "d", "2/1"));
    let respond = |item: &Option<Attributes>| {
        let world = Fake::new(item.clone());
        let end = End { body: "made again".into(), ..End::default() };
        finish(&world, &create, &end, Duration::ZERO).now_or_never().unwrap().unwrap()
    };
    assert!(claim(&mut item, &create, None) && finished(&mut item, &create, "made"));
    // The answer of that was lost, and a sweep has taken the name since.
    claim_for_sweep("resource#1", "sweep/1", Timestamp::from_secs(100)).apply(&mut item);
    assert!(matches!(respond(&item), Finished::Respond(body) if body == "made"));
    let now = seen(item.as_ref());
    assert!(claim(&mut item, &delete, now.as_ref()) && finished(&mut item, &delete, "gone"));
    assert!(matches!(respond(&item), Finished::Superseded { lost_tie: false }));
}

impl Responder for Fake {
    async fn respond(&self, _url: &ResponseUrl, body: &str) -> Result<(), Undelivered> {
        self.bodies.borrow_mut().push(body.to_owned());
        Ok(())
    }
}

/// AWS refuses every call with the name of its resource as the code.
impl Cloud for Fake {
    async fn write(&self, _permit: &Permit, write: &Write) -> Result<()> {
        let source = ServiceError { code: write.id.name.clone(), ..ServiceError::default() };
        Err(Error::Call { action: "logs:Any", name: "x".into(), source })
    }

    async fn list(&self, _kind: Kind, _names: &Names) -> Result<Listing<Observed>> {
        unreachable!()
    }

    async fn network(&self, _properties: &Properties, _names: &Names) -> Result<Network> {
        unreachable!()
    }

    async fn shown(&self, _stack_id: &str, _logical_id: &str) -> Shown {
        unreachable!()
    }

    async fn stack_status(&self, _stack_id: &str) -> Option<String> {
        unreachable!()
    }

    async fn sweepable(&self, _prefix: &str) -> Result<Vec<Sweepable>> {
        unreachable!()
    }

    async fn continue_later(&self, _continuation: &Continuation) -> Result<()> {
        unreachable!()
    }
}

#[test]
fn a_call_that_was_not_needed_is_no_failure_and_after_the_permit_none_is_made() {
    let cloud = Fake::new(None);
    let (last_write, permit) = (Cell::default(), RefCell::default());
    let timing = Timing::AWS;
    let writer = Writer {
        cloud: &cloud,
        key: "resource#1",
        by: "1/1",
        claimant: None,
        timing,
        last_write: &last_write,
        permit: &permit,
    };
    let permit = Permit::new(&cloud.now(), &timing);
    let written = |call: log_group::Call, code: &str| {
        let write = Write { id: ResourceId::new(Kind::LogGroup, code), call: Call::LogGroup(Box::new(call)) };
        writer.write(&permit, &write).now_or_never().unwrap().ok()
    };
    let create = || log_group::Call::Create(BTreeMap::new());
    assert_eq!(written(create(), "ResourceAlreadyExistsException"), Some(Written::Exists));
    assert_eq!(written(log_group::Call::Delete, "ResourceNotFoundException"), Some(Written::Unneeded));
    assert_eq!(written(log_group::Call::Delete, "AccessDenied"), None);
    cloud.slept.set(timing.permit);
    assert_eq!(written(create(), "ResourceAlreadyExistsException"), Some(Written::PermitOver));
}
