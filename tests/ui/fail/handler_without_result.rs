use codex_skills::Skill;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Name {
    name: String,
}

fn main() {
    let _ = Skill::builder("greet").handler(|given: Name| async move { given.name });
    let _ = Skill::builder("greet").handler_with_context(|_: Name, _| async {});
}
