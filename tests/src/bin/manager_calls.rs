//! Measures calls through the codex-manager of the tests, from the frame that announces one to its answer:
//!
//! ```text
//! cargo run --release -p codex-skills-tests --bin manager_calls -- [turns]
//! ```

use std::env;
use std::time::Duration;

use codex_skills::{CodexManager, Error, skill, skills};
use codex_skills_tests::manager::Manager;

/// Look up a ticket.
#[skill]
#[allow(clippy::unused_async, reason = "asynchronous calls are measured")]
async fn lookup_ticket(
    /// Its id.
    ticket_id: String,
) -> String {
    format!("ok:{ticket_id}")
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let turns = env::args()
        .nth(1)
        .and_then(|turns| turns.parse().ok())
        .unwrap_or(50);
    let manager = Manager::start().await?;
    let client = CodexManager::builder()
        .ignore_env()
        .profile_path("/nowhere/config.json")
        .base_url(manager.direct_url())
        .build()
        .map_err(Error::other)?;
    let run = client
        .lifecycle(|draft| draft.register(skills![lookup_ticket]))
        .await?;
    let call = "CALL lookup_ticket {\"ticket_id\":\"ABC-123\"}\n";
    run.send_and_handle(call).await?;
    for calls in [1, 5, 50] {
        let from = manager.calls().len();
        for _ in 0..turns {
            run.send_and_handle(call.repeat(calls)).await?;
        }
        let mut times: Vec<Duration> = manager.calls()[from..]
            .iter()
            .filter_map(|call| Some(call.answered? - call.announced))
            .collect();
        times.sort_unstable();
        assert_eq!(times.len(), calls * turns, "each call is answered");
        let (median, last) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        println!("calls at once: {calls}, turns: {turns}: median {median:.1?}, p99 {last:.1?}");
    }
    Ok(())
}
