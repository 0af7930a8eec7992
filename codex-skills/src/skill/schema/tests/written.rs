//! Schemas that users write.

use super::*;

fn explicit(schema: fn() -> Result<Value, String>) -> SkillDescriptor {
    const TABLE: &[ParameterDescriptor] = &[
        Slot::<String>::new("documented", Some("From the docs.")).descriptor,
        Slot::<Option<String>>::new("undeclared", Some("Nowhere.")).descriptor,
        Slot::<Option<String>>::new("silent", None).descriptor,
        Slot::<Option<String>>::new("own", None).descriptor,
    ];
    descriptor(InputSchema::Explicit(schema, TABLE))
}

fn written(schema: fn() -> Result<Value, String>) -> Result<InputShape, String> {
    input(&explicit(schema))
}

fn from_builder(schema: Value) -> Result<Arc<InputShape>, String> {
    let skill = Skill::builder("skill")
        .input_schema(schema)
        .handler(|_: Value| async { Ok::<_, std::convert::Infallible>(()) });
    Known::default().dynamic_input(&skill)
}

fn warnings(property: Value) -> Vec<String> {
    let mut schema = json!({"type": "object", "properties": {}});
    schema["properties"]["p"] = property;
    from_builder(schema).expect("a schema").warnings.clone()
}

#[test]
fn docs_fill_in_what_is_missing_and_add_nothing() {
    let shape = written(|| {
        r#"{
            "type": "object",
            "properties": {
                "documented": {"type": "string"},
                "silent": {"type": "string", "title": "Kept"},
                "own": {"type": "string", "description": "Its own."}
            },
            "required": ["documented"]
        }"#
        .into_schema()
    })
    .expect("a schema");
    assert_eq!(
        *shape.value(),
        json!({
            "type": "object",
            "properties": {
                "documented": {"type": "string", "description": "From the docs."},
                "silent": {"type": "string", "title": "Kept"},
                "own": {"type": "string", "description": "Its own."},
            },
            "required": ["documented"],
        })
    );
    assert!(shape.says_more);
    assert_eq!(shape.warnings, [""; 0]);
}

#[test]
fn declared_properties_without_docs_are_known() {
    let skill = explicit(|| {
        Ok(json!({"properties": {"documented": {}, "silent": {}, "other": {"description": "x"}}}))
    });
    assert_eq!(input(&skill).expect("a schema").undocumented, ["silent"]);
}

#[test]
fn docs_never_replace_a_description() {
    let shape = written(|| {
        Ok(json!({
            "properties": {"documented": {"type": "string", "description": "Written."}, "silent": true},
        }))
    })
    .expect("a schema");
    assert_eq!(
        shape.value()["properties"],
        json!({"documented": {"type": "string", "description": "Written."}, "silent": true})
    );
}

#[test]
fn the_bytes_do_not_depend_on_the_order_of_writing() {
    let bytes = |text: &str| {
        let schema = serde_json::from_str(text).expect("JSON");
        from_builder(schema).expect("a schema").value().to_string()
    };
    assert_eq!(
        bytes(
            r#"{"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "null"}}}"#
        ),
        bytes(
            r#"{"properties": {"b": {"type": "null"}, "a": {"type": "string"}}, "type": "object"}"#
        )
    );
}

#[test]
fn what_codex_refuses_is_an_error_with_place_and_remedy() {
    for (schema, text) in [
        (
            json!({"type": "object", "properties": {"a": {"type": "array", "items": [{}]}}}),
            "codex refuses its input schema at `properties.a.items` (invalid type: sequence, \
             expected struct JsonSchema): give one schema for all items, `anyOf` where they differ",
        ),
        (
            json!({"type": "null"}),
            "codex refuses its input schema at the root (tool input schema must not be a singleton \
             null type): describe an object",
        ),
        (
            json!({"required": "a"}),
            "codex refuses its input schema at `required` (invalid type: string \"a\", expected a \
             sequence): list the names of the properties that must be there",
        ),
    ] {
        assert_eq!(from_builder(schema).map(|_| ()), Err(text.to_owned()));
    }
}

#[test]
fn only_objects_can_be_arguments() {
    for schema in [
        json!(true),
        json!({"type": "string"}),
        json!({"type": ["string", "null"]}),
    ] {
        let text = from_builder(schema).map(|_| ()).expect_err("no object");
        assert!(
            text.starts_with("its input schema does not describe a JSON object"),
            "{text}"
        );
    }
    for schema in [
        json!({}),
        json!({"type": ["object", "null"]}),
        json!({"anyOf": [{"type": "object"}]}),
        json!({"properties": {}}),
    ] {
        assert!(from_builder(schema).is_ok());
    }
}

#[test]
fn text_that_is_not_json_is_an_error() {
    let text = written(|| "{".into_schema())
        .map(|_| ())
        .expect_err("not JSON");
    assert!(
        text.starts_with("its `input_schema` is not JSON: EOF"),
        "{text}"
    );
}

#[test]
fn a_hostile_nesting_is_refused() {
    let mut schema = json!({"type": "object"});
    for _ in 0..200 {
        schema = json!({"properties": {"a": schema}});
    }
    let text = from_builder(schema).map(|_| ()).expect_err("too deep");
    assert_eq!(
        text,
        "the schema nests more than 64 levels deep: flatten it"
    );
}

#[test]
fn what_codex_drops_or_rewrites_is_a_warning_with_its_place() {
    for (property, warning) in [
        (
            json!({"type": "integer", "minimum": 1}),
            "codex does not show the model `minimum` (at `properties.p`): say it in the description",
        ),
        (
            json!({"type": "string", "nullable": true}),
            "codex drops `nullable` (at `properties.p`): add \"null\" to the list of types",
        ),
        (
            json!({"type": "array", "prefixItems": [{"type": "integer"}]}),
            "codex drops `prefixItems` (at `properties.p`) and takes the items for strings: write \
             one schema for all `items`",
        ),
        (
            json!({"enum": [1, 2]}),
            "codex takes `enum` and `const` without `type` (at `properties.p`) for strings: write \
             the type",
        ),
        (
            json!({"const": 1}),
            "codex takes `enum` and `const` without `type` (at `properties.p`) for strings: write \
             the type",
        ),
        (
            json!({"type": "array"}),
            "codex takes the items of an array without `items` (at `properties.p`) for strings: \
             write `items`",
        ),
        (
            json!({"anyOf": [true, {"type": "null"}]}),
            "codex takes the schemas `true` and `false` (at `properties.p.anyOf.0`) for strings: \
             write an object",
        ),
        (
            json!({"description": "Alone."}),
            "codex drops a `description` that stands alone (at `properties.p`): write the type \
             beside it",
        ),
        (
            json!({"minItems": 1}),
            "codex drops a `minItems` that stands alone (at `properties.p`): write the type beside it",
        ),
    ] {
        assert_eq!(warnings(property), [warning]);
    }
}

#[test]
fn each_dropped_keyword_is_told() {
    for (keyword, value) in [
        ("default", json!("a")),
        ("examples", json!(["a"])),
        ("format", json!("date")),
        ("pattern", json!("^a")),
        ("minimum", json!(1)),
        ("maximum", json!(1)),
        ("exclusiveMinimum", json!(1)),
        ("exclusiveMaximum", json!(1)),
        ("minLength", json!(1)),
        ("maxLength", json!(1)),
        ("maxItems", json!(1)),
        ("uniqueItems", json!(true)),
        ("not", json!({})),
        ("if", json!({})),
        ("then", json!({})),
        ("else", json!({})),
        ("patternProperties", json!({})),
        ("dependentRequired", json!({})),
        ("multipleOf", json!(1)),
    ] {
        let mut property = json!({"type": "string"});
        property[keyword] = value;
        let warnings = warnings(property);
        assert_eq!(warnings.len(), 1, "{keyword}");
        assert!(
            warnings[0].contains(&format!("`{keyword}`")),
            "{warnings:?}"
        );
    }
}

#[test]
fn what_codex_keeps_or_nobody_misses_is_not_a_warning() {
    for property in [
        json!({"type": "string", "title": "T", "$comment": "c"}),
        json!({"enum": ["a", "b"]}),
        json!({"const": "a"}),
        json!({"type": "object", "additionalProperties": false}),
        json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
        json!({"oneOf": [{"type": "string"}, {"type": "null"}]}),
        json!({}),
    ] {
        assert_eq!(warnings(property), [""; 0]);
    }
    let schema = json!({
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}, "minimum": {"type": "string"}},
        "$defs": {"A": {"type": "string"}},
    });
    assert_eq!(from_builder(schema).expect("a schema").warnings, [""; 0]);
}

#[test]
fn warnings_are_grouped_and_bounded() {
    let mut schema = json!({"type": "object", "properties": {}});
    for at in 0..50 {
        schema["properties"][format!("p{at:02}")] = json!({"type": "integer", "minimum": at});
    }
    assert_eq!(
        from_builder(schema).expect("a schema").warnings,
        [
            "codex does not show the model `minimum` (at `properties.p00`, `properties.p01`, \
          `properties.p02` and 47 more): say it in the description"
        ]
    );
    let many = json!({
        "type": "string", "default": "a", "examples": ["a"], "format": "date", "pattern": "a", "minLength": 1,
        "maxLength": 5, "not": {}, "minimum": 1, "maximum": 2, "multipleOf": 1, "maxItems": 1, "uniqueItems": true,
        "nullable": true, "contentEncoding": "base64",
    });
    let warnings = warnings(many);
    assert_eq!(warnings.len(), 13);
    assert_eq!(
        warnings.last().map(String::as_str),
        Some("codex drops or rewrites 2 more keywords of the input schema")
    );
}

/// What is wrong with a property.
fn wrong(property: Value) -> String {
    let mut schema = json!({"type": "object", "properties": {}});
    schema["properties"]["p"] = property;
    from_builder(schema).map(|_| ()).expect_err("wrong")
}

#[test]
fn what_is_no_schema_is_refused_with_the_word_that_is_there_and_what_to_write() {
    for (property, text) in [
        (
            json!({"type": "dict"}),
            "its schema is not valid at `properties.p.type`: `dict` is no type of JSON schema: write \"object\"",
        ),
        (
            json!({"type": ["strng", "null"]}),
            "at `properties.p.type`: `strng` is no type of JSON schema: write one of \"array\", \"boolean\"",
        ),
        (
            json!({"type": "string", "pattern": "[^]"}),
            "at `properties.p.pattern`: the pattern `[^]` has a class of nothing: list characters in it",
        ),
        (
            json!({"$ref": "#/$defs/Nowhere"}),
            "at `properties.p.$ref`: `#/$defs/Nowhere` leads nowhere: put its target under `$defs`",
        ),
        (
            json!({"$ref": "https://example.org/x.json"}),
            "at `properties.p.$ref`: `https://example.org/x.json` is in another document",
        ),
        (
            json!({"type": "object", "properties": {}, "required": null}),
            "at `properties.p.required`: it is `null`: leave it out",
        ),
        (
            json!({"type": "object", "properties": {"a": {}}, "required": ["b"]}),
            "at `properties.p.required`: `b` is no property: describe it under `properties`",
        ),
        (
            json!({"type": "string", "enum": []}),
            "at `properties.p.enum`: it lists no values",
        ),
        (
            json!({"type": "string", "enum": [1]}),
            "at `properties.p.enum`: `1` is not of the type \"string\"",
        ),
        (
            json!({"type": "integer", "const": "a"}),
            "at `properties.p.const`: `\"a\"` is not of the type \"integer\"",
        ),
        (
            json!({"type": "number", "exclusiveMinimum": true}),
            "at `properties.p.exclusiveMinimum`: it is `true` or `false`, as in drafts before 6",
        ),
        (
            json!({"type": "integer", "minimum": 5, "maximum": 1}),
            "at `properties.p.minimum`: `minimum` is above `maximum`",
        ),
        (
            json!({"type": "string", "maxLength": -1}),
            "at `properties.p.maxLength`: `-1` is no whole number from 0 on",
        ),
        (
            json!({"anyOf": []}),
            "at `properties.p.anyOf`: it lists no schemas",
        ),
        (
            json!({"type": "object", "properties": {}, "dependentRequired": {"a": "b"}}),
            "at `properties.p.dependentRequired.a`: list the names",
        ),
    ] {
        let said = wrong(property.clone());
        assert!(said.contains(text), "{property}: {said}");
        assert!(said.starts_with("its schema is not valid at "), "{said}");
    }
}

#[test]
fn what_parts_of_an_object_require_may_be_described_elsewhere() {
    for property in [
        json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        json!({"allOf": [{"required": ["a"]}, {"properties": {"a": {"type": "string"}}}]}),
        json!({"type": "object", "additionalProperties": {"type": "string"}, "required": ["a"]}),
    ] {
        let mut schema = json!({"type": "object", "properties": {}});
        schema["properties"]["p"] = property.clone();
        assert!(from_builder(schema).is_ok(), "{property}");
    }
}

#[test]
fn definitions_that_nothing_refers_to_are_silent() {
    let schema = json!({
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}},
        "$defs": {
            "A": {"type": "string", "items": {"$ref": "#/$defs/B"}},
            "B": {"type": "string"},
            "C": {"type": "string", "minLength": 1},
            "D": {"type": "array", "items": {"$ref": "#/$defs/C"}, "format": "x"},
        },
    });
    assert_eq!(from_builder(schema).expect("a schema").warnings, [""; 0]);
}

#[test]
fn a_choice_at_the_root_is_warned_about_with_the_cure() {
    for schema in [
        json!({"type": "object", "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
            "oneOf": [{"required": ["id"]}, {"required": ["name"]}]}),
        json!({"type": "object", "anyOf": [{"type": "object", "properties": {"a": {"type": "string"}}}]}),
        json!({"type": "object", "allOf": [{"type": "object"}]}),
        json!({"type": "object", "enum": [{}]}),
        json!({"type": "object", "$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}}),
        json!({"anyOf": [{"type": "object"}]}),
        json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}}),
        json!({}),
        json!({"type": ["object", "null"]}),
        json!({"properties": {"a": {"type": "string"}}}),
    ] {
        let shape = from_builder(schema.clone()).expect("a schema");
        assert!(
            shape
                .warnings
                .iter()
                .any(|text| text.contains("move the choice under a property")),
            "{schema}: {:?}",
            shape.warnings
        );
    }
}

#[test]
fn written_schemas_say_in_words_what_is_dropped_where_it_is_asked_for() {
    let skill = Skill::builder("skill")
        .input_schema(json!({
            "type": "object",
            "properties": {
                "limit": {"type": "integer", "minimum": 1, "maximum": 9, "default": 5, "description": "How many."},
                "since": {"type": "string", "format": "date"},
                "tags": {"type": "array", "items": {"type": "string", "maxLength": 9, "description": "A word."}},
                "pair": {"type": "array", "items": {}, "prefixItems": [{"type": "string"}, {"type": "integer"}]},
                "odd": {"type": "string", "not": {"pattern": "^a"}, "pattern": "x".repeat(101)},
            },
        }))
        .handler(|_: Value| async { Ok::<_, std::convert::Infallible>(()) });
    let mut known = Known {
        schema_words: true,
        ..Known::default()
    };
    let shape = known.dynamic_input(&skill).expect("a schema");
    let said = |name: &str| shape.value()["properties"][name]["description"].clone();
    assert_eq!(said("limit"), "How many (whole number, 1 to 9; default 5).");
    assert_eq!(said("since"), "Date format.");
    assert_eq!(said("tags"), "Each: A word (each at most 9 characters).");
    assert_eq!(said("pair"), "A string, a whole number, in this order.");
    assert_eq!(said("odd"), "Matches a pattern.");
    assert_eq!(
        shape.warnings,
        [
            "codex does not show the model `not` (at `properties.odd`): say it in the description",
            "codex does not show the model `pattern` (at `properties.odd`): say it in the description",
        ]
    );
}

#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only its schema matters")]
struct Query {
    #[serde(alias = "max")]
    limit: u64,
    name: Option<String>,
}

fn of_query(schema: Value) -> Result<Vec<String>, String> {
    let skill = Skill::builder("skill")
        .input_schema(schema)
        .handler(|_: Query| async { Ok::<_, std::convert::Infallible>(()) });
    let shape = Known::default().dynamic_input(&skill)?;
    Ok(shape.warnings.clone())
}

#[test]
fn a_written_schema_fits_its_handler_or_sealing_says_where_not() {
    let limit = json!({"type": "integer"});
    let text = json!({"type": "string"});
    for (properties, required, said) in [
        (
            json!({"limit": limit, "query": text}),
            json!(["limit"]),
            "`query`, which its handler refuses",
        ),
        (
            json!({"name": text}),
            json!([]),
            "its handler needs `limit`, which its input schema does not have",
        ),
        (
            json!({"limit": {"type": "boolean"}}),
            json!(["limit"]),
            "`limit` is \"boolean\" in its input schema",
        ),
        (
            json!({"limit": limit, "name": {"type": "array", "items": text}}),
            json!(["limit"]),
            "`name` is \"array\"",
        ),
    ] {
        let schema = json!({"type": "object", "properties": properties, "required": required});
        let error = of_query(schema.clone()).expect_err("does not fit");
        assert!(error.contains(said), "{schema}: {error}");
    }
    let optional = json!({"type": "object", "properties": {"limit": limit}});
    let warnings = of_query(optional).expect("some calls are right");
    assert!(
        warnings[0].contains("needs `limit`, which its input schema does not require"),
        "{warnings:?}"
    );
    for fits in [
        json!({"type": "object", "properties": {"limit": limit}, "required": ["limit"]}),
        // A name that only decoding knows, and a text for an integer that JavaScript has not.
        json!({"type": "object", "properties": {"max": limit}, "required": ["max"]}),
        json!({"type": "object", "properties": {"limit": text}, "required": ["limit"]}),
        json!({"type": "object", "properties": {"limit": {"type": "number"}}, "required": ["limit"]}),
    ] {
        assert_eq!(of_query(fits.clone()), Ok(Vec::new()), "{fits}");
    }
}

#[test]
fn output_schemas_of_the_builder_are_kept() {
    let skill = |schema: Option<Value>| {
        let builder = Skill::builder("skill");
        let builder = match schema {
            Some(schema) => builder.output_schema(schema),
            None => builder,
        };
        builder.handler(|_: Value| async { Ok::<_, std::convert::Infallible>(()) })
    };
    let kept = |schema| {
        let output = dynamic_output(&skill(schema))?;
        Ok::<_, String>(output.map(|output| output.value.clone()))
    };
    assert_eq!(kept(None), Ok(None));
    assert_eq!(kept(Some(json!({}))), Ok(None));
    assert_eq!(
        kept(Some(json!({"const": 1}))),
        Ok(Some(json!({"const": 1})))
    );
    assert!(kept(Some(json!("x"))).is_err());
}
