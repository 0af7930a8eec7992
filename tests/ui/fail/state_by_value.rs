use codex_skills::skill;

struct Db;

#[skill]
fn lookup(#[state] db: Db) {
    let _ = db;
}

fn main() {}
