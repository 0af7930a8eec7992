//! Arguments against their schema: what it says beyond the types (ranges, lengths, patterns). Without
//! the feature `validation` everything passes.

#[cfg(feature = "validation")]
pub(crate) use checked::Validator;
#[cfg(not(feature = "validation"))]
pub(crate) use unchecked::Validator;

#[cfg(not(feature = "validation"))]
mod unchecked {
    use serde_json::Value;
    use serde_json::value::RawValue;

    /// Accepts everything.
    #[derive(Debug)]
    pub(crate) struct Validator;

    #[allow(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "mirrors the checking one"
    )]
    impl Validator {
        pub(crate) fn new(_: &Value) -> Result<Self, String> {
            Ok(Self)
        }

        pub(crate) fn check(&self, _: &RawValue) -> Result<(), String> {
            Ok(())
        }
    }
}

#[cfg(feature = "validation")]
mod checked {
    use jsonschema::ValidationError;
    use jsonschema::error::ValidationErrorKind as Kind;
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    /// The most violations in one message, and how much of the model's own input a message repeats.
    const VIOLATIONS: usize = 3;
    const SHOWN: usize = 60;
    const PATH: usize = 120;

    /// Checks arguments against an input schema.
    #[derive(Debug)]
    pub(crate) struct Validator {
        compiled: jsonschema::Validator,
        /// The only property, which arguments that are no object are taken for.
        only: Option<String>,
    }

    impl Validator {
        /// Compiles a schema.
        ///
        /// # Errors
        /// When it is not a valid JSON schema, or refers to another document.
        pub(crate) fn new(schema: &Value) -> Result<Self, String> {
            let compiled = jsonschema::options()
                .should_validate_formats(true)
                .build(schema)
                .map_err(|error| {
                    let place = match error.instance_path().as_str() {
                        "" => "the root".to_owned(),
                        path => format!("`{path}`"),
                    };
                    let text = error.masked().to_string();
                    format!("its schema is not valid at {place}: {}", short(&text, 200))
                })?;
            let properties = schema.get("properties").and_then(Value::as_object);
            let mut names = properties.into_iter().flat_map(serde_json::Map::keys);
            let only = match (names.next(), names.next()) {
                (Some(only), None) => Some(only.clone()),
                _ => None,
            };
            Ok(Self { compiled, only })
        }

        /// Checks arguments; `null` counts as an empty object.
        ///
        /// # Errors
        /// When they break the schema. The message names at most three places and what is expected
        /// there, and repeats little of the arguments.
        pub(crate) fn check(&self, arguments: &RawValue) -> Result<(), String> {
            let value = match serde_json::from_str(arguments.get()) {
                Ok(Value::Null) => json!({}),
                Ok(value @ Value::Object(_)) => value,
                Ok(value) => match &self.only {
                    Some(only) => json!({ only: value }),
                    None => return Err("expected a JSON object".to_owned()),
                },
                Err(error) => return Err(unreadable(&error)),
            };
            let mut violations = Vec::new();
            let mut more = false;
            for error in self.compiled.iter_errors(&value) {
                more = violations.len() == VIOLATIONS;
                if more {
                    break;
                }
                let line = violation(&error, &value);
                if !violations.contains(&line) {
                    violations.push(line);
                }
            }
            if violations.is_empty() {
                return Ok(());
            }
            let more = if more { "; and more" } else { "" };
            Err(format!("{}{more}", violations.join("; ")))
        }
    }

    fn unreadable(error: &serde_json::Error) -> String {
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or(&text);
        format!("the arguments cannot be read: {reason}")
    }

    fn violation(error: &ValidationError<'_>, root: &Value) -> String {
        let error = nearest(error);
        let path = path_of(error.instance_path().as_str(), root);
        let (path, reason) = match error.kind() {
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                (member(&path, name), "is missing".to_owned())
            }
            kind => (path, format!(": {}", expected(kind, error.instance()))),
        };
        match (path.is_empty(), reason.strip_prefix(": ")) {
            (true, bare) => bare.unwrap_or(&reason).to_owned(),
            (false, Some(reason)) => format!("`{}`: {reason}", short(&path, PATH)),
            (false, None) => format!("`{}` {reason}", short(&path, PATH)),
        }
    }

    /// Inside a choice, the one violation of the branch that came closest.
    fn nearest<'a, 'b>(error: &'a ValidationError<'b>) -> &'a ValidationError<'b>
    where
        'static: 'b,
    {
        let (Kind::AnyOf { context } | Kind::OneOfNotValid { context }) = error.kind() else {
            return error;
        };
        let depth = error.instance_path().as_str().len();
        let mut close = context.iter().filter_map(|branch| match branch.as_slice() {
            [only] if only.instance_path().as_str().len() > depth => Some(only),
            _ => None,
        });
        match (close.next(), close.next()) {
            (Some(only), None) => nearest(only),
            _ => error,
        }
    }

    /// What is there, and what is expected.
    fn expected(kind: &Kind, instance: &Value) -> String {
        let found = found(instance);
        let items = |count: u64, one: &str, many: &str| {
            format!("{count} {}", if count == 1 { one } else { many })
        };
        match kind {
            Kind::Minimum { limit } => format!("{found} is less than the minimum of {limit}"),
            Kind::Maximum { limit } => format!("{found} is greater than the maximum of {limit}"),
            Kind::ExclusiveMinimum { limit } => format!("{found} is not greater than {limit}"),
            Kind::ExclusiveMaximum { limit } => format!("{found} is not less than {limit}"),
            Kind::MultipleOf { multiple_of } => {
                format!("{found} is not a multiple of {multiple_of}")
            }
            Kind::MinLength { limit } => {
                format!(
                    "{found} is shorter than {}",
                    items(*limit, "character", "characters")
                )
            }
            Kind::MaxLength { limit } => {
                format!(
                    "{found} is longer than {}",
                    items(*limit, "character", "characters")
                )
            }
            Kind::MinItems { limit } => {
                format!("there are fewer than {}", items(*limit, "item", "items"))
            }
            Kind::MaxItems { limit } => {
                format!("there are more than {}", items(*limit, "item", "items"))
            }
            Kind::MinProperties { limit } => {
                format!(
                    "there are fewer than {}",
                    items(*limit, "member", "members")
                )
            }
            Kind::MaxProperties { limit } => {
                format!("there are more than {}", items(*limit, "member", "members"))
            }
            Kind::UniqueItems => "an item is there twice".to_owned(),
            Kind::Pattern { pattern } => {
                format!("{found} does not match `{}`", short(pattern, 200))
            }
            Kind::Format { format } => format!("{found} is not in the {format} format"),
            Kind::Enum { options } => {
                format!("{found} is not one of {}", short(&options.to_string(), 300))
            }
            Kind::Constant { expected_value } => {
                format!("{found} is not {}", short(&expected_value.to_string(), 200))
            }
            Kind::Type { kind } => format!("{found} is not of type {}", types(kind)),
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => {
                let names: Vec<String> = unexpected
                    .iter()
                    .take(VIOLATIONS)
                    .map(|name| format!("`{}`", short(name, SHOWN)))
                    .collect();
                format!("unknown member {}", names.join(", "))
            }
            Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => {
                format!("{found} fits none of the accepted forms")
            }
            Kind::PropertyNames { error } => {
                format!("its name {}", { expected(error.kind(), error.instance()) })
            }
            other => format!(
                "{found} breaks the rule `{}`",
                short(other.keyword(), SHOWN)
            ),
        }
    }

    fn types(kind: &jsonschema::error::TypeKind) -> String {
        match kind {
            jsonschema::error::TypeKind::Single(name) => name.to_string(),
            jsonschema::error::TypeKind::Multiple(names) => {
                let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
                names.join(" or ")
            }
        }
    }

    /// A value as the message shows it; objects and arrays by their kind, since they can be large.
    fn found(instance: &Value) -> String {
        match instance {
            Value::Object(_) => "the object".to_owned(),
            Value::Array(_) => "the array".to_owned(),
            Value::String(text) => {
                let shown: String = text.chars().take(SHOWN).collect();
                if shown.len() < text.len() {
                    format!("{:?}…", shown)
                } else {
                    Value::from(shown).to_string()
                }
            }
            other => short(&other.to_string(), SHOWN),
        }
    }

    fn short(text: &str, most: usize) -> String {
        let shown: String = text.chars().take(most).collect();
        if shown.len() < text.len() {
            format!("{shown}…")
        } else {
            shown
        }
    }

    /// A JSON pointer as code: `items[2].price`.
    fn path_of(pointer: &str, root: &Value) -> String {
        let mut path = String::new();
        let mut here = Some(root);
        for segment in pointer.split('/').skip(1) {
            if path.len() > 2 * PATH {
                break;
            }
            let segment = segment.replace("~1", "/").replace("~0", "~");
            if let Some(Value::Array(items)) = here {
                path = format!("{path}[{segment}]");
                here = segment.parse::<usize>().ok().and_then(|at| items.get(at));
            } else {
                path = member(&path, &short(&segment, PATH));
                here = here.and_then(|object| object.get(&segment));
            }
        }
        path
    }

    fn member(path: &str, name: &str) -> String {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    }
}
