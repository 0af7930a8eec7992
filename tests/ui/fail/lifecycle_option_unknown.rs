use codex_skills::lifecycle;



fn main() {
    let codex = ();
    let _ = lifecycle!(codex, skils: [a, b], cwd: ".", colour: "red", |run| { Ok(run.id()) });
}
