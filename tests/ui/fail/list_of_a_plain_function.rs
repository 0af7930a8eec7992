use codex_skills::skills;

fn lookup() {}

fn main() {
    lookup();
    let _ = skills![lookup];
}
