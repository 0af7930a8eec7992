//! Schemas that types write by hand.

use super::*;

#[test]
fn hand_made_schemas_are_shaped_too() {
    fn shaped(schema: Value) -> Value {
        let mut shaper = shape::Shaper::for_output();
        let mut value = shaper.shape(schema, shape::Place::Inside);
        value.sort_all_objects();
        value
    }
    for (schema, expected) in [
        (json!({"const": 5}), json!({"type": "integer", "enum": [5]})),
        (
            json!({"enum": ["a", 1, null]}),
            json!({"type": ["string", "integer", "null"], "enum": ["a", 1, null]}),
        ),
        (
            json!({"type": "string", "nullable": true}),
            json!({"type": ["string", "null"]}),
        ),
        (
            json!({"type": "string", "enum": ["a"], "nullable": true}),
            json!({"type": ["string", "null"], "enum": ["a", null]}),
        ),
        (
            json!({"allOf": [{"type": "string", "title": "T"}], "description": "d"}),
            json!({"type": "string", "description": "d"}),
        ),
        (
            json!({"anyOf": [{"oneOf": [{"type": "string"}]}]}),
            json!({"type": "string"}),
        ),
        (
            json!({"anyOf": [{"type": "null"}, {"anyOf": [{"type": "boolean"}, {"type": "null"}]}]}),
            json!({"type": ["boolean", "null"]}),
        ),
        (
            json!({"anyOf": [{"type": "null"}]}),
            json!({"type": "null"}),
        ),
        (
            json!({"type": "array"}),
            json!({"type": "array", "items": {}}),
        ),
        (
            json!({"type": "array", "items": true}),
            json!({"type": "array", "items": {}}),
        ),
        (
            json!({"items": {"const": "a"}}),
            json!({"type": "array", "items": {"type": "string", "enum": ["a"]}}),
        ),
        (
            json!({"type": "array", "items": [{"type": "string"}]}),
            json!({"type": "array", "items": {"type": "string"}}),
        ),
        (
            json!({"properties": {"a": true}}),
            json!({"type": "object", "properties": {"a": {}}, "additionalProperties": false}),
        ),
        (
            json!({"type": "object", "properties": {}, "additionalProperties": true}),
            json!({"type": "object", "properties": {}, "additionalProperties": true}),
        ),
        (json!({"type": "object"}), json!({"type": "object"})),
        (
            json!({"type": "object", "required": ["a", "b", "a"]}),
            json!({"type": "object", "required": ["a", "b"]}),
        ),
        (
            json!({"$schema": "x", "title": "x", "type": "string"}),
            json!({"type": "string"}),
        ),
        (
            json!({"oneOf": [{"const": 1}, {"const": 2, "description": "Two."}]}),
            json!({"type": "integer", "enum": [1, 2], "description": "`2`: Two."}),
        ),
        (
            json!({"allOf": [{"type": "object", "properties": {"a": true}}, {"type": "object", "properties": {"b": true}}]}),
            json!({"allOf": [{"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"b": {}}}]}),
        ),
        (json!(false), json!({"not": {}})),
        (json!(true), json!({})),
        (json!({"enum": []}), json!({"enum": []})),
    ] {
        assert_eq!(shaped(schema.clone()), expected, "{schema}");
    }
}
