//! The options of a session in the form that codex-manager takes.

use std::path::Path;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::exchange::NAME;
use crate::runtime::{NewSession, RuntimeError, RuntimeErrorKind, SessionOptions};

/// Tools that a session may have at most.
pub(super) use crate::catalog::rules::MANAGER_TOOLS as TOOLS;

/// The body of the request that creates a session.
pub(super) fn body(request: NewSession, operation: &'static str) -> Result<Value, RuntimeError> {
    let options = request.options;
    let mut body = Map::new();
    refuse_missing(&options, operation)?;
    let cwd = options.cwd.map(|cwd| absolute(&cwd, operation));
    let texts = [
        ("cwd", cwd.transpose()?),
        ("model", options.model),
        (
            "approvalPolicy",
            options.approval_policy.map(|policy| policy.to_string()),
        ),
        (
            "networkAccess",
            options.network_access.map(|access| access.to_string()),
        ),
        (
            "filesystemSandbox",
            options
                .filesystem_sandbox
                .map(|sandbox| sandbox.to_string()),
        ),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            body.insert(name.to_owned(), text.into());
        }
    }
    if let Some(declared) = request.dynamic_tools {
        body.insert("dynamicTools".to_owned(), tools(&declared, operation)?);
    }
    Ok(body.into())
}

/// The tools of a request, if they are not too many: the server refuses those with all that is around them.
pub(super) fn tools(declared: &RawValue, operation: &'static str) -> Result<Value, RuntimeError> {
    let refused = |reason: String| refused(operation, reason);
    let tools: Value =
        serde_json::from_str(declared.get()).map_err(|error| refused(error.to_string()))?;
    match tools.as_array().map_or(0, Vec::len) {
        count if count > TOOLS => Err(refused(format!(
            "the catalog has {count} tools, and it takes {TOOLS} at most: leave some out, share them out among sessions, \
             or use `AppServer`"
        ))),
        _ => Ok(tools),
    }
}

fn refuse_missing(options: &SessionOptions, operation: &'static str) -> Result<(), RuntimeError> {
    let missing = [
        ("ephemeral", options.ephemeral == Some(true)),
        ("config", !options.config.is_empty()),
    ];
    match missing.iter().find(|(_, is_set)| *is_set) {
        None => Ok(()),
        Some((option, _)) => Err(refused(
            operation,
            format!("its sessions have no option `{option}`: leave it out, or use `AppServer`"),
        )),
    }
}

/// A folder as this process sees it: the server runs in another one, and would take it from there.
fn absolute(cwd: &str, operation: &'static str) -> Result<String, RuntimeError> {
    // Not a folder of this system, but maybe one of the server's.
    let is_windows = cwd.starts_with(r"\\") || cwd.get(1..3).is_some_and(|rest| rest == r":\");
    if is_windows || Path::new(cwd).is_absolute() {
        return Ok(cwd.to_owned());
    }
    match std::path::absolute(cwd) {
        Ok(path) => Ok(path.to_string_lossy().into_owned()),
        Err(error) => Err(refused(
            operation,
            format!(
                "option `cwd`: `{cwd}` is no folder here ({error}): give an absolute one of the server's"
            ),
        )),
    }
}

fn refused(operation: &'static str, reason: String) -> RuntimeError {
    RuntimeError::new(NAME, operation, RuntimeErrorKind::Refused, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_folder_is_taken_from_where_this_process_is() {
        let here = std::env::current_dir().unwrap_or_default();
        let here = here.to_string_lossy();
        let absolute = |cwd: &str| absolute(cwd, "create the session").ok();
        assert_eq!(absolute("."), Some(here.to_string()));
        assert_eq!(absolute("./a/b"), Some(format!("{here}/a/b")));
        assert_eq!(absolute("a/../b"), Some(format!("{here}/a/../b")));
        assert_eq!(absolute("/work"), Some("/work".to_owned()));
        assert_eq!(absolute(r"C:\work"), Some(r"C:\work".to_owned()));
        assert_eq!(absolute(""), None);
    }
}
