//! The faults that an AWS call can be given.

use serde::Serialize;

/// A rule of the local AWS: which calls it strikes, and how. By default it strikes the first matching call.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Fault {
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutating: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    nth: u32,
    /// `None` is all of them.
    times: Option<u32>,
    r#do: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
}

impl Fault {
    /// Answered with the service's own throttling error.
    pub(crate) fn throttle() -> Self {
        Self::new("throttle")
    }

    /// Answered with the service's own internal error.
    pub(crate) fn error500() -> Self {
        Self::new("error500")
    }

    /// The connection is closed and nothing is done.
    pub(crate) fn refuse() -> Self {
        Self::new("refuse")
    }

    /// Done, and the connection is closed without an answer.
    pub(crate) fn lose() -> Self {
        Self::new("lose")
    }

    /// Done after so many seconds of AWS's time.
    pub(crate) fn slow(seconds: f64) -> Self {
        Self { seconds: Some(seconds), ..Self::new("slow") }
    }

    /// Answered with the service's own `AccessDenied`.
    pub(crate) fn deny() -> Self {
        Self::new("deny")
    }

    /// The process is killed as its call arrives; nothing is done.
    pub(crate) fn kill_before(pid: u32) -> Self {
        Self { pid: Some(pid), ..Self::new("kill_before") }
    }

    /// The process is killed as soon as its call has been done.
    pub(crate) fn kill_after(pid: u32) -> Self {
        Self { pid: Some(pid), ..Self::new("kill_after") }
    }

    fn new(what: &'static str) -> Self {
        Self { r#do: what, nth: 1, times: Some(1), ..Self::default() }
    }

    /// The same for another process.
    pub(crate) fn with_pid(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }

    /// Only calls of this operation, as `batch:CreateJobQueue`.
    pub(crate) fn on(mut self, operation: &str) -> Self {
        let (service, operation) = operation.split_once(':').expect("service:Operation");
        self.service = Some(service.to_owned());
        self.operation = Some(operation.to_owned());
        self
    }

    /// Only calls of this process (see [`crate::lambda::Warm`]).
    pub(crate) fn of(mut self, app: &str) -> Self {
        self.app = Some(app.to_owned());
        self
    }

    /// Only calls that change something.
    pub(crate) fn on_changes(mut self) -> Self {
        self.mutating = Some(true);
        self
    }

    /// Only calls whose resource contains this text.
    pub(crate) fn about(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Strikes the nth matching call first, counted from 1.
    pub(crate) fn nth(mut self, nth: u32) -> Self {
        self.nth = nth;
        self
    }

    /// Strikes so many calls in a row.
    pub(crate) fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Strikes every call from then on.
    pub(crate) fn always(mut self) -> Self {
        self.times = None;
        self
    }
}
