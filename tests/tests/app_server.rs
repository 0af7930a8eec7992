//! Sessions on the real codex, through `AppServer`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

#[path = "app_server/turns.rs"]
mod turns;
