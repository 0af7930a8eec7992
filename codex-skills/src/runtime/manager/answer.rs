//! The answer of a call on its way to the process that made it.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify, watch};

use super::CodexManager;
use super::address;
use super::exchange::{Holds, NAME, Request, Response};
use super::failure::{self, Broken, How};
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
        if self.shared.state() != LinkState::Up {
            match self.shared.http.process().await {
                Ok(process) if process.id.is_some() => self.shared.now_is(process.id),
                Ok(_) => {}
                Err(error) => {
                    self.shared.outlast().await;
                    return Err(error);
                }
            }
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
            holds: Holds::Word,
        };
        let submission = tokio::select! {
            biased;
            response = self.post_once(request) => response.map(|response| classify(&path, &response)),
            fate = answering.told() => Ok(settled(fate)),
        };
        // The stream's report counts for more than a failed exchange.
        let submission = match (submission, answering.fate()) {
            (Err(_) | Ok(Submission::Retry { .. }), Some(fate)) => settled(fate),
            (submission, _) => submission?,
        };
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
    /// Posts an answer. One that found the server away fails when it is back, or has been away for too long: the next
    /// attempt is then of use. Cancel safe.
    async fn post_once(&self, request: Request<'_>) -> Result<Response, RuntimeError> {
        match self.shared.http.exchange(request).await {
            Ok(response) => Ok(response),
            Err(Broken {
                how: How::Oversized(bytes),
                ..
            }) => Ok(Response::too_large(bytes)),
            Err(broken) => {
                if matches!(broken.how, How::Connect | How::Cut) {
                    self.shared.outlast().await;
                }
                Err(broken.into())
            }
        }
    }
}

impl Shared {
    /// Waits until the server answers again, for a bounded time. However many wait, one of them asks. Cancel safe.
    async fn outlast(&self) {
        let back = self.outage.over.notified();
        let ask = async {
            let _turn = self.outage.asks.lock().await;
            let mut delay = OUTAGE_DELAY;
            loop {
                tokio::time::sleep(delay).await;
                if self.http.process().await.is_ok() {
                    self.outage.over.notify_waiters();
                    return;
                }
                delay = (2 * delay).min(LONGEST_OUTAGE_DELAY);
            }
        };
        let over = async {
            tokio::select! {
                () = back => {}
                () = ask => {}
            }
        };
        let longest = self.settings.timeout.min(LONGEST_OUTAGE);
        let _ = tokio::time::timeout(longest, over).await;
    }
}

/// A time in which the server is away, as those see it who have answers for it.
#[derive(Default)]
pub(super) struct Outage {
    /// Held by the one answer that asks whether the outage is over.
    asks: Mutex<()>,
    /// Wakes those who wait for its end.
    over: Notify,
}

/// Time that an answer waits for a server that is away before the attempt fails.
const LONGEST_OUTAGE: Duration = Duration::from_secs(30);
/// The delay before the server is asked whether it is back; it doubles.
const OUTAGE_DELAY: Duration = Duration::from_millis(50);
/// The longest of these delays.
const LONGEST_OUTAGE_DELAY: Duration = Duration::from_secs(1);
/// Time that the response to an answer has after the stream has reported the fate of its call.
const LAST_WORD: Duration = Duration::from_millis(500);

fn restarted() -> Submission {
    Submission::Settled {
        code: "process_restarted".to_owned(),
    }
}

fn settled(fate: Fate) -> Submission {
    let code = match fate {
        Fate::Resolved => "resolved",
        Fate::Expired => "expired",
        Fate::Restarted => return restarted(),
    };
    Submission::Settled {
        code: code.to_owned(),
    }
}

/// An answer on its way. Until it has arrived, a list that still has its call is no announcement of it.
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

    /// Returns the fate of the call, if the stream has reported it.
    fn fate(&self) -> Option<Fate> {
        *self.fate.borrow()
    }

    /// Waits until the stream has reported the fate of the call, and the response had its time.
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

/// Returns the outcome of a delivery from the server's response.
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
