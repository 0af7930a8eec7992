//! `r#` belongs to Rust, not to the model.
use codex_skills::{SkillSet, skill};

/// Match a type.
///
/// # Arguments
///
/// * `type` - the type
/// * `fn` - the function
#[skill]
pub fn r#match(r#type: String, r#fn: &str) -> String {
    format!("{type}{fn}", type = r#type, fn = r#fn)
}

fn main() {
    let [skill] = <r#match as SkillSet>::SKILLS else { panic!() };
    assert_eq!(skill.name(), "match");
    let parameters: Vec<_> = skill.parameters().iter().map(|p| (p.name(), p.description())).collect();
    assert_eq!(parameters, [("type", Some("the type")), ("fn", Some("the function"))]);
    assert_eq!(r#match("a".into(), "b"), "ab");
}
