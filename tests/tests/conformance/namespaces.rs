//! Namespaces and deferred skills: sealing and codex refuse the same, and what is declared is called.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use codex_skills::{AppServer, Catalog, CatalogError, Draft, Error, Skill, lifecycle};
use codex_skills_tests::codex::{Codex, Home, RawClient};
use codex_skills_tests::provider::Provider;
use fastrand::Rng;
use serde_json::{Value, json};

const SEED: u64 = 6;
const CATALOGS: usize = 500;

/// What codex takes and sealing refuses on purpose.
const ON_PURPOSE: [&str; 2] = [
    "is a built-in tool of codex",
    "no skill is in it to describe it for",
];

/// A skill that is never run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    name: &'static str,
    namespace: Option<String>,
    deferred: bool,
}

impl Made {
    fn skill(&self) -> Skill {
        let mut builder = Skill::builder(self.name).description("Nobody runs it.");
        if let Some(namespace) = &self.namespace {
            builder = builder.namespace(namespace);
        }
        if self.deferred {
            builder = builder.defer();
        }
        builder
            .input_schema(json!({"type": "object"}))
            .handler(|_: Value| async { Ok::<_, Infallible>(()) })
    }

    fn declared(&self) -> Value {
        json!({
            "type": "function", "name": self.name, "description": "Nobody runs it.",
            "inputSchema": {"type": "object"}, "deferLoading": self.deferred,
        })
    }
}

/// Skills, and how long the descriptions of some namespaces are.
#[derive(Debug)]
struct Drafted {
    skills: Vec<Made>,
    descriptions: BTreeMap<String, usize>,
}

impl Drafted {
    fn sealed(&self) -> Result<Catalog, CatalogError> {
        let draft = Draft::new().register(self.skills.iter().map(Made::skill));
        let described = self.descriptions.iter();
        described
            .fold(draft, |draft, (namespace, length)| {
                draft.describe_namespace(namespace, "é".repeat(*length))
            })
            .seal()
    }

    /// The same as it is declared to codex, whether or not sealing accepts it. A builder trims namespaces.
    fn declared(&self) -> Value {
        let mut tools: Vec<Value> = Vec::new();
        let mut namespaces: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for made in &self.skills {
            match &made.namespace {
                None => tools.push(made.declared()),
                Some(name) => namespaces
                    .entry(name.trim())
                    .or_default()
                    .push(made.declared()),
            }
        }
        tools.extend(namespaces.into_iter().map(|(name, tools)| {
            let length = self.descriptions.get(name).copied().unwrap_or_default();
            json!({
                "type": "namespace", "name": name, "description": "é".repeat(length), "tools": tools,
            })
        }));
        tools.into()
    }
}

fn drafted(rng: &mut Rng) -> Drafted {
    const NAMES: [&str; 8] = [
        "a",
        "b",
        "exec_command",
        "get_goal",
        "mcp__a",
        "spawn_agent",
        "tickets",
        "wait",
    ];
    let skills: Vec<Made> = (0..rng.usize(1..=4))
        .map(|_| {
            let namespace = (rng.u8(0..4) > 0).then(|| namespace(rng));
            Made {
                name: rng.choice(NAMES).unwrap_or("a"),
                deferred: rng.u8(0..4) == 0 && (namespace.is_some() || rng.u8(0..8) == 0),
                namespace,
            }
        })
        .collect();
    let named = skills.iter().filter_map(|made| made.namespace.as_deref());
    let descriptions = named
        .filter_map(|namespace| {
            let length = rng.choice([0, 1, 1_024, 1_025]).unwrap_or_default();
            (rng.u8(0..3) == 0).then(|| (namespace.trim().to_owned(), length))
        })
        .collect();
    Drafted {
        skills,
        descriptions,
    }
}

fn namespace(rng: &mut Rng) -> String {
    const USUAL: [&str; 4] = ["a", "tickets", "Tickets", "multi_agent_v1"];
    const ODD: [&str; 31] = [
        "",
        " ",
        " a",
        "a b",
        "a.b",
        "größe",
        "mcp",
        "mcp__",
        "mcp_a",
        "MCP__a",
        "-",
        "_",
        "1",
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
        "Web",
        "web_search",
        "tools",
        "exec",
    ];
    match rng.u8(0..12) {
        0 => "n".repeat(rng.usize(63..=66)),
        1..=3 => rng.choice(ODD).unwrap_or_default().to_owned(),
        _ => rng.choice(USUAL).unwrap_or_default().to_owned(),
    }
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn sealing_and_codex_refuse_the_same_namespaces() -> Result<(), Error> {
    let codex = Codex::current();
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut client = RawClient::start(&codex, &home).await?;
    let mut rng = Rng::with_seed(SEED);
    let mut disagreements = Vec::new();
    let (mut accepted, mut refused) = (0, 0);

    for _ in 0..CATALOGS {
        let drafted = drafted(&mut rng);
        let declared = drafted.declared();
        let params = json!({"dynamicTools": declared, "ephemeral": true});
        let theirs = client.request("thread/start", params).await?;
        let ours = drafted.sealed();
        let problems = ours.as_ref().err().map_or(&[][..], CatalogError::problems);
        let on_purpose = |said: &str| ON_PURPOSE.iter().any(|text| said.contains(text));
        let same = problems
            .iter()
            .filter(|problem| !on_purpose(&problem.to_string()))
            .count();
        match theirs {
            Ok(_) if same > 0 => {
                disagreements.push(format!("only we refuse it: {ours:?}\n{declared}"));
            }
            Err(refusal) if same == 0 => {
                disagreements.push(format!(
                    "only codex refuses it: {}\n{declared}",
                    refusal.message
                ));
            }
            Ok(_) => accepted += 1,
            Err(_) => refused += 1,
        }
        // What is rendered is no worse than what was written.
        if let Ok(catalog) = ours {
            let tools: Value = serde_json::from_str(catalog.dynamic_tools().get())?;
            let params = json!({"dynamicTools": tools, "ephemeral": true});
            if let Err(refusal) = client.request("thread/start", params).await? {
                let reason = refusal.message;
                disagreements.push(format!("codex refuses what is rendered: {reason}\n{tools}"));
            }
        }
    }

    assert!(
        disagreements.is_empty(),
        "{} of seed {SEED}, of which this is the first:\n{}",
        disagreements.len(),
        disagreements[0]
    );
    assert!(
        accepted > 100 && refused > 100,
        "{accepted} accepted, {refused} refused"
    );
    client.close().await?;
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn no_skill_has_the_place_of_a_built_in_tool_in_a_namespace() -> Result<(), Error> {
    let codex = Codex::current();
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut client = RawClient::start(&codex, &home).await?;
    let thread = client.start_thread(json!([])).await?;
    client.turn(&thread, "SAY hello").await?;

    let request = provider.last_request(&thread).expect("a request");
    let spaced = request
        .tools()
        .iter()
        .filter(|tool| tool["type"] == "namespace");
    let mut built_in = BTreeSet::new();
    for namespace in spaced {
        for tool in namespace["tools"].as_array().into_iter().flatten() {
            let name = tool["name"].as_str().expect("a name");
            let namespace = namespace["name"].as_str().expect("a name");
            built_in.insert(format!("{namespace}.{name}"));
            let ours = Skill::builder(name)
                .namespace(namespace)
                .handler(|_: Value| async { Ok::<_, Infallible>(()) });
            let sealed = Draft::new().register(ours).seal();
            assert!(sealed.is_err(), "{namespace}.{name}");
        }
    }
    assert!(
        built_in.contains("multi_agent_v1.spawn_agent"),
        "{built_in:?}"
    );
    client.close().await?;
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn skills_in_namespaces_are_shown_and_called() -> Result<(), Error> {
    /// Answers where it is.
    fn here(name: &'static str, namespace: Option<&'static str>, deferred: bool) -> Skill {
        let mut builder = Skill::builder(name).description("Say where you are.");
        if let Some(namespace) = namespace {
            builder = builder.namespace(namespace);
        }
        if deferred {
            builder = builder.defer();
        }
        builder.handler_with_context(|_: Value, cx| async move {
            Ok::<_, Infallible>(format!("{:?} {}", cx.namespace(), cx.skill()))
        })
    }

    let codex = Codex::current();
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut spawn = AppServer::spawn()
        .codex(codex.binary())
        .codex_home(home.path());
    for (name, value) in home.environment() {
        spawn = spawn.env(name, value);
    }
    let client = spawn.await?;
    let skills = [
        here("lookup", None, false),
        here("lookup", Some("tickets"), false),
        here("exec_command", Some("tickets"), false),
        here("import", Some("tickets"), true),
    ];
    let draft = Draft::new().register(skills);
    let catalog = draft
        .describe_namespace("tickets", "What customers complain about.")
        .seal()?;
    let turn = lifecycle!(client, catalog: catalog, cwd: home.work(), |run| {
        let calls = [
            "CALL lookup {}",
            "CALL tickets.lookup {}",
            "CALL tickets.exec_command {}",
            "CALL tickets.import {}",
        ];
        run.send_and_handle(calls.join("\n")).await
    })
    .await?;

    let calls = provider.calls();
    let outputs: Vec<String> = calls
        .iter()
        .flat_map(|call| provider.outputs(call))
        .map(|output| output.text())
        .collect();
    assert_eq!(
        outputs,
        [
            "None lookup",
            r#"Some("tickets") lookup"#,
            r#"Some("tickets") exec_command"#,
            r#"Some("tickets") import"#,
        ]
    );
    assert_eq!(turn.dispatches.len(), 4);
    let request = provider
        .last_request(&calls[0].thread_id)
        .expect("a request");
    let [tickets] = request.tools_named("tickets")[..] else {
        panic!("{:?}", request.tools())
    };
    assert_eq!(tickets["type"], "namespace");
    assert_eq!(tickets["description"], "What customers complain about.");
    let tools = tickets["tools"].as_array().expect("tools").iter();
    let names: Vec<&str> = tools.filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, ["exec_command", "lookup"], "one is deferred");
    client.shutdown().await;
    Ok(())
}
