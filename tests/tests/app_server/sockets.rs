//! Codex behind a WebSocket or a Unix socket: connections that break, tokens, and others who listen too.

use std::time::Duration;

use codex_skills::app_server::{AppServerError, ConnectAppServer, RestartPolicy};
use codex_skills::{
    AppServer, ApprovalPolicy, Client, CodexReply, Error, Event, Limits, Outcome, RequestHandler,
    RuntimeErrorKind, SubmissionStatus, TurnStatus,
};
use codex_skills_tests::codex::{Codex, Home, Server};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::provider::Provider;
use codex_skills_tests::relay::Relay;
use codex_skills_tests::skills::{Counter, asynchronous, echo, held};

use crate::support::{answers, call, catalog, command, next, on_codex, until};

/// A codex that listens, behind a relay.
struct Listening {
    relay: Relay,
    server: Server,
    home: Home,
    provider: Provider,
}

impl Listening {
    async fn start(codex: &Codex, arguments: &[&str]) -> Result<Self, Error> {
        let provider = Provider::start().await?;
        let home = Home::new(&provider)?;
        let server = Server::web_socket(codex, &home, arguments).await?;
        let relay = Relay::before(server.url()).await?;
        Ok(Self {
            provider,
            home,
            server,
            relay,
        })
    }

    fn connect(&self) -> ConnectAppServer {
        AppServer::connect(self.relay.url()).restart(RestartPolicy {
            delay: Duration::from_millis(5),
            ..RestartPolicy::default()
        })
    }

    /// Ends it: the client leaves the server alone, and no thread is left.
    async fn end(mut self, client: Client<AppServer>) -> Result<(), Error> {
        let report = client.shutdown().await;
        assert!(report.runtime_error.is_none(), "{report:?}");
        assert!(
            self.server.process().id().is_some(),
            "it is not ours to end"
        );
        self.server.process().terminate()?;
        assert!(self.server.process().ended().await?.success());
        self.home.until_no_process_is_left().await;
        assert!(
            self.home.rollouts().is_empty(),
            "{:?}",
            self.home.rollouts()
        );
        Ok(())
    }
}

on_codex!(a_web_socket_will_do: current);
async fn a_web_socket_will_do(codex: Codex) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let client = listening.connect().await?;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog([echo(&runs)])).await?;

    let turn = run.send_and_handle(call("echo", 0..5)).await?;

    assert_eq!(turn.status, TurnStatus::Completed);
    assert_eq!(answers(&listening.provider).len(), 5);
    assert!(run.close().await?.deleted());
    assert_eq!(client.runtime().reconnects(), 0);
    listening.end(client).await
}

on_codex!(a_call_is_joined_when_its_connection_broke: current);
async fn a_call_is_joined_when_its_connection_broke(codex: Codex) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let client = listening.connect().await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client.lifecycle_with(catalog([held(&runs, &gate)])).await?;
    let mut events = run.events();

    let breaks = async {
        gate.somebody().await;
        listening.relay.cut();
        // The call is announced again.
        for _ in 0..2 {
            next(&mut events, |event| matches!(event, Event::ToolCall(_))).await;
        }
        gate.open();
    };
    let (turn, ()) = tokio::join!(run.send_and_handle(call("held", ["a"])), breaks);

    let turn = turn?;
    assert_eq!(turn.status, TurnStatus::Completed);
    assert_eq!(
        turn.assistant_reply.as_deref(),
        Some("Tool outputs: held a")
    );
    assert_eq!(answers(&listening.provider), ["held a"]);
    assert_eq!(runs.get(), 1);
    assert_eq!(client.runtime().reconnects(), 1);
    run.close().await?;
    listening.end(client).await
}

on_codex!(a_request_whose_answer_was_lost_is_joined: current, previous);
async fn a_request_whose_answer_was_lost_is_joined(codex: Codex) -> Result<(), Error> {
    // What codex says next may be something else, said before the request arrived.
    const ATTEMPTS: usize = 8;
    for is_first in [true, false] {
        let listening = Listening::start(&codex, &[]).await?;
        let client = listening.connect().await?;
        let (mut calls, mut joined) = (0, false);
        for _ in 0..ATTEMPTS {
            let runs = Counter::default();
            let run = client.lifecycle_with(catalog([echo(&runs)])).await?;
            if !is_first {
                run.send_and_handle("SAY hello").await?;
            }
            listening.relay.cut_at_next_word();
            let script = call("echo", [calls, calls + 1]);
            let turn = match run.send_and_handle(script.clone()).await {
                Ok(turn) => {
                    joined = true;
                    turn
                }
                Err(Error::Runtime(lost)) => {
                    assert_eq!(lost.kind(), RuntimeErrorKind::Unavailable, "{lost}");
                    run.send_and_handle(script).await?
                }
                Err(other) => return Err(other),
            };
            assert_eq!(turn.status, TurnStatus::Completed);
            assert_eq!((turn.dispatches.len(), runs.get()), (2, 2));
            calls += 2;
            run.close().await?;
            if joined {
                break;
            }
        }
        assert!(joined);
        let said: Vec<String> = (0..calls).map(|at| format!("echo {at}")).collect();
        assert_eq!(answers(&listening.provider), said);
        listening.end(client).await?;
    }
    Ok(())
}

on_codex!(a_request_that_did_not_arrive_can_be_sent_again: current);
async fn a_request_that_did_not_arrive_can_be_sent_again(codex: Codex) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let client = listening.connect().await?;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog([echo(&runs)])).await?;
    run.send_and_handle("SAY hello").await?;

    listening.relay.silence();
    let breaks = async { listening.relay.cut() };
    let (lost, ()) = tokio::join!(run.send_and_handle(call("echo", ["a"])), breaks);
    let Err(Error::Runtime(lost)) = lost else {
        panic!("{lost:?}")
    };
    assert_eq!(lost.kind(), RuntimeErrorKind::Unavailable, "{lost}");
    assert!(lost.to_string().contains("can be sent again"), "{lost}");
    let turn = run.send_and_handle(call("echo", ["a"])).await?;

    assert_eq!(turn.status, TurnStatus::Completed);
    assert_eq!(answers(&listening.provider), ["echo a"]);
    assert_eq!(runs.get(), 1);
    run.close().await?;
    listening.end(client).await
}

on_codex!(the_record_of_an_answer_that_was_not_taken_says_so: current);
async fn the_record_of_an_answer_that_was_not_taken_says_so(codex: Codex) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let (first, second) = (listening.connect().await?, listening.connect().await?);
    let (runs, gate) = (Counter::default(), Gate::new());
    // The same skill for codex, with answers that differ.
    let skill = |answer: &'static str, gate: &Gate| {
        let (runs, gate) = (runs.clone(), gate.clone());
        asynchronous("race", move |_| {
            runs.count();
            let gate = gate.clone();
            async move {
                gate.enter().await;
                answer.to_owned()
            }
        })
    };
    let open = Gate::new();
    open.open();
    let run = first
        .lifecycle_with(catalog([skill("slow", &gate)]))
        .await?;
    run.send_and_handle("SAY hello").await?;
    let other = second.session(run.session_id());
    let other = other.catalog(catalog([skill("fast", &open)])).await?;
    let serving = other.clone();
    let serve = tokio::spawn(async move { serving.serve().await });

    let (turn, ()) = tokio::join!(run.send_and_handle("CALL race {}"), async {
        gate.somebody().await;
        gate.open();
    });

    let turn = turn?;
    let answer = &answers(&listening.provider)[0];
    let submission = turn.dispatches[0].submission();
    if answer == "slow" {
        assert_eq!(submission.status(), SubmissionStatus::Accepted);
    } else {
        assert_eq!(submission.status(), SubmissionStatus::Settled);
        assert!(!turn.dispatches[0].is_handled());
    }
    assert_eq!(runs.get(), 2, "once in each ledger");
    second.shutdown().await;
    serve.await.expect("no panic").unwrap();
    run.close().await?;
    listening.end(first).await
}

on_codex!(an_answer_that_got_lost_is_sent_again: current);
async fn an_answer_that_got_lost_is_sent_again(codex: Codex) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let client = listening.connect().await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client.lifecycle_with(catalog([held(&runs, &gate)])).await?;
    let mut events = run.events();

    let loses = async {
        gate.somebody().await;
        // What is written from now on arrives nowhere.
        listening.relay.silence();
        gate.open();
        until("an answer is written", || client.metrics().answered == 1).await;
        listening.relay.cut();
        next(&mut events, |event| {
            matches!(event, Event::TurnCompleted { .. })
        })
        .await;
    };
    let (turn, ()) = tokio::join!(run.send_and_handle(call("held", ["a"])), loses);

    assert_eq!(turn?.status, TurnStatus::Completed);
    assert_eq!(answers(&listening.provider), ["held a"]);
    assert_eq!(runs.get(), 1);
    run.close().await?;
    listening.end(client).await
}

on_codex!(a_turn_that_ends_while_nobody_listens_is_found_out: current);
async fn a_turn_that_ends_while_nobody_listens_is_found_out(codex: Codex) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let client = listening.connect().await?;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog([echo(&runs)])).await?;
    run.send_and_handle("SAY first").await?;
    let mut events = run.events();

    let leaves = async {
        next(&mut events, |event| {
            matches!(event, Event::TurnStarted { .. })
        })
        .await;
        listening.provider.gate().somebody().await;
        listening.relay.refuse(true);
        listening.relay.cut();
        listening.provider.gate().open();
        until("both turns are over", || {
            let rollout = std::fs::read_to_string(&listening.home.rollouts()[0]);
            rollout.is_ok_and(|text| text.matches("\"task_complete\"").count() == 2)
        })
        .await;
        listening.relay.refuse(false);
    };
    let (turn, ()) = tokio::join!(run.send_and_handle("HOLD\nSAY done"), leaves);

    let turn = turn?;
    assert_eq!(turn.status, TurnStatus::Completed);
    assert_eq!(turn.assistant_reply.as_deref(), Some("done"));
    run.close().await?;
    listening.end(client).await
}

on_codex!(a_connection_may_break_before_the_first_turn: current);
async fn a_connection_may_break_before_the_first_turn(codex: Codex) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let client = listening.connect().await?;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog([echo(&runs)])).await?;

    listening.relay.cut();
    let again = || client.runtime().reconnects() == 1;
    until("there is another connection", again).await;
    run.send_and_handle(call("echo", ["a"])).await?;

    assert_eq!(answers(&listening.provider), ["echo a"]);
    run.close().await?;
    listening.end(client).await
}

on_codex!(a_session_is_opened_again_after_its_connection_broke: current);
async fn a_session_is_opened_again_after_its_connection_broke(codex: Codex) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let client = listening.connect().await?;
    let runs = Counter::default();
    let skills = catalog([echo(&runs)]);
    let (_, session) = client.create_session_with(skills.clone()).await?;
    let id = session.session_id().to_owned();
    drop(session);

    listening.relay.cut();
    let again = || client.runtime().reconnects() == 1;
    until("there is another connection", again).await;
    // On which the sessions with handles are resumed.
    let is_up = || format!("{client:?}").contains("\"up\"");
    until("it is in use", is_up).await;
    let session = client.session(&id).catalog(skills).await?;
    session
        .send_and_handle(call("echo", ["a"]))
        .timeout(Duration::from_secs(10))
        .await?;

    assert_eq!(answers(&listening.provider), ["echo a"]);
    client.close_session(&id, true).await?;
    listening.end(client).await
}

on_codex!(a_call_of_a_sub_agent_is_answered_though_its_connection_broke: current);
async fn a_call_of_a_sub_agent_is_answered_though_its_connection_broke(
    codex: Codex,
) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let client = listening.connect().await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client.lifecycle_with(catalog([held(&runs, &gate)])).await?;
    let mut events = run.events();
    let serving = run.clone();
    let serve = tokio::spawn(async move { serving.serve().await });
    let script = format!("SPAWN {}", call("held", ["a"]));
    run.send_and_handle(script).await?;
    next(&mut events, |event| matches!(event, Event::ToolCall(_))).await;
    gate.somebody().await;

    listening.relay.cut();
    next(&mut events, |event| matches!(event, Event::ToolCall(_))).await;
    gate.open();
    until("its model was told", || {
        let calls = listening.provider.calls();
        calls.len() == 2 && !listening.provider.outputs(&calls[1]).is_empty()
    })
    .await;

    assert_eq!(answers(&listening.provider)[1], "held a");
    assert_eq!(runs.get(), 1);
    run.close().await?;
    serve.await.expect("no panic").unwrap();
    listening.end(client).await
}

on_codex!(an_ephemeral_session_whose_connection_broke_leaves_no_turn: current);
async fn an_ephemeral_session_whose_connection_broke_leaves_no_turn(
    codex: Codex,
) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let client = listening.connect().await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client
        .lifecycle_with(catalog([held(&runs, &gate)]))
        .ephemeral(true)
        .await?;

    let breaks = async {
        gate.somebody().await;
        listening.relay.cut();
    };
    let (turn, ()) = tokio::join!(run.send_and_handle(call("held", ["a"])), breaks);
    run.close().await?;

    // What it called is answered nowhere, so that its turn would keep codex from ending.
    assert!(turn.is_err(), "{turn:?}");
    listening.end(client).await
}

on_codex!(what_codex_asks_is_asked_once_though_its_connection_broke: current);
async fn what_codex_asks_is_asked_once_though_its_connection_broke(
    codex: Codex,
) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let client = listening.connect().await?;
    let (runs, asked, gate) = (Counter::default(), Counter::default(), Gate::new());
    let handler = {
        let (asked, gate) = (asked.clone(), gate.clone());
        RequestHandler::new(move |_| {
            asked.count();
            let gate = gate.clone();
            async move {
                gate.enter().await;
                CodexReply::Grant
            }
        })
    };
    let run = client
        .lifecycle_with(catalog([echo(&runs)]))
        .approval_policy(ApprovalPolicy::OnRequest)
        .cwd(listening.home.work())
        .on_request(handler)
        .await?;
    run.send_and_handle("SAY hello").await?;

    let breaks = async {
        gate.somebody().await;
        listening.relay.cut();
        let again = || client.runtime().reconnects() == 1;
        until("there is another connection", again).await;
        // Requests that codex repeats come before this is answered.
        let detail = run.detail().await;
        gate.open();
        detail
    };
    let (turn, detail) = tokio::join!(run.send_and_handle(command("touch by-somebody")), breaks);

    detail?;
    assert_eq!(turn?.status, TurnStatus::Completed);
    assert_eq!(asked.get(), 1);
    assert!(listening.home.work().join("by-somebody").exists());
    run.close().await?;
    listening.end(client).await
}

on_codex!(a_silent_connection_is_given_up_and_made_anew: current);
async fn a_silent_connection_is_given_up_and_made_anew(codex: Codex) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let client = listening
        .connect()
        .heartbeat(Duration::from_millis(100))
        .await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client.lifecycle_with(catalog([held(&runs, &gate)])).await?;
    let mut events = run.events();

    let silence = async {
        gate.somebody().await;
        listening.relay.silence();
        for _ in 0..2 {
            next(&mut events, |event| matches!(event, Event::ToolCall(_))).await;
        }
        gate.open();
    };
    let (turn, ()) = tokio::join!(run.send_and_handle(call("held", ["a"])), silence);

    assert_eq!(turn?.status, TurnStatus::Completed);
    assert_eq!(answers(&listening.provider), ["held a"]);
    assert_eq!(runs.get(), 1);
    run.close().await?;
    listening.end(client).await
}

on_codex!(a_codex_that_listens_again_has_its_sessions_still: current);
async fn a_codex_that_listens_again_has_its_sessions_still(codex: Codex) -> Result<(), Error> {
    let mut listening = Listening::start(&codex, &[]).await?;
    let client = listening.connect().await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client
        .lifecycle_with(catalog([echo(&runs), held(&runs, &gate)]))
        .await?;
    let script = format!("{}\nTHEN\n{}", call("echo", ["a"]), call("held", ["b"]));

    let dies = async {
        gate.somebody().await;
        let address = listening.server.address().to_owned();
        listening.server.process().kill()?;
        listening.server.process().ended().await?;
        listening.server = Server::web_socket_at(&codex, &listening.home, &address, &[]).await?;
        Ok::<_, Error>(())
    };
    let (turn, died) = tokio::join!(run.send_and_handle(script), dies);
    died?;
    let turn = turn?;
    run.send_and_handle(call("echo", ["c"])).await?;

    // Codex takes it for interrupted when it reads it again.
    assert_eq!(turn.status, TurnStatus::Interrupted);
    assert_eq!(turn.dispatches[0].tool(), "echo");
    let calls = listening.provider.calls();
    assert_eq!(listening.provider.outputs(&calls[0]).len(), 1);
    assert_eq!(listening.provider.outputs(&calls[2])[0].text(), "echo c");
    assert_eq!(runs.get(), 3);
    run.close().await?;
    listening.end(client).await
}

on_codex!(a_call_that_nobody_served_is_answered_by_the_next_client: current);
async fn a_call_that_nobody_served_is_answered_by_the_next_client(
    codex: Codex,
) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let first = listening.connect().await?;
    let runs = Counter::default();
    let skills = catalog([echo(&runs)]);
    let (_, session) = first.create_session_with(skills.clone()).await?;
    let id = session.session_id().to_owned();
    let mut events = session.events();
    session.send(call("echo", ["a"])).await?;
    next(&mut events, |event| matches!(event, Event::ToolCall(_))).await;
    drop((session, events));
    drop(first);

    let second = listening.connect().await?;
    let session = second.session(&id).catalog(skills).await?;
    let mut events = session.events();
    let records = session.drain_pending_calls().await?;
    next(&mut events, |event| {
        matches!(event, Event::TurnCompleted { .. })
    })
    .await;

    assert_eq!(records.len(), 1);
    assert_eq!(answers(&listening.provider), ["echo a"]);
    assert_eq!(runs.get(), 1);
    second.close_session(&id, true).await?;
    listening.end(second).await
}

on_codex!(an_answer_larger_than_a_frame_is_a_failure_that_says_so: current);
async fn an_answer_larger_than_a_frame_is_a_failure_that_says_so(
    codex: Codex,
) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let client = listening.connect().await?;
    let large = asynchronous("large", |_| async { "x".repeat(17 * 1024 * 1024) });
    let limits = Limits {
        output_bytes: 100 * 1024 * 1024,
        ..Limits::default()
    };
    let run = client
        .lifecycle_with(catalog([large]))
        .limits(limits)
        .await?;

    let turn = run.send_and_handle("CALL large {}").await?;

    assert_eq!(turn.status, TurnStatus::Completed);
    assert_eq!(turn.dispatches[0].outcome(), Outcome::TooLarge);
    assert!(answers(&listening.provider)[0].contains("large"));
    assert_eq!(client.runtime().reconnects(), 0);
    run.close().await?;
    listening.end(client).await
}

on_codex!(a_token_opens_what_is_closed_without: current);
async fn a_token_opens_what_is_closed_without(codex: Codex) -> Result<(), Error> {
    // echo -n 'open sesame' | sha256sum
    const DIGEST: &str = "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb";
    let arguments = ["--ws-auth", "capability-token", "--ws-token-sha256", DIGEST];
    let listening = Listening::start(&codex, &arguments).await?;

    let without = listening.connect().await;
    let wrong = listening.connect().capability_token("open barley").await;
    let client = listening.connect().capability_token("open sesame").await?;

    for refused in [without, wrong] {
        let error = refused.expect_err("no token, or a wrong one");
        assert!(
            matches!(error, AppServerError::Unauthorized { .. }),
            "{error:?}"
        );
        assert!(!error.to_string().contains("barley"), "{error}");
    }
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog([echo(&runs)])).await?;
    run.send_and_handle(call("echo", ["a"])).await?;
    assert_eq!(answers(&listening.provider), ["echo a"]);
    run.close().await?;
    listening.end(client).await
}

on_codex!(a_signed_token_is_made_for_each_connection: current);
async fn a_signed_token_is_made_for_each_connection(codex: Codex) -> Result<(), Error> {
    const SECRET: &str = "a secret of more than thirty-two bytes";
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("secret");
    std::fs::write(&file, SECRET)?;
    let file = file.to_str().expect("a path");
    let arguments = [
        "--ws-auth",
        "signed-bearer-token",
        "--ws-shared-secret-file",
        file,
        "--ws-issuer",
        "tests",
        "--ws-audience",
        "codex",
    ];
    let listening = Listening::start(&codex, &arguments).await?;

    let wrong = listening
        .connect()
        .signed_bearer(SECRET, Some("tests"), Some("others"))
        .await;
    let client = listening
        .connect()
        .signed_bearer(SECRET, Some("tests"), Some("codex"))
        .await?;

    assert!(
        matches!(wrong, Err(AppServerError::Unauthorized { .. })),
        "{wrong:?}"
    );
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog([echo(&runs)])).await?;
    listening.relay.cut();
    let again = || client.runtime().reconnects() == 1;
    until("there is another connection", again).await;
    run.send_and_handle(call("echo", ["a"])).await?;
    assert_eq!(answers(&listening.provider), ["echo a"]);
    run.close().await?;
    listening.end(client).await
}

on_codex!(another_client_of_the_same_codex_is_left_alone: current);
async fn another_client_of_the_same_codex_is_left_alone(codex: Codex) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let (client, other) = (listening.connect().await?, listening.connect().await?);
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client.lifecycle_with(catalog([held(&runs, &gate)])).await?;
    run.send_and_handle("SAY hello").await?;
    // It hears of the calls, and has not the skills for them.
    let watching = other.session(run.session_id()).await?;
    let mut events = watching.events();

    let watches = async {
        gate.somebody().await;
        next(&mut events, |event| matches!(event, Event::ToolCall(_))).await;
        gate.open();
    };
    let (turn, ()) = tokio::join!(run.send_and_handle(call("held", ["a"])), watches);

    assert_eq!(
        turn?.assistant_reply.as_deref(),
        Some("Tool outputs: held a")
    );
    assert_eq!(answers(&listening.provider), ["held a"]);
    assert_eq!(runs.get(), 1);
    other.shutdown().await;
    run.close().await?;
    listening.end(client).await
}

on_codex!(what_codex_asks_is_left_to_the_client_that_has_the_skills: current);
async fn what_codex_asks_is_left_to_the_client_that_has_the_skills(
    codex: Codex,
) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let (client, other) = (listening.connect().await?, listening.connect().await?);
    let runs = Counter::default();
    let grants = RequestHandler::new(|_| async {
        // Time enough for others to refuse.
        tokio::time::sleep(Duration::from_millis(200)).await;
        CodexReply::Grant
    });
    let run = client
        .lifecycle_with(catalog([echo(&runs)]))
        .approval_policy(ApprovalPolicy::OnRequest)
        .cwd(listening.home.work())
        .on_request(grants)
        .await?;
    run.send_and_handle("SAY hello").await?;
    let _watching = other.session(run.session_id()).await?;

    run.send_and_handle(command("touch by-somebody")).await?;

    assert!(
        listening.home.work().join("by-somebody").exists(),
        "{:?}",
        answers(&listening.provider)
    );
    other.shutdown().await;
    run.close().await?;
    listening.end(client).await
}

on_codex!(a_deletion_that_got_lost_is_asked_for_again: current);
async fn a_deletion_that_got_lost_is_asked_for_again(codex: Codex) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    let client = listening
        .connect()
        .heartbeat(Duration::from_millis(200))
        .await?;
    let runs = Counter::default();
    for how in ["cut", "silence", "refuse"] {
        let closed = client.lifecycle_with(catalog([echo(&runs)])).await?;
        closed.send_and_handle("SAY hello").await?;
        let dropped = client.lifecycle_with(catalog([echo(&runs)])).await?;
        dropped.send_and_handle("SAY hello").await?;
        drop(dropped);
        let closing = closed.close();
        tokio::pin!(closing);
        // It is on its way.
        assert!(futures_util::poll!(closing.as_mut()).is_pending());
        let before = client.runtime().reconnects();
        match how {
            "cut" => listening.relay.cut(),
            "silence" => listening.relay.silence(),
            _ => {
                listening.relay.refuse(true);
                listening.relay.cut();
            }
        }
        let mends = async {
            let is_lost = || client.runtime().reconnects() > before;
            until("the connection is lost", is_lost).await;
            listening.relay.refuse(false);
        };
        let (report, ()) = tokio::join!(closing, mends);
        let report = report?;
        assert!(report.deleted() && !report.is_due(), "{how}: {report}");
    }
    let report = client.shutdown().await;
    assert!(report.due.is_empty(), "{report:?}");
    listening.end(client).await
}

on_codex!(a_unix_socket_will_do: current);
async fn a_unix_socket_will_do(codex: Codex) -> Result<(), Error> {
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut server = Server::unix_socket(&codex, &home, &home.socket()).await?;
    let client = AppServer::connect_unix(home.socket()).await?;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog([echo(&runs)])).await?;

    run.send_and_handle(call("echo", 0..5)).await?;

    assert_eq!(answers(&provider).len(), 5);
    assert!(run.close().await?.deleted());
    client.shutdown().await;
    server.process().terminate()?;
    server.process().ended().await?;
    home.until_no_process_is_left().await;
    assert!(home.rollouts().is_empty());
    Ok(())
}

on_codex!(nobody_listening_is_an_error_that_says_so: current);
async fn nobody_listening_is_an_error_that_says_so(codex: Codex) -> Result<(), Error> {
    let listening = Listening::start(&codex, &[]).await?;
    listening.relay.refuse(true);

    let nobody = listening.connect().await;
    let nowhere = AppServer::connect_unix(listening.home.socket()).await;

    for error in [nobody.expect_err("nobody"), nowhere.expect_err("nothing")] {
        assert!(
            matches!(error, AppServerError::Unreachable { .. }),
            "{error:?}"
        );
    }
    Ok(())
}
