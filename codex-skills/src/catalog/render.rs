//! Rendering of checked skills: declarations for codex, instruction text for the model.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::skill::CatalogSkill;
use crate::skill::Location;
use crate::skill::schema::{Form, raw};

/// How every instruction text begins.
const INSTRUCTIONS: &str = "Skills of this session, each a tool that you can call. Use them where they help, and no \
     tools besides those you were given.";
/// What stands between the instruction text and the request.
const USER_REQUEST: &str = "\n\nUser request:\n";

/// What namespaces are for, and where that is said.
pub(super) type Descriptions = BTreeMap<String, (String, Location)>;

/// What a session declares, with its members in the order in which they are written.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum DynamicTool<'a> {
    Function(Function<'a>),
    Namespace {
        name: &'a str,
        description: &'a str,
        tools: Vec<Self>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    input_schema: &'a RawValue,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    defer_loading: bool,
}

impl<'a> Function<'a> {
    fn of(skill: &'a CatalogSkill, form: Form) -> Self {
        Self {
            name: &skill.name,
            description: &skill.description,
            input_schema: skill.input.in_form(form),
            defer_loading: skill.deferred,
        }
    }
}

/// The tools in the canonical form: those without a namespace, then the namespaces.
pub(super) fn tools(
    skills: &[Arc<CatalogSkill>],
    descriptions: &Descriptions,
    form: Form,
) -> Arc<RawValue> {
    let mut tools = Vec::with_capacity(skills.len());
    for scope in skills.chunk_by(|a, b| a.namespace == b.namespace) {
        let functions = scope
            .iter()
            .map(|skill| DynamicTool::Function(Function::of(skill, form)));
        match scope.first().and_then(|skill| skill.namespace.as_deref()) {
            None => tools.extend(functions),
            Some(name) => tools.push(DynamicTool::Namespace {
                name,
                description: descriptions.get(name).map_or("", |(text, _)| text),
                tools: functions.collect(),
            }),
        }
    }
    raw(&tools).into()
}

/// The tools in the older form, which has no place for namespaces. Where it is needed, the codex may be one that drops
/// references.
pub(super) fn flat_tools(skills: &[Arc<CatalogSkill>]) -> Option<Arc<RawValue>> {
    if skills.iter().any(|skill| skill.namespace.is_some()) {
        return None;
    }
    let tools: Vec<Function<'_>> = skills
        .iter()
        .map(|skill| Function::of(skill, Form::Inlined))
        .collect();
    Some(raw(&tools).into())
}

/// A digest of tools in the canonical form.
pub(super) fn fingerprint(tools: &str) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(tools) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Appends a description whose lines are below the first.
fn push_indented(text: &mut String, description: &str) {
    for (at, line) in description.split('\n').enumerate() {
        if at > 0 {
            text.push_str("\n  ");
        }
        text.push_str(line);
    }
}

/// The whole catalog as text.
pub(super) fn instructions(skills: &[Arc<CatalogSkill>]) -> String {
    if skills.is_empty() {
        return String::new();
    }
    let mut text = String::from(INSTRUCTIONS);
    for skill in skills.iter().filter(|skill| !skill.deferred) {
        text.push_str("\n- ");
        text.push_str(&skill.qualified);
        text.push_str(": ");
        push_indented(&mut text, &skill.description);
        text.push_str("\n  input_schema: ");
        text.push_str(skill.input.text.get());
        push_answer(&mut text, skill);
    }
    push_deferred(&mut text, skills);
    text
}

/// What the tools do not say, as text.
pub(super) fn supplement(skills: &[Arc<CatalogSkill>]) -> String {
    let has_answer =
        |skill: &Arc<CatalogSkill>| skill.output.is_some() || skill.output_description.is_some();
    let listed = || skills.iter().filter(|skill| !skill.deferred);
    if listed().count() == skills.len() && !listed().any(has_answer) {
        return String::new();
    }
    // Skills that answer the same are one item, at the place of the first.
    let mut places = BTreeMap::new();
    let mut alike: Vec<Vec<&CatalogSkill>> = Vec::new();
    for skill in listed() {
        let schema = skill.output.as_ref().map(|output| output.text.get());
        let answer = (schema, skill.output_description.as_deref());
        let at = *places.entry(answer).or_insert(alike.len());
        match alike.get_mut(at) {
            Some(others) => others.push(skill),
            None => alike.push(vec![skill]),
        }
    }
    let mut text = String::from(INSTRUCTIONS);
    for skills in alike {
        for (at, skill) in skills.iter().enumerate() {
            text.push_str(if at == 0 { "\n- " } else { ", " });
            text.push_str(&skill.qualified);
        }
        if let Some(skill) = skills.first() {
            push_answer(&mut text, skill);
        }
    }
    push_deferred(&mut text, skills);
    text
}

/// Appends what an answer is.
fn push_answer(text: &mut String, skill: &CatalogSkill) {
    if let Some(output) = &skill.output {
        text.push_str("\n  output_schema: ");
        text.push_str(output.text.get());
    }
    if let Some(description) = &skill.output_description {
        text.push_str("\n  output_description: ");
        push_indented(text, description);
    }
}

/// Appends that there are more skills than are listed.
fn push_deferred(text: &mut String, skills: &[Arc<CatalogSkill>]) {
    // To name them one by one would fill the context that they are deferred to spare.
    let mut deferred: BTreeMap<&str, usize> = BTreeMap::new();
    for skill in skills.iter().filter(|skill| skill.deferred) {
        *deferred
            .entry(skill.namespace().unwrap_or_default())
            .or_default() += 1;
    }
    let deferred: Vec<String> = deferred
        .iter()
        .map(|(namespace, count)| format!("{count} in `{namespace}`"))
        .collect();
    if !deferred.is_empty() {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "\nMore are found by searching your tools: {}.",
            deferred.join(", ")
        );
    }
}

/// The request with a text of the catalog before it.
pub(super) fn before(text: &str, request: &str) -> String {
    if text.is_empty() {
        return request.to_owned();
    }
    format!("{text}{USER_REQUEST}{request}")
}

/// The request without the text of the catalog that was put before it.
#[cfg(feature = "embedded")]
pub(crate) fn without_instructions(text: &str) -> &str {
    // No line of an instruction text is empty, so the first separator is ours.
    text.strip_prefix(INSTRUCTIONS)
        .and_then(|rest| rest.split_once(USER_REQUEST))
        .map_or(text, |(_, request)| request)
}
