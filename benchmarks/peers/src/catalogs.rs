//! Making a catalog, and sessions of one that is made.

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use codex_skills::runtime::Runtime;
use codex_skills::{Catalog, Client, Embedded};
use subject::many::catalog as functions;
use subject::skills::{Kind, catalog};

use crate::measure::{Samples, many, runtime};
use crate::nothing::Nothing;
use crate::{Result, model_context};

const ROUNDS: usize = 21;

/// What is done once in a process, since everybody keeps schemas for the next time.
#[derive(Clone, Copy)]
pub enum Cold {
    Functions,
    Closures,
    Peer,
}

const COLD: [(&str, Cold, &str); 3] = [
    (
        "cold-functions",
        Cold::Functions,
        "200 functions with `#[skill]`, discovered and sealed, once in a process",
    ),
    (
        "cold-closures",
        Cold::Closures,
        "199 closures of one type and a function, registered and sealed, once in a process",
    ),
    (
        "cold-rmcp",
        Cold::Peer,
        "rmcp, router of 200 functions with `#[tool]`, made and listed, once in a process",
    ),
];

impl Cold {
    pub fn named(argument: &str) -> Option<Self> {
        COLD.iter()
            .find(|(name, ..)| *name == argument)
            .map(|(_, cold, _)| *cold)
    }

    pub fn once(self) -> Result<Duration> {
        let began = Instant::now();
        let skills = match self {
            Self::Functions => black_box(functions()?).list().len(),
            Self::Closures => black_box(catalog(Kind::Inline, 200)?).list().len(),
            Self::Peer => black_box(model_context::catalog()),
        };
        let took = began.elapsed();
        if skills != 200 {
            return Err(format!("{skills} skills").into());
        }
        Ok(took)
    }
}

/// Name, samples.
pub type Rows = Vec<(String, Samples)>;

pub fn measure() -> Result<Rows> {
    let mut rows: Rows = COLD
        .iter()
        .map(|(_, _, row)| ((*row).to_owned(), Samples::default()))
        .collect();
    let (mut again, mut peer) = (Samples::default(), Samples::default());
    for _ in 0..many(ROUNDS) {
        for ((argument, ..), (_, samples)) in COLD.iter().zip(&mut rows) {
            let output = Command::new(std::env::current_exe()?)
                .arg(argument)
                .output()?;
            let nanoseconds = String::from_utf8(output.stdout)?;
            samples.add(Duration::from_nanos(nanoseconds.trim().parse()?), 1);
        }
        again.add(Cold::Functions.once()?, 1);
        peer.add(Cold::Peer.once()?, 1);
    }
    rows.push((
        "the 200 functions, once more in a process".to_owned(),
        again,
    ));
    rows.push(("rmcp, the same once more".to_owned(), peer));
    let sealed = functions()?;
    let mut tools = Samples::default();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..1000 {
            black_box(sealed.dynamic_tools());
        }
        tools.add(began.elapsed(), 1000);
    }
    rows.push(("`dynamic_tools()` of a sealed catalog".to_owned(), tools));
    let empty = Catalog::empty();
    for (skills, catalog) in [(0, &empty), (200, &sealed)] {
        let nothing = Client::new(Nothing::default());
        sessions(
            &mut rows,
            &nothing,
            catalog,
            "runtime that does nothing",
            skills,
        )?;
    }
    for (skills, catalog) in [(0, &empty), (200, &sealed)] {
        let embedded = Embedded::demo();
        sessions(&mut rows, &embedded, catalog, "embedded runtime", skills)?;
    }
    Ok(rows)
}

/// Creates ten thousand sessions, or fewer in a quick run, and keeps them.
fn sessions<R: Runtime>(
    rows: &mut Rows,
    client: &Client<R>,
    catalog: &Catalog,
    runtime_name: &str,
    skills: usize,
) -> Result<()> {
    let last = many(10_000).max(500);
    let (mut early, mut late) = (Samples::default(), Samples::default());
    runtime(1)?.block_on(async {
        let mut kept = Vec::new();
        for session in 1..=last {
            let began = Instant::now();
            kept.push(client.create_session_with(catalog.clone()).await?);
            match session {
                2..=101 => early.add(began.elapsed(), 1),
                _ if session + 100 > last => late.add(began.elapsed(), 1),
                _ => {}
            }
        }
        Ok::<_, codex_skills::Error>(())
    })?;
    let row = format!("session of {skills} skills, {runtime_name}");
    rows.push((format!("{row}: the 2nd to 101st"), early));
    rows.push((format!("{row}: the last 100 of {last}"), late));
    Ok(())
}
