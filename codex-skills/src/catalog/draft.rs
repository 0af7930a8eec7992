//! A catalog before its session: what can still be added, taken out and asked for.

use std::borrow::Cow;
use std::panic::Location as Caller;
use std::sync::Arc;

use super::create_time::{CreateTime, RuntimeSync};
use super::render::Descriptions;
use super::sources::{DraftSkills, IntoSkills, linked};
use super::type_name::short_type_name;
use crate::skill::call::qualified;
use crate::skill::context::StateMap;
use crate::skill::{Location, Skill, SkillBuilder, SkillParent};

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
#[derive(Debug, Default)]
pub struct Draft {
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

impl Draft {
    /// An empty draft.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds skills to the draft. Whether they can stand together is checked when it is sealed.
    ///
    /// Takes [`skills!`](crate::skills), a [`Skill`](crate::Skill), a list of them, or descriptors.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let draft = Draft::new().register(skills![double]);
    /// assert_eq!(draft.list(), ["double"]);
    /// ```
    #[must_use = "a draft is returned with the skills in it"]
    pub fn register<V>(mut self, skills: impl IntoSkills<V>) -> Self {
        self.skills.add(skills);
        self
    }

    /// Takes all skills of this name out of the draft, and says whether there was one. `lookup` is each skill of
    /// that name, `tickets.lookup` the one that has this namespace itself.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let mut draft = Draft::new().register(skills![double]);
    /// assert!(draft.unregister("double"));
    /// assert!(!draft.unregister("double"));
    /// ```
    pub fn unregister(&mut self, name: &str) -> bool {
        self.skills.remove(name)
    }

    /// Takes all skills out of the draft, and says how many there were.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let mut draft = Draft::new().register(skills![double]);
    /// assert_eq!(draft.clear(), 1);
    /// assert!(draft.list().is_empty());
    /// ```
    pub fn clear(&mut self) -> usize {
        self.skills.clear()
    }

    /// Adds skills for the time of `body` and takes exactly those out again.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let mut draft = Draft::new();
    /// let count = draft.using(skills![double], |draft| draft.list().len());
    /// assert_eq!(count, 1);
    /// assert!(draft.list().is_empty());
    /// ```
    pub fn using<V, R>(
        &mut self,
        skills: impl IntoSkills<V>,
        body: impl FnOnce(&mut Self) -> R,
    ) -> R {
        let added = self.skills.add(skills);
        let using = Using { draft: self, added };
        body(&mut *using.draft)
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
            self.missed.push(Missed {
                group: group.map(str::to_owned),
                location,
            });
        }
        self.skills.add(found);
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
        self.namespace = Some((trimmed(name.into()), caller()));
        self
    }

    /// Says what a namespace is for, in at most 1,024 characters, in place of the documentation of an annotated
    /// `impl` block; codex has words of its own where there is none. A second description takes the place of the
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
        self.descriptions.insert(name, description);
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
        self.expected.extend(names.into_iter().map(Into::into));
        self
    }

    /// Gives skills their `#[state]`: the value behind every parameter of type `&T`.
    ///
    /// A second value of the same type takes the place of the first, which is a [warning](crate::Catalog::warnings).
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
        if self.state.insert(value) {
            let name = short_type_name(std::any::type_name::<T>());
            self.replaced.push(name);
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
        self.documentation_required = true;
        self
    }

    /// Has written schemas say in their descriptions what codex drops of them, as generated ones do: bounds, formats,
    /// patterns, defaults, examples, that a number is whole. Without it, the default, they stay as they are written,
    /// and what is dropped is a [warning](crate::Catalog::warnings) each.
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
        self.schema_words = say;
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
            .skills
            .entries
            .iter()
            .map(|entry| qualified(entry.source.namespace(), entry.source.name()))
            .collect();
        names.sort_unstable();
        names
    }
}

/// What a runtime would have to take and none does: see [`RuntimeSync`].
impl Draft {
    #[doc(hidden)]
    pub fn sync_runtime<'a>(&'a self)
    where
        &'a Self: RuntimeSync,
    {
    }

    #[doc(hidden)]
    pub fn prepare_catalog<'a>(&'a self)
    where
        &'a Self: RuntimeSync,
    {
    }

    #[doc(hidden)]
    pub fn send_prepared<'a>(&'a self, _text: &str)
    where
        &'a Self: RuntimeSync,
    {
    }
}

impl CreateTime for &Draft {}

/// Takes skills out of a draft again when it is dropped, also by a panic.
struct Using<'a> {
    draft: &'a mut Draft,
    added: Vec<u64>,
}

impl Drop for Using<'_> {
    fn drop(&mut self) {
        self.draft.skills.retract(&self.added);
    }
}

impl SkillParent for Draft {
    type Done = Self;

    fn adopt(mut self, skill: Skill) -> Self {
        self.skills.add(skill);
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
