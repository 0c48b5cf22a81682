//! The process dies: before and after every single call of Create, Update and Delete. Lambda tries again, and the
//! forge is as if nothing had happened; after its Delete nothing is left.

use std::sync::Mutex;

use crate::faults::Fault;
use crate::matrix::{Figures, Phase, Trial, run, soak};

/// How many calls each phase makes at most when nothing goes wrong: all, and those that change something.
async fn calls_of_a_life(figures: &Mutex<Figures>) -> (u32, u32) {
    let trial = Trial::begin("an ordinary life".to_owned(), figures).await;
    let mut most = (0, 0);
    for phase in Phase::ALL {
        let before = trial.world.now().await;
        trial.play(phase).await.expect_success();
        let calls = trial.world.calls().await.since(before);
        println!("{phase:?}: {} calls, of which {} change something", calls.len(), calls.mutating().len());
        let count = |calls: usize| u32::try_from(calls).expect("hundreds");
        most = (most.0.max(count(calls.len())), most.1.max(count(calls.mutating().len())));
    }
    trial.end().await;
    most
}

/// One life with a kill at the nth call of each phase.
async fn killed_at(nth: u32, after: bool, changes: bool, figures: &Mutex<Figures>) -> bool {
    let what = format!(
        "killed {} call {nth}{}",
        if after { "after" } else { "before" },
        if changes { " that changes" } else { "" }
    );
    let trial = Trial::begin(what, figures).await;
    let mut struck = false;
    for phase in Phase::ALL {
        struck |= trial
            .play_killed(phase, |pid| {
                let kill = if after { Fault::kill_after(pid) } else { Fault::kill_before(pid) };
                (if changes { kill.on_changes() } else { kill }).nth(nth)
            })
            .await;
    }
    trial.end().await;
    struck
}

#[tokio::test]
async fn a_kill_at_any_call_leaves_no_trace() {
    let figures = Mutex::new(Figures::default());
    let (calls, changes) = calls_of_a_life(&figures).await;
    // To die after a call that changes nothing is to die before the next.
    let before = (1..=calls).map(|nth| (nth, false, false));
    let after = if soak() {
        (1..=calls).map(|nth| (nth, true, false)).collect::<Vec<_>>()
    } else {
        (1..=changes).map(|nth| (nth, true, true)).collect()
    };
    run(before.chain(after).map(|(nth, after, changes)| {
        let figures = &figures;
        async move {
            killed_at(nth, after, changes, figures).await;
        }
    }))
    .await;
    // A life that waits longer makes more calls.
    let mut nth = calls + 1;
    while killed_at(nth, false, false, &figures).await {
        nth += 1;
    }
    figures.into_inner().unwrap().conclude("kills at each call of Create, Update and Delete");
}
