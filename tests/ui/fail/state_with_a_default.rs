use codex_skills::skill;

struct Db;

#[skill]
fn lookup(#[state] #[skill(default)] db: &Db) {
    let _ = db;
}

fn main() {}
