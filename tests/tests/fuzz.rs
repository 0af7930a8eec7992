//! A short fuzz, with seeds that are fixed: what a peer says spoils nothing but itself. `tests/fuzz` goes on from there.

// The targets of `cargo fuzz` are compiled here as they are, so that they go on compiling: with this crate in the place of
// libFuzzer's.
extern crate self as libfuzzer_sys;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use codex_skills_tests::fuzz::{Arguments, Hostile, mutate, recorded};

#[path = "../fuzz/fuzz_targets/arguments.rs"]
#[allow(unused_attributes, reason = "of a program without `main`")]
mod arguments_target;
#[path = "../fuzz/fuzz_targets/wire.rs"]
#[allow(unused_attributes, reason = "of a program without `main`")]
mod wire_target;

/// Makes a function of a target.
#[macro_export]
macro_rules! fuzz_target {
    (|$data:ident: &[u8]| $body:block) => {
        pub(super) fn target($data: &[u8]) {
            $body
        }
    };
}

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

#[test]
fn the_targets_of_longer_runs_take_what_is_valid_and_what_is_not() {
    let panics = count_panics();
    let mut random = fastrand::Rng::with_seed(1);
    for (case, valid) in Arguments::seeds() {
        let case = u8::try_from(case).expect("few cases");
        arguments_target::target(&[&[case], valid.as_bytes()].concat());
        let mutated = mutate(&mut random, valid.as_bytes());
        arguments_target::target(&[&[case], &*mutated].concat());
    }
    let mut lines = recorded();
    lines.truncate(40);
    wire_target::target(&lines.join(&b'\n'));
    for line in &mut lines {
        *line = mutate(&mut random, line);
    }
    wire_target::target(&lines.join(&b'\n'));
    assert_eq!(panics.load(Ordering::Relaxed), 0);
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
