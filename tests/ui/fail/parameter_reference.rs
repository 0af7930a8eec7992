use codex_skills::skill;

struct Db;

#[skill]
fn lookup(db: &Db, ids: &mut str) {
    let _ = (db, ids);
}

fn main() {}
