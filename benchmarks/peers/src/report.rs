//! `RESULTS.md` and its plots.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use plotters::prelude::*;

use crate::throughput::OUTSTANDING;
use crate::{Result, catalogs, dispatch, throughput};

/// What is measured on a pipe is compared with this, and everything else with [`FLOOR`].
const PIPE_FLOOR: &str = "floor on a pipe, a task for each call";
const FLOOR: &str = "floor";

/// What is plotted: name in the plot, name of the row.
const PLOTTED: [&str; 5] = [
    "codex-skills, inline",
    "codex-skills, async",
    PIPE_FLOOR,
    "rmcp, router kept",
    "rmcp, default `#[tool_handler]`",
];

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
    pub fn new() -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut text = "# Results\n\nWritten by `cargo run --release -p peers` in `benchmarks/`. Contenders take \
                        turns in one run, and ratios are of medians: they hold on a machine that does other things \
                        besides, where times do not.\n\n"
            .to_owned();
        let versions = versions(&directory);
        let _ = writeln!(
            text,
            "| | |\n|---|---|\n| machine | {} |\n| load while it ran | {} |\n| compiler | {} |\n| date | {} |\n| versions | {versions} |\n",
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

    pub fn dispatch(&mut self, skills: usize, rows: dispatch::Rows) {
        if self.latencies.is_empty() {
            self.text += "## One call, from its line to the line of its answer\n\n\
                          Microseconds on one thread. `codex-skills`: the default path, with ledger, deadline, \
                          cancellation and record, over a pipe in memory to a codex that writes lines, a turn for \
                          every 16 calls. `floor`: serde_json into the same struct, the handler, and the answer line, \
                          without a pipe. rmcp is called by lines over the same pipe.\n\n";
        }
        let _ = writeln!(
            self.text,
            "### {skills} skill{}\n\n| | p50 | p99 | × its floor |\n|---|---:|---:|---:|",
            if skills == 1 { "" } else { "s" }
        );
        let floor = |name: &str| {
            let row = rows.iter().find(|(row, _)| *row == name);
            row.map_or(f64::NAN, |(_, samples)| samples.median())
        };
        for (name, samples) in &rows {
            let base = if name.starts_with("rig") || *name == FLOOR {
                floor(FLOOR)
            } else {
                floor(PIPE_FLOOR)
            };
            let _ = writeln!(
                self.text,
                "| {name} | {:.2} | {:.2} | {:.2} |",
                samples.median() / 1e3,
                samples.quantile(990) / 1e3,
                samples.median() / base
            );
            self.latencies.push((skills, name, samples.median() / 1e3));
        }
        self.text.push('\n');
    }

    pub fn throughput(&mut self, threads: usize, rows: throughput::Rows) {
        if threads == 1 {
            self.text += "## Many calls at a time\n\nThousands of calls a second with 200 skills, a thousand calls to \
                          a turn, whose records are kept.\n\n";
        }
        let _ = writeln!(
            self.text,
            "### {threads} thread{}\n\n| outstanding | {} | {} | {} |\n|---|---:|---:|---:|",
            if threads == 1 { "" } else { "s" },
            OUTSTANDING[0],
            OUTSTANDING[1],
            OUTSTANDING[2]
        );
        for (name, samples) in rows {
            let _ = write!(self.text, "| {name} |");
            for (outstanding, samples) in OUTSTANDING.iter().zip(samples) {
                let _ = write!(self.text, " {:.0} |", 1e6 / samples.median());
                if threads == 2 {
                    self.times
                        .push((*outstanding, name, samples.median() / 1e3));
                }
            }
            self.text.push('\n');
        }
        self.text.push('\n');
    }

    pub fn catalogs(&mut self, rows: catalogs::Rows) {
        self.text += "## Catalogs and sessions\n\nThe embedded runtime checks the tools of each session as codex does.\n\n| | microseconds |\n|---|---:|\n";
        for (name, samples) in rows {
            let _ = writeln!(self.text, "| {name} | {:.3} |", samples.median() / 1e3);
        }
        self.text.push('\n');
    }

    pub fn write(mut self) -> Result<()> {
        for file in ["weights.md", "compile.md"] {
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
