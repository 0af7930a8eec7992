//! A short fuzz, with seeds that are fixed: what a peer says spoils nothing but itself. `tests/fuzz` goes on from there.
#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use codex_skills_tests::fuzz::{Arguments, Hostile, mutate, recorded};

/// How long each seed is used.
const WHILE: Duration = Duration::from_secs(12);

/// Counts panics of the library, on all threads: it catches some of them.
fn count_panics() -> &'static AtomicU64 {
    static PANICS: AtomicU64 = AtomicU64::new(0);
    static COUNTING: std::sync::Once = std::sync::Once::new();
    COUNTING.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map(std::panic::Location::file);
            if place.is_some_and(|file| file.contains("codex-skills/src")) {
                PANICS.fetch_add(1, Ordering::Relaxed);
            }
            before(info);
        }));
    });
    &PANICS
}

async fn hostile_lines(seed: u64) {
    let panics = count_panics();
    let mut random = fastrand::Rng::with_seed(seed);
    let corpus = recorded();
    let mut hostile = Hostile::start().await.expect("a session");
    let (until, mut lines) = (Instant::now() + WHILE, 0_u64);
    while Instant::now() < until {
        for _ in 0..500 {
            let line = if random.u8(0..20) == 0 {
                (0..random.usize(0..200))
                    .map(|_| random.u8(..))
                    .filter(|byte| *byte != b'\n')
                    .collect()
            } else {
                let seed = &corpus[random.usize(0..corpus.len())];
                mutate(&mut random, seed)
            };
            hostile.say(&line).await.expect("it reads");
        }
        lines += 500;
        if let Err(error) = hostile.probe().await {
            panic!("seed {seed}, after {lines} lines: {error}");
        }
    }
    assert_eq!(panics.load(Ordering::Relaxed), 0, "seed {seed}");
    assert!(hostile.client().metrics().unreadable_messages > 0);
    assert!(lines >= 1000, "only {lines} lines");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutated_lines_lose_no_call_and_answer_none_twice() {
    hostile_lines(7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_mutated_lines_lose_no_call_and_answer_none_twice() {
    hostile_lines(20_260).await;
}

async fn any_arguments(seed: u64) {
    let panics = count_panics();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut arguments = Arguments::start().await.expect("a session");
    let seeds: Vec<_> = Arguments::seeds().collect();
    let (until, mut tried, mut taken) = (Instant::now() + WHILE, 0_u64, 0_u64);
    while Instant::now() < until {
        let (case, valid) = seeds[random.usize(0..seeds.len())];
        let Ok(mutated) = String::from_utf8(mutate(&mut random, valid.as_bytes())) else {
            continue;
        };
        tried += 1;
        match arguments.check(case, &mutated).await {
            Ok(is_taken) => taken += u64::from(is_taken),
            Err(error) => panic!("seed {seed}, after {tried}: {error}"),
        }
    }
    assert_eq!(panics.load(Ordering::Relaxed), 0, "seed {seed}");
    assert!(
        taken > 50 && tried > 2 * taken,
        "{taken} of {tried} were taken"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_mean_the_same_everywhere_or_are_refused() {
    any_arguments(7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn valid_arguments_are_taken() {
    let mut arguments = Arguments::start().await.expect("a session");
    for (case, valid) in Arguments::seeds() {
        assert_eq!(arguments.check(case, valid).await, Ok(true), "{valid}");
    }
}
