use codex_skills::Skill;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Name {
    name: String,
}

fn main() {
    let _ = Skill::builder("greet").handler(|given: Name| async move {
        let shared = std::rc::Rc::new(given.name);
        std::future::ready(()).await;
        Ok::<_, String>(shared.to_string())
    });
}
