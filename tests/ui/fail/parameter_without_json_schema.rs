use codex_skills::skill;

#[derive(serde::Deserialize)]
struct Filter {
    open: bool,
}

#[skill]
fn lookup(filter: Filter) {
    let _ = filter.open;
}

fn main() {}
