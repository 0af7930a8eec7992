//! What sealing says of a catalog, and what the real codex makes of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod budget;
mod built_in;
mod catalogs;
mod code_mode;
mod namespaces;
mod refusals;
mod shown;
