//! Without async: the same surface on an ordinary thread.
//!
//! `cargo run --bin blocking`

use std::time::Duration;

use codex_skills::{Embedded, Event, skill, skills};

/// Add up the amounts of an invoice, in cents.
///
/// # Returns
/// The total in cents.
#[skill]
fn invoice_total(
    /// The number of the invoice, for example `INV-2031`.
    invoice: &str,
) -> Result<u64, String> {
    match invoice {
        "INV-2031" => Ok([1_250, 4_999, 300].iter().sum()),
        _ => Err(format!("there is no invoice {invoice}")),
    }
}

/// Tell whether an invoice is paid.
#[skill]
async fn invoice_paid(
    /// The number of the invoice, for example `INV-2031`.
    invoice: String,
) -> bool {
    // Skills may be asynchronous all the same: they run in the background.
    tokio::time::sleep(Duration::from_millis(20)).await;
    invoice.ends_with('1')
}

fn main() -> Result<(), codex_skills::Error> {
    let codex = Embedded::demo().blocking();

    // The session is closed when the block returns, fails or panics.
    let reply = codex
        .lifecycle(|draft| draft.register(skills![invoice_total, invoice_paid]))
        .cwd(".")
        .run(|run| {
            let turn = run
                .send_and_handle("Use invoice_total for INV-2031, and invoice_paid for INV-2031.")
                .timeout(Duration::from_secs(30))
                .require_reply()
                .wait()?;
            for call in &turn.dispatches {
                println!("call      {call:#}");
            }
            Ok(turn.assistant_reply)
        })?;
    println!("reply     {reply}");

    // Or as a guard, here with a loop of one's own: events are an iterator.
    let run = codex
        .lifecycle(|draft| draft.register(skills![invoice_total]))
        .wait()?;
    let signals = run.signals();
    run.send("Use invoice_total for INV-9999.").wait()?;
    for event in signals {
        if let Some(call) = run.respond_to_signal(&event)? {
            println!("call      {call:#}");
            println!("answer    {}", call.output().to_text());
        }
        if let Event::TurnCompleted { status, .. } = &event {
            println!("turn      {status}");
            break;
        }
    }
    println!("cleanup   {}", run.close()?);
    println!("sessions  {} left", codex.runtime().session_count());
    Ok(())
}
