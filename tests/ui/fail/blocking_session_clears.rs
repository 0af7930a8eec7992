use codex_skills::Embedded;

fn main() -> Result<(), codex_skills::Error> {
    let codex = Embedded::demo().blocking();
    let (_, mut session) = codex.create_session(|draft| draft).wait()?;
    session.clear();
    Ok(())
}
