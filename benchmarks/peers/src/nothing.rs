//! A runtime that does nothing: what a session costs on it is what this library adds to any runtime.

use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use codex_skills::runtime::{
    Accepted, Created, Deletion, EventSink, NewSession, Resumed, Runtime, RuntimeFuture,
    SendRequest, Submission, ToolFormat,
};
use codex_skills::{SkillOutput, ToolCall};
use serde_json::Value;

/// It makes up ids, and forgets everything.
#[derive(Debug, Default)]
pub struct Nothing(AtomicU64);

impl Runtime for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }

    fn tool_format(&self) -> ToolFormat {
        ToolFormat::Canonical
    }

    fn create_session(&self, _: NewSession) -> RuntimeFuture<'_, Created> {
        let id = self.0.fetch_add(1, Ordering::Relaxed).to_string();
        Box::pin(ready(Ok(Created::new(id.into(), Value::Null))))
    }

    fn subscribe(&self, _: Arc<str>, _: Weak<dyn EventSink>) {}

    fn resume(&self, _: Arc<str>) -> RuntimeFuture<'_, Resumed> {
        Box::pin(ready(Ok(Resumed::default())))
    }

    fn send(&self, _: Arc<str>, _: SendRequest) -> RuntimeFuture<'_, Accepted> {
        Box::pin(ready(Ok(Accepted::new("1".into(), Value::Null))))
    }

    fn interrupt(&self, _: Arc<str>, _: Option<Arc<str>>) -> RuntimeFuture<'_, ()> {
        Box::pin(ready(Ok(())))
    }

    fn pending_calls(&self, _: Arc<str>) -> RuntimeFuture<'_, Vec<ToolCall>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn answer(&self, _: Arc<ToolCall>, _: Arc<SkillOutput>) -> RuntimeFuture<'_, Submission> {
        Box::pin(ready(Ok(Submission::Accepted)))
    }

    fn detail(&self, _: Arc<str>) -> RuntimeFuture<'_, Value> {
        Box::pin(ready(Ok(Value::Null)))
    }

    fn delete_session(&self, _: Arc<str>) -> RuntimeFuture<'_, Deletion> {
        Box::pin(ready(Ok(Deletion::new("ok", Value::Null))))
    }
}
