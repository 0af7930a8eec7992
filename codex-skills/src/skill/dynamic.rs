//! Skills made at run time from closures.

use std::fmt;
use std::future::Future;
use std::panic::Location as Caller;
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::{Invocation, SkillContext};
use super::decoding::{decode_struct, reads};
use super::descriptor::{Answer, HandlerFuture, Location};
use super::output::SkillFailure;
use super::returned::{Explain, Reply};
use super::schema::check::Reads;
use super::schema::fits::members_of;
use super::schema::keys;

/// A skill made at run time: a closure with typed arguments, and its metadata.
///
/// ```
/// use codex_skills::Skill;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Sum {
///     /// The numbers to add.
///     numbers: Vec<f64>,
/// }
///
/// let sum = Skill::builder("sum")
///     .description("Add numbers.")
///     .handler(|arguments: Sum| async move {
///         Ok::<_, std::convert::Infallible>(arguments.numbers.iter().sum::<f64>())
///     });
/// assert_eq!(sum.name(), "sum");
/// ```
#[derive(Clone)]
pub struct Skill {
    pub(crate) meta: Meta,
    pub(crate) arguments: fn(&mut SchemaGenerator) -> Schema,
    /// The members that the arguments' type reads, where that is known.
    pub(crate) members: fn() -> Option<&'static [&'static str]>,
    /// Decodes them, for what is wrong with them.
    pub(crate) reads: Reads,
    pub(crate) handler: DynamicHandler,
    /// Serialises the calls of an exclusive skill.
    pub(crate) turnstile: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone)]
pub(crate) struct Meta {
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    pub(crate) deferred: bool,
    pub(crate) description: Option<String>,
    pub(crate) input_schema: Option<Value>,
    pub(crate) output_schema: Option<Value>,
    pub(crate) output_description: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) exclusive: bool,
    pub(crate) read_only: bool,
    pub(crate) whole_answer: bool,
    pub(crate) location: Location,
}

#[derive(Clone)]
pub(crate) enum DynamicHandler {
    Async(Arc<dyn Fn(Invocation) -> HandlerFuture + Send + Sync>),
    Blocking(Arc<dyn Fn(Invocation) -> Answer + Send + Sync>),
}

impl Skill {
    /// Starts a skill of this name; a handler completes it.
    #[track_caller]
    pub fn builder(name: impl Into<String>) -> SkillBuilder {
        SkillBuilder::new(name.into(), ())
    }

    /// The name of the tool on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.meta.name
    }

    /// The namespace of its own.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.meta.namespace.as_deref()
    }
}

impl fmt::Debug for Skill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Skill")
            .field("name", &self.meta.name)
            .field("location", &format_args!("{}", self.meta.location))
            .finish_non_exhaustive()
    }
}

/// Destination of a skill that is complete: returned by itself as a [`Skill`], or added to a draft.
pub trait SkillParent {
    /// What the handler's method returns.
    type Done;

    /// Takes the skill.
    fn adopt(self, skill: Skill) -> Self::Done;
}

impl SkillParent for () {
    type Done = Skill;

    fn adopt(self, skill: Skill) -> Skill {
        skill
    }
}

/// The result of a handler of [`Skill::builder`]: a future with a `Result`.
#[diagnostic::on_unimplemented(
    message = "the handler of a skill is an async closure that returns a `Result`",
    label = "not a future with a `Result`",
    note = "write `|arguments: Arguments| async move {{ Ok::<_, Error>(..) }}`",
    note = "for sync code use `blocking_handler`, which takes a closure that returns a `Result`"
)]
pub trait FallibleFuture:
    Future<Output = Result<<Self as FallibleFuture>::Value, <Self as FallibleFuture>::Error>>
{
    /// The answer.
    type Value;
    /// Why there is none.
    type Error;
}

#[diagnostic::do_not_recommend]
impl<R, T, E> FallibleFuture for R
where
    R: Future<Output = Result<T, E>>,
{
    type Value = T;
    type Error = E;
}

/// The metadata of a [`Skill`] that has no handler yet.
///
/// ```
/// use std::time::Duration;
///
/// use codex_skills::{Skill, skill};
/// use serde_json::{Value, json};
///
/// // Tools that are known only while the program runs, as those of a configuration.
/// let skills = ["berlin", "paris"].map(|city| {
///     Skill::builder(format!("weather_in_{city}"))
///         .description(format!("Say the weather in {city}."))
///         .input_schema(json!({"type": "object", "properties": {}}))
///         .timeout(Duration::from_secs(5))
///         .read_only()
///         .handler(move |_: Value| async move { Ok::<_, std::io::Error>(format!("rain in {city}")) })
/// });
/// assert_eq!(skills[0].name(), "weather_in_berlin");
/// ```
#[derive(Clone)]
#[must_use = "a handler completes the skill"]
pub struct SkillBuilder<P = ()> {
    meta: Meta,
    parent: P,
}

impl<P: SkillParent> SkillBuilder<P> {
    #[track_caller]
    pub(crate) fn new(name: String, parent: P) -> Self {
        let caller = Caller::caller();
        Self {
            parent,
            meta: Meta {
                name: name.trim().to_owned(),
                namespace: None,
                deferred: false,
                description: None,
                input_schema: None,
                output_schema: None,
                output_description: None,
                group: None,
                timeout: None,
                exclusive: false,
                read_only: false,
                whole_answer: false,
                location: Location {
                    file: caller.file(),
                    line: caller.line(),
                    column: caller.column(),
                },
            },
        }
    }

    /// The namespace of the tool: the model calls `tickets.lookup`. Without it, that of the catalog
    /// ([`Draft::namespace`](crate::Draft::namespace)), where it has one.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.meta.namespace = Some(namespace.into().trim().to_owned());
        self
    }

    /// Keeps the tool off the list that the model reads: it finds it by searching its tools. Needs a
    /// namespace, of its own or the catalog's.
    pub fn defer(mut self) -> Self {
        self.meta.deferred = true;
        self
    }

    /// The description that the model reads. Default: the description of the arguments' type, and failing that `Remote
    /// skill NAME`.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.meta.description = Some(description.into());
        self
    }

    /// An input schema that replaces the one of the arguments' type.
    ///
    /// ```
    /// use codex_skills::Skill;
    /// use serde_json::{Value, json};
    ///
    /// let skill = Skill::builder("search")
    ///     .input_schema(json!({
    ///         "type": "object",
    ///         "properties": {"text": {"type": "string", "description": "What to look for."}},
    ///         "required": ["text"],
    ///     }))
    ///     .handler(|arguments: Value| async move { Ok::<_, std::io::Error>(arguments["text"].clone()) });
    /// # drop(skill);
    /// ```
    pub fn input_schema(mut self, schema: Value) -> Self {
        self.meta.input_schema = Some(schema);
        self
    }

    /// The schema of the answer, for the instruction text.
    pub fn output_schema(mut self, schema: Value) -> Self {
        self.meta.output_schema = Some(schema);
        self
    }

    /// What the answer means, for the instruction text.
    pub fn output_description(mut self, description: impl Into<String>) -> Self {
        self.meta.output_description = Some(description.into());
        self
    }

    /// The group of the skill.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.meta.group = Some(group.into());
        self
    }

    /// The deadline of a call, from its arrival to its answer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.meta.timeout = Some(timeout);
        self
    }

    /// Runs calls of this skill one at a time.
    ///
    /// ```
    /// use codex_skills::Skill;
    /// use serde_json::Value;
    ///
    /// let skill = Skill::builder("print")
    ///     .exclusive()
    ///     .handler(|_: Value| async { Ok::<_, std::io::Error>("printed") });
    /// # drop(skill);
    /// ```
    pub fn exclusive(mut self) -> Self {
        self.meta.exclusive = true;
        self
    }

    /// Hints that the skill changes nothing.
    pub fn read_only(mut self) -> Self {
        self.meta.read_only = true;
        self
    }

    /// Makes an answer of which codex would show its model a part (see [`Limits::shown_bytes`]) a failure that asks
    /// for less: for those that are of no use unless they are whole.
    ///
    /// [`Limits::shown_bytes`]: crate::Limits::shown_bytes
    pub fn whole_answer(mut self) -> Self {
        self.meta.whole_answer = true;
        self
    }

    /// Completes the skill with an asynchronous handler of one typed argument struct.
    ///
    /// The handler returns a `Result`: the model reads the error's `Display` text.
    ///
    /// ```
    /// use codex_skills::Skill;
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Note {
    ///     /// What to remember.
    ///     text: String,
    /// }
    ///
    /// let skill = Skill::builder("take_note")
    ///     .description("Remember a text.")
    ///     .handler(|note: Note| async move { Ok::<_, std::io::Error>(note.text.len()) });
    /// assert_eq!(skill.name(), "take_note");
    /// ```
    pub fn handler<A, F, R, V, W>(self, handler: F) -> P::Done
    where
        A: DeserializeOwned + JsonSchema,
        F: Fn(A) -> R + Send + Sync + 'static,
        R: FallibleFuture + Send + 'static,
        R::Value: Reply<V>,
        R::Error: Explain<W>,
    {
        self.handler_with_context(move |arguments, _| handler(arguments))
    }

    /// Like [`handler`](Self::handler), with the context of the call.
    ///
    /// ```
    /// use codex_skills::Skill;
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Note {
    ///     /// What to remember.
    ///     text: String,
    /// }
    ///
    /// let skill = Skill::builder("take_note")
    ///     .description("Remember a text.")
    ///     .handler_with_context(|note: Note, cx| async move {
    ///         Ok::<_, std::io::Error>(format!("{}: {}", cx.session_id(), note.text))
    ///     });
    /// assert_eq!(skill.name(), "take_note");
    /// ```
    pub fn handler_with_context<A, F, R, V, W>(self, handler: F) -> P::Done
    where
        A: DeserializeOwned + JsonSchema,
        F: Fn(A, SkillContext) -> R + Send + Sync + 'static,
        R: FallibleFuture + Send + 'static,
        R::Value: Reply<V>,
        R::Error: Explain<W>,
    {
        let run = move |invocation: Invocation| -> HandlerFuture {
            match decode_struct(&invocation) {
                Ok(arguments) => {
                    let running = handler(arguments, invocation.context);
                    Box::pin(async move { answer(running.await) })
                }
                Err(failure) => Box::pin(std::future::ready(Err(failure))),
            }
        };
        self.complete::<A>(DynamicHandler::Async(Arc::new(run)))
    }

    /// Completes the skill with a synchronous handler, which runs on a thread of its own.
    ///
    /// ```
    /// use codex_skills::Skill;
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Note {
    ///     /// What to remember.
    ///     text: String,
    /// }
    ///
    /// let skill = Skill::builder("take_note")
    ///     .description("Remember a text.")
    ///     .blocking_handler(|note: Note| std::fs::write("note.txt", note.text));
    /// assert_eq!(skill.name(), "take_note");
    /// ```
    pub fn blocking_handler<A, F, T, E, V, W>(self, handler: F) -> P::Done
    where
        A: DeserializeOwned + JsonSchema,
        F: Fn(A) -> Result<T, E> + Send + Sync + 'static,
        T: Reply<V>,
        E: Explain<W>,
    {
        let run = move |invocation: Invocation| answer(handler(decode_struct(&invocation)?));
        self.complete::<A>(DynamicHandler::Blocking(Arc::new(run)))
    }

    fn complete<A: DeserializeOwned + JsonSchema>(self, handler: DynamicHandler) -> P::Done {
        self.parent.adopt(Skill {
            meta: self.meta,
            arguments: |generator| keys::named::<A>(A::json_schema(generator), generator),
            members: members_of::<A>,
            reads: reads::<A>,
            handler,
            turnstile: Arc::default(),
        })
    }
}

impl<P> fmt::Debug for SkillBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SkillBuilder")
            .field("name", &self.meta.name)
            .finish_non_exhaustive()
    }
}

fn answer<T, E, V, W>(result: Result<T, E>) -> Answer
where
    T: Reply<V>,
    E: Explain<W>,
{
    match result {
        Ok(value) => value.into_answer(),
        Err(error) => Err(SkillFailure::handler(error.explain())),
    }
}
