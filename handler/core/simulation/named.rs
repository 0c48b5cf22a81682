//! Each row of the claim's table of interleavings as a small life in which nothing is left to chance.

use crate::cloudformation::{Ask, CloudFormation, End};
use crate::executor::{Fate, Ms, S};
use crate::lambda::sweep_once;
use crate::life::run;
use crate::rng::Rng;
use crate::stacks::Stack;
use crate::template::Template;
use crate::world::{Delivery, Mix, World};
use std::rc::Rc;
use tower_forge_core::claim::Verb;
use tower_forge_core::name::LIMIT_TAG;
use tower_forge_core::registry::Observed;
use tower_forge_core::resource::{Kind, ResourceId};

pub(crate) const SMOOTH: Mix = Mix {
    is_rough: false,
    lag: 0,
    network: 0,
    refusals: 0,
    crashes: 0,
    time_limit: 900 * S,
    stands_still: false,
};
const IN_PLACE: Template = Template { max_cpus: 200, ..Template::PLAIN };
const GENERATION: Template = Template { types: 1, ..Template::PLAIN };
const REPLACEMENT: Template = Template { identity: 1, ..Template::PLAIN };

/// Plays one life; prints it as a script if an invariant breaks.
pub(crate) fn play<F: Future<Output = ()> + 'static>(
    mix: Mix,
    script: impl Fn(CloudFormation) -> F,
) -> Rc<World> {
    let world = World::new(Rng::of_seed(2), true, |_| mix);
    let stack = CloudFormation { world: Rc::clone(&world), stack: Stack::First, timeout: 3600 * S };
    let script = script(stack);
    let end = Rc::clone(&world);
    run(&world, async move {
        script.await;
        end.sim.sleep(2 * 3600 * S).await;
    });
    for stack in Stack::ALL {
        let left = world.account.borrow().of(stack);
        if !left.is_empty() && world.view(stack).borrow().is_ending {
            world.fail(format!("leaked: {left:?}"));
        }
    }
    world.sim.clear();
    let fault = world.story.fault.borrow().clone();
    if let Some(fault) = fault {
        let script = world.story.lines.borrow().join("\n");
        assert!(fault.is_empty(), "{script}\n{fault}");
    }
    world
}

pub(crate) fn has(world: &World, what: &'static str) -> bool {
    world.story.counts.borrow().contains_key(what)
}

impl CloudFormation {
    async fn create(&self, cancel_after: Option<Ms>) -> End {
        self.view().borrow_mut().is_ending = false;
        self.show("CREATE_IN_PROGRESS", None, "CREATE_IN_PROGRESS");
        let (physical_id, template) = (None, Template::PLAIN);
        let end = self
            .ask(Ask {
                verb: Verb::Create,
                physical_id,
                template,
                old: None,
                request_id: "create",
                cancel_after,
            })
            .await;
        if let End::Success(physical_id) = &end {
            self.show("CREATE_COMPLETE", Some(physical_id), "CREATE_COMPLETE");
        }
        end
    }

    async fn created(&self) -> String {
        match self.create(None).await {
            End::Success(physical_id) => physical_id,
            other => {
                self.world.fail(format!("the Create ended with {other:?}"));
                String::new()
            }
        }
    }

    async fn ask_update(&self, physical_id: &str, template: Template, cancel_after: Option<Ms>) -> End {
        self.show("UPDATE_IN_PROGRESS", Some(physical_id), "UPDATE_IN_PROGRESS");
        let old = Some(Template::PLAIN);
        let physical_id = Some(physical_id);
        self.ask(Ask { verb: Verb::Update, physical_id, template, old, request_id: "update", cancel_after })
            .await
    }

    async fn end(&self, physical_id: &str) {
        self.world.sim.sleep(5 * S).await;
        self.delete(physical_id, Template::PLAIN, "DELETE_IN_PROGRESS").await;
    }

    /// Updates, cancels, rolls back, and deletes.
    async fn roll_back_after(&self, template: Template, cancel_after: Ms) {
        let physical_id = self.created().await;
        self.world.sim.sleep(40 * S).await;
        let incoming = match self.ask_update(&physical_id, template, Some(cancel_after)).await {
            End::Success(now) => now,
            _ => physical_id.clone(),
        };
        self.world.sim.sleep(1500).await;
        let now = self.roll_back(&incoming, &physical_id, Template::PLAIN, template).await;
        match now {
            Some((now, _)) if now == physical_id => self.end(&now).await,
            other => self.world.fail(format!("the rollback ended with {other:?}")),
        }
    }
}

fn delivery(after: Ms, again: Option<Ms>, fate: Fate) -> Delivery {
    Delivery { after, again, fate, is_doomed: false }
}

fn plan(stack: &CloudFormation, deliveries: &[Delivery]) {
    stack.world.planned.borrow_mut().extend(deliveries.iter().copied());
}

/// Also with an ID that CloudFormation has made up, and also when the Create answers in the same moment.
#[test]
fn a_delete_comes_at_any_moment_of_a_create() {
    for step in 0..45 {
        let cancel = 100 + step * 700;
        play(SMOOTH, |stack| async move {
            let end = stack.create(Some(cancel)).await;
            stack.world.sim.sleep(1200).await;
            let made_up = "genomics-Genomics-1ABCDEF".to_owned();
            let physical_id = if let End::Success(now) = end { now } else { made_up };
            stack.delete(&physical_id, Template::PLAIN, "ROLLBACK_IN_PROGRESS").await;
        });
    }
}

/// It was signed before the operation that it follows, and only CloudFormation knows which is the newer one.
#[test]
fn a_delete_signed_too_early_waits_for_cloudformations_reply() {
    play(SMOOTH, |stack| async move {
        let physical_id = stack.created().await;
        stack.world.sim.sleep(60 * S).await;
        stack.ask_update(&physical_id, IN_PLACE, Some(S)).await;
        {
            let mut view = stack.view().borrow_mut();
            view.is_silent = true;
            view.set_back = 4 * S;
        }
        let world = Rc::clone(&stack.world);
        let speaks = move || world.view(Stack::First).borrow_mut().is_silent = false;
        stack.world.sim.at(stack.world.now() + 20 * S, speaks);
        stack.delete(&physical_id, Template::PLAIN, "DELETE_IN_PROGRESS").await;
    });
}

#[test]
fn an_update_in_place_is_rolled_back_at_any_moment() {
    for step in 0..15 {
        play(SMOOTH, |stack| async move { stack.roll_back_after(IN_PLACE, 100 + step * 1000).await });
    }
}

#[test]
fn a_new_generation_is_rolled_back_at_any_moment() {
    for step in 0..40 {
        play(SMOOTH, |stack| async move { stack.roll_back_after(GENERATION, 100 + step * 2000).await });
    }
}

/// Also when the first Update has succeeded: then the new forge is kept, and its Delete follows in the clean-up.
#[test]
fn a_replacement_is_rolled_back_at_any_moment() {
    for step in 0..40 {
        play(SMOOTH, |stack| async move { stack.roll_back_after(REPLACEMENT, 100 + step * 2000).await });
    }
}

#[test]
fn what_a_skipped_rollback_leaves_goes_with_the_next_operation() {
    play(SMOOTH, |stack| async move {
        let physical_id = stack.created().await;
        stack.world.sim.sleep(40 * S).await;
        stack.ask_update(&physical_id, REPLACEMENT, Some(20 * S)).await;
        stack.show("UPDATE_COMPLETE", Some(&physical_id), "UPDATE_ROLLBACK_COMPLETE");
        stack.world.sim.sleep(100 * S).await;
        stack.end(&physical_id).await;
    });
}

#[test]
fn a_replacement_that_failed_with_rollback_disabled_goes_with_the_stack() {
    let world = play(SMOOTH, |stack| async move {
        let physical_id = stack.created().await;
        stack.world.sim.sleep(40 * S).await;
        stack.view().borrow_mut().denied = None;
        stack.ask_update(&physical_id, REPLACEMENT, Some(15 * S)).await;
        stack.show("UPDATE_FAILED", Some(&physical_id), "UPDATE_FAILED");
        stack.world.sim.sleep(S).await;
        stack.end(&physical_id).await;
    });
    assert!(has(&world, "claims from a busy holder: waits until it is quiet"));
}

#[test]
fn a_clean_up_keeps_what_has_come_in_its_place() {
    play(SMOOTH, |stack| async move {
        let physical_id = stack.created().await;
        stack.world.sim.sleep(40 * S).await;
        let End::Success(now) = stack.ask_update(&physical_id, REPLACEMENT, None).await else {
            return stack.world.fail("the replacement failed");
        };
        stack.replace(&physical_id, Template::PLAIN, &now).await;
        if stack.world.account.borrow().of(Stack::First).is_empty() {
            stack.world.fail("the new forge went, too");
        }
        stack.delete(&now, REPLACEMENT, "DELETE_IN_PROGRESS").await;
    });
}

#[test]
fn two_deliveries_at_once_make_one_answer() {
    let world = play(SMOOTH, |stack| async move {
        plan(&stack, &[delivery(50, Some(60), Fate::default())]);
        let physical_id = stack.created().await;
        stack.end(&physical_id).await;
    });
    assert!(has(&world, "another delivery or leg claims"));
}

#[test]
fn a_retry_after_a_crash_goes_on_wherever_the_first_try_died() {
    for poll in 1..60 {
        play(SMOOTH, |stack| async move {
            let fate = Fate { kill_at: poll, ..Fate::default() };
            plan(&stack, &[delivery(50, None, fate)]);
            let physical_id = stack.created().await;
            stack.end(&physical_id).await;
        });
    }
}

#[test]
fn a_retry_after_the_outcome_sends_the_same_body() {
    let world = play(SMOOTH, |stack| async move {
        plan(&stack, &[delivery(50, Some(600 * S), Fate::default())]);
        let physical_id = stack.created().await;
        stack.world.sim.sleep(700 * S).await;
        stack.end(&physical_id).await;
    });
    assert!(has(&world, "a response that nobody waits for"));
    assert!(!has(&world, "answers of one operation differ"));
}

#[test]
fn what_was_frozen_anywhere_finds_another_named_and_does_nothing() {
    for poll in 1..60 {
        play(SMOOTH, |stack| async move {
            let fate = Fate { freeze_at: poll, freeze_for: 600 * S, ..Fate::default() };
            plan(&stack, &[delivery(50, None, fate)]);
            stack.create(Some(20 * S)).await;
            stack.world.sim.sleep(2 * S).await;
            stack.delete("genomics-Genomics-1ABCDEF", Template::PLAIN, "ROLLBACK_IN_PROGRESS").await;
        });
    }
}

#[test]
fn a_chain_of_legs_works_although_each_event_comes_twice() {
    let world = play(Mix { time_limit: 30 * S, ..SMOOTH }, |stack| async move {
        let twice = delivery(50, Some(3 * S), Fate::default());
        plan(&stack, &[twice; 4]);
        let end = stack.create(None).await;
        let physical_id = match &end {
            End::Success(now) | End::Failed(now) => now.clone(),
            _ => String::new(),
        };
        stack.end(&physical_id).await;
    });
    assert!(has(&world, "leg: the work goes on in another invocation"));
}

#[test]
fn the_dead_letter_answers_for_what_never_began_and_for_nobody_else() {
    let world = play(SMOOTH, |stack| async move {
        let doomed = Fate { kill_at: 1, ..Fate::default() };
        plan(&stack, &[Delivery { after: 50, again: None, fate: doomed, is_doomed: true }]);
        let end = stack.create(None).await;
        let End::Failed(physical_id) = end else { return stack.world.fail("nobody answered FAILED") };
        stack.delete(&physical_id, Template::PLAIN, "ROLLBACK_IN_PROGRESS").await;
    });
    assert!(has(&world, "dead letter finishes"));
    // A second delivery does the work, and the dead letter of the first leaves it alone.
    play(SMOOTH, |stack| async move {
        let doomed = Fate { kill_at: 1, ..Fate::default() };
        plan(&stack, &[Delivery { after: 50, again: Some(100 * S), fate: doomed, is_doomed: true }]);
        let physical_id = stack.created().await;
        stack.end(&physical_id).await;
    });
}

#[test]
fn a_create_that_is_delivered_after_its_delete_does_nothing() {
    let world = play(SMOOTH, |stack| async move {
        plan(&stack, &[delivery(100 * S, None, Fate::default())]);
        stack.create(Some(2 * S)).await;
        stack.world.sim.sleep(1500).await;
        stack.delete("genomics-Genomics-1ABCDEF", Template::PLAIN, "ROLLBACK_IN_PROGRESS").await;
    });
    assert!(has(&world, "silent without a claim"));
}

#[test]
fn the_same_logical_id_is_created_again() {
    play(SMOOTH, |stack| async move {
        for _ in 0..2 {
            let physical_id = stack.created().await;
            stack.end(&physical_id).await;
            stack.world.sim.sleep(2 * S).await;
        }
    });
}

#[test]
fn of_two_operations_signed_in_one_second_the_loser_answers_failed() {
    let world = play(SMOOTH, |stack| async move {
        let physical_id = stack.created().await;
        stack.world.sim.sleep(40 * S).await;
        let second = stack.world.now() / S * S + S;
        stack.world.sim.until(second).await;
        stack.ask_update(&physical_id, GENERATION, Some(700)).await;
        stack.roll_back(&physical_id, &physical_id, Template::PLAIN, GENERATION).await;
        stack.end(&physical_id).await;
    });
    assert!(has(&world, "two operations signed in one second"));
}

#[test]
fn a_lost_table_loses_no_forge() {
    play(SMOOTH, |stack| async move {
        let physical_id = stack.created().await;
        stack.world.sim.sleep(100 * S).await;
        stack.world.lose_table();
        stack.ask_update(&physical_id, IN_PLACE, None).await;
        stack.end(&physical_id).await;
    });
}

/// The maximum of vCPUs of the environments that serve, and whether a sweep is to lower it.
fn limits(world: &World) -> Vec<(i32, bool)> {
    let account = world.account.borrow();
    let all = account.all().filter_map(|(_, version)| match &version.existing.observed {
        Observed::ComputeEnvironment(observed) if observed.enabled => {
            Some((observed.max_vcpus, version.existing.tags.contains_key(LIMIT_TAG)))
        }
        _ => None,
    });
    all.collect()
}

/// Batch terminates no instances for a limit: it refuses one below the vCPUs in use.
#[test]
fn a_limit_that_jobs_exceed_is_lowered_as_they_end() {
    play(SMOOTH, |stack| async move {
        let world = &stack.world;
        let physical_id = stack.created().await;
        let with = |max_cpus| Template { max_cpus, ..Template::PLAIN };
        let is_of_work = |id: &&_| matches!(id, ResourceId { kind: Kind::ComputeEnvironment, name } if name.contains("-work-"));
        let ours = world.account.borrow().of(Stack::First);
        let environment = ours.iter().find(is_of_work).expect("the forge has one").clone();
        world.run_jobs(&environment, 20, 0);
        world.sim.sleep(60 * S).await;
        for (max_cpus, shown) in [(200, (200, false)), (50, (80, true)), (40, (80, true))] {
            let end = stack.ask_update(&physical_id, with(max_cpus), None).await;
            assert!(matches!(end, End::Success(_)), "{end:?}");
            assert!(limits(world).contains(&shown), "{max_cpus}: {:?}", limits(world));
            stack.show("UPDATE_COMPLETE", Some(&physical_id), "UPDATE_COMPLETE");
            world.sim.sleep(60 * S).await;
        }
        for (ended, shown) in [(6, (56, true)), (4, (40, false)), (10, (40, false))] {
            world.run_jobs(&environment, 0, ended);
            sweep_once(world);
            world.sim.sleep(700 * S).await;
            assert!(limits(world).contains(&shown), "{ended} jobs have ended: {:?}", limits(world));
        }
        stack.end(&physical_id).await;
    });
}
