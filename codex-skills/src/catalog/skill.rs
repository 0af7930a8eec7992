//! One skill of a sealed catalog, and how its handler is run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::skill::Location;
use crate::skill::context::Invocation;
use crate::skill::descriptor::{Answer, HandlerFuture};
use crate::skill::schema::{InputShape, OutputShape};

/// One skill of a sealed catalog.
///
/// ```
/// # use codex_skills::{Draft, skill, skills};
/// # /// Double a number.
/// # #[skill(group = "numbers")]
/// # fn double(number: i64) -> i64 { number * 2 }
/// let catalog = Draft::new().register(skills![double]).seal()?;
/// for skill in &catalog {
///     println!("{}: {} bytes of schema", skill.name(), skill.input_schema_len());
/// }
/// # Ok::<(), codex_skills::CatalogError>(())
/// ```
pub struct CatalogSkill {
    pub(super) name: Arc<str>,
    pub(super) namespace: Option<Arc<str>>,
    /// The name with the namespace before it.
    pub(super) qualified: Arc<str>,
    pub(super) deferred: bool,
    pub(super) description: String,
    pub(super) input: Arc<InputShape>,
    pub(super) output: Option<Arc<OutputShape>>,
    pub(super) output_description: Option<String>,
    pub(super) group: Option<String>,
    pub(super) timeout: Option<Duration>,
    pub(super) read_only: bool,
    pub(super) whole_answer: bool,
    pub(super) location: Location,
    pub(super) turnstile: Option<Arc<tokio::sync::Mutex<()>>>,
    pub(super) run: Run,
}

/// How the handler is run.
pub(crate) enum Run {
    Async(Arc<dyn Fn(Invocation) -> HandlerFuture + Send + Sync>),
    AsyncStatic(fn(Invocation) -> HandlerFuture),
    Blocking(RunBlocking),
    Inline(fn(Invocation) -> Answer),
}

/// A handler for the pool of blocking threads.
#[derive(Clone)]
pub(crate) enum RunBlocking {
    Static(fn(Invocation) -> Answer),
    Dynamic(Arc<dyn Fn(Invocation) -> Answer + Send + Sync>),
}

impl RunBlocking {
    pub(crate) fn call(&self, invocation: Invocation) -> Answer {
        match self {
            Self::Static(handler) => handler(invocation),
            Self::Dynamic(handler) => handler(invocation),
        }
    }
}

impl CatalogSkill {
    /// The name of the tool on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace of the tool.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The name by which the skill is found in its catalog: `lookup`, or `tickets.lookup` in a namespace.
    #[must_use]
    pub fn qualified_name(&self) -> &str {
        &self.qualified
    }

    /// Whether the model finds the tool by searching its tools, instead of in the list of them. It can call it
    /// without, if it knows the name (contract §1.5).
    #[must_use]
    pub fn is_deferred(&self) -> bool {
        self.deferred
    }

    /// The description that the model reads.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The schema of the arguments, as declared in [`Catalog::dynamic_tools`](crate::Catalog::dynamic_tools). What is checked may be stricter: a
    /// choice at the root is declared as one flat object.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let catalog = Draft::new().register(skills![double]).seal()?;
    /// let schema = catalog.get("double").expect("a skill").input_schema();
    /// assert_eq!(schema["properties"]["number"]["type"], "integer");
    /// # Ok::<(), codex_skills::CatalogError>(())
    /// ```
    #[must_use]
    pub fn input_schema(&self) -> &Value {
        self.input.declared()
    }

    /// The length in bytes of the compact input schema. Above 5,000, as codex counts, it strips the descriptions
    /// (contract §1.4).
    #[must_use]
    pub fn input_schema_len(&self) -> usize {
        self.input.text.get().len()
    }

    /// The schema of the answer, where there is one.
    #[must_use]
    pub fn output_schema(&self) -> Option<&Value> {
        self.output.as_ref().map(|output| &output.value)
    }

    /// What the answer means.
    #[must_use]
    pub fn output_description(&self) -> Option<&str> {
        self.output_description.as_deref()
    }

    /// The group of the skill.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// The skill's own deadline, where it has one.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Whether calls of this skill run one at a time.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.turnstile.is_some()
    }

    /// Whether the author says that the skill changes nothing.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether an answer of which the model would be shown a part is a failure.
    #[must_use]
    pub fn needs_whole_answer(&self) -> bool {
        self.whole_answer
    }

    /// Where the skill is written.
    #[must_use]
    pub fn location(&self) -> Location {
        self.location
    }

    pub(crate) fn turnstile(&self) -> Option<&Arc<tokio::sync::Mutex<()>>> {
        self.turnstile.as_ref()
    }

    pub(crate) fn run(&self) -> &Run {
        &self.run
    }

    /// What the schema of the answer says.
    pub(crate) fn output(&self) -> Option<&OutputShape> {
        self.output.as_deref()
    }

    /// What checks the arguments.
    pub(crate) fn input(&self) -> &Arc<InputShape> {
        &self.input
    }
}

impl fmt::Debug for CatalogSkill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogSkill")
            .field("name", &self.qualified)
            .field("description", &self.description)
            .field("location", &format_args!("{}", self.location))
            .finish_non_exhaustive()
    }
}
