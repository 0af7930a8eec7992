use codex_skills::{Embedded, skill, skills};

#[skill]
fn lookup() {}

fn main() {
    let codex = Embedded::demo().blocking();
    let _ = codex.create_session(|draft| {
        draft.register(skills![lookup]);
    });
}
