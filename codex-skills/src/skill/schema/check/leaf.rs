//! Patterns and formats of texts, which `jsonschema` knows. Without the feature `validation` they are not checked.

/// A pattern of texts. Patterns of map keys that are whole numbers are known without a regular expression.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Digits {
        signed: bool,
    },
    #[cfg(feature = "validation")]
    Compiled(std::sync::OnceLock<Leaf>),
    #[cfg(not(feature = "validation"))]
    Unknown,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self {
            kind: match text {
                r"^\d+$" => Kind::Digits { signed: false },
                r"^-?\d+$" => Kind::Digits { signed: true },
                #[cfg(feature = "validation")]
                _ => Kind::Compiled(std::sync::OnceLock::new()),
                #[cfg(not(feature = "validation"))]
                _ => Kind::Unknown,
            },
            text: text.to_owned(),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match &self.kind {
            Kind::Digits { signed } => {
                let digits = if *signed {
                    text.strip_prefix('-').unwrap_or(text)
                } else {
                    text
                };
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            }
            #[cfg(feature = "validation")]
            Kind::Compiled(leaf) => leaf.get_or_init(|| Leaf::pattern(&self.text)).takes(text),
            #[cfg(not(feature = "validation"))]
            Kind::Unknown => true,
        }
    }
}

/// A format of texts.
#[derive(Debug)]
pub(super) struct Format {
    pub(super) name: String,
    #[cfg(feature = "validation")]
    leaf: std::sync::OnceLock<Leaf>,
}

impl Format {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            #[cfg(feature = "validation")]
            leaf: std::sync::OnceLock::new(),
        }
    }

    #[cfg(feature = "validation")]
    pub(super) fn matches(&self, text: &str) -> bool {
        self.leaf
            .get_or_init(|| Leaf::format(&self.name))
            .takes(text)
    }

    #[cfg(not(feature = "validation"))]
    pub(super) fn matches(&self, _: &str) -> bool {
        true
    }
}

#[cfg(feature = "validation")]
use checked::Leaf;

#[cfg(feature = "validation")]
mod checked {
    use jsonschema::PatternOptions;
    use serde_json::{Value, json};

    /// How often a pattern that needs backtracking may turn back in one text.
    const BACKTRACKS: usize = 10_000;

    /// One keyword, compiled; `None` where that failed, which sealing found.
    #[derive(Debug)]
    pub(super) struct Leaf(Option<jsonschema::Validator>);

    impl Leaf {
        /// Linear in the text where the pattern allows it, bounded where it needs backtracking.
        pub(super) fn pattern(pattern: &str) -> Self {
            let schema = json!({ "pattern": pattern });
            let linear = jsonschema::options()
                .with_pattern_options(PatternOptions::regex())
                .build(&schema);
            let bounded = || {
                let options = PatternOptions::fancy_regex().backtrack_limit(BACKTRACKS);
                jsonschema::options()
                    .with_pattern_options(options)
                    .build(&schema)
            };
            Self(linear.or_else(|_| bounded()).ok())
        }

        pub(super) fn format(name: &str) -> Self {
            let schema = json!({ "format": name });
            Self(
                jsonschema::options()
                    .should_validate_formats(true)
                    .build(&schema)
                    .ok(),
            )
        }

        pub(super) fn takes(&self, text: &str) -> bool {
            self.0
                .as_ref()
                .is_none_or(|compiled| compiled.is_valid(&Value::from(text)))
        }
    }
}
