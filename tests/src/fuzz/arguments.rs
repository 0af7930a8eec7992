//! Arguments of any kind, called in the process and over the wire, beside plain serde and the schema that was shown.

#![expect(dead_code, reason = "fields are shown by Debug")]

use std::collections::BTreeMap;

use codex_skills::{Catalog, Draft, skill, skills};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::wire::Hostile;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Filter {
    And { items: Vec<Filter> },
    Not { item: Box<Filter> },
    Eq { field: String, value: i64 },
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Loose {
    Number(i64),
    Text(String),
    List(Vec<Loose>),
}

#[derive(Debug, Deserialize, JsonSchema)]
enum Choice {
    Unit,
    One(u16),
    Named { by: Option<String> },
}

/// Take numbers.
#[skill]
fn numbers(a: u8, b: i64, c: f64, d: Option<u64>, e: bool) -> String {
    format!("{:?}", Numbers { a, b, c, d, e })
}

#[derive(Debug, Deserialize)]
struct Numbers {
    a: u8,
    b: i64,
    c: f64,
    d: Option<u64>,
    e: bool,
}

/// Take a tagged tree.
#[skill]
fn tree(filter: Filter) -> String {
    format!("{:?}", Tree { filter })
}

#[derive(Debug, Deserialize)]
struct Tree {
    filter: Filter,
}

/// Take what has no tag.
#[skill]
fn mixed(value: Loose, map: BTreeMap<String, i32>, choice: Option<Choice>) -> String {
    format!("{:?}", Mixed { value, map, choice })
}

#[derive(Debug, Deserialize)]
struct Mixed {
    value: Loose,
    map: BTreeMap<String, i32>,
    choice: Option<Choice>,
}

/// A skill by name, arguments that it takes, and what plain serde makes of arguments.
type Case = (&'static str, &'static str, fn(&str) -> Option<String>);

fn plain<T: for<'de> Deserialize<'de> + std::fmt::Debug>(arguments: &str) -> Option<String> {
    let decoded = serde_json::from_str::<T>(arguments).ok()?;
    Some(format!("{decoded:?}"))
}

const CASES: [Case; 5] = [
    (
        "numbers",
        r#"{"a":1,"b":-2,"c":0.5,"d":3,"e":true}"#,
        plain::<Numbers>,
    ),
    (
        "numbers",
        r#"{"a":255,"b":9007199254740993,"c":1e300,"d":null,"e":false}"#,
        plain::<Numbers>,
    ),
    (
        "tree",
        r#"{"filter":{"type":"and","items":[{"type":"not","item":{"type":"eq","field":"a","value":1}}]}}"#,
        plain::<Tree>,
    ),
    (
        "mixed",
        r#"{"value":[1,"two",[3]],"map":{"a":1,"b":-1},"choice":{"Named":{"by":"x"}}}"#,
        plain::<Mixed>,
    ),
    (
        "mixed",
        r#"{"value":"text","map":{},"choice":"Unit"}"#,
        plain::<Mixed>,
    ),
];

/// The skills, and what is known to be true of any arguments.
pub struct Arguments {
    catalog: Catalog,
    hostile: Hostile,
    shown: BTreeMap<&'static str, jsonschema::Validator>,
}

impl Arguments {
    /// Seals the catalog and opens a session with it.
    ///
    /// # Errors
    /// With what is wrong.
    pub async fn start() -> Result<Self, String> {
        let draft = Draft::new().register(skills![numbers, tree, mixed]);
        let catalog = draft.seal().map_err(|error| error.to_string())?;
        let mut shown = BTreeMap::new();
        for (name, ..) in CASES {
            let skill = catalog.get(name).ok_or("a skill is missing")?;
            let schema = jsonschema::validator_for(skill.input_schema());
            shown.insert(name, schema.map_err(|error| error.to_string())?);
        }
        let hostile = Hostile::serving(catalog.clone()).await?;
        Ok(Self {
            catalog,
            hostile,
            shown,
        })
    }

    /// Arguments that each skill takes, with the number of the case.
    pub fn seeds() -> impl Iterator<Item = (usize, &'static str)> {
        CASES.iter().map(|(_, arguments, _)| *arguments).enumerate()
    }

    /// Checks what holds of any arguments of a case; those that are no JSON are none. Returns whether they were taken.
    ///
    /// # Errors
    /// With what does not hold.
    pub async fn check(&mut self, case: usize, arguments: &str) -> Result<bool, String> {
        let (name, _, plain) = CASES[case % CASES.len()];
        let Ok(raw) = RawValue::from_string(arguments.to_owned()) else {
            return Ok(false);
        };
        let fails = |what: String| Err(format!("`{name}` with {arguments}: {what}"));
        let output = self
            .catalog
            .call(name, &raw)
            .await
            .map_err(|error| error.to_string())?;
        let local = (output.is_success(), output.to_text().into_owned());
        let on_wire = self.hostile.call(name, &raw).await?;
        if local != on_wire {
            return fails(format!(
                "{local:?} in the process, and {on_wire:?} on the wire"
            ));
        }
        let (is_taken, answer) = local;
        if !is_taken {
            return Ok(false);
        }
        if let Some(other) = plain(arguments).filter(|other| *other != answer) {
            return fails(format!("the handler got {answer}, and serde reads {other}"));
        }
        // What serde_json cannot hold as a value, the validator cannot be asked about.
        if let Ok(value) = serde_json::from_str::<Value>(arguments)
            && !is_lenient(&value)
            && let Err(error) = self.shown[name].validate(&value)
        {
            return fails(format!("it was taken, and the schema refuses it: {error}"));
        }
        Ok(true)
    }
}

/// Whether a value has what is taken although no schema says so: `null` for what has a default, the digits of a number
/// as a text, and a JSON text in the place of the arguments.
fn is_lenient(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.parse::<f64>().is_ok() || text.trim_start().starts_with('{'),
        Value::Array(items) => items.iter().any(is_lenient),
        Value::Object(members) => members.values().any(is_lenient),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
