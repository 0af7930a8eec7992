//! A program with a loop of its own: it watches the session's events and answers calls when it likes.
//! Whatever is announced twice, or answered by two parts of the program, runs once.
//!
//! `cargo run --bin own_loop`

use std::sync::atomic::{AtomicU32, Ordering};

use codex_skills::{Embedded, Error, Event, lifecycle, skill};

static RUNS: AtomicU32 = AtomicU32::new(0);

/// Water a plant.
#[skill]
fn water(
    /// The plant's name.
    plant: String,
) -> String {
    RUNS.fetch_add(1, Ordering::Relaxed);
    format!("{plant} is happy")
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let codex = Embedded::demo();
    lifecycle!(codex, skills: [water], |run| {
        // 1. Event by event. Take the signals before sending, so that none is missed.
        let mut signals = run.signals();
        run.send("Please water the 'fern'.").await?;
        while let Some(event) = signals.next().await {
            match &event {
                Event::TurnStarted { turn_id } => println!("turn      {turn_id}"),
                Event::ToolCall(call) => {
                    println!("call      {}({})", call.tool, call.arguments);
                    let first = run.respond_to_signal(&event).await?;
                    let again = run.respond_to_signal(&event).await?;
                    for record in first.iter().chain(&again) {
                        println!("answer    {record:#}, repeat: {}", record.is_repeat());
                    }
                }
                Event::Message { text, .. } => println!("message   {text}"),
                Event::TurnCompleted { status, .. } => {
                    println!("end       {status}");
                    break;
                }
                _ => {}
            }
        }

        // 2. Now and then: answer whatever waits.
        run.send("Please water the 'cactus'.").await?;
        while let Some(event) = signals.next().await {
            match event {
                Event::ToolCall(_) => {
                    for record in run.drain_pending_calls().await? {
                        println!("drained   {record:#}");
                    }
                }
                Event::TurnCompleted { .. } => break,
                _ => {}
            }
        }
        Ok(())
    })
    .await?;

    let runs = RUNS.load(Ordering::Relaxed);
    println!("handlers  ran {runs} times for 2 calls and 3 answers");
    if runs != 2 {
        Err(Error::other("a handler ran more than once for a call"))
    } else {
        Ok(())
    }
}
