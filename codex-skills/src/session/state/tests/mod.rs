//! Rules 1 and 2 as properties of the machine alone: whatever is announced, repeated, restarted, ended and delivered, in
//! whatever order, no call is claimed to be run twice, and none that wants an answer stays without one.
//!
//! A [`World`] of one session and its runtime is played by dice, and drives the machine as the driver does. In the end
//! everything comes to rest: first without another announcement, then with a list of what waits, as after a catch-up. A
//! failure says its seed and what was played.

mod driver;
mod openings;
mod turnless;
mod world;

use self::world::World;

/// How many interleavings each of the four tests plays.
const INTERLEAVINGS: u64 = 25_000;

/// Plays one interleaving; says what went wrong.
fn play(seed: u64, is_logged: bool) -> Option<String> {
    let mut world = World::new(seed, is_logged);
    let steps = 4 + world.dice.below(20);
    for _ in 0..steps {
        world.step();
    }
    world.come_to_rest();
    let log = world.log.unwrap_or_default();
    world
        .wrong
        .map(|wrong| format!("seed {seed}: {wrong}\n{log}"))
}

fn play_all(from: u64) {
    for seed in from..from + INTERLEAVINGS {
        if play(seed, false).is_some() {
            let wrong = play(seed, true).unwrap_or_default();
            assert!(wrong.is_empty(), "{wrong}");
        }
    }
}

/// Four, so that they are played at the same time.
#[test]
fn none_runs_twice_and_none_stays_unanswered() {
    play_all(0);
}

#[test]
fn none_runs_twice_and_none_stays_unanswered_2() {
    play_all(1_000_000);
}

#[test]
fn none_runs_twice_and_none_stays_unanswered_3() {
    play_all(2_000_000);
}

#[test]
fn none_runs_twice_and_none_stays_unanswered_4() {
    play_all(3_000_000);
}
