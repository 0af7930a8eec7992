use codex_skills::{Embedded, skill, skills};

#[skill]
fn lookup() {}

fn main() -> Result<(), codex_skills::Error> {
    let codex = Embedded::demo().blocking();
    let (_, mut session) = codex.create_session(|draft| draft).wait()?;
    session.using(skills![lookup], |session| session.list().len());
    Ok(())
}
