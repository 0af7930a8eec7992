use codex_skills::{Embedded, skill, skills};

#[skill]
fn lookup() {}

fn main() -> Result<(), codex_skills::Error> {
    let codex = Embedded::demo().blocking();
    let (_, session) = codex.create_session(|draft| draft).wait()?;
    let _ = session.register(skills![lookup]);
    Ok(())
}
