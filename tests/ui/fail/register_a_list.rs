//! What a session is created with is a callback and no list.

use codex_skills::{Embedded, skill, skills};

/// Greet.
#[skill]
fn greet() {}

async fn list() {
    let _ = Embedded::demo().create_session(skills![greet]).await;
}

fn catalog(catalog: codex_skills::Catalog) {
    let _ = Embedded::demo().lifecycle(catalog);
}

fn blocking() {
    let _ = Embedded::demo().blocking().create_session(skills![greet]);
}

fn main() {}
