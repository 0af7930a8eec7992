use codex_skills::{SkillContext, skill};

#[skill]
async fn lookup(cx: &SkillContext) -> String {
    cx.skill().to_owned()
}

#[skill]
async fn find(cx: &codex_skills::SkillContext) -> String {
    cx.skill().to_owned()
}

fn main() {}
