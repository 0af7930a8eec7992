//! The macros of codex-skills. Use them through `codex_skills`.
