//! Budgets that need no clock: `cargo run --release -p guard` in `benchmarks/` fails where one is exceeded.
//!
//! How long the first catalog takes by the clock is printed beside them. Allocations a call are counted, instructions a call are what valgrind counts, and the size of an expansion is
//! that of the macro's recorded output in tokens.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::str::FromStr as _;
use std::time::Instant;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use subject::codex::Rig;
use subject::counting::{Counting, allocations};
use subject::skills::{Kind, catalog};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The argument with which this program seals one catalog and prints the nanoseconds.
const CLOCK: &str = "clock";

/// How many programs are timed.
const PROCESSES: usize = 21;

const KINDS: [(&str, Kind); 3] = [
    ("inline", Kind::Inline),
    ("async", Kind::Async),
    ("blocking", Kind::Blocking),
];

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == [CLOCK] {
        let begun = Instant::now();
        seal(1)?;
        println!("{}", begun.elapsed().as_nanos());
        return Ok(ExitCode::SUCCESS);
    }
    // What valgrind runs.
    if let [catalogs] = arguments.as_slice() {
        seal(catalogs.parse()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let [kind, skills, calls] = arguments.as_slice() {
        let (_, kind) = KINDS
            .into_iter()
            .find(|(name, _)| name == kind)
            .ok_or("no such kind")?;
        calls_of(kind, skills.parse()?, calls.parse()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let budgets = std::fs::read_to_string(directory.join("budgets.toml"))?;
    let budgets: BTreeMap<String, BTreeMap<String, f64>> = toml::from_str(&budgets)?;
    let mut measured = BTreeMap::new();
    // First, since schemas may be kept for the next time.
    measured.insert("sealing", sealing()?);
    measured.insert("allocations", allocations_a_call()?);
    measured.insert(
        "expansion",
        expansions(&directory.join("../codex-skills-macros/expansions"))?,
    );
    match instructions_a_call()? {
        Some(instructions) => drop(measured.insert("instructions", instructions)),
        None => println!("instructions are not counted: there is no valgrind"),
    }
    let mut exceeded = 0;
    for (what, values) in measured {
        for (of, value) in values {
            let budget = budgets.get(what).and_then(|budgets| budgets.get(&of));
            let verdict = match budget {
                Some(budget) if value <= *budget => "",
                Some(_) => "  EXCEEDED",
                None => "  HAS NO BUDGET",
            };
            exceeded += usize::from(!verdict.is_empty());
            let budget = budget.map_or("none".to_owned(), |budget| format!("{budget:.0}"));
            println!("{what:12} {of:20} {value:10.1} of {budget:>8}{verdict}");
        }
    }
    let (least, median) = clock()?;
    println!(
        "sealing      clock, ms            {least:10.2}, median {median:.2} of {PROCESSES} processes: 1 ms is the aim, and instructions have the budget"
    );
    if exceeded > 0 {
        println!("{exceeded} over what benchmarks/budgets.toml allows");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Discovers and seals 200 skills so many times.
fn seal(catalogs: usize) -> Result<()> {
    for _ in 0..catalogs {
        let skills = subject::many::catalog()?.list().len();
        if skills != 200 {
            return Err(format!("{skills} skills were found").into());
        }
    }
    Ok(())
}

/// What the first catalog of a program costs.
fn sealing() -> Result<BTreeMap<String, f64>> {
    let before = allocations();
    seal(1)?;
    let allocations = (allocations() - before) as f64;
    let mut measured = BTreeMap::from([("allocations".to_owned(), allocations)]);
    if let (Some(none), Some(one)) = (collected(&["0"])?, collected(&["1"])?) {
        measured.insert("instructions".to_owned(), one - none);
    }
    Ok(measured)
}

/// How many milliseconds the first catalog of a program takes: at least, and the median. A clock depends on the machine
/// and its load, so that no budget is kept by it.
fn clock() -> Result<(f64, f64)> {
    let mut taken = Vec::new();
    for _ in 0..PROCESSES {
        let output = Command::new(std::env::current_exe()?).arg(CLOCK).output()?;
        let nanoseconds: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
        taken.push(nanoseconds / 1e6);
    }
    taken.sort_by(f64::total_cmp);
    let at = |at: usize| taken.get(at).copied().ok_or("no process ran");
    Ok((at(0)?, at(PROCESSES / 2)?))
}

/// Makes so many calls and says how many allocations each took.
fn calls_of(kind: Kind, skills: usize, calls: usize) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut rig = Rig::open(&catalog(kind, skills)?, kind.tool(), 1).await?;
        let before = allocations();
        for _ in 0..calls {
            rig.codex.round_trip().await?;
        }
        Ok((allocations() - before) as f64 / calls as f64)
    })
}

fn allocations_a_call() -> Result<BTreeMap<String, f64>> {
    let mut measured = BTreeMap::new();
    for (name, kind) in KINDS {
        // Enough calls for the ledger to be full and to grow no more.
        measured.insert(name.to_owned(), calls_of(kind, 1, 40_000)?);
    }
    Ok(measured)
}

fn instructions_a_call() -> Result<Option<BTreeMap<String, f64>>> {
    let mut measured = BTreeMap::new();
    for skills in [1, 1000] {
        for (name, _) in &KINDS[..2] {
            let (Some(few), Some(many)) = (
                collected(&[name, &skills.to_string(), "500"])?,
                collected(&[name, &skills.to_string(), "1500"])?,
            ) else {
                return Ok(None);
            };
            measured.insert(format!("{name}-{skills}"), (many - few) / 1000.0);
        }
    }
    Ok(Some(measured))
}

/// The instructions of a whole run of this program.
fn collected(arguments: &[&str]) -> Result<Option<f64>> {
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(arguments)
        .output();
    let output = match run {
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let collected = output
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, collected) = collected.ok_or_else(|| format!("valgrind failed:\n{output}"))?;
    Ok(Some(collected.trim().parse()?))
}

/// The sizes of the recorded expansions, which the macros' own tests keep true.
fn expansions(directory: &Path) -> Result<BTreeMap<String, f64>> {
    let mut sizes = BTreeMap::new();
    for file in std::fs::read_dir(directory)? {
        let path = file?.path();
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let tokens = TokenStream::from_str(&std::fs::read_to_string(&path)?)
            .map_err(|error| error.to_string())?;
        sizes.insert(name, size(tokens) as f64);
    }
    Ok(sizes)
}

fn size(tokens: TokenStream) -> usize {
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Group(group) => {
                let delimiters = if group.delimiter() == Delimiter::None {
                    0
                } else {
                    2
                };
                delimiters + size(group.stream())
            }
            _ => 1,
        })
        .sum()
}
