//! Schemas as codex keeps them, and values as text.

pub(crate) mod text;
