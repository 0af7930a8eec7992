#![allow(clippy::panic, reason = "tests fail by panicking")]

use serde_json::json;

use super::*;

fn function(name: &str) -> Value {
    json!({"type": "function", "name": name, "description": "", "inputSchema": {"type": "object"}})
}

fn legacy(name: &str) -> Value {
    json!({"name": name, "description": "", "inputSchema": {}})
}

fn namespace(name: &str, tools: &[Value]) -> Value {
    json!({"type": "namespace", "name": name, "description": "", "tools": tools})
}

fn with(mut tool: Value, member: &str, value: Value) -> Value {
    tool[member] = value;
    tool
}

fn without(mut tool: Value, member: &str) -> Value {
    if let Value::Object(members) = &mut tool {
        members.remove(member);
    }
    tool
}

fn refusal(tools: &Value) -> String {
    match check_dynamic_tools(tools) {
        Ok(_) => panic!("accepted: {tools}"),
        Err(reason) => reason,
    }
}

fn accepted(tools: &Value) -> Vec<(Option<String>, String, bool)> {
    check_dynamic_tools(tools)
        .unwrap_or_else(|reason| panic!("{reason}: {tools}"))
        .into_iter()
        .map(|tool| (tool.namespace, tool.name, tool.defer_loading))
        .collect()
}

fn plain(name: &str) -> (Option<String>, String, bool) {
    (None, name.to_owned(), false)
}

fn spaced(namespace: &str, name: &str, deferred: bool) -> (Option<String>, String, bool) {
    (Some(namespace.to_owned()), name.to_owned(), deferred)
}

#[test]
fn shapes_that_codex_reads_pass() {
    assert_eq!(accepted(&json!(null)), []);
    assert_eq!(accepted(&json!([])), []);
    assert_eq!(accepted(&json!([function("a")])), [plain("a")]);
    assert_eq!(accepted(&json!([legacy("a")])), [plain("a")]);
    let unknown_member = with(function("a"), "strange", json!(1));
    assert_eq!(accepted(&json!([unknown_member])), [plain("a")]);
    let deferred = with(function("b"), "deferLoading", json!(true));
    assert_eq!(
        accepted(&json!([
            function("a"),
            namespace("n", &[function("a"), deferred])
        ])),
        [plain("a"), spaced("n", "a", false), spaced("n", "b", true)]
    );
}

#[test]
fn legacy_tools_are_gathered_by_namespace() {
    let in_namespace = |name: &str| with(legacy(name), "namespace", json!("n"));
    let hidden = with(in_namespace("c"), "exposeToContext", json!(false));
    let explicit = with(
        with(in_namespace("d"), "exposeToContext", json!(false)),
        "deferLoading",
        json!(false),
    );
    let none = with(legacy("b"), "namespace", json!(null));
    assert_eq!(
        accepted(&json!([in_namespace("a"), none, hidden, explicit])),
        [
            spaced("n", "a", false),
            spaced("n", "c", true),
            spaced("n", "d", false),
            plain("b"),
        ]
    );
}

#[test]
fn what_the_tool_says_is_kept() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let tool = json!({"type": "function", "name": "t", "description": "d", "inputSchema": schema});
    assert_eq!(
        check_dynamic_tools(&json!([tool])),
        Ok(vec![StrictTool {
            namespace: None,
            name: "t".to_owned(),
            description: "d".to_owned(),
            input_schema: schema,
            defer_loading: false,
        }])
    );
}

#[test]
fn shapes_that_codex_cannot_read_are_invalid_requests() {
    for (tools, reason) in [
        (
            json!([function("a"), legacy("b")]),
            "dynamic tools must use either canonical or legacy format consistently",
        ),
        (
            json!([without(function("a"), "name")]),
            "missing field `name`",
        ),
        (
            json!([without(function("a"), "description")]),
            "missing field `description`",
        ),
        (
            json!([without(function("a"), "inputSchema")]),
            "missing field `inputSchema`",
        ),
        (
            json!([without(legacy("a"), "description")]),
            "missing field `description`",
        ),
        (
            json!([without(legacy("a"), "inputSchema")]),
            "missing field `inputSchema`",
        ),
        (
            json!([without(namespace("n", &[]), "tools")]),
            "missing field `tools`",
        ),
        (
            json!([with(function("a"), "deferLoading", json!(null))]),
            "invalid type: null, expected a boolean",
        ),
        (
            json!([with(function("a"), "type", json!("custom"))]),
            "unknown variant `custom`, expected `function` or `namespace`",
        ),
        (
            json!([namespace("n", &[namespace("m", &[function("a")])])]),
            "unknown variant `namespace`, expected `function`",
        ),
        (
            json!([namespace("n", &[legacy("a")])]),
            "missing field `type`",
        ),
        (
            json!([with(function("a"), "name", json!(5))]),
            "invalid type: integer `5`, expected a string",
        ),
        (
            json!([with(function("a"), "description", json!(null))]),
            "invalid type: null, expected a string",
        ),
        (json!({}), "invalid type: map, expected a sequence"),
        (
            json!(["a"]),
            "invalid type: string \"a\", expected a dynamic tool",
        ),
    ] {
        assert_eq!(refusal(&tools), format!("Invalid request: {reason}"));
    }
}

#[test]
fn names_are_refused_in_the_words_of_codex() {
    let pattern = "must match ^[a-zA-Z0-9_-]+$ to match Responses API";
    for (name, reason) in [
        (String::new(), "must not be empty".to_owned()),
        (" \t".to_owned(), "must not be empty".to_owned()),
        (
            " a".to_owned(),
            "has leading/trailing whitespace:  a".to_owned(),
        ),
        (
            "a\n".to_owned(),
            "has leading/trailing whitespace: a\\n".to_owned(),
        ),
        ("a b".to_owned(), format!("{pattern}: a b")),
        ("a.b".to_owned(), format!("{pattern}: a.b")),
        ("é".to_owned(), format!("{pattern}: \\u{{e9}}")),
        (
            "a".repeat(129),
            format!(
                "must be at most 128 characters to match Responses API: {}",
                "a".repeat(129)
            ),
        ),
        ("mcp".to_owned(), "is reserved: mcp".to_owned()),
        ("mcp__x".to_owned(), "is reserved: mcp__x".to_owned()),
    ] {
        let said = format!("dynamic tool name {reason}");
        assert_eq!(refusal(&json!([function(&name)])), said);
        assert_eq!(refusal(&json!([legacy(&name)])), said);
        assert_eq!(refusal(&json!([namespace("n", &[function(&name)])])), said);
    }
}

#[test]
fn namespaces_are_refused_in_the_words_of_codex() {
    let pattern = "must match ^[a-zA-Z0-9_-]+$ to match Responses API";
    for (name, reason) in [
        (String::new(), "must not be empty".to_owned()),
        (" ".to_owned(), "must not be empty".to_owned()),
        (
            "n ".to_owned(),
            "has leading/trailing whitespace: n ".to_owned(),
        ),
        ("a.b".to_owned(), format!("{pattern}: a.b")),
        (
            "a".repeat(65),
            format!(
                "must be at most 64 characters to match Responses API: {}",
                "a".repeat(65)
            ),
        ),
        ("mcp".to_owned(), "is reserved: mcp".to_owned()),
        ("mcp__x".to_owned(), "is reserved: mcp__x".to_owned()),
    ] {
        let said = format!("dynamic tool namespace {reason}");
        assert_eq!(refusal(&json!([namespace(&name, &[function("a")])])), said);
        let old = with(legacy("a"), "namespace", json!(name));
        assert_eq!(refusal(&json!([old])), said);
    }
    for name in RESERVED_NAMESPACES {
        assert_eq!(
            refusal(&json!([namespace(name, &[function("a")])])),
            format!(
                "dynamic tool namespace collides with a reserved Responses API namespace: {name}"
            )
        );
    }
}

#[test]
fn names_at_their_limits_pass() {
    for name in [
        "a".repeat(128),
        "mcp_x".to_owned(),
        "MCP__x".to_owned(),
        "1st".to_owned(),
    ] {
        assert_eq!(accepted(&json!([function(&name)])), [plain(&name)]);
    }
    let name = "n".repeat(64);
    assert_eq!(
        accepted(&json!([namespace(&name, &[function("a")])])),
        [spaced(&name, "a", false)]
    );
}

#[test]
fn duplicates_are_refused_within_their_scope() {
    assert_eq!(
        refusal(&json!([function("a"), function("a")])),
        "duplicate dynamic tool name: a"
    );
    assert_eq!(
        refusal(&json!([namespace("n1", &[function("a"), function("a")])])),
        "duplicate dynamic tool name in namespace n1: a"
    );
    assert_eq!(
        refusal(&json!([
            namespace("n1", &[function("a")]),
            namespace("n1", &[function("b")])
        ])),
        "duplicate dynamic tool namespace: n1"
    );
    let apart = json!([
        function("a"),
        function("A"),
        function("n1"),
        namespace("n1", &[function("a")]),
        namespace("n2", &[function("a")]),
    ]);
    assert_eq!(accepted(&apart).len(), 5);
}

#[test]
fn namespaces_need_tools_and_a_short_description() {
    assert_eq!(
        refusal(&json!([namespace("n1", &[])])),
        "dynamic tool namespace must contain at least one tool: n1"
    );
    let described = |length: usize| {
        with(
            namespace("n", &[function("a")]),
            "description",
            json!("é".repeat(length)),
        )
    };
    assert_eq!(accepted(&json!([described(1024)])).len(), 1);
    assert_eq!(
        refusal(&json!([described(1025)])),
        "dynamic tool namespace description must be at most 1024 characters"
    );
}

#[test]
fn deferred_tools_need_a_namespace() {
    let said = "deferred dynamic tool must include a namespace: a";
    assert_eq!(
        refusal(&json!([with(function("a"), "deferLoading", json!(true))])),
        said
    );
    assert_eq!(
        refusal(&json!([with(legacy("a"), "deferLoading", json!(true))])),
        said
    );
    assert_eq!(
        refusal(&json!([with(legacy("a"), "exposeToContext", json!(false))])),
        said
    );
    let told = with(function("a"), "deferLoading", json!(false));
    assert_eq!(accepted(&json!([told])), [plain("a")]);
}

#[test]
fn schemas_are_refused_in_the_words_of_codex() {
    for (schema, reason) in [
        (
            json!(null),
            "invalid type: null, expected struct JsonSchema",
        ),
        (
            json!({"type": "null"}),
            "tool input schema must not be a singleton null type",
        ),
        (
            json!([]),
            "invalid type: sequence, expected struct JsonSchema",
        ),
        (
            json!(5),
            "invalid type: integer `5`, expected struct JsonSchema",
        ),
        (
            json!({"required": [1]}),
            "invalid type: integer `1`, expected a string",
        ),
        (
            json!({"properties": []}),
            "invalid type: sequence, expected a map",
        ),
        (
            json!({"description": 1}),
            "invalid type: integer `1`, expected a string",
        ),
        (
            json!({"enum": "a"}),
            "invalid type: string \"a\", expected a sequence",
        ),
        (
            json!({"items": []}),
            "invalid type: sequence, expected struct JsonSchema",
        ),
    ] {
        assert_eq!(
            refusal(&json!([with(function("t"), "inputSchema", schema)])),
            format!("dynamic tool input schema is not supported for t: {reason}")
        );
    }
    for schema in [json!(true), json!({}), json!({"type": "string"})] {
        assert_eq!(
            accepted(&json!([with(function("t"), "inputSchema", schema)])),
            [plain("t")]
        );
    }
}

#[test]
fn the_first_mistake_is_told() {
    // Everything is read before anything is checked.
    assert_eq!(
        refusal(&json!([function(""), without(function("b"), "name")])),
        "Invalid request: missing field `name`"
    );
    assert_eq!(
        refusal(&json!([function("mcp"), function("")])),
        "dynamic tool name is reserved: mcp"
    );
}

#[test]
fn a_thousand_tools_and_long_descriptions_pass() {
    let tools: Vec<Value> = (0..1000).map(|at| function(&format!("t{at}"))).collect();
    assert_eq!(accepted(&json!(tools)).len(), 1000);
    let long = with(function("a"), "description", json!("x".repeat(100_000)));
    assert_eq!(accepted(&json!([long])).len(), 1);
}

#[test]
fn built_in_tools_shadow_where_codex_dispatches_them() {
    for name in [
        "apply_patch",
        "exec_command",
        "write_stdin",
        "view_image",
        "request_user_input",
        "request_user_input_async",
        "send_message_to_user_async",
        "get_goal",
        "create_goal",
        "update_goal",
        "exec",
        "wait",
        "list_mcp_resources",
        "list_mcp_resource_templates",
        "read_mcp_resource",
    ] {
        assert!(is_shadowed(None, name), "{name}");
        assert!(is_shadowed(Some(""), name), "{name}");
        assert!(!is_shadowed(Some("n"), name), "{name}");
    }
    for (namespace, name) in [
        (Some("multi_agent_v1"), "spawn_agent"),
        (Some("clock"), "sleep"),
        (Some("clock"), "curr_time"),
        (None, "clock__curr_time"),
        (Some("collaboration"), "send_message"),
    ] {
        assert!(is_shadowed(namespace, name), "{name}");
    }
    for (namespace, name) in [
        (None, "spawn_agent"),
        (None, "web_search"),
        (None, "lookup_ticket"),
        (None, "Exec"),
        (None, "sleep"),
        (None, "clock__sleep"),
        (Some("clock"), "other"),
        (Some("collaboration"), "mine"),
    ] {
        assert!(!is_shadowed(namespace, name), "{name}");
    }
}
