//! Measures codex-skills beside a floor, rmcp and rig, and writes `benchmarks/RESULTS.md`.
//!
//! `cargo run --release -p peers` in `benchmarks/`.

mod catalogs;
mod dispatch;
mod floor;
mod measure;
mod model_context;
mod report;
mod rig;
mod throughput;

use std::error::Error;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How many skills there are beside the one that is called, and that one.
const SKILLS: [usize; 4] = [1, 10, 200, 1000];

fn main() -> Result<()> {
    // `default` routers are made by a function without parameters: a process has one number of tools.
    let mut arguments = std::env::args().skip(1);
    if let Some(tools) = arguments.next() {
        let tools = tools.parse()?;
        println!("{}", dispatch::default_router(tools)?);
        return Ok(());
    }
    let mut report = report::Report::new();
    for skills in SKILLS {
        eprintln!("dispatch, {skills} skills");
        report.dispatch(skills, dispatch::measure(skills)?);
    }
    for threads in [1, 2] {
        eprintln!("throughput, {threads} threads");
        report.throughput(threads, throughput::measure(threads)?);
    }
    eprintln!("catalogs");
    report.catalogs(catalogs::measure()?);
    report.write()
}
