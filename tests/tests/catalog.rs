//! Catalogs: what a draft takes, what sealing refuses, and what is declared to codex.
#![allow(clippy::unused_async, reason = "skills are async to be run as such")]

#[path = "../support/calls.rs"]
#[allow(dead_code, reason = "each file uses a part")]
mod calls;

use std::collections::HashSet;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use calls::{answered, catalog_of, declared};
use codex_skills::{
    CallError, Catalog, CatalogError, CatalogProblem, CatalogSkill, Draft, Location, Skill,
    SkillSet, skill, skills,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Deserialize, JsonSchema)]
struct Echo {
    /// What to send back.
    text: String,
}

/// A skill that sends its text back.
#[track_caller]
fn echo(name: &str) -> Skill {
    Skill::builder(name)
        .description("Send a text back.")
        .handler(|echo: Echo| async { Ok::<_, Infallible>(echo.text) })
}

#[derive(Serialize, JsonSchema)]
struct Ticket {
    /// Its id.
    id: String,
}

/// Look up a ticket.
///
/// By its id.
///
/// # Returns
///
/// The ticket,
/// whatever its status.
#[skill]
async fn lookup(
    /// Its id.
    id: String,
) -> Ticket {
    Ticket { id }
}

#[skill]
fn close(id: u64, note: Option<&str>) -> String {
    format!("{id} {note:?}")
}

/// Needs a desk and a clock.
#[skill]
fn with_state(#[state] desk: &Desk, #[state] clock: Arc<Vec<Clock>>) {
    let _ = (desk, clock);
}

struct Desk;
struct Clock;

mod elsewhere {
    use codex_skills::skill;

    /// Look up something else.
    #[skill]
    pub(crate) fn lookup() {}
}

fn problems(draft: Draft) -> Vec<CatalogProblem> {
    draft.seal().unwrap_err().problems().to_vec()
}

fn location<S: SkillSet>() -> Location {
    S::SKILLS.first().expect("a skill").location()
}

// Drafts.

#[test]
fn a_draft_lists_its_skills_by_name() {
    let draft = Draft::new()
        .register(skills![lookup, close])
        .register(echo("echo"))
        .register([echo("b"), echo("a")]);

    assert_eq!(draft.list(), ["a", "b", "close", "echo", "lookup"]);
}

#[test]
fn unregister_says_whether_the_skill_was_there() {
    let mut draft = Draft::new().register(skills![lookup, close]);

    assert!(draft.unregister("lookup"));
    assert!(!draft.unregister("lookup"));
    assert_eq!(draft.seal().unwrap().list(), ["close"]);
}

#[test]
fn clear_says_how_many_skills_there_were() {
    let mut draft = Draft::new().register(skills![lookup, close]);

    assert_eq!(draft.clear(), 2);
    assert_eq!(draft.clear(), 0);
    assert!(draft.seal().unwrap().is_empty());
}

#[test]
fn the_very_same_skill_may_be_registered_twice() {
    let draft = Draft::new()
        .register(skills![lookup, close])
        .register(skills![lookup]);

    assert_eq!(draft.seal().unwrap().list(), ["close", "lookup"]);
}

#[test]
fn using_adds_skills_for_the_time_of_its_body() {
    let mut draft = Draft::new().register(skills![close]);

    let inside = draft.using(echo("echo"), |draft| draft.list().join(" "));

    assert_eq!(inside, "close echo");
    assert_eq!(draft.list(), ["close"]);
}

#[test]
fn using_takes_its_skills_out_when_the_body_panics() {
    let mut draft = Draft::new().register(skills![close]);

    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
        draft.using(echo("echo"), |_| std::panic::resume_unwind(Box::new(())))
    }));

    assert!(panicked.is_err());
    assert_eq!(draft.list(), ["close"]);
}

#[test]
fn using_leaves_a_skill_that_was_there_before() {
    let mut draft = Draft::new().register(skills![close]);

    draft.using(skills![close, lookup], |_| ());
    assert_eq!(draft.list(), ["close"]);

    // Another skill of the same name is taken out again, and the first one stays.
    draft.using(echo("close"), |_| ());
    let catalog = draft.seal().unwrap();
    assert_eq!(
        catalog.get("close").unwrap().location(),
        location::<close>()
    );
}

#[tokio::test]
async fn the_builder_of_a_draft_hands_the_draft_back() {
    let catalog = Draft::new()
        .skill("echo")
        .description("Send a text back.")
        .handler(|echo: Echo| async { Ok::<_, Infallible>(echo.text) })
        .skill("shout")
        .blocking_handler(|echo: Echo| Ok::<_, Infallible>(echo.text.to_uppercase()))
        .seal()
        .unwrap();

    assert_eq!(catalog.list(), ["echo", "shout"]);
    let shouted = answered(&catalog, "shout", json!({"text": "a"})).await;
    assert_eq!(shouted, "A");
}

#[test]
fn a_closure_has_the_metadata_that_its_builder_was_given() {
    let catalog = catalog_of(
        Skill::builder("echo")
            .description("Send a text back.")
            .output_schema(json!({"type": "string"}))
            .output_description("The text.")
            .group("texts")
            .timeout(Duration::from_secs(5))
            .exclusive()
            .read_only()
            .handler(|echo: Echo| async { Ok::<_, Infallible>(echo.text) }),
    );

    let skill = catalog.get("echo").unwrap();
    assert_eq!(skill.description(), "Send a text back.");
    assert_eq!(skill.output_schema(), Some(&json!({"type": "string"})));
    assert_eq!(skill.output_description(), Some("The text."));
    assert_eq!(skill.group(), Some("texts"));
    assert_eq!(skill.timeout(), Some(Duration::from_secs(5)));
    assert!(skill.is_exclusive() && skill.is_read_only());
}

#[test]
fn the_name_of_a_closure_is_trimmed() {
    let catalog = catalog_of(echo("  echo\n"));

    assert_eq!(catalog.list(), ["echo"]);
}

#[test]
fn a_closure_is_located_where_it_was_built() {
    let catalog = catalog_of(echo("echo"));
    let line = line!() - 1;

    let location = catalog.get("echo").unwrap().location();
    assert_eq!((location.file, location.line), (file!(), line));
}

#[test]
fn a_closure_without_a_description_takes_that_of_its_arguments_or_says_its_name() {
    /// Add two numbers.
    #[derive(Deserialize, JsonSchema)]
    struct Sum {
        a: u8,
        b: u8,
    }
    let catalog = catalog_of([
        Skill::builder("sum").handler(|sum: Sum| async move { Ok::<_, Infallible>(sum.a + sum.b) }),
        Skill::builder("bare").handler(|_: Echo| async { Ok::<_, Infallible>(()) }),
    ]);

    assert_eq!(
        catalog.get("sum").unwrap().description(),
        "Add two numbers."
    );
    assert_eq!(
        catalog.get("bare").unwrap().description(),
        "Remote skill bare"
    );
}

// What sealing refuses.

#[test]
fn two_skills_of_one_name_are_refused_with_both_places() {
    let built = echo("lookup");
    let built_at = line!() - 1;
    let draft = Draft::new()
        .register(skills![lookup, elsewhere::lookup])
        .register(built);

    let error = draft.seal().unwrap_err();

    let places: HashSet<u32> = error
        .problems()
        .iter()
        .flat_map(|problem| match problem {
            CatalogProblem::Duplicate { first, second, .. } => [first.line, second.line],
            other => panic!("{other}"),
        })
        .collect();
    let written = [
        location::<lookup>().line,
        location::<elsewhere::lookup>().line,
        built_at,
    ];
    assert_eq!(places, HashSet::from(written));
    let text = error.to_string();
    for line in written {
        assert!(text.contains(&format!("{}:{line}:", file!())), "{text}");
    }
}

#[test]
fn names_that_codex_refuses_are_refused_with_the_place_and_a_remedy() {
    for (name, reason) in [
        ("", "must not be empty"),
        (" \t", "must not be empty"),
        ("look up", "contains ' '"),
        ("größe", "contains 'ö'"),
        ("a.b", "contains '.'"),
        ("mcp", "reserves the name `mcp`"),
        ("mcp__files", "reserves the name `mcp__files`"),
        (
            &"a".repeat(129),
            "129 characters: shorten it to at most 128",
        ),
    ] {
        let built = echo(name);
        let line = line!() - 1;

        let found = problems(Draft::new().register(built));

        let [problem @ CatalogProblem::Name { location, .. }] = found.as_slice() else {
            panic!("{name:?}: {found:?}");
        };
        assert_eq!(location.line, line);
        assert!(problem.to_string().contains(reason), "{problem}");
    }
}

#[test]
fn names_of_built_in_tools_are_refused() {
    for name in [
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
    ] {
        let found = problems(Draft::new().register(echo(name)));

        let text = found.first().map(ToString::to_string).unwrap_or_default();
        assert!(
            text.contains(&format!("`{name}` is a built-in tool of codex")),
            "{text}"
        );
    }
}

#[test]
fn names_that_codex_takes_pass() {
    let longest = "a".repeat(128);
    let names = [
        "a", "A", "1st", "-x", "_", "my-dash", "mcp_x", "MCP__x", "mcpx", "Exec", "waiting",
        &longest,
    ];

    let catalog = Draft::new().register(names.map(echo)).seal().unwrap();

    assert_eq!(catalog.len(), names.len());
}

#[test]
fn state_that_nobody_gave_is_missed_before_any_session_exists() {
    let draft = Draft::new().register(skills![with_state]).state(Desk);

    let error = draft.seal().unwrap_err();

    assert_eq!(
        error.problems(),
        [CatalogProblem::MissingState {
            skill: "with_state".to_owned(),
            location: location::<with_state>(),
            state: "Vec<Clock>".to_owned(),
        }]
    );
    assert!(error.to_string().contains("`.state(value)`"), "{error}");
}

#[test]
fn state_of_a_type_inside_of_functions_is_missed_by_the_name_that_was_written() {
    struct Db;
    #[skill]
    fn count_rows(#[state] db: &Db) {
        let _ = db;
    }
    #[skill]
    fn count_all(#[state] dbs: &Vec<Option<Db>>) {
        let _ = dbs;
    }
    // As in an async `main`.
    let inside = || {
        struct Pool<T>(T);
        #[skill]
        fn count_pool(#[state] db: &Pool<Db>) {
            let _ = &db.0;
        }
        problems(Draft::new().register(skills![count_rows, count_all, count_pool]))
    };
    let found = inside();
    let names: Vec<&str> = found
        .iter()
        .filter_map(|problem| match problem {
            CatalogProblem::MissingState { state, .. } => Some(state.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["Vec<Option<Db>>", "Pool<Db>", "Db"]);
}

#[test]
fn descriptions_without_a_text_are_warned_of_with_the_place() {
    let warnings = |draft: Draft| draft.seal().unwrap().warnings().to_vec();
    for blank in ["", " \n\t"] {
        let line = line!() + 1;
        let built = Skill::builder("mute")
            .description(blank)
            .output_description(blank)
            .handler(|echo: Echo| async { Ok::<_, Infallible>(echo.text) });
        let found = warnings(Draft::new().register(built));
        let [description, output] = found.as_slice() else {
            panic!("{found:?}");
        };
        for text in [
            "skill `mute`",
            &format!("catalog.rs:{line}:"),
            "its description is empty",
        ] {
            assert!(description.contains(text), "{description}");
        }
        assert!(
            output.contains("its output description is empty"),
            "{output}"
        );
        let drafted = || {
            Draft::new()
                .skill("mute")
                .description(blank)
                .handler(|echo: Echo| async { Ok::<_, Infallible>(echo.text) })
        };
        let found = warnings(drafted());
        assert!(
            found[0].contains("leave `.description(..)` out"),
            "{found:?}"
        );
        let found = problems(drafted().require_documentation());
        assert!(matches!(
            found[..],
            [CatalogProblem::Undocumented {
                parameter: None,
                ..
            }]
        ));
        let found = warnings(
            Draft::new()
                .register([echo("a")])
                .namespace("desk")
                .describe_namespace("desk", blank),
        );
        assert!(
            found[0].contains("namespace `desk`") && found[0].contains("is empty"),
            "{found:?}"
        );
    }
}

#[test]
fn state_behind_a_trait_is_missed_once_with_the_way_to_give_it() {
    trait Store: Send + Sync {}

    #[skill]
    fn copy_between(#[state] from: &dyn Store, #[state] to: &dyn Store) {
        let _ = (from, to);
    }

    let error = Draft::new()
        .register(skills![copy_between])
        .seal()
        .unwrap_err();

    assert_eq!(error.problems().len(), 1, "{error}");
    let way = "`.shared_state::<dyn Store>(Arc::new(..))`";
    assert!(error.to_string().contains(way), "{error}");
}

#[test]
fn a_schema_that_codex_refuses_is_refused_with_the_place() {
    let of = |schema: Value| {
        Skill::builder("odd")
            .input_schema(schema)
            .handler(|_: Value| async { Ok::<_, Infallible>(()) })
    };
    for (schema, reason) in [
        (json!({"type": "null"}), "singleton null type"),
        (json!([]), "invalid type: sequence"),
        (json!({"required": "a"}), "`required`"),
        (json!({"properties": []}), "`properties`"),
        (
            json!({"properties": {"a": {"description": 5}}}),
            "`properties.a.description`",
        ),
        (
            json!({"properties": {"a": {"items": [{}]}}}),
            "`properties.a.items`",
        ),
        (json!({"type": "string"}), "does not describe a JSON object"),
    ] {
        let found = problems(Draft::new().register(of(schema)));

        let [
            CatalogProblem::Schema {
                skill,
                reason: text,
                location,
            },
        ] = found.as_slice()
        else {
            panic!("{found:?}");
        };
        assert_eq!((skill.as_str(), location.file), ("odd", file!()));
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn a_schema_that_no_call_could_be_checked_against_is_refused() {
    for schema in [
        json!({"properties": {"a": {"type": "string", "pattern": "("}}}),
        json!({"properties": {"a": {"type": "text"}}}),
        json!({"properties": {"a": {"$ref": "#/$defs/Nowhere"}}}),
    ] {
        let skill = Skill::builder("odd")
            .input_schema(schema.clone())
            .handler(|_: Value| async { Ok::<_, Infallible>(()) });

        let found = problems(Draft::new().register(skill));

        let text = found.first().map(ToString::to_string).unwrap_or_default();
        assert!(
            text.contains("its schema is not valid at"),
            "{schema}: {text}"
        );
    }
}

#[test]
fn a_schema_that_nests_too_deep_is_refused() {
    let deep = (0..100).fold(json!({}), |schema, _| json!({"items": schema}));
    let skill = Skill::builder("deep")
        .input_schema(deep)
        .handler(|_: Value| async { Ok::<_, Infallible>(()) });

    let found = problems(Draft::new().register(skill));

    assert!(found[0].to_string().contains("flatten it"), "{found:?}");
}

#[test]
fn arguments_that_are_no_object_are_refused() {
    let skill = Skill::builder("list").handler(|_: Vec<u8>| async { Ok::<_, Infallible>(()) });

    let found = problems(Draft::new().register(skill));

    assert!(
        found[0]
            .to_string()
            .contains("take a struct with named fields"),
        "{found:?}"
    );
}

#[test]
fn a_deadline_of_zero_is_refused() {
    let skill = Skill::builder("hasty")
        .timeout(Duration::ZERO)
        .handler(|_: Value| async { Ok::<_, Infallible>(()) });

    let found = problems(Draft::new().register(skill));

    assert!(matches!(found.as_slice(), [CatalogProblem::Timeout { .. }]));
}

#[test]
fn documentation_is_required_on_request() {
    let catalog = Draft::new()
        .require_documentation()
        .register(skills![lookup]);
    assert!(catalog.seal().is_ok());

    let error = Draft::new()
        .require_documentation()
        .register(skills![close])
        .skill("bare")
        .handler(|_: Echo| async { Ok::<_, Infallible>(()) })
        .seal()
        .unwrap_err();

    let undocumented: Vec<(&str, Option<&str>)> = error
        .problems()
        .iter()
        .map(|problem| match problem {
            CatalogProblem::Undocumented {
                skill, parameter, ..
            } => (skill.as_str(), parameter.as_deref()),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(
        undocumented,
        [
            ("bare", None),
            ("close", None),
            ("close", Some("id")),
            ("close", Some("note"))
        ]
    );
    let said = error.to_string();
    assert!(
        said.contains("write `.description(\"..\")` before its handler"),
        "{said}"
    );
    assert!(
        said.contains("write a doc comment on it, or an item under `# Arguments`"),
        "{said}"
    );
}

#[test]
fn skills_that_are_expected_and_not_there_are_missed_with_an_explanation() {
    let error = Draft::new()
        .register(skills![lookup])
        .expecting(["lookup", "elsewhere"])
        .seal()
        .unwrap_err();

    assert_eq!(
        error.problems(),
        [CatalogProblem::NotLinked {
            skill: "elsewhere".to_owned(),
            nearest: None,
        }]
    );
    assert!(
        error.to_string().contains("use that_crate as _;"),
        "{error}"
    );
}

#[test]
fn an_expected_skill_with_a_typing_error_is_told_the_name_that_was_meant() {
    let error = Draft::new()
        .register([echo("take_minutes")])
        .expecting(["take_minute"])
        .seal()
        .unwrap_err();

    assert!(
        error.to_string().contains("did you mean `take_minutes`?"),
        "{error}"
    );
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_names() {
    let error: CatalogError = Draft::new()
        .register(skills![with_state])
        .register([echo("z z"), echo("mcp"), echo("same"), echo("same")])
        .seal()
        .unwrap_err();

    let skills: Vec<&str> = error.problems().iter().map(CatalogProblem::skill).collect();
    assert_eq!(skills, ["mcp", "same", "with_state", "with_state", "z z"]);
    assert!(error.to_string().contains("5 problems"), "{error}");
}

#[test]
fn names_that_are_one_identifier_in_code_mode_are_warned_of() {
    let catalog = catalog_of([echo("my-dash"), echo("my_dash"), echo("other")]);

    let [warning] = catalog.warnings() else {
        panic!("{:?}", catalog.warnings());
    };
    assert!(warning.contains("`my-dash`, `my_dash`"), "{warning}");
    assert!(warning.contains("`tools.my_dash`"), "{warning}");
}

#[test]
fn names_that_are_a_built_in_tool_in_code_mode_are_warned_of() {
    let catalog = catalog_of(echo("exec-command"));

    let [warning] = catalog.warnings() else {
        panic!("{:?}", catalog.warnings());
    };
    assert!(warning.contains("`exec-command`"), "{warning}");
    assert!(warning.contains("`tools.exec_command`"), "{warning}");
}

#[test]
fn a_catalog_as_codex_takes_it_has_no_warnings() {
    let catalog = catalog_of(skills![lookup, close]);

    assert_eq!(catalog.warnings(), [""; 0]);
}

// What is declared to codex.

#[test]
fn dynamic_tools_have_exactly_four_members_and_are_sorted_by_name() {
    let catalog = Draft::new()
        .register(echo("zebra"))
        .register(skills![lookup])
        .seal()
        .unwrap();

    assert_eq!(
        catalog.dynamic_tools().get(),
        concat!(
            r#"[{"type":"function","name":"lookup","description":"Look up a ticket.\n\nBy its id.","inputSchema":{"#,
            r#""additionalProperties":false,"#,
            r#""properties":{"id":{"description":"Its id.","type":"string"}},"#,
            r#""required":["id"],"type":"object"}},"#,
            r#"{"type":"function","name":"zebra","description":"Send a text back.","inputSchema":{"#,
            r#""additionalProperties":false,"#,
            r#""properties":{"text":{"description":"What to send back.","type":"string"}},"#,
            r#""required":["text"],"type":"object"}}]"#,
        )
    );
}

#[test]
fn flat_tools_are_the_dynamic_tools_without_their_type() {
    let catalog = catalog_of(skills![lookup, close]);

    let flat = catalog.flat_tools().unwrap().get();
    let dynamic = catalog.dynamic_tools().get();
    assert_eq!(flat, dynamic.replace(r#""type":"function","#, ""));
    assert_eq!(Catalog::empty().flat_tools().unwrap().get(), "[]");
}

#[test]
fn dynamic_tools_are_rendered_once() {
    let catalog = catalog_of(skills![lookup]);
    let again = catalog.clone();
    assert_eq!(
        catalog.flat_tools().unwrap().get().as_ptr(),
        again.flat_tools().unwrap().get().as_ptr()
    );

    let first = catalog.dynamic_tools().get().as_ptr();
    assert_eq!(catalog.dynamic_tools().get().as_ptr(), first);
    assert_eq!(again.dynamic_tools().get().as_ptr(), first);
}

#[test]
fn the_instruction_text_tells_what_dynamic_tools_have_no_place_for() {
    let catalog = catalog_of(skills![lookup]);

    let text = catalog.instruction_text();

    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].contains("no tools besides those you were given"),
        "{text}"
    );
    assert_eq!(
        lines[1..],
        [
            "- lookup: Look up a ticket.",
            "  ",
            "  By its id.",
            concat!(
                r#"  input_schema: {"additionalProperties":false,"#,
                r#""properties":{"id":{"description":"Its id.","type":"string"}},"#,
                r#""required":["id"],"type":"object"}"#,
            ),
            concat!(
                r#"  output_schema: {"additionalProperties":false,"#,
                r#""properties":{"id":{"description":"Its id.","type":"string"}},"#,
                r#""required":["id"],"type":"object"}"#,
            ),
            "  output_description: The ticket,",
            "  whatever its status.",
        ]
    );
    let tools = catalog.dynamic_tools().get();
    assert!(!tools.contains("whatever its status"), "{tools}");
}

#[test]
fn the_instruction_text_shows_the_very_schemas_that_are_declared() {
    let catalog = catalog_of(skills![lookup, close]);

    for tool in declared(&catalog).as_array().unwrap() {
        let line = format!("\n  input_schema: {}", tool["inputSchema"]);
        assert!(catalog.instruction_text().contains(&line), "{line}");
    }
}

#[test]
fn a_request_follows_the_instruction_text() {
    let catalog = catalog_of(skills![lookup]);

    assert_eq!(
        catalog.inject_request("Summarize ABC-123."),
        format!(
            "{}\n\nUser request:\nSummarize ABC-123.",
            catalog.instruction_text()
        )
    );
}

#[test]
fn an_empty_catalog_has_nothing_to_say() {
    for catalog in [Catalog::empty(), Draft::new().seal().unwrap()] {
        assert_eq!((catalog.len(), catalog.is_empty()), (0, true));
        assert_eq!(catalog.dynamic_tools().get(), "[]");
        assert_eq!(catalog.instruction_text(), "");
        assert_eq!(catalog.inject_request("Hello."), "Hello.");
        assert_eq!(catalog.fingerprint(), Catalog::empty().fingerprint());
    }
}

#[test]
fn the_order_of_registration_changes_nothing() {
    let one = Draft::new()
        .register(skills![lookup, close])
        .register(echo("echo"))
        .seal()
        .unwrap();
    let other = Draft::new()
        .register(echo("echo"))
        .register(skills![close])
        .register(skills![lookup])
        .seal()
        .unwrap();

    assert_eq!(one.dynamic_tools().get(), other.dynamic_tools().get());
    assert_eq!(one.instruction_text(), other.instruction_text());
    assert_eq!(one.fingerprint(), other.fingerprint());
}

#[test]
fn the_fingerprint_follows_what_codex_is_told() {
    let described = |text: &str| {
        catalog_of(
            Skill::builder("echo")
                .description(text)
                .handler(|_: Echo| async { Ok::<_, Infallible>(()) }),
        )
    };
    let fingerprint = |catalog: Catalog| catalog.fingerprint().to_owned();
    let digest = fingerprint(described("a"));

    assert_eq!(digest, fingerprint(described("a")));
    assert_ne!(digest, fingerprint(described("b")));
    assert_ne!(digest, fingerprint(catalog_of(echo("echo2"))));
    assert_ne!(digest, Catalog::empty().fingerprint());
    let hex = digest.strip_prefix("sha256:").unwrap();
    assert!(hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

// Sealed catalogs.

#[test]
fn a_catalog_is_iterated_in_the_order_of_names() {
    let catalog = catalog_of(skills![lookup, close]);

    let names: Vec<&str> = catalog.iter().map(CatalogSkill::name).collect();
    assert_eq!(names, ["close", "lookup"]);
    assert_eq!((&catalog).into_iter().len(), 2);
    assert!(catalog.get("open").is_none());
}

#[tokio::test]
async fn clones_of_a_catalog_are_one_catalog() {
    let state = Arc::new(7_u8);
    let catalog = Draft::new()
        .register(skills![counted])
        .shared_state(state.clone())
        .seal()
        .unwrap();

    let clones: Vec<Catalog> = (0..1000).map(|_| catalog.clone()).collect();

    assert_eq!(Arc::strong_count(&state), 2);
    let skill = catalog.get("counted").unwrap();
    assert!(std::ptr::eq(clones[999].get("counted").unwrap(), skill));
    assert_eq!(answered(&clones[999], "counted", ()).await, "7");
}

#[skill]
fn counted(#[state] number: &u8) -> u8 {
    *number
}

#[test]
fn a_catalog_may_be_shared_between_threads() {
    fn shareable<T: Send + Sync + Clone + 'static>(_: &T) {}

    shareable(&Catalog::empty());
}

#[tokio::test]
async fn a_catalog_can_be_called_without_a_session() {
    let catalog = catalog_of(skills![lookup, close]);

    let found = answered(&catalog, "lookup", json!({"id": "A-1"})).await;
    assert_eq!(found, r#"{"id":"A-1"}"#);
    // Anything that serializes may be the arguments.
    #[derive(Serialize)]
    struct Arguments {
        id: u64,
    }
    let closed = answered(&catalog, "close", Arguments { id: 5 }).await;
    assert_eq!(closed, "5 None");
}

#[tokio::test]
async fn a_call_of_an_unknown_skill_is_an_error_that_lists_the_known_ones() {
    let catalog = catalog_of(skills![lookup, close]);

    let error = catalog.call("look_up", json!({})).await.unwrap_err();

    assert_eq!(
        error,
        CallError::UnknownSkill {
            name: "look_up".to_owned(),
            known: vec!["close".to_owned(), "lookup".to_owned()],
        }
    );
    assert_eq!(
        error.to_string(),
        r#"the catalog has no skill `look_up`, did you mean `lookup`?; it has ["close", "lookup"]"#
    );
    let error = catalog.call("unheard of", json!({})).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"the catalog has no skill `unheard of`; it has ["close", "lookup"]"#
    );
    let spaced = Draft::new().register(skills![lookup]).namespace("desk");
    let error = spaced.seal().unwrap().call("lookup", json!({})).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        r#"the catalog has no skill `lookup`, did you mean `desk.lookup`?; it has ["desk.lookup"]"#
    );
}

#[test]
fn a_second_state_of_one_type_is_a_warning() {
    let draft = Draft::new().register(skills![lookup]).state(7_u64);
    assert!(draft.seal().unwrap().warnings().is_empty());

    let draft = Draft::new().register(skills![lookup]).state(7_u64);
    let catalog = draft.state(8_u8).state(9_u64).seal().unwrap();
    let [warning] = catalog.warnings() else {
        panic!("{:?}", catalog.warnings());
    };
    assert!(warning.contains("state `u64` is given twice"), "{warning}");
}

#[tokio::test]
async fn arguments_that_do_not_serialize_are_an_error() {
    let catalog = catalog_of(skills![lookup]);
    let odd = std::collections::BTreeMap::from([((1, 2), 3)]);

    let error = catalog.call("lookup", odd).await.unwrap_err();

    assert!(matches!(error, CallError::Arguments { .. }), "{error}");
}
