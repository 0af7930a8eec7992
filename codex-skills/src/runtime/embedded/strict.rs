//! What codex answers at `thread/start` for an array of dynamic tools (contract §1.1, §1.2, §1.4): the
//! same refusals in the same words and the same order, all of them JSON-RPC errors of code -32600.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::skill::built_in::{RESERVED_NAMESPACES, Takes, built_in};
use crate::skill::schema::refused;

const NAME_LIMIT: usize = 128;
const NAMESPACE_LIMIT: usize = 64;
const NAMESPACE_DESCRIPTION_LIMIT: usize = 1_024;

/// A dynamic tool that passed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StrictTool {
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) input_schema: Value,
    pub(crate) defer_loading: bool,
}

/// Whether codex silently neither lists nor dispatches the tool, whatever its model.
pub(crate) fn is_shadowed(namespace: Option<&str>, name: &str) -> bool {
    // An empty namespace counts as none.
    let namespace = namespace.filter(|namespace| !namespace.is_empty());
    built_in(namespace, name).is_some_and(|tool| tool.takes != Takes::Sometimes)
}

/// Checks `dynamicTools`; `null` is no tools.
///
/// # Errors
/// Codex's message.
pub(crate) fn check_dynamic_tools(tools: &Value) -> Result<Vec<StrictTool>, String> {
    let specs = read(tools).map_err(|reason| format!("Invalid request: {reason}"))?;
    let mut seen = HashSet::new();
    let mut seen_namespaces = HashSet::new();
    let mut accepted = Vec::new();
    for spec in specs {
        match spec {
            Spec::Function(function) => {
                check_function(&function, None, &mut seen)?;
                accepted.push(function.into_tool(None));
            }
            Spec::Namespace(namespace) => {
                check_namespace(&namespace, &mut seen_namespaces)?;
                let name = namespace.name;
                let mut seen = HashSet::new();
                for function in namespace.tools {
                    check_function(&function, Some(&name), &mut seen)?;
                    accepted.push(function.into_tool(Some(name.clone())));
                }
            }
        }
    }
    Ok(accepted)
}

enum Spec {
    Function(Function),
    Namespace(Namespace),
}

struct Function {
    name: String,
    description: String,
    input_schema: Value,
    defer_loading: bool,
}

impl Function {
    fn into_tool(self, namespace: Option<String>) -> StrictTool {
        StrictTool {
            namespace,
            name: self.name,
            description: self.description,
            input_schema: self.input_schema,
            defer_loading: self.defer_loading,
        }
    }
}

struct Namespace {
    name: String,
    description: String,
    tools: Vec<Function>,
}

fn read(tools: &Value) -> Result<Vec<Spec>, String> {
    let tools = match tools {
        Value::Null => return Ok(Vec::new()),
        Value::Array(tools) => tools,
        other => return Err(invalid(other, "a sequence")),
    };
    let tools = tools.iter().map(object).collect::<Result<Vec<_>, _>>()?;
    let canonical = tools
        .iter()
        .filter(|tool| tool.contains_key("type"))
        .count();
    if canonical == tools.len() {
        tools.into_iter().map(read_canonical).collect()
    } else if canonical == 0 {
        read_legacy(&tools)
    } else {
        Err("dynamic tools must use either canonical or legacy format consistently".to_owned())
    }
}

fn read_canonical(tool: &Map<String, Value>) -> Result<Spec, String> {
    match text(tool, "type")?.as_str() {
        "function" => read_function(tool).map(Spec::Function),
        "namespace" => read_namespace(tool).map(Spec::Namespace),
        other => Err(format!(
            "unknown variant `{other}`, expected `function` or `namespace`"
        )),
    }
}

fn read_function(tool: &Map<String, Value>) -> Result<Function, String> {
    Ok(Function {
        name: text(tool, "name")?,
        description: text(tool, "description")?,
        input_schema: member(tool, "inputSchema")?.clone(),
        defer_loading: flag(tool, "deferLoading")?.unwrap_or(false),
    })
}

fn read_namespace(tool: &Map<String, Value>) -> Result<Namespace, String> {
    let name = text(tool, "name")?;
    let description = text(tool, "description")?;
    let tools = match member(tool, "tools")? {
        Value::Array(tools) => tools,
        other => return Err(invalid(other, "a sequence")),
    };
    let tools = tools
        .iter()
        .map(|tool| {
            let tool = object(tool)?;
            match text(tool, "type")?.as_str() {
                "function" => read_function(tool),
                other => Err(format!("unknown variant `{other}`, expected `function`")),
            }
        })
        .collect::<Result<_, _>>()?;
    Ok(Namespace {
        name,
        description,
        tools,
    })
}

/// The flat shape of older clients: tools that name the same namespace are gathered where it comes
/// first.
fn read_legacy(tools: &[&Map<String, Value>]) -> Result<Vec<Spec>, String> {
    let mut specs = Vec::new();
    for tool in tools {
        let mut function = read_function(tool)?;
        if let (None, Some(exposed)) = (tool.get("deferLoading"), flag(tool, "exposeToContext")?) {
            function.defer_loading = !exposed;
        }
        let namespace = match tool.get("namespace") {
            None | Some(Value::Null) => {
                specs.push(Spec::Function(function));
                continue;
            }
            Some(_) => text(tool, "namespace")?,
        };
        let gathered = specs.iter_mut().find_map(|spec| match spec {
            Spec::Namespace(known) if known.name == namespace => Some(&mut known.tools),
            Spec::Namespace(_) | Spec::Function(_) => None,
        });
        match gathered {
            Some(tools) => tools.push(function),
            None => specs.push(Spec::Namespace(Namespace {
                name: namespace,
                description: String::new(),
                tools: vec![function],
            })),
        }
    }
    Ok(specs)
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| invalid(value, "a dynamic tool"))
}

fn member<'a>(tool: &'a Map<String, Value>, name: &str) -> Result<&'a Value, String> {
    tool.get(name)
        .ok_or_else(|| format!("missing field `{name}`"))
}

fn text(tool: &Map<String, Value>, name: &str) -> Result<String, String> {
    match member(tool, name)? {
        Value::String(text) => Ok(text.clone()),
        other => Err(invalid(other, "a string")),
    }
}

fn flag(tool: &Map<String, Value>, name: &str) -> Result<Option<bool>, String> {
    match tool.get(name) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(invalid(other, "a boolean")),
    }
}

fn invalid(value: &Value, expected: &str) -> String {
    format!(
        "invalid type: {}, expected {expected}",
        refused::kind_of(value)
    )
}

fn check_namespace(namespace: &Namespace, seen: &mut HashSet<String>) -> Result<(), String> {
    let name = &namespace.name;
    check_identifier(name, "dynamic tool namespace", NAMESPACE_LIMIT)?;
    if namespace.description.chars().count() > NAMESPACE_DESCRIPTION_LIMIT {
        return Err(format!(
            "dynamic tool namespace description must be at most {NAMESPACE_DESCRIPTION_LIMIT} \
             characters"
        ));
    }
    check_mcp(name, "dynamic tool namespace")?;
    if RESERVED_NAMESPACES.contains(&name.as_str()) {
        return Err(format!(
            "dynamic tool namespace collides with a reserved Responses API namespace: {name}"
        ));
    }
    if !seen.insert(name.clone()) {
        return Err(format!("duplicate dynamic tool namespace: {name}"));
    }
    if namespace.tools.is_empty() {
        return Err(format!(
            "dynamic tool namespace must contain at least one tool: {name}"
        ));
    }
    Ok(())
}

fn check_function(
    function: &Function,
    namespace: Option<&str>,
    seen: &mut HashSet<String>,
) -> Result<(), String> {
    let name = &function.name;
    check_identifier(name, "dynamic tool name", NAME_LIMIT)?;
    check_mcp(name, "dynamic tool name")?;
    if !seen.insert(name.clone()) {
        return Err(match namespace {
            Some(namespace) => {
                format!("duplicate dynamic tool name in namespace {namespace}: {name}")
            }
            None => format!("duplicate dynamic tool name: {name}"),
        });
    }
    if function.defer_loading && namespace.is_none() {
        return Err(format!(
            "deferred dynamic tool must include a namespace: {name}"
        ));
    }
    let schema = &function.input_schema;
    refused::check_depth(schema)
        .and_then(|()| refused::check(schema).map_err(|refusal| refusal.reason))
        .map_err(|reason| {
            format!("dynamic tool input schema is not supported for {name}: {reason}")
        })
}

fn check_identifier(name: &str, what: &str, limit: usize) -> Result<(), String> {
    let shown = name.escape_default();
    if name.trim().is_empty() {
        return Err(format!("{what} must not be empty"));
    }
    if name.trim() != name {
        return Err(format!("{what} has leading/trailing whitespace: {shown}"));
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.bytes().all(is_allowed) {
        return Err(format!(
            "{what} must match ^[a-zA-Z0-9_-]+$ to match Responses API: {shown}"
        ));
    }
    if name.len() > limit {
        return Err(format!(
            "{what} must be at most {limit} characters to match Responses API: {shown}"
        ));
    }
    Ok(())
}

fn check_mcp(name: &str, what: &str) -> Result<(), String> {
    if name == "mcp" || name.starts_with("mcp__") {
        return Err(format!("{what} is reserved: {name}"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "strict_tests.rs"]
mod tests;
