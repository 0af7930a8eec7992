use codex_skills::skill;

#[skill]
fn lookup<'a>(id: &'a str) {
    let _ = id;
}

fn main() {}
