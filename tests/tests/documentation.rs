//! Documentation that the compiler knows and the macro does not: it is read like that of doc comments.

#[path = "../support/calls.rs"]
#[allow(dead_code, reason = "each file uses a part")]
mod calls;

use calls::catalog_of;
use codex_skills::{Draft, ParameterDescriptor, Skill, SkillSet, skill, skills};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

const FORECAST: &str = "Tell the weather.\n\n# Returns\nThe weather.";
const PLACE: &str = " Where. ";

#[doc = include_str!("../fixtures/lookup.md")]
#[skill]
fn from_a_file(place: String, days: u8, unit: String, precision: u8) -> String {
    format!("{place}{days}{unit}{precision}")
}

/// Tell the weather.
///
#[doc = concat!("In ", "degrees.")]
///
/// # Arguments
#[doc = concat!("* `place` - ", "where")]
#[skill]
fn from_parts(
    place: String,
    #[doc = PLACE] near: String,
    #[doc = concat!("How ", "far.")] far: u8,
) -> String {
    format!("{place}{near}{far}")
}

#[doc = FORECAST]
#[skill]
fn from_a_constant() -> String {
    String::new()
}

/// Not read.
#[skill(description = concat!("Tell ", "it."), output_description = FORECAST)]
fn from_options() -> String {
    String::new()
}

#[doc = include_str!("../fixtures/lookup.md")]
#[skill]
fn derived(
    #[schemars(length(min = 1))] place: String,
    #[doc = PLACE] days: String,
    unit: String,
    precision: u8,
    #[schemars(extend("x" = 1))]
    #[skill(default)]
    other: u8,
) -> String {
    format!("{place}{days}{unit}{precision}{other}")
}

struct Desk;

#[doc = concat!("What customers ", "complain about.\n# Notes\nNot this.")]
#[skill(namespace = "desk")]
impl Desk {
    #[doc = include_str!("../fixtures/lookup.md")]
    #[skill]
    fn lookup(&self, place: String, days: u8, unit: u8, precision: u8) -> String {
        format!("{place}{days}{unit}{precision}")
    }
}

struct Kiosk;

#[doc = PURPOSE]
#[skill(namespace = "kiosk")]
impl Kiosk {
    #[doc = FORECAST]
    #[skill]
    fn forecast(&self) {}
}

const PURPOSE: &str = "What passengers ask for.";

const DESCRIPTION: &str =
    "Weather of a place\n\nTells the weather, now or later.\n\n```sh\n# not a heading\n```";

#[test]
fn the_text_of_a_file_is_read_like_a_doc_comment() {
    for skill in [from_a_file::SKILLS[0], Desk::SKILLS[0]] {
        assert_eq!(skill.description(), DESCRIPTION);
        assert!(skill.is_documented());
        assert_eq!(
            skill.output_description(),
            Some("The weather.\n\nAnd its reliability.")
        );
        let descriptions: Vec<_> = skill
            .parameters()
            .iter()
            .map(ParameterDescriptor::description)
            .collect();
        assert_eq!(
            descriptions,
            [
                Some("where, by its name"),
                Some("how many days from now"),
                Some("how it is told"),
                Some("how it is told"),
            ]
        );
    }
    assert_eq!(
        Desk::SKILLS[0].namespace_description(),
        Some("What customers complain about.")
    );
}

#[test]
fn literal_lines_and_constants_are_joined() {
    let skill = from_parts::SKILLS[0];
    assert_eq!(skill.description(), "Tell the weather.\n\nIn degrees.");
    let descriptions: Vec<_> = skill
        .parameters()
        .iter()
        .map(ParameterDescriptor::description)
        .collect();
    assert_eq!(
        descriptions,
        [Some("where"), Some("Where."), Some("How far.")]
    );
    let skill = from_a_constant::SKILLS[0];
    assert_eq!(skill.description(), "Tell the weather.");
    assert_eq!(skill.output_description(), Some("The weather."));
    let skill = Kiosk::SKILLS[0];
    assert_eq!(skill.description(), "Tell the weather.");
    assert_eq!(skill.namespace_description(), Some(PURPOSE));
    let skill = from_options::SKILLS[0];
    assert_eq!(skill.description(), "Tell it.");
    assert_eq!(skill.output_description(), Some(FORECAST));
}

#[test]
fn derived_arguments_have_the_same_words() {
    let schema = derived::SKILLS[0].input_schema().unwrap();
    let description = |name: &str| {
        schema["properties"][name]["description"]
            .as_str()
            .map(str::to_owned)
    };
    let place = description("place").unwrap();
    assert!(place.starts_with("where, by its name"), "{place}");
    assert_eq!(description("days").as_deref(), Some("Where."));
    let other = description("other").unwrap_or_default();
    assert!(!other.contains("how it is told"), "{other}");
    assert_eq!(description("unit").as_deref(), Some("how it is told"));
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its schema is looked at")]
struct Issue {
    /// #3171 the uri that a
    /// source has.
    uri: String,
    /// # How it reads
    /// In words.
    told: String,
    /// #hashtag
    tag: String,
    nested: Vec<Inner>,
}

/// #12 is what it is.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its schema is looked at")]
struct Inner {
    /// #1 of all
    first: String,
}

#[test]
fn a_first_line_that_begins_with_a_sign_is_not_lost() {
    let skill = Skill::builder("file")
        .description("File an issue.")
        .handler(|_: Issue| async { Ok::<_, std::convert::Infallible>(()) });
    let catalog = Draft::new().register(skill).seal().unwrap();
    let schema = catalog.get("file").unwrap().input_schema();
    let said = |schema: &Value, name: &str| schema["properties"][name]["description"].clone();
    assert_eq!(
        said(schema, "uri"),
        json!("#3171 the uri that a\nsource has.")
    );
    assert_eq!(said(schema, "told"), json!("How it reads\nIn words."));
    let inner = &schema.pointer("/properties/nested/items").unwrap();
    assert_eq!(said(inner, "first"), json!("#1 of all"));
}

/// # Weather
#[skill]
fn titled() {}

/// #3171 the uri that a
/// source has.
#[skill]
fn signed(
    /// #1 of all
    first: String,
) {
    drop(first);
}

/// Place something.
///
/// # Arguments
/// * **delta** - the first
/// * `zeta` (string): the second
/// * `eta`, `theta`: both
#[skill]
fn listed(delta: u8, zeta: u8, eta: u8, theta: u8) -> u8 {
    delta + zeta + eta + theta
}

#[test]
fn titles_signs_and_items_of_every_kind_are_read() {
    assert_eq!(titled::SKILLS[0].description(), "Weather");
    assert_eq!(
        signed::SKILLS[0].description(),
        "#3171 the uri that a\nsource has."
    );
    let parameters = signed::SKILLS[0].parameters();
    assert_eq!(parameters[0].description(), Some("#1 of all"));
    let parameters = listed::SKILLS[0].parameters().iter();
    let descriptions: Vec<_> = parameters.map(|p| p.description().unwrap()).collect();
    assert_eq!(descriptions, ["the first", "the second", "both", "both"]);
    catalog_of(skills![
        titled,
        signed,
        listed,
        from_a_file,
        from_parts,
        derived
    ]);
}

/// Metres above the sea, never feet.
#[derive(Deserialize, JsonSchema)]
#[schemars(inline)]
#[allow(dead_code, reason = "it stands for a type")]
struct Height(f64);

/// A way to go.
#[derive(Deserialize, JsonSchema)]
#[schemars(inline)]
#[allow(dead_code, reason = "it stands for a type")]
enum Way {
    /// On foot.
    Slow,
    Fast,
}

#[skill]
fn climb(
    /// How high.
    height: Height,
    /// Which way.
    way: Option<Way>,
    /// Where to rest.
    rests: Vec<Height>,
) {
    drop((height, way, rests));
}

#[skill]
fn climb_derived(
    /// How high.
    #[serde(alias = "top")]
    height: Height,
    /// Which way.
    way: Option<Way>,
    #[doc = concat!("Where ", "to rest.")] rests: Vec<Height>,
    /// Whose words win.
    #[schemars(description = "These.")]
    other: u8,
) {
    drop((height, way, rests, other));
}

#[test]
fn what_an_inline_type_says_is_joined_to_what_its_parameter_says() {
    let catalog = catalog_of(skills![climb, climb_derived]);
    for skill in ["climb", "climb_derived"] {
        let said = |name: &str| calls::property(&catalog, skill, name)["description"].clone();
        assert_eq!(
            said("height"),
            "How high. Metres above the sea, never feet."
        );
        assert_eq!(said("way"), "Which way. A way to go. `Slow`: On foot.");
        assert_eq!(
            said("rests"),
            "Where to rest. Each: Metres above the sea, never feet."
        );
        let schema = catalog.get(skill).unwrap().input_schema().to_string();
        assert!(!schema.contains("x-codex"), "{schema}");
    }
    let other = calls::property(&catalog, "climb_derived", "other");
    assert_eq!(other["description"], "These (whole number, 0 to 255).");
}
