//! One thread, virtual time, a heap of (time, tie, sequence). A kill drops the future; while it is frozen, a future is
//! not polled.

use crate::rng::{Rng, WORLD};
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Virtual time in milliseconds.
pub(crate) type Ms = u64;
/// A second.
pub(crate) const S: Ms = 1000;
/// Which task.
pub(crate) type TaskId = usize;
/// A future of an invocation.
pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

enum What {
    Wake(TaskId),
    Do(Box<dyn FnOnce()>),
}

struct Entry {
    key: (Ms, u64, u64),
    what: What,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

/// The fate of a task: it is dropped at its n-th poll, or not polled for a while from its n-th poll on (0: never).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    /// The poll at which it is killed.
    pub(crate) kill_at: u64,
    /// The poll at which it freezes.
    pub(crate) freeze_at: u64,
    /// For how long.
    pub(crate) freeze_for: Ms,
}

struct Task {
    future: Boxed<bool>,
    fate: Fate,
    polls: u64,
    frozen_until: Ms,
    armed: Ms,
    done: Box<dyn FnOnce(bool)>,
}

/// The executor of one life.
pub(crate) struct Executor {
    /// Where all chance comes from.
    pub(crate) rng: Rng,
    now: Cell<Ms>,
    sequence: Cell<u64>,
    heap: RefCell<BinaryHeap<Entry>>,
    tasks: RefCell<Vec<Option<Task>>>,
    frozen: RefCell<Vec<Ms>>,
    current: Cell<TaskId>,
    armed: Cell<Ms>,
    stopped: Cell<bool>,
}

/// More events than any life has.
const LIMIT: u32 = 2_000_000;

impl Executor {
    /// An executor at the beginning of a life.
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            rng,
            now: Cell::new(100 * S),
            sequence: Cell::default(),
            heap: RefCell::default(),
            tasks: RefCell::default(),
            frozen: RefCell::default(),
            current: Cell::default(),
            armed: Cell::default(),
            stopped: Cell::default(),
        }
    }

    /// The time.
    pub(crate) fn now(&self) -> Ms {
        self.now.get()
    }

    /// The task that is being polled.
    pub(crate) fn current(&self) -> TaskId {
        self.current.get()
    }

    /// For how long a task has been frozen in all.
    pub(crate) fn frozen(&self, task: TaskId) -> Ms {
        self.frozen.borrow().get(task).copied().unwrap_or_default()
    }

    /// Ends the life.
    pub(crate) fn stop(&self) {
        self.stopped.set(true);
    }

    fn push(&self, at: Ms, what: What) {
        let sequence = self.sequence.get() + 1;
        self.sequence.set(sequence);
        let key = (at.max(self.now()), self.rng.tie(), sequence);
        self.heap.borrow_mut().push(Entry { key, what });
    }

    /// Does something at a time.
    pub(crate) fn at(&self, at: Ms, act: impl FnOnce() + 'static) {
        self.push(at, What::Do(Box::new(act)));
    }

    /// Polls a task soon.
    pub(crate) fn wake(&self, task: TaskId) {
        self.push(self.now(), What::Wake(task));
    }

    /// Begins a task; `done` learns whether it ended well.
    pub(crate) fn spawn(&self, fate: Fate, future: Boxed<bool>, done: impl FnOnce(bool) + 'static) -> TaskId {
        let mut tasks = self.tasks.borrow_mut();
        tasks.push(Some(Task { future, fate, polls: 0, frozen_until: 0, armed: 0, done: Box::new(done) }));
        self.frozen.borrow_mut().push(0);
        let id = tasks.len() - 1;
        drop(tasks);
        self.wake(id);
        id
    }

    /// Kills a task, if it still runs.
    pub(crate) fn kill(&self, id: TaskId) -> bool {
        let task = self.tasks.borrow_mut()[id].take();
        let Some(task) = task else { return false };
        drop(task.future);
        (task.done)(false);
        true
    }

    fn poll(&self, id: TaskId) {
        let task = self.tasks.borrow_mut()[id].take();
        let Some(mut task) = task else { return };
        if task.frozen_until > self.now() {
            self.tasks.borrow_mut()[id] = Some(task);
            return;
        }
        task.polls += 1;
        if task.polls == task.fate.kill_at {
            drop(task.future);
            return (task.done)(false);
        }
        if task.polls == task.fate.freeze_at {
            task.frozen_until = self.now() + task.fate.freeze_for;
            self.frozen.borrow_mut()[id] += task.fate.freeze_for;
            self.push(task.frozen_until, What::Wake(id));
            self.tasks.borrow_mut()[id] = Some(task);
            return;
        }
        self.current.set(id);
        self.armed.set(task.armed);
        self.rng.enter(WORLD + 1 + id);
        let polled = task.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.rng.enter(WORLD);
        match polled {
            Poll::Ready(well) => {
                drop(task.future);
                (task.done)(well);
            }
            Poll::Pending => {
                task.armed = self.armed.get();
                self.tasks.borrow_mut()[id] = Some(task);
            }
        }
    }

    /// Plays until nothing is left to happen; false if that does not end.
    pub(crate) fn run(&self) -> bool {
        for _ in 0..LIMIT {
            if self.stopped.get() {
                return true;
            }
            let entry = self.heap.borrow_mut().pop();
            let Some(entry) = entry else { return true };
            self.now.set(entry.key.0);
            match entry.what {
                What::Wake(id) => self.poll(id),
                What::Do(act) => act(),
            }
        }
        false
    }

    /// Drops all that is left, and with it the circles of references.
    pub(crate) fn clear(&self) {
        drop(std::mem::take(&mut *self.tasks.borrow_mut()));
        drop(std::mem::take(&mut *self.heap.borrow_mut()));
    }

    /// Has the current task polled at a time; several waits for the same moment need one poll.
    fn arm(&self, at: Ms) {
        if self.armed.replace(at) != at {
            self.push(at, What::Wake(self.current()));
        }
    }

    /// Waits until a time.
    pub(crate) async fn until(&self, at: Ms) {
        self.until_or(at, || None::<()>).await;
    }

    /// Waits for a while.
    pub(crate) async fn sleep(&self, pause: Ms) {
        self.until(self.now() + pause).await;
    }

    /// Whatever `ready` gives, asked at every poll; or nothing at a time.
    pub(crate) async fn until_or<T>(&self, at: Ms, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
        let mut armed = false;
        poll_fn(|_| {
            if let Some(found) = ready() {
                return Poll::Ready(Some(found));
            }
            if self.now() >= at {
                return Poll::Ready(None);
            }
            if !armed {
                armed = true;
                self.arm(at);
            }
            Poll::Pending
        })
        .await
    }
}
