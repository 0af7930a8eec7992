//! One call at a time, from its line to the line of its answer.

use std::future::ready;
use std::hint::black_box;
use std::time::Instant;

use subject::codex::{Lines, Rig};
use subject::skills::{Kind, catalog};
use tokio::runtime::Builder;

use crate::measure::Samples;
use crate::{Result, SKILLS, floor, model_context, rig};

/// How often contenders take turns.
const ROUNDS: usize = 40;
/// How many calls are made in a turn.
const CALLS: usize = 250;

/// The contenders by name.
pub type Rows = Vec<(&'static str, Samples)>;

/// What is measured for a number of skills.
pub fn measure(skills: usize) -> Result<Rows> {
    debug_assert!(SKILLS.contains(&skills));
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut rows = runtime.block_on(on_pipes(skills))?;
    let output = std::process::Command::new(std::env::current_exe()?)
        .arg(skills.to_string())
        .output()?;
    let mut default = Samples::default();
    for nanoseconds in String::from_utf8(output.stdout)?.split_whitespace() {
        default.add(std::time::Duration::from_nanos(nanoseconds.parse()?), 1);
    }
    rows.push(("rmcp, default `#[tool_handler]`", default));
    Ok(rows)
}

async fn on_pipes(skills: usize) -> Result<Rows> {
    let mut rigs = Vec::new();
    for kind in [Kind::Inline, Kind::Async, Kind::Blocking] {
        rigs.push(Rig::open(&catalog(kind, skills)?, kind.tool(), 1).await?);
    }
    let mut piped: Vec<(&'static str, Lines)> = [
        "codex-skills, inline",
        "codex-skills, async",
        "codex-skills, blocking",
    ]
    .into_iter()
    .zip(
        rigs.iter_mut()
            .map(|rig| std::mem::replace(&mut rig.codex, Lines::new(tokio::io::duplex(1).0, ""))),
    )
    .collect();
    piped.push(("floor on a pipe, a task for each call", floor::serve()));
    piped.push(("rmcp, router kept", model_context::kept(skills).await?));
    let mut rows: Rows = Vec::new();
    for (name, _) in &piped {
        rows.push((name, Samples::default()));
    }
    let (mut plain, mut execute) = (Samples::default(), Samples::default());
    let line = floor::line();
    for round in 0..=ROUNDS {
        for ((_, lines), (_, samples)) in piped.iter_mut().zip(&mut rows) {
            let mut warm = Samples::default();
            let samples = if round == 0 { &mut warm } else { samples };
            for _ in 0..CALLS {
                let began = Instant::now();
                lines.round_trip().await?;
                samples.add(began.elapsed(), 1);
            }
        }
        let mut answer = Vec::with_capacity(256);
        let began = Instant::now();
        for _ in 0..CALLS {
            answer.clear();
            floor::dispatch(black_box(line.as_bytes()), &mut answer)?;
            black_box(&answer);
        }
        plain.add(began.elapsed(), CALLS);
        let began = Instant::now();
        for _ in 0..CALLS {
            black_box(rig::call().await);
        }
        execute.add(began.elapsed(), CALLS);
        ready(()).await;
    }
    rows.push(("floor", plain));
    rows.push((
        "rig, `execute` and its answer as JSON, without an envelope",
        execute,
    ));
    Ok(rows)
}

/// Times calls of rmcp's default handler, in nanoseconds.
pub fn default_router(tools: usize) -> Result<String> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut lines = model_context::default(tools).await?;
        let calls = if tools > 100 { 200 } else { 4000 };
        let mut times = String::new();
        for call in 0..calls + calls / 10 {
            let began = Instant::now();
            lines.round_trip().await?;
            if call >= calls / 10 {
                times += &format!("{} ", began.elapsed().as_nanos());
            }
        }
        Ok(times)
    })
}
