use codex_skills::{SkillContext, skill};

#[skill]
fn lookup(#[state] #[context] cx: &SkillContext) {
    let _ = cx;
}

fn main() {}
