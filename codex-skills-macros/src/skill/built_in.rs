// Names that codex keeps: its own tools (contract §1.3, §1.6) and the namespaces of the Responses API (contract
// §1.2). The only list of them: a module here, and one of codex-skills by `built_in_tools!`, which is why no doc
// comment heads it. A test of the conformance suite learns the tools from the real codex.

/// How a tool of codex takes the place of a skill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// That of its own name; in code mode, where it is a member of `tools`, also that of a flat name like
    /// `clock__curr_time`, which is the same there.
    Identifier,
    /// The same with a few models only, so that the flat name is warned of.
    MemberOfSome,
    /// That of its own name only.
    Name,
    /// Seen in the place of a skill, or beside it, with some configurations and versions.
    Sometimes,
}

/// A tool of codex.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BuiltIn {
    pub(crate) namespace: Option<&'static str>,
    pub(crate) name: &'static str,
    pub(crate) takes: Takes,
    /// How many letters its name has in code mode, with its namespace.
    pub(crate) letters: usize,
}

const fn top(name: &'static str, takes: Takes) -> BuiltIn {
    BuiltIn {
        namespace: None,
        name,
        takes,
        letters: name.len(),
    }
}

const fn within(namespace: &'static str, name: &'static str, takes: Takes) -> BuiltIn {
    BuiltIn {
        namespace: Some(namespace),
        name,
        takes,
        letters: namespace.len() + "__".len() + name.len(),
    }
}

/// All of them, sorted: those of 0.169.0 and 0.171.0 with every model of `model/list`, and what other
/// configurations add.
pub(crate) const BUILT_IN: [BuiltIn; 33] = [
    top("apply_patch", Takes::Identifier),
    top("create_goal", Takes::Identifier),
    top("exec", Takes::Name),
    top("exec_command", Takes::Identifier),
    top("get_goal", Takes::Identifier),
    top("image_generation", Takes::Sometimes),
    top("list_mcp_resource_templates", Takes::Identifier),
    top("list_mcp_resources", Takes::Identifier),
    top("read_mcp_resource", Takes::Identifier),
    top("request_user_input", Takes::Name),
    top("request_user_input_async", Takes::Name),
    top("send_message_to_user_async", Takes::Name),
    top("spawn_agent", Takes::Sometimes),
    top("tool_search", Takes::Sometimes),
    top("update_goal", Takes::Identifier),
    top("update_plan", Takes::Sometimes),
    top("view_image", Takes::Identifier),
    top("wait", Takes::Name),
    top("web_search", Takes::Sometimes),
    top("write_stdin", Takes::Identifier),
    within("clock", "curr_time", Takes::Identifier),
    within("clock", "sleep", Takes::Name),
    within("collaboration", "followup_task", Takes::Name),
    within("collaboration", "interrupt_agent", Takes::Name),
    within("collaboration", "list_agents", Takes::Name),
    within("collaboration", "send_message", Takes::Name),
    within("collaboration", "spawn_agent", Takes::Name),
    within("collaboration", "wait_agent", Takes::Name),
    within("multi_agent_v1", "close_agent", Takes::MemberOfSome),
    within("multi_agent_v1", "resume_agent", Takes::MemberOfSome),
    within("multi_agent_v1", "send_input", Takes::MemberOfSome),
    within("multi_agent_v1", "spawn_agent", Takes::MemberOfSome),
    within("multi_agent_v1", "wait_agent", Takes::MemberOfSome),
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

/// Returns the tool of codex that takes the place of a skill.
pub(crate) fn built_in(namespace: Option<&str>, name: &str) -> Option<&'static BuiltIn> {
    as_long_as(namespace, name).find(|tool| {
        let is_same = tool.namespace == namespace && tool.name == name;
        is_same
            || (tool.takes == Takes::Identifier
                && member(tool.namespace, tool.name).eq(member(namespace, name)))
    })
}

/// The tools of codex whose names have as many letters: few, so that most skills are compared with none.
pub(crate) fn as_long_as(
    namespace: Option<&str>,
    name: &str,
) -> impl Iterator<Item = &'static BuiltIn> {
    let scope = namespace.map_or(0, |scope| scope.chars().count() + "__".len());
    let letters = scope + name.chars().count();
    BUILT_IN.iter().filter(move |tool| tool.letters == letters)
}

/// The letters of a name with its namespace, as code mode writes it: `tickets__lookup`. The names of codex's tools are
/// identifiers as they are; in others, code mode replaces letters.
pub(crate) fn member<'a>(
    namespace: Option<&'a str>,
    name: &'a str,
) -> impl Iterator<Item = char> + 'a {
    let scope = namespace
        .into_iter()
        .flat_map(|scope| scope.chars().chain("__".chars()));
    scope.chain(name.chars())
}
