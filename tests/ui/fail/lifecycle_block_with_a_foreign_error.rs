use codex_skills::{Embedded, lifecycle};



fn main() {
    let codex = Embedded::demo();
    let _ = lifecycle!(codex, |_run| { Ok("5".parse::<u8>()?) });
}
