use codex_skills::{Embedded, lifecycle, skills};



fn main() {
    let codex = Embedded::demo();
    let _ = lifecycle!(codex, register: |draft| { draft.register(skills![]); }, |_run| { Ok(()) });
}
