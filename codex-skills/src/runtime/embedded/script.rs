//! A model that follows a script.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::model::{Model, ModelError, ModelItem, ModelTurn};

/// One response of a scripted model.
///
/// ```
/// # #[codex_skills::skill]
/// # fn ping() -> &'static str { "pong" }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// use codex_skills::embedded::Step;
/// use codex_skills::{Embedded, lifecycle};
///
/// let codex = Embedded::scripted([Step::call("ping", serde_json::json!({})), Step::say("Done.")]);
/// let turn = lifecycle!(codex, skills: [ping], |run| run.send_and_handle("Go.").await).await?;
/// assert_eq!(turn.dispatches[0].output().to_text(), "pong");
/// assert_eq!(turn.assistant_reply.as_deref(), Some("Done."));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step(Response);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Response {
    Items(Vec<ModelItem>),
    Outputs,
    Fail(String),
}

/// A step that says the text.
impl From<&str> for Step {
    fn from(text: &str) -> Self {
        Self::say(text)
    }
}

/// A step that says the text.
impl From<String> for Step {
    fn from(text: String) -> Self {
        Self::say(text)
    }
}

impl Step {
    /// Calls a tool: `lookup`, or `tickets.lookup` for one in a namespace.
    pub fn call(tool: impl Into<String>, arguments: Value) -> Self {
        Self::items([ModelItem::call(tool, arguments)])
    }

    /// Calls several tools at the same time.
    ///
    /// ```
    /// # #[codex_skills::skill]
    /// # fn ping() -> &'static str { "pong" }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// use codex_skills::embedded::Step;
    /// use codex_skills::{Embedded, lifecycle};
    ///
    /// let codex = Embedded::scripted([Step::calls((0..3).map(|_| ("ping", serde_json::json!({}))))]);
    /// let turn = lifecycle!(codex, skills: [ping], |run| run.send_and_handle("Go.").await).await?;
    /// assert_eq!(turn.dispatches.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn calls<T: Into<String>>(calls: impl IntoIterator<Item = (T, Value)>) -> Self {
        Self::items(
            calls
                .into_iter()
                .map(|(tool, arguments)| ModelItem::call(tool, arguments)),
        )
    }

    /// Says a text.
    pub fn say(text: impl Into<String>) -> Self {
        Self::items([ModelItem::say(text)])
    }

    /// Says the outputs of the turn so far, a line each.
    ///
    /// ```
    /// # #[codex_skills::skill]
    /// # fn ping() -> &'static str { "pong" }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// use codex_skills::embedded::Step;
    /// use codex_skills::{Embedded, lifecycle};
    ///
    /// let codex = Embedded::scripted([Step::call("ping", serde_json::json!({})), Step::say_outputs()]);
    /// let turn = lifecycle!(codex, skills: [ping], |run| run.send_and_handle("Go.").await).await?;
    /// assert_eq!(turn.assistant_reply.as_deref(), Some("ping: pong"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn say_outputs() -> Self {
        Self(Response::Outputs)
    }

    /// Responds with these items.
    ///
    /// ```
    /// # #[codex_skills::skill]
    /// # fn ping() -> &'static str { "pong" }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// use codex_skills::embedded::{ModelItem, Step};
    /// use codex_skills::{Embedded, lifecycle};
    ///
    /// // A message and a call in one response.
    /// let step = Step::items([ModelItem::say("One moment."), ModelItem::call("ping", serde_json::json!({}))]);
    /// let codex = Embedded::scripted([step, Step::say("Done.")]);
    /// let turn = lifecycle!(codex, skills: [ping], |run| run.send_and_handle("Go.").await).await?;
    /// assert_eq!(turn.assistant_reply.as_deref(), Some("Done."));
    /// # Ok(())
    /// # }
    /// ```
    pub fn items(items: impl IntoIterator<Item = ModelItem>) -> Self {
        Self(Response::Items(items.into_iter().collect()))
    }

    /// Fails, and the turn with it.
    ///
    /// ```
    /// # #[codex_skills::skill]
    /// # fn ping() -> &'static str { "pong" }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// use codex_skills::embedded::Step;
    /// use codex_skills::{Embedded, lifecycle};
    ///
    /// let codex = Embedded::scripted([Step::fail("the model is overloaded")]);
    /// let turn = lifecycle!(codex, skills: [ping], |run| run.send_and_handle("Go.").await).await?;
    /// assert_eq!(turn.status, codex_skills::TurnStatus::Failed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fail(reason: impl Into<String>) -> Self {
        Self(Response::Fail(reason.into()))
    }
}

/// Follows a script, in each session from its beginning. After the last step it says the outputs of the
/// turn.
#[derive(Debug)]
pub(super) struct Script {
    steps: Vec<Step>,
    positions: Mutex<HashMap<Arc<str>, usize>>,
}

impl Script {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        Self {
            steps,
            positions: Mutex::default(),
        }
    }
}

impl Model for Script {
    async fn respond(&self, turn: ModelTurn) -> Result<Vec<ModelItem>, ModelError> {
        let step = {
            let mut positions = self
                .positions
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let position = positions.entry(turn.session_id.clone()).or_default();
            let step = self.steps.get(*position);
            *position += 1;
            step.map(|step| step.0.clone())
        };
        match step {
            Some(Response::Items(items)) => Ok(items),
            Some(Response::Fail(reason)) => Err(ModelError(reason)),
            Some(Response::Outputs) | None => Ok(vec![ModelItem::say(outputs(&turn))]),
        }
    }
}

pub(super) fn outputs(turn: &ModelTurn) -> String {
    let lines: Vec<String> = turn
        .outputs()
        .map(|(tool, text)| format!("{tool}: {text}"))
        .collect();
    if lines.is_empty() {
        "Done.".to_owned()
    } else {
        lines.join("\n")
    }
}
