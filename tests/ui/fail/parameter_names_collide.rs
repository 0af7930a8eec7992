use codex_skills::skill;

#[skill]
fn lookup(id: String, #[skill(rename = "id")] other: String) {
    let _ = (id, other);
}

fn main() {}
