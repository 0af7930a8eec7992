//! A peer that floods its client in one way: `flood CASE` prints by how many KiB the memory of this process grew at most.
//! The limits that a client can set are small, unless it is `flood CASE unlimited`; the others are what they are.

mod codex;
mod manager;

use codex_skills::{Limits, skill};
use tokio::sync::Notify;

const MIB: usize = 1024 * 1024;

type Failure = Box<dyn std::error::Error>;

/// Answer at length.
#[skill]
fn long(bytes: usize) -> String {
    RAN.notify_one();
    "x".repeat(bytes)
}

/// Wakes the one who waits for calls that run.
static RAN: Notify = Notify::const_new();

/// How a flood is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bounds {
    /// The limits that can be set are 4 MiB, or small numbers.
    Small,
    /// They hold nothing back.
    None,
}

impl Bounds {
    fn limits(self) -> Limits {
        let limits = Limits {
            concurrent_calls: 2,
            open_bytes: 4 * MIB,
            settled_calls: 64,
            settled_bytes: 4 * MIB,
            remembered_turns: 4,
            remembered_bytes: 4 * MIB,
            signal_bytes: 4 * MIB,
            ..Limits::default()
        };
        match self {
            Self::Small => limits,
            Self::None => Limits {
                open_calls: usize::MAX / 8,
                open_bytes: usize::MAX / 8,
                argument_bytes: usize::MAX / 8,
                settled_calls: usize::MAX / 8,
                settled_bytes: usize::MAX / 8,
                remembered_turns: usize::MAX / 8,
                remembered_bytes: usize::MAX / 8,
                signal_bytes: usize::MAX / 8,
                ..limits
            },
        }
    }
}

/// The memory of this process in KiB: resident, and at most.
fn memory() -> std::io::Result<(usize, usize)> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.ok_or_else(|| std::io::Error::other(format!("no {name}")))
    };
    Ok((of("VmRSS:")?, of("VmHWM:")?))
}

/// Memory from now on.
struct Growth(usize);

impl Growth {
    fn begin() -> std::io::Result<Self> {
        Ok(Self(memory()?.0))
    }

    fn print(self) -> std::io::Result<()> {
        let (_, most) = memory()?;
        println!("{}", most.saturating_sub(self.0));
        Ok(())
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let case = arguments.next().unwrap_or_default();
    let bounds = match arguments.next().as_deref() {
        Some("unlimited") => Bounds::None,
        _ => Bounds::Small,
    };
    match case.strip_prefix("manager-") {
        // What a flood that hangs comes to.
        _ if case == "hangs" => std::future::pending().await,
        Some("serves") => manager::serve().await,
        Some(case) => manager::flood(case, bounds).await,
        None => codex::flood(&case, bounds).await,
    }
}
