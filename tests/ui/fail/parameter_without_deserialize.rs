use codex_skills::skill;

struct Filter;

#[skill]
async fn lookup(id: String, filter: Filter, filters: Vec<Filter>) -> String {
    let _ = (filter, filters);
    id
}

fn main() {}
