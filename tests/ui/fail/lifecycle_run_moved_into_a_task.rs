use codex_skills::{Embedded, lifecycle, skill};

#[skill]
fn lookup() {}

fn main() {
    let codex = Embedded::demo();
    let _ = lifecycle!(codex, skills: [lookup], |run| {
        tokio::spawn(async move { run.send_and_handle("Use lookup.").await });
        Ok(())
    });
}
