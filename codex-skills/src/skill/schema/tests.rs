//! The schemas of real types, as they are declared.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod hand_made;
mod shapes;
mod validation;
mod written;

use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::skill::arguments::Slot;
use crate::skill::descriptor::{Handler, Location, ParameterDescriptor, WrittenSchema};
use crate::skill::output::SkillOutput;

/// Checks arguments against a written schema.
struct Validator(Checker);

impl Validator {
    fn new(schema: &Value) -> Result<Self, String> {
        validate::confirm(schema)?;
        Ok(Self(Checker::new(&Source::Written(&[]), schema)))
    }
}

fn parameter<T: DeserializeOwned + JsonSchema + 'static>(
    name: &'static str,
    description: Option<&'static str>,
) -> ParameterDescriptor {
    Slot::<T>::new(name, description).descriptor
}

fn with_default(
    descriptor: ParameterDescriptor,
    default: fn() -> Option<Value>,
) -> ParameterDescriptor {
    ParameterDescriptor {
        default: Some(default),
        ..descriptor
    }
}

fn descriptor(input: InputSchema) -> SkillDescriptor {
    let location = Location {
        file: "here.rs",
        line: 1,
        column: 1,
    };
    let handler = Handler::Inline(|_| Ok(SkillOutput::new()));
    SkillDescriptor::new("skill", location, input, handler)
}

fn with_table(parameters: Vec<ParameterDescriptor>) -> SkillDescriptor {
    descriptor(InputSchema::Parameters(Vec::leak(parameters)))
}

fn input(descriptor: &SkillDescriptor) -> Result<InputShape, String> {
    make(descriptor, &mut Types::default(), false)
}

fn of_parameters(parameters: Vec<ParameterDescriptor>) -> InputShape {
    input(&with_table(parameters)).expect("a schema")
}

/// The property that a parameter of this type becomes.
fn property<T: DeserializeOwned + JsonSchema + 'static>(
    description: Option<&'static str>,
) -> Value {
    let shape = of_parameters(vec![parameter::<T>("p", description)]);
    shape.value()["properties"]["p"].clone()
}

fn closure<A: JsonSchema + serde::de::DeserializeOwned>() -> Skill {
    Skill::builder("skill").handler(|_: A| async { Ok::<_, std::convert::Infallible>(()) })
}

fn of_closure<A: JsonSchema + serde::de::DeserializeOwned>() -> Result<Arc<InputShape>, String> {
    Known::default().dynamic_input(&closure::<A>())
}

fn of_answer<T: JsonSchema>() -> Option<Value> {
    fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Option<schemars::Schema> {
        Some(generator.subschema_for::<T>())
    }
    let descriptor = descriptor(InputSchema::Parameters(&[])).with_output(schema::<T>);
    output(&descriptor).expect("a schema")
}

#[test]
fn parameters_become_one_closed_object() {
    let shape = of_parameters(vec![
        parameter::<String>("ticket_id", Some("Stable ticket identifier.")),
        with_default(
            parameter::<u8>("comments", Some("How many comments to include.")),
            || Some(json!(5)),
        ),
        parameter::<Option<bool>>("verbose", None),
    ]);
    assert_eq!(
        *shape.value(),
        json!({
            "type": "object",
            "properties": {
                "ticket_id": {"type": "string", "description": "Stable ticket identifier."},
                "comments": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": 255,
                    "default": 5,
                    "description": "How many comments to include (whole number, 0 to 255; default 5).",
                },
                "verbose": {"type": ["boolean", "null"]},
            },
            "required": ["ticket_id"],
            "additionalProperties": false,
        })
    );
    assert!(!shape.says_more);
    assert_eq!(shape.warnings, [""; 0]);
    assert_eq!(shape.text.get(), shape.value().to_string());
}

#[test]
fn what_is_known_of_a_type_changes_no_schema() {
    let tables = || {
        [
            vec![
                parameter::<u8>("a", Some("One.")),
                parameter::<String>("b", None),
                with_default(parameter::<u8>("c", None), || Some(json!(5))),
            ],
            vec![
                parameter::<String>("a", Some("Two. Three.")),
                parameter::<u8>("b", None),
                with_default(parameter::<Option<u8>>("c", Some(" ")), || {
                    Some(Value::Null)
                }),
                parameter::<BTreeMap<String, Vec<f32>>>("d", None),
            ],
            vec![
                parameter::<BTreeMap<String, Vec<f32>>>("a", Some("Four")),
                parameter::<Option<u8>>("b", None),
                parameter::<Value>("c", Some("Anything.")),
                parameter::<Value>("d", None),
                with_default(parameter::<String>("e", Some("Five. Six")), || {
                    Some(json!("\"x\""))
                }),
                with_default(parameter::<f64>("f", None), || Some(json!(0.1))),
            ],
            vec![
                parameter::<Option<Request>>("a", Some("\"Seven\"\n")),
                parameter::<Request>("b", None),
                parameter::<Vec<Request>>("c", Some("Eight")),
            ],
        ]
    };
    let mut known = Known::default();
    for (fresh, again) in tables().into_iter().zip(tables()) {
        let whole = generate::all_at_once(&fresh).expect("a schema");
        let names = generate::names_of_parameters(&fresh);
        let whole = InputShape::generated(whole, Source::Parameters(&[]), || names);
        let fresh = of_parameters(fresh);
        assert_eq!(whole.text.get(), fresh.text.get());
        assert_eq!(whole.says_more, fresh.says_more);
        assert_eq!(whole.undocumented, fresh.undocumented);
        let again = known.input(&with_table(again)).expect("a schema");
        assert_eq!(again.text.get(), fresh.text.get());
        assert_eq!(again.says_more, fresh.says_more);
        assert_eq!(again.undocumented, fresh.undocumented);
    }
}

#[test]
fn a_skill_without_parameters_takes_an_empty_object() {
    let shape = of_parameters(Vec::new());
    assert_eq!(
        *shape.value(),
        json!({"type": "object", "properties": {}, "additionalProperties": false})
    );
    assert!(!shape.says_more);
}

#[test]
fn required_names_keep_the_order_of_the_source_and_properties_are_sorted() {
    let shape = of_parameters(vec![
        parameter::<u32>("zebra", None),
        parameter::<u32>("ant", None),
    ]);
    assert_eq!(shape.value()["required"], json!(["zebra", "ant"]));
    let text = shape.value().to_string();
    assert!(text.find("\"ant\":{") < text.find("\"zebra\":{"), "{text}");
}

#[test]
fn a_default_that_cannot_be_shown_makes_the_parameter_optional_all_the_same() {
    let hidden = with_default(parameter::<String>("p", None), || None);
    let shape = of_parameters(vec![hidden]);
    assert_eq!(shape.value()["properties"]["p"], json!({"type": "string"}));
    assert_eq!(shape.value().get("required"), None);
}

#[test]
fn the_same_skill_gives_the_same_bytes() {
    let bytes = || {
        of_closure::<Request>()
            .expect("a schema")
            .value()
            .to_string()
    };
    assert_eq!(bytes(), bytes());
}

/// A request.
#[derive(JsonSchema, serde::Deserialize)]
#[allow(dead_code, reason = "only its schema matters")]
struct Request {
    /// Who asks.
    name: String,
    #[schemars(range(min = 1, max = 20))]
    #[serde(default)]
    count: u8,
    labels: BTreeMap<String, String>,
}

#[test]
fn closures_take_the_schema_of_their_arguments() {
    let shape = of_closure::<Request>().expect("a schema");
    assert_eq!(
        *shape.value(),
        json!({
            "type": "object",
            "description": "A request.",
            "properties": {
                "name": {"type": "string", "description": "Who asks."},
                "count": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 20,
                    "default": 0,
                    "description": "Whole number, 1 to 20; default 0.",
                },
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
            "required": ["name", "labels"],
            "additionalProperties": false,
        })
    );
    assert!(shape.says_more);
    assert_eq!(description_of(shape.value()).as_deref(), Some("A request."));
    assert_eq!(description_of(&json!({"description": "  "})), None);
    assert_eq!(description_of(&json!(true)), None);
}

#[derive(JsonSchema, serde::Deserialize)]
struct Tame {
    #[allow(dead_code, reason = "only its schema matters")]
    name: String,
}

#[test]
fn closing_the_root_says_more_for_closures_only() {
    assert!(of_closure::<Tame>().expect("a schema").says_more);
    let derived = input(&descriptor(InputSchema::derived::<Tame>()));
    assert!(!derived.expect("a schema").says_more);
}

#[test]
fn arguments_that_are_no_object_are_refused() {
    for refused in [
        of_closure::<String>(),
        of_closure::<Vec<Request>>(),
        of_closure::<()>(),
        of_closure::<Option<Request>>(),
    ] {
        let text = refused.expect_err("no object");
        assert!(text.contains("take a struct with named fields"), "{text}");
    }
}

#[test]
fn arguments_of_any_shape_are_an_open_object() {
    let any = of_closure::<Value>().expect("a schema");
    assert_eq!(
        *any.value(),
        json!({"type": "object", "properties": {}, "additionalProperties": true})
    );
    assert!(!any.says_more);
    let map = of_closure::<serde_json::Map<String, Value>>().expect("a schema");
    assert_eq!(map.value(), any.value());
}

#[derive(JsonSchema, serde::Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
#[allow(dead_code, reason = "only its schema matters")]
enum Action {
    Open { path: String },
    Close,
}

#[test]
fn a_choice_of_objects_may_be_the_arguments() {
    let shape = of_closure::<Action>().expect("a schema");
    assert_eq!(
        *shape.declared(),
        json!({
            "type": "object",
            "properties": {
                "action": {
                    "type": "string", "enum": ["open", "close"],
                    "description": "`open` needs `path`.\n`close` needs nothing else.",
                },
                "path": {"type": "string"},
            },
            "required": ["action"],
            "additionalProperties": false,
        })
    );
    assert_eq!(
        *shape.value(),
        json!({
            "type": "object",
            "anyOf": [
                {
                    "type": "object",
                    "properties": {
                        "action": {"type": "string", "enum": ["open"]},
                        "path": {"type": "string"},
                    },
                    "required": ["action", "path"],
                    "additionalProperties": false,
                },
                {
                    "type": "object",
                    "properties": {"action": {"type": "string", "enum": ["close"]}},
                    "required": ["action"],
                    "additionalProperties": false,
                },
            ],
        })
    );
    assert!(shape.says_more);
}

#[test]
fn saying_what_codex_drops_documents_nothing() {
    let skill = with_table(vec![
        parameter::<u8>("bare", None),
        parameter::<u8>("blank", Some(" ")),
        parameter::<u8>("told", Some("Told.")),
        parameter::<shapes::Priority>("by_its_type", None),
    ]);
    assert_eq!(
        input(&skill).expect("a schema").undocumented,
        ["bare", "blank"]
    );
    assert_eq!(
        of_closure::<Request>().expect("a schema").undocumented,
        ["count", "labels"]
    );
    assert_eq!(
        of_closure::<String>().map_or_else(|_| Vec::new(), |shape| shape.undocumented.clone()),
        [""; 0]
    );
}

#[test]
fn a_validator_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Checker>();
}

#[test]
fn a_large_schema_is_warned_about() {
    let text: &'static str = String::leak("word ".repeat(1_200));
    let shape = of_parameters(vec![parameter::<String>("p", Some(text))]);
    let [warning] = shape.warnings.as_slice() else {
        panic!("{:?}", shape.warnings);
    };
    let expected = format!(
        "the input schema takes {} bytes: above 5000 codex strips the descriptions inside it (1 of them); shorten",
        shape.text.get().len()
    );
    assert!(warning.starts_with(&expected), "{warning}");
}

#[test]
fn what_no_words_say_is_a_warning_with_its_place() {
    #[derive(JsonSchema, serde::Deserialize)]
    #[allow(dead_code, reason = "only its schema matters")]
    struct Odd {
        #[schemars(regex(
            pattern = "^(a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v|w|x|y|z|aa|bb|cc|dd|ee|ff|gg|hh|ii|jj|kk|ll|mm|nn|oo|pp|qq|rr|ss|tt|uu)+$"
        ))]
        long: String,
        #[schemars(extend("not" = {"pattern": "^a"}, "contentEncoding" = "base64"))]
        not: String,
    }
    let shape = of_parameters(vec![parameter::<Odd>("p", None)]);
    assert_eq!(
        shape.warnings,
        [
            "codex does not show the model `not` (at `properties.p.properties.not`): say it in the description",
            "codex does not show the model `pattern` (at `properties.p.properties.long`): say it in the description",
        ]
    );
    let not = &shape.value()["properties"]["p"]["properties"]["not"];
    assert_eq!(not["description"], "Base64 encoded.");
}

#[test]
fn the_docs_of_a_type_join_those_of_its_place() {
    /// Metres above the sea, never feet.
    #[derive(JsonSchema, serde::Deserialize)]
    #[allow(dead_code, reason = "only its schema matters")]
    struct Height(f64);

    #[derive(JsonSchema, serde::Deserialize)]
    #[allow(dead_code, reason = "only its schema matters")]
    struct Peak {
        /// How high
        height: Height,
        /// How high before.
        before: Option<Height>,
        all: Vec<Height>,
    }
    let both = "How high. Metres above the sea, never feet.";
    assert_eq!(property::<Height>(Some("How high."))["description"], both);
    assert_eq!(
        property::<Option<Height>>(Some("How high."))["description"],
        both
    );
    assert_eq!(
        property::<Height>(None)["description"],
        "Metres above the sea, never feet."
    );
    let peak = property::<Peak>(None);
    assert_eq!(peak["properties"]["height"]["description"], both);
    assert_eq!(
        peak["properties"]["before"]["description"],
        "How high before. Metres above the sea, never feet."
    );
    assert_eq!(
        peak["properties"]["all"]["description"],
        "Each: Metres above the sea, never feet."
    );
}

#[test]
fn answers_are_described_as_they_serialize() {
    #[derive(JsonSchema, serde::Serialize)]
    struct Ticket {
        /// Its id.
        #[serde(rename(serialize = "id"))]
        ticket_id: u32,
        #[serde(skip_deserializing)]
        title: Option<String>,
    }
    assert_eq!(
        of_answer::<Ticket>(),
        Some(json!({
            "type": "object",
            "properties": {
                "id": {"type": "integer", "minimum": 0, "description": "Its id."},
                "title": {"type": ["string", "null"], "readOnly": true},
            },
            "required": ["id", "title"],
            "additionalProperties": false,
        }))
    );
    assert_eq!(of_answer::<String>(), Some(json!({"type": "string"})));
    assert_eq!(of_answer::<Value>(), None);
    assert_eq!(output(&descriptor(InputSchema::Parameters(&[]))), Ok(None));
}

#[test]
fn a_written_output_schema_wins_and_stays_as_it_is() {
    let explicit = descriptor(InputSchema::Parameters(&[]))
        .with_output(|generator| Some(generator.subschema_for::<String>()))
        .with_explicit_output(|| r#"{"title": "Ticket", "type": "object"}"#.into_schema());
    assert_eq!(
        output(&explicit),
        Ok(Some(json!({"title": "Ticket", "type": "object"})))
    );
    let any = descriptor(InputSchema::Parameters(&[])).with_explicit_output(|| Ok(json!(true)));
    assert_eq!(output(&any), Ok(None));
    let wrong = descriptor(InputSchema::Parameters(&[])).with_explicit_output(|| Ok(json!([])));
    assert!(output(&wrong).is_err());
    let broken =
        descriptor(InputSchema::Parameters(&[])).with_explicit_output(|| "{".into_schema());
    let text = output(&broken).expect_err("not JSON");
    assert!(
        text.starts_with("its `output_schema` is not JSON: "),
        "{text}"
    );
}
