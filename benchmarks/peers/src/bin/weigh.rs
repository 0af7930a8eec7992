//! Allocations a call, and memory, into `parts/weights.md`: a program of its own, since counting takes time.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::atomic::Ordering;

use codex_skills::{Catalog, Client, Limits};
use peers::contenders::{self, Contender, FLOOR, PIPE_FLOOR, ROUTER_MADE};
use peers::measure::{be_quick, many, runtime};
use peers::nothing::Nothing;
use peers::{Result, SKILLS};
use subject::codex::Rig;
use subject::counting::{Counting, allocations, bytes};
use subject::skills::{BEGAN, GATE, Kind, answer, catalog};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many calls wait then.
const WAITING: usize = 1_000;

async fn a_call(contender: &mut Contender, skills: usize) -> Result<f64> {
    let calls = if contender.name == ROUTER_MADE && skills > 10 {
        20
    } else {
        many(10_000)
    };
    for _ in 0..calls {
        contender.call().await?;
    }
    let before = allocations();
    for _ in 0..calls {
        contender.call().await?;
    }
    Ok((allocations() - before) as f64 / calls as f64)
}

async fn calls(text: &mut String) -> Result<()> {
    let before = allocations();
    black_box(answer("ABC-123", 5, true));
    let handler = allocations() - before;
    let _ = writeln!(
        text,
        "## Allocations a call\n\n\
         A counting allocator counts each request for memory, reallocations included, over 10,000 calls after as many. \
         Turns, their ends and the client of the pair are included. Own: with 200 skills, less those of the floor, \
         with a pipe or without one; the floor has {handler} of the handler and decodes the same struct.\n\n\
         | skills | 1 | 10 | 200 | 1000 | own |\n|---|---:|---:|---:|---:|---:|"
    );
    let mut rows: Vec<(&str, bool, Vec<f64>)> = Vec::new();
    for skills in SKILLS {
        eprintln!("allocations, {skills} skills");
        for (at, contender) in contenders::all(skills).await?.iter_mut().enumerate() {
            if rows.len() == at {
                rows.push((contender.name, contender.piped, Vec::new()));
            }
            rows[at].2.push(a_call(contender, skills).await?);
        }
    }
    for (name, piped, counts) in &rows {
        let _ = write!(text, "| {name} |");
        for count in counts {
            let _ = write!(text, " {count:.1} |");
        }
        let floor = if *piped { PIPE_FLOOR } else { FLOOR };
        let floor = rows.iter().find(|(name, ..)| *name == floor);
        let own = floor.map_or(f64::NAN, |(_, _, floor)| counts[2] - floor[2]);
        let _ = writeln!(text, " {own:.1} |");
    }
    Ok(())
}

/// What it takes to create a session on a runtime that does nothing: allocations, and bytes that stay.
async fn session(catalog: &Catalog, sessions: usize) -> Result<(f64, f64)> {
    eprintln!("sessions on a runtime that does nothing");
    let client = Client::new(Nothing::default());
    let mut kept = Vec::with_capacity(sessions);
    let mut before = (0, 0);
    for session in 0..sessions {
        if session == 1 {
            before = (allocations(), bytes());
        }
        kept.push(client.create_session_with(catalog.clone()).await?.1);
    }
    let each = (sessions - 1) as f64;
    Ok((
        (allocations() - before.0) as f64 / each,
        (bytes() - before.1) as f64 / each,
    ))
}

/// Bytes for each call that waits: for its handler, or for a handler to end.
async fn waiting(
    text: &mut String,
    sealed: &Catalog,
    sessions: usize,
    concurrent: usize,
) -> Result<()> {
    eprintln!("memory of waiting calls, {concurrent} at the same time");
    let tool = Kind::Waiting.tool();
    let limits = Limits {
        concurrent_calls: concurrent,
        ..Limits::default()
    };
    let mut rig = Rig::open_within(sealed, tool, sessions, limits).await?;
    BEGAN.store(0, Ordering::Relaxed);
    let before = bytes();
    for _ in 0..WAITING {
        rig.codex.send().await?;
    }
    while rig.client.metrics().received < WAITING as u64
        || BEGAN.load(Ordering::Relaxed) < concurrent.min(WAITING)
    {
        tokio::task::yield_now().await;
    }
    let each = (bytes() - before) / WAITING;
    let what = if concurrent < WAITING {
        "a call that waits until another handler ends"
    } else {
        "a call whose asynchronous handler waits"
    };
    let _ = writeln!(text, "| {what} | {each} |");
    Ok(())
}

async fn memory(text: &mut String) -> Result<()> {
    let sessions = many(10_000);
    let _ = writeln!(
        text,
        "\n## Memory\n\nBytes, with {sessions} sessions of one catalog of 200 skills. {WAITING} calls wait.\n\n\
         | | bytes |\n|---|---:|"
    );
    eprintln!("memory of sessions and settled calls");
    let sealed = catalog(Kind::Async, 200)?;
    let before = bytes();
    let mut rig = Rig::open(&sealed, Kind::Async.tool(), sessions).await?;
    let idle = (bytes() - before) / sessions;
    let _ = writeln!(text, "| an idle session | {idle} |");
    rig.codex.pipelined(16, 1).await?;
    let before = bytes();
    rig.codex.pipelined(4_000, 32).await?;
    let settled = (bytes() - before) / 4_000;
    let _ = writeln!(
        text,
        "| a settled call, in the ledger and the records of its turn | {settled} |"
    );
    drop(rig);
    let sealed = catalog(Kind::Waiting, 200)?;
    // One that runs is the least there can be: all others wait for it.
    waiting(text, &sealed, sessions, 1).await?;
    waiting(text, &sealed, sessions, WAITING).await?;
    GATE.close();
    let _ = writeln!(
        text,
        "\n## Sessions on a runtime that does nothing\n\nThe 2nd to the {sessions}th. A copy of the 200 schemas, or of their \
         text, would be tens of thousands of bytes.\n\n\
         | | allocations | bytes that stay |\n|---|---:|---:|"
    );
    for (name, catalog) in [
        ("session without skills", Catalog::empty()),
        ("session of 200 skills", subject::many::catalog()?),
    ] {
        let (allocations, bytes) = session(&catalog, sessions).await?;
        let _ = writeln!(text, "| {name} | {allocations:.1} | {bytes:.0} |");
    }
    Ok(())
}

fn main() -> Result<()> {
    if std::env::args().any(|argument| argument == "--quick") {
        be_quick();
    }
    let mut text = String::new();
    // A tokio runtime each: what the first leaves is gone before the second counts.
    runtime(1)?.block_on(calls(&mut text))?;
    runtime(1)?.block_on(memory(&mut text))?;
    let parts = concat!(env!("CARGO_MANIFEST_DIR"), "/../parts");
    std::fs::create_dir_all(parts)?;
    std::fs::write(format!("{parts}/weights.md"), &text)?;
    println!("{text}");
    Ok(())
}
