//! Every option arrives in the descriptor.
use std::time::Duration;

use codex_skills::{SkillSet, skill};

/// Not for the model.
#[skill(
    name = "find-ticket",
    description = "Find a ticket.",
    output_description = "The ticket.",
    group = "tickets",
    timeout = "1m30s",
    exclusive,
    read_only,
    output_schema = r#"{"type": "string"}"#,
    crate = codex_skills,
)]
async fn lookup(
    /// Its id,
    /// for example `ABC-123`.
    #[skill(rename = "ticketId")]
    id: String,
    #[skill(default = 5)] comments: u8,
    #[skill(default)] labels: Vec<String>,
    #[skill(default = "open")] status: String,
    #[skill(default = "all")] scope: &str,
    author: Option<String>,
) -> String {
    format!("{id}{comments}{labels:?}{status}{scope}{author:?}")
}

fn main() {
    let [skill] = lookup::SKILLS else { panic!() };
    assert_eq!(skill.name(), "find-ticket");
    assert_eq!(skill.description(), "Find a ticket.");
    assert!(skill.is_documented());
    assert_eq!(skill.output_description(), Some("The ticket."));
    assert_eq!(skill.group(), Some("tickets"));
    assert_eq!(skill.timeout(), Some(Duration::from_secs(90)));
    assert!(skill.is_exclusive() && skill.is_read_only());
    assert_eq!((skill.location().line, skill.location().column), (18, 10));
    assert!(skill.location().file.ends_with("all_options.rs"));

    let parameters = skill.parameters();
    let names: Vec<_> = parameters.iter().map(|p| p.name()).collect();
    assert_eq!(names, ["ticketId", "comments", "labels", "status", "scope", "author"]);
    let required: Vec<_> = parameters.iter().map(|p| p.required()).collect();
    assert_eq!(required, [true, false, false, false, false, false]);
    assert_eq!(parameters[0].description(), Some("Its id,\nfor example `ABC-123`."));
    drop(lookup("a".into(), 1, vec![], "b".into(), "c", None));
}
