use codex_skills::{Embedded, skill, skills};

#[skill]
fn lookup() {}

async fn run() -> Result<(), codex_skills::Error> {
    let codex = Embedded::demo();
    let (_, mut session) = codex.create_session(|draft| draft.register(skills![lookup])).await?;
    session.unregister("lookup");
    Ok(())
}

fn main() {
    drop(run());
}
