use codex_skills::lifecycle;



fn main() {
    let codex = ();
    let _ = lifecycle!(codex, skills: [], catalog: sealed, |run| { Ok(()) });
}
