//! Server requests other than tool calls: approvals, questions to the user, forms. Each is answered: by the program's
//! handler, by a refusal, or by the people or clients to whom it is left.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::withheld;

/// A server request other than a tool call, made while a turn runs: may this command run, may this file be changed,
/// what does the user answer.
///
/// ```
/// use codex_skills::{CodexRequest, CodexRequestKind};
///
/// let request = CodexRequest::new(
///     "item/commandExecution/requestApproval",
///     Some("thread"),
///     serde_json::json!({"command": "ls"}),
/// );
/// assert_eq!(request.kind(), CodexRequestKind::Command);
/// assert_eq!(request.params["command"], "ls");
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct CodexRequest {
    /// The method, like `item/commandExecution/requestApproval`.
    pub method: String,
    /// The thread that asks: the session, or a sub-agent of it.
    pub thread_id: Option<String>,
    /// The parameters, as codex wrote them.
    pub params: Value,
}

/// Leaves out the parameters: commands and questions may have secrets in them.
impl fmt::Debug for CodexRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodexRequest")
            .field("method", &self.method)
            .field("thread_id", &self.thread_id)
            .field("params", &withheld::Json(&self.params))
            .finish()
    }
}

impl CodexRequest {
    /// A request with these parameters, for runtimes of your own.
    #[must_use]
    pub fn new(method: &str, thread_id: Option<&str>, params: Value) -> Self {
        Self {
            method: method.to_owned(),
            thread_id: thread_id.map(str::to_owned),
            params,
        }
    }

    /// The size in memory, roughly, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        fn of(value: &Value) -> usize {
            let more: usize = match value {
                Value::String(text) => text.len(),
                Value::Array(items) => items.iter().map(of).sum(),
                Value::Object(members) => {
                    members.iter().map(|(key, item)| key.len() + of(item)).sum()
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            };
            std::mem::size_of::<Value>() + more
        }
        std::mem::size_of::<Self>() + of(&self.params)
    }

    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> CodexRequestKind {
        match self.method.as_str() {
            "item/commandExecution/requestApproval" | "execCommandApproval" => {
                CodexRequestKind::Command
            }
            "item/fileChange/requestApproval" | "applyPatchApproval" => {
                CodexRequestKind::FileChange
            }
            "item/permissions/requestApproval" => CodexRequestKind::Permissions,
            "item/tool/requestUserInput" | "tool/requestUserInput" => CodexRequestKind::UserInput,
            "mcpServer/elicitation/request" => CodexRequestKind::Elicitation,
            _ => CodexRequestKind::Other,
        }
    }

    /// The result that grants it once; `None` where granting takes more than a word.
    fn granted(&self) -> Option<Value> {
        match self.method.as_str() {
            "item/commandExecution/requestApproval" | "item/fileChange/requestApproval" => {
                Some(json!({"decision": "accept"}))
            }
            "execCommandApproval" | "applyPatchApproval" => Some(json!({"decision": "approved"})),
            "item/permissions/requestApproval" => Some(json!({
                "permissions": self.params.get("permissions").cloned().unwrap_or_else(|| json!({})),
                "scope": "turn",
            })),
            _ => None,
        }
    }

    /// The result by which the protocol itself says no; `None` for what only a result can answer.
    fn refused(&self) -> Option<Value> {
        match self.method.as_str() {
            "item/commandExecution/requestApproval"
            | "item/fileChange/requestApproval"
            | "skill/requestApproval" => Some(json!({"decision": "decline"})),
            "execCommandApproval" | "applyPatchApproval" => {
                Some(json!({"decision": {"denied": {"rejection": "refused by the client"}}}))
            }
            "item/permissions/requestApproval" => Some(json!({"permissions": {}, "scope": "turn"})),
            "item/tool/requestUserInput" | "tool/requestUserInput" => Some(json!({"answers": {}})),
            "mcpServer/elicitation/request" => {
                Some(json!({"action": "decline", "content": null, "_meta": null}))
            }
            _ => None,
        }
    }
}

/// The kind of a [`CodexRequest`].
///
/// ```
/// use codex_skills::{CodexReply, CodexRequest, CodexRequestKind};
///
/// fn decide(request: &CodexRequest) -> CodexReply {
///     match request.kind() {
///         CodexRequestKind::FileChange => CodexReply::Grant,
///         CodexRequestKind::UserInput => CodexReply::Result(serde_json::json!({"answers": {}})),
///         _ => CodexReply::Refuse,
///     }
/// }
/// # let request = CodexRequest::new("item/fileChange/requestApproval", None, serde_json::Value::Null);
/// # assert_eq!(decide(&request), CodexReply::Grant);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CodexRequestKind {
    /// May a command run?
    Command,
    /// May files be changed?
    FileChange,
    /// May there be more permissions?
    Permissions,
    /// Questions to the user.
    UserInput,
    /// A form of an MCP server.
    Elicitation,
    /// Something else.
    Other,
}

/// The answer to a [`CodexRequest`].
///
/// ```
/// use codex_skills::{CodexReply, CodexRequest};
///
/// let request = CodexRequest::new(
///     "item/commandExecution/requestApproval",
///     Some("thread"),
///     serde_json::json!({"command": "ls"}),
/// );
/// let granted = CodexReply::Grant.into_result(&request);
/// assert_eq!(granted, Some(serde_json::json!({"decision": "accept"})));
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum CodexReply {
    /// No, in the protocol's own words. What no refusal exists for is answered with an error.
    Refuse,
    /// Yes, this once. Questions and forms cannot be granted without an answer: they are refused.
    Grant,
    /// A result in the protocol's shape for the method, as it is.
    Result(Value),
}

/// Leaves out the result: a user's answer may be a secret.
impl fmt::Debug for CodexReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse => f.write_str("Refuse"),
            Self::Grant => f.write_str("Grant"),
            Self::Result(result) => {
                let result = withheld::Json(result);
                f.debug_tuple("Result").field(&result).finish()
            }
        }
    }
}

impl CodexReply {
    /// The result on the wire; `None` where only an error is left to say.
    #[must_use]
    pub fn into_result(self, request: &CodexRequest) -> Option<Value> {
        match self {
            Self::Result(result) => Some(result),
            Self::Grant => request.granted().or_else(|| request.refused()),
            Self::Refuse => request.refused(),
        }
    }
}

/// The future of a [`CodexReply`].
pub type ReplyFuture = Pin<Box<dyn Future<Output = CodexReply> + Send>>;

/// The handler of a session's requests other than tool calls. Cheap to clone.
///
/// ```
/// # async fn example() {
/// use codex_skills::{CodexReply, CodexRequest, RequestHandler};
///
/// // Grants commands that only read.
/// let handler = RequestHandler::new(|request: CodexRequest| async move {
///     match request.params["command"].as_str() {
///         Some("ls" | "cat plan.md") => CodexReply::Grant,
///         _ => CodexReply::Refuse,
///     }
/// });
/// # }
/// ```
#[derive(Clone)]
pub struct RequestHandler(Option<Handle>);

type Handle = Arc<dyn Fn(CodexRequest) -> ReplyFuture + Send + Sync>;

impl RequestHandler {
    /// A function of your own. It runs on a task of its own; one that panics refuses. Codex waits for it as long as
    /// it takes; it is dropped when its turn ends, and when the request is answered elsewhere.
    pub fn new<F, Fut>(handle: F) -> Self
    where
        F: Fn(CodexRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = CodexReply> + Send + 'static,
    {
        Self(Some(Arc::new(move |request| Box::pin(handle(request)))))
    }

    /// Leaves everything to others: to the people at codex-manager's web pages, or to another client of a codex
    /// app-server that was not started here. Requests of a codex that this client started are refused, since no other
    /// client can answer them.
    ///
    /// Codex waits until they decide. The session's [signals](crate::Session::signals) have an
    /// [`Event::RequestWaiting`](crate::Event::RequestWaiting) for each on codex-manager, and
    /// [`send_and_handle`](crate::Session::send_and_handle) waits no longer than
    /// [`Limits::decision_timeout`](crate::Limits::decision_timeout).
    ///
    /// ```
    /// let handler = codex_skills::RequestHandler::leave();
    /// assert!(handler.leaves());
    /// ```
    #[must_use]
    pub fn leave() -> Self {
        Self(None)
    }

    /// Whether it leaves everything to others.
    #[must_use]
    pub fn leaves(&self) -> bool {
        self.0.is_none()
    }

    /// Refuses everything.
    ///
    /// ```
    /// let handler = codex_skills::RequestHandler::refuse();
    /// assert!(!handler.leaves());
    /// ```
    #[must_use]
    pub fn refuse() -> Self {
        Self::new(|_| std::future::ready(CodexReply::Refuse))
    }

    /// Asks for the reply to a request.
    ///
    /// ```
    /// use codex_skills::{CodexReply, CodexRequest, RequestHandler};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// // A test of a handler.
    /// let handler = RequestHandler::refuse();
    /// let request = CodexRequest::new("item/tool/requestUserInput", None, serde_json::json!({}));
    /// assert_eq!(handler.ask(request).await, CodexReply::Refuse);
    /// # }
    /// ```
    #[must_use]
    pub fn ask(&self, request: CodexRequest) -> ReplyFuture {
        match &self.0 {
            Some(handle) => handle(request),
            None => Box::pin(std::future::ready(CodexReply::Refuse)),
        }
    }
}

impl fmt::Debug for RequestHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestHandler")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str) -> CodexRequest {
        CodexRequest::new(method, Some("t"), json!({"permissions": {"network": {}}}))
    }

    #[test]
    fn refusals_are_in_the_words_of_the_protocol() {
        for (method, refusal) in [
            (
                "item/commandExecution/requestApproval",
                json!({"decision": "decline"}),
            ),
            (
                "item/fileChange/requestApproval",
                json!({"decision": "decline"}),
            ),
            (
                "item/permissions/requestApproval",
                json!({"permissions": {}, "scope": "turn"}),
            ),
            ("item/tool/requestUserInput", json!({"answers": {}})),
        ] {
            let request = request(method);
            assert_eq!(CodexReply::Refuse.into_result(&request), Some(refusal));
        }
        assert_eq!(
            CodexReply::Refuse.into_result(&request("attestation/generate")),
            None
        );
    }

    #[test]
    fn what_cannot_be_granted_is_refused() {
        let grant = |method: &str| CodexReply::Grant.into_result(&request(method));
        assert_eq!(
            grant("item/commandExecution/requestApproval"),
            Some(json!({"decision": "accept"}))
        );
        assert_eq!(
            grant("item/permissions/requestApproval"),
            Some(json!({"permissions": {"network": {}}, "scope": "turn"}))
        );
        assert_eq!(
            grant("item/tool/requestUserInput"),
            Some(json!({"answers": {}}))
        );
    }
}
