use codex_skills::skill;

struct Db {
    name: String,
}

/// Look up a ticket.
#[skill]
fn lookup(text: &str, #[state] db: &Db) -> Option<&str> {
    db.name.contains(text).then_some(&db.name)
}

#[skill]
impl Db {
    /// The longer one.
    #[skill]
    fn longer(first: &str, second: &str) -> &str {
        if first.len() > second.len() { first } else { second }
    }
}

fn main() {
    let _ = lookup("tea", &Db { name: String::new() });
}
