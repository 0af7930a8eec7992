use codex_skills::{SkillContext, skill};

#[skill]
fn lookup(#[context] cx: &mut SkillContext) {
    let _ = cx;
}

fn main() {}
