//! Making a catalog, and sessions of one that is made.

use std::hint::black_box;
use std::time::Instant;

use codex_skills::Embedded;
use subject::skills::{Kind, catalog};
use tokio::runtime::Builder;

use crate::measure::Samples;
use crate::{Result, model_context};

const ROUNDS: usize = 21;

/// Name, samples.
pub type Rows = Vec<(&'static str, Samples)>;

pub fn measure() -> Result<Rows> {
    let mut seal = Samples::default();
    let mut peer = Samples::default();
    for round in 0..=ROUNDS {
        let began = Instant::now();
        black_box(catalog(Kind::Inline, 200)?);
        let ours = began.elapsed();
        let began = Instant::now();
        black_box(model_context::catalog(200));
        if round > 0 {
            seal.add(ours, 1);
            peer.add(began.elapsed(), 1);
        }
    }
    let sealed = catalog(Kind::Inline, 200)?;
    let mut tools = Samples::default();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..1000 {
            black_box(sealed.dynamic_tools());
        }
        tools.add(began.elapsed(), 1000);
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (second, last, bare) = runtime.block_on(async {
        let (mut second, mut last, mut bare) =
            (Samples::default(), Samples::default(), Samples::default());
        let (codex, other) = (Embedded::demo(), Embedded::demo());
        let empty = codex_skills::Catalog::empty();
        let (mut kept, mut kept_bare) = (Vec::new(), Vec::new());
        for session in 0..10_000 {
            let began = Instant::now();
            kept.push(codex.create_session_with(sealed.clone()).await?);
            match session {
                1..=100 => second.add(began.elapsed(), 1),
                9_900.. => last.add(began.elapsed(), 1),
                _ => {}
            }
            if session < 200 {
                let began = Instant::now();
                kept_bare.push(other.create_session_with(empty.clone()).await?);
                bare.add(began.elapsed(), 1);
            }
        }
        Ok::<_, codex_skills::Error>((second, last, bare))
    })?;
    Ok(vec![
        ("catalog of 200 skills, made and sealed", seal),
        ("rmcp, router of 200 tools, made and listed", peer),
        ("`dynamic_tools()` of a sealed catalog", tools),
        ("session on the embedded runtime, without skills", bare),
        ("session of 200 skills, the 2nd to 101st", second),
        ("session of 200 skills, the 9,901st to 10,000th", last),
    ])
}
