//! Two stacks that name one forge, as small lives in which nothing is left to chance.

use crate::cloudformation::{Ask, CloudFormation, End};
use crate::executor::{Ms, S};
use crate::lambda::sweep_once;
use crate::named::{SMOOTH, has, play};
use crate::others::queue_of;
use crate::shared::{FORGE, WORK_QUEUE};
use crate::stacks::Stack;
use crate::template::Template;
use crate::world::Mix;
use std::cell::Cell;
use std::rc::Rc;
use tower_forge_core::claim::Verb;
use tower_forge_core::name::RELEASED_TAG;
use tower_forge_core::resource::{Kind, ResourceId, Tags};

/// A Delete deletes the forge.
const DISPOSES: Template = Template { named: true, ..Template::PLAIN };
/// A Delete releases the forge.
const RELEASES: Template = Template { disposes: false, ..DISPOSES };
const SERVICE_ROLE: &str = "TowerForge-Lab7-ServiceRole";
/// Invocations so short that an operation needs several.
const SHORT: Mix = Mix { time_limit: 105 * S, ..SMOOTH };

impl CloudFormation {
    async fn create_forge(&self, template: Template) -> End {
        self.view().borrow_mut().is_ending = false;
        self.show("CREATE_IN_PROGRESS", None, "CREATE_IN_PROGRESS");
        let end = self.ask_for(Verb::Create, None, template, None).await;
        let status = if is_success(&end) { "CREATE_COMPLETE" } else { "CREATE_FAILED" };
        self.show(status, Some(FORGE), status);
        end
    }

    async fn ask_for(
        &self,
        verb: Verb,
        physical_id: Option<&str>,
        template: Template,
        old: Option<Template>,
    ) -> End {
        let request_id = self.request_id();
        let ask = Ask { verb, physical_id, template, old, request_id: &request_id, cancel_after: None };
        self.ask(ask).await
    }

    /// Creates the forge; the life breaks if that fails.
    async fn must_create(&self, template: Template) {
        let end = self.create_forge(template).await;
        if !is_success(&end) {
            self.world.fail(format!("the Create ended with {end:?}"));
        }
    }

    /// Creates the forge as often as it takes, because the other stack still has it.
    async fn create_at_last(&self, template: Template) {
        for _ in 0..9 {
            if is_success(&self.create_forge(template).await) {
                return;
            }
            self.delete_forge(template).await;
            self.world.sim.sleep(20 * S).await;
        }
        self.world.fail("no Create succeeds");
    }

    async fn delete_forge(&self, template: Template) {
        self.delete(FORGE, template, "DELETE_IN_PROGRESS").await;
    }

    /// The resources of the forge with their tags.
    fn tags(&self) -> Vec<(ResourceId, Tags)> {
        let tags = |id: ResourceId| self.world.truth(&id).map(|now| (id, now.existing.tags.clone()));
        self.rest().into_iter().filter_map(tags).collect()
    }

    /// Creates the forge, and releases the roles but not the environments and queues.
    async fn release_in_part(&self) {
        self.must_create(RELEASES).await;
        self.show("DELETE_IN_PROGRESS", Some(FORGE), "DELETE_IN_PROGRESS");
        let world = Rc::clone(&self.world);
        let denies = move || world.view(Stack::First).borrow_mut().denied = Some("batch:TagResource");
        self.world.sim.at(self.world.now() + 100, denies);
        if is_success(&self.ask_for(Verb::Delete, Some(FORGE), RELEASES, None).await) {
            self.world.fail("the Delete did not fail");
        }
        self.show("DELETE_FAILED", Some(FORGE), "DELETE_FAILED");
    }

    async fn fail_to_create_queues(&self) {
        let (world, stack) = (Rc::clone(&self.world), self.stack);
        let denies = move || world.view(stack).borrow_mut().denied = Some("batch:CreateJobQueue");
        self.world.sim.at(self.world.now() + 100, denies);
        if is_success(&self.create_forge(DISPOSES).await) {
            self.world.fail("the Create did not fail");
        }
    }

    /// Creates a forge without a name, then wants the named one, and does not get it. Returns the ID of its own.
    async fn want_once(&self, denied: Option<&'static str>) -> String {
        self.show("CREATE_IN_PROGRESS", None, "CREATE_IN_PROGRESS");
        let End::Success(id) = self.ask_for(Verb::Create, None, Template::PLAIN, None).await else {
            self.world.fail("the Create failed");
            return String::new();
        };
        self.show("UPDATE_IN_PROGRESS", Some(&id), "UPDATE_IN_PROGRESS");
        let (world, stack) = (Rc::clone(&self.world), self.stack);
        let forbid = move || world.view(stack).borrow_mut().denied = denied;
        self.world.sim.at(self.world.now() + 100, forbid);
        if is_success(&self.ask_for(Verb::Update, Some(&id), DISPOSES, Some(Template::PLAIN)).await) {
            self.world.fail("the Update did not fail");
        }
        self.show("UPDATE_FAILED", Some(&id), "UPDATE_FAILED");
        id
    }

    /// Both stacks create the forge, the second a while after the first. One of them gets it, and the other one deletes
    /// nothing of it.
    async fn create_both(&self, delay: Ms) {
        let succeeds = Rc::new(Cell::new(false));
        let result = Rc::clone(&succeeds);
        let second = self.beside(move |second| async move {
            second.world.sim.sleep(delay).await;
            result.set(is_success(&second.create_forge(DISPOSES).await));
        });
        let first = is_success(&self.create_forge(DISPOSES).await);
        self.until_ended(&second).await;
        let (winner, loser) = match (first, succeeds.get()) {
            (true, false) => (self.clone(), self.second()),
            (false, true) => (self.second(), self.clone()),
            both => return self.world.fail(format!("not one of the stacks has the forge: {both:?}")),
        };
        let before = self.tags();
        loser.delete_forge(DISPOSES).await;
        if self.tags() != before {
            self.world.fail("a stack has changed the forge of the other one");
        }
        winner.delete_forge(DISPOSES).await;
        if !self.rest().is_empty() {
            self.world.fail(format!("left are {:?}", self.rest()));
        }
    }
}

fn is_success(end: &End) -> bool {
    matches!(end, End::Success(_))
}

#[test]
fn of_two_stacks_that_create_one_forge_one_gets_it() {
    for mix in [SMOOTH, SHORT] {
        for step in 0..30 {
            play(mix, |stack| async move { stack.create_both(step * 500).await });
        }
    }
}

#[test]
fn of_two_stacks_that_adopt_one_forge_one_gets_it() {
    for mix in [SMOOTH, SHORT] {
        for step in 0..15 {
            let world = play(mix, |stack| async move {
                stack.must_create(RELEASES).await;
                stack.delete_forge(RELEASES).await;
                stack.create_both(step * 200).await;
            });
            assert!(has(&world, "a forge is adopted"));
        }
    }
}

/// Also when it begins so late in an invocation that it cannot wait until reads show the release: the next leg waits.
#[test]
fn a_stack_adopts_while_the_delete_of_the_old_one_still_releases() {
    for mix in [SMOOTH, SHORT] {
        for step in 0..20 {
            let world = play(mix, |stack| async move {
                stack.must_create(RELEASES).await;
                let second = stack.beside(move |second| async move {
                    second.world.sim.sleep(step * 100).await;
                    second.create_at_last(DISPOSES).await;
                    second.delete_forge(DISPOSES).await;
                });
                stack.delete_forge(RELEASES).await;
                stack.until_ended(&second).await;
            });
            assert!(has(&world, "a forge is adopted by another stack"));
        }
    }
}

/// The wait for reads must not be cut short by the end of an invocation.
#[test]
fn a_stack_creates_after_the_delete_of_the_old_one_wherever_its_own_invocation_ends() {
    for step in 0..30 {
        play(SHORT, |stack| async move {
            stack.must_create(DISPOSES).await;
            stack.world.sim.sleep(60 * S).await;
            let second = stack.beside(move |second| async move {
                second.world.sim.sleep(step * 2 * S).await;
                second.create_at_last(DISPOSES).await;
                second.delete_forge(DISPOSES).await;
            });
            stack.delete_forge(DISPOSES).await;
            stack.until_ended(&second).await;
        });
    }
}

#[test]
fn what_another_stack_has_released_of_its_forge_is_not_deleted() {
    play(SMOOTH, |stack| async move {
        stack.release_in_part().await;
        let (second, before) = (stack.second(), stack.tags());
        if is_success(&second.create_forge(DISPOSES).await) {
            stack.world.fail("the second stack has a part of the forge");
        }
        second.delete_forge(DISPOSES).await;
        if stack.tags() != before {
            stack.world.fail("the second stack has changed the forge of the first");
        }

        stack.delete_forge(RELEASES).await;
        second.must_create(DISPOSES).await;
        second.delete_forge(DISPOSES).await;
    });
}

/// It wanted that forge once, and would otherwise be refused each time that it is deleted.
#[test]
fn a_stack_that_does_not_name_a_forge_any_more_leaves_what_another_has_released_of_it() {
    play(SMOOTH, |stack| async move {
        stack.release_in_part().await;
        let (second, before) = (stack.second(), stack.tags());
        let id = second.want_once(None).await;
        second.show("UPDATE_IN_PROGRESS", Some(&id), "UPDATE_ROLLBACK_IN_PROGRESS");
        if !is_success(&second.ask_for(Verb::Update, Some(&id), Template::PLAIN, Some(DISPOSES)).await) {
            stack.world.fail("the rollback failed");
        }
        second.delete(&id, Template::PLAIN, "DELETE_IN_PROGRESS").await;
        if stack.tags() != before {
            stack.world.fail("the second stack has changed the forge of the first");
        }
        stack.delete_forge(RELEASES).await;
    });
}

#[test]
fn a_stack_that_has_adopted_a_part_and_does_not_name_the_forge_any_more_gives_it_back() {
    for denied in ["batch:UntagResource", "iam:UntagInstanceProfile"] {
        play(SMOOTH, |stack| async move {
            stack.must_create(RELEASES).await;
            stack.delete_forge(RELEASES).await;
            stack.world.sim.sleep(60 * S).await;
            let (second, before) = (stack.second(), stack.rest());
            let id = second.want_once(Some(denied)).await;
            // The rollback is disabled.
            second.delete(&id, Template::PLAIN, "DELETE_IN_PROGRESS").await;
            if stack.rest() != before {
                stack.world.fail(format!("left are {:?}", stack.rest()));
            }
            stack.world.sim.sleep(60 * S).await;
            stack.must_create(DISPOSES).await;
            stack.delete_forge(DISPOSES).await;
        });
    }
}

/// Only its work queue says that a forge is released. Here somebody has deleted it.
#[test]
fn a_released_forge_without_a_work_queue_is_deleted_by_who_names_it() {
    play(SMOOTH, |stack| async move {
        stack.must_create(RELEASES).await;
        stack.delete_forge(RELEASES).await;
        stack.world.sim.sleep(60 * S).await;
        stack.world.remove(&ResourceId::new(Kind::JobQueue, WORK_QUEUE));

        let second = stack.second();
        second.fail_to_create_queues().await;
        second.delete_forge(DISPOSES).await;
        if !stack.rest().is_empty() {
            stack.world.fail(format!("left are {:?}", stack.rest()));
        }
    });
}

/// Batch deletes no environment whose service role is gone, so the role is made anew, in this case too.
#[test]
fn environments_without_their_service_role_go_although_another_stack_has_the_work_queue() {
    play(SMOOTH, |stack| async move {
        stack.fail_to_create_queues().await;
        stack.world.put(queue_of(WORK_QUEUE, Tags::new(), &[]));
        stack.world.delete_by_hand(&ResourceId::new(Kind::Role, SERVICE_ROLE));
        stack.delete_forge(DISPOSES).await;
        if stack.rest() != [ResourceId::new(Kind::JobQueue, WORK_QUEUE)] {
            stack.world.fail(format!("left are {:?}", stack.rest()));
        }
    });
}

/// It would never be deleted.
#[test]
fn no_service_role_is_made_for_environments_that_another_stack_has_released() {
    play(SMOOTH, |stack| async move {
        stack.release_in_part().await;
        for id in stack.rest().iter().filter(|id| id.kind == Kind::ComputeEnvironment) {
            stack.world.edit(id, |version| {
                version.existing.tags.insert(RELEASED_TAG.to_owned(), "now".to_owned());
            });
        }
        stack.world.delete_by_hand(&ResourceId::new(Kind::Role, SERVICE_ROLE));
        let (second, before) = (stack.second(), stack.rest());
        if is_success(&second.create_forge(DISPOSES).await) {
            stack.world.fail("the second stack has a part of the forge");
        }
        second.delete_forge(DISPOSES).await;
        if stack.rest() != before {
            stack.world.fail(format!("left are {:?}", stack.rest()));
        }
        stack.delete_forge(RELEASES).await;
    });
}

#[test]
fn a_sweep_leaves_what_another_stack_adopts() {
    const GENERATION: Template = Template { types: 1, ..RELEASES };
    for step in 0..20 {
        let world = play(SMOOTH, |stack| async move {
            stack.must_create(RELEASES).await;
            stack.world.sim.sleep(40 * S).await;
            stack.show("UPDATE_IN_PROGRESS", Some(FORGE), "UPDATE_IN_PROGRESS");
            stack.ask_for(Verb::Update, Some(FORGE), GENERATION, Some(RELEASES)).await;
            stack.show("UPDATE_COMPLETE", Some(FORGE), "UPDATE_COMPLETE");
            stack.world.sim.sleep(2000 * S).await;
            stack.delete_forge(GENERATION).await;
            stack.world.sim.sleep(60 * S).await;
            let world = Rc::clone(&stack.world);
            stack.world.sim.at(stack.world.now() + step * 50, move || sweep_once(&world));
            let second = stack.second();
            second.must_create(DISPOSES).await;
            second.delete_forge(DISPOSES).await;
        });
        assert!(has(&world, "a forge is adopted by another stack"));
    }
}
