use codex_skills::lifecycle;



fn main() {
    let _ = lifecycle!("codex", |run| { Ok(()) });
}
