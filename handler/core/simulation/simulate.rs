//! Plays lives: `simulate SEEDS [FIRST]`; up to the first that breaks an invariant: `simulate fault SEEDS`; one of them
//! as a script: `simulate seed N`.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::exit, reason = "a command for people")]

mod account;
mod answers;
mod batch;
mod cloudformation;
mod executor;
mod host;
mod iam;
mod judge;
mod lambda;
mod ledger;
mod life;
mod others;
mod population;
mod queues;
mod rng;
mod second;
mod shared;
mod shrink;
mod stack_view;
mod stacks;
mod storage;
mod story;
mod template;
mod world;

use population::Until;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, otherwise: u64| {
        arguments.get(index).and_then(|argument| argument.parse().ok()).unwrap_or(otherwise)
    };
    if arguments.first().is_some_and(|first| first == "seed") {
        let world = life::play(rng::Rng::of_seed(number(1, 0)), true);
        println!("{}", world.story.lines.borrow().join("\n"));
        std::process::exit(i32::from(world.story.fault.borrow().is_some()));
    }
    if arguments.first().is_some_and(|first| first == "fault") {
        let played = population::play(0, number(1, 10_000), Until::Fault, &|_| {});
        let first = played.faults.first();
        println!("{}", first.map_or("nothing".to_owned(), |(seed, fault)| format!("{} {fault}", seed + 1)));
        return;
    }
    let lives = number(0, 10_000);
    let played = population::play(number(1, 0), lives, Until::End, &|n| eprint!("\r{n} of {lives} lives "));
    eprintln!();
    println!("{}", played.summary());
    if let Some((seed, _)) = played.faults.first() {
        println!("\n{}", shrink::script(*seed));
    }
    std::process::exit(i32::from(!played.faults.is_empty()));
}
