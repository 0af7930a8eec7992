//! A runtime inside this process: real sessions and turns, with a model of your choice, and nothing
//! installed. As strict as codex: what codex refuses is refused here, in the same words.
//!
//! [A chapter of the manual](crate::guide::embedded) has a program to begin with, and what can go wrong.

mod demo;
mod model;
mod script;
mod session;
mod shown;
mod strict;
mod tools;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use foldhash::HashMap;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use self::demo::Demo;
use self::model::AnyModel;
use self::script::Script;
use self::session::EmbeddedSession;
use self::tools::Tools;
use super::{
    Accepted, Created, Deletion, Event, EventSink, NewSession, Receipt, Resumed, Runtime,
    RuntimeError, RuntimeErrorKind, RuntimeFuture, SendRequest, Submission, ToolFormat,
};
use crate::skill::{SkillOutput, ToolCall};

pub use self::model::{Content, HistoryItem, Model, ModelError, ModelItem, ModelTool, ModelTurn};
pub use self::script::Step;

const NAME: &str = "the embedded runtime";

/// The runtime inside this process.
///
/// Sessions and their history live in memory and end with the runtime. Turns run on the tokio runtime
/// that sent them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// use codex_skills::Embedded;
///
/// let codex = Embedded::demo();
/// let run = codex.lifecycle(|draft| draft).await?;
/// assert_eq!(codex.runtime().session_count(), 1);
/// run.close().await?;
/// assert_eq!(codex.runtime().session_count(), 0);
/// # Ok(())
/// # }
/// ```
pub struct Embedded {
    model: Arc<dyn AnyModel>,
    sessions: Mutex<HashMap<Arc<str>, Arc<EmbeddedSession>>>,
    /// From 0, as in a codex process, and shared by all sessions.
    request_ids: Arc<AtomicU64>,
    /// The tools that were checked last, by the text that they were read from.
    checked: Mutex<Vec<(Weak<RawValue>, Tools)>>,
}

/// Tool arrays remembered as checked.
const CHECKED: usize = 16;

impl Embedded {
    /// A runtime with this model.
    pub(crate) fn new(model: impl Model) -> Self {
        Self {
            model: Arc::new(model),
            sessions: Mutex::default(),
            request_ids: Arc::default(),
            checked: Mutex::default(),
        }
    }

    /// A runtime whose model matches keywords.
    pub(crate) fn of_demo() -> Self {
        Self::new(Demo)
    }

    /// A runtime whose model follows a script.
    pub(crate) fn of_script(steps: Vec<Step>) -> Self {
        Self::new(Script::new(steps))
    }

    /// The ids of the sessions there are.
    #[must_use]
    pub fn session_ids(&self) -> Vec<String> {
        self.sessions().keys().map(ToString::to_string).collect()
    }

    /// Returns the number of sessions.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions().len()
    }

    /// The conversation of a session; `None` when there is no such session.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// use codex_skills::Embedded;
    /// use codex_skills::embedded::Content;
    ///
    /// let codex = Embedded::demo();
    /// let run = codex.lifecycle(|draft| draft).await?;
    /// run.send_and_handle("hello").await?;
    /// let history = codex.runtime().history(run.session_id()).unwrap_or_default();
    /// assert!(matches!(&history[0].content, Content::User(text) if text == "hello"));
    /// run.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn history(&self, session_id: &str) -> Option<Vec<Arc<HistoryItem>>> {
        let session = self.sessions().get(session_id).cloned();
        session.map(|session| session.history())
    }

    fn find(
        &self,
        session_id: &str,
        operation: &'static str,
    ) -> Result<Arc<EmbeddedSession>, RuntimeError> {
        let session = self.sessions().get(session_id).cloned();
        let session = session.filter(|session| !session.is_deleted());
        session.ok_or_else(|| {
            RuntimeError::new(
                NAME,
                operation,
                RuntimeErrorKind::NotFound,
                format!("thread not found: {session_id}"),
            )
        })
    }

    fn submit(&self, call: &ToolCall, output: Arc<SkillOutput>) -> Submission {
        let session = self.sessions().get(&call.session_id).cloned();
        let answered = session.is_some_and(|session| session.answer(call, output));
        // Codex ignores late and second answers; here the caller learns of them.
        if answered {
            Submission::Accepted
        } else {
            Submission::Settled {
                code: "not_found".to_owned(),
            }
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<EmbeddedSession>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks tools as codex does, once for all sessions that share a text.
    fn check(&self, raw: &Arc<RawValue>) -> Result<Tools, String> {
        let is_shared = |text: &Weak<RawValue>| std::ptr::eq(text.as_ptr(), Arc::as_ptr(raw));
        let known = || self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, tools)) = known().iter().find(|(text, _)| is_shared(text)) {
            return Ok(tools.clone());
        }
        let tools: Value = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
        let tools = Tools::from(strict::check_dynamic_tools(&tools)?);
        let mut known = known();
        // A catalog that is gone can no longer present its text.
        known.retain(|(text, _)| text.strong_count() > 0);
        if known.len() == CHECKED {
            known.remove(0);
        }
        known.push((Arc::downgrade(raw), tools.clone()));
        Ok(tools)
    }

    fn create(&self, request: &NewSession) -> Result<Created, RuntimeError> {
        let tools = match &request.dynamic_tools {
            None => Tools::default(),
            Some(raw) => self
                .check(raw)
                .map_err(|reason| refused("create the session", reason))?,
        };
        let id: Arc<str> = Uuid::now_v7().to_string().into();
        let session = EmbeddedSession::new(
            id.clone(),
            self.model.clone(),
            self.request_ids.clone(),
            tools,
            request,
        );
        let payload = session.created();
        self.sessions().insert(id.clone(), Arc::new(session));
        Ok(Created::new(id, payload))
    }
}

fn refused(operation: &'static str, reason: impl Into<String>) -> RuntimeError {
    RuntimeError::new(NAME, operation, RuntimeErrorKind::Refused, reason)
}

impl Runtime for Embedded {
    fn name(&self) -> &'static str {
        NAME
    }

    fn tool_format(&self) -> ToolFormat {
        ToolFormat::Canonical
    }

    fn keeps_references(&self) -> bool {
        true
    }

    fn folder(&self, cwd: &str) -> Option<PathBuf> {
        Some(cwd.into())
    }

    fn create_session(&self, request: NewSession) -> RuntimeFuture<'_, Created> {
        Box::pin(async move { self.create(&request) })
    }

    fn subscribe(&self, session_id: Arc<str>, events: Weak<dyn EventSink>) {
        if let Some(session) = self.sessions().get(&session_id) {
            session.subscribe(events);
        }
    }

    fn resume(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Resumed> {
        Box::pin(async move {
            let session = self.find(&session_id, "resume the session")?;
            // Calls that wait are announced again (contract §2.7).
            for call in session.pending_calls() {
                session.deliver(Event::ToolCall(call));
            }
            Ok(Resumed::new(session.fingerprint())
                .with_requests(Some(!session.history().is_empty())))
        })
    }

    fn send(&self, session_id: Arc<str>, request: SendRequest) -> RuntimeFuture<'_, Accepted> {
        Box::pin(async move {
            self.find(&session_id, "send the request")?
                .send(request.text)
                .map_err(|reason| refused("send the request", reason))
        })
    }

    fn interrupt(&self, session_id: Arc<str>, turn_id: Option<Arc<str>>) -> RuntimeFuture<'_, ()> {
        Box::pin(async move {
            self.find(&session_id, "interrupt the turn")?
                .interrupt(turn_id.as_deref())
                .await
                .map_err(|reason| refused("interrupt the turn", reason))
        })
    }

    fn pending_calls(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Vec<ToolCall>> {
        Box::pin(async move {
            let session = self.sessions().get(&session_id).cloned();
            let calls = session.map(|session| session.pending_calls());
            Ok(calls
                .into_iter()
                .flatten()
                .map(|call| ToolCall::clone(&call))
                .collect())
        })
    }

    fn answer_now(
        &self,
        call: &Arc<ToolCall>,
        output: &Arc<SkillOutput>,
        receipt: Receipt,
    ) -> Result<(), Receipt> {
        receipt.tell(self.submit(call, output.clone()));
        Ok(())
    }

    fn answer(
        &self,
        call: Arc<ToolCall>,
        output: Arc<SkillOutput>,
    ) -> RuntimeFuture<'_, Submission> {
        Box::pin(async move { Ok(self.submit(&call, output)) })
    }

    fn detail(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Value> {
        Box::pin(async move { Ok(self.find(&session_id, "read the session")?.detail()) })
    }

    fn delete_session(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Deletion> {
        Box::pin(async move {
            let session = self.sessions().get(&session_id).cloned();
            // The session is forgotten at the end, so that a deletion that was dropped can be repeated.
            if let Some(session) = &session {
                session.wind_down().await;
            }
            let removed = self.sessions().remove(&session_id);
            let status = match removed {
                Some(session) => {
                    session.deliver(Event::SessionClosed {
                        reason: "it was deleted".to_owned(),
                        is_lost: false,
                    });
                    "ok"
                }
                None => "not_found",
            };
            Ok(Deletion::new(
                status,
                serde_json::json!({"status": status, "sessionId": &*session_id}),
            ))
        })
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("sessions", &self.session_count())
            .field("requests", &self.request_ids.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "tests fail by panicking")]

    use super::*;

    fn text(name: &str) -> Arc<RawValue> {
        let tools = format!(
            r#"[{{"type":"function","name":"{name}","description":"D.","inputSchema":{{}}}}]"#
        );
        RawValue::from_string(tools).expect("JSON").into()
    }

    #[test]
    fn each_text_of_tools_is_checked_and_a_shared_one_once() {
        let embedded = Embedded::of_demo();
        let first = text("lookup");
        let tools = embedded.check(&first).expect("fine");
        assert!(tools.is(&embedded.check(&first).expect("fine")));
        assert!(!tools.is(&embedded.check(&text("lookup")).expect("fine")));
        assert!(embedded.check(&text("mcp")).is_err());
        assert!(embedded.check(&text("mcp")).is_err());
        // Texts come and go, and the memory of them is bounded.
        let kept: Vec<_> = (0..2 * CHECKED).map(|_| text("lookup")).collect();
        for text in &kept {
            assert!(embedded.check(text).is_ok());
        }
        assert_eq!(embedded.checked.lock().expect("sound").len(), CHECKED);
        drop(kept);
        assert!(!tools.is(&embedded.check(&first).expect("fine")));
        assert_eq!(embedded.checked.lock().expect("sound").len(), 1);
    }
}
