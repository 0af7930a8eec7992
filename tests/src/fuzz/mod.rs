//! What fuzzing shares, with fixed seeds in CI and by coverage in `tests/fuzz`: mutations, and a codex that says anything.

mod arguments;
mod mutate;
mod wire;

pub use arguments::Arguments;
pub use mutate::mutate;
pub use wire::{Hostile, recorded};
