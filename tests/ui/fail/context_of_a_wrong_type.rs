use codex_skills::{SkillContext, skill};

#[skill]
fn lookup(#[context] cx: &str) {
    let _ = cx;
}

#[skill]
async fn find(#[context] cx: Option<&SkillContext>) {
    let _ = cx;
}

fn main() {}
