//! From a draft to a catalog: every check, then every rendering, once.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex as Turnstile;

use super::draft::{DraftInner, Source, short_type_name};
use super::error::{CatalogError, CatalogProblem};
use super::rules;
use super::sealed::{Catalog, CatalogInner, CatalogSkill, INSTRUCTIONS, Run, RunBlocking};
use crate::skill::context::StateMap;
use crate::skill::descriptor::Handler;
use crate::skill::dynamic::DynamicHandler;
use crate::skill::schema::{self, InputShape};
use crate::skill::{Location, Skill, SkillDescriptor};

pub(super) fn seal(draft: DraftInner) -> Result<Catalog, CatalogError> {
    let mut sources: Vec<Source> = draft
        .skills
        .entries
        .iter()
        .map(|entry| entry.source.clone())
        .collect();
    sources.sort_by(|a, b| (a.name(), location(a)).cmp(&(b.name(), location(b))));

    let mut problems = Vec::new();
    let mut warnings = draft.warnings;
    let mut skills = Vec::with_capacity(sources.len());
    for source in &sources {
        check_name(source, &mut problems);
        check_state(source, &draft.state, &mut problems);
        check_timeout(source, &mut problems);
        match build(source) {
            Ok((skill, notes)) => {
                if draft.documentation_required {
                    check_documentation(source, &skill, &mut problems);
                }
                warnings.extend(notes.into_iter().map(|note| {
                    format!("skill `{}` ({}): {note}", skill.name(), skill.location())
                }));
                skills.push(Arc::new(skill));
            }
            Err(reason) => problems.push(CatalogProblem::Schema {
                skill: source.name().to_owned(),
                location: location(source),
                reason,
            }),
        }
    }
    for pair in sources.windows(2) {
        if let [first, second] = pair
            && first.name() == second.name()
        {
            problems.push(CatalogProblem::Duplicate {
                skill: first.name().to_owned(),
                first: location(first),
                second: location(second),
            });
        }
    }
    let names: HashSet<&str> = sources.iter().map(Source::name).collect();
    problems.extend(
        draft
            .expected
            .iter()
            .filter(|name| !names.contains(name.as_str()))
            .map(|name| CatalogProblem::NotLinked {
                skill: name.clone(),
                nearest: nearest(name, &names),
            }),
    );
    if !problems.is_empty() {
        problems.sort_by(|a, b| a.skill().cmp(b.skill()));
        return Err(CatalogError::new(problems));
    }
    for (identifier, names) in rules::js_collisions(skills.iter().map(|skill| skill.name())) {
        warnings.push(format!(
            "skills `{}` are all `tools.{identifier}` in code mode, where codex keeps only the first: rename all but one",
            names.join("`, `")
        ));
    }
    for skill in &skills {
        if let Some(identifier) = rules::js_shadow(skill.name()) {
            warnings.push(format!(
                "skill `{}` ({}) is `tools.{identifier}` in code mode, where codex has a tool of its own: rename it",
                skill.name(),
                skill.location()
            ));
        }
    }
    for warning in &warnings {
        tracing::warn!(target: "codex_skills::catalog", "{warning}");
    }
    Ok(render(skills, warnings, draft.state))
}

/// Renders checked skills, which are sorted by name.
pub(super) fn render(
    skills: Vec<Arc<CatalogSkill>>,
    warnings: Vec<String>,
    state: StateMap,
) -> Catalog {
    let tools = tools(&skills);
    Catalog {
        inner: Arc::new(CatalogInner {
            index: skills
                .iter()
                .enumerate()
                .map(|(at, skill)| (skill.name.clone(), at))
                .collect::<HashMap<_, _>>(),
            fingerprint: fingerprint(tools.get()).into(),
            instructions: instructions(&skills),
            tools,
            flat_tools: OnceLock::new(),
            skills,
            warnings,
            state: Arc::new(state),
        }),
    }
}

fn location(source: &Source) -> Location {
    match source {
        Source::Static(descriptor) => descriptor.location,
        Source::Dynamic(skill) => skill.meta.location,
    }
}

fn check_name(source: &Source, problems: &mut Vec<CatalogProblem>) {
    if let Err(problem) = rules::check_name(source.name()) {
        problems.push(CatalogProblem::Name {
            skill: source.name().to_owned(),
            location: location(source),
            reason: problem.to_string(),
        });
    }
}

fn check_state(source: &Source, state: &StateMap, problems: &mut Vec<CatalogProblem>) {
    let Source::Static(descriptor) = source else {
        return;
    };
    let mut missed = HashSet::new();
    for key in descriptor.state.iter().filter(|key| !state.has(key)) {
        if missed.insert((key.id)()) {
            problems.push(CatalogProblem::MissingState {
                skill: descriptor.name.to_owned(),
                location: descriptor.location,
                state: short_type_name((key.name)()),
            });
        }
    }
}

/// The name that was probably meant, of the skills of the draft and of all that are linked.
fn nearest(name: &str, drafted: &HashSet<&str>) -> Option<String> {
    inventory::iter::<&'static SkillDescriptor>
        .into_iter()
        .map(|descriptor| descriptor.name)
        .chain(drafted.iter().copied())
        .filter(|known| *known != name)
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, known)| known.to_owned())
}

fn check_timeout(source: &Source, problems: &mut Vec<CatalogProblem>) {
    let timeout = match source {
        Source::Static(descriptor) => descriptor.timeout,
        Source::Dynamic(skill) => skill.meta.timeout,
    };
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        problems.push(CatalogProblem::Timeout {
            skill: source.name().to_owned(),
            location: location(source),
        });
    }
}

fn check_documentation(source: &Source, skill: &CatalogSkill, problems: &mut Vec<CatalogProblem>) {
    let (documented, undocumented) = match source {
        Source::Static(descriptor) => (descriptor.documented, schema::undocumented(descriptor)),
        Source::Dynamic(dynamic) => (
            skill.description != fallback_description(skill.name()),
            schema::dynamic_undocumented(dynamic),
        ),
    };
    let itself = (!documented).then_some(None);
    for parameter in itself.into_iter().chain(undocumented.into_iter().map(Some)) {
        problems.push(CatalogProblem::Undocumented {
            skill: skill.name().to_owned(),
            location: skill.location,
            parameter,
        });
    }
}

fn fallback_description(name: &str) -> String {
    format!("Remote skill {name}")
}

fn build(source: &Source) -> Result<(CatalogSkill, Vec<String>), String> {
    match source {
        Source::Static(descriptor) => build_static(descriptor),
        Source::Dynamic(skill) => build_dynamic(skill),
    }
}

fn build_static(
    descriptor: &'static SkillDescriptor,
) -> Result<(CatalogSkill, Vec<String>), String> {
    let shape = schema::input(descriptor)?;
    let validator = shape.validator()?;
    let InputShape {
        value,
        compact_len,
        warnings,
        ..
    } = shape;
    let skill = CatalogSkill {
        name: descriptor.name.into(),
        description: descriptor.description.to_owned(),
        input_schema: value,
        input_len: compact_len,
        output_schema: schema::output(descriptor)?,
        output_description: descriptor.output_description.map(str::to_owned),
        group: descriptor.group.map(str::to_owned),
        timeout: descriptor.timeout,
        read_only: descriptor.read_only,
        location: descriptor.location,
        validator,
        turnstile: descriptor.exclusive.then(|| turnstile(descriptor)),
        run: match descriptor.handler {
            Handler::Async(handler) => Run::AsyncStatic(handler),
            Handler::Blocking(handler) => Run::Blocking(RunBlocking::Static(handler)),
            Handler::Inline(handler) => Run::Inline(handler),
        },
    };
    Ok((skill, warnings))
}

fn build_dynamic(skill: &Skill) -> Result<(CatalogSkill, Vec<String>), String> {
    let shape = schema::dynamic_input(skill)?;
    let validator = shape.validator()?;
    let InputShape {
        value,
        compact_len,
        warnings,
        ..
    } = shape;
    let meta = &skill.meta;
    let description = meta
        .description
        .clone()
        .or_else(|| schema::description_of(&value))
        .unwrap_or_else(|| fallback_description(&meta.name));
    let built = CatalogSkill {
        name: meta.name.as_str().into(),
        description,
        input_schema: value,
        input_len: compact_len,
        output_schema: schema::dynamic_output(skill)?,
        output_description: meta.output_description.clone(),
        group: meta.group.clone(),
        timeout: meta.timeout,
        read_only: meta.read_only,
        location: meta.location,
        validator,
        turnstile: meta.exclusive.then(|| skill.turnstile.clone()),
        run: match &skill.handler {
            DynamicHandler::Async(handler) => Run::Async(handler.clone()),
            DynamicHandler::Blocking(handler) => {
                Run::Blocking(RunBlocking::Dynamic(handler.clone()))
            }
        },
    };
    Ok((built, warnings))
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

/// One tool, with its members in the order in which they are written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DynamicTool<'a> {
    /// None in the flat form.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    name: &'a str,
    description: &'a str,
    input_schema: &'a Value,
}

impl<'a> DynamicTool<'a> {
    fn of(skill: &'a CatalogSkill, kind: Option<&'static str>) -> Self {
        Self {
            kind,
            name: &skill.name,
            description: &skill.description,
            input_schema: &skill.input_schema,
        }
    }
}

fn tools(skills: &[Arc<CatalogSkill>]) -> Arc<RawValue> {
    let function = |skill| DynamicTool::of(skill, Some("function"));
    raw(skills.iter().map(AsRef::as_ref).map(function).collect())
}

/// The tools in the older form.
pub(super) fn flat_tools(skills: &[Arc<CatalogSkill>]) -> Arc<RawValue> {
    let flat = |skill| DynamicTool::of(skill, None);
    raw(skills.iter().map(AsRef::as_ref).map(flat).collect())
}

fn raw(tools: Vec<DynamicTool<'_>>) -> Arc<RawValue> {
    // Strings and JSON values always serialize.
    to_raw_value(&tools).map_or_else(|_| RawValue::NULL.to_owned().into(), Arc::from)
}

/// A digest of canonical dynamic tools.
fn fingerprint(tools: &str) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(tools) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn instructions(skills: &[Arc<CatalogSkill>]) -> String {
    if skills.is_empty() {
        return String::new();
    }
    let mut text = String::from(INSTRUCTIONS);
    for skill in skills {
        let description = skill.description.replace('\n', "\n  ");
        // Writing to a string does not fail.
        let _ = write!(text, "\n- {}: {description}", skill.name);
        let _ = write!(text, "\n  input_schema: {}", skill.input_schema);
        if let Some(schema) = &skill.output_schema {
            let _ = write!(text, "\n  output_schema: {schema}");
        }
        if let Some(description) = &skill.output_description {
            let description = description.replace('\n', "\n  ");
            let _ = write!(text, "\n  output_description: {description}");
        }
    }
    text
}
