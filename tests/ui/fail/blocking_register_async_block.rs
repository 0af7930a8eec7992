use codex_skills::Embedded;

fn main() {
    let codex = Embedded::demo().blocking();
    let _ = codex.create_session(|draft| async move { draft });
}
