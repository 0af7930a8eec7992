//! Patterns and formats of texts, which `jsonschema` knows. Without the feature `validation` they are not checked.

use std::cell::Cell;
use std::time::Duration;
#[cfg(feature = "validation")]
use std::time::Instant;

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

    /// What it demands of a name, in words.
    pub(super) fn of_names(&self) -> String {
        match &self.kind {
            Kind::Digits { signed: false } => "a whole number in quotes, 0 or more".to_owned(),
            Kind::Digits { signed: true } => "a whole number in quotes".to_owned(),
            #[cfg(feature = "validation")]
            Kind::Compiled(_) => format!("a match of {}", self.text),
            #[cfg(not(feature = "validation"))]
            Kind::Unknown => format!("a match of {}", self.text),
        }
    }

    /// Whether a text matches. What a meter has no time left for does not.
    #[cfg_attr(not(feature = "validation"), allow(unused_variables))]
    pub(super) fn matches(&self, text: &str, meter: &Meter) -> bool {
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
            Kind::Compiled(leaf) => {
                let leaf = leaf.get_or_init(|| Leaf::pattern(&self.text));
                if leaf.backtracks {
                    meter.run(|| leaf.takes(text))
                } else {
                    leaf.takes(text)
                }
            }
            #[cfg(not(feature = "validation"))]
            Kind::Unknown => true,
        }
    }
}

/// The time that patterns which need backtracking take in one call.
#[derive(Debug)]
pub(super) struct Meter {
    spent: Cell<Duration>,
    most: Duration,
    #[cfg(test)]
    runs: Cell<usize>,
}

impl Default for Meter {
    /// Patterns that turn back seldom take microseconds.
    fn default() -> Self {
        Self::of(Duration::from_millis(200))
    }
}

impl Meter {
    /// A meter of so much time.
    pub(super) fn of(most: Duration) -> Self {
        Self {
            spent: Cell::default(),
            most,
            #[cfg(test)]
            runs: Cell::default(),
        }
    }

    #[cfg(feature = "validation")]
    fn run(&self, matches: impl FnOnce() -> bool) -> bool {
        if self.is_exhausted() {
            return false;
        }
        #[cfg(test)]
        self.runs.set(self.runs.get() + 1);
        let began = Instant::now();
        let matches = matches();
        self.spent.set(self.spent.get() + began.elapsed());
        matches
    }

    /// The number of texts that were matched.
    #[cfg(test)]
    pub(super) fn runs(&self) -> usize {
        self.runs.get()
    }

    /// Whether no time is left, so that what did not match may have.
    pub(super) fn is_exhausted(&self) -> bool {
        self.spent.get() >= self.most
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
    pub(super) struct Leaf {
        compiled: Option<jsonschema::Validator>,
        /// Whether it is a pattern that needs backtracking.
        pub(super) backtracks: bool,
    }

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
            let backtracks = linear.is_err();
            Self {
                compiled: linear.or_else(|_| bounded()).ok(),
                backtracks,
            }
        }

        pub(super) fn format(name: &str) -> Self {
            let schema = json!({ "format": name });
            let compiled = jsonschema::options()
                .should_validate_formats(true)
                .build(&schema);
            Self {
                compiled: compiled.ok(),
                backtracks: false,
            }
        }

        pub(super) fn takes(&self, text: &str) -> bool {
            self.compiled
                .as_ref()
                .is_none_or(|compiled| compiled.is_valid(&Value::from(text)))
        }
    }
}
