//! The answer of a call on its way to the process that made it.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use super::CodexManager;
use super::http::{self, NAME, Request, Response};
use super::link::LinkState;
use super::shared::Shared;
use crate::runtime::{RuntimeError, RuntimeErrorKind, Submission};
use crate::skill::{SkillOutput, ToolCall};

impl CodexManager {
    pub(super) async fn post_answer(
        &self,
        call: Arc<ToolCall>,
        output: Arc<SkillOutput>,
    ) -> Result<Submission, RuntimeError> {
        let operation = "take the answer";
        let Some(request_id) = &call.request_id else {
            return Ok(Submission::Refused {
                reason: "the call has no request id".to_owned(),
            });
        };
        if self.shared.state() != LinkState::Up
            && let Some(id) = self.shared.process().await?.id
        {
            self.shared.now_is(Some(id));
        }
        if self.shared.generation() != call.generation {
            // Another codex process: the id may be another call's by now. Should the call wait still, it
            // is announced again.
            return Ok(Submission::Settled {
                code: "process_restarted".to_owned(),
            });
        }
        let _answering = Answering::begin(&self.shared, &call);
        let path = format!("/tool-calls/{request_id}/response");
        let body = serde_json::to_vec(&json!({"response": output.as_wire()})).map_err(|error| {
            RuntimeError::new(
                NAME,
                operation,
                RuntimeErrorKind::Refused,
                error.to_string(),
            )
        })?;
        let response = self
            .shared
            .http
            .send(Request {
                operation,
                method: Method::POST,
                path: &path,
                body: Some(body),
            })
            .await?;
        let submission = classify(&path, &response);
        if matches!(
            submission,
            Submission::Accepted | Submission::Settled { .. }
        ) {
            self.shared.registry().answered(&call);
        }
        Ok(submission)
    }
}

/// An answer that is under way: until it is there, lists that have its call mean nothing.
struct Answering<'a> {
    shared: &'a Shared,
    call: &'a ToolCall,
}

impl<'a> Answering<'a> {
    fn begin(shared: &'a Shared, call: &'a ToolCall) -> Self {
        shared.registry().begin_answer(call);
        Self { shared, call }
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.shared.registry().end_answer(self.call);
    }
}

/// What an answer to an answer means.
fn classify(path: &str, response: &Response) -> Submission {
    let body = response.json();
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let reason = || http::failure("take the answer", &Method::POST, path, response).to_string();
    match (response.status.as_u16(), text("status")) {
        (200..=299, Some("ok")) => Submission::Accepted,
        (200..=299, _) => Submission::Retry {
            reason: "the answer was acknowledged in a way that cannot be read".to_owned(),
            after: None,
        },
        (404, Some("not_found")) | (410, _) => Submission::Settled {
            code: "not_found".to_owned(),
        },
        (409, _) if text("code") == Some("in_flight") => Submission::Settled {
            code: "in_flight".to_owned(),
        },
        (413, _) => Submission::TooLarge,
        (408 | 425 | 429 | 500..=599, _) => Submission::Retry {
            reason: reason(),
            after: response.retry_after,
        },
        _ => Submission::Refused { reason: reason() },
    }
}
