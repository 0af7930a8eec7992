//! The skills that are called, and catalogs of any size around them.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use codex_skills::{Catalog, CatalogError, Draft, skill, skills};
use serde::Deserialize;
use tokio::sync::Semaphore;

/// The arguments of every call.
pub const ARGUMENTS: &str = r#"{"ticket_id":"ABC-123","comments":5,"verbose":true}"#;

/// What every handler does, peers' and floor's included.
pub fn answer(ticket_id: &str, comments: u32, verbose: bool) -> String {
    let tone = if verbose { "at length" } else { "in short" };
    format!("{ticket_id}: {comments} comments, {tone}")
}

/// The arguments as a struct.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// Stable ticket identifier, for example `ABC-123`.
    pub ticket_id: String,
    /// How many comments to include.
    pub comments: u32,
    /// Whether to tell everything.
    pub verbose: bool,
}

/// Look up a ticket by its stable id.
#[skill(inline)]
pub fn lookup_inline(
    /// Stable ticket identifier, for example `ABC-123`.
    ticket_id: String,
    /// How many comments to include.
    comments: u32,
    /// Whether to tell everything.
    verbose: bool,
) -> String {
    answer(&ticket_id, comments, verbose)
}

/// Look up a ticket by its stable id.
#[skill]
pub async fn lookup_async(
    /// Stable ticket identifier, for example `ABC-123`.
    ticket_id: String,
    /// How many comments to include.
    comments: u32,
    /// Whether to tell everything.
    verbose: bool,
) -> String {
    answer(&ticket_id, comments, verbose)
}

/// Look up a ticket by its stable id.
#[skill]
pub fn lookup_blocking(
    /// Stable ticket identifier, for example `ABC-123`.
    ticket_id: String,
    /// How many comments to include.
    comments: u32,
    /// Whether to tell everything.
    verbose: bool,
) -> String {
    answer(&ticket_id, comments, verbose)
}

/// What [`lookup_waiting`] waits for, until it is closed.
pub static GATE: Semaphore = Semaphore::const_new(0);

/// How many calls of [`lookup_waiting`] began.
pub static BEGAN: AtomicUsize = AtomicUsize::new(0);

/// Look up a ticket by its stable id, when the gate is closed.
#[skill]
pub async fn lookup_waiting(
    /// Stable ticket identifier, for example `ABC-123`.
    ticket_id: String,
    /// How many comments to include.
    comments: u32,
    /// Whether to tell everything.
    verbose: bool,
) -> String {
    BEGAN.fetch_add(1, Ordering::Relaxed);
    // It has no permits: what comes is its end.
    let _ = GATE.acquire().await;
    answer(&ticket_id, comments, verbose)
}

/// Which handler is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Inline,
    Async,
    Blocking,
    Waiting,
}

impl Kind {
    /// The name of the tool.
    pub fn tool(self) -> &'static str {
        match self {
            Self::Inline => "lookup_inline",
            Self::Async => "lookup_async",
            Self::Blocking => "lookup_blocking",
            Self::Waiting => "lookup_waiting",
        }
    }
}

/// A catalog with the called skill in the middle, and others that are not called.
pub fn catalog(kind: Kind, skills: usize) -> Result<Catalog, CatalogError> {
    let draft = match kind {
        Kind::Inline => Draft::new().register(skills![lookup_inline]),
        Kind::Async => Draft::new().register(skills![lookup_async]),
        Kind::Blocking => Draft::new().register(skills![lookup_blocking]),
        Kind::Waiting => Draft::new().register(skills![lookup_waiting]),
    };
    (1..skills)
        .fold(draft, |draft, i| {
            let name = format!("{}_{i:04}", if i % 2 == 0 { "aside" } else { "other" });
            draft
                .skill(name)
                .description("Look up a ticket by its stable id.")
                .handler(|lookup: Lookup| async move {
                    let Lookup {
                        ticket_id,
                        comments,
                        verbose,
                    } = lookup;
                    Ok::<_, Infallible>(answer(&ticket_id, comments, verbose))
                })
        })
        .seal()
}
