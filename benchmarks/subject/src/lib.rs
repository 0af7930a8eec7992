//! What is measured, and what stands at the other end of its pipe.

pub mod codex;
pub mod counting;
pub mod many;
pub mod skills;
