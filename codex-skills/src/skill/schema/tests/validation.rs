//! Arguments against schemas. Patterns and formats are checked with the feature only.
#![cfg(feature = "validation")]

use serde_json::value::RawValue;

use super::*;

fn order() -> Validator {
    Validator::new(&json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 2, "maxLength": 10, "pattern": "^[a-z]+$"},
            "items": {
                "type": "array",
                "minItems": 1,
                "maxItems": 9,
                "uniqueItems": true,
                "items": {
                    "type": "object",
                    "properties": {
                        "price": {"type": "integer", "minimum": 0, "maximum": 20},
                        "size": {"type": ["string", "null"], "enum": ["s", "l", null]},
                    },
                    "required": ["price"],
                    "additionalProperties": false,
                },
            },
            "ratio": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            "step": {"type": "integer", "multipleOf": 5},
            "mail": {"type": "string", "format": "email"},
            "form": {"anyOf": [
                {
                    "type": "object",
                    "properties": {"kind": {"enum": ["a"]}, "x": {"type": "integer", "maximum": 3}},
                    "required": ["kind", "x"],
                },
                {"type": "string"},
            ]},
            "weights": {
                "type": "object",
                "additionalProperties": {"type": "number"},
                "propertyNames": {"pattern": r"^\d+$"},
                "maxProperties": 2,
            },
        },
        "additionalProperties": false,
    }))
    .expect("a schema")
}

fn check(validator: &Validator, arguments: &str) -> Result<(), String> {
    let raw = RawValue::from_string(arguments.to_owned()).expect("JSON");
    validator.0.check(&raw, false).map(|_| ())
}

#[test]
fn violations_name_the_path_and_what_is_expected() {
    let order = order();
    for (arguments, said) in [
        (
            r#"{"items": [{"price": 1}, {"price": 2}, {"price": 300}]}"#,
            "`items[2].price`: 300 is greater than the maximum of 20",
        ),
        (
            r#"{"items": [{"price": -1}]}"#,
            "`items[0].price`: -1 is less than the minimum of 0",
        ),
        (
            r#"{"items": [{"price": 1.5}]}"#,
            "`items[0].price`: 1.5 is not a whole number from 0 to 20",
        ),
        (r#"{"items": [{}]}"#, "`items[0].price` is missing"),
        (
            r#"{"items": [{"price": 1, "size": "m"}]}"#,
            r#"`items[0].size`: "m" is not one of ["s","l",null]"#,
        ),
        (
            r#"{"items": [{"price": 1, "prize": 2}]}"#,
            "`items[0]`: unknown member `prize`, did you mean `price`?",
        ),
        (r#"{"items": []}"#, "`items`: there are fewer than 1 item"),
        (
            r#"{"items": [{"price": 1}, {"price": 1}]}"#,
            "`items`: an item is there twice",
        ),
        (r#"{"items": {}}"#, "`items`: the object is not an array"),
        (
            r#"{"name": "a"}"#,
            "`name`: \"a\" is shorter than 2 characters",
        ),
        (
            r#"{"name": "abcdefghijk"}"#,
            "`name`: \"abcdefghijk\" is longer than 10 characters",
        ),
        (
            r#"{"name": "AB"}"#,
            "`name`: \"AB\" does not match `^[a-z]+$`",
        ),
        (r#"{"ratio": 0}"#, "`ratio`: 0 is not greater than 0"),
        (r#"{"ratio": 1}"#, "`ratio`: 1 is not less than 1"),
        (r#"{"step": 7}"#, "`step`: 7 is not a multiple of 5"),
        (
            r#"{"mail": "nobody"}"#,
            "`mail`: \"nobody\" is not in the email format",
        ),
        (
            r#"{"form": {"kind": "a", "x": 4}}"#,
            "`form.x`: 4 is greater than the maximum of 3",
        ),
        (
            r#"{"form": 5}"#,
            "`form`: 5 fits none of the accepted forms, expected a string or an object whose `kind` is \"a\"",
        ),
        (
            r#"{"weights": {"a": 1}}"#,
            "`weights`: its name \"a\" does not match `^\\d+$`",
        ),
        (
            r#"{"weights": {"2": "x"}}"#,
            "`weights.2`: \"x\" is not a number",
        ),
        (
            r#"{"weights": {"1": 1, "2": 2, "3": 3}}"#,
            "`weights`: there are more than 2 members",
        ),
        (
            r#"{"nmae": "ab"}"#,
            "unknown argument `nmae`, did you mean `name`?",
        ),
        (
            "[]",
            "expected a JSON object with `form`, `items`, `mail`, `name`, `ratio`, `step`, `weights`",
        ),
    ] {
        assert_eq!(
            check(&order, arguments),
            Err(said.to_owned()),
            "{arguments}"
        );
    }
}

#[test]
fn what_fits_passes_and_null_is_an_empty_object() {
    let order = order();
    for arguments in [
        "{}",
        "null",
        r#"{"name": "ab", "items": [{"price": 20, "size": null}], "ratio": 0.5, "step": 10}"#,
        r#"{"mail": "a@example.org", "form": "x", "weights": {"1": 2}}"#,
    ] {
        assert_eq!(check(&order, arguments), Ok(()), "{arguments}");
    }
}

#[test]
fn violations_beyond_what_is_worth_reading_are_counted() {
    for (count, told, end) in [
        (4, 4, "24 is greater than the maximum of 20"),
        // That there are more than nine items is one more.
        (
            23,
            23,
            "43 is greater than the maximum of 20; `items`: there are more than 9 items",
        ),
        (24, 24, "; and 1 more"),
        (5_000, 24, "; and 4977 more"),
    ] {
        let items: Vec<_> = (21..21 + count)
            .map(|price| json!({ "price": price }))
            .collect();
        let text = check(&order(), &json!({ "items": items }).to_string()).expect_err("too dear");
        assert_eq!(text.matches("greater than").count(), told, "{text}");
        assert!(text.ends_with(end), "{text}");
    }
}

#[test]
fn little_of_the_input_is_repeated() {
    let order = order();
    let long = "é".repeat(1 << 20);
    for arguments in [
        json!({ "name": long }),
        json!({ "mail": long }),
        json!({ long.clone(): 1 }),
        json!({ "weights": { long.clone(): "x" } }),
        json!({ "items": vec![json!({ "price": long }); 9] }),
        json!({ "form": vec![1; 100_000] }),
    ] {
        let text = check(&order, &arguments.to_string()).expect_err("refused");
        assert!(text.len() < 2_000, "{} bytes", text.len());
    }
}

#[test]
fn a_bare_value_is_the_only_argument() {
    let schema = json!({
        "type": "object",
        "properties": {"count": {"type": "integer", "maximum": 5}},
        "required": ["count"],
    });
    let parameters = Vec::leak(vec![parameter::<u8>("count", None)]);
    let only = Validator(Checker::new(&Source::Written(parameters), &schema));
    assert_eq!(check(&only, "5"), Ok(()));
    assert_eq!(
        check(&only, "6"),
        Err("`count`: 6 is greater than the maximum of 5".to_owned())
    );
    assert_eq!(check(&only, "null"), Err("`count` is missing".to_owned()));
}

#[test]
fn arguments_that_serde_json_cannot_hold_are_an_error() {
    let order = order();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for (arguments, said) in [
        ("{\"ratio\": 1e400}", "`ratio`: 1e400 is not less than 1"),
        (
            &format!("{{\"form\": {deep}}}"),
            ", expected a string or an object whose `kind` is \"a\"",
        ),
    ] {
        let text = check(&order, arguments).expect_err("unreadable");
        assert!(text.ends_with(said), "{text}");
        assert!(text.len() < 500, "{text}");
    }
}

#[test]
fn broken_schemas_are_refused_when_they_are_compiled() {
    for (schema, part) in [
        (json!({"type": "strng"}), "/type"),
        (json!({"properties": {"a": {"pattern": "("}}}), "pattern"),
        (json!({"$ref": "https://example.org/x.json"}), ""),
        (json!({"minimum": "1"}), "/minimum"),
    ] {
        let text = Validator::new(&schema).map(|_| ()).expect_err("broken");
        assert!(text.starts_with("its schema is not valid at "), "{text}");
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn recursive_schemas_are_followed() {
    let tree = Validator::new(&json!({
        "type": "object",
        "properties": {"depth": {"type": "integer", "maximum": 2}, "child": {"$ref": "#/$defs/T"}},
        "$defs": {"T": {
            "type": "object",
            "properties": {"depth": {"type": "integer", "maximum": 2}, "child": {"$ref": "#/$defs/T"}},
        }},
    }))
    .expect("a schema");
    assert_eq!(
        check(&tree, r#"{"child": {"child": {"depth": 3}}}"#),
        Err("`child.child.depth`: 3 is greater than the maximum of 2".to_owned())
    );
}

#[test]
fn what_is_surely_valid_compiles() {
    for (schema, sure) in [
        (json!(true), true),
        (
            json!({"type": ["string", "null"], "format": "nonsense", "minLength": 1}),
            true,
        ),
        (
            json!({"type": "integer", "minimum": 0, "maximum": 1.5, "default": "odd"}),
            true,
        ),
        (
            json!({"enum": [1, 1, null], "examples": [{}], "deprecated": true}),
            true,
        ),
        (
            json!({"type": "array", "items": {"anyOf": [{}, false]}, "uniqueItems": true}),
            true,
        ),
        (
            json!({"properties": {"a": {}}, "required": ["a"], "additionalProperties": false}),
            true,
        ),
        (json!({"type": "odd"}), false),
        (json!({"type": ["string", "string"]}), false),
        (json!({"type": []}), false),
        (json!({"anyOf": []}), false),
        (json!({"pattern": "["}), false),
        (json!({"minLength": -1}), false),
        (json!({"minimum": "1"}), false),
        (json!({"required": ["a", "a"]}), false),
        (json!({"items": {"properties": {"a": 1}}}), false),
        (json!({"items": [{}]}), false),
        (json!({"$ref": "#/$defs/X"}), false),
        (json!({"enum": 1}), false),
        (json!(1), false),
    ] {
        assert_eq!(validate::is_surely_valid(&schema), sure, "{schema}");
        let compiles = Validator::new(&schema).is_ok();
        assert!(compiles || !sure, "{schema}");
        assert!(refused::check(&schema).is_ok() || !sure, "{schema}");
    }
}
