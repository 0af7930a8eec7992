//! The client without async: the same results, from any thread, and nothing is left behind.

mod lifecycle;
mod same_as_async;
mod threads;
mod turns;

use std::panic::resume_unwind;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use codex_skills::blocking::{Client, Session};
use codex_skills::embedded::Step;
use codex_skills::{Draft, Embedded, skill, skills};
use serde_json::json;

/// Where the handler of [`whereabouts`] runs.
#[skill]
async fn whereabouts(word: String) -> String {
    tokio::task::yield_now().await;
    let thread = thread::current();
    format!("{word} on {}", thread.name().unwrap_or_default())
}

/// Repeat a word.
#[skill]
fn repeat(word: String) -> String {
    format!("{word} {word}")
}

/// Repeat a word, at once.
#[skill(inline)]
fn repeat_inline(word: String) -> String {
    format!("{word} {word}!")
}

/// A client whose model calls all three skills, and says what they answered.
fn codex() -> Client<Embedded> {
    Embedded::scripted([
        Step::calls([
            ("whereabouts", json!({"word": "one"})),
            ("repeat", json!({"word": "two"})),
            ("repeat_inline", json!({"word": "three"})),
        ]),
        Step::say_outputs(),
    ])
    .blocking()
}

fn register(draft: Draft) -> Draft {
    draft.register(skills![whereabouts, repeat, repeat_inline])
}

/// Sends a request, and checks that all three skills answered.
fn check(session: &Session) -> Result<(), codex_skills::Error> {
    let sent = session.send_and_handle("Go.").require_reply().wait()?;
    let mut lines: Vec<&str> = sent.assistant_reply.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "repeat: two two",
            "repeat_inline: three three!",
            "whereabouts: one on codex-skills",
        ]
    );
    assert_eq!(sent.dispatches.len(), 3);
    Ok(())
}

/// Opens a session, has all three skills called, closes it, and checks that nothing is left.
fn round(codex: &Client<Embedded>) {
    codex
        .lifecycle(register)
        .run(|run| check(run))
        .expect("the round");
    assert_eq!(codex.runtime().session_count(), 0);
}

/// Runs `body` on a thread of its own; a test that waits for itself fails instead of hanging.
fn soon<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        let value = body();
        let _ = done.send(());
        value
    });
    if ended.recv_timeout(Duration::from_secs(60)) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("it waits for itself");
    }
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}
