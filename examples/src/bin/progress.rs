//! A turn as it happens: a line for each call that begins and ends, and what the model writes, while it writes.
//!
//! `cargo run --bin progress`, or on your own codex, which runs one turn of your account's model:
//! `cargo run --bin progress -- --codex codex`. A text after that is the request.

use std::env;
use std::time::{Duration, Instant};

use codex_skills::embedded::{ModelItem, Step};
use codex_skills::{AppServer, Client, Embedded, Error, Event, Runtime, lifecycle, skill};
use serde_json::json;

/// Read the report of a month.
///
/// # Returns
/// The revenue of the month.
#[skill(read_only)]
async fn read_report(
    /// The month, 1 for January.
    month: u8,
) -> u32 {
    // An archive takes its time.
    tokio::time::sleep(Duration::from_millis(100) * month.min(12).into()).await;
    1_000 + 10 * u32::from(month)
}

/// Add up numbers.
#[skill(read_only, inline)]
fn add(numbers: Vec<u32>) -> u64 {
    numbers.into_iter().map(u64::from).sum()
}

/// What is known of a turn while it runs.
struct Progress {
    begun: Instant,
    running: usize,
    done: usize,
    /// Whether a line of the model's text was begun.
    is_writing: bool,
}

impl Progress {
    fn show(&mut self, event: &Event) {
        match event {
            Event::TurnStarted { .. } => self.line("the turn begins"),
            Event::ToolStarted { tool, .. } => {
                self.running += 1;
                self.line(&format!("{tool} begins ({} at work)", self.running));
            }
            Event::ToolCompleted { tool, success, .. } => {
                self.running = self.running.saturating_sub(1);
                self.done += 1;
                let how = if *success { "is done" } else { "failed" };
                self.line(&format!("{tool} {how} ({} at work)", self.running));
            }
            Event::TextDelta { delta, .. } => {
                if !self.is_writing {
                    print!("          ");
                }
                print!("{delta}");
                self.is_writing = !delta.ends_with('\n');
            }
            Event::Message { .. } => self.end_of_text(),
            Event::Warning { text } => self.line(&format!("codex says: {text}")),
            Event::TurnCompleted { status, .. } => self.line(&format!("the turn is {status}")),
            _ => {}
        }
    }

    fn line(&mut self, text: &str) {
        self.end_of_text();
        println!("[{:5.1} s] {text}", self.begun.elapsed().as_secs_f64());
    }

    fn end_of_text(&mut self) {
        if std::mem::take(&mut self.is_writing) {
            println!();
        }
    }
}

/// Runs a turn, and shows it.
async fn run<R: Runtime>(codex: &Client<R>, request: &str) -> Result<(), Error> {
    let mut progress = Progress {
        begun: Instant::now(),
        running: 0,
        done: 0,
        is_writing: false,
    };
    let turn = lifecycle!(codex, skills: [read_report, add], cwd: ".", |run| {
        run.send_and_handle(request).on_event(|event| progress.show(event)).require_reply().await
    })
    .await?;
    println!("{} calls: {}", turn.dispatches.len(), turn.assistant_reply);
    if progress.done != turn.dispatches.len() {
        return Err(Error::other("a call ended without a line"));
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [option, program, request @ ..] = &arguments[..] else {
        return run(&scripted(), "Add up the first quarter.").await;
    };
    if option != "--codex" {
        return Err(Error::other(format!(
            "what is {option}? See the top of this file"
        )));
    }
    let request = match request {
        [] => "Read the reports of January to March, all at once, and add up what they say.",
        [text, ..] => text,
    };
    let codex = AppServer::spawn().codex(program).await?;
    let outcome = run(&codex, request).await;
    codex.shutdown().await;
    outcome
}

/// A model that does what is asked for by heart.
fn scripted() -> Client<Embedded> {
    let report = |month: u8| ModelItem::call("read_report", json!({"month": month}));
    Embedded::scripted([
        Step::items([
            ModelItem::say("I read the three reports."),
            report(1),
            report(2),
            report(3),
        ]),
        Step::call("add", json!({"numbers": [1_010, 1_020, 1_030]})),
        Step::say("The revenue of the first quarter is 3060."),
    ])
}
