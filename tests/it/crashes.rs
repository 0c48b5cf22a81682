//! The process dies after a write of Create, Update and Delete: one of each sort, because the simulation kills at every
//! call. Lambda tries again, and the forge is as if nothing had happened; after its Delete nothing is left.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::faults::Fault;
use crate::matrix::{Case, Figures, Phase, ordinary, run, soak};

/// One life with a kill after a write of each phase.
async fn killed_after(what: String, writes: [Option<Fault>; 3], figures: &Mutex<Figures>) {
    let case = Case::begin(what, figures).await;
    for (phase, kill) in Phase::ALL.into_iter().zip(writes) {
        match kill {
            Some(kill) => case.play_killed(phase, |pid| kill.clone().with_pid(pid)).await,
            None => case.play_under(phase, &[]).await,
        };
    }
    case.end().await;
}

#[tokio::test]
async fn a_kill_after_any_sort_of_write_leaves_no_trace() {
    let figures = Mutex::new(Figures::default());
    let life = ordinary(&figures).await;
    let sorts: Vec<Vec<String>> = life.writes.iter().map(|writes| writes.iter().cloned().collect()).collect();
    let most = sorts.iter().map(Vec::len).max().unwrap_or_default();
    run((0..most).map(|place| {
        let kills = [0, 1, 2].map(|phase: usize| sorts[phase].get(place));
        let what = format!("killed after {kills:?}");
        let kills = kills.map(|write| write.map(|write| Fault::kill_after(0).on(write)));
        killed_after(what, kills, &figures)
    }))
    .await;
    if soak() {
        let nths: BTreeSet<u32> = (1..=life.calls).collect();
        run(nths.into_iter().map(|nth| {
            let kill = || Some(Fault::kill_before(0).nth(nth));
            killed_after(format!("killed before call {nth}"), [kill(), kill(), kill()], &figures)
        }))
        .await;
    }
    figures.into_inner().unwrap().conclude("kills after each sort of write of Create, Update and Delete");
}
