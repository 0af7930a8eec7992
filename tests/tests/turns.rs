//! A request, the calls it leads to, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use codex_skills::embedded::{ModelItem, Step};
use codex_skills::{
    Client, Embedded, Error, Event, Limits, Outcome, RequestId, RetryPolicy, RuntimeErrorKind,
    Session, Skill, ToolCall, TurnStatus,
};
use codex_skills_tests::faulty::{Fault, Faulty, Operation};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::skills::{Counter, asynchronous};
use serde_json::json;
use tokio::time::Instant;

fn client(steps: impl IntoIterator<Item = Step>) -> Client<Faulty> {
    Faulty::client(Embedded::scripted(steps))
}

async fn session<const N: usize>(codex: &Client<Faulty>, skills: [Skill; N]) -> Session {
    codex
        .create_session(|draft| draft.register(skills))
        .await
        .unwrap()
        .1
}

/// A session without skills whose model follows these steps.
async fn scripted<const N: usize>(steps: [Step; N]) -> Session {
    session(&client(steps), []).await
}

fn endless(name: &str) -> Skill {
    asynchronous(name, |_| std::future::pending())
}

/// Lets every other task run until none can.
async fn idle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

mod results {
    use super::*;

    #[tokio::test]
    async fn a_turn_says_everything_that_came_of_it() {
        let runs = Counter::default();
        let codex = client([Step::call("tally", json!({})), Step::say(" It is one.\n")]);
        let session = session(&codex, [runs.skill("tally")]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(turn.session_id, session.session_id());
        assert_eq!(turn.status, TurnStatus::Completed);
        assert_eq!(turn.assistant_reply.as_deref(), Some("It is one."));
        assert_eq!(turn.dispatches.len(), 1);
        assert_eq!(turn.accepted["status"], "accepted");
        assert_eq!(turn.accepted["turnId"], turn.turn_id);
        assert_eq!(turn.detail["thread"]["turns"][0]["id"], turn.turn_id);
        assert_eq!(turn.detail["thread"]["turns"][0]["status"], "completed");
    }

    #[tokio::test]
    async fn rounds_follow_each_other() {
        let runs = Counter::default();
        let call = || Step::call("tally", json!({}));
        let codex = client([call(), call(), call(), Step::say_outputs()]);
        let session = session(&codex, [runs.skill("tally")]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(
            turn.assistant_reply.as_deref(),
            Some("tally: run 1\ntally: run 2\ntally: run 3")
        );
        assert_eq!(turn.dispatches.len(), 3);
    }

    #[tokio::test]
    async fn turns_follow_each_other_with_their_own_results() {
        let runs = Counter::default();
        let codex = client([
            Step::call("tally", json!({})),
            Step::say("first"),
            Step::items([]),
        ]);
        let session = session(&codex, [runs.skill("tally")]).await;
        let first = session.send_and_handle("go").await.unwrap();
        let second = session.send_and_handle("go on").await.unwrap();
        assert_eq!(first.assistant_reply.as_deref(), Some("first"));
        assert_ne!(first.turn_id, second.turn_id);
        assert_eq!(second.assistant_reply, None, "not the reply of before");
        assert!(second.dispatches.is_empty());
    }

    #[tokio::test]
    async fn the_calls_of_one_response_run_at_the_same_time() {
        let barrier = Arc::new(tokio::sync::Barrier::new(3));
        let meet = |name: &str| {
            let barrier = barrier.clone();
            asynchronous(name, move |_| {
                let barrier = barrier.clone();
                async move {
                    barrier.wait().await;
                    "met".to_owned()
                }
            })
        };
        let codex = client([Step::calls(["a", "b", "c"].map(|tool| (tool, json!({}))))]);
        let session = session(&codex, [meet("a"), meet("b"), meet("c")]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        // One after the other would wait for the barrier until its deadline.
        assert!(
            turn.dispatches
                .iter()
                .all(|r| r.outcome() == Outcome::Completed)
        );
        assert_eq!(
            turn.assistant_reply.as_deref(),
            Some("a: met\nb: met\nc: met")
        );
    }

    #[tokio::test]
    async fn the_last_message_that_says_something_is_the_reply() {
        let session = scripted([Step::items([
            ModelItem::say("first"),
            ModelItem::say("  second "),
            ModelItem::say(" \n"),
        ])])
        .await;
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(turn.assistant_reply.as_deref(), Some("second"));
    }

    #[tokio::test]
    async fn what_happened_is_told_twice_and_counts_once() {
        let runs = Counter::default();
        let inner = Embedded::scripted([Step::call("tally", json!({})), Step::say("one")]);
        let codex = Faulty::rewriting(inner, |event| vec![event.clone(), event]);
        let session = session(&codex, [runs.skill("tally")]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(turn.status, TurnStatus::Completed);
        assert_eq!(turn.dispatches.len(), 1);
    }

    #[tokio::test]
    async fn calls_that_waited_are_answered_with_the_next_turn() {
        let runs = Counter::default();
        let codex = client([Step::call("tally", json!({})), Step::say("done")]);
        let session = session(&codex, [runs.skill("tally")]).await;
        let sent = session.send("go").await.unwrap();
        idle().await;
        assert_eq!(runs.get(), 0, "nobody serves");
        let turn = session.send_and_handle("and?").await.unwrap();
        assert_eq!(turn.turn_id, sent.turn_id, "steered");
        assert_eq!(runs.get(), 1);
        assert_eq!(turn.dispatches.len(), 1);
    }

    #[tokio::test]
    async fn a_call_is_not_run_once_its_turn_is_over() {
        let runs = Counter::default();
        let codex = client([Step::call("tally", json!({}))]);
        let session = session(&codex, [runs.skill("tally")]).await;
        let mut signals = session.signals();
        session.send("go").await.unwrap();
        let call = loop {
            let event = signals.next().await.unwrap();
            if matches!(event, Event::ToolCall(_)) {
                break event;
            }
        };
        session.interrupt().await.unwrap();
        let record = session.respond_to_signal(&call).await.unwrap().unwrap();
        assert_eq!(record.outcome(), Outcome::Cancelled);
        assert!(record.output().to_text().contains("was cancelled"));
        // Nor for a handle that serves.
        let serve = session.serve();
        tokio::pin!(serve);
        assert!(futures_util::poll!(serve.as_mut()).is_pending());
        codex.runtime().announce(session.session_id(), call);
        idle().await;
        assert_eq!(runs.get(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_handler_outlives_a_turn_that_ends_while_somebody_begins_to_serve() {
        struct Runs(Counter);
        impl Drop for Runs {
            fn drop(&mut self) {
                self.0.count();
            }
        }
        let (begun, ended) = (Counter::default(), Counter::default());
        let (begins, ends) = (begun.clone(), ended.clone());
        let skill = asynchronous("endless", move |_| {
            begins.count();
            let runs = Runs(ends.clone());
            async move {
                let _runs = runs;
                std::future::pending().await
            }
        });
        let codex = client([]);
        let session = session(&codex, [skill]).await;
        let id: Arc<str> = session.session_id().into();
        for n in 0..300_u64 {
            let turn_id: Arc<str> = format!("turn {n}").as_str().into();
            let arguments = serde_json::value::RawValue::NULL.to_owned();
            let mut call = ToolCall::new(id.clone(), "endless".into(), arguments);
            call.turn_id = Some(turn_id.clone());
            call.call_id = Some("call".into());
            call.request_id = Some(RequestId::from(n));
            codex
                .runtime()
                .announce(&id, Event::ToolCall(Arc::new(call)));
            let barrier = Arc::new(tokio::sync::Barrier::new(2));
            let (client, session_id, start) = (codex.clone(), id.clone(), barrier.clone());
            let end = tokio::spawn(async move {
                start.wait().await;
                let event = Event::TurnCompleted {
                    turn_id,
                    status: TurnStatus::Completed,
                    error: None,
                    detail: serde_json::value::RawValue::NULL.to_owned().into(),
                };
                client.runtime().announce(&session_id, event);
            });
            barrier.wait().await;
            let _ = futures_util::FutureExt::now_or_never(session.serve());
            end.await.unwrap();
        }
        let stopped = async {
            while begun.get() != ended.get() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let stopped = tokio::time::timeout(Duration::from_secs(20), stopped).await;
        assert!(stopped.is_ok(), "{begun:?} began, {ended:?} ended");
    }

    #[tokio::test]
    async fn calls_are_refused_and_not_run_when_too_many_wait_and_nobody_serves() {
        let runs = Counter::default();
        let call = |tool: &str| (tool.to_owned(), json!({}));
        let codex = client([Step::calls([call("tally"), call("tally")])]);
        let (_, session) = codex
            .create_session(|draft| draft.register(runs.skill("tally")))
            .limits(Limits {
                open_calls: 1,
                ..Limits::default()
            })
            .await
            .unwrap();
        session.send("go").await.unwrap();
        idle().await;
        assert_eq!(runs.get(), 0);
        let answers = codex.runtime().answers();
        assert_eq!(answers.len(), 1);
        let text = answers[0].1.to_text().into_owned();
        assert!(text.contains("was not run: 1 calls are open"), "{text}");
        assert_eq!(session.drain_pending_calls().await.unwrap().len(), 1);
        assert_eq!(runs.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_over_when_that_is_told_however_its_status_reads() {
        let codex = Faulty::rewriting(Embedded::scripted([Step::say("hello")]), |mut event| {
            if let Event::TurnCompleted { status, .. } = &mut event {
                *status = "running".into();
            }
            vec![event]
        });
        let session = session(&codex, []).await;
        let turn = session.send_and_handle("go").into_future();
        let turn = tokio::time::timeout(Duration::from_secs(60), turn).await;
        assert_eq!(turn.unwrap().unwrap().status, TurnStatus::InProgress);
    }

    #[tokio::test]
    async fn a_turn_says_that_an_answer_arrived_in_the_end() {
        let runs = Counter::default();
        let codex = client([Step::call("tally", json!({}))]);
        let (_, session) = codex
            .create_session(|draft| draft.register(runs.skill("tally")))
            .limits(Limits {
                submission: RetryPolicy {
                    attempts: 1,
                    ..RetryPolicy::default()
                },
                ..Limits::default()
            })
            .await
            .unwrap();
        codex.runtime().fault(
            Operation::Answer,
            Fault::Fail(RuntimeErrorKind::Unavailable),
        );
        let turn = session.send_and_handle("go").into_future();
        let again = async {
            idle().await;
            assert_eq!(session.drain_pending_calls().await.unwrap().len(), 1);
        };
        let (turn, ()) = tokio::join!(turn, again);
        let turn = turn.unwrap();
        assert_eq!(turn.dispatches.len(), 1);
        assert!(turn.dispatches[0].is_handled());
        assert!(!turn.dispatches[0].is_repeat());
        assert_eq!(runs.get(), 1);
    }

    #[tokio::test]
    async fn a_turn_that_ended_is_remembered_for_whoever_waits() {
        let codex = client((0..10).map(|n| Step::say(n.to_string()))).with_limits(Limits {
            remembered_turns: 1,
            ..Limits::default()
        });
        let session = session(&codex, []).await;
        let first = session.send_and_handle("first").into_future();
        tokio::pin!(first);
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        idle().await;
        for _ in 0..5 {
            // Ended before the first was asked about again.
            session.send_and_handle("another").await.unwrap();
        }
        let turn = first.await.unwrap();
        assert_eq!(turn.status, TurnStatus::Completed);
        assert_eq!(turn.assistant_reply.as_deref(), Some("0"));
    }
}

mod replies {
    use super::*;

    #[tokio::test]
    async fn a_required_reply_is_a_text() {
        let session = scripted([Step::say("hello")]).await;
        let turn = session.send_and_handle("go").require_reply().await.unwrap();
        assert_eq!(turn.assistant_reply, "hello");
    }

    #[tokio::test]
    async fn a_missing_reply_that_is_required_is_an_error_with_the_dispatches() {
        let runs = Counter::default();
        let codex = client([Step::call("tally", json!({})), Step::items([])]);
        let session = session(&codex, [runs.skill("tally")]).await;
        let error = session
            .send_and_handle("go")
            .require_reply()
            .await
            .unwrap_err();
        assert!(matches!(error, Error::NoReply { .. }));
        let turn = error.turn().unwrap();
        assert_eq!(turn.status, TurnStatus::Completed);
        assert_eq!(turn.dispatches.len(), 1);
        assert!(
            error
                .to_string()
                .ends_with("ended as completed without a reply; 1 call was answered")
        );
    }

    #[tokio::test]
    async fn a_blank_reply_is_none() {
        let session = scripted([Step::say(" \n ")]).await;
        let error = session.send_and_handle("go").require_reply().await;
        assert!(matches!(error, Err(Error::NoReply { .. })));
    }
}

mod terminal {
    use super::*;

    #[tokio::test]
    async fn a_failing_model_ends_its_turn_as_failed() {
        let session = scripted([Step::fail("out of ideas")]).await;
        let turn = session.send_and_handle("go").await.unwrap();
        assert_eq!(turn.status, TurnStatus::Failed);
        assert_eq!(turn.assistant_reply, None);
    }

    #[tokio::test]
    async fn a_turn_that_ends_otherwise_than_hoped_is_an_error_that_says_why() {
        let session = scripted([Step::fail("out of ideas")]).await;
        let error = session
            .send_and_handle("go")
            .terminal(TurnStatus::Completed)
            .await
            .unwrap_err();
        let Error::TurnEnded { expected, turn } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(expected, &[TurnStatus::Completed]);
        assert_eq!(turn.status, TurnStatus::Failed);
        assert_eq!(turn.error.as_deref(), Some("out of ideas"));
        assert!(
            error
                .to_string()
                .contains("ended as failed, expected completed (out of ideas)")
        );
    }

    #[tokio::test]
    async fn a_text_or_several_say_how_a_turn_may_end() {
        let session = scripted([
            Step::say("1"),
            Step::fail("2"),
            Step::say("3"),
            Step::fail("4"),
        ])
        .await;
        let turn = session.send_and_handle("go").terminal(" COMPLETE\n").await;
        assert!(turn.is_ok());
        let turn = session
            .send_and_handle("go")
            .terminal(["completed", "Error"])
            .await;
        assert!(turn.is_ok());
        let turn = session
            .send_and_handle("go")
            .terminal(vec![TurnStatus::Failed, TurnStatus::Interrupted])
            .await;
        assert!(matches!(turn, Err(Error::TurnEnded { .. })));
        let turn = session
            .send_and_handle("go")
            .terminal([TurnStatus::Failed])
            .await;
        assert!(turn.is_ok());
    }

    #[tokio::test]
    async fn statuses_that_are_no_end_are_refused_before_anything_is_sent() {
        let codex = client([]);
        let session = session(&codex, []).await;
        for statuses in [
            vec![],
            vec![" "],
            vec!["completed", ""],
            vec!["inProgress"],
            vec!["completed", "sideways"],
        ] {
            let result = session.send_and_handle("go").terminal(statuses).await;
            assert!(matches!(
                result,
                Err(Error::InvalidOption {
                    option: "terminal",
                    ..
                })
            ));
        }
        let error = session.send_and_handle("go").terminal("compleet").await;
        let said = error.unwrap_err().to_string();
        assert!(said.contains("did you mean `completed`?"), "{said}");
        assert!(codex.runtime().sent().is_empty());
    }
}

mod timeouts {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_takes_too_long_is_interrupted_and_its_calls_are_in_the_error() {
        let runs = Counter::default();
        let codex = client([
            Step::call("tally", json!({})),
            Step::call("endless", json!({})),
        ]);
        let session = session(&codex, [runs.skill("tally"), endless("endless")]).await;
        let begun = Instant::now();
        let error = session
            .send_and_handle("go")
            .timeout(Duration::from_secs(5))
            .await
            .unwrap_err();
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        assert!(error.is_timeout());
        let turn = error.turn().unwrap();
        assert_eq!(turn.status, TurnStatus::Interrupted);
        let outcomes: Vec<_> = turn.dispatches.iter().map(|r| r.outcome()).collect();
        assert_eq!(outcomes, [Outcome::Completed, Outcome::Cancelled]);
        assert_eq!(
            error.to_string(),
            format!(
                "turn {} did not end within 5s and was interrupted; 1 call was answered, 1 was not (`endless`)",
                turn.turn_id
            )
        );
        assert_eq!(codex.runtime().count(Operation::Interrupt), 1);
        let detail = session.detail().await.unwrap();
        assert_eq!(detail["thread"]["turns"][0]["status"], "interrupted");
        assert!(session.pending_calls().await.unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_goes_on_after_a_turn_that_took_too_long() {
        let codex = client([Step::call("endless", json!({})), Step::say("better")]);
        let session = session(&codex, [endless("endless")]).await;
        let timeout = Duration::from_secs(5);
        let result = session.send_and_handle("go").timeout(timeout).await;
        assert!(result.unwrap_err().is_timeout());
        let turn = session.send_and_handle("go").timeout(timeout).await;
        assert_eq!(turn.unwrap().assistant_reply.as_deref(), Some("better"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_cannot_be_interrupted_is_a_time_out_all_the_same() {
        let codex = client([Step::call("endless", json!({}))]);
        codex.runtime().fault(
            Operation::Interrupt,
            Fault::Fail(RuntimeErrorKind::Unavailable),
        );
        let session = session(&codex, [endless("endless")]).await;
        let result = session
            .send_and_handle("go")
            .timeout(Duration::from_secs(5))
            .await;
        let error = result.unwrap_err();
        assert!(error.is_timeout());
        let turn = error.turn().unwrap();
        assert_eq!(turn.dispatches[0].outcome(), Outcome::Cancelled);
    }

    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_does_not_react_delays_a_time_out_and_no_more() {
        let runs = Counter::default();
        let codex = client([Step::call("tally", json!({}))]);
        for operation in [Operation::Interrupt, Operation::Answer] {
            codex
                .runtime()
                .fault(operation, Fault::HoldBefore(Gate::new()));
        }
        let session = session(&codex, [runs.skill("tally")]).await;
        let begun = Instant::now();
        let result = session
            .send_and_handle("go")
            .timeout(Duration::from_secs(5))
            .await;
        assert!(result.unwrap_err().is_timeout());
        assert_eq!(begun.elapsed().as_secs(), 15);
    }

    #[tokio::test]
    async fn no_time_at_all_is_refused() {
        let codex = client([]);
        let session = session(&codex, []).await;
        let result = session.send_and_handle("go").timeout(Duration::ZERO).await;
        assert!(matches!(
            result,
            Err(Error::InvalidOption {
                option: "timeout",
                ..
            })
        ));
        assert!(codex.runtime().sent().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_not_accepted_in_time_is_interrupted_when_it_is() {
        let (codex, gate) = (client([Step::call("endless", json!({}))]), Gate::new());
        codex
            .runtime()
            .fault(Operation::Send, Fault::HoldAfter(gate.clone()));
        let session = session(&codex, [endless("endless")]).await;
        let error = session
            .send_and_handle("go")
            .timeout(Duration::from_secs(5))
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("not accepted within 5s"),
            "{error}"
        );
        assert!(error.is_timeout());
        assert_eq!(error.turn().unwrap().turn_id, "");
        assert_eq!(codex.runtime().count(Operation::Interrupt), 0);
        gate.open();
        idle().await;
        assert_eq!(codex.runtime().count(Operation::Interrupt), 1);
        let detail = session.detail().await.unwrap();
        assert_eq!(detail["thread"]["turns"][0]["status"], "interrupted");
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_time_is_no_limit() {
        let session = scripted([Step::say("hello")]).await;
        let turn = session.send_and_handle("go").timeout(Duration::MAX).await;
        assert!(turn.is_ok());
    }
}

mod closed {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_session_that_closes_meanwhile_ends_the_wait_with_what_is_known() {
        let gate = Gate::new();
        let wait = gate.clone();
        let runs = Counter::default();
        let codex = client([
            Step::call("tally", json!({})),
            Step::call("stop_here", json!({})),
        ]);
        let stop = asynchronous("stop_here", move |_| {
            let wait = wait.clone();
            async move {
                wait.enter().await;
                String::new()
            }
        });
        let session = session(&codex, [runs.skill("tally"), stop]).await;
        let close = async {
            gate.somebody().await;
            // So that the turn does not end first.
            let held = Fault::HoldBefore(Gate::new());
            codex.runtime().fault(Operation::Answer, held);
            codex.close_session(session.session_id(), false).await
        };
        let (turn, closed) = tokio::join!(session.send_and_handle("go").into_future(), close);
        assert_eq!(closed.unwrap().cancelled_calls(), 1);
        let error = turn.unwrap_err();
        let Error::SessionClosed { session_id, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(session_id, session.session_id());
        let turn = error.turn().unwrap();
        assert_eq!(turn.dispatches[0].tool(), "tally");
    }

    #[tokio::test]
    async fn a_session_that_the_runtime_closes_ends_the_wait() {
        let codex = client([Step::call("endless", json!({}))]);
        let held = Fault::HoldBefore(Gate::new());
        codex.runtime().fault(Operation::Answer, held);
        let session = session(&codex, [endless("endless")]).await;
        let close = async {
            idle().await;
            codex.runtime().announce(
                session.session_id(),
                Event::SessionClosed {
                    reason: "the server went away".to_owned(),
                    is_lost: true,
                },
            );
        };
        let (turn, ()) = tokio::join!(session.send_and_handle("go").into_future(), close);
        let error = turn.unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("is closed: the server went away"),
            "{error}"
        );
        assert!(error.is_retryable() && error.turn().is_some());
    }

    #[tokio::test]
    async fn a_closed_session_takes_no_request() {
        let codex = client([]);
        let session = session(&codex, []).await;
        codex
            .close_session(session.session_id(), false)
            .await
            .unwrap();
        assert!(session.send("go").await.is_err());
        assert!(session.send_and_handle("go").await.is_err());
        assert!(codex.runtime().sent().is_empty());
        assert_eq!(session.serve().await.unwrap(), "it was closed");
    }

    #[tokio::test]
    async fn an_empty_request_is_refused() {
        let codex = client([]);
        let session = session(&codex, []).await;
        for text in ["", " \n"] {
            let result = session.send(text).await;
            assert!(matches!(
                result,
                Err(Error::InvalidOption { option: "text", .. })
            ));
        }
        assert!(codex.runtime().sent().is_empty());
    }

    #[tokio::test]
    async fn a_request_that_the_runtime_refuses_is_its_error() {
        let codex = client([]);
        codex
            .runtime()
            .fault(Operation::Send, Fault::Fail(RuntimeErrorKind::Refused));
        let session = session(&codex, []).await;
        let result = session.send_and_handle("go").await;
        assert!(matches!(result, Err(Error::Runtime(error)) if error.message() == "it is broken"));
    }
}
