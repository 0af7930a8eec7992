use codex_skills::{Embedded, lifecycle};

fn main() {
    let codex = Embedded::demo();
    let _ = lifecycle!(codex, |run| async move { Ok(()) });
}
