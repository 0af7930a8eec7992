//! Names that codex's own tools have: learned from the real codex, model by model, and refused by sealing.

use std::collections::BTreeSet;
use std::convert::Infallible;

use codex_skills::{Draft, Error, Skill};
use codex_skills_tests::codex::{Codex, Home, RawClient};
use codex_skills_tests::provider::{Provider, Request};
use serde_json::{Value, json};

/// A model that codex does not know, which it runs in direct mode.
const UNKNOWN: &str = "mock-model";

type Names = BTreeSet<(Option<String>, String)>;

/// What sealing says of a skill of this name: a reason to refuse it, or warnings.
fn said(namespace: Option<&str>, name: &str) -> Result<Vec<String>, String> {
    let mut skill = Skill::builder(name).description("Nobody runs it.");
    if let Some(namespace) = namespace {
        skill = skill.namespace(namespace);
    }
    let skill = skill
        .input_schema(json!({"type": "object"}))
        .handler(|_: Value| async { Ok::<_, Infallible>(()) });
    let sealed = Draft::new().register(skill).seal();
    sealed
        .map(|catalog| catalog.warnings().to_vec())
        .map_err(|error| error.to_string())
}

/// The tools that a request shows its model, by namespace. Those of code mode are at the top level in `functions`.
fn shown(request: &Request) -> Names {
    let added = request.body()["input"].as_array().into_iter().flatten();
    let added = added.filter(|item| item["type"] == "additional_tools");
    let added = added.flat_map(|item| item["tools"].as_array().into_iter().flatten());
    let mut names = Names::new();
    for tool in request.tools().iter().chain(added) {
        // Those of the provider have a type and no name.
        let name = tool["name"].as_str().or_else(|| tool["type"].as_str());
        let name = name.expect("a name").to_owned();
        let Some(members) = tool["tools"].as_array() else {
            names.insert((None, name));
            continue;
        };
        let scope = (name != "functions").then_some(name);
        let members = members
            .iter()
            .map(|tool| tool["name"].as_str().expect("a name").to_owned());
        names.extend(members.map(|name| (scope.clone(), name)));
    }
    names
}

/// The tools that a program sees, by the names that their identifiers stand for.
fn members(identifiers: &[String]) -> Names {
    let name = |identifier: &String| match identifier.split_once("__") {
        Some((scope, name)) => (Some(scope.to_owned()), name.to_owned()),
        None => (None, identifier.clone()),
    };
    identifiers.iter().map(name).collect()
}

async fn refuses_the_names_of(codex: Codex) -> Result<(), Error> {
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut client = RawClient::start(&codex, &home).await?;
    let models = client
        .request("model/list", json!({"includeHidden": true}))
        .await?;
    let models = models.expect("models");
    let models = models["data"].as_array().expect("models").iter();
    let mut models: Vec<&str> = models.filter_map(|model| model["id"].as_str()).collect();
    models.push(UNKNOWN);
    let (mut in_code_mode, mut missing) = (0, BTreeSet::new());

    for model in &models {
        let started = client
            .request("thread/start", json!({"model": model}))
            .await?;
        let started = started.expect("a thread");
        let thread = started["thread"]["id"].as_str().expect("an id").to_owned();
        let program = "EXEC text(JSON.stringify(ALL_TOOLS.map(tool => tool.name)))";
        client.turn(&thread, program).await?;

        let request = provider.last_request(&thread).expect("a request");
        let mut names = shown(&request);
        assert!(names.len() >= 3, "{model}: {names:?}");
        let outputs = request.all_outputs();
        if let Some((_, listed)) = outputs[0].text().rsplit_once("Output:\n") {
            in_code_mode += 1;
            let identifiers: Vec<String> = serde_json::from_str(listed.trim())?;
            names.extend(members(&identifiers));
            for identifier in identifiers {
                // Code mode writes these as the same.
                let dashed = identifier.replacen('_', "-", 1);
                for name in [identifier, dashed] {
                    let is_told = said(None, &name).map_or(true, |warnings| !warnings.is_empty());
                    if !is_told {
                        missing.insert((None, name));
                    }
                }
            }
        }
        for (namespace, name) in names {
            if said(namespace.as_deref(), &name).is_ok() {
                missing.insert((namespace, name));
            }
        }
    }

    assert!(
        missing.is_empty(),
        "codex {} has tools that `codex-skills-macros/src/skill/built_in.rs` lacks: {missing:?}",
        codex.version()
    );
    assert!(
        in_code_mode > models.len() / 2,
        "{in_code_mode} of {models:?} in code mode: is the listing still understood?"
    );
    client.close().await?;
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn the_names_of_codex_are_refused_with_every_model() -> Result<(), Error> {
    refuses_the_names_of(Codex::current()).await
}

#[tokio::test]
#[cfg_attr(
    not(previous_codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn the_names_of_the_codex_before_are_refused_with_every_model() -> Result<(), Error> {
    refuses_the_names_of(Codex::previous()).await
}

/// Names that only look like those of codex: each is called in a program, and reaches us.
const FREE: [(Option<&str>, &str); 6] = [
    (None, "sleep"),
    (None, "send_message"),
    (None, "request-user-input"),
    (None, "clock__sleep"),
    (Some("clock"), "other"),
    (Some("collaboration"), "mine"),
];

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn names_that_sealing_takes_are_called_in_code_mode() -> Result<(), Error> {
    let codex = Codex::current();
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut client = RawClient::start(&codex, &home).await?;
    let tool = |name: &str| {
        json!({
            "type": "function", "name": name, "description": "Nobody runs it.",
            "inputSchema": {"type": "object", "properties": {}},
        })
    };
    for (namespace, name) in FREE {
        assert_eq!(said(namespace, name), Ok(Vec::new()));
        let tool = tool(name);
        let tools = match namespace {
            None => json!([tool]),
            Some(scope) => {
                json!([{"type": "namespace", "name": scope, "description": "", "tools": [tool]}])
            }
        };
        let params = json!({"model": "gpt-6.2-astra", "dynamicTools": tools});
        let started = client
            .request("thread/start", params)
            .await?
            .expect("a thread");
        let thread = started["thread"]["id"].as_str().expect("an id").to_owned();
        let member = namespace.map_or_else(String::new, |scope| format!("{scope}__")) + name;
        let program = format!("EXEC text(await tools.{}({{}}))", member.replace('-', "_"));

        let turn = client.turn(&thread, &program).await?;

        assert_eq!(turn.calls, 1, "{member}");
    }
    client.close().await?;
    Ok(())
}
