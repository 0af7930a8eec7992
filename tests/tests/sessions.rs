//! Sessions: created with a catalog, opened again, closed, and what they send.

use codex_skills::embedded::{Content, Step};
use codex_skills::{
    ApprovalPolicy, Catalog, Client, Draft, Embedded, Error, FilesystemSandbox, Limits,
    NetworkAccess, RuntimeErrorKind, Session, lifecycle, skill, skills,
};
use codex_skills_tests::faulty::{Fault, Faulty, Operation};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::skills::{Counter, asynchronous};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Say hello.
#[skill]
fn greet() -> &'static str {
    "hello"
}

/// Say goodbye.
#[skill]
fn part() -> &'static str {
    "goodbye"
}

fn client() -> Client<Faulty> {
    Faulty::client(Embedded::scripted([Step::call("greet", json!({}))]))
}

fn catalog() -> Catalog {
    Draft::new().register(skills![greet]).seal().unwrap()
}

async fn greeting(codex: &Client<Faulty>) -> Session {
    codex.create_session_with(catalog()).await.unwrap().1
}

/// Lets every other task run until none can.
async fn idle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

mod created {
    use super::*;

    #[test]
    fn a_tokio_runtime_without_time_is_refused() {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let error = tokio.block_on(async {
            lifecycle!(Embedded::demo(), skills: [greet], |run| {
                run.send_and_handle("greet").await?;
                Ok(())
            })
            .await
            .unwrap_err()
        });
        assert_eq!(
            error.to_string(),
            "the embedded runtime could not create the session: this tokio runtime has no time, which deadlines need: build it with `enable_all()`"
        );
    }

    #[tokio::test]
    async fn a_session_is_created_with_the_tools_of_its_draft() {
        let codex = client();
        let (created, session) = codex
            .create_session(|draft| draft.register(skills![part, greet]))
            .await
            .unwrap();
        assert_eq!(created["session"]["sessionId"], session.session_id());
        assert_eq!(session.list(), ["greet", "part"]);
        let asked = &codex.runtime().created()[0];
        let tools = asked.dynamic_tools.as_ref().unwrap().get();
        let flat = session.catalog().flat_tools();
        assert_eq!(flat.map(RawValue::get), Some(tools));
        let fingerprint = session.catalog().fingerprint();
        assert_eq!(asked.fingerprint.as_deref(), Some(fingerprint));
        let tools: Value = serde_json::from_str(tools).unwrap();
        assert_eq!(tools[0]["name"], "greet");
        assert_eq!(tools[1]["name"], "part");
    }

    #[tokio::test]
    async fn a_session_without_skills_is_created_without_tools() {
        let codex = client();
        let (_, session) = codex.create_session(|draft| draft).await.unwrap();
        assert!(codex.runtime().created()[0].dynamic_tools.is_none());
        assert!(session.catalog().is_empty());
    }

    #[tokio::test]
    async fn a_register_callback_may_be_asynchronous_or_fail_or_both() {
        let codex = client();
        let registered = codex
            .create_session(|draft| async {
                tokio::task::yield_now().await;
                draft.register(skills![greet])
            })
            .await;
        assert_eq!(registered.unwrap().1.list(), ["greet"]);
        let registered = codex
            .create_session(|draft| Ok::<_, std::io::Error>(draft.register(skills![greet])))
            .await;
        assert_eq!(registered.unwrap().1.list(), ["greet"]);
        let registered = codex
            .create_session(|draft| async { Ok::<_, String>(draft.register(skills![greet])) })
            .await;
        assert_eq!(registered.unwrap().1.list(), ["greet"]);
    }

    #[tokio::test]
    async fn a_register_callback_may_borrow() {
        let (codex, names) = (client(), vec!["one".to_owned(), "two".to_owned()]);
        let (_, session) = codex
            .create_session(|draft| async {
                names.iter().fold(draft, |draft, name| {
                    draft.register(Counter::default().skill(name))
                })
            })
            .await
            .unwrap();
        assert_eq!(session.list(), ["one", "two"]);
    }

    #[tokio::test]
    async fn a_failed_register_callback_creates_no_session() {
        let codex = client();
        let result = codex.create_session(|_| Err("no skills today")).await;
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Register(_)));
        assert_eq!(
            error.to_string(),
            "the register callback failed: no skills today"
        );
        let result = codex.create_session(|_| async { Err("nor later") }).await;
        assert!(matches!(result, Err(Error::Register(_))));
        assert_eq!(codex.runtime().count(Operation::Create), 0);
    }

    #[tokio::test]
    async fn a_catalog_with_problems_creates_no_session() {
        let codex = client();
        let twice = |draft: Draft| {
            draft
                .register(Counter::default().skill("twice"))
                .register(Counter::default().skill("twice"))
        };
        let result = codex.create_session(twice).await;
        assert!(matches!(result, Err(Error::Catalog(_))));
        assert_eq!(codex.runtime().count(Operation::Create), 0);
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_an_error_before_the_runtime_is_asked() {
        let codex = Embedded::demo();
        let home = tempfile::tempdir().unwrap();
        let (missing, file) = (home.path().join("no such"), home.path().join("file"));
        std::fs::write(&file, "text").unwrap();
        for (cwd, reason) in [
            (missing.as_path(), "is no folder here"),
            (file.as_path(), "is not a folder"),
            (std::path::Path::new(""), "it is empty"),
            (
                std::path::Path::new("no/such"),
                "no/such` is no folder here",
            ),
        ] {
            let refused = [
                codex.create_session(|draft| draft).cwd(cwd).await.err(),
                codex.lifecycle(|draft| draft).cwd(cwd).await.err(),
                lifecycle!(codex, cwd: cwd, |_| { Ok(()) }).await.err(),
            ];
            for error in refused {
                let Some(Error::InvalidOption {
                    option: "cwd",
                    reason: said,
                }) = error
                else {
                    panic!("{cwd:?}: {error:?}");
                };
                assert!(said.contains(reason), "{said}");
                assert!(said.contains(cwd.to_str().unwrap()), "{said}");
            }
        }
        assert_eq!(codex.runtime().session_count(), 0);
        codex
            .create_session(|draft| draft)
            .cwd(home.path())
            .await
            .unwrap();
        codex.create_session(|draft| draft).cwd(".").await.unwrap();
    }

    #[tokio::test]
    async fn limits_with_which_no_call_could_be_answered_are_errors() {
        type Set = fn(&mut Limits);
        let codex = Embedded::demo();
        let cases: [(&str, Set); 5] = [
            ("max_concurrent_calls", |limits| limits.concurrent_calls = 0),
            ("open_calls", |limits| limits.open_calls = 0),
            ("argument_bytes", |limits| limits.argument_bytes = 0),
            ("open_bytes", |limits| limits.open_bytes = 0),
            ("output_bytes", |limits| limits.output_bytes = 0),
        ];
        for (name, set) in cases {
            let mut limits = Limits::default();
            set(&mut limits);
            let strict = codex.clone().with_limits(limits.clone());
            for error in [
                codex
                    .create_session(|draft| draft)
                    .limits(limits)
                    .await
                    .err(),
                strict.lifecycle(|draft| draft).await.err(),
                strict.session("any").await.err(),
            ] {
                let Some(Error::InvalidOption { option, reason }) = error else {
                    panic!("{name}: {error:?}");
                };
                assert_eq!(option, name);
                assert!(reason.contains("at least 1"), "{reason}");
            }
        }
        let error = lifecycle!(codex, max_concurrent_calls: 0, |_| { Ok(()) }).await;
        assert!(matches!(
            error,
            Err(Error::InvalidOption {
                option: "max_concurrent_calls",
                ..
            })
        ));
        codex
            .create_session(|draft| draft)
            .max_concurrent_calls(1)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn options_reach_the_runtime() {
        let codex = client();
        let (created, _) = codex
            .create_session(|draft| draft)
            .cwd("/tmp")
            .model("gpt-7")
            .approval_policy(ApprovalPolicy::Never)
            .network_access(NetworkAccess::Restricted)
            .filesystem_sandbox(FilesystemSandbox::ReadOnly)
            .await
            .unwrap();
        let options = &codex.runtime().created()[0].options;
        assert_eq!(options.cwd.as_deref(), Some("/tmp"));
        assert_eq!(options.model.as_deref(), Some("gpt-7"));
        assert_eq!(options.approval_policy, Some(ApprovalPolicy::Never));
        assert_eq!(options.network_access, Some(NetworkAccess::Restricted));
        assert_eq!(
            options.filesystem_sandbox,
            Some(FilesystemSandbox::ReadOnly)
        );
        assert_eq!(created["session"]["cwd"], "/tmp");
        assert_eq!(created["session"]["approvalPolicy"], "never");
        assert_eq!(
            created["session"]["sessionControls"],
            json!({"model": "gpt-7", "networkAccess": "restricted", "filesystemSandbox": "read-only"})
        );
    }

    #[tokio::test]
    async fn a_runtime_that_creates_nothing_is_an_error() {
        let codex = client();
        codex
            .runtime()
            .fault(Operation::Create, Fault::Fail(RuntimeErrorKind::Refused));
        let error = codex.create_session(|draft| draft).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the faulty runtime could not do it: it is broken"
        );
    }

    #[tokio::test]
    async fn a_creation_that_panics_is_an_error_of_the_runtime() {
        let codex = client();
        codex.runtime().fault(Operation::Create, Fault::Panic);
        let error = codex.create_session(|draft| draft).await.unwrap_err();
        assert!(matches!(error, Error::Runtime(_)), "{error}");
        assert!(error.to_string().contains("broke down"), "{error}");
    }

    #[tokio::test]
    async fn a_call_timeout_of_nothing_is_refused() {
        let codex = client();
        let timeout = std::time::Duration::ZERO;
        let created = codex.create_session(|draft| draft).call_timeout(timeout);
        assert!(matches!(
            created.await,
            Err(Error::InvalidOption {
                option: "call_timeout",
                ..
            })
        ));
        let session = greeting(&codex).await;
        let opened = codex.session(session.session_id()).call_timeout(timeout);
        assert!(matches!(opened.await, Err(Error::InvalidOption { .. })));
    }
}

mod opened {
    use super::*;

    #[tokio::test]
    async fn a_handle_on_an_open_session_is_the_same_session() {
        let codex = client();
        let session = greeting(&codex).await;
        let other = codex.session(session.session_id()).await.unwrap();
        assert_eq!(other.list(), ["greet"]);
        assert_eq!(codex.runtime().count(Operation::Resume), 0);
        let turn = other.send_and_handle("go").require_reply().await.unwrap();
        assert_eq!(turn.assistant_reply, "greet: hello");
    }

    #[tokio::test]
    async fn another_program_serves_a_session_with_its_catalog() {
        let codex = client();
        let session = greeting(&codex).await;
        let id = session.session_id().to_owned();
        drop(session);
        let session = codex.session(&id).catalog(catalog()).await.unwrap();
        assert_eq!(codex.runtime().count(Operation::Resume), 1);
        let turn = session.send_and_handle("go").require_reply().await.unwrap();
        assert_eq!(turn.assistant_reply, "greet: hello");
    }

    #[tokio::test]
    async fn another_catalog_is_refused() {
        let codex = client();
        let session = greeting(&codex).await;
        let id = session.session_id().to_owned();
        let other = Draft::new().register(skills![part]).seal().unwrap();
        let opened = codex.session(&id).catalog(other.clone()).await;
        assert!(matches!(opened, Err(Error::OtherCatalog { .. })));
        drop(session);
        let error = codex.session(&id).catalog(other).await.unwrap_err();
        assert!(matches!(error, Error::OtherCatalog { .. }));
        assert!(error.to_string().contains(catalog().fingerprint()));
        // Nothing of the refusal stays.
        assert!(codex.session(&id).catalog(catalog()).await.is_ok());
    }

    #[tokio::test]
    async fn calls_that_waited_are_announced_to_a_new_handle() {
        let codex = client();
        let session = greeting(&codex).await;
        let id = session.session_id().to_owned();
        session.send("go").await.unwrap();
        idle().await;
        drop(session);
        let session = codex.session(&id).catalog(catalog()).await.unwrap();
        let serve = session.serve();
        tokio::pin!(serve);
        assert!(futures_util::poll!(serve.as_mut()).is_pending());
        while codex.runtime().answers().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(codex.runtime().count(Operation::Pending), 0);
    }

    #[tokio::test]
    async fn a_session_that_does_not_exist_is_an_error() {
        let codex = client();
        let error = codex.session("nowhere").await.unwrap_err();
        assert!(error.to_string().contains("thread not found: nowhere"));
        codex.runtime().fault(
            Operation::Resume,
            Fault::Fail(RuntimeErrorKind::Unavailable),
        );
        assert!(codex.session("nowhere").await.is_err());
    }

    /// Opens two handles at the same time, while the runtime looks for the session.
    async fn both(
        codex: &Client<Faulty>,
        one: codex_skills::OpenSession,
        other: codex_skills::OpenSession,
    ) -> (Result<Session, Error>, Result<Session, Error>) {
        let gate = Gate::new();
        let hold = Fault::HoldBefore(gate.clone());
        codex.runtime().fault(Operation::Resume, hold);
        let open = async {
            gate.somebody().await;
            idle().await;
            gate.open();
        };
        let (one, other, ()) = tokio::join!(one.into_future(), other.into_future(), open);
        (one, other)
    }

    #[tokio::test]
    async fn nobody_gets_a_handle_on_a_session_that_is_not_there() {
        let codex = client();
        let (one, other) = both(&codex, codex.session("nowhere"), codex.session("nowhere")).await;
        assert!(one.is_err() && other.is_err());
    }

    #[tokio::test]
    async fn a_refused_catalog_does_not_stand_in_the_way_of_the_right_one() {
        let codex = client();
        let id = greeting(&codex).await.session_id().to_owned();
        let wrong = Draft::new().register(skills![part]).seal().unwrap();
        let wrong = codex.session(&id).catalog(wrong);
        let (wrong, right) = both(&codex, wrong, codex.session(&id).catalog(catalog())).await;
        assert!(matches!(wrong, Err(Error::OtherCatalog { .. })));
        assert_eq!(right.unwrap().list(), ["greet"]);
    }

    #[tokio::test]
    async fn a_session_that_was_closed_can_be_opened_again() {
        let codex = client();
        let session = greeting(&codex).await;
        let id = session.session_id().to_owned();
        codex.close_session(&id, false).await.unwrap();
        let again = codex.session(&id).catalog(catalog()).await.unwrap();
        let turn = again.send_and_handle("go").require_reply().await.unwrap();
        assert_eq!(turn.assistant_reply, "greet: hello");
        assert!(
            session.send("go").await.is_err(),
            "the old handle is closed"
        );
    }

    /// Opens a session again whose call was run and whose answer did not arrive; tells how often it ran.
    async fn opened_again(let_go: impl AsyncFnOnce(&Client<Faulty>, Session)) -> usize {
        let runs = Counter::default();
        let catalog = Draft::new().register(runs.skill("greet")).seal().unwrap();
        let codex = client();
        let (_, session) = codex.create_session_with(catalog.clone()).await.unwrap();
        let id = session.session_id().to_owned();
        for _ in 0..3 {
            codex.runtime().fault(
                Operation::Answer,
                Fault::Fail(RuntimeErrorKind::Unavailable),
            );
        }
        session.send("go").await.unwrap();
        idle().await;
        let records = session.drain_pending_calls().await.unwrap();
        assert!(!records[0].is_handled());
        let_go(&codex, session).await;
        let again = codex.session(&id).catalog(catalog).await.unwrap();
        let records = again.drain_pending_calls().await.unwrap();
        assert_eq!(records[0].output().to_text(), "run 1");
        assert!(again.pending_calls().await.unwrap().is_empty());
        runs.get()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_was_run_is_not_run_again_after_its_session_was_closed() {
        let runs = opened_again(async |codex, session| {
            let id = session.session_id();
            codex.close_session(id, false).await.unwrap();
        });
        assert_eq!(runs.await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_was_run_is_not_run_again_after_its_last_handle_was_dropped() {
        assert_eq!(opened_again(async |_, session| drop(session)).await, 1);
    }

    #[tokio::test]
    async fn calls_are_left_alone_without_the_catalog_and_answered_with_it() {
        let codex = client();
        let id = greeting(&codex).await.session_id().to_owned();
        let bare = codex.session(&id).await.unwrap();
        assert!(bare.list().is_empty());
        bare.send("go").await.unwrap();
        idle().await;
        let told = bare.serve().await.unwrap_err().to_string();
        assert!(told.contains("opens it with `.catalog(..)`"), "{told}");
        for error in [
            bare.drain_pending_calls().await.unwrap_err(),
            bare.send_and_handle("go").await.unwrap_err(),
        ] {
            assert!(
                error.to_string().contains("opens it with `.catalog(..)`"),
                "{error}"
            );
        }
        assert!(codex.runtime().answers().is_empty());
        // A catalog that does not fit changes nothing.
        let wrong = Draft::new().register(skills![part]).seal().unwrap();
        let wrong = codex.session(&id).catalog(wrong).await;
        assert!(matches!(wrong, Err(Error::OtherCatalog { .. })));
        assert_eq!(bare.pending_calls().await.unwrap().len(), 1);
        let right = codex.session(&id).catalog(catalog()).await.unwrap();
        let error = bare.send("go").await.unwrap_err();
        assert!(error.to_string().contains("with its catalog"), "{error}");
        let records = right.drain_pending_calls().await.unwrap();
        assert_eq!(records[0].output().to_text(), "hello");
    }

    #[tokio::test]
    async fn a_session_without_tools_is_served_without_a_catalog() {
        let codex = Faulty::client(Embedded::scripted([Step::say("hello")]));
        let (_, session) = codex.create_session(|draft| draft).await.unwrap();
        let id = session.session_id().to_owned();
        drop(session);
        let again = codex.session(&id).await.unwrap();
        let turn = again.send_and_handle("go").require_reply().await.unwrap();
        assert_eq!(turn.assistant_reply, "hello");
        let same = codex.session(&id).catalog(Catalog::empty()).await.unwrap();
        assert!(again.send("go").await.is_ok());
        assert!(same.send("go").await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_a_close_cancelled_is_not_run_again_by_a_new_handle() {
        let (runs, gate) = (Counter::default(), Gate::new());
        let (count, wait) = (runs.clone(), gate.clone());
        let catalog = Draft::new()
            .register(asynchronous("slow", move |_| {
                count.count();
                let wait = wait.clone();
                async move {
                    wait.enter().await;
                    String::new()
                }
            }))
            .seal()
            .unwrap();
        let codex = Faulty::client(Embedded::scripted([Step::call("slow", json!({}))]));
        let (_, session) = codex.create_session_with(catalog.clone()).await.unwrap();
        let serving = session.clone();
        tokio::spawn(async move { serving.serve().await });
        session.send("go").await.unwrap();
        gate.somebody().await;
        let held = Gate::new();
        codex
            .runtime()
            .fault(Operation::Answer, Fault::HoldBefore(held.clone()));
        let id = session.session_id().to_owned();
        codex.close_session(&id, false).await.unwrap();
        let again = codex.session(&id).catalog(catalog).into_future();
        let open = async {
            idle().await;
            held.open();
        };
        let (again, ()) = tokio::join!(again, open);
        let records = again.unwrap().drain_pending_calls().await.unwrap();
        assert!(records.is_empty(), "it was answered as cancelled");
        assert_eq!(runs.get(), 1);
    }

    #[tokio::test]
    async fn sessions_are_apart() {
        let (codex, runs) = (
            Faulty::client(Embedded::scripted([Step::call("tally", json!({}))])),
            Counter::default(),
        );
        let catalog = Draft::new().register(runs.skill("tally")).seal().unwrap();
        let mut sessions = Vec::new();
        for _ in 0..10 {
            sessions.push(codex.create_session_with(catalog.clone()).await.unwrap().1);
        }
        let turns = sessions
            .iter()
            .map(|session| session.send_and_handle("go").into_future());
        let turns = futures_util::future::join_all(turns).await;
        for (session, turn) in sessions.iter().zip(turns) {
            let turn = turn.unwrap();
            assert_eq!(turn.session_id, session.session_id());
            assert_eq!(turn.dispatches.len(), 1);
            assert_eq!(turn.dispatches[0].session_id(), session.session_id());
        }
        assert_eq!(runs.get(), 10);
    }
}

mod sent {
    use super::*;

    async fn session(codex: &Client<Faulty>, inject: bool, repeat: bool) -> Session {
        codex
            .create_session(|draft| draft.register(skills![greet]))
            .inject_skills(inject)
            .repeat_tools(repeat)
            .await
            .unwrap()
            .1
    }

    #[tokio::test]
    async fn a_request_has_the_instructions_before_it_and_the_tools_with_it() {
        let codex = client();
        let session = greeting(&codex).await;
        session.send("go").await.unwrap();
        let sent = &codex.runtime().sent()[0];
        let supplement = session.catalog().supplement();
        assert!(
            supplement.contains("\n- greet\n  output_schema: "),
            "{supplement}"
        );
        assert!(!supplement.contains("input_schema"), "{supplement}");
        assert_eq!(sent.text, format!("{supplement}\n\nUser request:\ngo"));
        let tools = sent.dynamic_tools.as_deref().map(RawValue::get);
        let flat = session.catalog().flat_tools().map(RawValue::get);
        assert!(tools.is_some() && tools == flat, "{tools:?}");
    }

    /// Whether each request had something before its text.
    fn introduced(codex: &Client<Faulty>) -> Vec<bool> {
        let sent = codex.runtime().sent();
        sent.iter()
            .map(|sent| sent.text.contains("output_schema: "))
            .collect()
    }

    #[tokio::test]
    async fn only_the_first_request_of_a_session_has_something_before_it() {
        let codex = client();
        for _ in 0..2 {
            let session = greeting(&codex).await;
            session.send_and_handle("go").await.unwrap();
            session.send_and_handle("go").await.unwrap();
            session.clone().send_and_handle("go").await.unwrap();
        }
        assert_eq!(introduced(&codex), [true, false, false, true, false, false]);
        assert_eq!(codex.runtime().sent()[1].text, "go");
    }

    #[tokio::test]
    async fn each_request_has_it_where_a_session_or_a_request_asks_for_it() {
        let codex = client();
        let session = session(&codex, true, true).await;
        session.send("go").await.unwrap();
        session.send("go").await.unwrap();
        session.send("go").inject_skills(false).await.unwrap();
        let other = greeting(&codex).await;
        other.send("go").inject_skills(false).await.unwrap();
        other.send("go").await.unwrap();
        other.send("go").await.unwrap();
        other.send("go").inject_skills(true).await.unwrap();
        assert_eq!(
            introduced(&codex),
            [true, true, false, false, true, false, true]
        );
    }

    #[tokio::test]
    async fn a_request_that_was_not_accepted_is_not_the_first() {
        let codex = client();
        let session = greeting(&codex).await;
        for fault in [
            Fault::Fail(RuntimeErrorKind::Refused),
            Fault::Fail(RuntimeErrorKind::Unavailable),
        ] {
            codex.runtime().fault(Operation::Send, fault);
            session.send("go").await.unwrap_err();
        }
        session.send("go").await.unwrap();
        session.send("go").await.unwrap();
        // Those that failed were never sent.
        assert_eq!(introduced(&codex)[2..], [true, false]);
    }

    #[tokio::test]
    async fn a_request_whose_fate_is_unknown_is_not_the_first_either() {
        let codex = client();
        let session = greeting(&codex).await;
        codex.runtime().fault(Operation::Send, Fault::Lose);
        session.send("go").await.unwrap_err();
        let gate = Gate::new();
        codex
            .runtime()
            .fault(Operation::Send, Fault::HoldAfter(gate.clone()));
        let dropped = session.send("go").into_future();
        tokio::select! {
            _ = dropped => panic!("it is held"),
            () = gate.somebody() => {}
        }
        session.send("go").await.unwrap();
        session.send("go").await.unwrap();
        assert_eq!(introduced(&codex), [true, true, true, false]);
    }

    #[tokio::test]
    async fn a_session_that_is_opened_again_was_introduced_before() {
        let codex = client();
        let session = greeting(&codex).await;
        let id = session.session_id().to_owned();
        session.send_and_handle("go").await.unwrap();
        drop(session);
        let again = codex.session(&id).catalog(catalog()).await.unwrap();
        again.send_and_handle("go").await.unwrap();
        assert_eq!(introduced(&codex), [true, false]);
    }

    #[tokio::test]
    async fn another_client_introduces_the_skills_where_no_request_was_made_before() {
        let embedded = Embedded::scripted([Step::call("greet", json!({}))]);
        let codex = Faulty::client(embedded.clone());
        for first in [true, false] {
            let session = greeting(&codex).await;
            if first {
                session.send_and_handle("go").await.unwrap();
            }
            let other = Faulty::client(embedded.clone());
            let there = other.session(session.session_id()).catalog(catalog());
            there.await.unwrap().send_and_handle("go").await.unwrap();
            assert_eq!(introduced(&other), [!first]);
        }
    }

    #[test]
    fn skills_that_answer_the_same_are_told_together() {
        let catalog = Draft::new().register(skills![greet, part]).seal().unwrap();
        let supplement = catalog.supplement();
        assert!(
            supplement.contains("\n- greet, part\n  output_schema: "),
            "{supplement}"
        );
        assert_eq!(supplement.matches("output_schema").count(), 1);
    }

    #[tokio::test]
    async fn skills_whose_answers_say_nothing_need_no_introduction() {
        let codex = client();
        let quiet = asynchronous("quiet", |_| async { String::new() });
        let (_, session) = codex
            .create_session(|draft| draft.register(quiet))
            .await
            .unwrap();
        assert_eq!(session.catalog().supplement(), "");
        session.send("go").await.unwrap();
        assert_eq!(codex.runtime().sent()[0].text, "go");
    }

    #[tokio::test]
    async fn a_request_can_be_sent_as_it_is() {
        let codex = client();
        let session = greeting(&codex).await;
        session
            .send("go")
            .inject_skills(false)
            .repeat_tools(false)
            .await
            .unwrap();
        let sent = &codex.runtime().sent()[0];
        assert_eq!(sent.text, "go");
        assert!(sent.dynamic_tools.is_none());
    }

    #[tokio::test]
    async fn a_session_can_send_its_requests_as_they_are() {
        let codex = client();
        let session = session(&codex, false, false).await;
        session.send_and_handle("go").await.unwrap();
        session
            .send("go")
            .inject_skills(true)
            .repeat_tools(true)
            .await
            .unwrap();
        let sent = codex.runtime().sent();
        assert_eq!(sent[0].text, "go");
        assert!(sent[0].dynamic_tools.is_none());
        assert!(sent[1].text.len() > 2);
        assert!(sent[1].dynamic_tools.is_some());
    }

    #[tokio::test]
    async fn a_session_without_skills_changes_no_request() {
        let codex = client();
        let (_, session) = codex.create_session(|draft| draft).await.unwrap();
        session.send("go").await.unwrap();
        let sent = &codex.runtime().sent()[0];
        assert_eq!(sent.text, "go");
        assert!(sent.dynamic_tools.is_none());
    }

    #[tokio::test]
    async fn a_text_that_is_sent_meanwhile_steers_the_turn() {
        let gate = Gate::new();
        let wait = gate.clone();
        let codex = Faulty::client(Embedded::scripted([
            Step::call("slow", json!({})),
            Step::say("both"),
        ]));
        let slow = asynchronous("slow", move |_| {
            let wait = wait.clone();
            async move {
                wait.enter().await;
                String::new()
            }
        });
        let (_, session) = codex
            .create_session(|draft| draft.register(slow))
            .inject_skills(false)
            .await
            .unwrap();
        let steer = async {
            gate.somebody().await;
            let sent = session.send("and quickly").await.unwrap();
            gate.open();
            sent
        };
        let (turn, sent) = tokio::join!(session.send_and_handle("go").into_future(), steer);
        assert_eq!(turn.unwrap().turn_id, sent.turn_id);
        let history = codex.runtime().embedded().history(session.session_id());
        let texts: Vec<_> = history
            .unwrap()
            .into_iter()
            .filter_map(|item| match &item.content {
                Content::User(text) => Some(text.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(texts, ["go", "and quickly"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_text_is_lost_at_the_end_of_a_turn() {
        let codex = Embedded::demo();
        for _ in 0..12 {
            let (_, session) = codex.create_session(|draft| draft).await.unwrap();
            let senders = [(); 4].map(|()| {
                let session = session.clone();
                tokio::spawn(async move {
                    for _ in 0..50 {
                        session.send("go").await.unwrap();
                        tokio::task::yield_now().await;
                    }
                })
            });
            for sender in senders {
                sender.await.unwrap();
            }
            session.send_and_handle("go").await.unwrap();
            // Whatever was sent is followed by something that was said in the same turn.
            let history = codex.runtime().history(session.session_id()).unwrap();
            let mut unheard = std::collections::HashSet::new();
            for item in history {
                match item.content {
                    Content::User(_) => unheard.insert(item.turn_id.clone()),
                    _ => unheard.remove(&item.turn_id),
                };
            }
            assert!(unheard.is_empty(), "{unheard:?}");
        }
    }
}

mod closed {
    use super::*;

    #[tokio::test]
    async fn a_deleted_session_is_reported() {
        let codex = client();
        let session = greeting(&codex).await;
        let report = codex
            .close_session(session.session_id(), true)
            .await
            .unwrap();
        assert_eq!(report.session_id(), session.session_id());
        assert_eq!(report.cleared(), 1);
        assert!(report.deleted());
        assert_eq!(report.delete_response().unwrap()["status"], "ok");
        assert!(report.delete_error().is_none());
        assert_eq!(codex.runtime().embedded().session_count(), 0);
    }

    #[tokio::test]
    async fn a_session_that_is_only_let_go_stays() {
        let codex = client();
        let session = greeting(&codex).await;
        let report = codex
            .close_session(session.session_id(), false)
            .await
            .unwrap();
        assert!(!report.deleted());
        assert!(report.delete_response().is_none());
        assert_eq!(codex.runtime().count(Operation::Delete), 0);
        assert_eq!(codex.runtime().embedded().session_count(), 1);
    }

    /// Whether the model got an answer that says it was cancelled, and no call waits.
    fn is_told(codex: &Client<Faulty>, session: &Session) -> bool {
        let answers = codex.runtime().answers();
        let embedded = codex.runtime().embedded();
        let pending = codex_skills::Runtime::pending_calls(embedded, session.session_id().into());
        let pending = futures_util::FutureExt::now_or_never(pending).unwrap();
        answers.len() == 1
            && answers[0].1.to_text().contains("cancelled")
            && pending.unwrap().is_empty()
    }

    #[tokio::test]
    async fn calls_that_wait_are_answered_when_a_session_that_stays_is_let_go() {
        let codex = client();
        let session = greeting(&codex).await;
        session.send("go").await.unwrap();
        idle().await;
        let report = codex.close_session(session.session_id(), false).await;
        assert!(!report.unwrap().deleted());
        assert!(is_told(&codex, &session));
        let codex = client();
        let session = greeting(&codex).await;
        session.send("go").await.unwrap();
        idle().await;
        assert_eq!(codex.shutdown().await.kept, 1);
        assert!(is_told(&codex, &session));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_call_is_answered_before_a_session_that_stays_is_let_go() {
        let skill = asynchronous("greet", |_| std::future::pending());
        let codex = client();
        let (_, session) = codex
            .create_session(|draft| draft.register(skill))
            .await
            .unwrap();
        let serving = session.clone();
        tokio::spawn(async move { serving.serve().await });
        session.send("go").await.unwrap();
        idle().await;
        let slow = Gate::new();
        codex
            .runtime()
            .fault(Operation::Answer, Fault::HoldBefore(slow.clone()));
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            slow.open();
        });
        let report = codex.close_session(session.session_id(), false).await;
        assert_eq!(report.unwrap().cancelled_calls(), 1);
        assert!(is_told(&codex, &session));
    }

    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_takes_no_answer_delays_a_close_and_no_more() {
        let codex = client();
        let session = greeting(&codex).await;
        session.send("go").await.unwrap();
        idle().await;
        codex
            .runtime()
            .fault(Operation::Answer, Fault::HoldBefore(Gate::new()));
        let begun = tokio::time::Instant::now();
        let report = codex.close_session(session.session_id(), false).await;
        assert!(report.is_ok());
        assert_eq!(begun.elapsed().as_secs(), 5);
    }

    #[tokio::test]
    async fn a_cleanup_that_breaks_down_is_no_success() {
        let codex = client();
        let session = greeting(&codex).await;
        for _ in 0..2 {
            codex.runtime().fault(Operation::Delete, Fault::Panic);
        }
        let error = codex
            .close_session(session.session_id(), true)
            .ignore_cleanup_errors(false)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("broke down"), "{error}");
    }

    #[tokio::test]
    async fn only_ok_and_deleted_mean_that_a_session_is_deleted() {
        for (status, is_deleted) in [
            ("ok", true),
            ("deleted", true),
            ("not_found", false),
            ("error", false),
            ("queued", false),
        ] {
            let codex = client();
            codex
                .runtime()
                .fault(Operation::Delete, Fault::Status(status));
            let report = codex.close_session("some", true).await.unwrap();
            assert_eq!(report.deleted(), is_deleted, "{status}");
            assert_eq!(report.delete_response().unwrap()["status"], status);
        }
    }

    #[tokio::test]
    async fn a_session_that_is_gone_is_no_error() {
        let codex = client();
        let report = codex.close_session("nowhere", true).await.unwrap();
        assert!(!report.deleted());
        assert_eq!(report.cleared(), 0);
        assert_eq!(report.delete_response().unwrap()["status"], "not_found");
    }

    #[tokio::test]
    async fn a_failed_deletion_is_in_the_report_or_returned() {
        let codex = client();
        let session = greeting(&codex).await;
        let fault = || {
            let fault = Fault::Fail(RuntimeErrorKind::Refused);
            codex.runtime().fault(Operation::Delete, fault);
        };
        fault();
        let report = codex
            .close_session(session.session_id(), true)
            .sync_runtime_on_cleanup(true)
            .await
            .unwrap();
        assert!(!report.deleted());
        assert_eq!(report.delete_error().unwrap().message(), "it is broken");
        fault();
        let error = codex
            .close_session(session.session_id(), true)
            .ignore_cleanup_errors(false)
            .await
            .unwrap_err();
        let Error::Cleanup(report) = error else {
            panic!("{error:?}")
        };
        assert_eq!(report.session_id(), session.session_id());
        // The session is let go of all the same, and the next attempt deletes it.
        assert!(session.send("go").await.is_err());
        let report = codex.close_session(session.session_id(), true).await;
        assert!(report.unwrap().deleted());
    }

    #[tokio::test]
    async fn a_session_that_the_runtime_deletes_is_closed() {
        let codex = client();
        let session = greeting(&codex).await;
        let serve = session.serve();
        tokio::pin!(serve);
        assert!(futures_util::poll!(serve.as_mut()).is_pending());
        let mut signals = session.signals();
        let other = Client::new(Shared(codex.clone()));
        other
            .close_session(session.session_id(), true)
            .await
            .unwrap();
        assert_eq!(serve.await.unwrap(), "it was deleted");
        while signals.next().await.is_some() {}
    }

    use codex_skills::runtime::{
        Accepted, Created, Deletion, EventSink, NewSession, Resumed, RuntimeFuture, SendRequest,
        Submission,
    };
    use codex_skills::{Runtime, SkillOutput, ToolCall};
    use std::sync::{Arc, Weak};

    /// The same runtime for another client.
    #[derive(Debug)]
    struct Shared(Client<Faulty>);

    impl Runtime for Shared {
        fn name(&self) -> &'static str {
            "the shared runtime"
        }

        fn create_session(&self, request: NewSession) -> RuntimeFuture<'_, Created> {
            self.0.runtime().create_session(request)
        }

        fn subscribe(&self, session_id: Arc<str>, events: Weak<dyn EventSink>) {
            self.0.runtime().subscribe(session_id, events);
        }

        fn resume(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Resumed> {
            self.0.runtime().resume(session_id)
        }

        fn send(&self, session_id: Arc<str>, request: SendRequest) -> RuntimeFuture<'_, Accepted> {
            self.0.runtime().send(session_id, request)
        }

        fn interrupt(
            &self,
            session_id: Arc<str>,
            turn_id: Option<Arc<str>>,
        ) -> RuntimeFuture<'_, ()> {
            self.0.runtime().interrupt(session_id, turn_id)
        }

        fn pending_calls(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Vec<ToolCall>> {
            self.0.runtime().pending_calls(session_id)
        }

        fn answer(
            &self,
            call: Arc<ToolCall>,
            output: Arc<SkillOutput>,
        ) -> RuntimeFuture<'_, Submission> {
            self.0.runtime().answer(call, output)
        }

        fn detail(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Value> {
            self.0.runtime().detail(session_id)
        }

        fn delete_session(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Deletion> {
            self.0.runtime().delete_session(session_id)
        }
    }
}

#[tokio::test]
async fn a_closed_session_says_so_to_whoever_dispatches() {
    let codex = Embedded::demo();
    let (_, session) = codex.create_session(|draft| draft).await.unwrap();
    codex
        .close_session(session.session_id(), true)
        .await
        .unwrap();
    let dispatched = session.dispatch_tool_call("any", &()).await;
    assert!(
        matches!(dispatched, Err(Error::SessionClosed { .. })),
        "{dispatched:?}"
    );
}

#[test]
fn without_tokio_a_session_is_an_error_and_no_panic() {
    let codex = Embedded::demo();
    let opened =
        futures_util::FutureExt::now_or_never(codex.create_session(|draft| draft).into_future());
    let Some(Err(error)) = opened else {
        panic!("nothing is waited for, and nothing created");
    };
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}
