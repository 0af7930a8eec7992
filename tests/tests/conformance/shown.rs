//! What the model is shown, and what the warnings of a catalog say of it.

use std::collections::BTreeMap;
use std::io;

use codex_skills::{CatalogSkill, Draft, skill, skills};
use codex_skills_tests::codex::{Codex, Home, RawClient};
use codex_skills_tests::provider::{Provider, Request};
use fastrand::Rng;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::catalogs::{self, KEYWORDS, Made, declared, sealed};

const SEED: u64 = 5;
const SKILLS: usize = 1_000;
/// How many are in one catalog.
const AT_ONCE: usize = 50;

struct Model {
    codex: RawClient,
    _home: Home,
    provider: Provider,
}

impl Model {
    async fn start(codex: &Codex) -> io::Result<Self> {
        let provider = Provider::start().await?;
        let home = Home::new(&provider)?;
        let codex = RawClient::start(codex, &home).await?;
        Ok(Self {
            provider,
            _home: home,
            codex,
        })
    }

    /// What is sent to the model in a thread with these tools.
    async fn shown(&mut self, tools: Value) -> io::Result<Request> {
        let thread = self.codex.start_thread(tools).await?;
        self.codex.turn(&thread, "SAY hello").await?;
        Ok(self.provider.last_request(&thread).expect("a request"))
    }
}

/// What becomes of a skill that has the name of a built-in tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Only the built-in is shown.
    Replaced,
    /// Both are shown.
    Doubled,
    /// There is no such built-in with this model and configuration.
    Shown,
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn names_that_are_refused_are_those_of_built_in_tools() -> io::Result<()> {
    use Fate::{Doubled, Replaced, Shown};
    const FATES: [(&str, Fate); 15] = [
        ("apply_patch", Shown),
        ("create_goal", Replaced),
        ("exec", Shown),
        ("exec_command", Replaced),
        ("get_goal", Replaced),
        ("image_generation", Shown),
        ("request_user_input", Replaced),
        ("spawn_agent", Shown),
        ("tool_search", Shown),
        ("update_goal", Replaced),
        ("update_plan", Shown),
        ("view_image", Replaced),
        ("wait", Shown),
        ("web_search", Doubled),
        ("write_stdin", Replaced),
    ];
    let codex = Codex::current();
    let mut model = Model::start(&codex).await?;
    let skills: Vec<Made> = FATES
        .iter()
        .map(|(name, _)| Made::new(name, json!({"type": "object"})))
        .collect();
    let problems = sealed(&skills)
        .expect_err("built-in names")
        .problems()
        .len();
    assert_eq!(problems, FATES.len());

    let none = model.shown(json!([])).await?;
    let all = model.shown(declared(&skills)).await?;

    for (name, fate) in FATES {
        let ours = all
            .tools_named(name)
            .iter()
            .any(|tool| tool["description"] == skills[0].description);
        // Some have a type instead of a name.
        let theirs = none
            .tools()
            .iter()
            .any(|tool| tool["name"] == name || tool["type"] == name);
        let found = match (ours, theirs) {
            (true, true) => Doubled,
            (true, false) => Shown,
            (false, _) => Replaced,
        };
        assert_eq!(found, fate, "{name}");
    }
    for tool in none
        .tools()
        .iter()
        .filter(|tool| tool["type"] == "function")
    {
        let name = tool["name"].as_str().expect("a name");
        let ours = Made::new(name, json!({"type": "object"}));
        assert!(
            sealed(&[ours]).is_err(),
            "a skill may be called {name}, which codex has itself"
        );
    }
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn the_model_is_shown_what_is_declared_unless_there_is_a_warning() -> io::Result<()> {
    let codex = Codex::current();
    let mut model = Model::start(&codex).await?;
    let mut rng = Rng::with_seed(SEED);
    let mut wrong = Vec::new();
    let (mut same, mut warned) = (0, 0);
    for _ in 0..SKILLS / AT_ONCE {
        let mut skills = Vec::new();
        while skills.len() < AT_ONCE {
            let schema = catalogs::arguments(&mut rng);
            let made = Made::new(&format!("skill_{}", skills.len()), schema);
            if sealed(std::slice::from_ref(&made)).is_ok() {
                skills.push(made);
            }
        }
        let catalog = sealed(&skills).expect("a catalog");
        let tools = serde_json::from_str(catalog.dynamic_tools().get())?;
        let request = model.shown(tools).await?;
        for skill in catalog.iter() {
            let shown = request.tools_named(skill.name());
            assert_eq!(shown.len(), 1, "{}", skill.name());
            let of_skill = format!("skill `{}` ", skill.name());
            let warnings = catalog
                .warnings()
                .iter()
                .filter(|text| text.starts_with(&of_skill));
            let warnings: Vec<&String> = warnings.collect();
            let is_same = shown[0]["parameters"] == kept(skill.input_schema());
            same += usize::from(is_same);
            warned += usize::from(!warnings.is_empty());
            if is_same != warnings.is_empty() {
                wrong.push(disagreement(skill, &shown[0]["parameters"], &warnings));
            }
        }
    }
    let first = &wrong[..wrong.len().min(5)];
    assert!(
        wrong.is_empty(),
        "{} of seed {SEED}, of which these are the first:\n{}",
        wrong.len(),
        first.join("\n")
    );
    // Neither is always so.
    assert!(
        same > 200 && warned > 200,
        "{same} as declared, {warned} with a warning"
    );
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn each_keyword_that_is_dropped_is_named_in_a_warning() -> io::Result<()> {
    /// Keywords without a meaning for the model, and those that are shown by another name.
    const UNTOLD: [&str; 4] = ["$id", "$schema", "const", "title"];
    let codex = Codex::current();
    let mut model = Model::start(&codex).await?;
    let mut rng = Rng::with_seed(SEED);
    let skill = |(at, keyword): (usize, &&str)| {
        let mut property =
            json!({"type": ["array", "number", "object", "string"], "items": {}, "properties": {}});
        property[*keyword] = match *keyword {
            "$ref" => json!("#"),
            "const" => json!("a"),
            "required" => {
                property["properties"] = json!({"a": {}});
                json!(["a"])
            }
            _ => catalogs::value(&mut rng, keyword, 0),
        };
        let schema = json!({"type": "object", "properties": {"p": property}});
        Made::new(&format!("skill_{at}"), schema)
    };
    let keywords: Vec<&str> = KEYWORDS
        .into_iter()
        .filter(|keyword| *keyword != "type")
        .collect();
    let skills: Vec<Made> = keywords.iter().enumerate().map(skill).collect();
    let catalog = sealed(&skills).expect("a catalog");

    let request = model.shown(declared(&skills)).await?;

    for (at, keyword) in keywords.iter().enumerate() {
        let name = format!("skill_{at}");
        let property = &request.tools_named(&name)[0]["parameters"]["properties"]["p"];
        let is_shown = property.get(keyword).is_some();
        let named = |text: &&String| {
            text.contains(&format!("`{name}`")) && text.contains(&format!("`{keyword}`"))
        };
        let is_named = catalog.warnings().iter().any(|text| named(&text));
        let told = is_named || UNTOLD.contains(keyword);
        assert_eq!(
            is_shown,
            !told,
            "{keyword}: {property} {:?}",
            catalog.warnings()
        );
    }
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn descriptions_are_stripped_above_the_limit_and_not_at_it() -> io::Result<()> {
    const LIMIT: usize = 5_000;
    let codex = Codex::current();
    let mut model = Model::start(&codex).await?;
    let of_bytes = |name: &str, bytes: usize| {
        let schema = |text: &str| json!({"type": "object", "properties": {"p": {"type": "string", "description": text}}});
        let text = "x".repeat(bytes - schema("").to_string().len());
        Made::new(name, schema(&text))
    };
    let skills = [of_bytes("at", LIMIT), of_bytes("above", LIMIT + 1)];
    let catalog = sealed(&skills).expect("a catalog");

    let request = model.shown(declared(&skills)).await?;

    let described = |name| {
        let property = &request.tools_named(name)[0]["parameters"]["properties"]["p"];
        property.get("description").is_some()
    };
    assert!(described("at"));
    assert!(!described("above"));
    let [warning] = catalog.warnings() else {
        panic!("{:?}", catalog.warnings())
    };
    assert!(
        warning.contains("`above`") && warning.contains("takes 5001 bytes"),
        "{warning}"
    );
    Ok(())
}

/// Where something is.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
struct Place {
    /// How it is called.
    name: String,
    /// Two numbers.
    position: (f64, f64),
    /// What is inside.
    inside: Vec<Place>,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Shape {
    /// A circle.
    Circle { radius: f32 },
    /// A rectangle.
    Rectangle { width: u16, height: u16 },
    /// Nothing.
    Nothing,
}

#[derive(Deserialize, JsonSchema)]
enum Urgency {
    /// It can wait.
    Low,
    /// It cannot.
    High,
}

/// Take much.
#[skill]
#[expect(
    clippy::too_many_arguments,
    unused_variables,
    reason = "only its schema is asked for"
)]
fn take_much(
    /// A text.
    text: String,
    /// Perhaps a small number.
    number: Option<i8>,
    /// Words.
    #[skill(default = vec![])]
    words: Vec<String>,
    /// Numbers by name.
    by_name: BTreeMap<String, u64>,
    /// A place.
    place: Place,
    /// Shapes.
    shapes: [Shape; 2],
    /// How urgent.
    urgency: Urgency,
    /// Anything.
    anything: Value,
) {
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn what_types_demand_is_shown_or_said_in_words() -> io::Result<()> {
    let codex = Codex::current();
    let mut model = Model::start(&codex).await?;
    let catalog = Draft::new()
        .register(skills![take_much])
        .seal()
        .expect("a catalog");
    let tools = serde_json::from_str(catalog.dynamic_tools().get())?;

    let request = model.shown(tools).await?;

    assert_eq!(catalog.warnings(), [""; 0]);
    let skill = catalog.get("take_much").expect("a skill");
    let shown = request.tools_named("take_much");
    assert_eq!(
        shown[0]["parameters"],
        kept(&said(skill.input_schema(), ""))
    );
    assert_eq!(shown[0]["description"], "Take much.");
    Ok(())
}

/// The schema without what is not shown, which the descriptions say: its own, or that of the property above it.
fn said(schema: &Value, above: &str) -> Value {
    let Value::Object(members) = schema else {
        let items = schema
            .as_array()
            .map(|items| items.iter().map(|item| said(item, above)).collect());
        return items.unwrap_or_else(|| schema.clone());
    };
    let description = schema["description"].as_str().unwrap_or(above);
    let mut shown = Map::new();
    for (keyword, value) in members {
        if ["default", "maxItems", "maximum", "minimum"].contains(&keyword.as_str()) {
            let is_tuple = keyword == "maxItems" && description.contains("in this order");
            assert!(
                is_tuple || description.contains(&value.to_string()),
                "`{keyword}` is not said: {schema} {description}"
            );
        } else if keyword == "properties" {
            let properties = value.as_object().into_iter().flatten();
            let properties: Map<String, Value> = properties
                .map(|(name, schema)| (name.clone(), said(schema, "")))
                .collect();
            shown.insert(keyword.clone(), properties.into());
        } else {
            shown.insert(keyword.clone(), said(value, description));
        }
    }
    Value::Object(shown)
}

fn disagreement(skill: &CatalogSkill, shown: &Value, warnings: &[&String]) -> String {
    let declared = skill.input_schema();
    format!(
        "declared {declared}\n   shown {shown}\n    kept {}\n  warned {warnings:?}\n",
        kept(declared)
    )
}

/// The schema in the form in which codex shows it, without keywords that have no meaning for the model.
fn kept(schema: &Value) -> Value {
    let Value::Object(members) = schema else {
        return schema.clone();
    };
    // Definitions of a schema that says nothing else are not referred to.
    if members
        .keys()
        .all(|keyword| ["$defs", "definitions"].contains(&keyword.as_str()))
    {
        return json!({});
    }
    let mut shown = Map::new();
    for (keyword, value) in members {
        match keyword.as_str() {
            _ if !KEYWORDS.contains(&keyword.as_str()) => {}
            "title" | "$schema" | "$id" => {}
            "const" => {
                shown.insert("enum".to_owned(), json!([value]));
            }
            "properties" | "$defs" | "definitions" => {
                let inner = value.as_object().into_iter().flatten();
                let inner: Map<String, Value> = inner
                    .map(|(name, schema)| (name.clone(), kept(schema)))
                    .collect();
                shown.insert(keyword.clone(), Value::Object(inner));
            }
            "items" | "additionalProperties" => {
                shown.insert(keyword.clone(), kept(value));
            }
            "anyOf" | "oneOf" | "allOf" => {
                shown.insert(
                    keyword.clone(),
                    value.as_array().into_iter().flatten().map(kept).collect(),
                );
            }
            _ => {
                shown.insert(keyword.clone(), value.clone());
            }
        }
    }
    let has = |keyword: &str| shown.contains_key(keyword);
    let composed = ["$ref", "allOf", "anyOf", "oneOf"]
        .iter()
        .any(|keyword| has(keyword));
    let means = if has("type") || composed {
        None
    } else if let Some(values) = shown.get("enum").and_then(Value::as_array) {
        values.iter().all(Value::is_string).then_some("string")
    } else if has("properties") || has("required") || has("additionalProperties") {
        Some("object")
    } else {
        has("items").then_some("array")
    };
    if let Some(name) = means {
        shown.insert("type".to_owned(), json!(name));
    }
    let types = shown.get("type");
    let is_object = types.is_some_and(|types| match types {
        Value::Array(names) => names.contains(&json!("object")),
        name => name == "object",
    });
    if is_object && !shown.contains_key("properties") {
        shown.insert("properties".to_owned(), json!({}));
    }
    Value::Object(shown)
}
