use codex_skills::Skill;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Name {
    name: String,
}

fn main() {
    let _ = Skill::builder("greet").handler(|given: Name| async move { Ok::<_, String>(given) });
    let _ = Skill::builder("greet").handler(|given: Name| async move { Err::<String, _>(given) });
}
