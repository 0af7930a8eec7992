//! Support for the tests of codex-skills.

pub mod library;
