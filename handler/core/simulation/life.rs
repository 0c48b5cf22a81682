//! One life of a resource of a stack, by chance.

use crate::cloudformation::{Ask, CloudFormation, End};
use crate::executor::{Fate, Ms, S};
use crate::lambda::sweep_once;
use crate::rng::Rng;
use crate::stacks::Stack;
use crate::template::Template;
use crate::world::{Mix, World};
use std::rc::Rc;
use tower_forge_core::claim::Verb;
use tower_forge_core::name::FORGE_TAG;

impl CloudFormation {
    pub(crate) fn chance(&self, permille: u64) -> bool {
        self.world.sim.rng.permille(permille)
    }

    /// When this operation is cancelled, if it is.
    fn cancel(&self) -> Option<Ms> {
        let world = &self.world;
        world.chance(250).then(|| world.sim.rng.log_range(50, 400 * S))
    }

    fn first_template(&self, named: bool) -> Template {
        Template {
            // Behind the queues of a named forge it cannot change.
            identity: usize::from(!named && self.chance(300)),
            fallback: self.chance(200),
            efs: self.chance(100),
            lustre: if self.has_time() && self.chance(70) { 1200 } else { 0 },
            disposes: !self.chance(if named { 500 } else { 80 }),
            named,
            ..Template::PLAIN
        }
    }

    /// Whether there is time enough for FSx.
    fn has_time(&self) -> bool {
        self.timeout > 600 * S && self.world.mix.time_limit > 105 * S
    }

    fn next_template(&self, old: Template) -> Template {
        let max_cpus = if old.max_cpus > 100 && self.chance(300) { 100 } else { old.max_cpus + 100 };
        if old.lustre > 0 && self.chance(300) {
            // It grows, or is not wanted any more.
            return Template { lustre: (old.lustre + 1200) % 3600, max_cpus, ..old };
        }
        if self.chance(if old.named { 150 } else { 20 }) {
            self.world.count("ForgeId changes");
            return Template { named: !old.named, max_cpus, ..old };
        }
        match self.world.sim.rng.range(0, 99) {
            0..30 => Template { max_cpus, ..old },
            30..60 => Template { types: (old.types + 1) % 3, max_cpus, ..old },
            60..95 => {
                let other = old.identity + if self.chance(500) { 1 } else { 2 };
                Template { identity: other % 3, max_cpus, ..old }
            }
            95..97 => Template { fallback: !old.fallback, ..old },
            97 => Template { efs: !old.efs, max_cpus, ..old },
            _ if self.has_time() => Template { lustre: (old.lustre + 1200) % 3600, max_cpus, ..old },
            _ => Template { max_cpus, ..old },
        }
    }

    /// Lives once or twice under the same logical ID.
    async fn live(&self) {
        let world = &self.world;
        let named = self.chance(200);
        let second = named.then(|| self.begin_second());
        for round in 0..world.sim.rng.range(1, 2) {
            if round > 0 {
                world.count("same logical ID again");
            }
            self.live_once(named, 4).await;
            self.pause().await;
        }
        if let Some(second) = second {
            self.until_ended(&second).await;
        }
        // Whatever is still on its way arrives.
        world.sim.sleep(3 * 3600 * S).await;
        self.check_left();
        self.adopt_the_rest().await;
    }

    /// After their ends the stacks have nothing left that they have not released.
    fn check_left(&self) {
        let world = &self.world;
        for stack in Stack::ALL {
            let left = world.account.borrow().of(stack);
            if !left.is_empty() && world.ledger.borrow().lost_at.is_none() {
                world.fail(format!("leaked after the end of the {stack:?} stack: {left:?}"));
            }
        }
    }

    pub(crate) async fn live_once(&self, named: bool, updates: u64) {
        let world = &self.world;
        self.view().borrow_mut().is_ending = false;
        let mut template = self.first_template(named);
        self.show("CREATE_IN_PROGRESS", None, "CREATE_IN_PROGRESS");
        let request_id = self.request_id();
        let ask = Ask {
            verb: Verb::Create,
            physical_id: None,
            template,
            old: None,
            request_id: &request_id,
            cancel_after: self.cancel(),
        };
        let end = self.ask(ask).await;
        let mut physical_id = match &end {
            End::Success(physical_id) if !self.chance(100) => physical_id.clone(),
            _ => {
                let physical_id = match &end {
                    End::Success(id) | End::Failed(id) => id.clone(),
                    _ => format!("genomics-Genomics-{}", world.fresh()),
                };
                self.reaction(&end).await;
                self.show("CREATE_FAILED", Some(&physical_id), "ROLLBACK_IN_PROGRESS");
                if self.chance(200) {
                    self.pause().await;
                }
                return self.delete(&physical_id, template, "ROLLBACK_IN_PROGRESS").await;
            }
        };
        self.show("CREATE_COMPLETE", Some(&physical_id), "CREATE_COMPLETE");
        for _ in 0..world.sim.rng.range(0, updates) {
            self.pause().await;
            let next = self.next_template(template);
            match self.update(&physical_id, template, next).await {
                Some(now) => (physical_id, template) = now,
                None => return,
            }
        }
        self.pause().await;
        self.delete(&physical_id, template, "DELETE_IN_PROGRESS").await;
    }

    /// Updates; returns the physical ID and template then, or `None` if the resource has gone.
    async fn update(&self, physical_id: &str, old: Template, new: Template) -> Option<(String, Template)> {
        let world = &self.world;
        self.show("UPDATE_IN_PROGRESS", Some(physical_id), "UPDATE_IN_PROGRESS");
        let request_id = self.request_id();
        let ask = Ask {
            verb: Verb::Update,
            physical_id: Some(physical_id),
            template: new,
            old: Some(old),
            request_id: &request_id,
            cancel_after: self.cancel(),
        };
        let end = self.ask(ask).await;
        let incoming = match &end {
            End::Success(now) if !self.chance(200) => {
                self.replace(physical_id, old, now).await;
                self.check_quiet(now, new).await;
                return Some((now.clone(), new));
            }
            End::Success(now) => {
                world.count("rollback of an Update that had succeeded");
                self.let_the_rest_work().await;
                now.clone()
            }
            _ => physical_id.to_owned(),
        };
        self.reaction(&end).await;
        if incoming == physical_id && self.chance(200) {
            world.count("rollback disabled");
            self.show("UPDATE_FAILED", Some(physical_id), "UPDATE_FAILED");
            self.pause().await;
            if self.chance(500) {
                let template = if self.chance(500) { old } else { new };
                self.delete(physical_id, template, "DELETE_IN_PROGRESS").await;
                return None;
            }
        }
        if new.identity != old.identity {
            world.count("rollback of a replacement");
        }
        self.roll_back(&incoming, physical_id, old, new).await
    }

    /// The rest of the stack sometimes takes so long before it fails that the replaced generation is old enough for a sweep.
    async fn let_the_rest_work(&self) {
        let world = &self.world;
        if !self.chance(200) {
            return;
        }
        world.count("a sweep while the stack is in progress");
        world.sim.sleep(world.sim.rng.range(1900 * S, 2500 * S)).await;
        sweep_once(world);
        world.sim.sleep(world.sim.rng.range(S, 600 * S)).await;
    }

    /// Goes on after an Update has succeeded: deletes the replaced forge.
    pub(crate) async fn replace(&self, before: &str, old: Template, now: &str) {
        let cleans = before != now;
        let status = if cleans { "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" } else { "UPDATE_COMPLETE" };
        self.show("UPDATE_COMPLETE", Some(now), status);
        if cleans {
            self.clean_up(before, old).await;
            self.show("UPDATE_COMPLETE", Some(now), "UPDATE_COMPLETE");
        }
    }

    pub(crate) async fn roll_back(
        &self,
        incoming: &str,
        before: &str,
        old: Template,
        new: Template,
    ) -> Option<(String, Template)> {
        let world = &self.world;
        let mut request_id = self.request_id();
        for _ in 0..4 {
            self.show("UPDATE_IN_PROGRESS", Some(incoming), "UPDATE_ROLLBACK_IN_PROGRESS");
            let ask = Ask {
                verb: Verb::Update,
                physical_id: Some(incoming),
                template: old,
                old: Some(new),
                request_id: &request_id,
                cancel_after: None,
            };
            if let End::Success(now) = self.ask(ask).await {
                world.count("rolled back");
                self.replace(incoming, new, &now).await;
                self.show("UPDATE_COMPLETE", Some(&now), "UPDATE_ROLLBACK_COMPLETE");
                self.check_quiet(&now, old).await;
                return Some((now, old));
            }
            world.count("rollback failed");
            self.show("UPDATE_FAILED", Some(incoming), "UPDATE_ROLLBACK_FAILED");
            self.pause().await;
            match world.sim.rng.range(0, 9) {
                0..=1 => {
                    self.delete(incoming, old, "DELETE_IN_PROGRESS").await;
                    return None;
                }
                2..=3 => break,
                4..=5 => request_id = self.request_id(),
                _ => world.count("RequestId used again"),
            }
        }
        world.count("rollback skipped");
        // Which of the two CloudFormation shows after a skip is not known.
        let shown = if self.chance(500) { before } else { incoming };
        self.show("UPDATE_COMPLETE", Some(shown), "UPDATE_ROLLBACK_COMPLETE");
        Some((shown.to_owned(), old))
    }

    /// Sometimes nothing happens for hours. Then the desired state of the newest operation exists, and every other forge
    /// is on the list of forges to delete.
    async fn check_quiet(&self, physical_id: &str, template: Template) {
        let world = &self.world;
        if !self.chance(150) {
            return;
        }
        let last = self.view().borrow().asked.values().max_by_key(|asked| asked.number).cloned();
        world.sim.sleep(8000 * S).await;
        // An operation may have looked before somebody else changed something.
        let signed = last.as_ref().map_or(0, |asked| asked.signed);
        let disturbed = world.account.borrow().disturbed;
        if disturbed > 0 && disturbed + 60 * S > signed || world.ledger.borrow().lost_at.is_some() {
            return;
        }
        world.count("quiet check");
        let asked = last.filter(|asked| asked.verb != Verb::Delete);
        if let Some(left) = asked.and_then(|asked| world.differs(&world.intent(&asked))) {
            world.fail(format!("quiet: {template:?} is wanted, and {left}"));
        }
        let listed = world.ledger.borrow().of(self.stack).map(|item| item.forges).unwrap_or_default();
        for id in world.account.borrow().of(self.stack) {
            let forge = world.truth(&id).and_then(|version| version.existing.tags.get(FORGE_TAG).cloned());
            let forge = forge.unwrap_or_default();
            if forge != physical_id && !listed.contains(&forge) {
                world.fail(format!("quiet: {id} exists, and its forge is not listed"));
            }
        }
    }
}

fn mix(rng: &Rng) -> Mix {
    Mix {
        is_rough: true,
        lag: *rng.pick(&[0, 150, 350]),
        network: *rng.pick(&[5, 25, 50]),
        refusals: *rng.pick(&[0, 5, 20]),
        crashes: *rng.pick(&[20, 90, 150]),
        time_limit: *rng.pick(&[900 * S, 300 * S, 105 * S]),
        stands_still: rng.permille(300),
    }
}

/// Plays the life that these draws make.
pub(crate) fn play(rng: Rng, is_written: bool) -> Rc<World> {
    let world = World::new(rng, is_written, |sim| mix(&sim.rng));
    world.say(|| format!("{:?}", world.mix));
    let timeout = if world.sim.rng.permille(300) { 600 * S } else { 3600 * S };
    world.let_others_act();
    let foreign = world.foreign();
    let stack = CloudFormation { world: Rc::clone(&world), stack: Stack::First, timeout };
    run(&world, async move { stack.live().await });
    if world.story.fault.borrow().is_none() && world.foreign() != foreign {
        world.fail("what belongs to somebody else has changed");
    }
    world.sim.clear();
    world
}

/// Runs CloudFormation's side of a life to its end.
pub(crate) fn run(world: &Rc<World>, driver: impl Future<Output = ()> + 'static) {
    let end = Rc::clone(world);
    let driver = Box::pin(async move {
        driver.await;
        true
    });
    let task = world.sim.spawn(Fate::default(), driver, move |_| end.sim.stop());
    world.view(Stack::First).borrow_mut().driver = Some(task);
    if !world.sim.run() {
        world.fail("the life does not end");
    }
}
