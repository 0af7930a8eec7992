//! What a test has codex ask besides calls, and decide as people do at the web pages.

use serde_json::{Value, json};

use super::Manager;
use super::session::Question;

impl Manager {
    /// Has codex ask something in the last turn of a thread, and wait for no decision; the id of the question.
    pub fn ask(&self, thread_id: &str, method: &str, params: &Value) -> u64 {
        let question = if method == Question::UserInput.method() {
            Question::UserInput
        } else {
            Question::Approval
        };
        let mut inner = self.state.lock();
        let session = inner.sessions.get(thread_id);
        let turn = session.and_then(|session| session.turns.last());
        let turn_id = turn.map(|turn| turn.id.clone()).unwrap_or_default();
        let item_id = format!("call_{}", inner.fresh_id());
        let (request, _) = inner.ask(question, (thread_id, &turn_id, &item_id), params.clone());
        drop(inner);
        self.state.changed.notify_waiters();
        request
    }

    /// Decides a question as people do at the web pages.
    pub fn decide(&self, request: u64, decision: &Value) -> bool {
        let asked = self.state.lock();
        let question = asked.asked.get(&request).map(|asked| asked.question);
        drop(asked);
        let said = json!({"status": "resolved", "decision": decision["decision"]});
        let codex = json!({"decision": decision["decision"]});
        question.is_some_and(|question| {
            let decided = self
                .state
                .decide(question, request, (decision, &said), codex);
            decided.is_some()
        })
    }

    /// The decisions that were taken, with the ids of their questions.
    #[must_use]
    pub fn decisions(&self) -> Vec<(String, Value)> {
        self.state.lock().decisions.clone()
    }
}
