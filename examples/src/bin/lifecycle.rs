//! However a block ends, its session is gone: `lifecycle!` closes on return, error, panic and
//! cancellation, and keeps a session only with `keep_session`.
//!
//! `cargo run --bin lifecycle`

use std::time::Duration;

use codex_skills::{CleanupReport, Client, Embedded, Error, lifecycle, skill};

/// Send a text back.
#[skill]
fn echo(
    /// What to send back.
    text: String,
) -> String {
    text
}

/// The program's own error: `?` in a block finds it when the block names it.
#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("the shop is closed")]
    Closed,
    #[error(transparent)]
    Codex(#[from] Error),
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let codex = Embedded::demo();

    // Return. The block borrows from its surroundings.
    let text = String::from("hello");
    let reply = lifecycle!(codex, skills: [echo], |run| {
        let request = format!("Call echo with '{text}'.");
        let turn = run.send_and_handle(request).require_reply().await?;
        Ok(turn.assistant_reply)
    })
    .await?;
    show(&codex, "return", &reply, reply == "echo: hello")?;

    // Error. It is handed on once the session is closed.
    let refused = lifecycle!(codex, skills: [echo], |run| -> Result<(), ShopError> {
        run.send_and_handle("Call echo with 'one'.").await?;
        Err(ShopError::Closed)
    })
    .await;
    let closed = matches!(refused, Err(ShopError::Closed));
    show(&codex, "error", "is handed on", closed)?;

    // Panic. It goes on once the session is closed; here the task's handle catches it.
    std::panic::set_hook(Box::new(|_| {}));
    let client = codex.clone();
    let panicked = tokio::spawn(async move {
        lifecycle!(client, skills: [echo], |run| {
            run.send("Print the invoice.").await?;
            Ok(print_invoice())
        })
        .await
    })
    .await;
    drop(std::panic::take_hook());
    show(&codex, "panic", "goes on", panicked.is_err())?;

    // Cancellation. The future is dropped, so a background task deletes the session.
    let endless = lifecycle!(codex, |_| {
        std::future::pending::<()>().await;
        Ok(())
    });
    let cancelled = tokio::time::timeout(Duration::from_millis(20), endless).await;
    for _ in 0..100 {
        if codex.runtime().session_count() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    show(&codex, "dropped", "is cleaned up", cancelled.is_err())?;

    // Kept, because the block says so.
    let mut kept = String::new();
    let remember = |report: &CleanupReport| report.session_id().clone_into(&mut kept);
    lifecycle!(codex, keep_session: true, on_close: remember, |_| Ok(())).await?;
    let left = codex.runtime().session_count();
    println!("{:<10} {:<16} {left} session left", "kept", "stays");

    let report = codex.close_session(kept, true).await?;
    show(
        &codex,
        "closed",
        "is deleted",
        report.deleted() && left == 1,
    )
}

#[expect(clippy::panic, reason = "it is what this lesson is about")]
fn print_invoice() -> String {
    panic!("out of paper")
}

fn show(codex: &Client<Embedded>, ending: &str, what: &str, as_told: bool) -> Result<(), Error> {
    let left = codex.runtime().session_count();
    println!("{ending:<10} {what:<16} {left} sessions left");
    if left > 0 || !as_told {
        return Err(Error::other(format!("{ending}: it did not come as told")));
    }
    Ok(())
}
