//! What codex refuses, shadows or silently drops because of a tool's name (contract §1.2, §1.3, §1.6).
//! Pure functions: when they are asked, and what becomes of the answer, is the draft's affair.

use std::collections::BTreeMap;

/// The longest name, in characters.
pub(crate) const NAME_LIMIT: usize = 128;

/// Built-in tools of codex. Depending on the version, the model and the configuration they win over a
/// skill of the same name silently, or are listed beside it.
pub(crate) const BUILT_IN: [&str; 15] = [
    "apply_patch",
    "create_goal",
    "exec",
    "exec_command",
    "get_goal",
    "image_generation",
    "request_user_input",
    "spawn_agent",
    "tool_search",
    "update_goal",
    "update_plan",
    "view_image",
    "wait",
    "web_search",
    "write_stdin",
];

/// Why a name cannot be given to codex.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameProblem {
    /// Nothing, or only blanks.
    #[error("the name of a skill must not be empty: give it one")]
    Empty,
    /// Blanks before or after.
    #[error("the name {0:?} has blanks around it: remove them")]
    SurroundingBlanks(String),
    /// A character that the Responses API refuses.
    #[error(
        "the name {name:?} contains {found:?}: use ASCII letters, digits, `_` and `-` only, \
         for example `{suggestion}`"
    )]
    Characters {
        /// The name, or how it begins.
        name: String,
        /// The first such character.
        found: char,
        /// A name that would do.
        suggestion: String,
    },
    /// More characters than the Responses API takes.
    #[error("the name `{start}…` has {length} characters: shorten it to at most {NAME_LIMIT}")]
    TooLong {
        /// How it begins.
        start: String,
        /// Its length.
        length: usize,
    },
    /// `mcp` or `mcp__…`.
    #[error(
        "codex reserves the name `{0}` for its MCP servers (`mcp` and all that begins with `mcp__`): \
         choose another"
    )]
    Reserved(String),
    /// A built-in tool has it.
    #[error(
        "`{0}` is a built-in tool of codex, which would win over the skill silently: \
         choose another name, for example `my_{0}`"
    )]
    BuiltIn(String),
}

/// Checks a name in the order in which codex does.
pub(crate) fn check_name(name: &str) -> Result<(), NameProblem> {
    if name.trim().is_empty() {
        return Err(NameProblem::Empty);
    }
    if name.trim() != name {
        return Err(NameProblem::SurroundingBlanks(start_of(name)));
    }
    if let Some(found) = name.chars().find(|letter| !is_allowed(*letter)) {
        return Err(NameProblem::Characters {
            name: start_of(name),
            found,
            suggestion: suggestion(name),
        });
    }
    if name.len() > NAME_LIMIT {
        return Err(NameProblem::TooLong {
            start: start_of(name),
            length: name.len(),
        });
    }
    if name == "mcp" || name.starts_with("mcp__") {
        return Err(NameProblem::Reserved(name.to_owned()));
    }
    if BUILT_IN.contains(&name) {
        return Err(NameProblem::BuiltIn(name.to_owned()));
    }
    Ok(())
}

/// Whether the Responses API takes the character in a name.
fn is_allowed(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

fn start_of(name: &str) -> String {
    name.chars().take(48).collect()
}

/// The name with `_` for each run of refused characters.
fn suggestion(name: &str) -> String {
    let words: Vec<&str> = name
        .split(|letter| !is_allowed(letter))
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        return "my_skill".to_owned();
    }
    words.join("_").chars().take(48).collect()
}

/// The name under which JavaScript sees the tool in code mode.
pub(crate) fn js_identifier(name: &str) -> String {
    name.chars()
        .enumerate()
        .map(|(at, letter)| match letter {
            '0'..='9' if at > 0 => letter,
            'a'..='z' | 'A'..='Z' | '_' | '$' => letter,
            _ => '_',
        })
        .collect()
}

/// The built-in tool that takes a skill's place in code mode, where the names themselves differ.
pub(crate) fn js_shadow(name: &str) -> Option<&'static str> {
    let identifier = js_identifier(name);
    BUILT_IN
        .into_iter()
        .find(|built_in| *built_in == identifier && *built_in != name)
}

/// Names that become equal in code mode, where codex drops all but the first silently. In the order
/// of the identifiers; the names as they come, a repeated one once.
pub(crate) fn js_collisions<'a>(
    names: impl Iterator<Item = &'a str>,
) -> Vec<(String, Vec<&'a str>)> {
    let mut by_identifier: BTreeMap<String, Vec<&'a str>> = BTreeMap::new();
    for name in names {
        let same = by_identifier.entry(js_identifier(name)).or_default();
        if !same.contains(&name) {
            same.push(name);
        }
    }
    by_identifier.retain(|_, names| names.len() > 1);
    by_identifier.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> String {
        check_name(name).map_or_else(|problem| problem.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn names_that_codex_takes_pass() {
        for name in [
            "a",
            "lookup_ticket",
            "my-dash",
            "1st",
            "-x",
            "_",
            "UPPER",
            // Near misses of what is reserved.
            "mcp_x",
            "MCP",
            "MCP__x",
            "mcpx",
            "my_mcp__x",
            "Exec",
            "exec_commands",
            "wait_for",
        ] {
            assert_eq!(text(name), "fine", "{name}");
        }
        assert_eq!(check_name(&"a".repeat(NAME_LIMIT)), Ok(()));
    }

    #[test]
    fn names_that_codex_refuses_or_shadows_are_told_with_a_remedy() {
        for (name, said) in [
            ("", "the name of a skill must not be empty: give it one"),
            (
                " \t\n",
                "the name of a skill must not be empty: give it one",
            ),
            (" a", "the name \" a\" has blanks around it: remove them"),
            ("a\n", "the name \"a\\n\" has blanks around it: remove them"),
            (
                "look up",
                "the name \"look up\" contains ' ': use ASCII letters, digits, `_` and `-` only, \
                 for example `look_up`",
            ),
            (
                "größe",
                "the name \"größe\" contains 'ö': use ASCII letters, digits, `_` and `-` only, \
                 for example `gr_e`",
            ),
            (
                "票",
                "the name \"票\" contains '票': use ASCII letters, digits, `_` and `-` only, \
                 for example `my_skill`",
            ),
            (
                "mcp",
                "codex reserves the name `mcp` for its MCP servers (`mcp` and all that begins with \
                 `mcp__`): choose another",
            ),
            (
                "mcp__x",
                "codex reserves the name `mcp__x` for its MCP servers (`mcp` and all that begins \
                 with `mcp__`): choose another",
            ),
        ] {
            assert_eq!(text(name), said);
        }
        assert_eq!(
            text(&"a".repeat(129)),
            format!(
                "the name `{}…` has 129 characters: shorten it to at most 128",
                "a".repeat(48)
            )
        );
    }

    #[test]
    fn each_refused_character_is_named() {
        for found in ['.', ':', '/', ' ', '$', '\u{7f}', '\0', 'é', '🙂'] {
            let name = format!("a{found}b");
            let suggestion = "a_b".to_owned();
            assert_eq!(
                check_name(&name),
                Err(NameProblem::Characters {
                    name,
                    found,
                    suggestion
                })
            );
        }
    }

    #[test]
    fn every_built_in_name_is_refused_and_its_substitute_passes() {
        for name in BUILT_IN {
            assert_eq!(check_name(name), Err(NameProblem::BuiltIn(name.to_owned())));
            assert_eq!(check_name(&format!("my_{name}")), Ok(()));
        }
    }

    #[test]
    fn problems_are_one_line_in_lower_case() {
        let long = "x".repeat(4_000);
        for name in ["", " a", "a b", "a\nb", "mcp", "exec", &long] {
            let text = text(name);
            assert!(!text.contains('\n'), "{text}");
            assert!(text.starts_with(|first: char| !first.is_uppercase()));
            assert!(text.len() < 250, "{text}");
        }
    }

    #[test]
    fn javascript_sees_identifiers() {
        for (name, identifier) in [
            ("lookup_ticket", "lookup_ticket"),
            ("my-dash", "my_dash"),
            ("1st", "_st"),
            ("-x", "_x"),
            ("a1", "a1"),
            ("a-1", "a_1"),
            ("--", "__"),
            ("n1.b", "n1_b"),
            ("$x", "$x"),
            ("é", "_"),
            ("", ""),
        ] {
            assert_eq!(js_identifier(name), identifier, "{name}");
        }
    }

    #[test]
    fn colliding_identifiers_are_found_in_order() {
        let names = ["my-dash", "a", "1x", "my_dash", "b", "_x", "-x", "a"];
        assert_eq!(
            js_collisions(names.into_iter()),
            [
                ("_x".to_owned(), vec!["1x", "_x", "-x"]),
                ("my_dash".to_owned(), vec!["my-dash", "my_dash"]),
            ]
        );
        assert!(js_collisions(["a", "b"].into_iter()).is_empty());
    }
}
