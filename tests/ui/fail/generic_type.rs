use codex_skills::skill;

#[skill]
fn lookup<T: Into<String>>(id: T) {
    let _: String = id.into();
}

fn main() {}
