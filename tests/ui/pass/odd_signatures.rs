//! Odd, but legal.
#![deny(deprecated)]
#![allow(unused_parens)]
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use codex_skills::{SkillContext, SkillOutput, skill, skills};

trait Clock: Send + Sync {
    fn now(&self) -> u64;
}

#[skill]
fn mutable(mut count: u8, _unused: u8, __value0: u8, (names): Vec<String>) -> u8 {
    count += __value0 + names.len() as u8;
    count
}

#[skill]
async fn borrowed(
    text: &str,
    list: &[Option<(u8, String)>],
    maybe: Option<&[u8]>,
    cow: Cow<'_, str>,
    map: HashMap<String, Vec<u8>>,
) -> String {
    format!("{text}{list:?}{maybe:?}{cow}{map:?}")
}

#[skill]
fn returns_reference(text: &str) -> &str {
    text
}

#[skill]
fn returns_static() -> &'static str {
    "x"
}

#[skill]
async fn injected(
    #[state] clock: &dyn Clock,
    #[state] shared: Arc<dyn Clock>,
    #[state] text: &str,
    #[state] bytes: &[u8],
    #[state] both: &(dyn Clock + Send),
    #[context] cx: SkillContext,
    id: u8,
) -> SkillOutput {
    let _ = (text, bytes, both.now(), cx);
    SkillOutput::text(format!("{}{}{id}", clock.now(), shared.now()))
}

#[skill]
#[must_use]
#[deprecated(note = "x")]
#[track_caller]
#[allow(clippy::unused_unit)]
fn unit() -> () {}

#[skill]
fn optional() -> Option<u8> {
    None
}

#[skill]
fn never_fails() -> Result<(), std::convert::Infallible> {
    Ok(())
}

type Answer<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[skill]
async fn aliased() -> Answer<Vec<u8>> {
    Ok(vec![1])
}

#[skill]
fn without_schema() -> NoSchema {
    NoSchema
}

#[derive(serde::Serialize)]
struct NoSchema;

fn main() {
    #[allow(deprecated)]
    let _ = unit();
    let list = skills![
        mutable, borrowed, returns_reference, returns_static, injected, unit, optional, never_fails, aliased,
        without_schema,
    ];
    let first = list.iter().next().unwrap();
    let names: Vec<_> = first.parameters().iter().map(|p| p.name()).collect();
    assert_eq!(names, ["count", "_unused", "__value0", "names"]);
}
