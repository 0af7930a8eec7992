//! `RESULTS.md` and its plots.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use plotters::prelude::*;

use crate::contenders::{ASYNC, INLINE, PIPE_FLOOR, ROUTER_KEPT, ROUTER_MADE};
use crate::throughput::OUTSTANDING;
use crate::{Result, catalogs, dispatch, throughput};

/// What is plotted.
const PLOTTED: [&str; 5] = [INLINE, ASYNC, PIPE_FLOOR, ROUTER_KEPT, ROUTER_MADE];

fn is_floor(name: &str) -> bool {
    name.starts_with("floor")
}

fn is_ours(name: &str) -> bool {
    name.starts_with("codex-skills")
}

fn is_peer(name: &str) -> bool {
    !is_floor(name) && !is_ours(name)
}

/// The shortest of these times.
fn best<'a>(rows: impl IntoIterator<Item = (&'a str, f64)>, among: impl Fn(&str) -> bool) -> f64 {
    let times = rows.into_iter().filter(|(name, _)| among(name));
    times.map(|(_, time)| time).fold(f64::INFINITY, f64::min)
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The tables as they come.
pub struct Report {
    directory: PathBuf,
    text: String,
    /// Skills, name, microseconds.
    latencies: Vec<(usize, &'static str, f64)>,
    /// Calls outstanding, name, microseconds.
    times: Vec<(usize, &'static str, f64)>,
}

impl Report {
    pub fn new(quick: bool) -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut text = "# Results\n\nWritten by `./run.sh` in `benchmarks/`. Contenders take turns in one run, and \
                        ratios are of medians: they hold on a machine that does other things besides, where times \
                        do not. `cargo bench` measures the same contenders with criterion, one after the other.\n\n"
            .to_owned();
        if quick {
            text += "**This was a quick run, which only shows that the programs work.**\n\n";
        }
        let versions = versions(&directory);
        let _ = writeln!(
            text,
            "| | |\n|---|---|\n| machine | {} |\n| load when it began | {} |\n| compiler | {} |\n| date | {} |\n| versions | {versions} |\n",
            machine(),
            load(),
            said("rustc", &["--version"]),
            said("date", &["+%F"]),
        );
        Self {
            directory,
            text,
            latencies: Vec::new(),
            times: Vec::new(),
        }
    }

    pub fn dispatch(&mut self, threads: usize, skills: usize, rows: Vec<dispatch::Row>) {
        if self.latencies.is_empty() {
            let _ = writeln!(
                self.text,
                "## One call, from its line to the line of its answer\n\n\
                 In microseconds; reading the clock takes {:.2} of them. `codex-skills`: the default path, with ledger, \
                 deadline, cancellation and record, over a pipe in memory to a codex that writes lines, a turn for \
                 every 16 calls. `floor`: serde_json into the same struct, the handler, and the answer line. rmcp is \
                 called by lines over the same pipe, or by its own client. The rows below the second floor have no \
                 pipe. `× floor` and `× best peer` are of the rows with a pipe, or of those without one.\n",
                dispatch::clock() / 1e3
            );
        }
        let _ = writeln!(
            self.text,
            "### {}, {}\n\n| | p50 | p99 | × floor | × best peer |\n|---|---:|---:|---:|---:|",
            plural(skills, "skill"),
            plural(threads, "thread")
        );
        for row in &rows {
            let of = |among: fn(&str) -> bool| {
                let alike = rows.iter().filter(|other| other.piped == row.piped);
                best(alike.map(|row| (row.name, row.samples.median())), among)
            };
            let median = row.samples.median();
            let _ = writeln!(
                self.text,
                "| {} | {:.2} | {:.2} | {:.2} | {:.2} |",
                row.name,
                median / 1e3,
                row.samples.quantile(990) / 1e3,
                median / of(is_floor),
                median / of(is_peer)
            );
            if threads == 1 {
                self.latencies.push((skills, row.name, median / 1e3));
            }
        }
        self.text.push('\n');
    }

    pub fn throughput(&mut self, threads: usize, rows: throughput::Rows) {
        if threads == 1 {
            self.text += "## Many calls at a time\n\nThousands of calls a second with 200 skills, and in brackets: as \
                          parts of the floor's and of the best peer's. A thousand calls to a turn, whose records are \
                          kept. On the embedded runtime a model makes so many calls in each response, and responds \
                          again when all are answered, at most 64 times in a turn; everybody else has a call follow \
                          each answer. At most 32 handlers of a session run at the same time, which is the default \
                          for 2 cores: others wait.\n\n";
        }
        let _ = write!(
            self.text,
            "### {}\n\n| outstanding |",
            plural(threads, "thread")
        );
        for outstanding in OUTSTANDING {
            let _ = write!(self.text, " {outstanding} |");
        }
        self.text += "\n|---|---:|---:|---:|\n";
        for (name, samples) in &rows {
            let _ = write!(self.text, "| {name} |");
            for (at, outstanding) in OUTSTANDING.iter().enumerate() {
                let median = samples[at].median();
                let of = |among: fn(&str) -> bool| {
                    best(
                        rows.iter().map(|(name, row)| (*name, row[at].median())),
                        among,
                    ) / median
                };
                let _ = write!(
                    self.text,
                    " {:.0} ({:.2}, {:.2}) |",
                    1e6 / median,
                    of(is_floor),
                    of(is_peer)
                );
                if threads == 2 {
                    self.times.push((*outstanding, name, median / 1e3));
                }
            }
            self.text.push('\n');
        }
        self.text.push('\n');
    }

    pub fn catalogs(&mut self, rows: catalogs::Rows) {
        self.text += "## Catalogs and sessions\n\nOn a runtime that does nothing, what remains is the session's own. The embedded \
                      runtime checks the tools of each session as codex does. Ten thousand sessions are kept.\n\n\
                      | microseconds | least | p50 |\n|---|---:|---:|\n";
        for (name, samples) in rows {
            let (least, median) = (samples.quantile(0) / 1e3, samples.median() / 1e3);
            let _ = writeln!(self.text, "| {name} | {least:.3} | {median:.3} |");
        }
        self.text.push('\n');
    }

    pub fn write(mut self) -> Result<()> {
        for file in ["weights.md", "turns.md", "requests.md", "compile.md"] {
            // Written by programs of their own, where they ran.
            if let Ok(part) = std::fs::read_to_string(self.directory.join("parts").join(file)) {
                self.text += &part;
                self.text.push('\n');
            }
        }
        self.text += "## Plots\n\n![Latency against the number of skills](latency.svg)\n\n\
                      ![Time of a call against the calls outstanding](outstanding.svg)\n\n\
                      ## What falls short\n\nSee [`AIMS.md`](AIMS.md).\n";
        plot(
            &self.directory.join("latency.svg"),
            "One call, line to line, against the number of skills (µs, median)",
            &self.latencies,
        )?;
        plot(
            &self.directory.join("outstanding.svg"),
            "Time of a call against the calls outstanding, 2 threads (µs, median)",
            &self.times,
        )?;
        std::fs::write(self.directory.join("RESULTS.md"), self.text)?;
        Ok(())
    }
}

fn plot(file: &Path, caption: &str, points: &[(usize, &str, f64)]) -> Result<()> {
    let most = points.iter().map(|(_, _, y)| *y).fold(1.0, f64::max) * 1.5;
    let least = points
        .iter()
        .filter(|(_, name, _)| PLOTTED.contains(name))
        .map(|(_, _, y)| *y)
        .fold(most, f64::min)
        / 1.5;
    let area = SVGBackend::new(file, (860, 460)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(caption, ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(30)
        .y_label_area_size(60)
        .build_cartesian_2d((0.8_f64..1250.0).log_scale(), (least..most).log_scale())?;
    chart.configure_mesh().light_line_style(WHITE).draw()?;
    let colors = [
        RGBColor(196, 52, 36),
        RGBColor(226, 138, 36),
        RGBColor(90, 90, 90),
        RGBColor(38, 98, 168),
        RGBColor(110, 160, 215),
    ];
    for (name, color) in PLOTTED.iter().zip(colors) {
        let line: Vec<(f64, f64)> = points
            .iter()
            .filter(|(_, row, _)| row == name)
            .map(|(x, _, y)| (*x as f64, *y))
            .collect();
        if line.is_empty() {
            continue;
        }
        chart
            .draw_series(LineSeries::new(line.clone(), color.stroke_width(2)).point_size(3))?
            .label(name.replace('`', ""))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    area.present()?;
    Ok(())
}

fn said(program: &str, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = cpus
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| line.split_once(": "))
        .map(|(_, model)| model)
        .collect();
    let model = models.first().copied().unwrap_or("unknown");
    format!("{} × {model}, {}", models.len(), std::env::consts::OS)
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("?").to_owned()
}

fn versions(directory: &Path) -> String {
    let lock = std::fs::read_to_string(directory.join("Cargo.lock")).unwrap_or_default();
    let version = |name: &str| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", rest.split('"').next()?))
    };
    ["codex-skills", "rmcp", "rig-core", "serde_json", "tokio"]
        .into_iter()
        .filter_map(version)
        .collect::<Vec<_>>()
        .join(", ")
}
