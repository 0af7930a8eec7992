//! Allocations a call, and memory, into `parts/weights.md`: a program of its own, since counting takes time.

#[path = "../floor.rs"]
mod floor;
#[path = "../model_context.rs"]
#[allow(dead_code)]
mod model_context;

use std::fmt::Write as _;

use subject::codex::{Lines, Rig};
use subject::counting::{Counting, allocations, bytes};
use subject::skills::{Kind, catalog};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

async fn a_call(lines: &mut Lines) -> Result<f64> {
    for _ in 0..10_000 {
        lines.round_trip().await?;
    }
    let before = allocations();
    for _ in 0..10_000 {
        lines.round_trip().await?;
    }
    Ok((allocations() - before) as f64 / 1e4)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut text = "## Allocations a call\n\nWith 200 skills; turns, their ends and the handler's own included.\n\n\
                    | | allocations |\n|---|---:|\n"
        .to_owned();
    let before = allocations();
    let mut answer = Vec::with_capacity(256);
    floor::dispatch(floor::line().as_bytes(), &mut answer)?;
    let plain = allocations() - before - 3;
    let _ = writeln!(text, "| floor, without a pipe | {plain} |");
    let floor = a_call(&mut floor::serve()).await?;
    let _ = writeln!(
        text,
        "| floor on a pipe, a task for each call | {floor:.1} |"
    );
    for (name, kind) in [
        ("inline", Kind::Inline),
        ("async", Kind::Async),
        ("blocking", Kind::Blocking),
    ] {
        let mut rig = Rig::open(&catalog(kind, 200)?, kind.tool(), 1).await?;
        let each = a_call(&mut rig.codex).await?;
        let _ = writeln!(text, "| codex-skills, {name} | {each:.1} |");
    }
    let each = a_call(&mut model_context::kept(200).await?).await?;
    let _ = writeln!(text, "| rmcp, router kept | {each:.1} |");
    text += "\n## Memory\n\n| | bytes |\n|---|---:|\n";

    let sealed = catalog(Kind::Async, 200)?;
    let before = bytes();
    let mut rig = Rig::open(&sealed, Kind::Async.tool(), 10_000).await?;
    let _ = writeln!(
        text,
        "| an idle session, of 10,000 of one catalog | {} |",
        (bytes() - before) / 10_000
    );
    rig.codex.pipelined(16, 1).await?;
    let before = bytes();
    rig.codex.pipelined(4_000, 32).await?;
    let _ = writeln!(
        text,
        "| a settled call, in the ledger and the records of its turn | {} |",
        (bytes() - before) / 4_000
    );
    std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../parts"))?;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../parts/weights.md");
    std::fs::write(file, &text)?;
    println!("{text}");
    Ok(())
}
