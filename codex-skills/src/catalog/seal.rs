//! From a draft to a catalog.

use std::sync::Arc;

use super::build::{Placed, build, location};
use super::checks::{
    blank_texts, check_common_namespace, check_descriptions, check_discoveries,
    check_documentation, check_duplicates, check_expected, check_name, check_state, check_timeout,
    described, slow_in_code_mode,
};
use super::draft::Draft;
use super::error::{CatalogError, CatalogProblem};
use super::room::Room;
use super::rules;
use super::sealed::Catalog;
use super::skill::CatalogSkill;
use crate::skill::schema::Known;

/// What sealing found.
#[derive(Default)]
struct Findings {
    problems: Vec<CatalogProblem>,
    warnings: Vec<String>,
}

impl Draft {
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
        seal(self, None)
    }

    /// [`seal`](Self::seal) for a runtime.
    pub(crate) fn seal_for(self, room: Option<Room>) -> Result<Catalog, CatalogError> {
        seal(self, room)
    }
}

fn seal(draft: Draft, room: Option<Room>) -> Result<Catalog, CatalogError> {
    let mut found = Findings::default();
    let problems = &mut found.problems;
    problems.extend(room.and_then(|room| room.problem(draft.skills.entries.len())));
    check_common_namespace(draft.namespace.as_ref(), problems);
    let placed = placed(&draft);
    let skills = built(&draft, &placed, &mut found);
    let Findings { problems, warnings } = &mut found;
    check_duplicates(&placed, problems);
    warnings.extend(draft.replaced.iter().map(|name| {
        format!(
            "the state `{name}` is given twice, and skills have the last one: leave the other out, or wrap each in a type of its own"
        )
    }));
    check_descriptions(&draft.descriptions, &placed, warnings, problems);
    let descriptions = described(draft.descriptions.clone(), &placed, problems);
    check_expected(&draft.expected, &placed, problems);
    check_discoveries(&draft.missed, placed.is_empty(), warnings, problems);
    if !problems.is_empty() {
        problems.sort_by(|a, b| a.skill().cmp(b.skill()));
        return Err(CatalogError::new(found.problems));
    }
    warnings.extend(code_mode_names(&skills));
    for warning in &*warnings {
        tracing::warn!(target: "codex_skills::catalog", "{warning}");
    }
    Ok(Catalog::new(
        skills,
        &descriptions,
        found.warnings,
        draft.state,
    ))
}

/// The skills in the namespaces that they will have, sorted.
fn placed(draft: &Draft) -> Vec<Placed<'_>> {
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
    placed
}

/// The skills that can be built, each checked by itself.
fn built(draft: &Draft, placed: &[Placed<'_>], found: &mut Findings) -> Vec<Arc<CatalogSkill>> {
    let Findings { problems, warnings } = found;
    let mut skills = Vec::with_capacity(placed.len());
    let mut known = Known::new(draft.schema_words);
    for placed in placed {
        check_name(placed, problems);
        check_state(placed, &draft.state, problems);
        check_timeout(placed, problems);
        warnings.extend(blank_texts(placed));
        match build(placed, &mut known) {
            Ok(skill) => {
                if draft.documentation_required {
                    check_documentation(placed, &skill, problems);
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
    skills
}

/// Warnings about skills that are one name in code mode, or the name of a tool of codex.
fn code_mode_names(skills: &[Arc<CatalogSkill>]) -> Vec<String> {
    let names = skills.iter().map(|skill| (skill.namespace(), skill.name()));
    let mut warnings: Vec<String> = rules::js_collisions(names)
        .into_iter()
        .map(|(identifier, names)| {
            format!(
                "skills `{}` are all `tools.{identifier}` in code mode, where codex keeps only the first: rename all but one",
                names.join("`, `")
            )
        })
        .collect();
    for skill in skills {
        if let Some(identifier) = rules::js_shadow(skill.namespace(), skill.name()) {
            warnings.push(format!(
                "skill `{}` ({}) is `tools.{identifier}` in code mode, where codex has a tool of its own: rename it",
                skill.qualified_name(),
                skill.location()
            ));
        }
    }
    warnings
}
