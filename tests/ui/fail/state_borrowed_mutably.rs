use codex_skills::skill;

struct Db;

#[skill]
fn lookup(#[state] db: &mut Db) {
    let _ = db;
}

fn main() {}
