//! What Zod says of requests, in its words.
#![allow(clippy::result_large_err, reason = "an answer either way")]

use std::collections::HashSet;

use axum::response::Response;
use serde_json::{Value, json};

use super::routes::reply;
use super::shapes;

const POLICIES: [&str; 4] = ["untrusted", "on-failure", "on-request", "never"];
const ACCESS: [&str; 2] = ["restricted", "enabled"];
const SANDBOXES: [&str; 3] = ["read-only", "workspace-write", "danger-full-access"];
const EFFORTS: [&str; 6] = ["none", "minimal", "low", "medium", "high", "xhigh"];
const DECISIONS: [&str; 3] = ["accept", "decline", "cancel"];
const SCOPES: [&str; 2] = ["turn", "session"];

/// Something that is none of the words it may be.
fn one_of(words: &[&str], key: &str) -> Response {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let message = format!("Invalid option: expected one of {}", quoted.join("|"));
    let issue =
        json!({"code": "invalid_value", "values": words, "path": [key], "message": message});
    reply(400, &shapes::invalid(&issue))
}

fn check_word(body: &Value, key: &str, words: &[&str], required: bool) -> Result<(), Response> {
    match body.get(key) {
        None if !required => Ok(()),
        Some(Value::String(word)) if words.contains(&word.as_str()) => Ok(()),
        _ => Err(one_of(words, key)),
    }
}

/// The settings that sessions and messages have alike.
pub(super) fn check_settings(body: &Value) -> Result<(), Response> {
    check_word(body, "approvalPolicy", &POLICIES, false)?;
    check_word(body, "networkAccess", &ACCESS, false)?;
    check_word(body, "filesystemSandbox", &SANDBOXES, false)?;
    check_word(body, "effort", &EFFORTS, false)?;
    for key in ["cwd", "model"] {
        match body.get(key) {
            None | Some(Value::String(_)) => {}
            other => return Err(wrong("string", &[json!(key)], other)),
        }
    }
    Ok(())
}

pub(super) fn check_decision(body: &Value) -> Result<(), Response> {
    check_word(body, "decision", &DECISIONS, true)?;
    check_word(body, "scope", &SCOPES, false)
}

/// How many rows a page may have.
pub(super) fn limit(given: Option<&str>) -> Result<usize, Response> {
    let Some(given) = given else { return Ok(100) };
    let path = json!(["limit"]);
    let issue = match given.parse::<i64>() {
        Ok(limit @ 1..=200) => return Ok(usize::try_from(limit).unwrap_or(100)),
        Ok(..=0) => json!({
            "origin": "number", "code": "too_small", "minimum": 1, "inclusive": true, "path": path,
            "message": "Too small: expected number to be >=1",
        }),
        Ok(_) => json!({
            "origin": "number", "code": "too_big", "maximum": 200, "inclusive": true, "path": path,
            "message": "Too big: expected number to be <=200",
        }),
        Err(_) => json!({
            "expected": "number", "code": "invalid_type", "received": "NaN", "path": path,
            "message": "Invalid input: expected number, received NaN",
        }),
    };
    Err(reply(400, &shapes::invalid(&issue)))
}

pub(super) fn wrong(expected: &str, path: &[Value], found: Option<&Value>) -> Response {
    let found = match found {
        None => "undefined",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
    };
    let message = format!("Invalid input: expected {expected}, received {found}");
    let issue =
        json!({"expected": expected, "code": "invalid_type", "path": path, "message": message});
    reply(400, &shapes::invalid(&issue))
}

pub(super) fn too_small(path: &[Value]) -> Response {
    let issue = json!({
        "origin": "string", "code": "too_small", "minimum": 1, "inclusive": true, "path": path,
        "message": "Too small: expected string to have >=1 characters",
    });
    reply(400, &shapes::invalid(&issue))
}

/// What Zod says of `dynamicTools`, and whether codex would take them.
pub(super) fn check_tools(tools: Option<&Value>) -> Result<bool, Response> {
    let Some(tools) = tools else { return Ok(true) };
    let Some(list) = tools.as_array() else {
        return Err(wrong("array", &[json!("dynamicTools")], Some(tools)));
    };
    if list.len() > 128 {
        let issue = json!({
            "origin": "array", "code": "too_big", "maximum": 128, "inclusive": true,
            "path": ["dynamicTools"], "message": "Too big: expected array to have <=128 items",
        });
        return Err(reply(400, &shapes::invalid(&issue)));
    }
    let mut names = HashSet::new();
    let mut fine = true;
    for (at, tool) in list.iter().enumerate() {
        let path = |key: &str| [json!("dynamicTools"), json!(at), json!(key)];
        for key in ["name", "description"] {
            match tool[key].as_str() {
                None => return Err(wrong("string", &path(key), tool.get(key))),
                Some(text) if text.trim().is_empty() => return Err(too_small(&path(key))),
                Some(_) => {}
            }
        }
        let schema = tool.get("inputSchema");
        if !schema.is_some_and(Value::is_object) {
            return Err(wrong("record", &path("inputSchema"), schema));
        }
        let name = tool["name"].as_str().unwrap_or_default();
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
        fine &=
            name.chars().all(plain) && names.insert(name) && tool["inputSchema"]["type"] != "null";
    }
    Ok(fine)
}
