use codex_skills::Embedded;

fn main() -> Result<(), codex_skills::Error> {
    let codex = Embedded::demo().blocking();
    codex.lifecycle(|draft| draft).run(|run| {
        run.prepare_catalog();
        Ok(())
    })
}
