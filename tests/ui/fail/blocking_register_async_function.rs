use codex_skills::{Draft, Embedded};

async fn register(draft: Draft) -> Result<Draft, std::io::Error> {
    Ok(draft)
}

fn main() {
    let codex = Embedded::demo().blocking();
    let _ = codex.lifecycle(register);
}
