//! Arguments against their schema: what it says beyond the types (ranges, lengths, patterns). Without
//! the feature `validation` everything passes.

use serde_json::Value;

use super::Object;
use super::refused::TYPES;

#[cfg(feature = "validation")]
pub(crate) use checked::Validator;
#[cfg(not(feature = "validation"))]
pub(crate) use unchecked::Validator;

/// Whether a schema is valid by what it is made of, so that compiling it cannot fail. Others may be valid too.
pub(super) fn is_surely_valid(schema: &Value) -> bool {
    let Value::Object(members) = schema else {
        return schema.is_boolean();
    };
    are_surely_valid(members)
}

/// The same of its members.
pub(super) fn are_surely_valid(members: &Object) -> bool {
    members
        .iter()
        .all(|(keyword, value)| match keyword.as_str() {
            "type" => match value {
                Value::Array(names) => {
                    !names.is_empty() && are_distinct(names) && names.iter().all(is_type)
                }
                name => is_type(name),
            },
            "title" | "description" | "format" => value.is_string(),
            "default" => true,
            "enum" | "examples" => value.is_array(),
            "required" => value
                .as_array()
                .is_some_and(|names| are_distinct(names) && names.iter().all(Value::is_string)),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => value.is_number(),
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties"
            | "maxProperties" => value.is_u64(),
            "uniqueItems" | "deprecated" | "readOnly" | "writeOnly" => value.is_boolean(),
            "items" | "additionalProperties" => is_surely_valid(value),
            "properties" => value
                .as_object()
                .is_some_and(|properties| properties.values().all(is_surely_valid)),
            "anyOf" | "oneOf" | "allOf" => value.as_array().is_some_and(|branches| {
                !branches.is_empty() && branches.iter().all(is_surely_valid)
            }),
            _ => false,
        })
}

fn is_type(name: &Value) -> bool {
    name.as_str().is_some_and(|name| TYPES.contains(&name))
}

/// Whether no value is there twice. Of long lists that is not asked.
fn are_distinct(values: &[Value]) -> bool {
    values.len() <= 64
        && values
            .iter()
            .enumerate()
            .all(|(at, value)| values.iter().take(at).all(|before| before != value))
}

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

        pub(crate) fn leaving_the_root_to_decoding(self) -> Self {
            self
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
    use serde_json::{Map, Value, json};

    use crate::skill::arguments::{Argument, is_missing, listed, unknown};

    /// The most violations in one message, and how much of the model's own input a message repeats.
    const VIOLATIONS: usize = 3;
    const SHOWN: usize = 60;
    const PATH: usize = 120;

    /// Checks arguments against an input schema.
    #[derive(Debug)]
    pub(crate) struct Validator {
        compiled: jsonschema::Validator,
        /// The properties of the root, and how they are described.
        properties: Vec<(String, Option<String>)>,
        /// Whether the members of the root are left to decoding.
        root_is_decoded: bool,
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
            Ok(Self {
                compiled,
                properties: properties.map(described).unwrap_or_default(),
                root_is_decoded: false,
            })
        }

        /// The same without a check of which members the root has.
        pub(crate) fn leaving_the_root_to_decoding(mut self) -> Self {
            self.root_is_decoded = true;
            self
        }

        fn is_left_to_decoding(&self, error: &ValidationError<'_>) -> bool {
            let about_members = matches!(
                error.kind(),
                Kind::Required { .. } | Kind::AdditionalProperties { .. }
            );
            self.root_is_decoded && about_members && error.instance_path().as_str().is_empty()
        }

        fn names(&self) -> Vec<&str> {
            self.properties
                .iter()
                .map(|(name, _)| name.as_str())
                .collect()
        }

        /// Reads arguments; a value that is no object is taken for the only property.
        fn read(&self, arguments: &RawValue) -> Result<Value, String> {
            let text = arguments.get();
            let only = match self.properties.as_slice() {
                [(only, _)] if !text.starts_with('{') => Some(only.as_str()),
                _ => None,
            };
            match Value::decode(text) {
                Ok(Value::Null) => Ok(json!({})),
                Ok(value @ Value::Object(_)) => Ok(value),
                Ok(value) => match only {
                    Some(only) => Ok(json!({ only: value })),
                    None => Err(format!(
                        "expected a JSON object with {}",
                        short(&listed(&self.names()), 1_000)
                    )),
                },
                Err(error) => Err(error.under(only.unwrap_or_default()).to_string()),
            }
        }

        /// Checks arguments; `null` counts as an empty object.
        ///
        /// # Errors
        /// When they break the schema. The message names at most three places and what is expected
        /// there, and repeats little of the arguments.
        pub(crate) fn check(&self, arguments: &RawValue) -> Result<(), String> {
            let value = self.read(arguments)?;
            let mut violations = Vec::new();
            let mut more = false;
            let errors = self.compiled.iter_errors(&value);
            for error in errors.filter(|error| !self.is_left_to_decoding(error)) {
                more = violations.len() == VIOLATIONS;
                if more {
                    break;
                }
                let line = self.violation(&error, &value);
                if !violations.contains(&line) {
                    violations.push(line);
                }
            }
            if violations.is_empty() {
                return Ok(());
            }
            let more = if more { "; and more" } else { "" };
            let told = violations.join("; ").replace(".; ", "; ");
            Err(format!("{told}{more}"))
        }

        fn violation(&self, error: &ValidationError<'_>, root: &Value) -> String {
            let error = nearest(error);
            let path = path_of(error.instance_path().as_str(), root);
            match error.kind() {
                Kind::Required { property } => {
                    let name = property.as_str().unwrap_or_default();
                    let description = self
                        .properties
                        .iter()
                        .find(|(known, _)| path.is_empty() && known == name)
                        .and_then(|(_, description)| description.as_deref());
                    is_missing(&short(&member(&path, name), PATH), description)
                }
                Kind::AdditionalProperties { unexpected } if path.is_empty() => unexpected
                    .iter()
                    .take(VIOLATIONS)
                    .map(|name| unknown(name, &self.names()))
                    .collect::<Vec<_>>()
                    .join("; "),
                kind if path.is_empty() => expected(kind, error.instance()),
                kind => format!(
                    "`{}`: {}",
                    short(&path, PATH),
                    expected(kind, error.instance())
                ),
            }
        }
    }

    fn described(properties: &Map<String, Value>) -> Vec<(String, Option<String>)> {
        properties
            .iter()
            .map(|(name, schema)| {
                let description = schema.get("description").and_then(Value::as_str);
                (name.clone(), description.map(|text| short(text, 300)))
            })
            .collect()
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
