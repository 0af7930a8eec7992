use codex_skills::skill;

#[derive(serde::Deserialize, schemars::JsonSchema)]
enum Status {
    Open,
    Closed,
}

#[skill]
fn lookup(#[skill(default)] status: Status) {
    let _ = matches!(status, Status::Open | Status::Closed);
}

fn main() {}
