//! Blocks that were not written yet.
#![deny(warnings)]

use codex_skills::{Embedded, Error, lifecycle, skill};

#[skill]
fn lookup() {}

async fn later() -> Result<u8, Error> {
    let codex = Embedded::demo();
    let value: u8 = lifecycle!(codex, skills: [lookup], |_| { todo!() }).await?;
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
