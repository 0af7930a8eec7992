use codex_skills::skill;

#[derive(Debug)]
struct NotFound;

#[skill]
async fn lookup(id: String) -> Result<String, NotFound> {
    if id.is_empty() { Err(NotFound) } else { Ok(id) }
}

fn main() {}
