//! The skills of a draft, and what counts as a list of skills.

use std::sync::Arc;

use crate::skill::call::qualified;
use crate::skill::descriptor::SkillList;
use crate::skill::{Skill, SkillDescriptor};

/// The skills of a draft, in the order of registration.
#[derive(Debug, Default)]
pub(super) struct DraftSkills {
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

/// What [`register`](crate::Draft::register) takes.
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

/// The linked skills for which `wanted` holds.
pub(super) fn linked(wanted: impl Fn(&SkillDescriptor) -> bool) -> Vec<&'static SkillDescriptor> {
    inventory::iter::<&'static SkillDescriptor>
        .into_iter()
        .copied()
        .filter(|descriptor| wanted(descriptor))
        .collect()
}
