//! The answer of a call on its way to the process that made it.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::CodexManager;
use super::address;
use super::failure::{self, How};
use super::http::{NAME, Request, Response};
use super::link::LinkState;
use super::registry::Fate;
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
            && let Some(id) = self.shared.http.process().await?.id
        {
            self.shared.now_is(Some(id));
        }
        if self.shared.generation() != call.generation {
            // Another codex process: the id may be another call's by now. Should the call wait still, it
            // is announced again.
            return Ok(restarted());
        }
        let mut answering = Answering::begin(&self.shared, &call);
        let id = request_id.to_string();
        let path = address::path(operation, "/tool-calls", &id, "/response")?;
        let body = serde_json::to_vec(&json!({"response": output.as_wire()})).map_err(|error| {
            RuntimeError::new(
                NAME,
                operation,
                RuntimeErrorKind::Refused,
                error.to_string(),
            )
        })?;
        let request = Request {
            operation,
            method: Method::POST,
            path: &path,
            body: Some(body),
        };
        let response = tokio::select! {
            biased;
            response = self.post_through_outage(&call, request) => response?,
            fate = answering.told() => {
                self.shared.registry().answered(&call);
                return Ok(settled(fate));
            }
        };
        let Some(response) = response else {
            return Ok(restarted());
        };
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

impl CodexManager {
    /// Posts an answer, again while the server is away, and not at all where another process is there by then.
    async fn post_through_outage(
        &self,
        call: &ToolCall,
        request: Request<'_>,
    ) -> Result<Option<Response>, RuntimeError> {
        let shared = &self.shared;
        let until = Instant::now() + shared.settings.timeout.min(LONGEST_OUTAGE);
        let mut delay = OUTAGE_DELAY;
        loop {
            let broken = match shared.http.exchange(request.clone()).await {
                Ok(response) => return Ok(Some(response)),
                Err(broken) => broken,
            };
            let is_away = matches!(broken.how, How::Connect | How::Cut);
            if !is_away || Instant::now() + delay > until {
                return Err(broken.into());
            }
            tracing::debug!(target: "codex_skills::manager", tool = &*call.tool, "an answer waits for the server");
            let mut state = shared.state.subscribe();
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                // As soon as the stream is back; the sender is in `shared`.
                _ = back(&mut state) => {}
            }
            delay = (2 * delay).min(LONGEST_OUTAGE_DELAY);
            if shared.state() != LinkState::Up
                && let Ok(process) = shared.http.process().await
                && process.id.is_some()
            {
                shared.now_is(process.id);
            }
            if shared.generation() != call.generation {
                return Ok(None);
            }
        }
    }
}

/// How long an answer waits for a server that is away before the attempt has failed.
const LONGEST_OUTAGE: Duration = Duration::from_secs(30);
/// The delay before it is tried again; it doubles.
const OUTAGE_DELAY: Duration = Duration::from_millis(50);
/// The longest of these delays.
const LONGEST_OUTAGE_DELAY: Duration = Duration::from_secs(1);
/// How long the response to an answer may take once the stream has told what became of its call.
const LAST_WORD: Duration = Duration::from_millis(500);

/// Waits until the stream comes back.
async fn back(state: &mut watch::Receiver<LinkState>) {
    // Without a sender it never does.
    if state
        .wait_for(|state| *state != LinkState::Up)
        .await
        .is_err()
        || state
            .wait_for(|state| *state == LinkState::Up)
            .await
            .is_err()
    {
        std::future::pending::<()>().await;
    }
}

fn restarted() -> Submission {
    Submission::Settled {
        code: "process_restarted".to_owned(),
    }
}

fn settled(fate: Fate) -> Submission {
    let code = match fate {
        Fate::Resolved => "resolved",
        Fate::Expired => "expired",
    };
    Submission::Settled {
        code: code.to_owned(),
    }
}

/// An answer that is under way: until it is there, lists that have its call mean nothing.
struct Answering<'a> {
    shared: &'a Shared,
    call: &'a ToolCall,
    fate: watch::Receiver<Option<Fate>>,
}

impl<'a> Answering<'a> {
    fn begin(shared: &'a Shared, call: &'a ToolCall) -> Self {
        let fate = shared.registry().begin_answer(call);
        Self { shared, call, fate }
    }

    /// Waits until the stream has told what became of the call, and the response had its time.
    async fn told(&mut self) -> Fate {
        let fate = match self.fate.wait_for(Option::is_some).await {
            Ok(fate) => *fate,
            Err(_) => None,
        };
        match fate {
            Some(fate) => {
                tokio::time::sleep(LAST_WORD).await;
                fate
            }
            None => std::future::pending().await,
        }
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
    let reason = || failure::of("take the answer", &Method::POST, path, response, None).to_string();
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
