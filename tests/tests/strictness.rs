//! A check that is as strict as the type: what serde reads and the shown schema allows runs with serde's value, and what
//! either forbids is refused, beyond the spellings that are taken on purpose. And no error says less than serde's own.
#![allow(dead_code, reason = "fields are there to be shown")]

#[path = "../support/calls.rs"]
#[allow(dead_code, reason = "each file uses a part")]
mod calls;
#[path = "strictness/mutations.rs"]
mod mutations;
#[path = "strictness/types.rs"]
mod types;

use std::collections::{BTreeMap, HashMap};

use codex_skills::Catalog;
use mutations::{Mutation, mutated, mutations};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use types::{FAMILY, Member};

/// Result of a call: what the handler saw, or what the model reads about its arguments.
fn called(
    tokio: &tokio::runtime::Runtime,
    catalog: &Catalog,
    skill: &str,
    json: &str,
) -> Result<String, String> {
    let output = tokio
        .block_on(catalog.call(skill, calls::raw(json)))
        .expect("a skill");
    let text = output.to_text().into_owned();
    let start = format!("skill `{skill}` was not run, its arguments are invalid: ");
    match text.strip_prefix(&start) {
        Some(reason) => Err(reason.to_owned()),
        None if output.is_success() => Ok(text),
        None => panic!("{skill} {json}: {text}"),
    }
}

struct Judge {
    tokio: tokio::runtime::Runtime,
    catalog: Catalog,
    schemas: HashMap<&'static str, jsonschema::Validator>,
}

impl Judge {
    fn new() -> Self {
        let catalog = types::catalog();
        let schemas = FAMILY.iter().map(|member| {
            let schema = catalog.get(member.name).expect("a skill").input_schema();
            let schema = jsonschema::options()
                .should_validate_formats(member.asserts_formats)
                .build(schema)
                .expect("a schema");
            (member.name, schema)
        });
        let schemas = schemas.collect();
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        Self {
            tokio,
            catalog,
            schemas,
        }
    }

    /// Whether the shown schema allows a value, names that only the type knows aside.
    fn allows(&self, member: &Member, value: &Value) -> bool {
        let Some(value) = value.get("v") else {
            return false;
        };
        let inner = mutations::renamed(value, member.aliases);
        self.schemas[member.name].is_valid(&serde_json::json!({ "v": inner }))
    }

    /// Whether a value is that of serde where what is `null` and has a default is left out, and whole numbers are written
    /// in digits, without which an optional flattened struct is nothing.
    fn is_of_absence(&self, member: &Member, json: &str, value: &str) -> bool {
        let spelt = [
            ("1e2", "100"),
            ("1e18", "1000000000000000000"),
            ("e0", ""),
            (".0", ""),
            (":-0", ":0"),
        ];
        let spell = |json: String, (from, to): (&str, &str)| json.replace(from, to);
        let whole = spelt.into_iter().fold(json.to_owned(), spell);
        let absent = [json, &whole].map(mutations::without_nulls);
        let mut all = absent.iter().flatten().chain([&whole]);
        all.any(|json| (member.plain)(json).is_ok_and(|read| read == value))
    }

    /// Whether some spelling that is taken on purpose is read by serde, as that value, and allowed.
    fn allows_respelt(&self, member: &Member, json: &str, value: &str) -> bool {
        mutations::respelt(json).iter().any(|json| {
            let allowed = serde_json::from_str(json).is_ok_and(|value| self.allows(member, &value));
            allowed && (member.plain)(json).is_ok_and(|read| read == value)
        })
    }

    fn judge(&self, member: &Member, json: &str) -> Result<(), (&'static str, String)> {
        let Ok(value) = serde_json::from_str::<Value>(json) else {
            return Ok(());
        };
        let plain = (member.plain)(json);
        let allowed = self.allows(member, &value);
        let ours = called(&self.tokio, &self.catalog, member.name, json);
        let wrong = match (&ours, &plain) {
            (Ok(ours), Ok(plain)) if allowed && ours == plain => None,
            (Ok(ours), Ok(_))
                if allowed && member.changes() && self.is_of_absence(member, json, ours) =>
            {
                None
            }
            (Ok(_), Ok(_)) if allowed => Some("another value than serde's"),
            // What is beyond its type, which makes an optional flattened struct nothing in silence.
            (Err(said), Ok(_)) if allowed && said.contains(" than the m") => None,
            // Members of two forms, of which a type drops those of one in silence where they are flattened.
            (Err(said), Ok(_)) if said.contains("it is of another form") => None,
            (Err(said), Ok(_)) if said.contains(": write only one of") => None,
            // What is there twice: a name, of which serde takes the last, or an item of a set, which is said in words.
            (Err(said), Ok(_)) if said.contains("twice") => None,
            (Err(_), Ok(_)) if allowed => Some("refused, though serde and the schema take it"),
            (Ok(ours), _) if self.allows_respelt(member, json, ours) => None,
            (Ok(_), Ok(_)) => Some("run, though the schema forbids it"),
            (Ok(_), Err(_)) => Some("run, though serde does not read it"),
            (Err(said), Err(plain)) => says_less(member, said, plain),
            (Err(said), Ok(_)) if !names_a_place(said) => Some("refused without a place"),
            (Err(_), Ok(_)) => None,
        };
        match wrong {
            None => Ok(()),
            Some(wrong) => {
                let schema = if allowed { "allows" } else { "forbids" };
                let example =
                    format!("{json}\n  ours   {ours:?}\n  serde  {plain:?}\n  schema {schema} it");
                Err((wrong, example))
            }
        }
    }
}

fn names_a_place(said: &str) -> bool {
    said.contains('`') || said.contains('"')
}

/// What serde's message tells and ours does not.
fn says_less(member: &Member, ours: &str, serde: &str) -> Option<&'static str> {
    if !names_a_place(ours) {
        return Some("the message names no place");
    }
    // Serde takes a number for the place of a form, and an array for an object, which no schema shows. And while another
    // thing is wrong, no type can be asked whether it knows a member by another name. Of what is there twice, serde reads
    // the first.
    let is_number = |said: &str| {
        let value = said.rsplit("`: ").next().unwrap_or_default();
        value.parse::<f64>().is_ok()
    };
    let places = ours.split_once(" is not one of");
    let has_alias = |(alias, _): &(&str, &str)| ours.contains(&format!("unknown member `{alias}`"));
    if ours.ends_with(" more")
        || ours.contains("is given twice")
        || places.is_some_and(|(said, _)| is_number(said))
        || ours.contains("the array ")
        || member.aliases.iter().any(has_alias)
    {
        return None;
    }
    let named = ["missing field `", "unknown field `", "unknown variant `"];
    let name = named
        .iter()
        .find_map(|start| serde.strip_prefix(start)?.split('`').next());
    match name {
        Some(name) if !ours.contains(name) => Some("the message lacks the name that serde tells"),
        _ => None,
    }
}

fn generated() -> impl Strategy<Value = (usize, usize, Vec<Mutation>)> {
    (0..FAMILY.len(), 0..8_usize, mutations())
}

/// How many texts are tried, unless `STRICTNESS_CASES` says otherwise; other ones with each `STRICTNESS_SEED`.
const CASES: u64 = 8_000;

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn what_serde_reads_and_the_schema_allows_runs_and_nothing_else() {
    let judge = Judge::new();
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let seed = number_of("STRICTNESS_SEED").unwrap_or(0);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.to_le_bytes(); 4].concat());
    let mut runner = TestRunner::new_with_rng(config, rng);
    let cases = number_of("STRICTNESS_CASES").unwrap_or(CASES);
    // The shortest text of each kind of mistake.
    let mut mistakes: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for _ in 0..cases {
        let case = generated().new_tree(&mut runner).expect("a case").current();
        let (member, seed, mutations) = case;
        let member = &FAMILY[member];
        let seed = member.seeds[seed % member.seeds.len()];
        let json = mutated(&format!("{{\"v\":{seed}}}"), &mutations);
        if let Err((kind, example)) = judge.judge(member, &json) {
            let known = mistakes
                .entry((member.name, kind))
                .or_insert_with(|| example.clone());
            if example.len() < known.len() {
                *known = example;
            }
        }
    }
    let all: Vec<String> = mistakes
        .iter()
        .map(|((name, kind), example)| format!("{name}: {kind}\n  {example}"))
        .collect();
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

#[test]
fn every_seed_of_the_family_runs_with_the_value_of_serde() {
    let judge = Judge::new();
    for member in FAMILY {
        for seed in member.seeds {
            let json = format!("{{\"v\":{seed}}}");
            let ours = called(&judge.tokio, &judge.catalog, member.name, &json);
            assert!(ours.is_ok(), "{} {json}: {ours:?}", member.name);
            assert_eq!(judge.judge(member, &json), Ok(()), "{}", member.name);
        }
    }
}
