//! Which names a tool may have: what codex refuses (contract §1.2), and what its built-in tools would
//! shadow without a word (contract §1.3).

const BUILT_IN: [&str; 15] = [
    "exec_command",
    "write_stdin",
    "view_image",
    "request_user_input",
    "get_goal",
    "create_goal",
    "update_goal",
    "apply_patch",
    "web_search",
    "tool_search",
    "spawn_agent",
    "update_plan",
    "image_generation",
    "exec",
    "wait",
];

const LONGEST: usize = 128;

/// What is wrong with a name. `explicit` says whether `name = ".."` gave it.
pub(crate) fn objection(name: &str, explicit: bool) -> Option<String> {
    let remedy = if explicit {
        "choose another name"
    } else {
        "rename the function, or give the tool a name of its own with `#[skill(name = \"…\")]`"
    };
    if name.trim().is_empty() {
        return Some(
            "the name of a skill must not be empty\nhelp: leave `name` out to use the function's name"
                .to_owned(),
        );
    }
    if name.trim() != name {
        return Some(format!(
            "the name `{name}` begins or ends with a blank\nhelp: write `name = \"{}\"`",
            name.trim()
        ));
    }
    if let Some(odd) = name
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-'))
    {
        return Some(format!(
            "the name `{name}` contains {odd:?}, which codex refuses\nhelp: names consist of the letters a-z and A-Z, digits, `_` and `-`; {remedy}"
        ));
    }
    if name.len() > LONGEST {
        return Some(format!(
            "the name is {} characters long, and codex takes at most {LONGEST}\nhelp: {remedy}",
            name.len()
        ));
    }
    if name == "mcp" || name.starts_with("mcp__") {
        return Some(format!(
            "the name `{name}` is reserved: codex keeps `mcp` and `mcp__…` for MCP servers\nhelp: {remedy}"
        ));
    }
    if BUILT_IN.contains(&name) {
        return Some(format!(
            "`{name}` is a tool of codex itself, which would silently take the place of this skill\nhelp: {remedy}"
        ));
    }
    None
}
