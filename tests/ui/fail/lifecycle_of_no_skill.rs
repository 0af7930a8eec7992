use codex_skills::{Embedded, lifecycle};

struct Desk;

fn main() {
    let codex = Embedded::demo();
    let _ = lifecycle!(codex, skills: [Desk], |_run| { Ok(()) });
}
