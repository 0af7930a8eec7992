//! Skills in namespaces, and skills that the model finds by searching.
#![allow(clippy::unused_async, reason = "skills are async to be run as such")]

#[path = "../support/calls.rs"]
#[allow(dead_code, reason = "each file uses a part")]
mod calls;

use std::convert::Infallible;

use calls::{answered, catalog_of, declared};
use codex_skills::{
    CallError, Catalog, CatalogProblem, Draft, Skill, SkillContext, SkillSet, skill, skills,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// Look up a ticket.
#[skill(namespace = "tickets")]
fn lookup(id: u64) -> String {
    format!("ticket {id}")
}

/// Look up a word.
#[skill(name = "lookup")]
fn look_up_a_word(word: &str) -> String {
    format!("word {word}")
}

/// Import old tickets.
#[skill(namespace = "tickets", defer)]
fn import(#[context] cx: &SkillContext) -> String {
    format!("{:?} {}", cx.namespace(), cx.skill())
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// A skill that answers its own name.
#[track_caller]
fn named(name: &str, namespace: Option<&str>) -> Skill {
    let builder = Skill::builder(name).description("Say who you are.");
    let builder = match namespace {
        Some(namespace) => builder.namespace(namespace),
        None => builder,
    };
    let answer = format!("{namespace:?} {name}");
    builder.blocking_handler(move |_: Nothing| Ok::<_, Infallible>(answer.clone()))
}

#[track_caller]
fn deferred(name: &str, namespace: &str) -> Skill {
    Skill::builder(name)
        .namespace(namespace)
        .defer()
        .handler(|_: Nothing| async { Ok::<_, Infallible>(()) })
}

fn problems(draft: Draft) -> Vec<CatalogProblem> {
    draft.seal().unwrap_err().problems().to_vec()
}

/// The only problem, and the line below which it was reported.
#[track_caller]
fn problem(draft: Draft) -> String {
    let problems = problems(draft);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

// What is declared to codex.

#[test]
fn tools_are_declared_within_their_namespaces_behind_those_without() {
    let catalog = Draft::new()
        .register(named("b", Some("wiki")))
        .register(skills![lookup, import, look_up_a_word])
        .describe_namespace("tickets", "What customers complain about.")
        .seal()
        .unwrap();

    assert_eq!(
        catalog.dynamic_tools().get(),
        concat!(
            r#"[{"type":"function","name":"lookup","description":"Look up a word.","inputSchema":{"#,
            r#""additionalProperties":false,"properties":{"word":{"type":"string"}},"#,
            r#""required":["word"],"type":"object"}},"#,
            r#"{"type":"namespace","name":"tickets","#,
            r#""description":"What customers complain about.","tools":["#,
            r#"{"type":"function","name":"import","description":"Import old tickets.","inputSchema":{"#,
            r#""additionalProperties":false,"properties":{},"type":"object"},"deferLoading":true},"#,
            r#"{"type":"function","name":"lookup","description":"Look up a ticket.","inputSchema":{"#,
            r#""additionalProperties":false,"#,
            r#""properties":{"id":{"description":"Whole number, 0 or more; write it as a string beyond 9007199254740991.","minimum":0,"type":"integer"}},"#,
            r#""required":["id"],"type":"object"}}]},"#,
            r#"{"type":"namespace","name":"wiki","description":"","tools":["#,
            r#"{"type":"function","name":"b","description":"Say who you are.","inputSchema":{"#,
            r#""properties":{},"type":"object"}}]}]"#,
        )
    );
    assert!(catalog.flat_tools().is_none(), "it has no place for them");
}

#[test]
fn a_draft_has_a_namespace_for_skills_without_one() {
    let catalog = Draft::new()
        .register(skills![lookup, look_up_a_word])
        .register(named("b", None))
        .namespace("common")
        .seal()
        .unwrap();

    assert_eq!(
        catalog.list(),
        ["common.b", "common.lookup", "tickets.lookup"]
    );
    assert_eq!(declared(&catalog)[0]["tools"][0]["name"], "b");
}

#[test]
fn the_instruction_text_names_tools_as_the_model_calls_them() {
    let text = catalog_of(skills![lookup, look_up_a_word])
        .instruction_text()
        .to_owned();

    assert!(text.contains("\n- lookup: Look up a word.\n"), "{text}");
    assert!(
        text.contains("\n- tickets.lookup: Look up a ticket.\n"),
        "{text}"
    );
}

#[test]
fn deferred_skills_spare_the_context() {
    let catalog = Draft::new()
        .register(skills![lookup, import])
        .register([deferred("a", "wiki"), deferred("b", "wiki")])
        .seal()
        .unwrap();

    let text = catalog.instruction_text();
    assert!(!text.contains("Import old tickets"), "{text}");
    assert!(
        text.ends_with("\nMore are found by searching your tools: 1 in `tickets`, 2 in `wiki`."),
        "{text}"
    );
    let is_deferred = |name| catalog.get(name).unwrap().is_deferred();
    assert!(is_deferred("tickets.import") && !is_deferred("tickets.lookup"));
}

#[test]
fn the_order_of_registration_changes_nothing() {
    let one = Draft::new()
        .register(skills![lookup, look_up_a_word, import])
        .describe_namespace("tickets", "a")
        .seal()
        .unwrap();
    let other = Draft::new()
        .describe_namespace("tickets", "a")
        .register(skills![import, look_up_a_word])
        .register(skills![lookup])
        .seal()
        .unwrap();

    assert_eq!(one.dynamic_tools().get(), other.dynamic_tools().get());
    assert_eq!(one.instruction_text(), other.instruction_text());
    assert_eq!(one.fingerprint(), other.fingerprint());
}

#[test]
fn the_fingerprint_follows_namespace_description_and_deferral() {
    let plain = || Draft::new().register(named("a", None));
    let fingerprints: Vec<String> = [
        plain(),
        plain().namespace("n"),
        plain().namespace("m"),
        plain().namespace("n").describe_namespace("n", "text"),
        Draft::new().register(deferred("a", "n")),
    ]
    .into_iter()
    .map(|draft| draft.seal().unwrap().fingerprint().to_owned())
    .collect();

    for (at, one) in fingerprints.iter().enumerate() {
        assert!(!fingerprints[..at].contains(one), "{at}");
    }
    let own = catalog_of(named("a", Some("n")));
    assert_eq!(own.fingerprint(), fingerprints[1], "own or the draft's");
}

// What is refused.

#[test]
fn names_are_unique_within_their_namespace() {
    let line = line!() + 1;
    let twice = [named("a", Some("n")), named("a", Some("n"))];
    let said = problem(Draft::new().register(twice));
    assert!(said.starts_with("two skills are called `n.a`: "), "{said}");
    assert!(said.contains(&format!("namespaces.rs:{line}")), "{said}");

    let elsewhere = Draft::new().register([
        named("a", None),
        named("n", None),
        named("a", Some("n")),
        named("a", Some("m")),
    ]);
    assert_eq!(elsewhere.seal().unwrap().list(), ["a", "n", "m.a", "n.a"]);

    let moved = Draft::new()
        .register([named("a", None), named("a", Some("n"))])
        .namespace("n");
    assert!(matches!(
        &problems(moved)[..],
        [CatalogProblem::Duplicate { skill, .. }] if skill == "n.a"
    ));
}

#[test]
fn built_in_names_are_free_in_a_namespace() {
    let catalog = Draft::new()
        .register([named("exec_command", Some("tickets")), named("wait", None)])
        .namespace("desk")
        .seal()
        .unwrap();
    assert_eq!(catalog.list(), ["desk.wait", "tickets.exec_command"]);
    assert!(catalog.warnings().is_empty(), "{:?}", catalog.warnings());

    let said = problem(Draft::new().register(named("spawn_agent", Some("multi_agent_v1"))));
    assert!(
        said.contains("`multi_agent_v1.spawn_agent` is a built-in tool of codex"),
        "{said}"
    );
}

#[test]
fn namespaces_that_codex_refuses_are_refused_with_the_place_and_a_remedy() {
    for (namespace, reason) in [
        ("", "must not be empty"),
        ("help.desk", "for example `help_desk`"),
        ("mcp__x", "codex reserves the namespace"),
        ("web", "choose another, for example `my_web`"),
        (&"n".repeat(65), "shorten it to at most 64"),
    ] {
        let line = line!() + 1;
        let own = named("a", Some(namespace));
        let said = problem(Draft::new().register(own));
        assert!(said.contains(reason), "{said}");
        assert!(said.contains(&format!("namespaces.rs:{line}:")), "{said}");

        let line = line!() + 2;
        let draft = Draft::new().register([named("a", None), named("b", None)]);
        let draft = draft.namespace(namespace);
        let said = problem(draft);
        assert!(said.contains(reason), "{said}");
        assert!(said.contains(&format!("namespaces.rs:{line}:")), "{said}");
    }
}

#[test]
fn a_deferred_skill_needs_a_namespace_of_its_own_or_of_the_draft() {
    /// Found by searching.
    #[skill(defer)]
    fn found() {}

    let said = problem(Draft::new().register(skills![found]));
    assert!(said.starts_with("skill `found` ("), "{said}");
    assert!(said.contains("`.namespace(\"..\")`"), "{said}");

    let draft = Draft::new().register(skills![found]).namespace("n");
    let catalog = draft.seal().unwrap();
    assert_eq!(declared(&catalog)[0]["tools"][0]["deferLoading"], true);
}

#[test]
fn only_a_namespace_with_skills_is_described_and_not_at_length() {
    let draft = || Draft::new().register(skills![lookup]);
    let said = problem(draft().describe_namespace("tikets", "text"));
    assert!(said.contains("did you mean `tickets`?"), "{said}");
    let said = problem(draft().describe_namespace("zzz", "text"));
    assert!(said.ends_with("remove the description"), "{said}");

    let described = |length| draft().describe_namespace("tickets", "é".repeat(length));
    assert!(described(1024).seal().is_ok());
    let said = problem(described(1025));
    assert!(said.contains("has 1025 characters"), "{said}");
    let again = described(1025).describe_namespace("tickets", "short");
    assert!(again.seal().is_ok(), "the second takes its place");
}

#[test]
fn names_that_code_mode_confuses_are_warned_about() {
    let draft = Draft::new().register([named("n1__b", None), named("b", Some("n1"))]);
    let catalog = draft.seal().unwrap();
    let [warning] = catalog.warnings() else {
        panic!("{:?}", catalog.warnings())
    };
    assert!(
        warning.starts_with("skills `n1__b`, `n1.b` are all `tools.n1__b` in code mode"),
        "{warning}"
    );

    let catalog = catalog_of(named("multi_agent_v1__spawn_agent", None));
    assert_eq!(catalog.warnings().len(), 1);
}

// Finding skills.

#[tokio::test]
async fn a_catalog_is_asked_for_skills_with_their_namespaces() {
    let catalog = catalog_of(skills![lookup, look_up_a_word, import]);

    assert_eq!(
        answered(&catalog, "tickets.lookup", json!({"id": 7})).await,
        "ticket 7"
    );
    assert_eq!(
        answered(&catalog, "lookup", json!({"word": "a"})).await,
        "word a"
    );
    assert_eq!(
        answered(&catalog, "tickets.import", json!({})).await,
        "Some(\"tickets\") import"
    );
    let skill = catalog.get("tickets.lookup").unwrap();
    assert_eq!(skill.name(), "lookup");
    assert_eq!(skill.namespace(), Some("tickets"));
    assert_eq!(skill.qualified_name(), "tickets.lookup");
    for name in [
        "import",
        "wiki.lookup",
        ".lookup",
        "tickets.",
        "tickets.lookup.x",
    ] {
        assert!(catalog.get(name).is_none(), "{name}");
        let unknown = catalog.call(name, json!({})).await;
        let Err(CallError::UnknownSkill { known, .. }) = unknown else {
            panic!("{unknown:?}")
        };
        assert_eq!(known, ["lookup", "tickets.import", "tickets.lookup"]);
    }
}

#[tokio::test]
async fn a_failure_names_the_skill_with_its_namespace() {
    let catalog = catalog_of(skills![lookup]);
    let output = catalog.call("tickets.lookup", json!({})).await.unwrap();
    assert!(
        output.to_text().starts_with("skill `tickets.lookup` "),
        "{}",
        output.to_text()
    );
}

#[test]
fn a_draft_knows_skills_by_either_name() {
    let draft = || Draft::new().register(skills![lookup, look_up_a_word, import]);
    assert_eq!(
        draft().list(),
        ["lookup", "tickets.import", "tickets.lookup"]
    );
    assert!(
        draft()
            .expecting(["import", "tickets.import"])
            .seal()
            .is_ok()
    );
    assert!(draft().expecting(["wiki.import"]).seal().is_err());

    let mut one = draft();
    assert!(one.unregister("tickets.lookup") && !one.unregister("wiki.import"));
    assert_eq!(one.list(), ["lookup", "tickets.import"]);
    let mut both = draft();
    assert!(both.unregister("lookup"));
    assert_eq!(both.list(), ["tickets.import"]);
}

// What the macro reads.

struct Desk;

/// Where customers come.
///
/// # Notes
/// Not for the model.
#[skill(namespace = "desk", defer)]
impl Desk {
    /// Wait for a customer.
    #[skill]
    fn wait(&self) {}

    /// Close a ticket.
    #[skill(namespace = "tickets", name = "wait")]
    fn close(&self) {}
}

#[test]
fn a_block_has_a_namespace_for_its_methods() {
    let told: Vec<_> = Desk::SKILLS
        .iter()
        .map(|skill| (skill.namespace(), skill.name(), skill.is_deferred()))
        .collect();
    assert_eq!(
        told,
        [
            (Some("desk"), "wait", true),
            (Some("tickets"), "wait", true)
        ]
    );
    assert_eq!(lookup::SKILLS[0].namespace(), Some("tickets"));
    assert_eq!(look_up_a_word::SKILLS[0].namespace(), None);
}

#[test]
fn the_documentation_of_a_block_says_what_its_namespace_is_for() {
    struct Counter;
    /// Another place.
    #[skill(namespace = "desk")]
    impl Counter {
        #[skill]
        fn count(&self) {}
    }

    let descriptions = |draft: Draft| -> Vec<(String, String)> {
        let catalog = draft.state(Desk).state(Counter).seal().unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let tools = declared(&catalog);
        let tools = tools.as_array().unwrap().iter();
        tools
            .map(|tool| (text(&tool["name"]), text(&tool["description"])))
            .collect()
    };
    let told = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        pairs.iter().map(owned).collect()
    };
    let one = || Draft::new().register(skills![Desk]);
    assert_eq!(
        descriptions(one()),
        told(&[("desk", "Where customers come."), ("tickets", "")])
    );
    assert_eq!(
        descriptions(one().describe_namespace("desk", "The desk.")),
        told(&[("desk", "The desk."), ("tickets", "")])
    );

    let both = || one().register(skills![Counter]);
    let said = problem(both().state(Desk).state(Counter));
    assert!(said.starts_with("namespace `desk` ("), "{said}");
    assert!(said.contains("with `.describe_namespace(..)`"), "{said}");
    assert_eq!(
        descriptions(both().describe_namespace("desk", "The desk."))[0].1,
        "The desk."
    );
}

#[test]
fn a_closure_has_its_namespace_trimmed_as_its_name_is() {
    let skill = named(" a ", Some(" n "));
    assert_eq!((skill.name(), skill.namespace()), ("a", Some("n")));
    let catalog = Draft::new()
        .register(named("a", None))
        .namespace(" n ")
        .describe_namespace(" n ", "text")
        .seal();
    assert_eq!(catalog.unwrap().list(), ["n.a"]);
}

mod sessions {
    use codex_skills::embedded::{Content, ModelItem, Step};
    use codex_skills::{Client, Embedded, Error, Event, Outcome, Session, ToolCall, lifecycle};
    use codex_skills_tests::faulty::{Faulty, Operation};

    use super::*;

    fn catalog() -> Catalog {
        catalog_of(skills![lookup, look_up_a_word, import])
    }

    async fn session(codex: &Client<Embedded>) -> Session {
        codex.create_session_with(catalog()).await.unwrap().1
    }

    #[tokio::test]
    async fn a_call_finds_the_skill_of_its_namespace() {
        let codex = Embedded::scripted([Step::calls([
            ("tickets.lookup", json!({"id": 7})),
            ("lookup", json!({"word": "a"})),
            ("tickets.import", json!({})),
        ])]);
        let turn = session(&codex).await.send_and_handle("go").await.unwrap();
        assert_eq!(
            turn.assistant_reply.as_deref(),
            Some(concat!(
                "tickets.lookup: ticket 7\n",
                "lookup: word a\n",
                "tickets.import: Some(\"tickets\") import"
            ))
        );
        assert!(format!("{:#}", turn.dispatches[0]).starts_with("tickets.lookup({\"id\":7}) -> "));
    }

    #[tokio::test]
    async fn codex_answers_calls_of_other_namespaces_itself() {
        let step = Step::calls([("wiki.lookup", json!({})), ("import", json!({}))]);
        let codex = Embedded::scripted([step]);
        let turn = session(&codex).await.send_and_handle("go").await.unwrap();
        assert_eq!(
            turn.assistant_reply.as_deref(),
            Some("wiki.lookup: unsupported call: lookup\nimport: unsupported call: import")
        );
        assert!(turn.dispatches.is_empty());
    }

    #[tokio::test]
    async fn the_demo_model_calls_the_tools_of_the_namespaces_that_it_is_told() {
        let codex = Embedded::demo();
        for (request, reply) in [
            ("Use tickets.lookup for 7.", "tickets.lookup: ticket 7"),
            ("Now lookup 'a'.", "lookup: word a\ntickets.lookup: "),
            ("And import.", "tickets.import: "),
        ] {
            let reply_ = lifecycle!(codex, catalog: catalog(), |run| {
                let turn = run.send_and_handle(request).require_reply().await?;
                Ok(turn.assistant_reply)
            });
            let said = reply_.await.unwrap();
            assert!(said.starts_with(reply), "{said}");
        }
    }

    #[tokio::test]
    async fn lifecycle_takes_a_namespace_for_its_skills() -> Result<(), Error> {
        let codex = Embedded::demo();
        lifecycle!(codex, skills: [look_up_a_word, lookup], namespace: "words", |run| {
            assert_eq!(run.list(), ["tickets.lookup", "words.lookup"]);
            Ok(())
        })
        .await
    }

    /// The record of a call as the model's first one, changed.
    async fn record(change: impl FnOnce(&mut ToolCall)) -> (Outcome, String) {
        let codex = Embedded::scripted([Step::call("tickets.lookup", json!({"id": 7}))]);
        let session = session(&codex).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let call = loop {
            if let Some(Event::ToolCall(call)) = signals.next().await {
                break call;
            }
        };
        assert_eq!(call.namespace(), Some("tickets"));
        assert_eq!(call.qualified_tool(), "tickets.lookup");
        let mut changed = ToolCall::clone(&call);
        change(&mut changed);
        let event = Event::ToolCall(changed.into());
        let record = session.respond_to_signal(&event).await.unwrap().unwrap();
        (record.outcome(), record.output().to_text().into_owned())
    }

    #[tokio::test]
    async fn an_empty_namespace_is_none() {
        let (outcome, text) = record(|call| call.namespace = Some("".into())).await;
        // The `lookup` without a namespace, which wants a word.
        assert_eq!(outcome, Outcome::InvalidArguments);
        assert!(text.starts_with("skill `lookup` "), "{text}");
    }

    #[tokio::test]
    async fn an_unknown_call_is_told_of_the_tool_that_was_meant() {
        for (namespace, tool, said) in [
            (
                "wiki",
                "import",
                "`wiki.import`, did you mean `tickets.import`?",
            ),
            (
                "tickets",
                "lokup",
                "`tickets.lokup`, did you mean `tickets.lookup`?",
            ),
            ("", "import", "`import`, did you mean `tickets.import`?"),
            ("", "tickets.import", "`tickets.import`"),
            (
                "zzz",
                "qqq",
                "`zzz.qqq`; there are `lookup`, `tickets.import`, ",
            ),
        ] {
            let (outcome, text) = record(|call| {
                call.namespace = Some(namespace.into());
                call.tool = tool.into();
            })
            .await;
            assert_eq!(outcome, Outcome::UnknownTool);
            assert!(
                text.starts_with(&format!("no remote skill registered for {said}")),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn the_conversation_names_tools_with_their_namespaces() {
        let call = ModelItem::call("tickets.lookup", json!({"id": 7})).with_call_id("1");
        let codex = Embedded::scripted([Step::items([call])]);
        let session = session(&codex).await;
        session.send_and_handle("go").await.unwrap();
        let history = codex.runtime().history(session.session_id()).unwrap();
        let tools: Vec<&str> = history
            .iter()
            .filter_map(|item| match &item.content {
                Content::Call { tool, .. } | Content::Output { tool, .. } => Some(tool.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(tools, ["tickets.lookup", "tickets.lookup"]);
    }

    #[tokio::test]
    async fn a_runtime_without_namespaces_is_not_even_asked() {
        // As codex-manager does, this runtime takes flat tools.
        let codex = Faulty::client(Embedded::demo());
        let error = codex.create_session_with(catalog()).await.unwrap_err();
        let Error::NoNamespaces { runtime, skills } = &error else {
            panic!("{error}")
        };
        assert_eq!(*runtime, "the faulty runtime");
        assert_eq!(skills, &["tickets.import", "tickets.lookup"]);
        assert_eq!(
            error.to_string(),
            "the faulty runtime takes no namespaces, and the catalog has skills in some: \
             `tickets.import`, `tickets.lookup`; leave the namespaces out, or use `codex app-server` \
             from 0.141 on or the embedded runtime"
        );
        let opened = codex.session("s").catalog(catalog()).await;
        assert!(matches!(opened, Err(Error::NoNamespaces { .. })));
        assert_eq!(codex.runtime().count(Operation::Create), 0);
        assert_eq!(codex.runtime().count(Operation::Resume), 0);
    }

    #[tokio::test]
    async fn many_skills_in_namespaces_are_not_all_named() {
        let skills = (0..12).map(|at| named(&format!("a{at:02}"), Some("n")));
        let catalog = catalog_of(skills);
        let codex = Faulty::client(Embedded::demo());
        let error = codex.create_session_with(catalog).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains("`n.a09` and 2 more; leave"), "{said}");
    }

    #[tokio::test]
    async fn a_session_is_not_taken_up_with_its_skills_in_another_namespace() {
        let codex = Embedded::demo();
        let draft = || Draft::new().register(named("a", None));
        let plain = draft().seal().unwrap();
        let id = codex.create_session_with(plain).await.unwrap().1;
        let id = id.session_id().to_owned();
        let spaced = draft().namespace("n").seal().unwrap();
        let opened = codex.session(&id).catalog(spaced).await;
        assert!(matches!(opened, Err(Error::OtherCatalog { .. })));
    }
}
