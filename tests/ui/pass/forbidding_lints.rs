//! `forbid` cannot be overridden, so the generated code must do without.
#![forbid(unsafe_code, missing_docs, unused, non_camel_case_types, unreachable_pub)]
use codex_skills::{skill, skills};

/// Look up a ticket.
#[skill]
pub async fn lookup(id: &str, #[skill(default)] count: u8) -> Result<String, std::fmt::Error> {
    Ok(format!("{id}{count}"))
}

fn main() {
    assert_eq!(skills![lookup].iter().count(), 1);
}
