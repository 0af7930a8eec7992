//! What codex refuses, shadows or silently drops because of a tool's name or namespace (contract §1.2, §1.3,
//! §1.6). Pure functions: when they are asked, and what becomes of the answer, is the draft's affair.

use std::borrow::Cow;
use std::fmt;

use crate::skill::call::qualified;

/// The longest name, in characters.
pub(crate) const NAME_LIMIT: usize = 128;
/// The longest namespace, in characters.
pub(crate) const NAMESPACE_LIMIT: usize = 64;
/// The longest description of a namespace, in characters.
pub(crate) const DESCRIPTION_LIMIT: usize = 1_024;

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

/// Built-in tools of codex that are in a namespace.
pub(crate) const BUILT_IN_NAMESPACED: [(&str, &str); 5] = [
    ("multi_agent_v1", "close_agent"),
    ("multi_agent_v1", "resume_agent"),
    ("multi_agent_v1", "send_input"),
    ("multi_agent_v1", "spawn_agent"),
    ("multi_agent_v1", "wait_agent"),
];

/// Namespaces of the Responses API.
pub(crate) const RESERVED_NAMESPACES: [&str; 14] = [
    "api_tool",
    "browser",
    "computer",
    "container",
    "file_search",
    "functions",
    "image_gen",
    "multi_tool_use",
    "python",
    "python_user_visible",
    "submodel_delegator",
    "terminal",
    "tool_search",
    "web",
];

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
    let built_in = match namespace {
        Some(namespace) => BUILT_IN_NAMESPACED.contains(&(namespace, name)),
        None => BUILT_IN.contains(&name),
    };
    if built_in {
        return Err(NameProblem::BuiltIn {
            qualified: qualified(namespace, name).into_owned(),
            name: name.to_owned(),
        });
    }
    Ok(())
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
    let is_letter = |letter: char| matches!(letter, 'a'..='z' | 'A'..='Z' | '_' | '$');
    let is_kept =
        |(at, letter): (usize, char)| is_letter(letter) || (at > 0 && letter.is_ascii_digit());
    let written: Cow<'a, str> = match namespace {
        Some(namespace) => format!("{namespace}__{name}").into(),
        None => name.into(),
    };
    if written.chars().enumerate().all(is_kept) {
        return written;
    }
    let letters = written.chars().enumerate();
    letters
        .map(|letter| if is_kept(letter) { letter.1 } else { '_' })
        .collect::<String>()
        .into()
}

/// The built-in tool that takes a skill's place in code mode, where the names themselves differ: its
/// identifier.
pub(crate) fn js_shadow<'a>(namespace: Option<&str>, name: &'a str) -> Option<Cow<'a, str>> {
    let identifier = js_identifier(namespace, name);
    // Each built-in name is an identifier as it is.
    let at_top_level = BUILT_IN
        .iter()
        .any(|built_in| *built_in == identifier && (namespace.is_some() || *built_in != name));
    let in_namespaces = || {
        BUILT_IN_NAMESPACED.iter().any(|(scope, built_in)| {
            let rest = identifier.strip_prefix(scope);
            rest.and_then(|rest| rest.strip_prefix("__")) == Some(built_in)
                && (namespace != Some(scope) || *built_in != name)
        })
    };
    (at_top_level || in_namespaces()).then_some(identifier)
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
    fn every_built_in_name_is_refused_and_its_substitute_passes() {
        for name in BUILT_IN {
            let problem = NameProblem::BuiltIn {
                qualified: name.to_owned(),
                name: name.to_owned(),
            };
            assert_eq!(check_name(None, name), Err(problem));
            assert_eq!(check_name(None, &format!("my_{name}")), Ok(()));
        }
    }

    #[test]
    fn built_in_names_are_refused_in_their_scope_only() {
        for name in BUILT_IN {
            assert_eq!(check_name(Some("tickets"), name), Ok(()));
        }
        for (namespace, name) in BUILT_IN_NAMESPACED {
            let told = said(check_name(Some(namespace), name));
            assert!(
                told.starts_with(&format!("`{namespace}.{name}` is a built-in tool of codex")),
                "{told}"
            );
            assert!(
                told.ends_with(&format!("for example `my_{name}`")),
                "{told}"
            );
            assert_eq!(check_name(Some("tickets"), name), Ok(()));
        }
        assert_eq!(check_name(Some("multi_agent_v1"), "exec"), Ok(()));
        let reserved = said(check_name(Some("tickets"), "mcp__x"));
        assert!(
            reserved.starts_with("codex reserves the name `mcp__x`"),
            "{reserved}"
        );
    }

    #[test]
    fn namespaces_that_codex_refuses_are_told_with_a_remedy() {
        for (namespace, told) in [
            ("tickets", "fine"),
            ("my-tickets_2", "fine"),
            ("mcp_x", "fine"),
            ("Web", "fine"),
            ("exec", "fine"),
            (
                " ",
                "the namespace must not be empty: leave it out for none",
            ),
            (
                "tickets ",
                "the namespace \"tickets \" has blanks around it: remove them",
            ),
            (
                "help.desk",
                "the namespace \"help.desk\" contains '.': use ASCII letters, digits, `_` and `-` only, \
                 for example `help_desk`",
            ),
            (
                "票",
                "the namespace \"票\" contains '票': use ASCII letters, digits, `_` and `-` only, \
                 for example `my_skills`",
            ),
            (
                "mcp__x",
                "codex reserves the namespace `mcp__x` for its MCP servers (`mcp` and all that begins \
                 with `mcp__`): choose another",
            ),
            (
                "web",
                "the Responses API reserves the namespace `web`: choose another, for example `my_web`",
            ),
        ] {
            assert_eq!(said(check_namespace(namespace)), told);
        }
        assert_eq!(check_namespace(&"a".repeat(NAMESPACE_LIMIT)), Ok(()));
        assert_eq!(
            said(check_namespace(&"a".repeat(65))),
            format!(
                "the namespace `{}…` has 65 characters: shorten it to at most 64",
                "a".repeat(48)
            )
        );
        for namespace in RESERVED_NAMESPACES {
            assert_ne!(said(check_namespace(namespace)), "fine", "{namespace}");
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
            assert_eq!(js_identifier(None, name), identifier, "{name}");
        }
    }

    #[test]
    fn colliding_identifiers_are_found_in_order() {
        let names = ["my-dash", "a", "1x", "my_dash", "b", "_x", "-x", "a"];
        let listed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            js_collisions(names.into_iter().map(|name| (None, name))),
            [
                ("_x".to_owned(), listed(&["1x", "_x", "-x"])),
                ("my_dash".to_owned(), listed(&["my-dash", "my_dash"])),
            ]
        );
        let spaced = [
            (None, "n1__b"),
            (Some("n1"), "a"),
            (Some("n1"), "b"),
            (Some("n1_"), "_b"),
            (Some("n2"), "b"),
        ];
        assert_eq!(
            js_collisions(spaced.into_iter()),
            [("n1__b".to_owned(), listed(&["n1__b", "n1.b"]))]
        );
        assert!(js_collisions([(None, "a"), (None, "b")].into_iter()).is_empty());
    }

    #[test]
    fn built_in_tools_shadow_other_names_in_code_mode() {
        let shadow = |namespace, name| js_shadow(namespace, name);
        assert_eq!(
            shadow(None, "exec-command").as_deref(),
            Some("exec_command")
        );
        assert_eq!(shadow(None, "exec_command"), None);
        assert_eq!(shadow(Some("n"), "exec-command"), None);
        let built_in = Some("multi_agent_v1__spawn_agent");
        assert_eq!(
            shadow(None, "multi_agent_v1__spawn_agent").as_deref(),
            built_in
        );
        assert_eq!(
            shadow(Some("multi-agent_v1"), "spawn_agent").as_deref(),
            built_in
        );
        assert_eq!(shadow(Some("multi_agent_v1"), "spawn_agent"), None);
    }
}
