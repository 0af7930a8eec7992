use codex_skills::{Embedded, skill, skills};

#[skill]
fn lookup() {}

async fn run() -> Result<(), codex_skills::Error> {
    let codex = Embedded::demo();
    let (_, session) = codex.create_session(|draft| draft.register(skills![lookup])).await?;
    session.send_prepared("Use lookup.");
    Ok(())
}

fn main() {
    drop(run());
}
