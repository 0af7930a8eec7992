//! Each call runs once and is answered once, whatever happens to it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use codex_skills::embedded::{Content, ModelItem, Step};
use codex_skills::runtime::{CompletedCall, Submission, TakenAnswer};
use codex_skills::{
    Client, DispatchRecord, Embedded, Event, Limits, Outcome, RequestId, RetryPolicy,
    RuntimeErrorKind, Session, Skill, SkillOutput, SubmissionStatus, ToolCall, TurnResult, skill,
};
use codex_skills_tests::faulty::{Fault, Faulty, Operation};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::skills::{Anything, Counter, Said, asynchronous, synchronous};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A client whose model makes these calls at the same time, and says the outputs then.
fn calling<const N: usize>(tools: [&str; N]) -> Client<Faulty> {
    Faulty::client(Embedded::scripted([Step::calls(
        tools.map(|tool| (tool.to_owned(), json!({}))),
    )]))
}

async fn session<const N: usize>(codex: &Client<Faulty>, skills: [Skill; N]) -> Session {
    codex
        .create_session(|draft| draft.register(skills))
        .await
        .unwrap()
        .1
}

/// A session of these skills, and what comes of a turn that calls the first one.
async fn turn<const N: usize>(skills: [Skill; N]) -> TurnResult {
    let codex = calling([skills[0].name()]);
    let session = session(&codex, skills).await;
    session.send_and_handle("go").await.unwrap()
}

/// The only record of a turn.
fn only(turn: &TurnResult) -> &DispatchRecord {
    assert_eq!(turn.dispatches.len(), 1);
    &turn.dispatches[0]
}

/// A call as another announcement would bring it.
fn announced(call: &ToolCall, change: impl FnOnce(&mut ToolCall)) -> Event {
    let mut call = call.clone();
    change(&mut call);
    Event::ToolCall(Arc::new(call))
}

/// The first call that the signals of a session bring.
async fn first_call(signals: &mut codex_skills::Signals) -> Arc<ToolCall> {
    loop {
        if let Event::ToolCall(call) = signals.next().await.unwrap() {
            return call;
        }
    }
}

/// Lets every other task run until none can.
async fn idle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Retries without delays.
fn at_once(attempts: usize) -> Limits {
    Limits {
        submission: RetryPolicy {
            attempts,
            delay: Duration::ZERO,
            max_delay: Duration::ZERO,
            ..RetryPolicy::default()
        },
        ..Limits::default()
    }
}

mod once {
    use super::*;

    #[tokio::test]
    async fn a_call_that_is_announced_twice_runs_once() {
        let runs = Counter::default();
        let model = Embedded::scripted([Step::call("count", json!({}))]);
        let codex = Faulty::rewriting(model, |event| vec![event.clone(), event]);
        let session = session(&codex, [runs.skill("count")]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(runs.get(), 1);
        assert_eq!(turn.assistant_reply.as_deref(), Some("count: run 1"));
    }

    #[tokio::test]
    async fn a_replayed_call_joins_the_running_handler() {
        let (runs, gate) = (Counter::default(), Gate::new());
        let (count, wait) = (runs.clone(), gate.clone());
        let slow = asynchronous("slow", move |_| {
            let (run, wait) = (count.count(), wait.clone());
            async move {
                wait.enter().await;
                format!("run {run}")
            }
        });
        let codex = calling(["slow"]);
        let session = session(&codex, [slow]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let call = first_call(&mut signals).await;
        let event = Event::ToolCall(call);
        let first = session.respond_to_signal(&event);
        let again = session.respond_to_signal(&event);
        let open = async {
            gate.somebody().await;
            idle().await;
            gate.open();
        };
        let (first, again, ()) = tokio::join!(first, again, open);
        let (first, again) = (first.unwrap().unwrap(), again.unwrap().unwrap());
        assert!(Arc::ptr_eq(&first, &again), "both get the one record");
        assert_eq!(runs.get(), 1);
        assert_eq!(codex.runtime().answers().len(), 1);
    }

    #[tokio::test]
    async fn a_call_that_was_answered_is_not_answered_again_at_the_same_address() {
        let runs = Counter::default();
        let codex = calling(["count"]);
        let session = session(&codex, [runs.skill("count")]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        let event = announced(only(&turn).call(), |_| {});
        let again = session.respond_to_signal(&event).await.unwrap().unwrap();
        assert!(again.is_repeat());
        assert_eq!(again.submission().status(), SubmissionStatus::Repeated);
        assert!(again.submission().is_idempotent());
        assert_eq!(again.submission().attempts(), 0);
        assert_eq!(again.output().to_text(), "run 1");
        assert_eq!(runs.get(), 1);
        assert_eq!(codex.runtime().answers().len(), 1);
    }

    #[tokio::test]
    async fn a_call_under_another_request_id_gets_the_stored_answer() {
        let runs = Counter::default();
        let codex = calling(["count"]);
        let session = session(&codex, [runs.skill("count")]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        let event = announced(only(&turn).call(), |call| {
            call.request_id = Some(RequestId::from(77));
        });
        let again = session.respond_to_signal(&event).await.unwrap().unwrap();
        assert!(again.is_repeat());
        assert_eq!(runs.get(), 1);
        let answers = codex.runtime().answers();
        assert_eq!(answers.len(), 2);
        assert_eq!(answers[1].0.request_id, Some(RequestId::from(77)));
        assert!(Arc::ptr_eq(&answers[0].1, &answers[1].1), "the very answer");
    }

    #[tokio::test]
    async fn the_same_request_id_of_another_process_is_another_address() {
        let runs = Counter::default();
        let codex = calling(["count"]);
        let session = session(&codex, [runs.skill("count")]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        let event = announced(only(&turn).call(), |call| call.generation += 1);
        session.respond_to_signal(&event).await.unwrap().unwrap();
        assert_eq!(runs.get(), 1);
        assert_eq!(codex.runtime().answers().len(), 2);
    }

    #[tokio::test]
    async fn another_call_under_a_known_request_id_runs() {
        let runs = Counter::default();
        let codex = calling(["count"]);
        let session = session(&codex, [runs.skill("count")]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        // Ids begin at 0 again when codex is restarted.
        let event = announced(only(&turn).call(), |call| {
            call.call_id = Some("call_after_restart".into());
            call.turn_id = Some("turn_after_restart".into());
        });
        let record = session.respond_to_signal(&event).await.unwrap().unwrap();
        assert!(!record.is_repeat());
        assert_eq!(record.output().to_text(), "run 2");
        assert_eq!(codex.runtime().answers().len(), 2);
    }

    #[tokio::test]
    async fn the_same_call_id_of_another_turn_is_another_call() {
        let runs = Counter::default();
        let codex = calling(["count"]);
        let session = session(&codex, [runs.skill("count")]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        let event = announced(only(&turn).call(), |call| {
            call.turn_id = Some("another".into());
        });
        let record = session.respond_to_signal(&event).await.unwrap().unwrap();
        assert!(!record.is_repeat());
        assert_eq!(runs.get(), 2);
    }

    #[tokio::test]
    async fn the_call_of_a_sub_agent_is_a_call_of_its_own() {
        let runs = Counter::default();
        let codex = calling(["count"]);
        let session = session(&codex, [runs.skill("count")]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        let event = announced(only(&turn).call(), |call| {
            call.thread_id = Some("child".into());
            call.turn_id = Some("turn of the child".into());
        });
        let record = session.respond_to_signal(&event).await.unwrap().unwrap();
        assert!(!record.is_repeat());
        assert_eq!(runs.get(), 2);
        assert_eq!(codex.runtime().answers().len(), 2);
    }

    #[tokio::test]
    async fn an_answer_in_flight_follows_the_call_to_its_new_address() {
        let (runs, gate) = (Counter::default(), Gate::new());
        let codex = calling(["count"]);
        codex
            .runtime()
            .fault(Operation::Answer, Fault::HoldBefore(gate.clone()));
        let session = session(&codex, [runs.skill("count")]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let call = first_call(&mut signals).await;
        let first = Event::ToolCall(call.clone());
        let moved = announced(&call, |call| call.request_id = Some(RequestId::from(9)));
        let first = session.respond_to_signal(&first);
        let moved = async {
            gate.somebody().await;
            let moved = session.respond_to_signal(&moved);
            tokio::pin!(moved);
            assert!(futures_util::poll!(moved.as_mut()).is_pending());
            gate.open();
            moved.await
        };
        let (first, moved) = tokio::join!(first, moved);
        let (first, moved) = (first.unwrap().unwrap(), moved.unwrap().unwrap());
        assert!(Arc::ptr_eq(&first, &moved));
        assert_eq!(first.request_id(), Some(&RequestId::from(9)));
        assert_eq!(runs.get(), 1);
        assert_eq!(codex.runtime().answers().len(), 2, "one for each address");
    }

    #[tokio::test]
    async fn a_call_without_request_id_runs_and_is_answered_when_it_has_one() {
        let runs = Counter::default();
        let codex = calling(["count"]);
        let session = session(&codex, [runs.skill("count")]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let call = first_call(&mut signals).await;
        let nowhere = announced(&call, |call| call.request_id = None);
        let record = session.respond_to_signal(&nowhere).await.unwrap().unwrap();
        assert_eq!(record.submission().status(), SubmissionStatus::NoRequestId);
        assert_eq!(record.submission().attempts(), 0);
        assert!(codex.runtime().answers().is_empty());
        let records = session.drain_pending_calls().await.unwrap();
        assert_eq!(records[0].submission().status(), SubmissionStatus::Accepted);
        assert!(records[0].is_repeat());
        assert_eq!(runs.get(), 1);
    }

    #[tokio::test]
    async fn a_call_without_any_id_runs_once_for_its_announcement() {
        let runs = Counter::default();
        let codex = calling(["count"]);
        let session = session(&codex, [runs.skill("count")]).await;
        let call = ToolCall::new(
            session.session_id().into(),
            "count".into(),
            RawValue::from_string("{}".to_owned()).unwrap(),
        );
        let event = Event::ToolCall(Arc::new(call));
        codex
            .runtime()
            .announce(session.session_id(), event.clone());
        session.respond_to_signal(&event).await.unwrap().unwrap();
        // What waited for a server is found by the next one.
        let serve = session.serve();
        tokio::pin!(serve);
        assert!(futures_util::poll!(serve.as_mut()).is_pending());
        idle().await;
        assert_eq!(runs.get(), 1);
    }

    #[tokio::test]
    async fn the_oldest_answers_are_forgotten_first() {
        let runs = Counter::default();
        let codex = calling([]).with_limits(Limits {
            settled_calls: 2,
            ..Limits::default()
        });
        let session = session(&codex, [runs.skill("count")]).await;
        let call = |id: &str| {
            let arguments = RawValue::from_string("{}".to_owned()).unwrap();
            let mut call = ToolCall::new(session.session_id().into(), "count".into(), arguments);
            call.call_id = Some(id.into());
            call.request_id = Some(id.into());
            Event::ToolCall(Arc::new(call))
        };
        for id in ["a", "b", "c"] {
            session.respond_to_signal(&call(id)).await.unwrap();
        }
        for id in ["b", "c"] {
            let record = session.respond_to_signal(&call(id)).await.unwrap();
            assert!(record.unwrap().is_repeat(), "{id} is remembered");
        }
        assert_eq!(runs.get(), 3);
        let record = session.respond_to_signal(&call("a")).await.unwrap();
        assert!(!record.unwrap().is_repeat(), "a was the oldest");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_threads_that_announce_one_call_run_it_once() {
        let runs = Counter::default();
        let codex = calling(["count"]);
        let session = session(&codex, [runs.skill("count")]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let call = first_call(&mut signals).await;
        let announcers: Vec<_> = (0..64)
            .map(|_| {
                let (session, event) = (session.clone(), Event::ToolCall(call.clone()));
                tokio::spawn(async move { session.respond_to_signal(&event).await })
            })
            .collect();
        for announcer in announcers {
            announcer.await.unwrap().unwrap().unwrap();
        }
        assert_eq!(runs.get(), 1);
        assert_eq!(codex.runtime().answers().len(), 1);
    }

    #[tokio::test]
    async fn a_call_whose_session_was_let_go_runs_once() {
        let (runs, gate) = (Counter::default(), Gate::new());
        let (count, wait) = (runs.clone(), gate.clone());
        let slow = asynchronous("slow", move |_| {
            let (run, wait) = (count.count(), wait.clone());
            async move {
                wait.enter().await;
                format!("run {run}")
            }
        });
        let codex = calling(["slow"]);
        let first = session(&codex, [slow]).await;
        let (id, catalog) = (first.session_id().to_owned(), first.catalog().clone());
        let served = tokio::spawn(async move { first.serve().await });
        codex.session(&id).await.unwrap().send("go").await.unwrap();
        gate.somebody().await;
        // The handles are gone, and the handler still runs.
        served.abort();
        assert!(served.await.unwrap_err().is_cancelled());
        let again = codex.session(&id).catalog(catalog).await.unwrap();
        let drained = again.drain_pending_calls();
        tokio::pin!(drained);
        assert!(futures_util::poll!(drained.as_mut()).is_pending());
        idle().await;
        gate.open();
        let records = drained.await.unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(runs.get(), 1, "the second handle joins the running handler");
    }

    #[tokio::test]
    async fn two_handles_that_are_opened_at_the_same_time_share_one_ledger() {
        let runs = Counter::default();
        let codex = calling(["count"]);
        let first = session(&codex, [runs.skill("count")]).await;
        let (id, catalog) = (first.session_id().to_owned(), first.catalog().clone());
        first.send("go").await.unwrap();
        idle().await;
        drop(first);
        let gate = Gate::new();
        codex
            .runtime()
            .fault(Operation::Resume, Fault::HoldAfter(gate.clone()));
        let one = codex.session(&id).catalog(catalog.clone()).into_future();
        let other = codex.session(&id).catalog(catalog).into_future();
        let open = async {
            gate.somebody().await;
            idle().await;
            gate.open();
        };
        let (one, other, ()) = tokio::join!(one, other, open);
        let (one, other) = (one.unwrap(), other.unwrap());
        let (a, b) = tokio::join!(one.drain_pending_calls(), other.drain_pending_calls());
        a.unwrap();
        b.unwrap();
        assert_eq!(runs.get(), 1);
    }
}

mod answered {
    use super::*;

    #[tokio::test]
    async fn an_unknown_tool_is_answered_with_the_names_there_are() {
        let runs = Counter::default();
        let codex = calling(["count"]);
        let session = session(&codex, [runs.skill("count")]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let call = first_call(&mut signals).await;
        let event = announced(&call, |call| call.tool = "cuont".into());
        let record = session.respond_to_signal(&event).await.unwrap().unwrap();
        assert_eq!(record.outcome(), Outcome::UnknownTool);
        assert_eq!(
            record.output().to_text(),
            "no remote skill registered for `cuont`, did you mean `count`? There are `count`"
        );
        assert!(!record.output().is_success());
        assert!(!record.is_handled());
        assert_eq!(codex.runtime().answers().len(), 1);
        assert_eq!(runs.get(), 0);
    }

    #[tokio::test]
    async fn a_tool_of_another_namespace_is_not_the_skill_of_that_name() {
        let runs = Counter::default();
        let codex = calling(["count"]);
        let session = session(&codex, [runs.skill("count")]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let call = first_call(&mut signals).await;
        let event = announced(&call, |call| call.namespace = Some("theirs".into()));
        let record = session.respond_to_signal(&event).await.unwrap().unwrap();
        assert_eq!(record.outcome(), Outcome::UnknownTool);
        assert!(record.output().to_text().contains("`theirs.count`"));
        assert_eq!(runs.get(), 0);
    }

    /// Halve a number.
    #[skill]
    fn halve(
        /** An even number. */
        number: i64,
    ) -> Result<i64, String> {
        if number % 2 == 0 {
            Ok(number / 2)
        } else {
            Err(format!("{number} is odd"))
        }
    }

    async fn halved(arguments: &str) -> TurnResult {
        let codex = Embedded::scripted([Step::items([ModelItem::raw_call("halve", arguments)])]);
        let (_, session) = codex
            .create_session(|draft| draft.register(codex_skills::skills![halve]))
            .await
            .unwrap();
        session.send_and_handle("go").await.unwrap()
    }

    #[tokio::test]
    async fn arguments_that_do_not_fit_are_answered_with_the_path() {
        let turn = halved(r#"{"number": "four"}"#).await;
        let record = only(&turn);
        assert_eq!(record.outcome(), Outcome::InvalidArguments);
        let text = record.output().to_text();
        assert!(text.starts_with("skill `halve` was not run"), "{text}");
        assert!(text.contains("number"), "{text}");
    }

    #[tokio::test]
    async fn a_number_that_fits_nothing_spoils_its_call_only() {
        let turn = halved(r#"{"number": 1e400}"#).await;
        assert_eq!(only(&turn).outcome(), Outcome::InvalidArguments);
        assert_eq!(turn.status, codex_skills::TurnStatus::Completed);
    }

    #[tokio::test]
    async fn an_error_is_answered_with_its_display() {
        let turn = halved(r#"{"number": 3}"#).await;
        let record = only(&turn);
        assert_eq!(record.outcome(), Outcome::Failed);
        assert_eq!(record.output().to_text(), "skill `halve` failed: 3 is odd");
        assert!(!record.output().is_success());
        assert_eq!(record.error(), Some("3 is odd"));
    }

    /// What the model reads of every panic.
    const INTERNAL: &str = "internal error";

    /// What its destructors do then concerns the log only.
    fn assert_late(turn: &TurnResult) {
        assert_eq!(only(turn).outcome(), Outcome::TimedOut);
        assert!(!only(turn).output().is_success());
    }

    fn assert_panicked(turn: &TurnResult) {
        let record = only(turn);
        assert_eq!(record.outcome(), Outcome::Panicked);
        assert_eq!(
            record.output().to_text(),
            format!("skill `{}` failed: {INTERNAL}", record.tool())
        );
        assert_eq!(record.submission().status(), SubmissionStatus::Accepted);
    }

    #[tokio::test]
    async fn a_panic_is_answered_without_its_internals() {
        let turn = turn([asynchronous("bad", |_| async {
            tokio::task::yield_now().await;
            panic!("secret {}", 7)
        })])
        .await;
        assert_panicked(&turn);
        assert_eq!(only(&turn).error(), Some("panicked: secret 7"));
    }

    #[tokio::test]
    async fn a_panic_before_the_future_exists_is_answered() {
        assert_panicked(
            &turn([asynchronous("bad", |_| -> std::future::Ready<String> {
                panic!("early")
            })])
            .await,
        );
    }

    #[tokio::test]
    async fn a_panic_of_a_synchronous_skill_is_answered() {
        assert_panicked(&turn([synchronous("bad", || panic!("sync"))]).await);
    }

    /// Fail inline.
    #[skill(inline)]
    fn inline_panic() -> String {
        panic!("inline")
    }

    #[tokio::test]
    async fn a_panic_of_an_inline_skill_is_answered() {
        let codex = Embedded::scripted([Step::call("inline_panic", json!({}))]);
        let (_, session) = codex
            .create_session(|draft| draft.register(codex_skills::skills![inline_panic]))
            .await
            .unwrap();
        assert_panicked(&session.send_and_handle("go").await.unwrap());
    }

    struct Unspeakable;

    impl fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("in Display")
        }
    }

    #[tokio::test]
    async fn a_panic_in_display_is_answered() {
        let bad = Skill::builder("bad").handler(|_: Anything| async { Err::<(), _>(Unspeakable) });
        assert_panicked(&turn([bad]).await);
    }

    struct Unserializable;

    impl serde::Serialize for Unserializable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("in Serialize")
        }
    }

    #[tokio::test]
    async fn a_panic_in_serialize_is_answered() {
        let bad = Skill::builder("bad")
            .handler(|_: Anything| async { Ok::<_, fmt::Error>(Unserializable) });
        assert_panicked(&turn([bad]).await);
    }

    /// Panics when it is dropped.
    struct Grenade;

    impl Drop for Grenade {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("in a destructor")
            }
        }
    }

    #[tokio::test]
    async fn a_panic_in_a_destructor_is_answered() {
        assert_panicked(
            &turn([asynchronous("bad", |_| {
                let grenade = Grenade;
                async move {
                    drop(grenade);
                    String::new()
                }
            })])
            .await,
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_in_the_destructor_of_a_handler_that_took_too_long_is_answered() {
        assert_late(
            &turn([asynchronous("bad", |_| {
                let grenade = Grenade;
                async move {
                    std::future::pending::<()>().await;
                    drop(grenade);
                    String::new()
                }
            })])
            .await,
        );
    }

    /// A panic whose message panics when it is dropped.
    struct Payload;

    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("in the destructor of a panic")
        }
    }

    struct Thrower;

    impl Drop for Thrower {
        fn drop(&mut self) {
            std::panic::panic_any(Payload)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_that_panics_when_dropped_is_answered() {
        assert_late(
            &turn([asynchronous("bad", |_| {
                let thrower = Thrower;
                async move {
                    std::future::pending::<()>().await;
                    drop(thrower);
                    String::new()
                }
            })])
            .await,
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_takes_too_long_is_dropped_and_answered() {
        let dropped = Counter::default();
        struct Noted(Counter);
        impl Drop for Noted {
            fn drop(&mut self) {
                self.0.count();
            }
        }
        let noted = dropped.clone();
        let turn = turn([asynchronous("slow", move |_| {
            let noted = Noted(noted.clone());
            async move {
                std::future::pending::<()>().await;
                drop(noted);
                String::new()
            }
        })])
        .await;
        let record = only(&turn);
        assert_eq!(record.outcome(), Outcome::TimedOut);
        assert_eq!(
            record.output().to_text(),
            "skill `slow` failed: no answer within 60s"
        );
        assert_eq!(record.ran(), Duration::from_secs(60));
        assert_eq!(dropped.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_synchronous_handler_that_ignores_its_deadline_is_answered_and_keeps_its_place() {
        let (started, mut starts) = mpsc::unbounded_channel();
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let finished = std::sync::Mutex::new(finished);
        let slow = synchronous("slow", move || {
            started.send(()).unwrap();
            finished.lock().unwrap().recv().unwrap();
            "late".to_owned()
        });
        let runs = Counter::default();
        let codex = Faulty::client(Embedded::scripted([
            Step::call("slow", json!({})),
            Step::call("count", json!({})),
        ]));
        let (_, session) = codex
            .create_session(|draft| draft.register([slow, runs.skill("count")]))
            .max_concurrent_calls(1)
            .await
            .unwrap();
        let turn = session.send_and_handle("go");
        let time = async {
            starts.recv().await.unwrap();
            // Time does not pass by itself while a thread works.
            tokio::time::advance(Duration::from_secs(61)).await;
            while codex.runtime().answers().is_empty() {
                tokio::task::yield_now().await;
            }
            idle().await;
            assert_eq!(runs.get(), 0, "its place is not free");
            finish.send(()).unwrap();
        };
        let (turn, ()) = tokio::join!(turn.into_future(), time);
        let turn = turn.unwrap();
        assert_eq!(turn.dispatches[0].outcome(), Outcome::TimedOut);
        assert_eq!(turn.dispatches[1].outcome(), Outcome::Completed);
        assert_eq!(
            codex.runtime().answers().len(),
            2,
            "the late answer is none"
        );
    }

    #[test]
    fn a_synchronous_handler_that_has_no_thread_in_time_is_not_run() {
        // With a paused clock synchronous handlers run on tokio's threads.
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let runs = Counter::default();
        tokio.block_on(async {
            let (begun, mut begins) = mpsc::unbounded_channel();
            let (finish, finished) = std::sync::mpsc::channel::<()>();
            let finished = std::sync::Mutex::new(finished);
            let slow = synchronous("slow", move || {
                begun.send(()).unwrap();
                finished.lock().unwrap().recv().unwrap();
                String::new()
            });
            let count = runs.clone();
            let quick = synchronous("quick", move || count.count().to_string());
            let codex = calling(["slow", "quick"]);
            let session = session(&codex, [slow, quick]).await;
            let interrupt = async {
                begins.recv().await.unwrap();
                idle().await;
                session.interrupt().await.unwrap();
            };
            let (turn, ()) = tokio::join!(session.send_and_handle("go").into_future(), interrupt);
            assert!(
                turn.unwrap()
                    .dispatches
                    .iter()
                    .all(|r| r.outcome() == Outcome::Cancelled)
            );
            finish.send(()).unwrap();
        });
        // Waits for the thread.
        drop(tokio);
        assert_eq!(runs.get(), 0);
    }

    #[tokio::test]
    async fn a_cancelled_call_is_answered() {
        let gate = Gate::new();
        let wait = gate.clone();
        let codex = calling(["slow"]);
        let session = session(
            &codex,
            [asynchronous("slow", move |_| {
                let wait = wait.clone();
                async move {
                    wait.enter().await;
                    String::new()
                }
            })],
        )
        .await;
        let interrupt = async {
            gate.somebody().await;
            session.interrupt().await.unwrap();
        };
        let (turn, ()) = tokio::join!(session.send_and_handle("go").into_future(), interrupt);
        let turn = turn.unwrap();
        let record = only(&turn);
        assert_eq!(record.outcome(), Outcome::Cancelled);
        assert_eq!(
            record.output().to_text(),
            "skill `slow` was cancelled before it answered"
        );
        assert_eq!(codex.runtime().answers().len(), 1);
    }

    #[tokio::test]
    async fn an_answer_over_the_limit_becomes_a_failure_that_says_so() {
        let codex = calling(["big"]).with_limits(Limits {
            output_bytes: 1000,
            ..Limits::default()
        });
        let session = session(
            &codex,
            [asynchronous("big", |_| async { "x".repeat(1000) })],
        )
        .await;
        let turn = session.send_and_handle("go").await.unwrap();
        let record = only(&turn);
        assert_eq!(record.outcome(), Outcome::TooLarge);
        let text = record.output().to_text();
        assert!(text.contains("over the limit of 1000 bytes"), "{text}");
        let (_, answer) = &codex.runtime().answers()[0];
        assert!(answer.content_len() < 1000);
    }

    #[tokio::test]
    async fn the_limit_of_the_runtime_holds_as_well() {
        let codex = Faulty::limited(Embedded::scripted([Step::call("big", json!({}))]), 1000);
        let session = session(
            &codex,
            [asynchronous("big", |_| async { "x".repeat(1000) })],
        )
        .await;
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(only(&turn).outcome(), Outcome::TooLarge);
    }

    #[tokio::test]
    async fn a_long_error_is_cut_for_the_model_and_kept_in_the_record() {
        let bad = Skill::builder("bad")
            .handler(|_: Anything| async { Err::<(), _>("e".repeat(100_000)) });
        let turn = turn([bad]).await;
        let record = only(&turn);
        assert!(record.output().to_text().len() < 10_000);
        assert_eq!(record.error().map(str::len), Some(100_000));
    }

    #[tokio::test]
    async fn calls_beyond_the_limit_of_open_ones_are_answered_at_once() {
        let gate = Gate::new();
        let wait = gate.clone();
        let codex = calling(["slow", "slow", "slow"]).with_limits(Limits {
            open_calls: 2,
            ..Limits::default()
        });
        let session = session(
            &codex,
            [asynchronous("slow", move |_| {
                let wait = wait.clone();
                async move {
                    wait.enter().await;
                    "done".to_owned()
                }
            })],
        )
        .await;
        let open = async {
            gate.somebody().await;
            gate.somebody().await;
            while codex.runtime().answers().is_empty() {
                tokio::task::yield_now().await;
            }
            gate.open();
        };
        let (turn, ()) = tokio::join!(session.send_and_handle("go").into_future(), open);
        let turn = turn.unwrap();
        let (refused, run): (Vec<_>, Vec<_>) = turn
            .dispatches
            .iter()
            .partition(|record| record.outcome() == Outcome::Overloaded);
        assert_eq!((refused.len(), run.len()), (1, 2));
        assert!(refused[0].output().to_text().contains("try again later"));
    }

    #[tokio::test]
    async fn an_explicit_failure_is_passed_on_as_it_is() {
        let bad = Skill::builder("bad").handler(|_: Anything| async {
            Ok::<_, fmt::Error>(SkillOutput::text("half").with_text("of it").failed())
        });
        let turn = turn([bad]).await;
        let record = only(&turn);
        assert_eq!(record.outcome(), Outcome::Failed);
        assert_eq!(record.output().items().len(), 2);
        assert!(!record.is_handled());
    }

    #[tokio::test]
    async fn a_runtime_that_panics_while_it_is_answered_leaves_nobody_waiting() {
        let runs = Counter::default();
        let codex = calling(["count"]).with_limits(at_once(3));
        codex.runtime().fault(Operation::Answer, Fault::Panic);
        let session = session(&codex, [runs.skill("count")]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let event = Event::ToolCall(first_call(&mut signals).await);
        let record = session.respond_to_signal(&event).await.unwrap().unwrap();
        assert_ne!(record.submission().status(), SubmissionStatus::Accepted);
        // Nor is the answer lost.
        let records = session.drain_pending_calls().await.unwrap();
        assert_eq!(records[0].submission().status(), SubmissionStatus::Accepted);
        assert_eq!(records[0].output().to_text(), "run 1");
        assert_eq!(runs.get(), 1);
    }
}

mod submitted {
    use super::*;

    /// A turn that calls a counting skill, with these faults of its answer.
    async fn with_faults(limits: Limits, faults: &[Fault]) -> (Counter, Client<Faulty>, Session) {
        let runs = Counter::default();
        let codex = calling(["count"]).with_limits(limits);
        for fault in faults {
            codex.runtime().fault(Operation::Answer, fault.clone());
        }
        let session = session(&codex, [runs.skill("count")]).await;
        (runs, codex, session)
    }

    fn retry() -> Fault {
        Fault::Say(Submission::Retry {
            reason: "busy".to_owned(),
            after: None,
        })
    }

    #[tokio::test]
    async fn a_retry_submits_the_stored_answer_and_reruns_nothing() {
        let faults = [retry(), Fault::Fail(RuntimeErrorKind::Unavailable)];
        let (runs, codex, session) = with_faults(at_once(3), &faults).await;
        let turn = session.send_and_handle("go").await.unwrap();
        let record = only(&turn);
        assert_eq!(record.submission().attempts(), 3);
        assert_eq!(record.submission().status(), SubmissionStatus::Accepted);
        assert!(record.is_handled());
        assert_eq!(runs.get(), 1);
        let answers = codex.runtime().answers();
        assert!(answers.iter().all(|(_, a)| Arc::ptr_eq(a, &answers[0].1)));
    }

    #[tokio::test]
    async fn an_answer_whose_acceptance_got_lost_is_sent_again() {
        let (runs, _, session) = with_faults(at_once(3), &[Fault::Lose]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        let submission = only(&turn).submission();
        assert_eq!(submission.status(), SubmissionStatus::Settled);
        assert_eq!(submission.code(), Some("not_found"));
        assert!(submission.is_idempotent());
        // It may have been another client's answer.
        assert!(!only(&turn).is_handled());
        assert_eq!(only(&turn).outcome(), Outcome::Completed);
        assert_eq!(runs.get(), 1);
    }

    #[tokio::test]
    async fn an_answer_in_flight_elsewhere_is_settled() {
        let fault = Fault::Say(Submission::Settled {
            code: "in_flight".to_owned(),
        });
        let (_, codex, session) = with_faults(at_once(3), &[fault]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let event = Event::ToolCall(first_call(&mut signals).await);
        let record = session.respond_to_signal(&event).await.unwrap().unwrap();
        assert_eq!(record.submission().status(), SubmissionStatus::Settled);
        assert_eq!(record.submission().code(), Some("in_flight"));
        assert_eq!(codex.runtime().answers().len(), 1);
    }

    #[tokio::test]
    async fn a_refused_answer_is_in_the_record() {
        let fault = Fault::Say(Submission::Refused {
            reason: "no such method".to_owned(),
        });
        let (runs, codex, session) = with_faults(at_once(3), &[fault]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let event = Event::ToolCall(first_call(&mut signals).await);
        let record = session.respond_to_signal(&event).await.unwrap().unwrap();
        assert_eq!(record.outcome(), Outcome::Completed);
        assert_eq!(record.submission().status(), SubmissionStatus::Refused);
        assert_eq!(record.submission().attempts(), 1, "it stays refused");
        assert_eq!(record.error(), Some("no such method"));
        assert!(!record.is_handled());
        assert_eq!(codex.runtime().answers().len(), 1);
        assert_eq!(runs.get(), 1);
    }

    #[tokio::test]
    async fn an_error_that_stays_is_not_tried_again() {
        let fault = Fault::Fail(RuntimeErrorKind::Refused);
        let (_, codex, session) = with_faults(at_once(3), &[fault]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let event = Event::ToolCall(first_call(&mut signals).await);
        let record = session.respond_to_signal(&event).await.unwrap().unwrap();
        assert_eq!(record.submission().status(), SubmissionStatus::Refused);
        assert_eq!(codex.runtime().answers().len(), 1);
    }

    #[tokio::test]
    async fn an_answer_that_never_arrived_is_sent_again_when_its_call_is_found_waiting() {
        let (runs, _, session) = with_faults(at_once(2), &[retry(), retry()]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let event = Event::ToolCall(first_call(&mut signals).await);
        let record = session.respond_to_signal(&event).await.unwrap().unwrap();
        assert_eq!(record.submission().status(), SubmissionStatus::Exhausted);
        assert_eq!(record.submission().attempts(), 2);
        assert_eq!(record.error(), Some("busy"));
        assert!(!record.is_handled());
        let again = session.drain_pending_calls().await.unwrap();
        assert!(again[0].is_repeat() && again[0].is_handled());
        assert_eq!(runs.get(), 1);
    }

    #[tokio::test]
    async fn an_answer_that_never_arrived_is_sent_again_when_its_call_is_announced_again() {
        let (runs, _, session) = with_faults(at_once(1), &[retry()]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let event = Event::ToolCall(first_call(&mut signals).await);
        session.respond_to_signal(&event).await.unwrap().unwrap();
        let again = session.respond_to_signal(&event).await.unwrap().unwrap();
        assert!(again.is_repeat() && again.is_handled());
        assert_eq!(runs.get(), 1);
    }

    #[tokio::test]
    async fn no_attempts_are_one_attempt() {
        let (_, _, session) = with_faults(at_once(0), &[]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(only(&turn).submission().attempts(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn delays_between_attempts_grow_and_end() {
        let limits = Limits {
            submission: RetryPolicy {
                attempts: 5,
                delay: Duration::from_millis(100),
                max_delay: Duration::from_millis(300),
                ..RetryPolicy::default()
            },
            ..Limits::default()
        };
        let (_, _, session) = with_faults(limits, &[retry(), retry(), retry(), retry()]).await;
        let began = Instant::now();
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(only(&turn).submission().attempts(), 5);
        let took = began.elapsed();
        // 100, 200, 300 and 300 ms, and a random part of them on top.
        assert!(took >= Duration::from_millis(900), "{took:?}");
        assert!(took <= Duration::from_millis(1800), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_delay_that_the_runtime_asks_for_is_kept() {
        let later = Fault::Say(Submission::Retry {
            reason: "busy".to_owned(),
            after: Some(Duration::from_secs(1)),
        });
        let (_, _, session) = with_faults(at_once(3), &[later]).await;
        let began = Instant::now();
        session.send_and_handle("go").await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_that_the_runtime_asks_for_ends_with_its_call() {
        let later = Fault::Say(Submission::Retry {
            reason: "busy".to_owned(),
            after: Some(Duration::from_secs(60)),
        });
        let faults = [later.clone(), later];
        let (runs, codex, session) = with_faults(at_once(5), &faults).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let event = Event::ToolCall(first_call(&mut signals).await);
        let began = Instant::now();
        let interrupted = async {
            while codex.runtime().answers().is_empty() {
                tokio::task::yield_now().await;
            }
            session.interrupt().await
        };
        let (record, interrupted) = tokio::join!(session.respond_to_signal(&event), interrupted);
        interrupted.unwrap();
        let record = record.unwrap().unwrap();
        assert!(began.elapsed() < Duration::from_secs(1));
        assert_eq!(record.submission().attempts(), 2, "one last attempt");
        assert_eq!(runs.get(), 1);
    }

    /// Two retries at a stretch for all sessions, and another one every ten seconds.
    fn two_retries() -> Limits {
        let mut limits = Limits::default();
        limits.submission.budget = 2;
        limits.submission.refill = Duration::from_secs(10);
        limits
    }

    #[tokio::test(start_paused = true)]
    async fn retries_beyond_the_budget_of_the_client_wait_and_none_is_lost() {
        // Two calls of one turn fail twice each; those of other sessions pay from the same budget.
        let runs = Counter::default();
        let codex = calling(["count", "count"]).with_limits(two_retries());
        for _ in 0..4 {
            codex.runtime().fault(Operation::Answer, retry());
        }
        let session = session(&codex, [runs.skill("count")]).await;
        let began = Instant::now();
        let turn = session.send_and_handle("go").await.unwrap();
        let attempts: Vec<usize> = turn
            .dispatches
            .iter()
            .map(|record| record.submission().attempts())
            .collect();
        assert_eq!(attempts, [3, 3]);
        assert!(turn.dispatches.iter().all(|record| record.is_handled()));
        // Two were there, one came back after ten seconds, and put itself back when it was taken.
        assert_eq!(began.elapsed().as_secs(), 10);
        let metrics = codex.metrics();
        assert_eq!((metrics.retries, metrics.retries_delayed), (4, 2));
        assert_eq!((metrics.answered, runs.get()), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_met_with_the_budget_and_not_with_all_attempts() {
        const CALLS: usize = 40;
        let runs = Counter::default();
        let codex = calling(["count"; CALLS]).with_limits(two_retries());
        for _ in 0..1000 {
            codex.runtime().fault(Operation::Answer, retry());
        }
        let session = session(&codex, [runs.skill("count")]).await;
        session.send("go").await.unwrap();
        tokio::select! {
            closed = session.serve() => panic!("{closed:?}"),
            () = tokio::time::sleep(Duration::from_secs(200)) => {}
        }
        let sent = codex.runtime().answers().len();
        // One attempt for each call, two retries, and one more every ten seconds for those in line.
        assert!(sent <= CALLS + 2 + 20, "{sent}");
        assert!(sent > CALLS + 2, "{sent}");
        let metrics = codex.metrics();
        assert_eq!(metrics.running, 0, "{metrics:?}");
        assert_eq!(metrics.undelivered.given_up, CALLS as u64);
        assert_eq!(runs.get(), CALLS);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_waited_through_an_outage_are_sent_as_soon_as_one_is_taken() {
        const CALLS: usize = 40;
        let runs = Counter::default();
        let codex = calling(["count"; CALLS]).with_limits(two_retries());
        for _ in 0..CALLS {
            codex.runtime().fault(Operation::Answer, retry());
        }
        let session = session(&codex, [runs.skill("count")]).await;
        let began = Instant::now();
        let turn = session.send_and_handle("go").await.unwrap();
        assert!(turn.dispatches.iter().all(|record| record.is_handled()));
        assert_eq!(turn.dispatches.len(), CALLS);
        assert!(began.elapsed() < Duration::from_secs(1));
        assert_eq!(runs.get(), CALLS);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_waited_in_line_in_vain_is_kept_and_sent_again_later() {
        let mut limits = two_retries();
        limits.submission.budget = 1;
        limits.submission.refill = Duration::from_secs(3600);
        let (runs, codex, session) = with_faults(limits, &[retry(), retry()]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let event = Event::ToolCall(first_call(&mut signals).await);
        let began = Instant::now();
        let record = session.respond_to_signal(&event).await.unwrap().unwrap();
        assert_eq!(record.submission().status(), SubmissionStatus::Exhausted);
        assert_eq!(record.submission().attempts(), 2);
        assert!(record.error().unwrap().starts_with("busy; too many"));
        assert_eq!(began.elapsed().as_secs(), 60, "no wait is without end");
        assert_eq!(codex.metrics().undelivered.given_up, 1);
        // To be found waiting is no licence to be sent at once: it waits for its turn.
        let began = Instant::now();
        let in_vain = session.drain_pending_calls().await.unwrap();
        assert_eq!(in_vain[0].submission().attempts(), 0);
        assert_eq!(began.elapsed().as_secs(), 60);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let again = session.drain_pending_calls().await.unwrap();
        assert!(again[0].is_repeat() && again[0].is_handled());
        assert_eq!(runs.get(), 1);
        let metrics = codex.metrics();
        assert_eq!((metrics.answered, metrics.undelivered.total()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_waits_in_line_holds_nobody_up_whose_turn_is_over() {
        let mut limits = two_retries();
        limits.submission.budget = 1;
        let (_, codex, session) = with_faults(limits, &[retry(), retry(), retry()]).await;
        let began = Instant::now();
        let interrupt = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            session.interrupt().await
        };
        let (turn, interrupted) =
            tokio::join!(session.send_and_handle("go").into_future(), interrupt);
        interrupted.unwrap();
        assert_eq!(turn.unwrap().status, codex_skills::TurnStatus::Interrupted);
        assert_eq!(began.elapsed().as_secs(), 3);
        assert_eq!(codex.metrics().undelivered.given_up, 1);
    }

    /// What a runtime says on its own, while an answer waits to be sent again.
    #[derive(Clone, Copy, Debug)]
    enum Word {
        Resolved,
        ResolvedElsewhere,
        Completed(&'static str),
        CompletedWithNothing,
    }

    impl Word {
        fn say(self, codex: &Client<Faulty>, session: &Session, call: &Arc<ToolCall>) {
            let text = |text| TakenAnswer::new(true, [("inputText", text)]);
            let taken = match self {
                Self::Resolved => {
                    codex.runtime().resolve(session.session_id(), call);
                    let expired = Event::CallExpired(call.clone());
                    return codex.runtime().announce(session.session_id(), expired);
                }
                Self::ResolvedElsewhere => {
                    let mut other = ToolCall::clone(call);
                    other.generation += 1;
                    let session_id = session.session_id();
                    return codex.runtime().resolve(session_id, &Arc::new(other));
                }
                Self::Completed(answer) => text(answer),
                Self::CompletedWithNothing => TakenAnswer::new(false, []),
            };
            let ids = call.turn_id.clone().zip(call.call_id.clone());
            let (turn_id, call_id) = ids.unwrap();
            let completed = CompletedCall::new(turn_id, call_id, taken);
            codex.runtime().complete(session.session_id(), &completed);
        }
    }

    /// A call whose answer is to be sent again in a minute, and what the runtime says in the middle of it.
    async fn said_in_the_pause(word: Word) -> (Arc<DispatchRecord>, usize, Duration) {
        let mut limits = at_once(3);
        limits.submission.delay = Duration::from_secs(60);
        limits.submission.max_delay = Duration::from_secs(60);
        let (runs, codex, session) = with_faults(limits, &[retry()]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let call = first_call(&mut signals).await;
        let event = Event::ToolCall(call.clone());
        let began = Instant::now();
        let say = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            assert_eq!(codex.runtime().answers().len(), 1);
            word.say(&codex, &session, &call);
        };
        let (record, ()) = tokio::join!(session.respond_to_signal(&event), say);
        let took = began.elapsed();
        let metrics = codex.metrics();
        assert_eq!((metrics.running, metrics.undelivered.total()), (0, 0));
        assert_eq!(runs.get(), 1);
        let record = record.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        (record, codex.runtime().answers().len(), took)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_was_taken_after_all_is_not_sent_again() {
        for (word, status, code) in [
            (Word::Resolved, SubmissionStatus::Settled, Some("resolved")),
            (Word::Completed("run 1"), SubmissionStatus::Accepted, None),
            (
                Word::Completed("another"),
                SubmissionStatus::Settled,
                Some("answered_elsewhere"),
            ),
            (
                Word::CompletedWithNothing,
                SubmissionStatus::Settled,
                Some("cancelled"),
            ),
        ] {
            let (record, attempts, took) = said_in_the_pause(word).await;
            let submission = record.submission();
            assert_eq!(submission.status(), status, "{word:?}");
            assert_eq!(submission.code(), code, "{word:?}");
            assert_eq!((submission.attempts(), attempts), (1, 1), "{word:?}");
            assert_eq!(took.as_secs(), 30, "{word:?}");
            assert_eq!(record.outcome(), Outcome::Completed, "{word:?}");
            let is_handled = matches!(status, SubmissionStatus::Accepted);
            assert_eq!(record.is_handled(), is_handled, "{word:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_at_another_address_says_nothing_of_an_answer() {
        let (record, attempts, took) = said_in_the_pause(Word::ResolvedElsewhere).await;
        let submission = record.submission();
        assert_eq!(submission.status(), SubmissionStatus::Accepted);
        assert_eq!((submission.attempts(), attempts), (2, 2));
        assert!(took.as_secs() >= 60, "{took:?}");
    }

    /// Others may have answered it.
    #[tokio::test(start_paused = true)]
    async fn an_answer_of_a_call_that_was_answered_meanwhile_is_not_sent() {
        let gate = Gate::new();
        let wait = gate.clone();
        let slow = asynchronous("slow", move |_| {
            let wait = wait.clone();
            async move {
                wait.enter().await;
                "done".to_owned()
            }
        });
        let codex = calling(["slow"]).with_limits(at_once(3));
        let session = session(&codex, [slow]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let call = first_call(&mut signals).await;
        let event = Event::ToolCall(call.clone());
        let answered = async {
            gate.somebody().await;
            Word::Resolved.say(&codex, &session, &call);
        };
        let (record, ()) = tokio::join!(session.respond_to_signal(&event), answered);
        let record = record.unwrap().unwrap();
        assert_eq!(record.outcome(), Outcome::Cancelled);
        let submission = record.submission();
        assert_eq!(submission.status(), SubmissionStatus::Settled);
        assert_eq!(submission.code(), Some("answered_elsewhere"));
        assert_eq!(submission.attempts(), 0);
        assert!(codex.runtime().answers().is_empty());
    }

    /// An attempt that hangs is no reason to wait either.
    #[tokio::test(start_paused = true)]
    async fn an_attempt_ends_when_its_answer_was_taken() {
        let never = Fault::HoldBefore(Gate::new());
        let (_, codex, session) = with_faults(at_once(3), &[never]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let call = first_call(&mut signals).await;
        let event = Event::ToolCall(call.clone());
        let say = async {
            while codex.runtime().answers().is_empty() {
                tokio::task::yield_now().await;
            }
            Word::Completed("run 1").say(&codex, &session, &call);
        };
        let (record, ()) = tokio::join!(session.respond_to_signal(&event), say);
        let submission = record.unwrap().unwrap().submission().clone();
        assert_eq!(submission.status(), SubmissionStatus::Accepted);
        assert_eq!(submission.attempts(), 1);
    }

    /// A runtime may wait for its link for as long as it likes.
    #[tokio::test(start_paused = true)]
    async fn an_attempt_holds_nobody_up_whose_turn_is_over() {
        let never = Fault::HoldBefore(Gate::new());
        let (_, codex, session) = with_faults(at_once(3), &[never]).await;
        let began = Instant::now();
        let interrupt = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            session.interrupt().await
        };
        let (turn, interrupted) =
            tokio::join!(session.send_and_handle("go").into_future(), interrupt);
        interrupted.unwrap();
        assert_eq!(turn.unwrap().status, codex_skills::TurnStatus::Interrupted);
        assert_eq!(began.elapsed().as_secs(), 7);
        assert_eq!(codex.metrics().undelivered.given_up, 1);
    }
}

/// Answers that the runtime takes at once, and tells of later.
mod taken {
    use codex_skills::runtime::Receipt;
    use futures_util::FutureExt as _;

    use super::*;

    /// A turn whose only answer was taken by the runtime, which says nothing of it yet.
    async fn held() -> (Counter, Client<Faulty>, Session, Event, Receipt) {
        let runs = Counter::default();
        let codex = calling(["count"]).with_limits(at_once(3));
        codex.runtime().fault(Operation::AnswerNow, Fault::Keep);
        let session = session(&codex, [runs.skill("count")]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let event = Event::ToolCall(first_call(&mut signals).await);
        // It is answered though the future is dropped.
        assert!(session.respond_to_signal(&event).now_or_never().is_none());
        let receipt = loop {
            if let Some(receipt) = codex.runtime().receipts().pop() {
                break receipt;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(
            codex.metrics().running,
            1,
            "nobody knows whether it arrives"
        );
        (runs, codex, session, event, receipt)
    }

    /// What became of the call, asked again.
    async fn record(session: &Session, event: &Event) -> Arc<DispatchRecord> {
        let asked = session.respond_to_signal(event);
        let told = tokio::time::timeout(Duration::from_secs(5), asked).await;
        told.expect("it is settled").unwrap().unwrap()
    }

    #[tokio::test]
    async fn an_answer_is_settled_when_the_runtime_says_that_it_was_taken() {
        let (runs, codex, session, event, receipt) = held().await;
        let (record, ()) = tokio::join!(record(&session, &event), async {
            idle().await;
            receipt.tell(Submission::Accepted);
        });
        assert_eq!(record.submission().status(), SubmissionStatus::Accepted);
        assert_eq!(record.submission().attempts(), 1);
        let metrics = codex.metrics();
        assert_eq!((metrics.running, metrics.answered, runs.get()), (0, 1, 1));
        assert_eq!(codex.runtime().count(Operation::Answer), 0);
    }

    #[tokio::test]
    async fn an_answer_of_which_nothing_is_told_is_sent_again() {
        let (runs, codex, session, event, receipt) = held().await;
        drop(receipt);
        let record = record(&session, &event).await;
        assert_eq!(record.submission().status(), SubmissionStatus::Accepted);
        assert_eq!(record.submission().attempts(), 2);
        assert_eq!((runs.get(), codex.metrics().retries), (1, 1));
    }

    #[tokio::test]
    async fn an_answer_whose_taking_panics_is_sent_again() {
        let runs = Counter::default();
        let codex = calling(["count"]).with_limits(at_once(3));
        codex.runtime().fault(Operation::AnswerNow, Fault::Panic);
        let session = session(&codex, [runs.skill("count")]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(
            only(&turn).submission().status(),
            SubmissionStatus::Accepted
        );
        assert_eq!(runs.get(), 1);
    }

    #[tokio::test]
    async fn a_taken_answer_goes_to_the_new_address_as_well() {
        let (runs, codex, session, event, receipt) = held().await;
        let Event::ToolCall(call) = &event else {
            panic!("a call")
        };
        let moved = announced(call, |call| call.request_id = Some("moved".into()));
        assert!(session.respond_to_signal(&moved).now_or_never().is_none());
        receipt.tell(Submission::Accepted);
        let record = record(&session, &moved).await;
        assert_eq!(record.request_id(), Some(&RequestId::from("moved")));
        let answers = codex.runtime().answers();
        let ids: Vec<_> = answers.iter().map(|(call, _)| &call.request_id).collect();
        assert_eq!(ids, [&call.request_id, &Some("moved".into())]);
        assert_eq!(runs.get(), 1);
    }

    #[tokio::test]
    async fn what_became_of_an_answer_says_nothing_of_another_address() {
        for told in [
            Submission::Settled {
                code: "connection_lost".to_owned(),
            },
            Submission::Refused {
                reason: "the connection is gone".to_owned(),
            },
        ] {
            let (runs, codex, session, event, receipt) = held().await;
            let Event::ToolCall(call) = &event else {
                panic!("a call")
            };
            let moved = announced(call, |call| call.generation += 1);
            assert!(session.respond_to_signal(&moved).now_or_never().is_none());
            receipt.tell(told.clone());
            let record = record(&session, &moved).await;
            assert_eq!(record.call().generation, 1, "{told:?}");
            let status = record.submission().status();
            assert_eq!(status, SubmissionStatus::Accepted, "{told:?}");
            let last = codex.runtime().answers().pop().unwrap().0;
            assert_eq!((last.generation, runs.get()), (1, 1));
        }
    }

    #[tokio::test]
    async fn a_thread_of_the_runtimes_own_may_tell_what_became_of_an_answer() {
        for (told, status, attempts) in [
            (Submission::Accepted, SubmissionStatus::Accepted, 1),
            (
                Submission::Settled {
                    code: "gone".to_owned(),
                },
                SubmissionStatus::Settled,
                1,
            ),
            (
                Submission::Retry {
                    reason: "later".to_owned(),
                    after: None,
                },
                SubmissionStatus::Accepted,
                2,
            ),
        ] {
            let (runs, _codex, session, event, receipt) = held().await;
            let (record, ()) = tokio::join!(record(&session, &event), async {
                idle().await;
                let thread = std::thread::spawn(move || receipt.tell(told));
                thread.join().unwrap();
            });
            assert_eq!(record.submission().status(), status);
            assert_eq!(record.submission().attempts(), attempts);
            assert_eq!(runs.get(), 1);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_newest_address_is_answered_whatever_is_told_meanwhile() {
        const CALLS: usize = 200;
        const ADDRESSES: u64 = 4;
        let runs = Counter::default();
        let codex = calling(["count"]).with_limits(at_once(3));
        let session = session(&codex, [runs.skill("count")]).await;
        let serving = session.clone();
        let serving = tokio::spawn(async move { serving.serve().await });
        for _ in 0..CALLS {
            codex.runtime().fault(Operation::AnswerNow, Fault::Keep);
        }
        let all = Arc::new(tokio::sync::Barrier::new(1 + ADDRESSES as usize));
        let mut announcing = Vec::new();
        for generation in 0..ADDRESSES {
            let (codex, all, id) = (codex.clone(), all.clone(), session.session_id().to_owned());
            announcing.push(tokio::spawn(async move {
                all.wait().await;
                for number in 0..CALLS {
                    let arguments = RawValue::from_string("{}".to_owned()).unwrap();
                    let mut call = ToolCall::new(id.as_str().into(), "count".into(), arguments);
                    call.turn_id = Some("turn".into());
                    call.call_id = Some(number.to_string().into());
                    call.request_id = Some(RequestId::from(number as u64));
                    call.generation = generation;
                    codex
                        .runtime()
                        .announce(&id, Event::ToolCall(Arc::new(call)));
                    if number % 7 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            }));
        }
        all.wait().await;
        let mut told = 0;
        while told < CALLS {
            for receipt in codex.runtime().receipts() {
                told += 1;
                match told % 4 {
                    0 => drop(receipt),
                    1 => receipt.tell(Submission::Accepted),
                    2 => receipt.tell(Submission::TooLarge),
                    _ => receipt.tell(Submission::Settled {
                        code: "connection_lost".to_owned(),
                    }),
                }
            }
            tokio::task::yield_now().await;
        }
        for announced in announcing {
            announced.await.unwrap();
        }
        while codex.metrics().running > 0 {
            tokio::task::yield_now().await;
        }
        let answered: std::collections::HashSet<_> = codex
            .runtime()
            .answers()
            .iter()
            .filter(|(call, _)| call.generation == ADDRESSES - 1)
            .map(|(call, _)| call.call_id.clone())
            .collect();
        assert_eq!((answered.len(), runs.get()), (CALLS, CALLS));
        let metrics = codex.metrics();
        let ended = metrics.answered + metrics.expired + metrics.undelivered.total();
        assert_eq!((metrics.received, ended), (CALLS as u64, CALLS as u64));
        serving.abort();
    }

    #[test]
    fn an_answer_whose_tokio_runtime_is_gone_is_settled_all_the_same() {
        for told in [Some(Submission::Accepted), None] {
            let tokio = tokio::runtime::Runtime::new().unwrap();
            let (runs, codex, session, event, receipt) = tokio.block_on(held());
            drop(tokio);
            let status = if told.is_some() {
                SubmissionStatus::Accepted
            } else {
                SubmissionStatus::Exhausted
            };
            match told {
                Some(told) => receipt.tell(told),
                None => drop(receipt),
            }
            assert_eq!(codex.metrics().running, 0);
            let undelivered = codex.metrics().undelivered.total();
            assert_eq!(
                undelivered,
                u64::from(status == SubmissionStatus::Exhausted)
            );
            let other = tokio::runtime::Runtime::new().unwrap();
            let again = other.block_on(record(&session, &event));
            assert!(again.is_repeat());
            assert_eq!(runs.get(), 1);
        }
    }
}

mod recorded {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_record_says_what_was_called_and_how_long_it_took() {
        let slow = Skill::builder("slow").handler(|_: Anything| async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok::<_, fmt::Error>("done")
        });
        let codex = Embedded::scripted([Step::items([ModelItem::raw_call(
            "slow",
            r#"{"b": 1,  "a": 2}"#,
        )
        .with_call_id("call_7")])]);
        let (_, session) = codex
            .create_session(|draft| draft.register(slow))
            .await
            .unwrap();
        let turn = session.send_and_handle("go").await.unwrap();
        let record = only(&turn);
        assert_eq!(record.tool(), "slow");
        assert_eq!(record.arguments(), r#"{"b": 1,  "a": 2}"#);
        assert_eq!(record.session_id(), session.session_id());
        assert_eq!(record.turn_id(), Some(turn.turn_id.as_str()));
        assert_eq!(record.call_id(), Some("call_7"));
        assert_eq!(record.request_id(), Some(&RequestId::from(0)));
        assert_eq!(record.outcome(), Outcome::Completed);
        assert_eq!(record.output(), &SkillOutput::text("done"));
        assert_eq!(record.error(), None);
        assert_eq!(record.waited(), Duration::ZERO);
        assert_eq!(record.ran(), Duration::from_secs(2));
        assert!(record.is_handled() && !record.is_repeat());
        assert_eq!(record.to_string(), "slow -> completed in 2.0s");
        assert_eq!(
            format!("{record:#}"),
            r#"slow({"b": 1,  "a": 2}) -> completed in 2.0s"#
        );
    }

    #[tokio::test]
    async fn a_handler_is_told_its_call() {
        let told = skill_that_tells();
        let codex = calling(["tell"]);
        let session = session(&codex, [told]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        let record = only(&turn);
        assert_eq!(
            record.output().to_text(),
            format!(
                "tell {} {} {}",
                session.session_id(),
                turn.turn_id,
                record.call_id().unwrap()
            )
        );
    }

    fn skill_that_tells() -> Skill {
        asynchronous("tell", |cx| async move {
            format!(
                "{} {} {} {}",
                cx.skill(),
                cx.session_id(),
                cx.turn_id().unwrap(),
                cx.call_id().unwrap()
            )
        })
    }
}

mod bounded {
    use super::*;

    /// Counts how many run at the same time, and the most that ever did.
    async fn overlap(
        running: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    ) -> Result<String, fmt::Error> {
        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(now, Ordering::SeqCst);
        idle().await;
        running.fetch_sub(1, Ordering::SeqCst);
        Ok(String::new())
    }

    #[tokio::test]
    async fn no_more_handlers_run_than_allowed() {
        let (running, most) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (a, b) = (running.clone(), most.clone());
        let skill =
            Skill::builder("work").handler(move |_: Anything| overlap(a.clone(), b.clone()));
        let codex = calling(["work"; 20]);
        let (_, session) = codex
            .create_session(|draft| draft.register(skill))
            .max_concurrent_calls(3)
            .await
            .unwrap();
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(turn.dispatches.len(), 20);
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn an_exclusive_skill_runs_alone_in_all_sessions() {
        let (running, most) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (a, b) = (running.clone(), most.clone());
        let skill = Skill::builder("work")
            .exclusive()
            .handler(move |_: Anything| overlap(a.clone(), b.clone()));
        let codex = calling(["work"; 5]);
        let one = session(&codex, [skill.clone()]).await;
        let other = session(&codex, [skill]).await;
        let (a, b) = tokio::join!(
            one.send_and_handle("go").into_future(),
            other.send_and_handle("go").into_future()
        );
        assert_eq!(
            a.unwrap().dispatches.len() + b.unwrap().dispatches.len(),
            10
        );
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }

    struct Overlap {
        running: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    }

    /// Work alone.
    #[skill(exclusive)]
    async fn work_alone(#[state] overlap_of: &Overlap) -> String {
        overlap(overlap_of.running.clone(), overlap_of.most.clone())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn an_exclusive_function_runs_alone_in_all_catalogs() {
        let (running, most) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let state = Arc::new(Overlap {
            running,
            most: most.clone(),
        });
        let codex = calling(["work_alone"; 5]);
        let open = async || {
            let draft = |draft: codex_skills::Draft| {
                draft
                    .register(codex_skills::skills![work_alone])
                    .shared_state(state.clone())
            };
            codex.create_session(draft).await.unwrap().1
        };
        let (one, other) = (open().await, open().await);
        let (a, b) = tokio::join!(
            one.send_and_handle("go").into_future(),
            other.send_and_handle("go").into_future()
        );
        a.unwrap();
        b.unwrap();
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }

    /// Arguments that are decoded on a thread for blocking code.
    fn long() -> serde_json::Value {
        json!({"text": "x".repeat(20_000)})
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_step_of_an_asynchronous_handler_keeps_its_place_until_it_is_over() {
        for (exclusive, places) in [(true, 8), (false, 1)] {
            let (begun, mut begins) = mpsc::unbounded_channel();
            let (finish, finished) = std::sync::mpsc::channel::<()>();
            let finished = std::sync::Mutex::new(finished);
            let runs = Counter::default();
            let count = runs.clone();
            let mut slow = Skill::builder("slow");
            if exclusive {
                slow = slow.exclusive();
            }
            let slow = slow.handler(move |said: Said| {
                count.count();
                if said.text.len() > 1 {
                    begun.send(()).unwrap();
                    finished.lock().unwrap().recv().unwrap();
                }
                async { Ok::<_, fmt::Error>("") }
            });
            let codex = Faulty::client(Embedded::scripted([
                Step::call("slow", long()),
                Step::call("slow", json!({"text": ""})),
            ]));
            let (_, session) = codex
                .create_session(|draft| draft.register(slow))
                .max_concurrent_calls(places)
                .await
                .unwrap();
            let time = async {
                begins.recv().await.unwrap();
                // Time does not pass by itself while a thread works.
                tokio::time::advance(Duration::from_secs(61)).await;
                while codex.runtime().answers().is_empty() {
                    tokio::task::yield_now().await;
                }
                idle().await;
                assert_eq!(runs.get(), 1, "its place is not free");
                finish.send(()).unwrap();
            };
            let (turn, ()) = tokio::join!(session.send_and_handle("go").into_future(), time);
            let turn = turn.unwrap();
            assert_eq!(turn.dispatches[0].outcome(), Outcome::TimedOut);
            assert_eq!(turn.dispatches[1].outcome(), Outcome::Completed);
            assert_eq!(runs.get(), 2);
        }
    }

    #[test]
    fn a_call_that_no_thread_was_free_for_in_time_is_said_to_have_waited() {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .max_blocking_threads(1)
            .build()
            .unwrap();
        tokio.block_on(async {
            let (begun, mut begins) = mpsc::unbounded_channel();
            let (finish, finished) = std::sync::mpsc::channel::<()>();
            let finished = std::sync::Mutex::new(finished);
            let slow = synchronous("slow", move || {
                begun.send(()).unwrap();
                finished.lock().unwrap().recv().unwrap();
                String::new()
            });
            let quick = synchronous("quick", || panic!("it is not run"));
            let codex = calling(["slow", "quick"]);
            let session = session(&codex, [slow, quick]).await;
            let time = async {
                begins.recv().await.unwrap();
                idle().await;
                tokio::time::advance(Duration::from_secs(61)).await;
                while codex.runtime().answers().len() < 2 {
                    tokio::task::yield_now().await;
                }
                finish.send(()).unwrap();
            };
            let (turn, ()) = tokio::join!(session.send_and_handle("go").into_future(), time);
            let turn = turn.unwrap();
            let texts = turn.dispatches.iter().map(|r| r.output().to_text());
            let texts: Vec<_> = texts.collect();
            assert_eq!(texts[0], "skill `slow` failed: no answer within 60s");
            assert_eq!(
                texts[1],
                "skill `quick` was not run: it waited for other calls for 60s"
            );
            assert_eq!(turn.dispatches[1].ran(), Duration::ZERO);
        });
    }

    async fn never(_: Anything) -> Result<String, fmt::Error> {
        std::future::pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_skill_has_a_deadline_of_its_own() {
        let skill = Skill::builder("slow")
            .timeout(Duration::from_secs(7))
            .handler(never);
        let codex = calling(["slow"]).with_call_timeout(Duration::from_secs(3));
        let (_, session) = codex
            .create_session(|draft| draft.register(skill))
            .call_timeout(Duration::from_secs(5))
            .await
            .unwrap();
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(only(&turn).ran(), Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_has_a_deadline_of_its_own() {
        let codex = calling(["slow"]).with_call_timeout(Duration::from_secs(3));
        let (_, session) = codex
            .create_session(|draft| draft.register(Skill::builder("slow").handler(never)))
            .call_timeout(Duration::from_secs(5))
            .await
            .unwrap();
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(only(&turn).ran(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_a_deadline_of_its_own() {
        let codex = calling(["slow"]).with_call_timeout(Duration::from_secs(3));
        let session = session(&codex, [Skill::builder("slow").handler(never)]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(only(&turn).ran(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_place_counts_toward_the_deadline() {
        let codex = calling(["slow", "slow"]);
        let (_, session) = codex
            .create_session(|draft| draft.register(Skill::builder("slow").handler(never)))
            .max_concurrent_calls(1)
            .await
            .unwrap();
        let began = Instant::now();
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 60);
        assert!(
            turn.dispatches
                .iter()
                .all(|r| r.outcome() == Outcome::TimedOut)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_whose_time_is_up_when_its_place_is_free_is_not_run() {
        let runs = Counter::default();
        let count = runs.clone();
        let slow = Skill::builder("slow")
            .exclusive()
            .handler(move |_: Anything| {
                count.count();
                never(Anything {})
            });
        let codex = calling(["slow", "slow"]);
        let session = session(&codex, [slow]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(runs.get(), 1);
        assert_eq!(
            turn.dispatches[1].output().to_text(),
            "skill `slow` was not run: it waited for other calls for 60s"
        );
        assert_eq!(turn.dispatches[1].waited(), Duration::from_secs(60));
        assert_eq!(turn.dispatches[1].ran(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_call_that_is_cancelled_while_it_waits_for_a_place_is_not_run() {
        let (runs, gate) = (Counter::default(), Gate::new());
        let (count, wait) = (runs.clone(), gate.clone());
        let slow = Skill::builder("slow")
            .exclusive()
            .handler(move |_: Anything| {
                count.count();
                let wait = wait.clone();
                async move {
                    wait.enter().await;
                    Ok::<_, fmt::Error>("")
                }
            });
        let codex = calling(["slow"; 8]);
        let session = session(&codex, [slow]).await;
        let interrupt = async {
            gate.somebody().await;
            idle().await;
            session.interrupt().await.unwrap();
        };
        let (turn, ()) = tokio::join!(session.send_and_handle("go").into_future(), interrupt);
        let turn = turn.unwrap();
        assert_eq!(turn.dispatches.len(), 8);
        assert!(
            turn.dispatches
                .iter()
                .all(|r| r.outcome() == Outcome::Cancelled)
        );
        assert_eq!(runs.get(), 1, "only the one that ran already");
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_knows_its_deadline() {
        let codex = calling(["tell"]);
        let tell = asynchronous("tell", |cx| async move {
            let left = cx.deadline().unwrap() - Instant::now();
            format!("{left:?}")
        });
        let session = session(&codex, [tell]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(only(&turn).output().to_text(), "60s");
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_a_handler_started_elsewhere_learns_that_nobody_waits() {
        let (told, mut tells) = mpsc::unbounded_channel();
        let codex = calling(["slow"]);
        let slow = asynchronous("slow", move |cx| {
            let (told, elsewhere) = (told.clone(), cx);
            tokio::spawn(async move {
                assert!(!elsewhere.is_cancelled());
                elsewhere.cancelled().await;
                assert!(elsewhere.is_cancelled());
                told.send(()).unwrap();
            });
            std::future::pending()
        });
        let session = session(&codex, [slow]).await;
        session.send_and_handle("go").await.unwrap();
        tells.recv().await.unwrap();
    }

    #[tokio::test]
    async fn work_whose_caller_is_gone_learns_that_nobody_waits() {
        let (told, mut tells) = mpsc::unbounded_channel();
        let codex = calling(["slow"]);
        let slow = asynchronous("slow", move |cx| {
            let (told, elsewhere) = (told.clone(), cx);
            tokio::spawn(async move {
                told.send("begun").unwrap();
                elsewhere.cancelled().await;
                told.send("over").unwrap();
            });
            std::future::pending()
        });
        let session = session(&codex, [slow]).await;
        let arguments = json!({});
        let call = session.dispatch_tool_call("slow", &arguments);
        let begun = tokio::select! {
            _ = call => None,
            begun = tells.recv() => begun,
        };
        assert_eq!(begun, Some("begun"));
        let told = tokio::time::timeout(Duration::from_secs(5), tells.recv()).await;
        assert_eq!(told.expect("nobody waits"), Some("over"));
    }

    #[test]
    fn work_whose_tokio_runtime_is_gone_learns_that_nobody_waits() {
        let (told, tells) = std::sync::mpsc::channel();
        let tokio = tokio::runtime::Runtime::new().unwrap();
        let codex = calling(["slow"]);
        let slow = asynchronous("slow", move |cx| {
            told.send(cx).unwrap();
            std::future::pending()
        });
        let session = tokio.block_on(async {
            let session = session(&codex, [slow]).await;
            let serving = session.clone();
            tokio::spawn(async move { serving.serve().await });
            session.send("go").await.unwrap();
            session
        });
        let context = tells.recv().unwrap();
        drop(tokio);
        assert!(context.is_cancelled());
        drop(session);
    }

    #[tokio::test]
    async fn a_synchronous_skill_stops_no_other_call() {
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let finished = std::sync::Mutex::new(finished);
        let slow = synchronous("slow", move || {
            finished.lock().unwrap().recv().unwrap();
            "slow".to_owned()
        });
        // On the only thread of this test: the slow one goes on when the quick one ran.
        let quick = asynchronous("quick", move |_| {
            finish.send(()).unwrap();
            async { "quick".to_owned() }
        });
        let codex = calling(["slow", "quick"]);
        let session = session(&codex, [slow, quick]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        let tools: Vec<_> = turn.dispatches.iter().map(|r| r.tool()).collect();
        assert_eq!(tools, ["slow", "quick"], "in the order of their arrival");
        assert_eq!(
            turn.assistant_reply.as_deref(),
            Some("slow: slow\nquick: quick")
        );
    }
}

mod own_loop {
    use super::*;

    #[tokio::test]
    async fn other_events_are_no_calls() {
        let runs = Counter::default();
        let codex = Faulty::client(Embedded::scripted([Step::say("hello")]));
        let session = session(&codex, [runs.skill("count")]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let mut others = 0;
        loop {
            let event = signals.next().await.unwrap();
            assert!(session.respond_to_signal(&event).await.unwrap().is_none());
            others += 1;
            if let Event::TurnCompleted { .. } = event {
                break;
            }
        }
        assert!(others >= 3, "a start, a message and an end");
    }

    #[tokio::test]
    async fn calls_of_other_sessions_are_left_alone() {
        let (runs, others) = (Counter::default(), Counter::default());
        let codex = calling(["count"]);
        let mine = session(&codex, [runs.skill("count")]).await;
        let theirs = session(&codex, [others.skill("count")]).await;
        let mut signals = theirs.signals();
        theirs.send("go").await.unwrap();
        let call = first_call(&mut signals).await;
        let event = Event::ToolCall(call.clone());
        assert!(mine.respond_to_signal(&event).await.unwrap().is_none());
        assert!(mine.respond_to_pending_call(&call).await.unwrap().is_none());
        assert_eq!((runs.get(), others.get()), (0, 0));
        assert!(codex.runtime().answers().is_empty());
        assert!(theirs.respond_to_signal(&event).await.unwrap().is_some());
        assert_eq!((runs.get(), others.get()), (0, 1));
    }

    #[tokio::test]
    async fn serving_a_loop_of_ones_own_and_draining_may_be_mixed() {
        let runs = Counter::default();
        let codex = calling(["count", "count", "count"]);
        let session = session(&codex, [runs.skill("count")]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let event = Event::ToolCall(first_call(&mut signals).await);
        session.respond_to_signal(&event).await.unwrap().unwrap();
        let pending = session.pending_calls().await.unwrap();
        assert_eq!(pending.len(), 2);
        session
            .respond_to_pending_call(&pending[0])
            .await
            .unwrap()
            .unwrap();
        let serve = session.serve();
        tokio::pin!(serve);
        assert!(futures_util::poll!(serve.as_mut()).is_pending());
        let drained = session.drain_pending_calls().await.unwrap();
        assert_eq!(drained.len(), 1, "joined with what serves");
        session.respond_to_signal(&event).await.unwrap().unwrap();
        loop {
            if let Event::TurnCompleted { .. } = signals.next().await.unwrap() {
                break;
            }
        }
        assert_eq!(runs.get(), 3);
        assert_eq!(codex.runtime().answers().len(), 3);
    }

    #[tokio::test]
    async fn waiting_calls_are_drained_in_their_order() {
        let (a, b, c) = <(Counter, Counter, Counter)>::default();
        let codex = calling(["b", "a", "c"]);
        let session = session(&codex, [a.skill("a"), b.skill("b"), c.skill("c")]).await;
        session.send("go").await.unwrap();
        idle().await;
        let records = session.drain_pending_calls().await.unwrap();
        let tools: Vec<_> = records.iter().map(|r| r.tool()).collect();
        assert_eq!(tools, ["b", "a", "c"]);
        assert!(session.drain_pending_calls().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_session_without_waiting_calls_or_one_that_is_gone_drains_nothing() {
        let codex = calling([]);
        let session = session(&codex, [Counter::default().skill("count")]).await;
        assert!(session.drain_pending_calls().await.unwrap().is_empty());
        codex
            .close_session(session.session_id(), true)
            .await
            .unwrap();
        assert!(session.drain_pending_calls().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn calls_that_cannot_be_listed_are_an_error() {
        let codex = calling([]);
        let session = session(&codex, [Counter::default().skill("count")]).await;
        codex.runtime().fault(
            Operation::Pending,
            Fault::Fail(RuntimeErrorKind::Unavailable),
        );
        let error = session.drain_pending_calls().await.unwrap_err();
        assert!(error.to_string().contains("could not"), "{error}");
    }

    #[tokio::test]
    async fn a_call_is_answered_though_nobody_waits_any_more() {
        let gate = Gate::new();
        let wait = gate.clone();
        let codex = calling(["slow"]);
        let session = session(
            &codex,
            [asynchronous("slow", move |_| {
                let wait = wait.clone();
                async move {
                    wait.enter().await;
                    "done".to_owned()
                }
            })],
        )
        .await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let event = Event::ToolCall(first_call(&mut signals).await);
        {
            let respond = session.respond_to_signal(&event);
            tokio::pin!(respond);
            assert!(futures_util::poll!(respond.as_mut()).is_pending());
        }
        gate.open();
        loop {
            if let Event::Message { text, .. } = signals.next().await.unwrap() {
                assert_eq!(text, "slow: done");
                break;
            }
        }
    }

    #[tokio::test]
    async fn calls_of_a_closed_session_are_refused() {
        let runs = Counter::default();
        let codex = calling(["count"]);
        let session = session(&codex, [runs.skill("count")]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let call = first_call(&mut signals).await;
        codex
            .close_session(session.session_id(), false)
            .await
            .unwrap();
        let event = Event::ToolCall(call.clone());
        assert!(session.respond_to_signal(&event).await.is_err());
        assert!(session.respond_to_pending_call(&call).await.is_err());
        assert_eq!(runs.get(), 0);
    }

    #[tokio::test]
    async fn a_call_that_comes_after_the_end_of_its_session_is_not_run() {
        let runs = Counter::default();
        let codex = calling(["count"]);
        let session = session(&codex, [runs.skill("count")]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        let serve = session.serve();
        tokio::pin!(serve);
        assert!(futures_util::poll!(serve.as_mut()).is_pending());
        codex
            .close_session(session.session_id(), false)
            .await
            .unwrap();
        let late = announced(only(&turn).call(), |call| {
            call.call_id = Some("late".into());
        });
        codex.runtime().announce(session.session_id(), late);
        idle().await;
        assert_eq!(codex.runtime().answers().len(), 1);
        assert_eq!(serve.await.unwrap(), "it was closed");
    }

    #[tokio::test]
    async fn a_call_that_expired_while_it_waited_is_not_run() {
        let runs = Counter::default();
        let codex = calling(["count"]);
        let session = session(&codex, [runs.skill("count")]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        first_call(&mut signals).await;
        session.interrupt().await.unwrap();
        let serve = session.serve();
        tokio::pin!(serve);
        assert!(futures_util::poll!(serve.as_mut()).is_pending());
        idle().await;
        assert_eq!(runs.get(), 0);
    }

    #[tokio::test]
    async fn a_late_answer_is_told_that_nothing_is_left_to_do() {
        let gate = Gate::new();
        let codex = calling(["slow"]);
        codex
            .runtime()
            .fault(Operation::Answer, Fault::HoldBefore(gate.clone()));
        let session = session(
            &codex,
            [asynchronous("slow", |_| async { "late".to_owned() })],
        )
        .await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let event = Event::ToolCall(first_call(&mut signals).await);
        let late = async {
            gate.somebody().await;
            session.interrupt().await.unwrap();
            gate.open();
        };
        let (record, ()) = tokio::join!(session.respond_to_signal(&event), late);
        let record = record.unwrap().unwrap();
        assert_eq!(record.submission().status(), SubmissionStatus::Settled);
        assert_eq!(record.outcome(), Outcome::Completed);
        let history = codex.runtime().embedded().history(session.session_id());
        let shown = history
            .unwrap()
            .into_iter()
            .find_map(|item| match &item.content {
                Content::Output { text, .. } => Some(text.clone()),
                _ => None,
            });
        assert_eq!(
            shown.as_deref(),
            Some("dynamic tool call was cancelled before receiving a response")
        );
    }

    #[tokio::test]
    async fn a_skill_can_be_called_without_a_model() {
        let runs = Counter::default();
        let codex = calling([]);
        let session = session(&codex, [runs.skill("count")]).await;
        let output = session
            .dispatch_tool_call("count", &json!({}))
            .await
            .unwrap();
        assert_eq!(output.to_text(), "run 1");
        let unknown = session
            .dispatch_tool_call("nope", &json!({}))
            .await
            .unwrap();
        assert!(!unknown.is_success());
        assert!(codex.runtime().answers().is_empty());
    }

    #[tokio::test]
    async fn a_closed_session_runs_no_skill() {
        let runs = Counter::default();
        let count = runs.clone();
        let codex = calling([]);
        let session = session(
            &codex,
            [
                runs.skill("count"),
                synchronous("sync", move || count.count().to_string()),
            ],
        )
        .await;
        codex
            .close_session(session.session_id(), true)
            .await
            .unwrap();
        for tool in ["count", "sync"] {
            let dispatched = session.dispatch_tool_call(tool, &json!({})).await;
            assert!(matches!(
                dispatched,
                Err(codex_skills::Error::SessionClosed { .. })
            ));
        }
        assert_eq!(runs.get(), 0);
    }
}

/// What a hostile reviewer found.
mod reviewed {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_deadline_holds_although_an_async_handler_blocks_its_thread() {
        /// Blocks.
        #[codex_skills::skill(timeout = "50ms")]
        async fn block() {
            tokio::task::yield_now().await;
            std::thread::sleep(std::time::Duration::from_millis(400));
        }
        let codex = codex_skills::Embedded::scripted([codex_skills::embedded::Step::call(
            "block",
            serde_json::json!({}),
        )]);
        let turn = codex_skills::lifecycle!(codex, skills: [block], |run| {
            run.send_and_handle("go").await
        })
        .await
        .unwrap();
        assert_eq!(only(&turn).outcome(), Outcome::TimedOut);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn exclusive_calls_run_in_the_order_of_their_arrival() {
        use std::sync::Mutex;

        /// Notes its number.
        #[codex_skills::skill(exclusive)]
        async fn note(number: u32, #[state] order: &Mutex<Vec<u32>>) {
            tokio::task::yield_now().await;
            order.lock().unwrap().push(number);
        }
        let calls: Vec<_> = (0..32)
            .map(|number| ("note", serde_json::json!({"number": number})))
            .collect();
        for _ in 0..20 {
            let order = Arc::new(Mutex::new(Vec::<u32>::new()));
            let codex = codex_skills::Embedded::scripted([codex_skills::embedded::Step::calls(
                calls.clone(),
            )]);
            codex_skills::lifecycle!(codex, skills: [note], shared_state: order.clone(), |run| {
                run.send_and_handle("go").await
            })
            .await
            .unwrap();
            assert_eq!(*order.lock().unwrap(), (0..32).collect::<Vec<_>>());
        }
    }
}
