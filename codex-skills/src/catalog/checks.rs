//! What sealing checks of single skills, names and texts, each check by itself.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use super::build::{Placed, fallback_description, location};
use super::draft::Missed;
use super::error::CatalogProblem;
use super::render::Descriptions;
use super::rules;
use super::skill::CatalogSkill;
use super::sources::{Source, linked};
use super::type_name::short_type_name;
use crate::skill::context::StateMap;
use crate::skill::output::CODE_MODE_WAITS;
use crate::skill::{Location, SkillDescriptor};
use crate::suggest::most_similar;

/// What was looked for and is not linked. A group that nothing is in is a mistake, alone and among others; where all
/// skills were looked for, only in a draft that has none at all.
pub(super) fn check_discoveries(
    missed: &[Missed],
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
            group: group.clone(),
            location: *location,
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
pub(super) fn blank_texts(placed: &Placed<'_>) -> Vec<String> {
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

pub(super) fn check_name(placed: &Placed<'_>, problems: &mut Vec<CatalogProblem>) {
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

pub(super) fn check_common_namespace(
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

pub(super) fn check_expected(
    expected: &[String],
    placed: &[Placed<'_>],
    problems: &mut Vec<CatalogProblem>,
) {
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
pub(super) fn described(
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

pub(super) fn check_descriptions(
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

pub(super) fn check_state(
    placed: &Placed<'_>,
    state: &StateMap,
    problems: &mut Vec<CatalogProblem>,
) {
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

/// Skills of one name, in a list that is sorted by name.
pub(super) fn check_duplicates(placed: &[Placed<'_>], problems: &mut Vec<CatalogProblem>) {
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
}

pub(super) fn check_timeout(placed: &Placed<'_>, problems: &mut Vec<CatalogProblem>) {
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
pub(super) fn slow_in_code_mode(skill: &CatalogSkill) -> Option<String> {
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

pub(super) fn check_documentation(
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
