use codex_skills::lifecycle;



fn main() {
    let codex = ();
    let _ = lifecycle!(skills: [], |run| { Ok(()) });
}
