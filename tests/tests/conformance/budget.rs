//! What codex leaves of large schemas, and what the embedded runtime and the warnings of a catalog say of it.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use codex_skills::embedded::{Model, ModelError, ModelItem, ModelTurn};
use codex_skills::{Catalog, Draft, Embedded, Error, Skill, skill, skills};
use codex_skills_tests::codex::{Codex, Home, RawClient};
use codex_skills_tests::provider::{Provider, Request};
use fastrand::Rng;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

const SEED: u64 = 9;
const SCHEMAS: usize = 240;
const AT_ONCE: usize = 40;

/// What is sent to the model for these tools.
async fn shown(codex: &Codex, tools: Value) -> io::Result<Request> {
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut codex = RawClient::start(codex, &home).await?;
    let thread = codex.start_thread(tools).await?;
    codex.turn(&thread, "SAY hello").await?;
    let request = provider.last_request(&thread).expect("a request");
    codex.close().await?;
    Ok(request)
}

/// Keeps the schemas that it is shown.
#[derive(Debug, Default)]
struct Witness(Arc<Mutex<Map<String, Value>>>);

impl Model for Witness {
    async fn respond(&self, turn: ModelTurn) -> Result<Vec<ModelItem>, ModelError> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(
            turn.tools
                .iter()
                .map(|tool| (tool.name.clone(), tool.input_schema.clone())),
        );
        Ok(vec![ModelItem::say("Hello.")])
    }
}

/// What the embedded runtime shows its model.
async fn embedded(catalog: Catalog) -> Result<Map<String, Value>, Error> {
    let seen = Arc::default();
    let client = Embedded::with_model(Witness(Arc::clone(&seen)));
    let run = client.lifecycle_with(catalog).await?;
    run.send_and_handle("Hello.").await?;
    run.close().await?;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(seen.clone())
}

/// A schema of some size: objects in objects, lists, maps, choices, and definitions that are referred to.
fn large(rng: &mut Rng) -> Value {
    let mut schema = object(rng, 4);
    if rng.bool() {
        schema["$defs"] =
            json!({"One": object(rng, 2), "Two": object(rng, 1), "Unused": object(rng, 1)});
        schema["properties"]["one"] = json!({"$ref": "#/$defs/One", "description": words(rng)});
        schema["properties"]["some"] = json!({"type": "array", "items": {"$ref": "#/$defs/Two"}});
    }
    schema
}

fn object(rng: &mut Rng, depth: usize) -> Value {
    let mut properties = Map::new();
    for at in 0..rng.usize(1..6) {
        properties.insert(format!("member_{at}"), member(rng, depth));
    }
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn member(rng: &mut Rng, depth: usize) -> Value {
    let mut schema = match rng.u8(0..if depth == 0 { 3 } else { 8 }) {
        0 => json!({"type": "string"}),
        1 => json!({"type": ["integer", "null"]}),
        2 => json!({"type": "string", "enum": ["a", "b"]}),
        3 => json!({"type": "array", "items": member(rng, depth - 1)}),
        4 => {
            json!({"type": "object", "properties": {}, "additionalProperties": member(rng, depth - 1)})
        }
        5 => json!({"anyOf": [object(rng, depth - 1), {"type": "null"}]}),
        _ => object(rng, depth - 1),
    };
    if rng.u8(0..3) > 0 {
        schema["description"] = words(rng).into();
    }
    schema
}

fn words(rng: &mut Rng) -> String {
    "Some words. ".repeat(rng.usize(1..8)).trim().to_owned()
}

async fn compaction_is_what_we_take_it_for(codex: Codex) -> Result<(), Error> {
    let mut rng = Rng::with_seed(SEED);
    let mut compacted = [0_usize; 5];
    for _ in 0..SCHEMAS / AT_ONCE {
        let skills = (0..AT_ONCE).map(|at| {
            Skill::builder(format!("skill_{at}"))
                .description("Nobody runs it.")
                .input_schema(large(&mut rng))
                .handler(|_: Value| async { Ok::<_, Infallible>(()) })
        });
        let catalog = Draft::new().register(skills.collect::<Vec<_>>()).seal()?;
        let tools = serde_json::from_str(catalog.dynamic_tools().get()).expect("JSON");
        let request = shown(&codex, tools).await?;
        let ours = embedded(catalog.clone()).await?;
        for skill in catalog.iter() {
            let theirs = &request.tools_named(skill.name())[0]["parameters"];
            assert_eq!(
                &ours[skill.name()],
                theirs,
                "of seed {SEED}: {}",
                skill.input_schema()
            );
            let of_skill = format!("skill `{}` ", skill.name());
            let mut warnings = catalog.warnings().iter();
            let warning =
                warnings.find(|text| text.starts_with(&of_skill) && text.contains("bytes"));
            let passes = [
                "strips the descriptions",
                "drops its definitions",
                "shows nothing of",
                "drops the forms",
            ];
            let passes = passes
                .iter()
                .filter(|pass| warning.is_some_and(|text| text.contains(**pass)));
            compacted[passes.count()] += 1;
            let is_stripped = !theirs.to_string().contains("\"description\"");
            assert_eq!(
                warning.is_some(),
                is_stripped && skill.input_schema().to_string().contains("\"description\""),
                "of seed {SEED}: {warning:?} {theirs}"
            );
        }
    }
    // There is something to compare.
    assert!(
        compacted[0] > 20 && compacted[1] > 5 && compacted[2..].iter().sum::<usize>() > 5,
        "{compacted:?}"
    );
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(previous_codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn the_previous_codex_compacts_as_we_take_it_for() -> Result<(), Error> {
    compaction_is_what_we_take_it_for(Codex::previous()).await
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn the_newest_codex_compacts_as_we_take_it_for() -> Result<(), Error> {
    compaction_is_what_we_take_it_for(Codex::current()).await
}

/// A postal address.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
struct Address {
    /// Who lives there.
    name: String,
    /// Street and number.
    street: String,
    /// City or town.
    city: String,
    /// Code as the country writes it.
    postal_code: String,
    /// Two letters (ISO 3166).
    country: String,
    /// Whether it is a home.
    residential: Option<bool>,
    /// Ways to reach them.
    contacts: Vec<Contact>,
}

/// A way to reach people.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
struct Contact {
    /// Telephone or mail.
    kind: String,
    /// Number or address.
    value: String,
}

/// Ship a parcel.
#[skill]
#[expect(unused_variables, reason = "only its schema is asked for")]
fn ship(
    /// Address that sends it.
    sender: Address,
    /// Address that gets it.
    recipient: Address,
    /// Address that pays for it.
    payer: Address,
    /// Where it goes else.
    fallback: Option<Address>,
    /// Addresses on the way.
    stops: Vec<Address>,
) {
}

macro_rules! inner {
    ($($name:ident: $own:ident),*) => { $(
        /// One of five types.
        #[derive(Deserialize, JsonSchema)]
        #[expect(dead_code, reason = "only its schema is asked for")]
        struct $name {
            /// What it is called.
            title: String,
            /// How many there are.
            count: u32,
            /// What it weighs, in kilograms.
            weight: f64,
            /// What else there is to know.
            notes: Option<String>,
            /// Words to find it by.
            $own: Vec<String>,
        }
    )* };
}
inner!(Inner0: labels, Inner1: tags, Inner2: words, Inner3: names, Inner4: keys);

macro_rules! forty {
    ($($field:ident: $of:ident),* $(,)?) => {
        #[derive(Deserialize, JsonSchema)]
        #[expect(dead_code, reason = "only its schema is asked for")]
        struct Forty { $(
            /// One of forty fields.
            $field: Option<Vec<$of>>,
        )* }
    };
}
forty!(
    f00: Inner0, f01: Inner1, f02: Inner2, f03: Inner3, f04: Inner4, f05: Inner0, f06: Inner1, f07: Inner2,
    f08: Inner3, f09: Inner4, f10: Inner0, f11: Inner1, f12: Inner2, f13: Inner3, f14: Inner4, f15: Inner0,
    f16: Inner1, f17: Inner2, f18: Inner3, f19: Inner4, f20: Inner0, f21: Inner1, f22: Inner2, f23: Inner3,
    f24: Inner4, f25: Inner0, f26: Inner1, f27: Inner2, f28: Inner3, f29: Inner4, f30: Inner0, f31: Inner1,
    f32: Inner2, f33: Inner3, f34: Inner4, f35: Inner0, f36: Inner1, f37: Inner2, f38: Inner3, f39: Inner4,
);

async fn repeated_types_are_shown_whole(codex: Codex) -> Result<(), Error> {
    let forty = Skill::builder("forty")
        .description("Take much.")
        .handler(|_: Forty| async { Ok::<_, Infallible>(()) });
    let catalog = Draft::new()
        .register(skills![ship])
        .register([forty])
        .seal()?;
    let tools = serde_json::from_str(catalog.dynamic_tools().get()).expect("JSON");

    let request = shown(&codex, tools).await?;

    let ship = request.tools_named("ship")[0]["parameters"].to_string();
    assert!(ship.len() <= 1_500, "{} bytes: {ship}", ship.len());
    for text in [
        "Address that sends it.",
        "Where it goes else.",
        "Addresses on the way.",
        "A postal address.",
        "Code as the country writes it.",
        "Ways to reach them.",
        "A way to reach people.",
        "Number or address.",
    ] {
        assert!(ship.contains(text), "{text}: {ship}");
    }
    let forty = &request.tools_named("forty")[0]["parameters"];
    let text = forty.to_string();
    for at in 0..40 {
        let reference = &forty["properties"][format!("f{at:02}")]["items"]["$ref"];
        assert_eq!(
            reference,
            &json!(format!("#/$defs/Inner{}", at % 5)),
            "{text}"
        );
    }
    assert_eq!(
        forty["$defs"]["Inner3"]["properties"]
            .as_object()
            .map(Map::len),
        Some(5),
        "{text}"
    );
    let [warning] = catalog.warnings() else {
        panic!("{:?}", catalog.warnings())
    };
    assert!(
        warning.contains("`forty`") && warning.contains("strips the descriptions"),
        "{warning}"
    );
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(previous_codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn repeated_types_are_shown_whole_by_the_previous_codex() -> Result<(), Error> {
    repeated_types_are_shown_whole(Codex::previous()).await
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn repeated_types_are_shown_whole_by_the_newest_codex() -> Result<(), Error> {
    repeated_types_are_shown_whole(Codex::current()).await
}

#[tokio::test]
#[cfg_attr(
    not(old_codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn an_old_codex_is_told_types_wherever_they_are() -> Result<(), Error> {
    let codex = Codex::old();
    let catalog = Draft::new().register(skills![ship]).seal()?;
    let flat = catalog.flat_tools().expect("no namespaces").get();
    assert!(!flat.contains("$ref"), "{flat}");

    let request = shown(&codex, serde_json::from_str(flat).expect("JSON")).await?;

    let shown = &request.tools_named("ship")[0]["parameters"]["properties"];
    assert_eq!(
        shown["stops"]["items"]["properties"]["contacts"]["items"]["properties"]["value"]["type"],
        "string",
        "{shown}"
    );
    Ok(())
}
