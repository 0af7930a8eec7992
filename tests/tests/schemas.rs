//! The schemas of real types as they are declared, and what is demanded of a call at run time.
#![allow(
    clippy::unused_async,
    clippy::too_many_arguments,
    dead_code,
    reason = "skills are async to be run as such, and fields are there to be shown"
)]

#[path = "../support/calls.rs"]
#[allow(dead_code, reason = "each file uses a part")]
mod calls;
#[path = "../support/codex.rs"]
mod codex;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;

use calls::{answered, catalog_of, declared, failed, property};
use codex_skills::{Catalog, Skill, SkillOutput, skill, skills};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

// Enumerations.

/// How urgent it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Priority {
    /// Drop everything.
    RightNow,
    /// When there is time.
    Later,
    Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
enum Shape {
    /// Round.
    Circle {
        radius: f64,
    },
    Text(String),
    Nothing,
}

#[skill]
fn enumerations(
    priority: Priority,
    /// The old priority.
    before: Option<Priority>,
    shape: Option<Shape>,
) -> String {
    format!("{priority:?} {before:?} {shape:?}")
}

#[test]
fn an_enumeration_is_one_flat_list_with_the_words_of_its_variants() {
    let catalog = catalog_of(skills![enumerations]);

    let schema = property(&catalog, "enumerations", "priority");

    assert_eq!(schema["type"], "string");
    let names: BTreeSet<&str> = schema["enum"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(names, BTreeSet::from(["right_now", "later", "unknown"]));
    assert_eq!(
        schema["description"],
        "How urgent it is. `right_now`: Drop everything; `later`: When there is time."
    );
    assert_eq!(schema.as_object().unwrap().len(), 3);
}

#[test]
fn an_optional_enumeration_lists_null() {
    let catalog = catalog_of(skills![enumerations]);

    let schema = property(&catalog, "enumerations", "before");

    assert_eq!(schema["type"], json!(["string", "null"]));
    assert!(schema["enum"].as_array().unwrap().contains(&Value::Null));
    let words = schema["description"].as_str().unwrap();
    assert!(
        words.starts_with("The old priority. How urgent it is. `"),
        "{words}"
    );
}

#[test]
fn variants_with_data_are_choices() {
    let catalog = catalog_of(skills![enumerations]);

    let schema = property(&catalog, "enumerations", "shape");

    let choices = schema["anyOf"].as_array().unwrap();
    assert_eq!(choices.len(), 4, "{schema}");
    assert!(choices.contains(&json!({"type": "null"})), "{schema}");
    assert!(
        choices.contains(&json!({"type": "string", "enum": ["Nothing"]})),
        "{schema}"
    );
}

#[tokio::test]
async fn variants_are_decoded() {
    let catalog = catalog_of(skills![enumerations]);

    let arguments = json!({"priority": "right_now", "shape": {"Circle": {"radius": 2}}});
    let answer = answered(&catalog, "enumerations", arguments).await;

    assert_eq!(answer, "RightNow None Some(Circle { radius: 2.0 })");
}

// Options.

#[skill]
fn options(number: Option<i64>, text: Option<String>, list: Option<Vec<bool>>) -> String {
    format!("{number:?} {text:?} {list:?}")
}

#[tokio::test]
async fn an_option_accepts_null_and_absence_alike() {
    let catalog = catalog_of(skills![options]);
    let schema = catalog.get("options").unwrap().input_schema();
    assert_eq!(schema.get("required"), None);
    assert_eq!(
        property(&catalog, "options", "number"),
        &json!({
            "type": ["integer", "null"],
            "description": "Whole number; write it as a string beyond 9007199254740991.",
        })
    );

    let null = json!({"number": null, "text": null, "list": null});
    for arguments in [json!({}), null, Value::Null] {
        let answer = answered(&catalog, "options", arguments).await;
        assert_eq!(answer, "None None None");
    }
}

// Structs.

#[derive(Debug, Deserialize, JsonSchema)]
struct Address {
    /// The street and its number.
    street: String,
    #[serde(default)]
    city: String,
    country: Option<Country>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Country {
    code: String,
}

#[skill]
fn nested(
    /// Where to.
    to: Address,
    from: Option<Address>,
) -> String {
    format!("{to:?} {from:?}")
}

#[test]
fn structs_stand_in_the_place_where_they_are_used() {
    let catalog = catalog_of(skills![nested]);

    assert_eq!(
        property(&catalog, "nested", "to"),
        &json!({
            "type": "object",
            "description": "Where to.",
            "properties": {
                "street": {"type": "string", "description": "The street and its number."},
                "city": {"type": "string", "default": "", "description": "Default \"\"."},
                "country": {
                    "type": ["object", "null"],
                    "properties": {"code": {"type": "string"}},
                    "required": ["code"],
                    "additionalProperties": false,
                },
            },
            "required": ["street"],
            "additionalProperties": false,
        })
    );
    let tools = catalog.dynamic_tools().get();
    assert!(
        !tools.contains("$ref") && !tools.contains("$defs"),
        "{tools}"
    );
}

#[tokio::test]
async fn structs_are_decoded_into_their_types() {
    let catalog = catalog_of(skills![nested]);

    let arguments = json!({"to": {"street": "A 1", "country": {"code": "CH"}}});
    let answer = answered(&catalog, "nested", arguments).await;

    assert!(
        answer.contains(r#"country: Some(Country { code: "CH" })"#),
        "{answer}"
    );
}

// Recursion.

#[derive(Debug, Deserialize, JsonSchema)]
struct Tree {
    name: String,
    #[serde(default)]
    children: Vec<Tree>,
}

#[skill]
fn recursive(tree: Tree, other: Option<Box<Tree>>) -> String {
    format!("{tree:?} {other:?}")
}

#[test]
fn recursion_refers_to_definitions_at_the_root() {
    let catalog = catalog_of(skills![recursive]);

    let schema = catalog.get("recursive").unwrap().input_schema();

    let references = codex::references(schema);
    assert!(!references.is_empty());
    for reference in references {
        let target = schema.pointer(reference.strip_prefix('#').unwrap());
        assert!(
            target.is_some_and(Value::is_object),
            "{reference} in {schema}"
        );
    }
    let tree = &schema["$defs"]["Tree"];
    assert_eq!(
        tree["properties"]["children"]["items"]["$ref"],
        "#/$defs/Tree"
    );
}

#[tokio::test]
async fn recursive_values_are_decoded() {
    let catalog = catalog_of(skills![recursive]);

    let tree = json!({"name": "a", "children": [{"name": "b", "children": [{"name": "c"}]}]});
    let answer = answered(&catalog, "recursive", json!({"tree": tree})).await;
    assert!(
        answer.contains(r#"Tree { name: "c", children: [] }"#),
        "{answer}"
    );

    let wrong = json!({"tree": {"name": "a", "children": [{"name": 5}]}});
    let refused = failed(&catalog, "recursive", wrong).await;
    assert!(refused.contains("`tree.children[0].name`"), "{refused}");
}

// Collections.

#[skill]
fn collections(
    pair: (u8, String),
    same: (bool, bool),
    fixed: [i64; 2],
    set: BTreeSet<String>,
    map: HashMap<String, i64>,
    numbered: BTreeMap<u16, bool>,
    anything: Value,
    any_map: BTreeMap<String, Value>,
) -> String {
    format!("{pair:?} {same:?} {fixed:?} {set:?} {map:?} {numbered:?} {anything} {any_map:?}")
}

fn collection_arguments() -> Value {
    json!({
        "pair": [1, "a"], "same": [true, false], "fixed": [1, 2], "set": ["a"],
        "map": {"a": 1}, "numbered": {"1": true}, "anything": null, "any_map": {"a": [1]},
    })
}

#[test]
fn tuples_are_arrays_of_what_their_items_may_be() {
    let catalog = catalog_of(skills![collections]);

    let pair = property(&catalog, "collections", "pair");
    assert_eq!(
        (&pair["minItems"], &pair["maxItems"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(pair["items"]["anyOf"].as_array().unwrap().len(), 2);
    assert_eq!(
        pair["description"],
        "A whole number (0 to 255), a string, in this order."
    );
    let same = property(&catalog, "collections", "same");
    assert_eq!(same["items"], json!({"type": "boolean"}));
}

#[test]
fn maps_are_open_objects_of_their_values() {
    let catalog = catalog_of(skills![collections]);

    let of = |name| &property(&catalog, "collections", name)["additionalProperties"];
    assert_eq!(of("map"), &json!({"type": "integer"}));
    assert_eq!(of("numbered"), &json!({"type": "boolean"}));
    assert_eq!(of("any_map"), &json!(true));
}

#[tokio::test]
async fn collections_are_decoded() {
    let catalog = catalog_of(skills![collections]);

    let answer = answered(&catalog, "collections", collection_arguments()).await;

    assert_eq!(
        answer,
        r#"(1, "a") (true, false) [1, 2] {"a"} {"a": 1} {1: true} null {"a": Array [Number(1)]}"#
    );
}

#[tokio::test]
async fn what_collections_demand_is_enforced() {
    let catalog = catalog_of(skills![collections]);

    for (name, wrong) in [
        ("pair", json!([1])),
        ("pair", json!(["a", 1])),
        ("pair", json!([1, "a", 2])),
        ("same", json!([true])),
        ("fixed", json!([1, 2, 3])),
        ("set", json!(["a", "a"])),
        ("map", json!({"a": "b"})),
        ("numbered", json!({"a": true})),
    ] {
        let mut arguments = collection_arguments();
        arguments[name] = wrong.clone();

        let refused = failed(&catalog, "collections", arguments).await;

        assert!(refused.contains(&format!("`{name}")), "{wrong}: {refused}");
    }
}

// What codex drops is said and enforced.

#[skill]
fn bounds(
    /// How many.
    #[schemars(range(min = 1, max = 20))]
    limit: u8,
    #[schemars(length(min = 2, max = 3))] word: String,
    #[schemars(regex(pattern = "^[A-Z]+-[0-9]+$"))] ticket: String,
    #[schemars(length(max = 2))] list: Vec<u8>,
    /// Whom to write to.
    #[schemars(email)]
    to: Option<String>,
    #[schemars(range(min = 0.5))] factor: Option<f64>,
    #[schemars(extend("multipleOf" = 5))] step: Option<i64>,
) -> String {
    format!("{limit} {word} {ticket} {list:?} {to:?} {factor:?} {step:?}")
}

fn bounded_arguments() -> Value {
    json!({"limit": 20, "word": "abc", "ticket": "A-1", "list": [1, 2]})
}

#[test]
fn what_codex_drops_is_said_in_the_description() {
    let catalog = catalog_of(skills![bounds]);

    for (name, words) in [
        ("limit", "How many (whole number, 1 to 20)."),
        ("word", "2 to 3 characters."),
        ("ticket", "Matches `^[A-Z]+-[0-9]+$`."),
        ("list", "At most 2 items; whole numbers, each 0 to 255."),
        ("to", "Whom to write to (email format)."),
        ("factor", "0.5 or more."),
        (
            "step",
            "Whole number; write it as a string beyond 9007199254740991; a multiple of 5.",
        ),
    ] {
        assert_eq!(property(&catalog, "bounds", name)["description"], words);
    }
}

#[tokio::test]
async fn what_codex_drops_is_enforced() {
    let catalog = catalog_of(skills![bounds]);
    answered(&catalog, "bounds", bounded_arguments()).await;

    for (name, wrong, said) in [
        (
            "limit",
            json!(0),
            "`limit`: 0 is less than the minimum of 1",
        ),
        (
            "limit",
            json!(21),
            "`limit`: 21 is greater than the maximum of 20",
        ),
        (
            "word",
            json!("a"),
            "`word`: \"a\" is shorter than 2 characters",
        ),
        (
            "word",
            json!("größe"),
            "`word`: \"größe\" is longer than 3 characters",
        ),
        (
            "ticket",
            json!("a-1"),
            "`ticket`: \"a-1\" does not match `^[A-Z]+-[0-9]+$`",
        ),
        (
            "list",
            json!([1, 2, 3]),
            "`list`: there are more than 2 items",
        ),
        (
            "to",
            json!("nobody"),
            "`to`: \"nobody\" is not in the email format",
        ),
        (
            "factor",
            json!(0.4),
            "`factor`: 0.4 is less than the minimum of 0.5",
        ),
        ("step", json!(7), "`step`: 7 is not a multiple of 5"),
    ] {
        let mut arguments = bounded_arguments();
        arguments[name] = wrong;

        let refused = failed(&catalog, "bounds", arguments).await;

        assert!(refused.ends_with(said), "{refused}");
    }
}

#[tokio::test]
async fn bounds_inside_the_users_types_are_enforced() {
    #[derive(Deserialize, JsonSchema)]
    struct Order {
        items: Vec<Item>,
    }
    #[derive(Deserialize, JsonSchema)]
    struct Item {
        #[schemars(range(min = 1))]
        count: u32,
    }
    let order = Skill::builder("order").handler(|order: Order| async move {
        let count: u32 = order.items.iter().map(|item| item.count).sum();
        Ok::<_, Infallible>(count)
    });
    let catalog = catalog_of(order);

    let good = json!({"items": [{"count": 1}, {"count": 2}]});
    assert_eq!(answered(&catalog, "order", good).await, "3");
    let bad = json!({"items": [{"count": 1}, {"count": 0}]});
    let refused = failed(&catalog, "order", bad).await;
    assert!(
        refused.ends_with("`items[1].count`: 0 is less than the minimum of 1"),
        "{refused}"
    );
}

#[skill]
fn numbers(a: u8, b: i32, c: u32, d: u64, e: f32, f: f64, g: usize, h: char) -> String {
    format!("{a}{b}{c}{d}{e}{f}{g}{h}")
}

#[test]
fn numbers_have_no_formats_of_their_own() {
    let catalog = catalog_of(skills![numbers]);

    let schema = catalog.get("numbers").unwrap().input_schema().to_string();

    assert!(!schema.contains("\"format\""), "{schema}");
    assert_eq!(
        property(&catalog, "numbers", "b"),
        &json!({"type": "integer", "description": "Whole number, -2147483648 to 2147483647."})
    );
    assert_eq!(
        property(&catalog, "numbers", "e"),
        &json!({"type": "number"})
    );
}

// Attributes of serde and schemars.

#[derive(Debug, Deserialize, JsonSchema)]
struct Page {
    number: Option<u8>,
    size: u8,
}

#[derive(Debug)]
struct Seconds(u64);

fn seconds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Seconds, D::Error> {
    u64::deserialize(from).map(Seconds)
}

#[skill]
async fn attributes(
    #[serde(rename = "q", alias = "query")] text: String,
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "u64")]
    wait: Seconds,
    #[serde(flatten)] page: Page,
    #[serde(default)] labels: Vec<String>,
    #[skill(default = 10, rename = "max")]
    #[schemars(description = "The most.")]
    limit: u8,
) -> String {
    format!("{text} {} {page:?} {labels:?} {limit}", wait.0)
}

#[test]
fn attributes_of_serde_and_schemars_shape_the_schema() {
    let catalog = catalog_of(skills![attributes]);

    let schema = catalog.get("attributes").unwrap().input_schema();

    let names: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["labels", "max", "number", "q", "size", "wait"]);
    let required: BTreeSet<&str> = schema["required"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(required, BTreeSet::from(["q", "size", "wait"]));
    assert_eq!(schema["properties"]["max"]["default"], 10);
    let words = schema["properties"]["max"]["description"].as_str().unwrap();
    assert!(
        words.starts_with("The most (whole number, 0 to 255; default 10)"),
        "{words}"
    );
}

#[tokio::test]
async fn attributes_of_serde_shape_the_decoding() {
    let catalog = catalog_of(skills![attributes]);

    for name in ["q", "query"] {
        let answer = answered(
            &catalog,
            "attributes",
            json!({name: "a", "wait": 2, "size": 3}),
        )
        .await;
        assert_eq!(answer, "a 2 Page { number: None, size: 3 } [] 10");
    }
}

// Written schemas.

/// Look up.
///
/// # Arguments
///
/// * `id` - The id, from the docs.
/// * `label` - The label, from the docs.
/// * `hidden` - Not declared, from the docs.
#[skill(input_schema = r#"{
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 2},
        "label": {"type": "string", "description": "The label, as written."},
        "free": {"type": "integer"}
    },
    "required": ["id"]
}"#)]
fn written(id: String, label: Option<String>, hidden: Option<u8>) -> String {
    format!("{id} {label:?} {hidden:?}")
}

#[test]
fn a_written_schema_is_kept_and_its_gaps_are_filled_from_the_docs() {
    let catalog = catalog_of(skills![written]);

    assert_eq!(
        catalog.get("written").unwrap().input_schema(),
        &json!({
            "type": "object",
            "properties": {
                "id": {"type": "string", "minLength": 2, "description": "The id, from the docs."},
                "label": {"type": "string", "description": "The label, as written."},
                "free": {"type": "integer"},
            },
            "required": ["id"],
        })
    );
}

#[tokio::test]
async fn a_written_schema_is_enforced_and_open_as_it_says() {
    let catalog = catalog_of(skills![written]);

    let answer = answered(
        &catalog,
        "written",
        json!({"id": "ab", "free": 1, "more": 2}),
    )
    .await;
    assert_eq!(answer, "ab None None");
    let refused = failed(&catalog, "written", json!({"id": "a"})).await;
    assert!(
        refused.contains("`id`: \"a\" is shorter than 2"),
        "{refused}"
    );
    let refused = failed(&catalog, "written", json!({"id": "ab", "free": "x"})).await;
    assert!(refused.contains("`free`"), "{refused}");
}

#[test]
fn what_codex_drops_of_a_written_schema_is_warned_of_with_the_place() {
    let catalog = catalog_of(skills![written]);

    let [ignored, warning] = catalog.warnings() else {
        panic!("{:?}", catalog.warnings());
    };
    assert!(
        ignored.contains("has `free`, which its handler ignores"),
        "{ignored}"
    );
    assert!(warning.contains("`written`"), "{warning}");
    assert!(warning.contains(file!()), "{warning}");
    assert!(
        warning.contains("`minLength` (at `properties.id`)"),
        "{warning}"
    );
}

#[skill(input_schema = json!({"type": "object", "properties": {"a": {"type": "string", "nullable": true}}}))]
fn nullable(a: Option<String>) -> String {
    a.unwrap_or_default()
}

#[test]
fn nullable_in_a_written_schema_is_warned_of() {
    let catalog = catalog_of(skills![nullable]);

    let warnings = catalog.warnings().join("\n");

    assert!(warnings.contains("codex drops `nullable`"), "{warnings}");
    assert!(
        warnings.contains("add \"null\" to the list of types"),
        "{warnings}"
    );
}

// Answers.

#[derive(Serialize, JsonSchema)]
struct Ticket {
    /// Its id.
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize)]
struct WithoutSchema;

#[skill]
fn answers_ticket() -> Result<Ticket, String> {
    Err(String::new())
}

#[skill]
fn answers_list() -> Vec<u8> {
    Vec::new()
}

#[skill]
fn answers_without_schema() -> WithoutSchema {
    WithoutSchema
}

#[skill]
fn answers_output() -> Result<SkillOutput, String> {
    Err(String::new())
}

#[skill]
fn answers_anything() -> Value {
    Value::Null
}

#[skill]
fn answers_nothing() {}

#[skill(output_schema = json!({"type": "string", "format": "date"}))]
fn answers_as_written() -> Vec<u8> {
    Vec::new()
}

fn answers() -> Catalog {
    catalog_of(skills![
        answers_ticket,
        answers_list,
        answers_without_schema,
        answers_output,
        answers_anything,
        answers_nothing,
        answers_as_written
    ])
}

#[test]
fn the_output_schema_is_inferred_from_the_success_type() {
    let catalog = answers();
    let schema = |name| catalog.get(name).unwrap().output_schema();

    let ticket = schema("answers_ticket").unwrap();
    assert_eq!(ticket["properties"]["id"]["description"], "Its id.");
    assert_eq!(ticket["required"], json!(["id"]));
    let list = schema("answers_list").unwrap();
    assert_eq!(
        (&list["type"], &list["items"]["type"]),
        (&json!("array"), &json!("integer"))
    );
}

#[test]
fn there_is_no_output_schema_where_there_is_nothing_to_say() {
    let catalog = answers();

    for name in [
        "answers_without_schema",
        "answers_output",
        "answers_anything",
        "answers_nothing",
    ] {
        assert_eq!(catalog.get(name).unwrap().output_schema(), None, "{name}");
    }
}

#[test]
fn a_written_output_schema_wins_over_the_type() {
    let catalog = answers();

    assert_eq!(
        catalog.get("answers_as_written").unwrap().output_schema(),
        Some(&json!({"type": "string", "format": "date"}))
    );
}

#[test]
fn output_schemas_are_in_the_instruction_text_only() {
    let catalog = answers();

    let text = catalog.instruction_text();
    assert!(
        text.contains(r#"output_schema: {"format":"date","type":"string"}"#),
        "{text}"
    );
    let tools = catalog.dynamic_tools().get();
    assert!(!tools.contains("date"), "{tools}");
}

// Size.

/// A skill whose schema has at least so many bytes.
fn sized(name: &str, bytes: usize) -> Skill {
    let description = "x".repeat(bytes);
    Skill::builder(name)
        .input_schema(json!({
            "type": "object",
            "properties": {"a": {"type": "string", "description": description}},
        }))
        .handler(|_: Value| async { Ok::<_, Infallible>(()) })
}

#[test]
fn the_compact_size_of_a_schema_is_known() {
    let catalog = catalog_of(skills![nested]);

    let skill = catalog.get("nested").unwrap();

    assert_eq!(
        skill.input_schema_len(),
        skill.input_schema().to_string().len()
    );
    let sent = declared(&catalog)[0]["inputSchema"].to_string();
    assert_eq!(skill.input_schema_len(), sent.len());
}

#[test]
fn a_schema_that_codex_would_strip_is_warned_of() {
    let frame = catalog_of(sized("frame", 0));
    let room = 5_000 - frame.get("frame").unwrap().input_schema_len();

    let catalog = catalog_of([sized("fits", room), sized("large", room + 1)]);

    let [warning] = catalog.warnings() else {
        panic!("{:?}", catalog.warnings());
    };
    assert!(warning.contains("skill `large`"), "{warning}");
    assert!(warning.contains("takes 5001 bytes"), "{warning}");
    assert!(warning.contains(file!()), "{warning}");
}

// All of them, as codex reads them.

fn everything() -> Catalog {
    catalog_of(skills![
        enumerations,
        options,
        nested,
        recursive,
        collections,
        bounds,
        numbers,
        attributes,
        answers_nothing
    ])
}

#[test]
fn schemas_have_no_keyword_that_codex_rewrites_or_clients_complain_of() {
    for skill in &everything() {
        let keywords = codex::keywords(skill.input_schema());
        for noise in [
            "$schema",
            "$id",
            "title",
            "nullable",
            "const",
            "oneOf",
            "allOf",
            "prefixItems",
        ] {
            assert!(
                !keywords.contains(noise),
                "{noise} in {}",
                skill.input_schema()
            );
        }
    }
}

#[test]
fn every_root_is_a_closed_object() {
    for skill in &everything() {
        let schema = skill.input_schema();
        assert_eq!(schema["type"], "object", "{schema}");
        assert_eq!(schema["additionalProperties"], false, "{schema}");
        assert!(schema["properties"].is_object(), "{schema}");
    }
}

#[test]
fn codex_changes_no_meaning_on_the_way_to_the_model() {
    for skill in &everything() {
        let changes = codex::rewritten(skill.input_schema());
        assert_eq!(changes, [""; 0], "{}", skill.input_schema());
    }
}
