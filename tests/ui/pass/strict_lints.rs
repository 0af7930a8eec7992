//! A crate that denies everything may use skills of all kinds.
#![deny(
    warnings,
    missing_docs,
    unused,
    unreachable_pub,
    nonstandard_style,
    future_incompatible,
    rust_2018_idioms,
    let_underscore,
    missing_debug_implementations,
    missing_copy_implementations,
    single_use_lifetimes,
    trivial_casts,
    unused_qualifications,
    unused_results,
    unused_lifetimes,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    non_ascii_idents,
    variant_size_differences,
    redundant_lifetimes,
    unit_bindings,
    tail_expr_drop_order
)]
#![forbid(unsafe_code)]
use std::sync::Arc;

use codex_skills::{SkillContext, skill, skills};

/// State.
#[derive(Debug, Clone, Copy)]
pub struct Desk;

/// Look up a ticket.
#[skill(timeout = "5s", group = "desk")]
pub async fn lookup(
    /// The id.
    id: &str,
    #[skill(default = 5)] count: u8,
    note: Option<&str>,
    #[state] desk: &Desk,
    #[state] shared: Arc<Desk>,
    #[context] cx: &SkillContext,
) -> Result<String, std::fmt::Error> {
    Ok(format!("{id}{count}{note:?}{desk:?}{shared:?}{}", cx.skill()))
}

/// Nothing.
#[skill]
fn nothing() {}

/// Inline.
#[skill(inline)]
pub fn sum(numbers: &[i64]) -> i64 {
    numbers.iter().sum()
}

/// With attributes of others.
#[skill]
pub fn page(
    #[schemars(range(min = 1, max = 20))]
    #[skill(default = 10)]
    size: u8,
    #[serde(rename = "start_at")] start: Option<u32>,
) -> String {
    format!("{size}{start:?}")
}

/// By schema.
#[skill(input_schema = r#"{"type": "object", "properties": {"id": {"type": "string"}}}"#)]
fn by_schema(id: String) -> String {
    id
}

#[skill(group = "desk")]
impl Desk {
    /// Close a ticket.
    #[skill]
    pub async fn close(&self, id: String) -> String {
        id
    }

    /// Open a ticket.
    #[skill]
    fn open(self: Arc<Self>, id: String) -> String {
        id
    }
}

fn main() {
    let list = skills![lookup, nothing, sum, page, by_schema, Desk];
    assert_eq!(list.iter().count(), 7);
}
