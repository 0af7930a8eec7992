//! From a draft to a catalog: every check.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as Turnstile;

use super::draft::{Descriptions, Draft, Missed};
use super::error::{CatalogError, CatalogProblem};
use super::render::render;
use super::room::Room;
use super::rules;
use super::sealed::{Catalog, CatalogSkill, Run, RunBlocking};
use super::sources::{Source, linked};
use super::type_name::short_type_name;
use crate::skill::call::qualified;
use crate::skill::context::StateMap;
use crate::skill::descriptor::Handler;
use crate::skill::dynamic::DynamicHandler;
use crate::skill::output::CODE_MODE_WAITS;
use crate::skill::schema::{self, Known};
use crate::skill::{Location, Skill, SkillDescriptor};

/// A skill of a draft in the namespace that it will have.
struct Placed<'a> {
    source: &'a Source,
    namespace: Option<&'a str>,
}

impl Placed<'_> {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn qualified(&self) -> Cow<'_, str> {
        qualified(self.namespace, self.name())
    }

    /// By namespace, those without first, then by name and place.
    fn order(&self) -> (Option<&str>, &str, Location) {
        (self.namespace, self.name(), location(self.source))
    }
}

pub(super) fn seal(draft: Draft, room: Option<Room>) -> Result<Catalog, CatalogError> {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    problems.extend(room.and_then(|room| room.problem(draft.skills.entries.len())));
    check_common_namespace(draft.namespace.as_ref(), &mut problems);
    let common = draft.namespace.as_ref().map(|(name, _)| name.as_str());
    let mut placed: Vec<Placed<'_>> = draft
        .skills
        .entries
        .iter()
        .map(|entry| Placed {
            source: &entry.source,
            namespace: entry.source.namespace().or(common),
        })
        .collect();
    placed.sort_by(|a, b| a.order().cmp(&b.order()));

    let mut skills = Vec::with_capacity(placed.len());
    let mut known = Known::new(draft.schema_words);
    for placed in &placed {
        check_name(placed, &mut problems);
        check_state(placed, &draft.state, &mut problems);
        check_timeout(placed, &mut problems);
        warnings.extend(blank_texts(placed));
        match build(placed, &mut known) {
            Ok(skill) => {
                if draft.documentation_required {
                    check_documentation(placed, &skill, &mut problems);
                }
                warnings.extend(skill.input.warnings.iter().map(|note| {
                    format!(
                        "skill `{}` ({}): {note}",
                        skill.qualified_name(),
                        skill.location()
                    )
                }));
                warnings.extend(slow_in_code_mode(&skill));
                skills.push(Arc::new(skill));
            }
            Err(reason) => problems.push(CatalogProblem::Schema {
                skill: placed.qualified().into_owned(),
                location: location(placed.source),
                reason,
            }),
        }
    }
    for pair in placed.windows(2) {
        if let [first, second] = pair
            && first.namespace == second.namespace
            && first.name() == second.name()
        {
            problems.push(CatalogProblem::Duplicate {
                skill: first.qualified().into_owned(),
                first: location(first.source),
                second: location(second.source),
            });
        }
    }
    warnings.extend(draft.replaced.iter().map(|name| {
        format!(
            "the state `{name}` is given twice, and skills have the last one: leave the other out, or wrap each in a type of its own"
        )
    }));
    check_descriptions(&draft.descriptions, &placed, &mut warnings, &mut problems);
    let descriptions = described(draft.descriptions, &placed, &mut problems);
    check_expected(&draft.expected, &placed, &mut problems);
    check_discoveries(
        draft.missed,
        placed.is_empty(),
        &mut warnings,
        &mut problems,
    );
    if !problems.is_empty() {
        problems.sort_by(|a, b| a.skill().cmp(b.skill()));
        return Err(CatalogError::new(problems));
    }
    let names = skills.iter().map(|skill| (skill.namespace(), skill.name()));
    for (identifier, names) in rules::js_collisions(names) {
        warnings.push(format!(
            "skills `{}` are all `tools.{identifier}` in code mode, where codex keeps only the first: rename all but one",
            names.join("`, `")
        ));
    }
    for skill in &skills {
        if let Some(identifier) = rules::js_shadow(skill.namespace(), skill.name()) {
            warnings.push(format!(
                "skill `{}` ({}) is `tools.{identifier}` in code mode, where codex has a tool of its own: rename it",
                skill.qualified_name(),
                skill.location()
            ));
        }
    }
    for warning in &warnings {
        tracing::warn!(target: "codex_skills::catalog", "{warning}");
    }
    Ok(render(skills, &descriptions, warnings, draft.state))
}

/// What was looked for and is not linked. A group that nothing is in is a mistake, alone and among others; where all
/// skills were looked for, only in a draft that has none at all.
fn check_discoveries(
    missed: Vec<Missed>,
    is_empty: bool,
    warnings: &mut Vec<String>,
    problems: &mut Vec<CatalogProblem>,
) {
    let is_said = |problem: &CatalogProblem| matches!(problem, CatalogProblem::NotLinked { .. });
    if missed.is_empty() || problems.iter().any(is_said) {
        return;
    }
    let mut groups: Vec<&str> = linked(|skill| skill.group.is_some())
        .iter()
        .filter_map(|skill| skill.group)
        .collect();
    groups.sort_unstable();
    groups.dedup();
    for Missed { group, location } in missed {
        let nearest = group
            .as_deref()
            .and_then(|group| most_similar(group, groups.iter().copied()));
        let is_group = group.is_some();
        let problem = CatalogProblem::NoneDiscovered {
            nearest: nearest.map(str::to_owned),
            group,
            location,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        };
        if is_empty || is_group {
            problems.push(problem);
        } else {
            warnings.push(problem.to_string());
        }
    }
}

/// Warns about texts that say nothing, which codex takes. The macro refuses those that it sees.
fn blank_texts(placed: &Placed<'_>) -> Vec<String> {
    let Source::Dynamic(skill) = placed.source else {
        return Vec::new();
    };
    let texts = [
        ("description", &skill.meta.description),
        ("output_description", &skill.meta.output_description),
    ];
    let blank = texts
        .into_iter()
        .filter(|(_, text)| text.as_deref().is_some_and(is_blank));
    blank
        .map(|(of, _)| {
            format!(
                "skill `{}` ({}): its {} is empty: write what the model should know, or leave `.{of}(..)` out",
                placed.qualified(),
                skill.meta.location,
                of.replace('_', " ")
            )
        })
        .collect()
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn location(source: &Source) -> Location {
    match source {
        Source::Static(descriptor) => descriptor.location,
        Source::Dynamic(skill) => skill.meta.location,
    }
}

fn check_name(placed: &Placed<'_>, problems: &mut Vec<CatalogProblem>) {
    let location = location(placed.source);
    if let Err(problem) = rules::check_name(placed.namespace, placed.name()) {
        problems.push(CatalogProblem::Name {
            skill: placed.qualified().into_owned(),
            location,
            reason: problem.to_string(),
        });
    }
    if let Some(namespace) = placed.source.namespace()
        && let Err(problem) = rules::check_namespace(namespace)
    {
        problems.push(CatalogProblem::Namespace {
            namespace: namespace.to_owned(),
            location,
            reason: problem.to_string(),
        });
    }
    if placed.source.is_deferred() && placed.namespace.is_none() {
        problems.push(CatalogProblem::DeferredAtTopLevel {
            skill: placed.name().to_owned(),
            location,
        });
    }
}

fn check_common_namespace(
    namespace: Option<&(String, Location)>,
    problems: &mut Vec<CatalogProblem>,
) {
    if let Some((namespace, location)) = namespace
        && let Err(problem) = rules::check_namespace(namespace)
    {
        problems.push(CatalogProblem::Namespace {
            namespace: namespace.clone(),
            location: *location,
            reason: problem.to_string(),
        });
    }
}

fn check_expected(expected: &[String], placed: &[Placed<'_>], problems: &mut Vec<CatalogProblem>) {
    if expected.is_empty() {
        return;
    }
    let qualified: Vec<Cow<'_, str>> = placed.iter().map(Placed::qualified).collect();
    let names: HashSet<&str> = placed
        .iter()
        .map(Placed::name)
        .chain(qualified.iter().map(AsRef::as_ref))
        .collect();
    problems.extend(
        expected
            .iter()
            .filter(|name| !names.contains(name.as_str()))
            .map(|name| CatalogProblem::NotLinked {
                skill: name.clone(),
                nearest: nearest(name, &names),
            }),
    );
}

/// The descriptions of the draft, and those of blocks where it has none.
fn described(
    drafted: Descriptions,
    placed: &[Placed<'_>],
    problems: &mut Vec<CatalogProblem>,
) -> Descriptions {
    let mut written = Descriptions::new();
    let mut disputed = HashSet::new();
    for placed in placed {
        let Source::Static(descriptor) = placed.source else {
            continue;
        };
        let (Some(namespace), Some(text)) =
            (descriptor.namespace, descriptor.namespace_description)
        else {
            continue;
        };
        if drafted.contains_key(namespace) {
            continue;
        }
        // The macro saw to the length of what it could see.
        let length = text.chars().count();
        if length > rules::DESCRIPTION_LIMIT && disputed.insert(namespace) {
            problems.push(CatalogProblem::Namespace {
                namespace: namespace.to_owned(),
                location: descriptor.location,
                reason: too_long(length),
            });
        }
        let described = (text.to_owned(), descriptor.location);
        let first = written.entry(namespace.to_owned()).or_insert(described);
        if first.0 != text && disputed.insert(namespace) {
            problems.push(CatalogProblem::Namespace {
                namespace: namespace.to_owned(),
                location: descriptor.location,
                reason: format!(
                    "its documentation is another one at {}: say what it is for with \
                     `.describe_namespace(..)`",
                    first.1
                ),
            });
        }
    }
    written.extend(drafted);
    written
}

fn check_descriptions(
    descriptions: &Descriptions,
    placed: &[Placed<'_>],
    warnings: &mut Vec<String>,
    problems: &mut Vec<CatalogProblem>,
) {
    let namespaces: HashSet<&str> = placed
        .iter()
        .filter_map(|placed| placed.namespace)
        .collect();
    for (namespace, (description, location)) in descriptions {
        let length = description.chars().count();
        let reason = if !namespaces.contains(namespace.as_str()) {
            match most_similar(namespace, namespaces.iter().copied()) {
                Some(nearest) => {
                    format!("no skill is in it to describe it for, did you mean `{nearest}`?")
                }
                None => "no skill is in it to describe it for: remove the description".to_owned(),
            }
        } else if length > rules::DESCRIPTION_LIMIT {
            too_long(length)
        } else if is_blank(description) {
            warnings.push(format!(
                "namespace `{namespace}` ({location}): its description is empty: say what it is for, or leave \
                 `.describe_namespace(..)` out"
            ));
            continue;
        } else {
            continue;
        };
        problems.push(CatalogProblem::Namespace {
            namespace: namespace.clone(),
            location: *location,
            reason,
        });
    }
}

fn too_long(length: usize) -> String {
    format!(
        "its description has {length} characters: shorten it to at most {}",
        rules::DESCRIPTION_LIMIT
    )
}

fn check_state(placed: &Placed<'_>, state: &StateMap, problems: &mut Vec<CatalogProblem>) {
    let Source::Static(descriptor) = placed.source else {
        return;
    };
    let mut missed = HashSet::new();
    for key in descriptor.state.iter().filter(|key| !state.has(key)) {
        if missed.insert((key.id)()) {
            problems.push(CatalogProblem::MissingState {
                skill: placed.qualified().into_owned(),
                location: descriptor.location,
                state: short_type_name((key.name)()),
            });
        }
    }
}

/// The name that was probably meant, of the skills of the draft and of all that are linked.
fn nearest(name: &str, drafted: &HashSet<&str>) -> Option<String> {
    let linked = inventory::iter::<&'static SkillDescriptor>
        .into_iter()
        .map(|descriptor| descriptor.name);
    most_similar(name, linked.chain(drafted.iter().copied())).map(str::to_owned)
}

/// The one of the known names that was probably meant.
pub(crate) fn most_similar<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .filter(|known| *known != name)
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, known)| known)
}

fn check_timeout(placed: &Placed<'_>, problems: &mut Vec<CatalogProblem>) {
    let timeout = match placed.source {
        Source::Static(descriptor) => descriptor.timeout,
        Source::Dynamic(skill) => skill.meta.timeout,
    };
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        problems.push(CatalogProblem::Timeout {
            skill: placed.qualified().into_owned(),
            location: location(placed.source),
        });
    }
}

/// Warns about a skill whose author lets it take longer than a program waits for it in code mode. The default of
/// the session is not meant: it would concern every skill.
fn slow_in_code_mode(skill: &CatalogSkill) -> Option<String> {
    let timeout = skill.timeout.filter(|timeout| *timeout > CODE_MODE_WAITS)?;
    let takes = if timeout == Duration::MAX {
        "as long as it likes".to_owned()
    } else {
        format!("{timeout:?}")
    };
    Some(format!(
        "skill `{}` ({}): it may take {takes}, and a program in code mode waits {} s for a call before the model goes \
         on: start the work and answer an id, and let another skill tell how far it is",
        skill.qualified_name(),
        skill.location(),
        CODE_MODE_WAITS.as_secs()
    ))
}

fn check_documentation(
    placed: &Placed<'_>,
    skill: &CatalogSkill,
    problems: &mut Vec<CatalogProblem>,
) {
    let documented = match placed.source {
        Source::Static(descriptor) => descriptor.documented,
        Source::Dynamic(_) => {
            !is_blank(&skill.description) && skill.description != fallback_description(skill.name())
        }
    };
    let undocumented = skill.input.undocumented.iter().cloned();
    let itself = (!documented).then_some(None);
    for parameter in itself.into_iter().chain(undocumented.map(Some)) {
        problems.push(CatalogProblem::Undocumented {
            skill: skill.qualified_name().to_owned(),
            location: skill.location,
            parameter,
            is_closure: matches!(placed.source, Source::Dynamic(_)),
        });
    }
}

fn fallback_description(name: &str) -> String {
    format!("Remote skill {name}")
}

fn build(placed: &Placed<'_>, known: &mut Known) -> Result<CatalogSkill, String> {
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
