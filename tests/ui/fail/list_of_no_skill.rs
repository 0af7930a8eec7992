use codex_skills::skills;

fn lookup() {}

struct Desk;

fn main() {
    lookup();
    let _ = skills![Desk];
}
