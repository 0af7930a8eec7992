//! From the skill of a draft to the skill of a catalog.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::sync::Mutex as Turnstile;

use super::skill::{CatalogSkill, Run, RunBlocking};
use super::sources::Source;
use crate::skill::call::qualified;
use crate::skill::descriptor::Handler;
use crate::skill::dynamic::DynamicHandler;
use crate::skill::schema::{self, Known};
use crate::skill::{Location, Skill, SkillDescriptor};

/// A skill of a draft in the namespace that it will have.
pub(super) struct Placed<'a> {
    pub(super) source: &'a Source,
    pub(super) namespace: Option<&'a str>,
}

impl Placed<'_> {
    pub(super) fn name(&self) -> &str {
        self.source.name()
    }

    pub(super) fn qualified(&self) -> Cow<'_, str> {
        qualified(self.namespace, self.name())
    }

    /// By namespace, those without first, then by name and place.
    pub(super) fn order(&self) -> (Option<&str>, &str, Location) {
        (self.namespace, self.name(), location(self.source))
    }
}

/// Where a skill is written.
pub(super) fn location(source: &Source) -> Location {
    match source {
        Source::Static(descriptor) => descriptor.location,
        Source::Dynamic(skill) => skill.meta.location,
    }
}

/// The description of a skill without one.
pub(super) fn fallback_description(name: &str) -> String {
    format!("Remote skill {name}")
}

/// The skill as a catalog has it.
pub(super) fn build(placed: &Placed<'_>, known: &mut Known) -> Result<CatalogSkill, String> {
    match placed.source {
        Source::Static(descriptor) => build_static(placed, descriptor, known),
        Source::Dynamic(skill) => build_dynamic(placed, skill, known),
    }
}

fn build_static(
    placed: &Placed<'_>,
    descriptor: &'static SkillDescriptor,
    known: &mut Known,
) -> Result<CatalogSkill, String> {
    let input = known.input(descriptor)?;
    input.confirm()?;
    Ok(CatalogSkill {
        name: descriptor.name.into(),
        namespace: placed.namespace.map(Into::into),
        qualified: placed.qualified().into(),
        deferred: descriptor.deferred,
        description: descriptor.description.to_owned(),
        input,
        output: known.output(descriptor)?,
        output_description: descriptor.output_description.map(str::to_owned),
        group: descriptor.group.map(str::to_owned),
        timeout: descriptor.timeout,
        read_only: descriptor.read_only,
        whole_answer: descriptor.whole_answer,
        location: descriptor.location,
        turnstile: descriptor.exclusive.then(|| turnstile(descriptor)),
        run: match descriptor.handler {
            Handler::Async(handler) => Run::AsyncStatic(handler),
            Handler::Blocking(handler) => Run::Blocking(RunBlocking::Static(handler)),
            Handler::Inline(handler) => Run::Inline(handler),
        },
    })
}

fn build_dynamic(
    placed: &Placed<'_>,
    skill: &Skill,
    known: &mut Known,
) -> Result<CatalogSkill, String> {
    let input = known.dynamic_input(skill)?;
    input.confirm()?;
    let meta = &skill.meta;
    let description = meta
        .description
        .clone()
        .or_else(|| schema::description_of(input.declared()))
        .unwrap_or_else(|| fallback_description(&meta.name));
    Ok(CatalogSkill {
        name: meta.name.as_str().into(),
        namespace: placed.namespace.map(Into::into),
        qualified: placed.qualified().into(),
        deferred: meta.deferred,
        description,
        input,
        output: schema::dynamic_output(skill)?,
        output_description: meta.output_description.clone(),
        group: meta.group.clone(),
        timeout: meta.timeout,
        read_only: meta.read_only,
        whole_answer: meta.whole_answer,
        location: meta.location,
        turnstile: meta.exclusive.then(|| skill.turnstile.clone()),
        run: match &skill.handler {
            DynamicHandler::Async(handler) => Run::Async(handler.clone()),
            DynamicHandler::Blocking(handler) => {
                Run::Blocking(RunBlocking::Dynamic(handler.clone()))
            }
        },
    })
}

/// The lock of an exclusive skill: one for the whole process, since catalogs share its handler.
fn turnstile(descriptor: &'static SkillDescriptor) -> Arc<Turnstile<()>> {
    static TURNSTILES: LazyLock<Mutex<HashMap<usize, Arc<Turnstile<()>>>>> =
        LazyLock::new(Mutex::default);
    TURNSTILES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(std::ptr::from_ref(descriptor).addr())
        .or_default()
        .clone()
}
