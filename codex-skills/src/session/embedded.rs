//! Clients of the embedded runtime, which knows nothing of clients itself.

use super::client::Client;
use crate::runtime::embedded::{Embedded, Model, Step};

impl Embedded {
    /// A client whose model is a keyword matcher, not a language model: it calls the skills that a request
    /// names, fills their parameters from quoted texts, identifiers like `ABC-123` and numbers in the
    /// request, and replies with what they answered. It makes examples run without an account.
    ///
    /// ```
    /// # #[codex_skills::skill]
    /// # fn ping() -> &'static str { "pong" }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// use codex_skills::{Embedded, lifecycle};
    ///
    /// let turn = lifecycle!(Embedded::demo(), skills: [ping], |run| {
    ///     run.send_and_handle("Use ping.").require_reply().await
    /// })
    /// .await?;
    /// assert_eq!(turn.assistant_reply, "ping: pong");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn demo() -> Client<Self> {
        Client::new(Self::of_demo())
    }

    /// A client whose model follows a script, in each session from its beginning. After the last step it
    /// says the outputs of the turn. A text is a step that says it.
    ///
    /// ```
    /// use codex_skills::Embedded;
    /// use codex_skills::embedded::Step;
    /// use serde_json::json;
    ///
    /// let codex = Embedded::scripted([
    ///     Step::call("lookup_ticket", json!({"ticket_id": "ABC-123"})),
    ///     Step::say("It is open."),
    /// ]);
    /// let talkative = Embedded::scripted(["Hello.", "Goodbye."]);
    /// # drop((codex, talkative));
    /// ```
    #[must_use]
    pub fn scripted<S: Into<Step>>(steps: impl IntoIterator<Item = S>) -> Client<Self> {
        Client::new(Self::of_script(steps.into_iter().map(Into::into).collect()))
    }

    /// A client with a model of your own.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// use codex_skills::embedded::{Model, ModelError, ModelItem, ModelTurn};
    /// use codex_skills::{Embedded, lifecycle};
    ///
    /// struct Echo;
    ///
    /// impl Model for Echo {
    ///     async fn respond(&self, turn: ModelTurn) -> Result<Vec<ModelItem>, ModelError> {
    ///         Ok(vec![ModelItem::say(turn.last_user_text())])
    ///     }
    /// }
    ///
    /// let turn = lifecycle!(Embedded::with_model(Echo), |run| {
    ///     run.send_and_handle("hello").require_reply().await
    /// })
    /// .await?;
    /// assert_eq!(turn.assistant_reply, "hello");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_model(model: impl Model) -> Client<Self> {
        Client::new(Self::new(model))
    }
}
