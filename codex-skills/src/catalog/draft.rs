//! A catalog before its session: what can still be added, taken out and asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::future::{Future, ready};
use std::panic::Location as Caller;
use std::pin::Pin;
use std::sync::Arc;

use super::error::{CatalogError, CatalogProblem};
use super::phase::{CreateTime, Phase, Skills, sealed};
use super::sealed::Catalog;
use crate::skill::call::qualified;
use crate::skill::context::StateMap;
use crate::skill::descriptor::SkillList;
use crate::skill::{Location, Skill, SkillBuilder, SkillDescriptor, SkillParent};

/// The phase of a draft.
#[derive(Debug)]
pub struct Drafting;

impl sealed::Sealed for Drafting {}

impl Phase for Drafting {
    type Inner = DraftInner;
}

impl CreateTime for Drafting {
    fn skills(inner: &mut DraftInner) -> &mut DraftSkills {
        &mut inner.skills
    }
}

/// A catalog in the making: register skills, give them their state, seal.
///
/// A session is created with what the register callback returns:
///
/// ```
/// # use codex_skills::{skill, skills, Draft};
/// /// Say hello.
/// #[skill]
/// fn greet(/** Whom to greet. */ name: String) -> String {
///     format!("Hello, {name}!")
/// }
///
/// let catalog = Draft::new().register(skills![greet]).seal()?;
/// assert_eq!(catalog.len(), 1);
/// # Ok::<(), codex_skills::CatalogError>(())
/// ```
pub type Draft = Skills<Drafting>;

/// What a draft holds.
#[derive(Debug, Default)]
#[doc(hidden)]
pub struct DraftInner {
    pub(super) skills: DraftSkills,
    pub(super) state: StateMap,
    /// For skills without one of their own.
    pub(super) namespace: Option<(String, Location)>,
    pub(super) descriptions: Descriptions,
    pub(super) expected: Vec<String>,
    pub(super) documentation_required: bool,
    pub(super) schema_words: bool,
    /// The types of which a second state was given.
    pub(super) replaced: Vec<String>,
    /// What was looked for and is not linked.
    pub(super) missed: Vec<Missed>,
}

/// A discovery that found nothing.
#[derive(Debug)]
pub(super) struct Missed {
    /// The group that was asked for; none for all skills.
    pub(super) group: Option<String>,
    pub(super) location: Location,
}

/// What namespaces are for, and where that is said.
pub(super) type Descriptions = BTreeMap<String, (String, Location)>;

/// The skills of a draft, in the order of registration.
#[derive(Debug, Default)]
#[doc(hidden)]
pub struct DraftSkills {
    pub(super) entries: Vec<Entry>,
    added: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) source: Source,
    serial: u64,
}

/// Where the metadata and the handler of a skill are.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub enum Source {
    /// In a static.
    Static(&'static SkillDescriptor),
    /// In a value.
    Dynamic(Arc<Skill>),
}

impl Source {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Static(descriptor) => descriptor.name,
            Self::Dynamic(skill) => &skill.meta.name,
        }
    }

    /// The namespace of its own.
    pub(super) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Static(descriptor) => descriptor.namespace,
            Self::Dynamic(skill) => skill.meta.namespace.as_deref(),
        }
    }

    pub(super) fn is_deferred(&self) -> bool {
        match self {
            Self::Static(descriptor) => descriptor.deferred,
            Self::Dynamic(skill) => skill.meta.deferred,
        }
    }
}

impl DraftSkills {
    /// Adds what is not there already (the very same skill, named and discovered, is one skill) and
    /// returns the serial numbers of what was added.
    pub(super) fn add<V>(&mut self, skills: impl IntoSkills<V>) -> Vec<u64> {
        let mut added = Vec::new();
        for source in skills.into_sources() {
            if self.has(&source) {
                continue;
            }
            self.added += 1;
            added.push(self.added);
            self.entries.push(Entry {
                source,
                serial: self.added,
            });
        }
        added
    }

    /// Whether the very same skill is there. A value never is: it became a source just now.
    fn has(&self, source: &Source) -> bool {
        let Source::Static(wanted) = source else {
            return false;
        };
        self.entries.iter().any(
            |entry| matches!(entry.source, Source::Static(known) if std::ptr::eq(known, *wanted)),
        )
    }

    pub(super) fn remove(&mut self, name: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| {
            let source = &entry.source;
            source.name() != name && qualified(source.namespace(), source.name()) != name
        });
        self.entries.len() < before
    }

    pub(super) fn clear(&mut self) -> usize {
        std::mem::take(&mut self.entries).len()
    }

    pub(super) fn retract(&mut self, serials: &[u64]) {
        self.entries
            .retain(|entry| !serials.contains(&entry.serial));
    }
}

/// What [`register`](Skills::register) takes.
///
/// ```
/// use codex_skills::{Draft, Skill, skill, skills};
///
/// #[skill]
/// fn ping() {}
///
/// let pong = Skill::builder("pong").handler(|_: serde_json::Value| async { Ok::<_, std::fmt::Error>(()) });
/// let draft = Draft::new().register(skills![ping]).register(pong);
/// assert_eq!(draft.list(), ["ping", "pong"]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of skills",
    label = "expected `skills![..]`, a `Skill`, or descriptors",
    note = "name annotated functions with `skills![lookup_ticket, tickets::close]`",
    note = "a closure becomes a skill with `Skill::builder(\"name\").handler(|arguments: Arguments| async {{ .. }})`"
)]
pub trait IntoSkills<V> {
    /// The skills.
    #[doc(hidden)]
    fn into_sources(self) -> Vec<Source>;
}

/// How a type is a list of skills.
#[doc(hidden)]
#[derive(Debug)]
pub struct ByValue;
/// How a list is a list of skills.
#[doc(hidden)]
#[derive(Debug)]
pub struct Each<V>(std::marker::PhantomData<V>);

impl IntoSkills<ByValue> for SkillList {
    fn into_sources(self) -> Vec<Source> {
        self.iter().map(Source::Static).collect()
    }
}

impl IntoSkills<ByValue> for &'static SkillDescriptor {
    fn into_sources(self) -> Vec<Source> {
        vec![Source::Static(self)]
    }
}

impl IntoSkills<ByValue> for Skill {
    fn into_sources(self) -> Vec<Source> {
        vec![Source::Dynamic(Arc::new(self))]
    }
}

impl<T: IntoIterator> IntoSkills<Each<T::Item>> for T
where
    T::Item: IntoSkills<ByValue>,
{
    fn into_sources(self) -> Vec<Source> {
        self.into_iter()
            .flat_map(IntoSkills::into_sources)
            .collect()
    }
}

impl Default for Draft {
    fn default() -> Self {
        Self::new()
    }
}

impl Draft {
    /// An empty draft.
    #[must_use]
    pub fn new() -> Self {
        Skills {
            inner: DraftInner::default(),
        }
    }

    /// Starts a skill whose handler is a closure; the handler completes it and hands back the draft.
    ///
    /// ```
    /// # use codex_skills::Draft;
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Echo {
    ///     /// What to send back.
    ///     text: String,
    /// }
    ///
    /// let draft = Draft::new()
    ///     .skill("echo")
    ///     .description("Send a text back.")
    ///     .handler(|echo: Echo| async { Ok::<_, std::fmt::Error>(echo.text) });
    /// assert!(draft.seal().is_ok());
    /// ```
    #[track_caller]
    pub fn skill(self, name: impl Into<String>) -> SkillBuilder<Self> {
        SkillBuilder::new(name.into(), self)
    }

    /// Adds every skill that is linked into the program. Sealing refuses a draft without any skill where none was found.
    ///
    /// A crate of skills that the program never names is not linked, and its skills are not found:
    /// write `use that_crate as _;`, or ask for them by name with [`expecting`](Self::expecting).
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let draft = Draft::new().discover().expecting(["double"]);
    /// assert!(draft.list().iter().any(|name| name == "double"));
    /// ```
    #[must_use = "a draft is returned"]
    #[track_caller]
    pub fn discover(self) -> Self {
        self.take_linked(None, caller())
    }

    /// Adds the linked skills of one group. Where there are none, sealing refuses the draft, and names the group that was
    /// likely meant: leave out what a program may lack. The remark on [`discover`](Self::discover) holds.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let draft = Draft::new().discover_group("numbers");
    /// assert!(draft.list().iter().any(|name| name == "double"));
    /// ```
    #[must_use = "a draft is returned"]
    #[track_caller]
    pub fn discover_group(self, group: &str) -> Self {
        self.take_linked(Some(group), caller())
    }

    fn take_linked(mut self, group: Option<&str>, location: Location) -> Self {
        let found = linked(|skill| group.is_none() || skill.group == group);
        if found.is_empty() {
            self.inner.missed.push(Missed {
                group: group.map(str::to_owned),
                location,
            });
        }
        self.inner.skills.add(found);
        self
    }

    /// Puts the skills without a [namespace](crate::SkillBuilder::namespace) of their own into this one: the
    /// model calls `tickets.lookup` instead of `lookup`. A second one takes the place of the first.
    ///
    /// Names are unique within a namespace. Those of codex's built-in tools are free there, except that a
    /// function of such a name needs a namespace of its own to compile. codex-manager takes no namespaces;
    /// `codex app-server`, from 0.141 on, and the embedded runtime do.
    ///
    /// ```
    /// # use codex_skills::{skill, skills, Draft};
    /// /// Look up a ticket.
    /// #[skill]
    /// fn lookup(/** Its id. */ id: u64) -> Option<String> {
    ///     (id == 7).then(|| "cold tea".to_owned())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let catalog = Draft::new()
    ///     .register(skills![lookup])
    ///     .namespace("tickets")
    ///     .describe_namespace("tickets", "What customers complain about.")
    ///     .seal()?;
    /// assert_eq!(catalog.list(), ["tickets.lookup"]);
    /// let output = catalog.call("tickets.lookup", serde_json::json!({"id": 7})).await?;
    /// assert_eq!(output.to_text(), "cold tea");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a draft is returned"]
    #[track_caller]
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.inner.namespace = Some((trimmed(name.into()), caller()));
        self
    }

    /// Says what a namespace is for, in at most 1,024 characters, in place of the documentation of an annotated
    /// `impl` block; codex has words of its own where nobody says it. A second description takes the place of the
    /// first. Sealing refuses one of a namespace without skills.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let draft = Draft::new()
    ///     .register(skills![double])
    ///     .namespace("numbers")
    ///     .describe_namespace("numbers", "Simple arithmetic.");
    /// assert!(draft.seal()?.dynamic_tools().get().contains("Simple arithmetic."));
    /// # Ok::<(), codex_skills::CatalogError>(())
    /// ```
    #[must_use = "a draft is returned"]
    #[track_caller]
    pub fn describe_namespace(
        mut self,
        name: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        let description = (description.into(), caller());
        let name = trimmed(name.into());
        self.inner.descriptions.insert(name, description);
        self
    }

    /// Has sealing fail, with an explanation, unless skills of these names are in the draft then. A skill of
    /// a namespace goes by `lookup` and by `tickets.lookup`.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let sealed = Draft::new().register(skills![double]).expecting(["dubble"]).seal();
    /// let problem = sealed.map(drop).unwrap_err().to_string();
    /// assert!(problem.contains("did you mean `double`"), "{problem}");
    /// ```
    #[must_use = "a draft is returned"]
    pub fn expecting<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.inner
            .expected
            .extend(names.into_iter().map(Into::into));
        self
    }

    /// Gives skills their `#[state]`: the value behind every parameter of type `&T`.
    ///
    /// A second value of the same type takes the place of the first, which is a [warning](Catalog::warnings).
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// struct Shop {
    ///     name: String,
    /// }
    ///
    /// /// Say the name of the shop.
    /// #[skill]
    /// fn shop_name(#[state] shop: &Shop) -> String {
    ///     shop.name.clone()
    /// }
    ///
    /// let shop = Shop { name: "Tea & Sons".to_owned() };
    /// let catalog = Draft::new().register(skills![shop_name]).state(shop).seal()?;
    /// # Ok::<(), codex_skills::CatalogError>(())
    /// ```
    #[must_use = "a draft is returned"]
    pub fn state<T: Send + Sync + 'static>(self, value: T) -> Self {
        self.shared_state(Arc::new(value))
    }

    /// Like [`state`](Self::state), for a value that others hold too, or of a type without a size
    /// (`Arc<dyn Store>` for `#[state] store: &dyn Store`).
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// use std::sync::{Arc, Mutex};
    ///
    /// /// Add to the list.
    /// #[skill]
    /// fn add(#[state] list: &Mutex<Vec<String>>, item: String) {
    ///     list.lock().unwrap().push(item);
    /// }
    ///
    /// let list = Arc::new(Mutex::new(Vec::<String>::new()));
    /// let catalog = Draft::new().register(skills![add]).shared_state(list.clone()).seal()?;
    /// // The program reads what the model added.
    /// assert!(list.lock().unwrap().is_empty());
    /// # Ok::<(), codex_skills::CatalogError>(())
    /// ```
    #[must_use = "a draft is returned"]
    pub fn shared_state<T: ?Sized + Send + Sync + 'static>(mut self, value: Arc<T>) -> Self {
        if self.inner.state.insert(value) {
            let name = short_type_name(std::any::type_name::<T>());
            self.inner.replaced.push(name);
        }
        self
    }

    /// Has sealing refuse skills and parameters without a description.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// #[skill]
    /// fn secretive() {}
    ///
    /// let sealed = Draft::new().register(skills![secretive]).require_documentation().seal();
    /// assert!(sealed.is_err());
    /// ```
    #[must_use = "a draft is returned"]
    pub fn require_documentation(mut self) -> Self {
        self.inner.documentation_required = true;
        self
    }

    /// Has written schemas say in their descriptions what codex drops of them, as generated ones do: bounds, formats,
    /// patterns, defaults, examples, that a number is whole. Without it, the default, they stay as they are written,
    /// and what is dropped is a [warning](Catalog::warnings) each.
    ///
    /// ```
    /// use codex_skills::{Draft, Skill};
    /// use serde_json::{Value, json};
    ///
    /// let wait = Skill::builder("wait_for")
    ///     .input_schema(json!({
    ///         "type": "object",
    ///         "properties": {"seconds": {"type": "integer", "minimum": 1, "maximum": 60, "default": 10}},
    ///     }))
    ///     .handler(|_: Value| async { Ok::<_, std::convert::Infallible>(()) });
    /// let catalog = Draft::new().register([wait]).schema_words(true).seal()?;
    /// assert_eq!(
    ///     catalog.get("wait_for").unwrap().input_schema()["properties"]["seconds"]["description"],
    ///     "Whole number, 1 to 60; default 10."
    /// );
    /// assert!(catalog.warnings().is_empty());
    /// # Ok::<(), codex_skills::CatalogError>(())
    /// ```
    #[must_use = "a draft is returned"]
    pub fn schema_words(mut self, say: bool) -> Self {
        self.inner.schema_words = say;
        self
    }

    /// The names of the skills so far, sorted. Those with a namespace of their own have it before them:
    /// `tickets.lookup`.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let draft = Draft::new().register(skills![double]);
    /// assert_eq!(draft.list(), ["double"]);
    /// ```
    #[must_use]
    pub fn list(&self) -> Vec<Cow<'_, str>> {
        let mut names: Vec<Cow<'_, str>> = self
            .inner
            .skills
            .entries
            .iter()
            .map(|entry| qualified(entry.source.namespace(), entry.source.name()))
            .collect();
        names.sort_unstable();
        names
    }

    /// Checks everything that codex would refuse, drop or shadow, and renders the catalog.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let catalog = Draft::new().register(skills![double]).seal()?;
    /// assert_eq!(catalog.list(), ["double"]);
    /// # Ok::<(), codex_skills::CatalogError>(())
    /// ```
    ///
    /// # Errors
    /// With all problems at once, each with the skill and where it is written.
    pub fn seal(self) -> Result<Catalog, CatalogError> {
        super::seal::seal(self.inner, None)
    }

    /// [`seal`](Self::seal) for a runtime.
    pub(crate) fn seal_for(self, room: Option<Room>) -> Result<Catalog, CatalogError> {
        super::seal::seal(self.inner, room)
    }
}

impl SkillParent for Draft {
    type Done = Self;

    fn adopt(mut self, skill: Skill) -> Self {
        self.inner.skills.add(skill);
        self
    }
}

#[track_caller]
fn caller() -> Location {
    let caller = Caller::caller();
    Location {
        file: caller.file(),
        line: caller.line(),
        column: caller.column(),
    }
}

fn trimmed(name: String) -> String {
    let trimmed = name.trim();
    if trimmed.len() == name.len() {
        return name;
    }
    trimmed.to_owned()
}

/// How many tools the sessions of a runtime take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) runtime: &'static str,
    pub(crate) tools: usize,
}

impl Room {
    /// The problem of a catalog with so many tools, where these are too many.
    pub(crate) fn problem(self, count: usize) -> Option<CatalogProblem> {
        let Self { runtime, tools } = self;
        (count > tools).then_some(CatalogProblem::TooManyTools {
            runtime,
            count,
            limit: tools,
        })
    }
}

pub(super) fn linked(wanted: impl Fn(&SkillDescriptor) -> bool) -> Vec<&'static SkillDescriptor> {
    inventory::iter::<&'static SkillDescriptor>
        .into_iter()
        .copied()
        .filter(|descriptor| wanted(descriptor))
        .collect()
}

/// Why a register callback failed.
pub(crate) type RegisterError = Box<dyn StdError + Send + Sync>;

/// A draft that takes its time.
pub(crate) type DraftFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Draft, RegisterError>> + Send + 'a>>;

/// A callback that registers skills: it takes an empty draft and returns it with skills in it.
///
/// ```
/// # #[codex_skills::skill]
/// # fn ping() {}
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// use codex_skills::{Draft, Embedded, skills};
///
/// let codex = Embedded::demo();
/// // It may wait, and it may fail.
/// let (_, session) = codex
///     .create_session(|draft: Draft| async move {
///         let name = tokio::task::spawn_blocking(|| "tickets").await?;
///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(draft.register(skills![ping]).namespace(name))
///     })
///     .await?;
/// assert_eq!(session.list(), ["tickets.ping"]);
/// # codex.close_session(session.session_id(), true).await?;
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a callback that registers skills",
    label = "expected a closure that takes the draft and returns it",
    note = "write `|draft| draft.register(skills![..])`",
    note = "a sealed catalog goes to `create_session_with` and `lifecycle_with`"
)]
pub trait Register<D>: FnOnce(Draft) -> D {}

#[diagnostic::do_not_recommend]
impl<F: FnOnce(Draft) -> D, D> Register<D> for F {}

/// What a register callback returns: the draft, a `Result` of it, or a future of either.
#[diagnostic::on_unimplemented(
    message = "the register callback returns `{Self}` instead of the draft",
    label = "expected the `Draft`, a `Result<Draft, _>`, or a future of one of them",
    note = "write `|draft| draft.register(skills![..])`, without a semicolon at the end"
)]
pub trait IntoDraft<V>: Send {
    /// The draft.
    #[doc(hidden)]
    fn into_draft<'a>(self) -> DraftFuture<'a>
    where
        Self: 'a;
}

/// What a register callback of the blocking client returns: the draft or a `Result` of it.
#[diagnostic::on_unimplemented(
    message = "the register callback of the blocking client returns `{Self}` instead of the draft",
    label = "expected the `Draft` or a `Result<Draft, _>`",
    note = "an async callback needs the async client: `codex_skills::Client` instead of `codex_skills::blocking::Client`",
    note = "write `|draft| draft.register(skills![..])`, without a semicolon at the end"
)]
pub trait IntoDraftNow<V> {
    /// The draft.
    #[doc(hidden)]
    fn into_draft_now(self) -> Result<Draft, RegisterError>;
}

/// A callback that returns the draft.
#[doc(hidden)]
#[derive(Debug)]
pub struct Plainly;
/// A callback that may fail.
#[doc(hidden)]
#[derive(Debug)]
pub struct Fallibly;
/// A callback that takes its time.
#[doc(hidden)]
#[derive(Debug)]
pub struct Eventually<V>(std::marker::PhantomData<V>);

impl IntoDraftNow<Plainly> for Draft {
    fn into_draft_now(self) -> Result<Draft, RegisterError> {
        Ok(self)
    }
}

impl<E: Into<RegisterError>> IntoDraftNow<Fallibly> for Result<Draft, E> {
    fn into_draft_now(self) -> Result<Draft, RegisterError> {
        self.map_err(Into::into)
    }
}

impl IntoDraft<Plainly> for Draft {
    fn into_draft<'a>(self) -> DraftFuture<'a>
    where
        Self: 'a,
    {
        Box::pin(ready(Ok(self)))
    }
}

impl<E: Into<RegisterError> + Send> IntoDraft<Fallibly> for Result<Draft, E> {
    fn into_draft<'a>(self) -> DraftFuture<'a>
    where
        Self: 'a,
    {
        Box::pin(ready(self.map_err(Into::into)))
    }
}

impl<F, V> IntoDraft<Eventually<V>> for F
where
    F: Future + Send,
    F::Output: IntoDraftNow<V> + Send,
{
    fn into_draft<'a>(self) -> DraftFuture<'a>
    where
        Self: 'a,
    {
        Box::pin(async move { self.await.into_draft_now() })
    }
}

/// The name of a state's type, without the paths that make it hard to read.
pub(super) fn short_type_name(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    // Where the path that is being read starts, and those around it.
    let (mut start, mut around) = (0, Vec::new());
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ':' if letters.peek() == Some(&':') => {
                letters.next();
                short.truncate(start);
            }
            '<' | '(' | '[' => {
                short.push(letter);
                around.push(start);
                start = short.len();
            }
            '>' if short.ends_with('-') => {
                short.push(letter);
                start = short.len();
            }
            '>' | ')' | ']' => {
                short.push(letter);
                start = around.pop().unwrap_or_default();
            }
            ' ' | ',' | ';' | '&' | '*' => {
                short.push(letter);
                start = short.len();
            }
            _ => short.push(letter),
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::short_type_name;

    #[test]
    fn types_are_named_without_paths_whatever_they_are_inside_of() {
        for (name, short) in [
            ("app::Db", "Db"),
            ("Db", "Db"),
            ("app::main::{{closure}}::Db", "Db"),
            (
                "app::main::{{closure}}::{{closure}}::Pool<app::f::{{closure}}::Db>",
                "Pool<Db>",
            ),
            ("<app::Desk as app::Work>::run::{{closure}}::Db", "Db"),
            ("<app::Desk<app::X>>::run::Db", "Db"),
            ("app::{impl#3}::run::Db", "Db"),
            ("dyn app::Store + core::marker::Send", "dyn Store + Send"),
            ("&'static [a::B]", "&'static [B]"),
            ("alloc::vec::Vec<(a::B, c::D)>", "Vec<(B, D)>"),
            (
                "fn(a::B) -> core::option::Option<c::D>",
                "fn(B) -> Option<D>",
            ),
            ("[a::B; 3]", "[B; 3]"),
            ("*const a::B", "*const B"),
            ("str", "str"),
        ] {
            assert_eq!(short_type_name(name), short, "{name}");
        }
    }
}
