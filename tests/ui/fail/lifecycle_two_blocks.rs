use codex_skills::lifecycle;



fn main() {
    let codex = ();
    let _ = lifecycle!(codex, |run| { Ok(()) }, |run| { Ok(()) });
}
