use codex_skills::{SkillContext, skill};

struct Db;

/// Look up a ticket.
#[skill]
fn lookup(#[skill(state)] db: &Db, #[skill(context)] call: &SkillContext) -> bool {
    let _ = (db, call);
    true
}

fn main() {}
