//! Schemas that users write.

use super::*;

fn explicit(schema: fn() -> Result<Value, String>) -> SkillDescriptor {
    const TABLE: &[ParameterDescriptor] = &[
        Slot::<String>::new("documented", Some("From the docs.")).descriptor,
        Slot::<String>::new("undeclared", Some("Nowhere.")).descriptor,
        Slot::<String>::new("silent", None).descriptor,
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
            json!({"type": ["strng", "null"]}),
            "codex drops the unknown type `strng` (at `properties.p`)",
        ),
        (
            json!({"anyOf": [true, {"type": "null"}]}),
            "codex takes the schemas `true` and `false` (at `properties.p.anyOf.0`) for strings: \
             write an object",
        ),
        (
            json!({"$ref": "#/$defs/Nowhere"}),
            "`#/$defs/Nowhere` (at `properties.p`) leads nowhere: put its target under `$defs`",
        ),
        (
            json!({"$ref": "https://example.org/x.json"}),
            "`https://example.org/x.json` (at `properties.p`) leads nowhere: put its target under \
             `$defs`",
        ),
        (
            json!({"description": "Alone."}),
            "codex drops a `description` that stands alone (at `properties.p`): write the type \
             beside it",
        ),
        (
            json!({"minItems": 1, "type": []}),
            "codex drops a `minItems` that stands alone (at `properties.p`): write the type beside it",
        ),
    ] {
        assert_eq!(warnings(property), [warning]);
    }
}

#[test]
fn each_dropped_keyword_is_told() {
    for keyword in [
        "default",
        "examples",
        "format",
        "pattern",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "not",
        "if",
        "then",
        "else",
        "patternProperties",
        "dependentRequired",
        "multipleOf",
    ] {
        let mut property = json!({"type": "string"});
        property[keyword] = json!({});
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
    let mut schema = json!({"type": "object", "properties": {}});
    for at in 0..50 {
        schema["properties"][format!("p{at:02}")] = json!({"type": format!("t{at:02}")});
    }
    let warnings = from_builder(schema).expect("a schema").warnings.clone();
    assert_eq!(warnings.len(), 13);
    assert_eq!(
        warnings.last().map(String::as_str),
        Some("codex drops or rewrites 38 more keywords of the input schema")
    );
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
