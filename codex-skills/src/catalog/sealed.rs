//! A sealed catalog: immutable, rendered once, cheap to share.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::skill::context::{Invocation, StateMap};
use crate::skill::descriptor::{Answer, HandlerFuture};
use crate::skill::schema::Validator;
use crate::skill::{Location, SkillFailure};

/// How every instruction text begins.
pub(super) const INSTRUCTIONS: &str = "Skills of this session, each a tool that you can call. Use them where they help, and no \
     tools besides those you were given.";
/// What stands between the instruction text and the request.
const USER_REQUEST: &str = "\n\nUser request:\n";

/// The skills of a session, sealed: what codex is told about them, and how they are called.
///
/// A clone is a reference to the same catalog; a thousand sessions of it hold one copy.
#[derive(Clone)]
pub struct Catalog {
    pub(super) inner: Arc<CatalogInner>,
}

pub(super) struct CatalogInner {
    pub(super) skills: Vec<Arc<CatalogSkill>>,
    pub(super) index: HashMap<Arc<str>, usize>,
    pub(super) tools: Arc<RawValue>,
    /// Rendered when somebody asks.
    pub(super) flat_tools: OnceLock<Arc<RawValue>>,
    pub(super) instructions: String,
    pub(super) fingerprint: Arc<str>,
    pub(super) warnings: Vec<String>,
    pub(super) state: Arc<StateMap>,
}

impl Catalog {
    /// The catalog without skills.
    #[must_use]
    pub fn empty() -> Self {
        static EMPTY: OnceLock<Catalog> = OnceLock::new();
        EMPTY
            .get_or_init(|| super::seal::render(Vec::new(), Vec::new(), StateMap::default()))
            .clone()
    }

    /// The number of skills.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.skills.len()
    }

    /// Whether there are no skills.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.skills.is_empty()
    }

    /// The skills, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &CatalogSkill> {
        self.inner.skills.iter().map(AsRef::as_ref)
    }

    /// The skill of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&CatalogSkill> {
        self.find(name).map(AsRef::as_ref)
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Arc<CatalogSkill>> {
        self.inner
            .index
            .get(name)
            .and_then(|at| self.inner.skills.get(*at))
    }

    /// The names of the skills, sorted.
    #[must_use]
    pub fn list(&self) -> Vec<&str> {
        self.iter().map(CatalogSkill::name).collect()
    }

    /// The dynamic tools that the session is created with, in codex's canonical form: a JSON array of objects
    /// with exactly `type`, `name`, `description` and `inputSchema`, sorted by name. Rendered once, when
    /// sealing.
    #[must_use]
    pub fn dynamic_tools(&self) -> &RawValue {
        &self.inner.tools
    }

    /// The dynamic tools in the older form, which codex-manager takes: the same without `type`. Rendered once,
    /// when first asked for.
    #[must_use]
    pub fn flat_tools(&self) -> Option<&RawValue> {
        Some(self.flat())
    }

    fn flat(&self) -> &Arc<RawValue> {
        let flat = || super::seal::flat_tools(&self.inner.skills);
        self.inner.flat_tools.get_or_init(flat)
    }

    /// The canonical tools as a session takes them: none at all for an empty catalog.
    pub(crate) fn shared_tools(&self) -> Option<Arc<RawValue>> {
        (!self.is_empty()).then(|| self.inner.tools.clone())
    }

    /// The flat tools as a session takes them: none at all for an empty catalog.
    pub(crate) fn shared_flat_tools(&self) -> Option<Arc<RawValue>> {
        (!self.is_empty()).then(|| self.flat().clone())
    }

    /// The catalog as text for a prompt. It holds what dynamic tools have no place for: the schema
    /// and the description of each answer. Empty for an empty catalog.
    #[must_use]
    pub fn instruction_text(&self) -> &str {
        &self.inner.instructions
    }

    /// The request with the instruction text before it; unchanged for an empty catalog.
    #[must_use]
    pub fn inject_request(&self, request: &str) -> String {
        if self.is_empty() {
            return request.to_owned();
        }
        format!("{}{USER_REQUEST}{request}", self.inner.instructions)
    }

    /// A digest of the dynamic tools: equal for equal tools, in whatever order they were registered.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.inner.fingerprint
    }

    pub(crate) fn shared_fingerprint(&self) -> Arc<str> {
        self.inner.fingerprint.clone()
    }

    /// What codex would take but not as it was meant. Also logged when the catalog is sealed.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.inner.warnings
    }

    pub(crate) fn state(&self) -> &Arc<StateMap> {
        &self.inner.state
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("skills", &self.list())
            .field("fingerprint", &self.inner.fingerprint)
            .finish()
    }
}

impl<'a> IntoIterator for &'a Catalog {
    type Item = &'a CatalogSkill;
    type IntoIter = Box<dyn ExactSizeIterator<Item = &'a CatalogSkill> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

/// The request without the instruction text that [`Catalog::inject_request`] put before it.
#[cfg(feature = "embedded")]
pub(crate) fn without_instructions(text: &str) -> &str {
    // No line of an instruction text is empty, so the first separator is ours.
    text.strip_prefix(INSTRUCTIONS)
        .and_then(|rest| rest.split_once(USER_REQUEST))
        .map_or(text, |(_, request)| request)
}

/// One skill of a sealed catalog.
pub struct CatalogSkill {
    pub(super) name: Arc<str>,
    pub(super) description: String,
    pub(super) input_schema: Value,
    pub(super) input_len: usize,
    pub(super) output_schema: Option<Value>,
    pub(super) output_description: Option<String>,
    pub(super) group: Option<String>,
    pub(super) timeout: Option<Duration>,
    pub(super) read_only: bool,
    pub(super) location: Location,
    /// Where the schema demands more than decoding enforces.
    pub(super) validator: Option<Validator>,
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

    /// The description that the model reads.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The schema of the arguments, as declared.
    #[must_use]
    pub fn input_schema(&self) -> &Value {
        &self.input_schema
    }

    /// The length in bytes of the compact input schema. Above 5,000 codex strips the descriptions
    /// (contract §1.4).
    #[must_use]
    pub fn input_schema_len(&self) -> usize {
        self.input_len
    }

    /// The schema of the answer, where there is one.
    #[must_use]
    pub fn output_schema(&self) -> Option<&Value> {
        self.output_schema.as_ref()
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

    /// Checks the arguments against what the schema demands beyond the types.
    pub(crate) fn validate(&self, arguments: &RawValue) -> Result<(), SkillFailure> {
        match &self.validator {
            Some(validator) => validator.check(arguments).map_err(SkillFailure::arguments),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for CatalogSkill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogSkill")
            .field("name", &self.name)
            .field("description", &self.description)
            .field("location", &format_args!("{}", self.location))
            .finish_non_exhaustive()
    }
}
