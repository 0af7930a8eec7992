use codex_skills::{Embedded, lifecycle};



fn main() {
    let codex = Embedded::demo();
    let _ = lifecycle!(codex, keep_session: "yes", |_run| { Ok(()) });
}
