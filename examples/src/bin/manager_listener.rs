//! A program that runs for long: it opens a session on a codex-manager, answers its calls whichever client asks in it,
//! and ends in good order on Ctrl-C.
//!
//! `cargo run --bin manager_listener` goes to the codex-manager of your current profile, by default
//! `http://127.0.0.1:3001`; `-- --base-url http://127.0.0.1:4000` names another one. Ask in the session that it prints, in
//! codex-manager's own web pages or with its command line, as often as you like. It survives lost connections
//! and restarts of codex-manager. How to start one is in `guide::manager`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

use codex_skills::{CodexManager, Error, Event, Lifecycle, skill, skills};

#[derive(Default)]
struct Shelf {
    left: AtomicU32,
}

#[skill]
impl Shelf {
    /// Say how many boxes of tea are on the shelf.
    #[skill(read_only)]
    fn count_boxes(&self) -> u32 {
        let boxes = self.left.load(Ordering::Relaxed);
        println!("counted   {boxes} boxes");
        boxes
    }

    /// Put boxes of tea on the shelf.
    ///
    /// # Returns
    /// How many there are now.
    #[skill]
    fn add_boxes(
        &self,
        /// How many to add.
        boxes: u8,
    ) -> u32 {
        println!("added     {boxes} boxes");
        let boxes = boxes.into();
        self.left.fetch_add(boxes, Ordering::Relaxed) + boxes
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let mut settings = CodexManager::builder();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        settings = match (name.as_str(), arguments.next()) {
            ("--base-url", Some(url)) => settings.base_url(url),
            _ => {
                return Err(Error::other(format!(
                    "what is {name}? See the top of this file"
                )));
            }
        };
    }
    let codex = settings.build()?;
    let run = codex
        .lifecycle(|draft| draft.register(skills![Shelf]).state(Shelf::default()))
        .await
        .map_err(|error| {
            Error::other(format!(
                "{error}\n\n\
                 Is there a codex-manager at {}? Start one with `pnpm dev:api` in a clone of\n\
                 https://github.com/jmillpps/codex-manager, or name another one with `--base-url http://…`.",
                codex.runtime().base_url()
            ))
        })?;
    println!("session   {}", run.session_id());
    println!("ask there; Ctrl-C ends this");

    tokio::select! {
        reason = run.serve() => println!("ended     {}", reason?),
        () = tell(&run) => {}
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            println!("ended     by Ctrl-C");
        }
    }

    // Handlers that run finish, their answers are sent, and the session is deleted.
    let report = codex.shutdown().await;
    for cleanup in &report.cleanups {
        println!("cleanup   {cleanup}");
    }
    println!("cancelled {} calls", report.cancelled_calls);
    println!("metrics   {:#?}", codex.metrics());
    match report
        .cleanups
        .iter()
        .find_map(|cleanup| cleanup.delete_error())
    {
        Some(error) => Err(error.clone().into()),
        None => Ok(()),
    }
}

/// Says what happens in the session, until it is closed.
async fn tell(run: &Lifecycle) {
    let mut signals = run.signals();
    while let Some(event) = signals.next().await {
        match event {
            Event::Message { text, .. } => println!("message   {text}"),
            Event::TurnCompleted {
                turn_id, status, ..
            } => println!("turn      {turn_id} {status}"),
            _ => {}
        }
    }
    // `serve` says why.
    std::future::pending::<()>().await;
}
