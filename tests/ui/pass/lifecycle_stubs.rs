//! Blocks that end in a panic, as those that were not written yet.
#![deny(warnings)]

use codex_skills::{Embedded, Error, lifecycle, skill};

#[skill]
fn lookup() {}

async fn later() -> Result<u8, Error> {
    let codex = Embedded::demo();
    let value: u8 = lifecycle!(codex, skills: [lookup], |_| { unreachable!("no block of this file runs") }).await?;
    lifecycle!(codex, skills: [lookup], |run| {
        run.send("Use lookup.").await?;
        panic!("and then?")
    })
    .await?;
    Ok(value)
}

fn main() {
    drop(later());
}
