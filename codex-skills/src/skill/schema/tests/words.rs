//! What is said, and what it counts for.

use serde_json::json;

use super::*;

fn said(schema: Value) -> String {
    let Value::Object(mut schema) = schema else {
        return String::new();
    };
    let natural = Natural::of(&schema);
    drop_odd_format(&mut schema);
    words(&Said::of(&schema), &natural).join("; ")
}

#[test]
fn each_dropped_keyword_has_its_words() {
    for (schema, words) in [
        (json!({"minimum": 0, "maximum": 255}), "0 to 255"),
        (json!({"minimum": 0}), "0 or more"),
        (json!({"minimum": -1.5}), "-1.5 or more"),
        (json!({"maximum": 20.0}), "at most 20"),
        (json!({"minimum": 7, "maximum": 7}), "exactly 7"),
        (json!({"exclusiveMinimum": 0}), "more than 0"),
        (json!({"exclusiveMaximum": 1}), "less than 1"),
        (
            json!({"exclusiveMinimum": 0, "maximum": 1}),
            "more than 0, at most 1",
        ),
        (
            json!({"minimum": 0, "exclusiveMaximum": 1}),
            "0 or more, less than 1",
        ),
        (json!({"multipleOf": 5}), "a multiple of 5"),
        (
            json!({"minLength": 1, "maxLength": 1}),
            "exactly 1 character",
        ),
        (
            json!({"minLength": 0, "maxLength": 80}),
            "at most 80 characters",
        ),
        (json!({"minLength": 3}), "at least 3 characters"),
        (
            json!({"minLength": 1, "maxLength": 20}),
            "1 to 20 characters",
        ),
        (json!({"minItems": 1}), "at least 1 item"),
        (json!({"maxItems": 3}), "at most 3 items"),
        (json!({"uniqueItems": true}), "no duplicates"),
        (json!({"uniqueItems": false}), ""),
        (json!({"maxProperties": 2}), "at most 2 members"),
        (
            json!({"pattern": r"^[A-Z]+-\d+$"}),
            r"matches `^[A-Z]+-\d+$`",
        ),
        (json!({"pattern": "x".repeat(101)}), "matches a pattern"),
        (
            json!({"propertyNames": {"pattern": r"^\d+$"}}),
            "names are whole numbers, 0 or more",
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            "date-time format",
        ),
        (json!({"type": "string", "format": "ip"}), "ip format"),
        (json!({"type": "number", "format": "double"}), ""),
        (
            json!({"type": "integer", "format": "int64"}),
            "whole number; write it as a string beyond 9007199254740991",
        ),
        (
            json!({"type": "integer", "format": "int64", "minimum": -5, "maximum": 5}),
            "whole number, -5 to 5",
        ),
        (
            json!({"type": "integer", "format": "int32", "maximum": 5}),
            "whole number, -2147483648 to 5",
        ),
        (
            json!({"type": "integer", "format": "uint32", "exclusiveMinimum": 2}),
            "whole number, more than 2, at most 4294967295",
        ),
        (
            json!({"type": "integer", "not": {"const": 0}}),
            "whole number; not 0",
        ),
        (json!({"not": {"enum": ["a", "b"]}}), "not \"a\", \"b\""),
        (json!({"not": {"type": "string"}}), ""),
        (json!({"not": {"enum": ["x".repeat(100)]}}), ""),
        (json!({"type": ["integer", "null"]}), "whole number"),
        (json!({"type": "integer", "enum": [1, 2]}), ""),
        (json!({"contentEncoding": "base64"}), "base64 encoded"),
        (
            json!({"propertyNames": {"enum": ["a", "b"]}}),
            "names are `a`, `b`",
        ),
        (
            json!({"examples": ["ABC-123", 2, 3]}),
            "for example \"ABC-123\" or 2",
        ),
        (json!({"default": 5}), "default 5"),
        (json!({"default": "x"}), "default \"x\""),
        (json!({"default": null}), ""),
        (json!({"default": "x".repeat(100)}), ""),
        (json!({"deprecated": true}), "deprecated"),
        (
            json!({"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255, "default": 5}),
            "whole number, 0 to 255; default 5",
        ),
    ] {
        assert_eq!(said(schema.clone()), words, "{schema}");
    }
}

#[test]
fn words_join_the_sentence_or_follow_the_sentences() {
    for (own, text) in [
        ("", "At most 5."),
        ("How many.", "How many (at most 5)."),
        ("How many", "How many (at most 5)"),
        ("Such as `ABC-123`.", "Such as `ABC-123` (at most 5)."),
        ("How many? ", "How many? At most 5."),
        ("One. Two.", "One. Two. At most 5."),
        ("The size (in bytes).", "The size (in bytes). At most 5."),
        ("The size (in bytes)", "The size (in bytes). At most 5."),
        ("One.\n\n- a\n- b", "One.\n\n- a\n- b.\n\nAt most 5."),
        ("```\ncode\n```", "```\ncode\n```\n\nAt most 5."),
    ] {
        assert_eq!(append(own, "at most 5"), text, "{own}");
    }
}

#[test]
fn only_what_decoding_leaves_open_says_more() {
    for (schema, more) in [
        (
            json!({"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255}),
            false,
        ),
        (
            json!({"type": "integer", "format": "uint8", "minimum": 1, "maximum": 255}),
            true,
        ),
        (
            json!({"type": "integer", "format": "uint8", "minimum": 0, "maximum": 9}),
            true,
        ),
        (
            json!({"type": "integer", "format": "uint32", "minimum": 0}),
            false,
        ),
        (json!({"type": "integer", "format": "int64"}), false),
        (json!({"type": "integer", "minimum": 0}), true),
        (
            json!({"type": "array", "prefixItems": [], "minItems": 2, "maxItems": 2}),
            false,
        ),
        (json!({"type": "array", "minItems": 2}), true),
        (json!({"type": "string", "pattern": "a"}), true),
        (json!({"type": "string", "maxLength": 9}), true),
        (json!({"type": "string", "format": "email"}), true),
        (json!({"type": "string", "format": "ip"}), false),
        (
            json!({"type": "string", "enum": ["a"], "description": "x", "default": "a"}),
            false,
        ),
        (
            json!({"type": "object", "propertyNames": {"pattern": r"^\d+$"}}),
            false,
        ),
        (
            json!({"type": "object", "propertyNames": {"pattern": "^a"}}),
            true,
        ),
        (json!({"uniqueItems": true}), true),
        (json!({"not": {}}), true),
    ] {
        let Value::Object(mut members) = schema.clone() else {
            continue;
        };
        let natural = Natural::of(&members);
        drop_odd_format(&mut members);
        assert_eq!(say_more(&members, &natural), more, "{schema}");
    }
}

#[test]
fn two_texts_about_the_same_are_joined_without_repeating_either() {
    for (first, second, text) in [
        ("How high.", "Metres.", "How high. Metres."),
        ("How high", "Metres.", "How high. Metres."),
        ("A level.", "A level.", "A level."),
        ("A level", "A level.", "A level"),
        ("a level", "A level.", "a level"),
        ("Where. A  level!", "A level.", "Where. A  level!"),
        ("A level", "A level of\nurgency.", "A level of\nurgency."),
        // Only whole words are the same words.
        ("Highest", "High", "Highest. High"),
        ("Sidebar", "bar", "Sidebar. bar"),
        // Of several sentences, those that are new.
        (
            "Where to. The address of a customer.",
            "The address of a customer. In Europe.",
            "Where to. The address of a customer. In Europe.",
        ),
        (
            "Such as e.g. this.",
            "E.g. that.",
            "Such as e.g. this. E.g. that.",
        ),
        ("", "A level.", "A level."),
        ("A level.", " ", "A level."),
    ] {
        assert_eq!(join(first, second), text, "{first:?} and {second:?}");
    }
}
