//! A sealed catalog: immutable, rendered once, cheap to share.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::value::RawValue;

use super::render::{
    Descriptions, before, fingerprint, flat_tools, instructions, supplement, tools,
};
use super::skill::CatalogSkill;
use crate::skill::call::qualified;
use crate::skill::context::StateMap;
use crate::skill::schema::Form;
use crate::suggest::most_similar;

/// Skills that the answer to an unknown call names.
const LISTED: usize = 50;

/// The skills of a session, sealed: their declarations, and the handlers that are called.
///
/// A clone is a reference to the same catalog; a thousand sessions of it hold one copy.
///
/// ```
/// # use codex_skills::{Draft, skill, skills};
/// # /// Double a number.
/// # #[skill(group = "numbers")]
/// # fn double(number: i64) -> i64 { number * 2 }
/// let catalog = Draft::new().register(skills![double]).seal()?;
/// println!("{catalog}");
/// for skill in &catalog {
///     println!("{} in {}", skill.qualified_name(), skill.location());
/// }
/// assert_eq!(catalog.len(), 1);
/// # Ok::<(), codex_skills::CatalogError>(())
/// ```
#[derive(Clone)]
pub struct Catalog {
    pub(super) inner: Arc<CatalogInner>,
}

pub(super) struct CatalogInner {
    /// Sorted by namespace and name, those without a namespace first.
    pub(super) skills: Vec<Arc<CatalogSkill>>,
    pub(super) tools: Arc<RawValue>,
    /// The same without references to definitions, where that is another text.
    pub(super) inlined_tools: Option<Arc<RawValue>>,
    /// Rendered when asked for.
    pub(super) flat_tools: OnceLock<Option<Arc<RawValue>>>,
    /// Rendered when asked for.
    pub(super) instructions: OnceLock<String>,
    /// Rendered for the first request.
    pub(super) supplement: OnceLock<String>,
    /// Digested when asked for.
    pub(super) fingerprint: OnceLock<Arc<str>>,
    pub(super) warnings: Vec<String>,
    pub(super) state: Arc<StateMap>,
}

impl Catalog {
    /// Renders checked skills, which are sorted by namespace and name.
    pub(super) fn new(
        skills: Vec<Arc<CatalogSkill>>,
        descriptions: &Descriptions,
        warnings: Vec<String>,
        state: StateMap,
    ) -> Self {
        Self {
            inner: Arc::new(CatalogInner {
                fingerprint: OnceLock::new(),
                instructions: OnceLock::new(),
                supplement: OnceLock::new(),
                tools: tools(&skills, descriptions, Form::Shared),
                inlined_tools: skills
                    .iter()
                    .any(|skill| skill.input.has_forms())
                    .then(|| tools(&skills, descriptions, Form::Inlined)),
                flat_tools: OnceLock::new(),
                skills,
                warnings,
                state: Arc::new(state),
            }),
        }
    }

    /// The catalog without skills.
    #[must_use]
    pub fn empty() -> Self {
        static EMPTY: OnceLock<Catalog> = OnceLock::new();
        EMPTY
            .get_or_init(|| {
                let descriptions = Descriptions::new();
                Self::new(Vec::new(), &descriptions, Vec::new(), StateMap::default())
            })
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

    /// The skills, sorted by namespace and name; those without a namespace come first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &CatalogSkill> {
        self.inner.skills.iter().map(AsRef::as_ref)
    }

    /// The skill of this name: `lookup`, or `tickets.lookup` for one in a namespace.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let catalog = Draft::new().register(skills![double]).seal()?;
    /// let skill = catalog.get("double").expect("it was registered");
    /// assert_eq!(skill.description(), "Double a number.");
    /// assert_eq!(skill.group(), Some("numbers"));
    /// # Ok::<(), codex_skills::CatalogError>(())
    /// ```
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&CatalogSkill> {
        self.find_qualified(name).map(AsRef::as_ref)
    }

    pub(crate) fn find_qualified(&self, name: &str) -> Option<&Arc<CatalogSkill>> {
        match name.split_once('.') {
            Some((namespace, name)) => self.find(Some(namespace), name),
            None => self.find(None, name),
        }
    }

    pub(crate) fn find(&self, namespace: Option<&str>, name: &str) -> Option<&Arc<CatalogSkill>> {
        let wanted = (namespace, name);
        let skills = &self.inner.skills;
        let at = skills.binary_search_by(|skill| (skill.namespace(), skill.name()).cmp(&wanted));
        skills.get(at.ok()?)
    }

    /// Returns the text for the model when it calls a tool that is not in the catalog.
    pub(crate) fn unknown(&self, namespace: Option<&str>, name: &str) -> String {
        let tool = qualified(namespace, name);
        if self.is_empty() {
            return format!("no remote skill registered for `{tool}`: this session has no skills");
        }
        let elsewhere = self.iter().find(|skill| skill.name() == name);
        let nearest = elsewhere
            .map(CatalogSkill::qualified_name)
            .or_else(|| most_similar(&tool, self.iter().map(CatalogSkill::qualified_name)));
        let there_are = match nearest {
            Some(nearest) => format!(", did you mean `{nearest}`? There are"),
            None => "; there are".to_owned(),
        };
        let names: Vec<&str> = self.list().into_iter().take(LISTED).collect();
        format!(
            "no remote skill registered for `{tool}`{there_are} `{}`",
            names.join("`, `")
        )
    }

    /// The names of the skills in their order, with their namespaces: `lookup`, `tickets.lookup`.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let catalog = Draft::new().register(skills![double]).namespace("math").seal()?;
    /// assert_eq!(catalog.list(), ["math.double"]);
    /// # Ok::<(), codex_skills::CatalogError>(())
    /// ```
    #[must_use]
    pub fn list(&self) -> Vec<&str> {
        self.iter().map(CatalogSkill::qualified_name).collect()
    }

    /// The names of the skills that are in a namespace.
    pub(crate) fn namespaced(&self) -> Vec<String> {
        let namespaced = self.iter().filter(|skill| skill.namespace.is_some());
        namespaced
            .map(|skill| skill.qualified_name().to_owned())
            .collect()
    }

    /// The dynamic tools that the session is created with, in codex's canonical form: a JSON array, sorted by
    /// name. Each tool has exactly `type`, `name`, `description` and `inputSchema`, and `deferLoading` where it is
    /// [deferred](CatalogSkill::is_deferred); those in a namespace are in the `tools` of an object with `type`,
    /// `name` and `description`, behind the others. Types that a schema has several times are definitions (`$defs`)
    /// where that shows the model more, or the same in fewer bytes; for a codex that drops `$ref`
    /// ([`Runtime::keeps_references`](crate::runtime::Runtime::keeps_references)) they are written out. Rendered once,
    /// when sealing.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let catalog = Draft::new().register(skills![double]).seal()?;
    /// let tools: serde_json::Value = serde_json::from_str(catalog.dynamic_tools().get()).expect("JSON");
    /// assert_eq!(tools[0]["name"], "double");
    /// assert_eq!(tools[0]["inputSchema"]["required"], serde_json::json!(["number"]));
    /// # Ok::<(), codex_skills::CatalogError>(())
    /// ```
    #[must_use]
    pub fn dynamic_tools(&self) -> &RawValue {
        &self.inner.tools
    }

    /// The dynamic tools in the older form, which codex-manager takes: each with exactly `name`, `description`
    /// and `inputSchema`, without references to definitions. `None` where a skill is in a namespace, for which it has no place. Rendered once, when
    /// first asked for.
    #[must_use]
    pub fn flat_tools(&self) -> Option<&RawValue> {
        self.flat().map(AsRef::as_ref)
    }

    fn flat(&self) -> Option<&Arc<RawValue>> {
        let flat = || flat_tools(&self.inner.skills);
        self.inner.flat_tools.get_or_init(flat).as_ref()
    }

    /// The canonical tools as a session takes them: none at all for an empty catalog.
    pub(crate) fn shared_tools(&self, keeps_references: bool) -> Option<Arc<RawValue>> {
        let tools = match &self.inner.inlined_tools {
            Some(inlined) if !keeps_references => inlined,
            _ => &self.inner.tools,
        };
        (!self.is_empty()).then(|| tools.clone())
    }

    /// The flat tools as a session takes them: none at all for an empty catalog.
    pub(crate) fn shared_flat_tools(&self) -> Option<Arc<RawValue>> {
        self.flat().filter(|_| !self.is_empty()).cloned()
    }

    /// The whole catalog as text for a prompt: what the tools say, and the schema and the description of each
    /// answer. Empty for an empty catalog. Rendered when first asked for.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let catalog = Draft::new().register(skills![double]).seal()?;
    /// assert!(catalog.instruction_text().contains("- double: Double a number."));
    /// # Ok::<(), codex_skills::CatalogError>(())
    /// ```
    #[must_use]
    pub fn instruction_text(&self) -> &str {
        let instructions = || instructions(&self.inner.skills);
        self.inner.instructions.get_or_init(instructions)
    }

    /// What the tools have no place for, as text for a prompt: the names of the skills, and the schema and the
    /// description of each answer. Empty where there is nothing of that to say. By default the first request of
    /// a session begins with it.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let catalog = Draft::new().register(skills![double]).seal()?;
    /// assert!(catalog.supplement().contains("- double\n  output_schema: "));
    /// # Ok::<(), codex_skills::CatalogError>(())
    /// ```
    #[must_use]
    pub fn supplement(&self) -> &str {
        let supplement = || supplement(&self.inner.skills);
        self.inner.supplement.get_or_init(supplement)
    }

    /// The request with the instruction text before it; unchanged for an empty catalog.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let catalog = Draft::new().register(skills![double]).seal()?;
    /// let request = catalog.inject_request("What is twice 21?");
    /// assert!(request.ends_with("User request:\nWhat is twice 21?"));
    /// # Ok::<(), codex_skills::CatalogError>(())
    /// ```
    #[must_use]
    pub fn inject_request(&self, request: &str) -> String {
        before(self.instruction_text(), request)
    }

    /// The request with what the tools do not say before it.
    pub(crate) fn supplemented(&self, request: &str) -> String {
        before(self.supplement(), request)
    }

    /// A digest of [`dynamic_tools`](Self::dynamic_tools): equal for equal tools, in whatever order they were
    /// registered, and whichever form a runtime takes. Made when
    /// first asked for, as by the first session.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let sealed = || Draft::new().register(skills![double]).seal();
    /// assert_eq!(sealed()?.fingerprint(), sealed()?.fingerprint());
    /// # Ok::<(), codex_skills::CatalogError>(())
    /// ```
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        self.shared_fingerprint()
    }

    pub(crate) fn shared_fingerprint(&self) -> &Arc<str> {
        let fingerprint = || fingerprint(self.inner.tools.get()).into();
        self.inner.fingerprint.get_or_init(fingerprint)
    }

    /// What codex would take but not as it was meant. Also logged when the catalog is sealed.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let catalog = Draft::new().register(skills![double]).seal()?;
    /// for warning in catalog.warnings() {
    ///     eprintln!("{warning}");
    /// }
    /// # Ok::<(), codex_skills::CatalogError>(())
    /// ```
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
            .field("fingerprint", &self.fingerprint())
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
