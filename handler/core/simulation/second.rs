//! A second stack that names the same forge, and the end of that forge.

use crate::cloudformation::{Ask, CloudFormation, End};
use crate::executor::{Fate, Ms, S};
use crate::shared::{WORK_QUEUE, is_of_it};
use crate::stack_view::StackView;
use crate::stacks::Stack;
use crate::template::Template;
use std::cell::Cell;
use std::rc::Rc;
use tower_forge_core::claim::Verb;
use tower_forge_core::name::IDENTITY_TAG;
use tower_forge_core::resource::{Kind, ResourceId};

/// How long the second stack waits for a moment of the first.
const PATIENCE: Ms = 2 * 3600 * S;

impl CloudFormation {
    /// CloudFormation, as far as the second stack is concerned.
    pub(crate) fn second(&self) -> Self {
        Self { stack: Stack::Second, ..self.clone() }
    }

    /// Plays something of the second stack beside the first. Returns whether it has ended.
    pub(crate) fn beside<F: Future<Output = ()> + 'static>(
        &self,
        script: impl FnOnce(Self) -> F,
    ) -> Rc<Cell<bool>> {
        let has_ended = Rc::new(Cell::new(false));
        let (ended, world) = (Rc::clone(&has_ended), Rc::clone(&self.world));
        let script = script(self.second());
        let work = Box::pin(async move {
            script.await;
            true
        });
        let task = self.world.sim.spawn(Fate::default(), work, move |_| {
            ended.set(true);
            world.wake_driver(Stack::First);
        });
        self.world.view(Stack::Second).borrow_mut().driver = Some(task);
        has_ended
    }

    /// Waits until the second stack has ended.
    pub(crate) async fn until_ended(&self, second: &Cell<bool>) {
        self.world.sim.until_or(Ms::MAX, || second.get().then_some(())).await;
    }

    /// The second stack lives up to three times, each time from some moment of the first stack's life.
    pub(crate) fn begin_second(&self) -> Rc<Cell<bool>> {
        self.beside(|second| async move {
            for _ in 0..second.world.sim.rng.range(1, 3) {
                second.await_moment().await;
                second.live_once(true, 1).await;
            }
        })
    }

    async fn await_moment(&self) {
        let rng = &self.world.sim.rng;
        let longest = match rng.range(0, 4) {
            0 => 3600 * S,
            1 | 2 => {
                self.until_first(|first| first.is_ending).await;
                120 * S
            }
            _ => {
                self.until_first(StackView::is_gone).await;
                60 * S
            }
        };
        self.world.sim.sleep(rng.log_range(50, longest)).await;
    }

    /// Waits until something holds for the first stack.
    async fn until_first(&self, holds: impl Fn(&StackView) -> bool) {
        let world = &self.world;
        let holds = || holds(&world.view(Stack::First).borrow()).then_some(());
        world.sim.until_or(world.now() + PATIENCE, holds).await;
    }

    /// The remaining resources of the forge.
    pub(crate) fn rest(&self) -> Vec<ResourceId> {
        let account = self.world.account.borrow();
        account.all().map(|(id, _)| id.clone()).filter(is_of_it).collect()
    }

    /// Adopts a released forge and deletes it: then nothing of it is left. If invocations are short, one Create may have too
    /// little time, and the stack is deployed again.
    pub(crate) async fn adopt_the_rest(&self) {
        let world = &self.world;
        if self.rest().is_empty() || world.ledger.borrow().lost_at.is_some() {
            return;
        }
        world.count("the rest of a forge is adopted");
        world.calm_down();
        for _ in 0..3 {
            if self.adopt_and_delete().await {
                let left = self.rest();
                if !left.is_empty() {
                    world.fail(format!("of the forge that was adopted last are left: {left:?}"));
                }
                return;
            }
        }
        world.fail(format!("nobody can adopt {:?}", self.rest()));
    }

    /// The properties that the work queue cannot change; see [`Template::identity`].
    fn identity_of_rest(&self) -> usize {
        let queue = self.world.truth(&ResourceId::new(Kind::JobQueue, WORK_QUEUE));
        match queue.as_ref().and_then(|queue| queue.existing.tags.get(IDENTITY_TAG)).map(String::as_str) {
            None | Some("plain") => 0,
            Some("fargate-head") => 1,
            Some(_) => 2,
        }
    }

    /// Creates and deletes a stack that names the forge; returns whether the Create succeeded.
    async fn adopt_and_delete(&self) -> bool {
        self.view().borrow_mut().is_ending = false;
        self.show("CREATE_IN_PROGRESS", None, "CREATE_IN_PROGRESS");
        let request_id = self.request_id();
        let template = Template { named: true, identity: self.identity_of_rest(), ..Template::PLAIN };
        let ask = Ask {
            verb: Verb::Create,
            physical_id: None,
            template,
            old: None,
            request_id: &request_id,
            cancel_after: None,
        };
        let (physical_id, status, succeeds) = match self.ask(ask).await {
            End::Success(physical_id) => (physical_id, "CREATE_COMPLETE", true),
            End::Failed(physical_id) => (physical_id, "CREATE_FAILED", false),
            End::Cancelled | End::TimedOut => return false,
        };
        self.show(status, Some(&physical_id), status);
        self.delete(&physical_id, template, "DELETE_IN_PROGRESS").await;
        succeeds
    }
}
