//! One call at a time, from its line to the line of its answer.

use std::time::Instant;

use crate::Result;
use crate::contenders::{self, ROUTER_MADE};
use crate::measure::{Samples, many, on_worker, runtime};

/// How often contenders take turns.
const ROUNDS: usize = 40;
/// How many calls are made in a turn.
const CALLS: usize = 250;

/// One contender's calls.
pub struct Row {
    pub name: &'static str,
    pub piped: bool,
    pub samples: Samples,
}

/// What is measured for a number of skills.
pub fn measure(skills: usize, threads: usize) -> Result<Vec<Row>> {
    on_worker(&runtime(threads)?, async move {
        let mut contenders = contenders::all(skills).await?;
        let mut rows: Vec<Row> = contenders
            .iter()
            .map(|contender| Row {
                name: contender.name,
                piped: contender.piped,
                samples: Samples::default(),
            })
            .collect();
        for round in 0..=many(ROUNDS) {
            for (contender, row) in contenders.iter_mut().zip(&mut rows) {
                // A router that is made for each call takes long.
                let slow = contender.name == ROUTER_MADE && skills > 10;
                for _ in 0..if slow { 5 } else { CALLS } {
                    let began = Instant::now();
                    contender.call().await?;
                    if round > 0 {
                        row.samples.add(began.elapsed(), 1);
                    }
                }
            }
        }
        Ok(rows)
    })
}

/// How long it takes to read the clock, which is part of each call.
pub fn clock() -> f64 {
    let mut samples = Samples::default();
    for _ in 0..1000 {
        samples.add(Instant::now().elapsed(), 1);
    }
    samples.median()
}
