//! What a peer or a model can make the client keep: each row of the guide's table is flooded in a process of its own, whose
//! memory stays within some times the limit.
#![cfg(target_os = "linux")]

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a flood may take.
const LONGEST: Duration = Duration::from_secs(120);

/// Runs a flood, and returns by how many MiB the memory grew.
fn grown(arguments: &[&str], longest: Duration) -> Result<usize, String> {
    let mut flood = Command::new(env!("CARGO_BIN_EXE_flood"))
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut output = flood.stdout.take().expect("its output");
    let (says, said) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = output.read_to_string(&mut text);
        let _ = says.send(text);
    });
    let said = said.recv_timeout(longest);
    if said.is_err() {
        // It may have ended meanwhile.
        let _ = flood.kill();
    }
    let status = flood.wait().expect("it ends");
    let said = said.map_err(|_| format!("it took more than {longest:?}"))?;
    match said.trim().parse::<usize>() {
        Ok(kib) if status.success() => Ok(kib / 1024),
        _ => Err(format!("{status}")),
    }
}

macro_rules! floods {
    ($($promise:ident: $case:literal, $mib:literal;)*) => {$(
        #[test]
        fn $promise() {
            let grown = grown(&[$case], LONGEST).unwrap_or_else(|why| panic!("{}: {why}", $case));
            assert!(grown <= $mib, "{} grew by {grown} MiB", $case);
        }
    )*};
}

// Limits that can be set are 4 MiB here. Without its limit, each flood takes more than this many MiB.
floods! {
    answers_of_one_turn_are_bounded: "one-turn", 40;
    answers_of_turns_whose_end_never_comes_are_bounded: "unended-turns", 40;
    answers_of_ended_turns_are_bounded: "many-turns", 40;
    answers_of_sessions_that_were_left_are_bounded: "left-sessions", 130;
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
    children_of_a_managers_sessions_are_bounded: "manager-children", 24;
    known_calls_of_a_managers_session_are_bounded: "manager-calls", 48;
    unknown_threads_of_a_manager_are_bounded: "manager-adoptions", 32;
    questions_of_a_manager_are_bounded: "manager-questions", 200;
    the_health_of_a_manager_is_bounded: "manager-health", 8;
    a_created_session_is_bounded: "manager-created", 24;
    a_page_of_sessions_is_bounded: "manager-page", 24;
    a_resumed_session_is_bounded: "manager-resumed", 32;
    the_detail_of_a_session_is_bounded: "manager-detail", 48;
    a_list_of_waiting_calls_is_bounded: "manager-waiting", 32;
}

#[test]
fn a_flood_that_hangs_is_ended() {
    let longest = Duration::from_millis(200);
    let grown = grown(&["hangs"], longest);
    assert!(grown.is_err_and(|why| why.contains("took more than")));
}
