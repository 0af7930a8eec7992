//! Which names and namespaces a tool may have: what codex refuses (contract §1.2), and what its built-in
//! tools would shadow without a word (contract §1.3).

use super::built_in::{RESERVED_NAMESPACES, Takes, built_in, member};

const LONGEST: usize = 128;
const LONGEST_NAMESPACE: usize = 64;
const LONGEST_DESCRIPTION: usize = 1_024;

/// What is wrong with a name in a namespace, or in none. `explicit` says whether `name = ".."` gave it.
pub(crate) fn objection(name: &str, namespace: Option<&str>, explicit: bool) -> Option<String> {
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
    if let Some((before, after)) = name.split_once('.')
        && is_identifier(before)
        && is_identifier(after)
    {
        let remedy = match namespace {
            None => format!("`namespace = \"{before}\", name = \"{after}\"`"),
            Some(_) => format!("`name = \"{after}\"`"),
        };
        return Some(format!(
            "the name `{name}` contains '.', which codex refuses\nhelp: the namespace is not part of the name: write {remedy}"
        ));
    }
    if let Some(objection) = shape_objection("name", name, LONGEST, remedy) {
        return Some(objection);
    }
    let tool = built_in(namespace, name)?;
    let shown = namespace.map_or_else(
        || name.to_owned(),
        |namespace| format!("{namespace}.{name}"),
    );
    let is_its_name = tool.namespace == namespace && tool.name == name;
    let clash = if is_its_name || tool.takes != Takes::Identifier {
        format!("`{shown}` is a tool of codex itself")
    } else {
        let identifier: String = member(namespace, name).collect();
        format!("`{shown}` is `tools.{identifier}` in code mode, as a tool of codex itself")
    };
    Some(format!(
        "{clash}, which would silently take the place of this skill\nhelp: {remedy}"
    ))
}

/// What is wrong with a namespace.
pub(crate) fn namespace_objection(namespace: &str) -> Option<String> {
    if namespace.trim().is_empty() {
        return Some(
            "the namespace must not be empty\nhelp: leave `namespace` out if the skill has none"
                .to_owned(),
        );
    }
    let remedy = "choose another namespace";
    shape_objection("namespace", namespace, LONGEST_NAMESPACE, remedy).or_else(|| {
        RESERVED_NAMESPACES.contains(&namespace).then(|| format!(
            "the namespace `{namespace}` is reserved: the Responses API has one of its own\nhelp: {remedy}, for example `my_{namespace}`"
        ))
    })
}

/// What is wrong with the description of a namespace.
pub(crate) fn description_objection(description: &str) -> Option<String> {
    let length = description.chars().count();
    (length > LONGEST_DESCRIPTION).then(|| format!(
        "the documentation of the block describes its namespace in {length} characters, and codex takes at most {LONGEST_DESCRIPTION}\nhelp: put what is not for the model under a heading, for example `# Notes`"
    ))
}

/// What is wrong with the form of a name or a namespace that is not empty.
fn shape_objection(what: &str, name: &str, longest: usize, remedy: &str) -> Option<String> {
    if name.trim() != name {
        return Some(format!(
            "the {what} `{name}` begins or ends with a blank\nhelp: write `{what} = \"{}\"`",
            name.trim()
        ));
    }
    if let Some(odd) = name.chars().find(|c| !is_allowed(*c)) {
        return Some(format!(
            "the {what} `{name}` contains {odd:?}, which codex refuses\nhelp: {what}s consist of the letters a-z and A-Z, digits, `_` and `-`; {remedy}"
        ));
    }
    if name.len() > longest {
        return Some(format!(
            "the {what} is {} characters long, and codex takes at most {longest}\nhelp: {remedy}",
            name.len()
        ));
    }
    if name == "mcp" || name.starts_with("mcp__") {
        return Some(format!(
            "the {what} `{name}` is reserved: codex keeps `mcp` and `mcp__…` for MCP servers\nhelp: {remedy}"
        ));
    }
    None
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_allowed)
}

fn is_allowed(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}
