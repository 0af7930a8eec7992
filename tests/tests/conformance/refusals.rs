//! Sealing and codex refuse the same, apart from what sealing refuses on purpose.

use std::collections::BTreeSet;
use std::io;

use codex_skills_tests::codex::{Codex, Home, RawClient};
use codex_skills_tests::provider::Provider;
use fastrand::Rng;
use serde_json::{Value, json};

use crate::catalogs::{self, KEYWORDS, Made, declared, garbages, sealed};

const SEED: u64 = 4;
const CATALOGS: usize = 600;

/// What codex takes and sealing refuses on purpose: how the refusal reads, and why it is there.
const ON_PURPOSE: [(&str, &str); 4] = [
    (
        "is a built-in tool of codex",
        "the built-in wins without a word, or stands beside the skill",
    ),
    (
        "does not describe a JSON object",
        "arguments have names, and codex hands over whatever the model writes",
    ),
    (
        "its schema is not valid",
        "codex checks no arguments, so that they are checked against the schema by us",
    ),
    (
        "nests more than 64 levels deep",
        "codex reads requests with a limit of 128 levels, and does not answer what is deeper",
    ),
];

/// What codex takes where it does not look, and refuses elsewhere: the place of the refusal, and where codex does not
/// look. Such a schema is wrong in any case.
const UNSEEN: [(&str, &str); 5] = [
    ("$defs.", "in definitions that nothing refers to"),
    ("definitions.", "in definitions that nothing refers to"),
    ("description` ", "in a schema that says nothing else"),
    ("encrypted` ", "in a schema that says nothing else"),
    ("minItems` ", "in a schema that says nothing else"),
];

struct Comparison {
    codex: RawClient,
    /// Which refusals on purpose there were.
    on_purpose: BTreeSet<&'static str>,
    disagreements: Vec<String>,
    refused: usize,
    accepted: usize,
}

impl Comparison {
    async fn ask(&mut self, tools: Value) -> io::Result<Result<(), String>> {
        let params = json!({"dynamicTools": tools, "ephemeral": true});
        let answer = self.codex.request("thread/start", params).await?;
        Ok(match answer {
            Ok(_) => Ok(()),
            Err(refusal) => {
                assert_eq!(refusal.code, -32600, "{refusal}");
                Err(refusal.message)
            }
        })
    }

    async fn compare(&mut self, all: &[Made]) -> io::Result<()> {
        let declared = declared(all);
        let theirs = self.ask(declared.clone()).await?;
        let error = match (sealed(all), &theirs) {
            (Ok(catalog), Ok(())) => {
                self.accepted += 1;
                // What is rendered is no worse than what was written.
                let tools: Value = serde_json::from_str(catalog.dynamic_tools().get())?;
                if tools != declared
                    && let Err(reason) = self.ask(tools).await?
                {
                    self.disagree(all, &format!("codex refuses what is rendered: {reason}"));
                }
                return Ok(());
            }
            (Ok(_), Err(reason)) => {
                self.disagree(all, &format!("only codex refuses it: {reason}"));
                return Ok(());
            }
            (Err(error), _) => error,
        };
        self.refused += 1;
        let problems = error.problems().iter().map(ToString::to_string);
        let (on_purpose, same): (Vec<String>, Vec<String>) =
            problems.partition(|problem| reason_of(problem).is_some());
        match theirs {
            Ok(()) if !same.iter().all(|problem| is_unseen(problem)) => {
                self.disagree(all, &format!("only we refuse it: {same:?}"));
            }
            Err(reason) if same.is_empty() => {
                self.disagree(
                    all,
                    &format!("we miss that codex says {reason}: {on_purpose:?}"),
                );
            }
            _ => {}
        }
        self.on_purpose
            .extend(on_purpose.iter().filter_map(|problem| reason_of(problem)));
        Ok(())
    }

    fn disagree(&mut self, all: &[Made], how: &str) {
        self.disagreements.push(format!("{how}\n{}", declared(all)));
    }
}

fn is_unseen(problem: &str) -> bool {
    let place = problem.split_once("codex refuses its input schema at `");
    place.is_some_and(|(_, place)| UNSEEN.iter().any(|(text, _)| place.contains(text)))
}

fn reason_of(problem: &str) -> Option<&'static str> {
    let reads = |(text, _): &(&'static str, _)| problem.contains(text);
    ON_PURPOSE.into_iter().find(reads).map(|(text, _)| text)
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn sealing_and_codex_refuse_the_same() -> io::Result<()> {
    let codex = Codex::current();
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut comparison = Comparison {
        codex: RawClient::start(&codex, &home).await?,
        on_purpose: BTreeSet::new(),
        disagreements: Vec::new(),
        refused: 0,
        accepted: 0,
    };

    comparison.compare(&[]).await?;
    for schema in odd_schemas() {
        comparison.compare(&[Made::new("a", schema)]).await?;
    }
    let mut rng = Rng::with_seed(SEED);
    for _ in 0..CATALOGS {
        comparison.compare(&catalogs::catalog(&mut rng)).await?;
    }

    let disagreements = &comparison.disagreements;
    assert!(
        disagreements.is_empty(),
        "{} of seed {SEED}, of which these are the first:\n{}",
        disagreements.len(),
        disagreements[..disagreements.len().min(1000)].join("\n")
    );
    let never: Vec<&str> = ON_PURPOSE
        .iter()
        .map(|(text, _)| *text)
        .filter(|text| !comparison.on_purpose.contains(text))
        .collect();
    assert!(never.is_empty(), "no catalog was refused for {never:?}");
    // Neither side says the same to everything.
    let Comparison {
        refused, accepted, ..
    } = comparison;
    assert!(
        refused > 200 && accepted > 200,
        "{accepted} accepted, {refused} refused"
    );
    comparison.codex.close().await?;
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(old_codex_installed),
    ignore = "the old codex is not installed: run tests/e2e/install.sh"
)]
async fn what_is_sealed_is_taken_by_an_old_codex_too() -> io::Result<()> {
    let codex = Codex::old();
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut codex = RawClient::start(&codex, &home).await?;
    let mut rng = Rng::with_seed(SEED);
    let mut taken = 0;
    while taken < 100 {
        let made = catalogs::catalog(&mut rng);
        let Ok(catalog) = sealed(&made) else {
            continue;
        };
        // It knows no other form.
        let tools = catalog.flat_tools().expect("no namespaces").get();
        let tools: Value = serde_json::from_str(tools)?;
        let answer = codex
            .request("thread/start", json!({"dynamicTools": tools}))
            .await?;
        assert!(answer.is_ok(), "of seed {SEED}: {answer:?} {made:#?}");
        taken += 1;
    }
    codex.close().await?;
    Ok(())
}

/// Each keyword with each kind of value, at the root and inside.
fn odd_schemas() -> Vec<Value> {
    let mut schemas = Vec::from(garbages());
    for keyword in KEYWORDS {
        for value in garbages() {
            if keyword != "type" {
                schemas.push(json!({"type": "object", keyword: value}));
            } else {
                schemas.push(json!({keyword: value}));
            }
            schemas.push(json!({"type": "object", "properties": {"a": {keyword: value}}}));
        }
    }
    let mut nested = json!({"type": "string"});
    for _ in 0..31 {
        nested = json!({"type": "array", "items": nested});
    }
    for _ in 0..64 {
        nested = json!({"type": "array", "items": nested});
        schemas.push(json!({"type": "object", "properties": {"a": nested}}));
    }
    schemas
}
