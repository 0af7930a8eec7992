//! Support for the tests of codex-skills.
