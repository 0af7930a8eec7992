//! One type each: what schemars writes, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::*;

/// How urgent it is.
#[derive(JsonSchema, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Priority {
    /// Drop everything.
    High,
    /// When there is time,
    /// if ever.
    ///
    /// More about that.
    Low,
    Unknown,
}

#[derive(JsonSchema, serde::Deserialize)]
enum Plain {
    A,
    B,
}

/// A shape.
#[derive(JsonSchema, serde::Deserialize)]
#[allow(dead_code, reason = "only its schema matters")]
enum Shape {
    /// Nothing.
    Empty,
    Point,
    /// Round.
    Circle {
        radius: f64,
    },
    Text(String),
}

#[derive(JsonSchema, serde::Deserialize)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema matters")]
enum Loose {
    Number(i64),
    Text(String),
}

#[derive(JsonSchema, serde::Deserialize)]
#[allow(dead_code, reason = "only its schema matters")]
struct Inner {
    #[schemars(length(max = 80), regex(pattern = r"^[A-Z]+-\d+$"))]
    id: String,
    title: Option<u16>,
}

#[derive(JsonSchema, serde::Deserialize)]
#[allow(dead_code, reason = "only its schema matters")]
struct Tree {
    /// What hangs below.
    children: Vec<Tree>,
    parent: Option<Box<Tree>>,
}

#[derive(JsonSchema, serde::Deserialize)]
#[allow(dead_code, reason = "only its schema matters")]
struct Flat {
    own: bool,
    #[serde(flatten)]
    shape: Tagged,
}

#[derive(JsonSchema, serde::Deserialize)]
#[serde(tag = "kind")]
#[allow(dead_code, reason = "only its schema matters")]
enum Tagged {
    A { x: bool },
    B,
}

#[derive(JsonSchema, serde::Deserialize)]
#[allow(dead_code, reason = "only its schema is looked at")]
struct Wrapped(#[schemars(length(min = 1))] String);

fn inner(description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "properties": {
            "id": {
                "type": "string",
                "maxLength": 80,
                "pattern": r"^[A-Z]+-\d+$",
                "description": r"At most 80 characters; matches `^[A-Z]+-\d+$`.",
            },
            "title": {
                "type": ["integer", "null"],
                "minimum": 0,
                "maximum": 65535,
                "description": "Whole number, 0 to 65535.",
            },
        },
        "required": ["id"],
        "additionalProperties": false,
    })
}

#[test]
fn scalars_lose_their_odd_formats_and_say_their_bounds() {
    for (schema, expected) in [
        (property::<bool>(None), json!({"type": "boolean"})),
        (property::<String>(None), json!({"type": "string"})),
        (
            property::<i32>(None),
            json!({"type": "integer", "description": "Whole number, -2147483648 to 2147483647."}),
        ),
        (
            property::<i64>(None),
            json!({
                "type": "integer",
                "description": "Whole number; write it as a string beyond 9007199254740991.",
            }),
        ),
        (property::<f32>(None), json!({"type": "number"})),
        (property::<f64>(None), json!({"type": "number"})),
        (
            property::<u32>(None),
            json!({"type": "integer", "minimum": 0, "description": "Whole number, 0 to 4294967295."}),
        ),
        (
            property::<usize>(Some("A count.")),
            json!({
                "type": "integer", "minimum": 0,
                "description":
                    "A count (whole number, 0 or more; write it as a string beyond 9007199254740991).",
            }),
        ),
        (
            property::<i8>(None),
            json!({
                "type": "integer", "minimum": -128, "maximum": 127,
                "description": "Whole number, -128 to 127.",
            }),
        ),
        (
            property::<char>(None),
            json!({
                "type": "string", "minLength": 1, "maxLength": 1,
                "description": "Exactly 1 character.",
            }),
        ),
        (
            property::<std::net::Ipv4Addr>(None),
            json!({"type": "string", "format": "ipv4", "description": "Ipv4 format."}),
        ),
        (
            property::<std::net::IpAddr>(None),
            json!({"type": "string", "description": "Ip format."}),
        ),
        (
            property::<Option<i64>>(None),
            json!({
                "type": ["integer", "null"],
                "description": "Whole number; write it as a string beyond 9007199254740991.",
            }),
        ),
        (
            property::<Wrapped>(None),
            json!({"type": "string", "minLength": 1, "description": "At least 1 character."}),
        ),
    ] {
        assert_eq!(schema, expected);
    }
}

#[test]
fn anything_is_an_empty_schema_and_keeps_its_description_by_listing_the_types() {
    assert_eq!(property::<Value>(None), json!({}));
    let types = ["string", "number", "boolean", "object", "array", "null"];
    for schema in [
        property::<Value>(Some("Whatever.")),
        property::<Option<Value>>(Some("Whatever.")),
    ] {
        assert_eq!(
            schema,
            json!({"type": types, "items": {}, "description": "Whatever."})
        );
    }
}

#[test]
fn collections_are_typed() {
    let bytes = json!({"type": "integer", "minimum": 0, "maximum": 255});
    for (schema, expected) in [
        (
            property::<Vec<String>>(None),
            json!({"type": "array", "items": {"type": "string"}}),
        ),
        (
            property::<Vec<Value>>(None),
            json!({"type": "array", "items": {}}),
        ),
        (
            property::<BTreeSet<u8>>(None),
            json!({
                "type": "array", "items": bytes, "uniqueItems": true,
                "description": "No duplicates; whole numbers, each 0 to 255.",
            }),
        ),
        (
            property::<[u8; 3]>(None),
            json!({
                "type": "array", "items": bytes, "minItems": 3, "maxItems": 3,
                "description": "Exactly 3 items; whole numbers, each 0 to 255.",
            }),
        ),
        (
            property::<(u8, u8)>(None),
            json!({
                "type": "array", "items": bytes, "minItems": 2, "maxItems": 2,
                "description":
                    "A whole number (0 to 255), a whole number (0 to 255), in this order.",
            }),
        ),
        (
            property::<(bool, String, bool)>(None),
            json!({
                "type": "array",
                "items": {"anyOf": [{"type": "boolean"}, {"type": "string"}]},
                "minItems": 3, "maxItems": 3,
                "description": "True or false, a string, true or false, in this order.",
            }),
        ),
        (
            property::<(bool, Value)>(None),
            json!({
                "type": "array", "items": {}, "minItems": 2, "maxItems": 2,
                "description": "True or false, anything, in this order.",
            }),
        ),
        (
            property::<HashMap<String, bool>>(None),
            json!({"type": "object", "additionalProperties": {"type": "boolean"}}),
        ),
        (
            property::<BTreeMap<String, Value>>(None),
            json!({"type": "object", "additionalProperties": true}),
        ),
        (
            property::<BTreeMap<u32, bool>>(None),
            json!({
                "type": "object",
                "additionalProperties": {"type": "boolean"},
                "propertyNames": {"pattern": r"^\d+$"},
                "description": "Names are whole numbers, 0 to 4294967295.",
            }),
        ),
        (
            property::<BTreeMap<Plain, bool>>(None),
            json!({
                "type": "object",
                "properties": {"A": {"type": "boolean"}, "B": {"type": "boolean"}},
                "additionalProperties": false,
            }),
        ),
    ] {
        assert_eq!(schema, expected);
    }
}

impl PartialEq for Plain {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Plain {}
impl PartialOrd for Plain {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Plain {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

#[test]
fn unit_enums_are_flat_and_tell_their_variants() {
    let variants = "`high`: Drop everything; `low`: When there is time, if ever.";
    let values = json!(["unknown", "high", "low"]);
    assert_eq!(
        property::<Plain>(None),
        json!({"type": "string", "enum": ["A", "B"]})
    );
    assert_eq!(
        property::<Priority>(None),
        json!({
            "type": "string", "enum": values,
            "description": format!("How urgent it is. {variants}"),
        })
    );
    assert_eq!(
        property::<Priority>(Some("The new priority")),
        json!({
            "type": "string", "enum": values,
            "description": format!("The new priority. How urgent it is. {variants}"),
        })
    );
    let with_null = json!(["unknown", "high", "low", null]);
    assert_eq!(
        property::<Option<Priority>>(Some("The new priority.")),
        json!({
            "type": ["string", "null"], "enum": with_null,
            "description": format!("The new priority. How urgent it is. {variants}"),
        })
    );
    assert_eq!(
        property::<Option<Plain>>(None),
        json!({"type": ["string", "null"], "enum": ["A", "B", null]})
    );
    let defaulted = with_default(parameter::<Priority>("p", None), || Some(json!("low")));
    let shape = of_parameters(vec![defaulted]);
    assert_eq!(
        shape.value()["properties"]["p"]["description"],
        format!("How urgent it is. {variants} Default \"low\".")
    );
}

#[test]
fn enums_with_data_are_any_of() {
    let branches = json!([
        {"type": "string", "enum": ["Point", "Empty"]},
        {
            "type": "object",
            "properties": {
                "Circle": {
                    "type": "object",
                    "properties": {"radius": {"type": "number"}},
                    "required": ["radius"],
                    "additionalProperties": false,
                },
            },
            "required": ["Circle"],
            "additionalProperties": false,
        },
        {
            "type": "object",
            "properties": {"Text": {"type": "string"}},
            "required": ["Text"],
            "additionalProperties": false,
        },
    ]);
    assert_eq!(
        property::<Shape>(None),
        json!({"description": "A shape. `Empty`: Nothing. `Circle`: Round.", "anyOf": branches})
    );
    let mut nullable = branches;
    if let Value::Array(branches) = &mut nullable {
        branches.push(json!({"type": "null"}));
    }
    assert_eq!(
        property::<Option<Shape>>(Some("Its outline.")),
        json!({
            "description": "Its outline. A shape. `Empty`: Nothing. `Circle`: Round.",
            "anyOf": nullable,
        })
    );
    assert_eq!(
        property::<Loose>(None),
        json!({
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "description":
                "A whole number: Write it as a string beyond 9007199254740991.",
        })
    );
}

#[test]
fn structs_are_closed_and_a_parameters_own_words_win() {
    assert_eq!(
        property::<Inner>(Some("What it is about.")),
        inner("What it is about.")
    );
    let mut optional = inner("What it is about.");
    optional["type"] = json!(["object", "null"]);
    assert_eq!(
        property::<Option<Inner>>(Some("What it is about.")),
        optional
    );
}

#[test]
fn a_property_may_be_called_title_or_format() {
    #[derive(JsonSchema, serde::Deserialize)]
    #[allow(dead_code, reason = "only its schema matters")]
    struct Names {
        title: String,
        format: String,
        nullable: bool,
        default: bool,
    }
    let schema = property::<Names>(None);
    assert_eq!(
        schema["properties"],
        json!({
            "title": {"type": "string"},
            "format": {"type": "string"},
            "nullable": {"type": "boolean"},
            "default": {"type": "boolean"},
        })
    );
}

#[test]
fn only_recursion_is_left_to_references() {
    let shape = of_parameters(vec![
        parameter::<Tree>("a", None),
        parameter::<Tree>("b", Some("Another.")),
    ]);
    let node = json!({
        "type": "object",
        "properties": {
            "children": {
                "type": "array",
                "items": {"$ref": "#/$defs/Tree"},
                "description": "What hangs below.",
            },
            "parent": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]},
        },
        "required": ["children"],
        "additionalProperties": false,
    });
    let mut described = node.clone();
    described["description"] = json!("Another.");
    assert_eq!(
        shape.value()["properties"],
        json!({"a": node, "b": described})
    );
    assert_eq!(shape.value()["$defs"], json!({"Tree": node}));
    assert_eq!(of_parameters(Vec::new()).value().get("$defs"), None);
    assert!(Validator::new(of_closure::<Tree>().expect("a schema").value()).is_ok());
}

#[test]
fn flattened_parts_stay_open_to_each_other() {
    let schema = property::<Flat>(None);
    assert_eq!(
        schema,
        json!({
            "type": "object",
            "properties": {"own": {"type": "boolean"}},
            "required": ["own"],
            "anyOf": [
                {
                    "type": "object",
                    "properties": {
                        "kind": {"type": "string", "enum": ["A"]},
                        "x": {"type": "boolean"},
                    },
                    "required": ["kind", "x"],
                },
                {
                    "type": "object",
                    "properties": {"kind": {"type": "string", "enum": ["B"]}},
                    "required": ["kind"],
                },
            ],
        })
    );
}

#[test]
fn only_demands_beyond_the_types_need_a_validator() {
    let says_more = |descriptor| of_parameters(vec![descriptor]).says_more;
    assert!(!says_more(parameter::<u8>("p", None)));
    assert!(!says_more(parameter::<Option<Vec<u32>>>("p", None)));
    assert!(!says_more(parameter::<Priority>("p", None)));
    assert!(!says_more(parameter::<Plain>("p", None)));
    assert!(!says_more(parameter::<(u8, String)>("p", None)));
    assert!(!says_more(parameter::<BTreeMap<u32, Plain>>("p", None)));
    // Their type ignores members that it doesn't know.
    assert!(says_more(parameter::<Shape>("p", None)));
    assert!(says_more(parameter::<Inner>("p", None)));
    assert!(says_more(parameter::<Option<Vec<Inner>>>("p", None)));
    assert!(says_more(parameter::<Wrapped>("p", None)));
}

#[test]
fn a_reference_that_may_be_null_brings_its_definition() {
    #[derive(serde::Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Link {
        next: Option<Box<Link>>,
    }
    let shape = of_parameters(vec![parameter::<Link>("link", None)]);
    assert!(
        shape.value()["$defs"]["Link"].is_object(),
        "{}",
        shape.value()
    );
}

#[test]
fn the_names_of_a_map_are_said_where_its_keys_are_an_enumeration() {
    #[derive(JsonSchema, serde::Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
    enum Level {
        /// It can wait.
        Low,
        /// It cannot.
        High,
    }
    #[derive(JsonSchema, serde::Deserialize)]
    #[allow(dead_code, reason = "only its schema matters")]
    struct Limits {
        name: String,
        by_level: Option<BTreeMap<Level, bool>>,
        nested: Vec<HashMap<Level, HashMap<String, bool>>>,
    }
    let names = "names are `Low`, `High`";
    for schema in [
        property::<BTreeMap<Level, bool>>(Some("Whether.")),
        property::<Option<HashMap<Level, bool>>>(Some("Whether.")),
    ] {
        assert_eq!(schema["description"], format!("Whether ({names})."));
    }
    let limits = property::<Limits>(None);
    assert_eq!(
        limits["properties"]["by_level"]["description"],
        "Names are `Low`, `High`."
    );
    assert_eq!(
        limits["properties"]["nested"]["description"],
        format!("Each an object, {names}.")
    );
    assert!(!limits.to_string().contains("x-codex"), "{limits}");
}

#[test]
fn what_is_said_of_parts_stands_at_the_property() {
    /// A point.
    #[derive(JsonSchema, serde::Deserialize)]
    #[allow(dead_code, reason = "only its schema matters")]
    struct Point {
        /// To the north.
        north: Vec<Vec<u8>>,
    }
    let way = property::<Vec<Point>>(Some("The way."));
    assert_eq!(way["description"], "The way. Each: A point.");
    assert_eq!(way["items"].get("description"), None);
    assert_eq!(
        way["items"]["properties"]["north"]["description"],
        "To the north (each a list, whole numbers, each 0 to 255)."
    );
    let map = property::<BTreeMap<String, Option<Point>>>(None);
    assert_eq!(map["description"], "Each value: A point.");
    let choices = property::<Vec<Priority>>(Some("What."));
    assert_eq!(
        choices["description"],
        "What. Each: How urgent it is. `high`: Drop everything; `low`: When there is time, if ever."
    );
    let numbers = property::<BTreeMap<String, u16>>(None);
    assert_eq!(
        numbers["description"],
        "Each value a whole number, 0 to 65535."
    );
}

#[test]
fn a_choice_beside_members_is_one_flat_object() {
    #[derive(JsonSchema, serde::Deserialize)]
    #[allow(dead_code, reason = "only its schema matters")]
    struct Outer {
        number: u8,
        #[serde(flatten)]
        which: Option<Which>,
    }
    #[derive(JsonSchema, serde::Deserialize)]
    #[allow(dead_code, reason = "only its schema matters")]
    #[serde(untagged)]
    enum Which {
        /// In days.
        Days {
            days: u8,
        },
        Span {
            from: String,
            to: String,
        },
    }
    let shape = of_closure::<Outer>().expect("a schema");
    let shown = shape.declared();
    let names: Vec<&String> = shown["properties"]
        .as_object()
        .expect("members")
        .keys()
        .collect();
    assert_eq!(names, ["days", "from", "number", "to"]);
    assert_eq!(shown["required"], json!(["number"]));
    assert_eq!(shown.get("anyOf"), None);
    let said = shown["properties"]["from"]["description"].as_str();
    assert!(
        said.is_some_and(
            |said| said.contains("Give either `days`") && said.contains("or `from` and `to`")
        ),
        "{shown}"
    );
    assert!(shape.value().get("anyOf").is_some(), "{}", shape.value());
    // The same below the root.
    let shape = of_parameters(vec![parameter::<Flat>("p", None)]);
    let inside = &shape.declared()["properties"]["p"];
    assert_eq!(inside.get("anyOf"), None, "{inside}");
    assert_eq!(
        inside["properties"]["kind"]["description"],
        "`A` needs `x`.\n`B` needs nothing else."
    );
}

#[test]
fn the_range_of_a_number_is_said_wherever_its_type_enforces_it() {
    let said = |schema: Value| {
        schema["description"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let (signed, unsigned) = ("-2147483648 to 2147483647", "0 to 4294967295");
    #[derive(JsonSchema, serde::Deserialize)]
    #[serde(transparent)]
    #[allow(dead_code, reason = "only its schema matters")]
    struct Cents(i32);
    #[derive(JsonSchema, serde::Deserialize)]
    #[allow(dead_code, reason = "only its schema matters")]
    struct Pair(u32, i16);
    for (schema, expected) in [
        (property::<i32>(None), format!("Whole number, {signed}.")),
        (
            property::<u32>(Some("Its id.")),
            format!("Its id (whole number, {unsigned})."),
        ),
        (
            property::<Option<u32>>(None),
            format!("Whole number, {unsigned}."),
        ),
        (property::<Cents>(None), format!("Whole number, {signed}.")),
        (
            property::<Vec<i32>>(None),
            format!("Whole numbers, each {signed}."),
        ),
        (
            property::<Vec<Option<u32>>>(None),
            format!("Whole numbers, each {unsigned}."),
        ),
        (
            property::<[u32; 2]>(None),
            format!("Exactly 2 items; whole numbers, each {unsigned}."),
        ),
        (
            property::<HashMap<String, u32>>(None),
            format!("Each value a whole number, {unsigned}."),
        ),
        (
            property::<(u32, i8)>(None),
            format!("A whole number ({unsigned}), a whole number (-128 to 127), in this order."),
        ),
        (
            property::<Pair>(None),
            format!(
                "A whole number ({unsigned}), a whole number (-32768 to 32767), in this order."
            ),
        ),
        (
            property::<std::num::NonZeroU32>(None),
            "Whole number, 1 to 4294967295.".to_owned(),
        ),
        (
            property::<std::num::NonZeroI32>(None),
            format!("Whole number, {signed}; not 0."),
        ),
    ] {
        assert_eq!(said(schema), expected);
    }
}

#[test]
fn what_the_names_of_a_map_may_be_is_said_whatever_they_are() {
    use std::num::NonZeroU8;
    #[derive(JsonSchema, serde::Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[serde(transparent)]
    struct Id(u16);
    #[derive(JsonSchema, serde::Deserialize)]
    #[allow(dead_code, reason = "only its schema matters")]
    struct Inside {
        deep: Option<Vec<BTreeMap<Id, String>>>,
    }
    let said = |schema: Value| {
        schema["description"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    for (schema, expected) in [
        (
            property::<BTreeMap<u16, String>>(None),
            "Names are whole numbers, 0 to 65535.",
        ),
        (
            property::<HashMap<i8, String>>(None),
            "Names are whole numbers, -128 to 127.",
        ),
        (
            property::<BTreeMap<u64, String>>(None),
            "Names are whole numbers, 0 or more.",
        ),
        (
            property::<BTreeMap<i64, String>>(None),
            "Names are whole numbers.",
        ),
        (
            property::<BTreeMap<Id, String>>(None),
            "Names are whole numbers, 0 to 65535.",
        ),
        (
            property::<BTreeMap<NonZeroU8, String>>(None),
            "Names are whole numbers, 1 to 255.",
        ),
        (
            property::<BTreeMap<bool, String>>(None),
            "Names are `true`, `false`.",
        ),
        (
            property::<BTreeMap<char, String>>(None),
            "Names are single characters.",
        ),
        (
            property::<BTreeMap<String, BTreeMap<u16, Vec<u8>>>>(None),
            "Each value an object, names are whole numbers, 0 to 65535, each value a list, whole numbers, each 0 to 255.",
        ),
        (
            property::<BTreeMap<u8, BTreeMap<bool, String>>>(None),
            "Names are whole numbers, 0 to 255; each value an object, names are `true`, `false`.",
        ),
        (
            property::<Inside>(None)["properties"]["deep"].clone(),
            "Each an object, names are whole numbers, 0 to 65535.",
        ),
    ] {
        assert_eq!(said(schema), expected);
    }
}

#[test]
fn a_heading_of_one_word_is_text_and_the_name_of_a_type_is_not() {
    #[derive(JsonSchema, serde::Deserialize)]
    #[allow(dead_code, reason = "only its schema matters")]
    struct Documented {
        /// # Height
        /// In metres.
        above: f64,
        /// # Height
        only: f64,
        /// #3171
        number: f64,
        #[schemars(title = "OneOrMany")]
        named: f64,
        /// The height of it.
        #[schemars(title = "Height")]
        repeated: f64,
    }
    let schema = property::<Documented>(None);
    let said = |name: &str| schema["properties"][name]["description"].clone();
    assert_eq!(said("above"), "Height\nIn metres.");
    assert_eq!(said("only"), "Height");
    assert_eq!(said("number"), "#3171");
    assert_eq!(said("named"), Value::Null);
    assert_eq!(said("repeated"), "The height of it.");
}

#[test]
fn what_is_said_of_a_type_once_is_taken_out_of_no_word() {
    /// An id
    #[derive(JsonSchema, serde::Deserialize)]
    #[allow(dead_code, reason = "only its schema matters")]
    struct Id {
        /// The number of the customer, as it stands on each bill.
        customer: String,
        /// The number of the contract, which has letters in it.
        contract: String,
    }
    let said = |own: &'static str| {
        let shape = of_parameters(vec![
            parameter::<Id>("a", Some("Whom to ask.")),
            parameter::<Id>("b", Some(own)),
            parameter::<String>("c", Some(String::leak("word ".repeat(200)))),
        ]);
        let declared = shape.declared()["properties"]["b"].clone();
        assert!(declared.get("$ref").is_some(), "{declared}");
        declared["description"].clone()
    };
    assert_eq!(said("Whom to tell."), "Whom to tell.");
    assert_eq!(
        said("An identifier of the one to tell."),
        "An identifier of the one to tell."
    );
    assert_eq!(said("Who has an id"), "Who has an id");
}

#[test]
fn a_list_in_a_choice_says_what_each_item_is() {
    #[derive(JsonSchema, serde::Deserialize)]
    #[allow(dead_code, reason = "only its schema matters")]
    #[serde(untagged)]
    enum OneOrMany {
        One(u8),
        Many(Vec<u8>),
    }
    assert_eq!(
        property::<OneOrMany>(None)["description"],
        "A whole number: 0 to 255; a list: Whole numbers, each 0 to 255."
    );
}

#[test]
fn a_map_at_the_root_says_its_names() {
    let shape = of_closure::<BTreeMap<u16, u8>>().expect("a schema");
    assert_eq!(
        shape.declared()["description"],
        "Names are whole numbers, 0 to 65535; each value a whole number, 0 to 255."
    );
    let text = shape.text.get();
    assert!(!text.contains("x-codex"), "{text}");
}
