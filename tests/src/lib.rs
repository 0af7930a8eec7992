//! Support for the tests of codex-skills.

pub mod codex;
pub mod faulty;
pub mod fuzz;
pub mod gate;
pub mod library;
pub mod manager;
pub mod provider;
pub mod relay;
pub mod skills;
mod wire;
