//! What a peer or a model can make the client keep: each row of the guide's table is flooded in a process of its own, whose
//! memory stays within some times the limit.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::process::Command;

/// Runs a flood, and says by how many MiB the memory grew.
fn grown(case: &str) -> usize {
    let flood = Command::new(env!("CARGO_BIN_EXE_flood")).arg(case).output();
    let flood = flood.expect("it runs");
    let (said, why) = (
        String::from_utf8_lossy(&flood.stdout),
        String::from_utf8_lossy(&flood.stderr),
    );
    assert!(flood.status.success(), "{case}: {why}");
    let kib: usize = said.trim().parse().expect("a number");
    kib / 1024
}

macro_rules! floods {
    ($($promise:ident: $case:literal, $mib:literal;)*) => {$(
        #[test]
        fn $promise() {
            let grown = grown($case);
            assert!(grown <= $mib, "{} grew by {grown} MiB", $case);
        }
    )*};
}

// Limits that can be set are 4 MiB here. Without its limit, each flood takes more than this many MiB.
floods! {
    answers_of_one_turn_are_bounded: "one-turn", 40;
    answers_of_turns_whose_end_never_comes_are_bounded: "unended-turns", 40;
    answers_of_ended_turns_are_bounded: "many-turns", 40;
    calls_that_nobody_serves_are_bounded: "unserved", 48;
    large_arguments_are_bounded: "large-calls", 48;
    answers_for_a_peer_that_does_not_read_are_bounded: "deaf-calls", 80;
    requests_of_a_peer_that_does_not_read_are_bounded: "deaf-requests", 32;
    refusals_for_a_peer_that_does_not_read_are_bounded: "deaf-refusals", 16;
    calls_of_unknown_threads_are_bounded: "strangers", 20;
    children_of_sessions_are_bounded: "children", 16;
    a_list_of_children_is_bounded: "child-list", 24;
    unread_signals_are_bounded: "signals", 40;
    replies_of_turns_are_bounded: "replies", 48;
    what_is_said_of_a_turns_end_is_bounded: "details", 40;
    ids_are_bounded: "long-ids", 24;
    names_and_ids_of_many_calls_are_bounded: "names", 24;
}
