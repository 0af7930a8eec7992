//! The forms that a `lifecycle!` block may have.
#![deny(warnings)]
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use codex_skills::{Draft, Embedded, Error, lifecycle, skill, skills};

/// Look up.
#[skill(group = "tickets")]
async fn lookup(id: String, #[state] count: &AtomicUsize) -> String {
    count.fetch_add(1, Ordering::SeqCst);
    id
}

/// Close.
#[skill]
fn close() {}

#[derive(Debug)]
enum MyError {
    Codex(Error),
    Own,
}

impl From<Error> for MyError {
    fn from(error: Error) -> Self {
        Self::Codex(error)
    }
}

async fn ready<T>(value: T) -> Result<T, Error> {
    Ok(value)
}

fn send<T: Send>(future: T) -> T {
    future
}

async fn generic<R: codex_skills::Runtime>(codex: &codex_skills::Client<R>) -> Result<usize, Error> {
    lifecycle!(codex, skills: [close], |run| Ok(run.catalog().iter().count())).await
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let codex = Embedded::demo();

    // All options, a borrowed surrounding, `?` without an annotation.
    let words = String::from("Use lookup for ABC-1.");
    let mut reports = Vec::new();
    let reply = lifecycle!(
        &codex,
        skills: [lookup, close],
        state: AtomicUsize::new(0),
        cwd: ".",
        model: "demo",
        keep_session: false,
        inject_skills: true,
        repeat_tools: true,
        call_timeout: Duration::from_secs(5),
        max_concurrent_calls: 4,
        ignore_cleanup_errors: false,
        sync_runtime_on_cleanup: true,
        require_documentation: false,
        on_close: |report| reports.push(report.to_string()),
        |run| {
            let turn = run.send_and_handle(&*words).require_reply().await?;
            assert_eq!(turn.dispatches.len(), 1);
            Ok(turn.assistant_reply)
        },
    )
    .await?;
    assert!(!reply.is_empty());
    assert_eq!(reports.len(), 1);

    // Registering by a callback, sync and async, after the lists.
    let count = lifecycle!(codex, skills: [close], register: |draft| draft.state(AtomicUsize::new(0)).register(skills![lookup]), |run| {
        Ok(run.catalog().iter().count())
    })
    .await?;
    assert_eq!(count, 2);
    let count = lifecycle!(codex, register: async |draft: Draft| { tokio::task::yield_now().await; draft.register(skills![close]) }, |run| {
        Ok(run.catalog().iter().count())
    })
    .await?;
    assert_eq!(count, 1);

    // Discovery, shared state, a list of states.
    let shared = Arc::new(AtomicUsize::new(0));
    let count = lifecycle!(codex, discover: "tickets", shared_state: shared.clone(), state: [ready(1_u8).await?, "x"], |run| {
        run.send_and_handle("Use lookup for ABC-1.").await?;
        Ok(run.catalog().iter().count())
    })
    .await?;
    assert_eq!((count, shared.load(Ordering::SeqCst)), (1, 1));

    // A sealed catalog, a type for the block, an early return, `_`.
    let catalog = Draft::new().register(skills![close]).seal()?;
    let early = lifecycle!(codex, catalog: catalog.clone(), |_| -> Result<u8, MyError> {
        if catalog.iter().count() == 1 {
            return Err(MyError::Own);
        }
        Ok(1)
    })
    .await;
    assert!(matches!(early, Err(MyError::Own)));

    // Nothing but a block; the future can be spawned.
    let spawned = codex.clone();
    let ran = tokio::spawn(async move { send(lifecycle!(spawned, |_run| Ok(1))).await }).await;
    assert_eq!(ran.unwrap()?, 1);

    // A block in a block, and one in a generic function.
    let both = lifecycle!(codex, |outer| {
        lifecycle!(codex, |inner| Ok((outer.session_id() == inner.session_id(), generic(&codex).await?))).await
    })
    .await?;
    assert_eq!(both, (false, 1));
    assert_eq!(codex.runtime().session_count(), 0);
    close();
    Ok(())
}
