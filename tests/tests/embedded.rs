//! The runtime in the process is as strict as codex.

use std::sync::{Arc, Mutex, Weak};

use codex_skills::embedded::{Content, HistoryItem, Model, ModelError, ModelItem, ModelTurn, Step};
use codex_skills::runtime::{EventSink, NewSession, SendRequest, Submission};
use codex_skills::{
    Client, Embedded, Event, RequestId, Runtime, RuntimeErrorKind, SkillOutput, ToolCall,
    TurnStatus, skill, skills,
};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::skills::{Counter, asynchronous};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

/// Lets every other task run until none can.
async fn idle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn tool(name: &str) -> Value {
    json!({"name": name, "description": "d", "inputSchema": {"type": "object"}})
}

fn new_session(tools: &Value) -> NewSession {
    let mut request = NewSession::default();
    request.dynamic_tools = Some(to_raw_value(tools).unwrap().into());
    request.fingerprint = Some("tools".into());
    request
}

/// What happens in a session, kept.
#[derive(Default)]
struct Events(Mutex<Vec<Event>>);

impl EventSink for Events {
    fn deliver(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Events {
    fn calls(&self) -> Vec<Arc<ToolCall>> {
        let events = self.0.lock().unwrap();
        let calls = events.iter().filter_map(|event| match event {
            Event::ToolCall(call) => Some(call.clone()),
            _ => None,
        });
        calls.collect()
    }

    fn expired(&self) -> usize {
        let events = self.0.lock().unwrap();
        let expired = |event: &&Event| matches!(event, Event::CallExpired(_));
        events.iter().filter(expired).count()
    }

    fn closed(&self) -> usize {
        let events = self.0.lock().unwrap();
        let closed = |event: &&Event| matches!(event, Event::SessionClosed { .. });
        events.iter().filter(closed).count()
    }

    fn ends(&self) -> Vec<TurnStatus> {
        let events = self.0.lock().unwrap();
        let ends = events.iter().filter_map(|event| match event {
            Event::TurnCompleted { status, .. } => Some(status.clone()),
            _ => None,
        });
        ends.collect()
    }
}

/// A session of the runtime itself, without the client.
struct Raw {
    codex: Client<Embedded>,
    id: Arc<str>,
    events: Arc<Events>,
}

impl Raw {
    async fn open(codex: &Client<Embedded>, tools: &[&str]) -> Self {
        let tools: Value = tools.iter().map(|name| tool(name)).collect();
        let created = codex.runtime().create_session(new_session(&tools));
        let id = created.await.unwrap().session_id;
        let events = Arc::new(Events::default());
        let sink: Arc<dyn EventSink> = events.clone();
        codex.runtime().subscribe(id.clone(), Arc::downgrade(&sink));
        Self {
            codex: codex.clone(),
            id,
            events,
        }
    }

    async fn scripted(tools: &[&str], steps: impl IntoIterator<Item = Step>) -> Self {
        Self::open(&Embedded::scripted(steps), tools).await
    }

    /// Sends a request and lets happen what happens; returns the id of the turn.
    async fn send(&self, text: &str) -> Arc<str> {
        let runtime = self.codex.runtime();
        let accepted = runtime.send(self.id.clone(), SendRequest::new(text)).await;
        idle().await;
        accepted.unwrap().turn_id
    }

    async fn answer(&self, call: &ToolCall, text: &str) -> Submission {
        let output = Arc::new(SkillOutput::text(text));
        let runtime = self.codex.runtime();
        let submission = runtime.answer(Arc::new(call.clone()), output).await;
        idle().await;
        submission.unwrap()
    }

    async fn interrupt(&self, turn_id: Option<&str>) -> Result<(), String> {
        let runtime = self.codex.runtime();
        let interrupted = runtime.interrupt(self.id.clone(), turn_id.map(Arc::from));
        interrupted.await.map_err(|e| e.message().to_owned())
    }

    fn history(&self) -> Vec<Arc<HistoryItem>> {
        self.codex.runtime().history(&self.id).unwrap()
    }

    /// What the model was shown of its calls.
    fn outputs(&self) -> Vec<String> {
        let history = self.history().into_iter();
        let outputs = history.filter_map(|item| match &item.content {
            Content::Output { text, .. } => Some(text.clone()),
            _ => None,
        });
        outputs.collect()
    }
}

fn not_found() -> Submission {
    Submission::Settled {
        code: "not_found".to_owned(),
    }
}

mod tools {
    use super::*;

    #[tokio::test]
    async fn tools_that_codex_refuses_are_refused_in_its_words() {
        let codex = Embedded::demo();
        for (tools, reason) in [
            (
                json!([tool("a b")]),
                "dynamic tool name must match ^[a-zA-Z0-9_-]+$ to match Responses API: a b",
            ),
            (json!([tool("")]), "dynamic tool name must not be empty"),
            (
                json!([tool("mcp__a")]),
                "dynamic tool name is reserved: mcp__a",
            ),
            (
                json!([tool("a"), tool("a")]),
                "duplicate dynamic tool name: a",
            ),
            (
                json!([{"name": "a", "description": "d"}]),
                "Invalid request: missing field `inputSchema`",
            ),
            (
                json!({"a": 1}),
                "Invalid request: invalid type: map, expected a sequence",
            ),
        ] {
            let request = new_session(&tools);
            let error = codex.runtime().create_session(request).await.unwrap_err();
            assert_eq!(error.message(), reason);
            assert_eq!(error.kind(), RuntimeErrorKind::Refused);
        }
        assert_eq!(codex.runtime().session_count(), 0);
    }

    #[tokio::test]
    async fn a_schema_that_codex_refuses_is_refused() {
        let codex = Embedded::demo();
        let tools = json!([{"name": "a", "description": "d", "inputSchema": {"type": "null"}}]);
        let request = new_session(&tools);
        let error = codex.runtime().create_session(request).await.unwrap_err();
        let message = error.message();
        assert!(
            message.starts_with("dynamic tool input schema is not supported for a: "),
            "{message}"
        );
    }

    #[tokio::test]
    async fn a_tool_that_a_built_in_shadows_is_never_called() {
        let call = Step::call("exec_command", json!({}));
        let raw = Raw::scripted(&["exec_command"], [call]).await;
        raw.send("go").await;
        assert!(raw.events.calls().is_empty());
        assert_eq!(raw.outputs(), ["unsupported call: exec_command"]);
    }

    #[tokio::test]
    async fn the_model_sees_the_tools_as_they_were_declared() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        struct Looks(Arc<Mutex<Vec<ModelTurn>>>);
        impl Model for Looks {
            async fn respond(&self, turn: ModelTurn) -> Result<Vec<ModelItem>, ModelError> {
                self.0.lock().unwrap().push(turn);
                Ok(vec![ModelItem::say("seen")])
            }
        }
        let codex = Embedded::with_model(Looks(seen.clone()));
        let raw = Raw::open(&codex, &["b", "a", "wait"]).await;
        let turn_id = raw.send("look").await;
        let turns = seen.lock().unwrap();
        let names: Vec<_> = turns[0].tools.iter().map(|tool| &*tool.name).collect();
        assert_eq!(names, ["b", "a"], "`wait` is shadowed");
        assert_eq!(turns[0].tools[0].description, "d");
        assert_eq!(
            turns[0].tools[0].input_schema,
            json!({"type": "object", "properties": {}}),
            "as codex shows it"
        );
        assert_eq!(turns[0].session_id, raw.id);
        assert_eq!(turns[0].turn_id, turn_id);
        assert_eq!(turns[0].round, 0);
        assert_eq!(turns[0].last_user_text(), "look");
    }
}

mod calls {
    use super::*;

    #[tokio::test]
    async fn request_ids_begin_at_0_and_are_shared_by_all_sessions() {
        let codex = Embedded::scripted([Step::calls([("a", json!({})), ("a", json!({}))])]);
        let one = Raw::open(&codex, &["a"]).await;
        let other = Raw::open(&codex, &["a"]).await;
        one.send("go").await;
        other.send("go").await;
        let ids = |raw: &Raw| -> Vec<_> {
            let calls = raw.events.calls().into_iter();
            calls.map(|call| call.request_id.clone().unwrap()).collect()
        };
        assert_eq!(ids(&one), [RequestId::from(0), RequestId::from(1)]);
        assert_eq!(ids(&other), [RequestId::from(2), RequestId::from(3)]);
    }

    #[tokio::test]
    async fn the_calls_of_a_response_wait_together_and_are_shown_in_their_order() {
        let tools = ["a", "b", "c"];
        let calls = Step::calls(tools.map(|tool| (tool, json!({}))));
        let raw = Raw::scripted(&tools, [calls, Step::say("done")]).await;
        raw.send("go").await;
        let calls = raw.events.calls();
        assert_eq!(calls.len(), 3);
        for call in [&calls[2], &calls[0], &calls[1]] {
            assert!(raw.events.ends().is_empty());
            let submission = raw.answer(call, &call.tool).await;
            assert_eq!(submission, Submission::Accepted);
        }
        assert_eq!(raw.outputs(), ["a", "b", "c"]);
        assert_eq!(raw.events.ends(), [TurnStatus::Completed]);
    }

    #[tokio::test]
    async fn waiting_calls_are_listed_oldest_first() {
        let calls = Step::calls([("a", json!({})), ("b", json!({}))]);
        let raw = Raw::scripted(&["a", "b"], [calls]).await;
        raw.send("go").await;
        let pending = async || {
            let pending = raw.codex.runtime().pending_calls(raw.id.clone());
            let calls = pending.await.unwrap().into_iter();
            calls.map(|call| call.tool.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(pending().await, ["a", "b"]);
        raw.answer(&raw.events.calls()[0], "x").await;
        assert_eq!(pending().await, ["b"]);
    }

    #[tokio::test]
    async fn a_second_answer_is_ignored() {
        let call = Step::call("a", json!({}));
        let raw = Raw::scripted(&["a"], [call, Step::call("a", json!({}))]).await;
        raw.send("go").await;
        let call = raw.events.calls()[0].clone();
        assert_eq!(raw.answer(&call, "first").await, Submission::Accepted);
        assert_eq!(raw.answer(&call, "second").await, not_found());
        assert_eq!(raw.outputs(), ["first"]);
    }

    #[tokio::test]
    async fn an_answer_goes_by_the_request_id_in_its_spelling() {
        let raw = Raw::scripted(&["a"], [Step::call("a", json!({}))]).await;
        raw.send("go").await;
        let call = raw.events.calls()[0].clone();
        for wrong in [RequestId::from(99), RequestId::from("0")] {
            let mut call = ToolCall::clone(&call);
            call.request_id = Some(wrong);
            assert_eq!(raw.answer(&call, "x").await, not_found());
        }
        assert_eq!(raw.answer(&call, "x").await, Submission::Accepted);
    }

    #[tokio::test]
    async fn a_call_with_the_id_of_a_waiting_one_takes_its_place() {
        let twice = ["one", "two"]
            .map(|text| ModelItem::call("a", json!({"text": text})).with_call_id("the same"));
        let raw = Raw::scripted(&["a"], [Step::items(twice)]).await;
        raw.send("go").await;
        let calls = raw.events.calls();
        assert_eq!(calls.len(), 2);
        assert_eq!(raw.answer(&calls[0], "first").await, not_found());
        assert_eq!(raw.answer(&calls[1], "second").await, Submission::Accepted);
        assert_eq!(
            raw.outputs(),
            [
                "dynamic tool call was cancelled before receiving a response",
                "second"
            ]
        );
    }

    #[tokio::test]
    async fn a_call_of_an_undeclared_tool_is_unsupported() {
        let raw = Raw::scripted(&["a"], [Step::call("b", json!({}))]).await;
        raw.send("go").await;
        assert!(raw.events.calls().is_empty());
        assert_eq!(raw.outputs(), ["unsupported call: b"]);
        assert_eq!(raw.events.ends(), [TurnStatus::Completed]);
    }

    #[tokio::test]
    async fn arguments_that_are_no_json_reach_nobody() {
        for arguments in ["", "{", "{'a': 1}"] {
            let call = Step::items([ModelItem::raw_call("a", arguments)]);
            let raw = Raw::scripted(&["a"], [call]).await;
            raw.send("go").await;
            assert!(raw.events.calls().is_empty());
            assert!(raw.outputs()[0].starts_with("failed to parse function arguments: "));
        }
    }

    #[tokio::test]
    async fn arguments_are_passed_on_as_they_were_written() {
        for arguments in [r#"{"a":  1e400}"#, "[1, 2]", "null", r#"{"a":1,"a":2}"#] {
            let call = Step::items([ModelItem::raw_call("a", arguments)]);
            let raw = Raw::scripted(&["a"], [call]).await;
            raw.send("go").await;
            assert_eq!(raw.events.calls()[0].arguments.get(), arguments);
        }
    }

    #[tokio::test]
    async fn a_long_output_is_cut_in_the_middle_for_the_model() {
        let raw = Raw::scripted(&["a"], [Step::call("a", json!({}))]).await;
        raw.send("go").await;
        let text = format!("begin{}end", "ä".repeat(50_000));
        raw.answer(&raw.events.calls()[0], &text).await;
        let shown = &raw.outputs()[0];
        assert!(shown.starts_with("begin") && shown.ends_with("end"));
        assert!(shown.contains(" tokens truncated…") && shown.len() < 13_000);
    }

    #[tokio::test]
    async fn a_failure_is_shown_as_its_text_only() {
        let raw = Raw::scripted(&["a"], [Step::call("a", json!({}))]).await;
        raw.send("go").await;
        let call = raw.events.calls()[0].clone();
        let output = Arc::new(SkillOutput::failure("it rained"));
        let answered = raw.codex.runtime().answer(call, output).await;
        assert_eq!(answered.unwrap(), Submission::Accepted);
        idle().await;
        assert_eq!(raw.outputs(), ["it rained"]);
    }
}

mod turns {
    use super::*;

    #[tokio::test]
    async fn an_interrupted_turn_cancels_its_calls() {
        let raw = Raw::scripted(&["a"], [Step::call("a", json!({}))]).await;
        let turn_id = raw.send("go").await;
        raw.interrupt(Some(&turn_id)).await.unwrap();
        assert_eq!(raw.events.ends(), [TurnStatus::Interrupted]);
        assert_eq!(raw.events.expired(), 1);
        assert_eq!(
            raw.outputs(),
            ["dynamic tool call was cancelled before receiving a response"]
        );
        let call = raw.events.calls()[0].clone();
        assert_eq!(raw.answer(&call, "late").await, not_found());
    }

    #[tokio::test]
    async fn interrupting_another_turn_or_none_is_refused_in_the_words_of_codex() {
        let raw = Raw::scripted(&["a"], [Step::call("a", json!({}))]).await;
        assert_eq!(
            raw.interrupt(None).await.unwrap_err(),
            "no active turn to interrupt"
        );
        let turn_id = raw.send("go").await;
        assert_eq!(
            raw.interrupt(Some("x")).await.unwrap_err(),
            format!("expected active turn id {turn_id} but found x")
        );
        assert!(raw.events.ends().is_empty());
        raw.interrupt(Some("")).await.unwrap();
        assert_eq!(raw.events.ends(), [TurnStatus::Interrupted]);
    }

    #[tokio::test]
    async fn a_request_to_an_active_turn_steers_it() {
        let raw = Raw::scripted(&["a"], [Step::call("a", json!({})), Step::say("both")]).await;
        let turn_id = raw.send("one").await;
        assert_eq!(raw.send("two").await, turn_id);
        raw.answer(&raw.events.calls()[0], "x").await;
        assert_eq!(raw.events.ends(), [TurnStatus::Completed]);
        assert_ne!(raw.send("three").await, turn_id);
    }

    #[tokio::test]
    async fn a_model_that_is_steered_while_it_thinks_is_asked_again() {
        struct Thinks(Gate);
        impl Model for Thinks {
            async fn respond(&self, turn: ModelTurn) -> Result<Vec<ModelItem>, ModelError> {
                let text = turn.last_user_text().to_owned();
                self.0.enter().await;
                Ok(vec![ModelItem::say(text)])
            }
        }
        let gate = Gate::new();
        let codex = Embedded::with_model(Thinks(gate.clone()));
        let raw = Raw::open(&codex, &[]).await;
        let turn_id = raw.send("one").await;
        assert_eq!(raw.send("two").await, turn_id);
        gate.open();
        idle().await;
        let said: Vec<_> = raw
            .history()
            .into_iter()
            .filter_map(|item| match &item.content {
                Content::Assistant(text) => Some(text.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(said, ["one", "two"]);
        assert_eq!(raw.events.ends(), [TurnStatus::Completed]);
    }

    #[tokio::test]
    async fn a_model_that_panics_fails_its_turn_only() {
        struct Panics;
        impl Model for Panics {
            async fn respond(&self, turn: ModelTurn) -> Result<Vec<ModelItem>, ModelError> {
                assert_ne!(turn.last_user_text(), "panic");
                Ok(vec![ModelItem::say("fine")])
            }
        }
        let raw = Raw::open(&Embedded::with_model(Panics), &[]).await;
        raw.send("panic").await;
        raw.send("go on").await;
        assert_eq!(
            raw.events.ends(),
            [TurnStatus::Failed, TurnStatus::Completed]
        );
    }

    #[tokio::test]
    async fn a_turn_without_end_is_ended() {
        struct Calls;
        impl Model for Calls {
            async fn respond(&self, _: ModelTurn) -> Result<Vec<ModelItem>, ModelError> {
                Ok(vec![ModelItem::call("nothing", json!({}))])
            }
        }
        let raw = Raw::open(&Embedded::with_model(Calls), &[]).await;
        raw.send("go").await;
        while raw.events.ends().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(raw.events.ends(), [TurnStatus::Failed]);
    }

    #[tokio::test]
    async fn an_empty_request_is_refused() {
        let raw = Raw::scripted(&[], []).await;
        let sent = raw
            .codex
            .runtime()
            .send(raw.id.clone(), SendRequest::new(" "));
        assert_eq!(sent.await.unwrap_err().message(), "text must not be empty");
    }

    #[test]
    fn a_turn_ends_with_its_tokio_runtime() {
        let tokio = || {
            tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap()
        };
        let first = tokio();
        let raw = first.block_on(async {
            let raw = Raw::scripted(&["a"], [Step::call("a", json!({})), Step::say("b")]).await;
            raw.send("go").await;
            raw
        });
        drop(first);
        assert_eq!(raw.events.ends(), [TurnStatus::Interrupted]);
        tokio().block_on(raw.send("go on"));
        assert_eq!(
            raw.events.ends(),
            [TurnStatus::Interrupted, TurnStatus::Completed]
        );
    }
}

mod sessions {
    use super::*;

    #[tokio::test]
    async fn unknown_sessions_are_not_found_in_the_words_of_codex() {
        let codex = Embedded::demo();
        let runtime = codex.runtime();
        let nowhere: Arc<str> = "nowhere".into();
        let errors = [
            runtime.resume(nowhere.clone()).await.err(),
            runtime
                .send(nowhere.clone(), SendRequest::new("go"))
                .await
                .err(),
            runtime.interrupt(nowhere.clone(), None).await.err(),
            runtime.detail(nowhere.clone()).await.err(),
        ];
        for error in errors {
            let error = error.unwrap();
            assert_eq!(error.message(), "thread not found: nowhere");
            assert_eq!(error.kind(), RuntimeErrorKind::NotFound);
        }
        let calls = runtime.pending_calls(nowhere.clone()).await.unwrap();
        assert!(calls.is_empty());
        let deletion = runtime.delete_session(nowhere).await.unwrap();
        assert_eq!(deletion.status, "not_found");
        assert!(!deletion.is_deleted());
    }

    #[tokio::test]
    async fn a_deleted_session_ends_its_turn_and_tells() {
        let raw = Raw::scripted(&["a"], [Step::call("a", json!({}))]).await;
        raw.send("go").await;
        let deletion = raw.codex.runtime().delete_session(raw.id.clone()).await;
        assert!(deletion.unwrap().is_deleted());
        assert_eq!(raw.events.ends(), [TurnStatus::Interrupted]);
        let last = raw.events.0.lock().unwrap().last().cloned();
        assert!(matches!(last, Some(Event::SessionClosed { .. })));
        assert_eq!(raw.codex.runtime().session_count(), 0);
        assert!(raw.codex.runtime().history(&raw.id).is_none());
    }

    #[tokio::test]
    async fn a_resumed_session_announces_its_waiting_calls_again() {
        let raw = Raw::scripted(&["a"], [Step::call("a", json!({}))]).await;
        raw.send("go").await;
        let resumed = raw.codex.runtime().resume(raw.id.clone()).await.unwrap();
        let calls = raw.events.calls();
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[0].request_id, calls[1].request_id);
        assert_eq!(resumed.fingerprint.as_deref(), Some("tools"));
    }

    #[tokio::test]
    async fn events_without_a_listener_are_lost_and_their_calls_wait() {
        let raw = Raw::scripted(&["a"], [Step::call("a", json!({}))]).await;
        let nobody: Weak<dyn EventSink> = Weak::<Events>::new();
        raw.codex.runtime().subscribe(raw.id.clone(), nobody);
        raw.send("go").await;
        let pending = raw.codex.runtime().pending_calls(raw.id.clone()).await;
        assert_eq!(pending.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_session_has_its_transcript() {
        let raw = Raw::scripted(&[], [Step::say("hello")]).await;
        let turn_id = raw.send("go").await;
        let detail = raw.codex.runtime().detail(raw.id.clone()).await.unwrap();
        assert_eq!(detail["session"]["sessionId"], &*raw.id);
        let transcript = detail["transcript"].as_array().unwrap();
        let said: Vec<_> = transcript
            .iter()
            .map(|item| {
                (
                    item["role"].as_str().unwrap(),
                    item["content"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(said, [("user", "go"), ("assistant", "hello")]);
        assert_eq!(transcript[1]["turnId"], &*turn_id);
        assert_eq!(transcript[1]["status"], "complete");
    }
}

mod models {
    use super::*;

    #[derive(serde::Serialize)]
    struct Ticket {
        id: String,
        comments: u8,
    }

    /// Look up a ticket.
    #[skill]
    fn lookup_ticket(
        /// The id of the ticket.
        ticket_id: String,
        /// How many comments to include.
        #[skill(default = 5)]
        comments: u8,
    ) -> String {
        serde_json::to_string(&Ticket {
            id: ticket_id,
            comments,
        })
        .unwrap()
    }

    async fn demo(request: &str) -> String {
        let codex = Embedded::demo();
        let (_, session) = codex
            .create_session(|draft| draft.register(skills![lookup_ticket]))
            .await
            .unwrap();
        let turn = session.send_and_handle(request).require_reply().await;
        turn.unwrap().assistant_reply
    }

    #[tokio::test]
    async fn the_demo_finds_the_skill_and_its_arguments_in_the_request() {
        assert_eq!(
            demo("Use lookup_ticket for ABC-123 and summarize.").await,
            r#"lookup_ticket: {"id":"ABC-123","comments":5}"#
        );
        assert_eq!(
            demo("lookup ticket 'X 1' with 7 comments").await,
            r#"lookup_ticket: {"id":"X 1","comments":7}"#
        );
    }

    #[tokio::test]
    async fn the_demo_says_that_it_is_no_language_model() {
        let reply = demo("Hello there").await;
        assert!(reply.contains("only matches keywords") && reply.contains("lookup_ticket"));
    }

    #[tokio::test]
    async fn a_script_begins_anew_in_each_session() {
        let codex = Embedded::scripted([Step::say("one"), Step::say("two")]);
        for _ in 0..2 {
            let (_, session) = codex.create_session(|draft| draft).await.unwrap();
            for expected in ["one", "two", "Done."] {
                let turn = session.send_and_handle("go").require_reply().await.unwrap();
                assert_eq!(turn.assistant_reply, expected);
            }
        }
    }

    #[tokio::test]
    async fn a_model_sees_what_was_said_called_and_answered() {
        type Turns = Arc<Mutex<Vec<Vec<String>>>>;
        struct Remembers(Turns);
        impl Model for Remembers {
            async fn respond(&self, turn: ModelTurn) -> Result<Vec<ModelItem>, ModelError> {
                let seen = turn.history.iter().map(|item| match &item.content {
                    Content::User(text) => format!("user {text}"),
                    Content::Assistant(text) => format!("assistant {text}"),
                    Content::Call {
                        tool, arguments, ..
                    } => format!("call {tool} {arguments}"),
                    Content::Output { tool, text, .. } => format!("output {tool} {text}"),
                    other => format!("{other:?}"),
                });
                self.0.lock().unwrap().push(seen.collect());
                Ok(match turn.outputs().count() {
                    0 => vec![
                        ModelItem::say("Let me see."),
                        ModelItem::call("tally", json!({})),
                    ],
                    _ => vec![ModelItem::say("Done.")],
                })
            }
        }
        let (turns, runs) = (Turns::default(), Counter::default());
        let codex = Embedded::with_model(Remembers(turns.clone()));
        let (_, session) = codex
            .create_session(|draft| draft.register(runs.skill("tally")))
            .inject_skills(false)
            .await
            .unwrap();
        session.send_and_handle("go").await.unwrap();
        session.send_and_handle("again").await.unwrap();
        let turns = turns.lock().unwrap();
        assert_eq!(turns.len(), 4, "two rounds a turn");
        assert_eq!(
            turns[1],
            [
                "user go",
                "assistant Let me see.",
                "call tally {}",
                "output tally run 1"
            ]
        );
        assert_eq!(turns[3].len(), 9);
        assert_eq!(turns[3][4..6], ["assistant Done.", "user again"]);
    }

    #[tokio::test]
    async fn a_model_that_thinks_is_dropped_when_its_turn_is_interrupted() {
        struct Thinks(Counter, Gate);
        struct Dropped(Counter);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.count();
            }
        }
        impl Model for Thinks {
            async fn respond(&self, _: ModelTurn) -> Result<Vec<ModelItem>, ModelError> {
                let _dropped = Dropped(self.0.clone());
                self.1.enter().await;
                Ok(Vec::new())
            }
        }
        let (dropped, gate) = (Counter::default(), Gate::new());
        let codex = Embedded::with_model(Thinks(dropped.clone(), gate.clone()));
        let raw = Raw::open(&codex, &[]).await;
        raw.send("go").await;
        gate.somebody().await;
        raw.interrupt(None).await.unwrap();
        assert_eq!(dropped.get(), 1);
    }

    #[tokio::test]
    async fn closures_are_called_as_functions_are() {
        let codex = Embedded::scripted([Step::call("shout", json!({}))]);
        let shout = asynchronous("shout", |_| async { "HELLO".to_owned() });
        let (_, session) = codex
            .create_session(|draft| draft.register(shout))
            .await
            .unwrap();
        let turn = session.send_and_handle("go").require_reply().await.unwrap();
        assert_eq!(turn.assistant_reply, "shout: HELLO");
    }
}

mod endings {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::runtime::{Builder, Runtime as Tokio};

    use super::*;

    fn tokio() -> Tokio {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    /// A session whose turn went with its tokio runtime, before it ran or while it waited for a call.
    fn abandoned(has_run: bool) -> Raw {
        let first = tokio();
        first.block_on(async {
            let call = || Step::calls([("a", json!({}))]);
            let raw = Raw::scripted(&["a"], [call(), call()]).await;
            let request = SendRequest::new("go");
            let sent = raw.codex.runtime().send(raw.id.clone(), request).await;
            if has_run {
                idle().await;
            }
            sent.unwrap();
            raw
        })
    }

    #[test]
    fn a_turn_ends_with_its_tokio_runtime_even_if_it_never_ran() {
        for has_run in [false, true] {
            let raw = abandoned(has_run);
            assert_eq!(raw.events.ends(), [TurnStatus::Interrupted]);
            assert_eq!(raw.events.expired(), usize::from(has_run));
            tokio().block_on(async {
                let runtime = raw.codex.runtime();
                let error = raw.interrupt(None).await.unwrap_err();
                assert_eq!(error, "no active turn to interrupt");
                raw.send("again").await;
                assert_eq!(raw.events.calls().len(), usize::from(has_run) + 1);
                let deleted = runtime.delete_session(raw.id.clone());
                let deleted = tokio::time::timeout(Duration::from_secs(5), deleted).await;
                assert_eq!(deleted.unwrap().unwrap().status, "ok");
            });
            assert_eq!(raw.codex.runtime().session_count(), 0);
        }
    }

    #[test]
    fn who_waits_for_the_end_is_told_of_it() {
        let first = tokio();
        let raw = first.block_on(async {
            let raw = Raw::scripted(&["a"], [Step::calls([("a", json!({}))])]).await;
            let request = SendRequest::new("go");
            raw.codex
                .runtime()
                .send(raw.id.clone(), request)
                .await
                .unwrap();
            raw
        });
        let mut interrupted = Box::pin(raw.interrupt(None));
        assert!(interrupted.as_mut().now_or_never().is_none());
        drop(first);
        assert_eq!(interrupted.now_or_never(), Some(Ok(())));
    }

    #[tokio::test]
    async fn a_deletion_that_was_dropped_can_be_repeated() {
        let raw = Raw::scripted(&["a"], [Step::calls([("a", json!({}))])]).await;
        raw.send("go").await;
        let runtime = raw.codex.runtime();
        let dropped = runtime.delete_session(raw.id.clone()).now_or_never();
        assert!(dropped.is_none());
        let refused = runtime.send(raw.id.clone(), SendRequest::new("more")).await;
        assert_eq!(refused.unwrap_err().kind(), RuntimeErrorKind::NotFound);
        assert_eq!(raw.events.closed(), 0);

        let deletion = runtime.delete_session(raw.id.clone()).await.unwrap();
        assert_eq!(deletion.status, "ok");
        assert_eq!(raw.events.ends(), [TurnStatus::Interrupted]);
        assert_eq!(raw.events.closed(), 1);
        let deletion = runtime.delete_session(raw.id.clone()).await.unwrap();
        assert_eq!(deletion.status, "not_found");
        assert_eq!(raw.events.closed(), 1);
        assert_eq!(runtime.session_count(), 0);
    }

    #[tokio::test]
    async fn of_two_deletions_at_a_time_one_deletes() {
        let raw = Raw::scripted(&["a"], [Step::calls([("a", json!({}))])]).await;
        raw.send("go").await;
        let delete = || raw.codex.runtime().delete_session(raw.id.clone());
        let (one, other) = tokio::join!(delete(), delete());
        let mut status = [one.unwrap().status, other.unwrap().status];
        status.sort_unstable();
        assert_eq!(status, ["not_found", "ok"]);
        assert_eq!(raw.events.closed(), 1);
    }
}

#[tokio::test]
async fn only_the_clients_instructions_are_taken_off_a_request() {
    struct Parrot;
    impl Model for Parrot {
        async fn respond(&self, turn: ModelTurn) -> Result<Vec<ModelItem>, ModelError> {
            Ok(vec![ModelItem::say(turn.last_user_text())])
        }
    }
    let text = "Compare:\n\nUser request:\nthis\n\nUser request:\nthat";
    let codex = Embedded::with_model(Parrot);
    for inject in [false, true] {
        let skill = Counter::default().skill("count");
        let (_, session) = codex
            .create_session(|draft| draft.register(skill))
            .inject_skills(inject)
            .await
            .unwrap();
        let turn = session.send_and_handle(text).await.unwrap();
        assert_eq!(turn.assistant_reply.as_deref(), Some(text));
    }
}
