//! A program that leaves a session to its guard and ends, for tests of what is left of the session then.
//!
//! `program_ends RUNTIME THREADS HOW`: `RUNTIME` is the address of a codex-manager or of a codex that listens, or the path
//! of a codex to start; `THREADS` is `one` or `many`; `HOW` says how it ends. It never shuts its client down, unless it
//! says so.

use std::future::pending;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, thread};

use codex_skills::runtime::Runtime;
use codex_skills::{AppServer, Client, CodexManager, Error, lifecycle, skill, skills};
use tokio::runtime::Builder;
use tokio::sync::Semaphore;

/// Closed by the first call of a skill: everyone who waits goes on, however late.
static CALLED: Semaphore = Semaphore::const_new(0);

/// Never answer.
#[skill]
async fn hang() {
    CALLED.close();
    pending::<()>().await;
}

/// Never return.
#[skill(timeout = "1s")]
fn stick() {
    CALLED.close();
    loop {
        thread::park();
    }
}

fn main() -> Result<ExitCode, Error> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [runtime, threads, how] = arguments.as_slice() else {
        return Ok(ExitCode::FAILURE);
    };
    let mut builder = match threads.as_str() {
        "one" => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    // As `#[tokio::main]` does.
    builder.enable_all().build()?.block_on(async {
        if runtime.starts_with("http:") {
            let client = CodexManager::builder()
                .ignore_env()
                .profile_path("/nowhere/config.json")
                .base_url(runtime)
                .build()
                .map_err(Error::other)?;
            end(client, how).await
        } else if runtime.starts_with("ws:") {
            end(AppServer::connect(runtime).await?, how).await
        } else {
            end(AppServer::spawn().codex(runtime).await?, how).await
        }
    })
}

/// A block with a turn, which ends as soon as a skill is called, or never.
async fn block<R: Runtime>(client: Client<R>, how: String, ends: bool) -> Result<(), Error> {
    lifecycle!(client, skills: [hang, stick], inject_skills: false, |run| {
        let turn = run.send_and_handle(text(&how));
        let called = async {
            called().await;
            if !ends {
                pending::<()>().await;
            }
        };
        tokio::select! {
            turn = turn => drop(turn?),
            () = called => {}
        }
        match how.as_str() {
            "error" => Err(Error::other("of the block")),
            #[allow(clippy::panic, reason = "it is what the test wants")]
            "panic" => panic!("of the block"),
            _ => Ok(()),
        }
    })
    .await
}

async fn called() {
    let _ = CALLED.acquire().await;
}

fn text(how: &str) -> &'static str {
    if how.starts_with("stuck") {
        "CALL stick {}"
    } else {
        "CALL hang {}"
    }
}

async fn end<R: Runtime>(client: Client<R>, how: &str) -> Result<ExitCode, Error> {
    let block = |client, ends| block(client, how.to_owned(), ends);
    match how {
        "return" | "error" | "panic" => block(client, true).await?,
        "select" => {
            tokio::select! {
                ended = block(client.clone(), false) => ended?,
                () = called() => {}
            }
        }
        "away" => {
            tokio::select! {
                ended = block(client.clone(), false) => ended?,
                () = called() => {
                    println!("called");
                    std::io::stdin().read_line(&mut String::new())?;
                }
            }
        }
        "guard" => {
            let register = |draft: codex_skills::Draft| draft.register(skills![hang]);
            let run = client.lifecycle(register).inject_skills(false).await?;
            run.send(text(how)).await?;
            // The client is dropped before its guard is.
            drop(client);
            return Ok(ExitCode::SUCCESS);
        }
        "task" => {
            let work = block(client, false);
            let task = tokio::spawn(async move { work.await.is_ok() });
            called().await;
            task.abort();
            // Dropped by now, with the client, on a worker.
            drop(task.await);
        }
        "creation" => {
            let register = |draft: codex_skills::Draft| draft.register(skills![hang]);
            let opening = client.lifecycle(register).into_future();
            // It is under way, or there and not taken.
            drop(tokio::time::timeout(Duration::from_millis(100), opening).await);
        }
        "stuck" => block(client, false).await?,
        "stuck-shutdown" => {
            let shut_down = client.clone();
            block(client, false).await?;
            let report = shut_down.shutdown().await;
            assert_eq!(report.running_handlers, 1, "{report:?}");
        }
        _ => return Ok(ExitCode::FAILURE),
    }
    Ok(ExitCode::SUCCESS)
}
