//! What codex refuses, shadows or silently drops because of a tool's name or namespace (contract §1.2, §1.3,
//! §1.6). Pure functions: when they are asked, and what becomes of the answer, is the draft's affair.

use std::borrow::Cow;
use std::fmt;

use crate::skill::built_in::{RESERVED_NAMESPACES, Takes, as_long_as, built_in, member};
use crate::skill::call::qualified;

/// The longest name, in characters.
pub(crate) const NAME_LIMIT: usize = 128;
/// The longest namespace, in characters.
pub(crate) const NAMESPACE_LIMIT: usize = 64;
/// The longest description of a namespace, in characters.
pub(crate) const DESCRIPTION_LIMIT: usize = 1_024;
/// Most tools of a session of codex-manager.
pub(crate) const MANAGER_TOOLS: usize = 128;

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Name,
    Namespace,
}

impl Subject {
    fn limit(self) -> usize {
        match self {
            Self::Name => NAME_LIMIT,
            Self::Namespace => NAMESPACE_LIMIT,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Namespace => "namespace",
        })
    }
}

/// Why a name or a namespace cannot be given to codex.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameProblem {
    /// Nothing, or only blanks.
    #[error("{}", match .0 {
        Subject::Name => "the name of a skill must not be empty: give it one",
        Subject::Namespace => "the namespace must not be empty: leave it out for none",
    })]
    Empty(Subject),
    /// Blanks before or after.
    #[error("the {0} {1:?} has blanks around it: remove them")]
    SurroundingBlanks(Subject, String),
    /// A character that the Responses API refuses.
    #[error(
        "the {subject} {name:?} contains {found:?}: use ASCII letters, digits, `_` and `-` only, \
         for example `{suggestion}`"
    )]
    Characters {
        /// What contains it.
        subject: Subject,
        /// The name, or how it begins.
        name: String,
        /// The first such character.
        found: char,
        /// A name that would do.
        suggestion: String,
    },
    /// More characters than the Responses API takes.
    #[error("the {subject} `{start}…` has {length} characters: shorten it to at most {}", subject.limit())]
    TooLong {
        /// What is too long.
        subject: Subject,
        /// How it begins.
        start: String,
        /// Its length.
        length: usize,
    },
    /// `mcp` or `mcp__…`.
    #[error(
        "codex reserves the {0} `{1}` for its MCP servers (`mcp` and all that begins with `mcp__`): \
         choose another"
    )]
    Reserved(Subject, String),
    /// A namespace that the Responses API has itself.
    #[error("the Responses API reserves the namespace `{0}`: choose another, for example `my_{0}`")]
    ReservedNamespace(String),
    /// Code mode sees a built-in tool under the same identifier.
    #[error(
        "`{qualified}` is `tools.{identifier}` in code mode, where a built-in tool of codex would win over the \
         skill silently: choose another name, for example `my_{name}`"
    )]
    Identifier {
        /// The name with its namespace.
        qualified: String,
        /// The name alone.
        name: String,
        /// What both are in code mode.
        identifier: String,
    },
    /// A built-in tool has it.
    #[error(
        "`{qualified}` is a built-in tool of codex, which would win over the skill silently: \
         choose another name, for example `my_{name}`"
    )]
    BuiltIn {
        /// The name with its namespace.
        qualified: String,
        /// The name alone.
        name: String,
    },
}

/// Checks the name of a skill in a namespace, or in none, in the order in which codex does.
pub(crate) fn check_name(namespace: Option<&str>, name: &str) -> Result<(), NameProblem> {
    check_identifier(Subject::Name, name)?;
    let Some(tool) = built_in(namespace, name) else {
        return Ok(());
    };
    let (qualified, name) = (qualified(namespace, name).into_owned(), name.to_owned());
    let is_its_name = tool.namespace == namespace && tool.name == name;
    Err(if is_its_name || tool.takes != Takes::Identifier {
        NameProblem::BuiltIn { qualified, name }
    } else {
        NameProblem::Identifier {
            identifier: member(namespace, &name).collect(),
            qualified,
            name,
        }
    })
}

/// Checks a namespace in the order in which codex does.
pub(crate) fn check_namespace(namespace: &str) -> Result<(), NameProblem> {
    check_identifier(Subject::Namespace, namespace)?;
    if RESERVED_NAMESPACES.contains(&namespace) {
        return Err(NameProblem::ReservedNamespace(namespace.to_owned()));
    }
    Ok(())
}

fn check_identifier(subject: Subject, name: &str) -> Result<(), NameProblem> {
    if name.trim().is_empty() {
        return Err(NameProblem::Empty(subject));
    }
    if name.trim() != name {
        return Err(NameProblem::SurroundingBlanks(subject, start_of(name)));
    }
    if let Some(found) = name.chars().find(|letter| !is_allowed(*letter)) {
        return Err(NameProblem::Characters {
            subject,
            name: start_of(name),
            found,
            suggestion: suggestion(subject, name),
        });
    }
    if name.len() > subject.limit() {
        return Err(NameProblem::TooLong {
            subject,
            start: start_of(name),
            length: name.len(),
        });
    }
    if name == "mcp" || name.starts_with("mcp__") {
        return Err(NameProblem::Reserved(subject, name.to_owned()));
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
fn suggestion(subject: Subject, name: &str) -> String {
    let words: Vec<&str> = name
        .split(|letter| !is_allowed(letter))
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        return match subject {
            Subject::Name => "my_skill",
            Subject::Namespace => "my_skills",
        }
        .to_owned();
    }
    words.join("_").chars().take(48).collect()
}

/// The name under which JavaScript sees the tool in code mode.
pub(crate) fn js_identifier<'a>(namespace: Option<&str>, name: &'a str) -> Cow<'a, str> {
    if namespace.is_none() && js_letters(None, name).eq(name.chars()) {
        return name.into();
    }
    js_letters(namespace, name).collect::<String>().into()
}

fn js_letters<'a>(namespace: Option<&'a str>, name: &'a str) -> impl Iterator<Item = char> + 'a {
    member(namespace, name).enumerate().map(|(at, letter)| {
        let is_kept = matches!(letter, 'a'..='z' | 'A'..='Z' | '_' | '$')
            || (at > 0 && letter.is_ascii_digit());
        if is_kept { letter } else { '_' }
    })
}

/// The built-in tool that takes a skill's place in code mode only, where letters of its name are replaced: its
/// identifier.
pub(crate) fn js_shadow(namespace: Option<&str>, name: &str) -> Option<String> {
    let is_shadow = as_long_as(namespace, name).any(|tool| {
        matches!(tool.takes, Takes::Identifier | Takes::MemberOfSome)
            && member(tool.namespace, tool.name).eq(js_letters(namespace, name))
    });
    let is_refused = || built_in(namespace, name).is_some();
    (is_shadow && !is_refused()).then(|| js_letters(namespace, name).collect())
}

/// Names that become equal in code mode, where codex drops all but the first silently. In the order
/// of the identifiers; the names with their namespaces as they come, a repeated one once.
pub(crate) fn js_collisions<'a>(
    names: impl Iterator<Item = (Option<&'a str>, &'a str)>,
) -> Vec<(String, Vec<String>)> {
    let mut identified: Vec<_> = names
        .map(|(namespace, name)| (js_identifier(namespace, name), namespace, name))
        .collect();
    identified.sort_by(|a, b| a.0.cmp(&b.0));
    let mut collisions = Vec::new();
    for same in identified.chunk_by(|a, b| a.0 == b.0) {
        let [(identifier, ..), _, ..] = same else {
            continue;
        };
        let mut names: Vec<String> = Vec::new();
        for (_, namespace, name) in same {
            let name = qualified(*namespace, name);
            if !names.iter().any(|known| *known == name) {
                names.push(name.into_owned());
            }
        }
        if names.len() > 1 {
            collisions.push((identifier.clone().into_owned(), names));
        }
    }
    collisions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skill::built_in::BUILT_IN;

    fn said(checked: Result<(), NameProblem>) -> String {
        checked.map_or_else(|problem| problem.to_string(), |()| "fine".to_owned())
    }

    fn text(name: &str) -> String {
        said(check_name(None, name))
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
        assert_eq!(check_name(None, &"a".repeat(NAME_LIMIT)), Ok(()));
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
                check_name(None, &name),
                Err(NameProblem::Characters {
                    subject: Subject::Name,
                    name,
                    found,
                    suggestion
                })
            );
        }
    }

    #[test]
    fn every_built_in_name_is_refused_in_its_scope_and_its_substitute_passes() {
        for tool in BUILT_IN {
            let name = tool.name.to_owned();
            let problem = NameProblem::BuiltIn {
                qualified: qualified(tool.namespace, tool.name).into_owned(),
                name: name.clone(),
            };
            assert_eq!(check_name(tool.namespace, tool.name), Err(problem));
            assert_eq!(check_name(tool.namespace, &format!("my_{name}")), Ok(()));
            assert_eq!(check_name(Some("tickets"), tool.name), Ok(()));
        }
        for (namespace, name) in [
            (Some("multi_agent_v1"), "exec"),
            (Some("clock"), "other"),
            (Some("collaboration"), "mine"),
            (None, "sleep"),
            (None, "send_message"),
            (None, "curr_time"),
        ] {
            assert_eq!(check_name(namespace, name), Ok(()));
        }
        let reserved = said(check_name(Some("tickets"), "mcp__x"));
        assert!(
            reserved.starts_with("codex reserves the name `mcp__x`"),
            "{reserved}"
        );
    }

    #[test]
    fn flat_names_that_are_a_member_of_tools_are_refused() {
        let told = said(check_name(None, "clock__curr_time"));
        assert!(
            told.contains("`tools.clock__curr_time` in code mode"),
            "{told}"
        );
        // These are no members of `tools`, so that only their very names are taken.
        for (namespace, name) in [
            (Some("n"), "exec_command"),
            (None, "request-user-input"),
            (None, "clock__sleep"),
            (None, "collaboration__send_message"),
        ] {
            assert_eq!(check_name(namespace, name), Ok(()), "{name}");
            assert_eq!(js_shadow(namespace, name), None, "{name}");
        }
    }

    #[test]
    fn built_in_tools_shadow_other_names_in_code_mode() {
        for (namespace, name, identifier) in [
            (None, "exec-command", Some("exec_command")),
            (None, "list-mcp-resources", Some("list_mcp_resources")),
            (None, "exec_command", None),
            (
                None,
                "multi_agent_v1__spawn_agent",
                Some("multi_agent_v1__spawn_agent"),
            ),
            (Some("n"), "exec-command", None),
            (Some("clock"), "curr-time", Some("clock__curr_time")),
            (Some("clock"), "curr_time", None),
            (
                Some("multi-agent_v1"),
                "spawn_agent",
                Some("multi_agent_v1__spawn_agent"),
            ),
            (Some("multi_agent_v1"), "spawn_agent", None),
        ] {
            assert_eq!(js_shadow(namespace, name).as_deref(), identifier, "{name}");
        }
    }
}
