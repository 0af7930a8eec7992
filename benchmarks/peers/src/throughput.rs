//! Many calls at a time, with 200 skills.

use std::time::Instant;

use subject::codex::{Lines, Rig};
use subject::skills::{Kind, catalog};
use tokio::runtime::Builder;

use crate::measure::Samples;
use crate::{Result, floor, model_context};

/// How many calls are outstanding.
pub const OUTSTANDING: [usize; 3] = [1, 32, 1000];

const ROUNDS: usize = 15;
const CALLS: usize = 1000;

/// Time for each call, for each contender and number of calls outstanding.
pub type Rows = Vec<(&'static str, [Samples; 3])>;

pub fn measure(threads: usize) -> Result<Rows> {
    let runtime = if threads == 1 {
        Builder::new_current_thread().enable_all().build()?
    } else {
        Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()?
    };
    // On a worker, not beside them.
    runtime.block_on(async { tokio::spawn(on_pipes()).await? })
}

async fn on_pipes() -> Result<Rows> {
    let mut rigs = Vec::new();
    for kind in [Kind::Inline, Kind::Async] {
        rigs.push(Rig::open(&catalog(kind, 200)?, kind.tool(), 1).await?);
    }
    let mut piped: Vec<(&'static str, Lines)> =
        ["codex-skills, inline", "codex-skills, async"]
            .into_iter()
            .zip(rigs.iter_mut().map(|rig| {
                std::mem::replace(&mut rig.codex, Lines::new(tokio::io::duplex(1).0, ""))
            }))
            .collect();
    piped.push(("floor on a pipe, a task for each call", floor::serve()));
    piped.push(("rmcp, router kept", model_context::kept(200).await?));
    let mut rows: Rows = Vec::new();
    for (name, _) in &piped {
        rows.push((name, Default::default()));
    }
    for round in 0..=ROUNDS {
        for ((_, lines), (_, samples)) in piped.iter_mut().zip(&mut rows) {
            for (outstanding, samples) in OUTSTANDING.iter().zip(samples) {
                let began = Instant::now();
                lines.pipelined(CALLS, *outstanding).await?;
                if round > 0 {
                    samples.add(began.elapsed(), CALLS);
                }
            }
        }
    }
    Ok(rows)
}
