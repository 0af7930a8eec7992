//! The static descriptor of a skill, as the macros write it: readable without running anything.
//!
//! Life cycle: `#[skill]` expands to a `static` [`SkillDescriptor`] and registers it with `inventory`; a draft collects
//! references to descriptors; sealing reads their schemas and names; a call runs `handler`.
//!
//! Invariants: everything here is `const` or a function pointer, so a descriptor costs nothing before it is used, and
//! holds no state: what a handler needs is looked up by [`StateKey`] in its draft. Fields are private to the crate; the
//! macros build descriptors through `codex_skills::__private`. No locks.

use std::any::TypeId;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Invocation;
use super::decoding::reads;
use super::output::{SkillFailure, SkillOutput};
use super::schema::check::Reads;

/// What a handler hands back to what runs it.
pub type Answer = Result<SkillOutput, SkillFailure>;

/// The future of an asynchronous handler.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Types that contribute skills: those that `#[skill]` generates or annotates.
///
/// A function annotated with `#[skill]` gets a type of its own name that implements this trait, and
/// a type whose `impl` block is annotated with `#[skill]` implements it itself. Name them with
/// [`skills!`](crate::skills).
///
/// ```
/// use codex_skills::{SkillSet, skill};
///
/// /// Say hello.
/// #[skill]
/// fn hello() {}
///
/// assert_eq!(hello::SKILLS.len(), 1);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` contributes no skills",
    label = "not a skill",
    note = "annotate a function with `#[skill]`, or the `impl` block of a type"
)]
pub trait SkillSet {
    /// The descriptors, in the order of the source.
    const SKILLS: &'static [&'static SkillDescriptor];
}

/// Where a skill was written.
///
/// ```
/// use codex_skills::{Draft, skill, skills};
///
/// #[skill]
/// fn ping() {}
///
/// let catalog = Draft::new().register(skills![ping]).seal()?;
/// let location = catalog.get("ping").expect("a skill").location();
/// println!("{}:{}", location.file, location.line);
/// # Ok::<(), codex_skills::CatalogError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The source file, as the compiler names it.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One parameter of a skill that is filled from the model's arguments.
#[derive(Clone, Copy)]
pub struct ParameterDescriptor {
    pub(crate) name: &'static str,
    pub(crate) description: Option<&'static str>,
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
    pub(crate) optional: fn() -> bool,
    pub(crate) default: Option<fn() -> Option<Value>>,
    pub(crate) type_name: fn() -> &'static str,
    pub(crate) reads: Reads,
}

impl ParameterDescriptor {
    /// The name of the argument on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What the documentation says about it.
    #[must_use]
    pub const fn description(&self) -> Option<&'static str> {
        self.description
    }

    /// Whether the model must give it: it has no default and its type has no value for "absent".
    #[must_use]
    pub fn required(&self) -> bool {
        self.default.is_none() && !(self.optional)()
    }
}

impl fmt::Debug for ParameterDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParameterDescriptor")
            .field("name", &self.name)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

/// A type of state that a skill needs from its draft.
#[derive(Clone, Copy)]
pub struct StateKey {
    pub(crate) id: fn() -> TypeId,
    pub(crate) name: fn() -> &'static str,
}

impl StateKey {
    /// The key of `T`.
    #[must_use]
    pub const fn of<T: ?Sized + 'static>() -> Self {
        Self {
            id: TypeId::of::<T>,
            name: std::any::type_name::<T>,
        }
    }

    /// Compiles for types that calls on several threads may share. It stands in the function that
    /// uses the state, where its failure keeps the compiler from reporting the consequences.
    pub const fn check<T: ?Sized + Send + Sync + 'static>() {}
}

/// How the input schema of a skill comes about.
#[derive(Clone, Copy)]
pub enum InputSchema {
    /// From the parameter table.
    Parameters(&'static [ParameterDescriptor]),
    /// From a derived arguments struct; the table serves metadata only.
    Derived(fn(&mut SchemaGenerator) -> Schema, Reads),
    /// Written by the user; the table adds descriptions that it lacks.
    Explicit(
        fn() -> Result<Value, String>,
        &'static [ParameterDescriptor],
    ),
}

impl InputSchema {
    /// From a derived arguments struct.
    #[must_use]
    pub const fn derived<T: DeserializeOwned + JsonSchema>() -> Self {
        Self::Derived(T::json_schema, reads::<T>)
    }
}

/// How a handler is run.
#[derive(Clone, Copy)]
pub enum Handler {
    /// On a task of the runtime.
    Async(fn(Invocation) -> HandlerFuture),
    /// On a thread for synchronous handlers.
    Blocking(fn(Invocation) -> Answer),
    /// Directly on the dispatching task: for handlers that neither block nor compute for long.
    Inline(fn(Invocation) -> Answer),
}

/// The static metadata of one skill.
///
/// ```
/// use codex_skills::{SkillSet, skill};
///
/// /// Say hello.
/// #[skill(read_only)]
/// fn hello(
///     /// To whom.
///     name: &str,
/// ) -> String {
///     format!("Hello, {name}!")
/// }
///
/// let [descriptor] = hello::SKILLS else { unreachable!() };
/// assert_eq!((descriptor.name(), descriptor.description()), ("hello", "Say hello."));
/// assert_eq!(descriptor.parameters()[0].name(), "name");
/// assert!(descriptor.is_read_only());
/// ```
pub struct SkillDescriptor {
    pub(crate) name: &'static str,
    pub(crate) namespace: Option<&'static str>,
    pub(crate) namespace_description: Option<&'static str>,
    pub(crate) deferred: bool,
    pub(crate) description: &'static str,
    pub(crate) documented: bool,
    pub(crate) input: InputSchema,
    pub(crate) output_schema: Option<fn(&mut SchemaGenerator) -> Option<Schema>>,
    pub(crate) explicit_output: Option<fn() -> Result<Value, String>>,
    pub(crate) output_description: Option<&'static str>,
    pub(crate) group: Option<&'static str>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) exclusive: bool,
    pub(crate) read_only: bool,
    pub(crate) whole_answer: bool,
    pub(crate) location: Location,
    pub(crate) state: &'static [StateKey],
    pub(crate) handler: Handler,
}

impl SkillDescriptor {
    /// The name of the tool on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The namespace of its own; that of a catalog ([`Draft::namespace`](crate::Draft::namespace)) is for
    /// those without.
    #[must_use]
    pub const fn namespace(&self) -> Option<&'static str> {
        self.namespace
    }

    /// What its namespace is for: the documentation of the `impl` block that has it.
    #[must_use]
    pub const fn namespace_description(&self) -> Option<&'static str> {
        self.namespace_description
    }

    /// Whether the model finds the skill by searching its tools, instead of in the list of them.
    #[must_use]
    pub const fn is_deferred(&self) -> bool {
        self.deferred
    }

    /// The description that the model reads.
    #[must_use]
    pub const fn description(&self) -> &'static str {
        self.description
    }

    /// Whether the author described the skill: the description is not the fallback `Remote skill NAME`.
    #[must_use]
    pub const fn is_documented(&self) -> bool {
        self.documented
    }

    /// The parameters that are filled from the model's arguments; empty where `#[serde]` or
    /// `#[schemars]` attributes on a parameter had the arguments derived as a struct.
    #[must_use]
    pub const fn parameters(&self) -> &'static [ParameterDescriptor] {
        match self.input {
            InputSchema::Parameters(parameters) | InputSchema::Explicit(_, parameters) => {
                parameters
            }
            InputSchema::Derived(..) => &[],
        }
    }

    /// The schema of the arguments, as it is declared. Made anew by each call; a sealed catalog keeps it.
    ///
    /// # Errors
    /// With what is wrong with the schema, as when the catalog is sealed.
    pub fn input_schema(&self) -> Result<Value, String> {
        super::schema::input(self).map(|shape| shape.value)
    }

    /// The schema of the answer; `None` where the return type says nothing about it.
    ///
    /// # Errors
    /// With what is wrong with the schema, as when the catalog is sealed.
    pub fn output_schema(&self) -> Result<Option<Value>, String> {
        super::schema::output(self)
    }

    /// What the answer means.
    #[must_use]
    pub const fn output_description(&self) -> Option<&'static str> {
        self.output_description
    }

    /// The group that [`discover_group`](crate::Draft::discover_group) finds it by.
    #[must_use]
    pub const fn group(&self) -> Option<&'static str> {
        self.group
    }

    /// The skill's own deadline, where it has one.
    #[must_use]
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Whether calls of this skill run one at a time.
    #[must_use]
    pub const fn is_exclusive(&self) -> bool {
        self.exclusive
    }

    /// Whether the author says that the skill changes nothing. A hint: nothing enforces it.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether an answer of which the model would be shown a part is a failure.
    #[must_use]
    pub const fn needs_whole_answer(&self) -> bool {
        self.whole_answer
    }

    /// Where the skill was written.
    #[must_use]
    pub const fn location(&self) -> Location {
        self.location
    }
}

impl fmt::Debug for SkillDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SkillDescriptor")
            .field("name", &self.name)
            .field("namespace", &self.namespace)
            .field("deferred", &self.deferred)
            .field("description", &self.description)
            .field("group", &self.group)
            .field("timeout", &self.timeout)
            .field("exclusive", &self.exclusive)
            .field("read_only", &self.read_only)
            .field("location", &format_args!("{}", self.location))
            .finish_non_exhaustive()
    }
}

/// What the macros call, in const context.
#[doc(hidden)]
impl SkillDescriptor {
    #[must_use]
    pub const fn new(
        name: &'static str,
        location: Location,
        input: InputSchema,
        handler: Handler,
    ) -> Self {
        Self {
            name,
            namespace: None,
            namespace_description: None,
            deferred: false,
            description: "",
            documented: false,
            input,
            output_schema: None,
            explicit_output: None,
            output_description: None,
            group: None,
            timeout: None,
            exclusive: false,
            read_only: false,
            whole_answer: false,
            location,
            state: &[],
            handler,
        }
    }

    #[must_use]
    pub const fn with_description(mut self, description: &'static str) -> Self {
        self.description = description;
        self.documented = true;
        self
    }

    /// The description that a constant has.
    #[must_use]
    pub const fn with_documentation(mut self, description: Option<&'static str>) -> Self {
        if let Some(description) = description {
            self.description = description;
            self.documented = true;
        }
        self
    }

    #[must_use]
    pub const fn with_output_documentation(mut self, description: Option<&'static str>) -> Self {
        self.output_description = description;
        self
    }

    #[must_use]
    pub const fn with_namespace_documentation(mut self, description: Option<&'static str>) -> Self {
        self.namespace_description = description;
        self
    }

    /// The description of a skill without documentation.
    #[must_use]
    pub const fn with_fallback_description(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    #[must_use]
    pub const fn with_output(mut self, schema: fn(&mut SchemaGenerator) -> Option<Schema>) -> Self {
        self.output_schema = Some(schema);
        self
    }

    #[must_use]
    pub const fn with_explicit_output(mut self, schema: fn() -> Result<Value, String>) -> Self {
        self.explicit_output = Some(schema);
        self
    }

    #[must_use]
    pub const fn with_output_description(mut self, description: &'static str) -> Self {
        self.output_description = Some(description);
        self
    }

    #[must_use]
    pub const fn with_group(mut self, group: &'static str) -> Self {
        self.group = Some(group);
        self
    }

    #[must_use]
    pub const fn with_namespace(mut self, namespace: &'static str) -> Self {
        self.namespace = Some(namespace);
        self
    }

    #[must_use]
    pub const fn with_namespace_description(mut self, description: &'static str) -> Self {
        self.namespace_description = Some(description);
        self
    }

    #[must_use]
    pub const fn deferred(mut self) -> Self {
        self.deferred = true;
        self
    }

    #[must_use]
    pub const fn with_timeout_millis(mut self, millis: u64) -> Self {
        self.timeout = Some(Duration::from_millis(millis));
        self
    }

    #[must_use]
    pub const fn exclusive(mut self) -> Self {
        self.exclusive = true;
        self
    }

    #[must_use]
    pub const fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    #[must_use]
    pub const fn whole_answer(mut self) -> Self {
        self.whole_answer = true;
        self
    }

    #[must_use]
    pub const fn with_state(mut self, state: &'static [StateKey]) -> Self {
        self.state = state;
        self
    }
}

/// Schemas that a user writes: JSON text, or a `serde_json::Value`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a JSON schema",
    note = "give JSON text (`&str`), a `serde_json::Value`, or a `schemars::Schema`"
)]
pub trait WrittenSchema {
    /// The schema as a value.
    ///
    /// # Errors
    /// When the text is not JSON.
    fn into_schema(self) -> Result<Value, String>;
}

impl WrittenSchema for &str {
    fn into_schema(self) -> Result<Value, String> {
        serde_json::from_str(self).map_err(|error| error.to_string())
    }
}

impl WrittenSchema for Value {
    fn into_schema(self) -> Result<Value, String> {
        Ok(self)
    }
}

impl WrittenSchema for Schema {
    fn into_schema(self) -> Result<Value, String> {
        Ok(self.into())
    }
}

/// The skills that [`skills!`](crate::skills) names.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct SkillList(&'static [&'static [&'static SkillDescriptor]]);

#[doc(hidden)]
impl SkillList {
    #[must_use]
    pub const fn new(sets: &'static [&'static [&'static SkillDescriptor]]) -> Self {
        Self(sets)
    }

    pub fn iter(&self) -> impl Iterator<Item = &'static SkillDescriptor> + use<> {
        self.0.iter().copied().flatten().copied()
    }
}

impl fmt::Debug for SkillList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(SkillDescriptor::name))
            .finish()
    }
}

inventory::collect!(&'static SkillDescriptor);
