//! Measures codex-skills beside a floor, rmcp and rig, and writes `benchmarks/RESULTS.md`.
//!
//! `cargo run --release -p peers` in `benchmarks/`; with `-- --quick` a short run that only shows that it works.

use peers::report::Report;
use peers::{Result, SKILLS, catalogs, dispatch, measure, throughput};

fn main() -> Result<()> {
    let mut quick = false;
    for argument in std::env::args().skip(1) {
        match catalogs::Cold::named(&argument) {
            // What happens once in a process is measured in many.
            Some(cold) => {
                println!("{}", cold.once()?.as_nanos());
                return Ok(());
            }
            None if argument == "--quick" => quick = true,
            None => return Err(format!("unknown argument `{argument}`").into()),
        }
    }
    if quick {
        measure::be_quick();
    }
    let mut report = Report::new(quick);
    for threads in [1, 2] {
        for skills in SKILLS {
            eprintln!("one call, {skills} skills, {threads} threads");
            report.dispatch(threads, skills, dispatch::measure(skills, threads)?);
        }
    }
    for threads in [1, 2] {
        eprintln!("many calls at a time, {threads} threads");
        report.throughput(threads, throughput::measure(threads)?);
    }
    eprintln!("catalogs and sessions");
    report.catalogs(catalogs::measure()?);
    report.write()
}
