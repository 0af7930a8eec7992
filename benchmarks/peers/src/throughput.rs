//! Many calls at a time, with 200 skills.

use crate::Result;
use crate::contenders;
use crate::measure::{Samples, many, on_worker, runtime};

/// How many calls are outstanding.
pub const OUTSTANDING: [usize; 3] = [1, 32, 1000];

const ROUNDS: usize = 20;
const CALLS: usize = 1000;

/// Time for each call, for each contender and number of calls outstanding.
pub type Rows = Vec<(&'static str, [Samples; 3])>;

pub fn measure(threads: usize) -> Result<Rows> {
    on_worker(&runtime(threads)?, async {
        let mut contenders = contenders::pipelined().await?;
        let mut rows: Rows = contenders
            .iter()
            .map(|contender| (contender.name, Default::default()))
            .collect();
        for round in 0..=many(ROUNDS) {
            for (contender, (_, samples)) in contenders.iter_mut().zip(&mut rows) {
                for (outstanding, samples) in OUTSTANDING.iter().zip(samples) {
                    let (took, calls) = contender.pipelined(CALLS, *outstanding).await?;
                    if round > 0 {
                        samples.add(took, calls);
                    }
                }
            }
        }
        Ok(rows)
    })
}
