use codex_skills::Embedded;

fn main() {
    let codex = Embedded::demo().blocking();
    let _ = codex.lifecycle(async |draft| draft);
}
