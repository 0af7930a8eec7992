//! Names that codex keeps: its own tools and the namespaces of the Responses API. The list is the one of
//! `codex-skills-macros` (`skill/built_in.rs` there), which refuses them at compile time.

codex_skills_macros::built_in_tools!();
