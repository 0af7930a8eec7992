//! Two clients that have one session: on the embedded runtime, on a codex behind a socket, on a codex-manager.

use std::sync::{Arc, Weak};
use std::time::Duration;

use codex_skills::embedded::{Model, ModelError, ModelItem, ModelTurn};
use codex_skills::runtime::{
    Accepted, Created, Deletion, EventSink, NewSession, Resumed, RuntimeFuture, SendRequest,
    Submission, ToolFormat,
};
use codex_skills::{
    AppServer, Catalog, Client, CodexManager, Draft, Embedded, Error, Event, Runtime, Session,
    Signals, Skill, SkillOutput, SubmissionStatus, ToolCall, TurnStatus,
};
use codex_skills_tests::codex::{Codex, Home, Server};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::manager::Manager;
use codex_skills_tests::provider::Provider;
use codex_skills_tests::skills::{Counter, asynchronous, echo, held};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a test waits for what must happen before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What each turn calls.
const CALL: &str = "CALL held {\"text\":\"a\"}";

/// Whether the second client can find out what a session was created with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fingerprint {
    Known,
    Unknown,
}

/// Two clients of one place where sessions live, and what keeps that place.
struct Two<A, B> {
    owner: Client<A>,
    other: Client<B>,
    fingerprint: Fingerprint,
    forgets: Box<dyn Fn() + Send + Sync>,
    place: Box<dyn Send>,
}

/// Runs a test on each runtime, with the fingerprint known and not.
macro_rules! on_each_runtime {
    ($test:ident) => {
        mod $test {
            use super::*;

            async fn embedded(fingerprint: Fingerprint) {
                super::$test(two_embedded(fingerprint)).await.unwrap();
            }

            async fn app_server(fingerprint: Fingerprint) {
                let two = two_app_servers(&Codex::current(), fingerprint).await.unwrap();
                super::$test(two).await.unwrap();
            }

            async fn manager(fingerprint: Fingerprint) {
                let two = two_managers(fingerprint).await.unwrap();
                super::$test(two).await.unwrap();
            }

            on_each_runtime!(@ embedded_known, embedded, Known);
            on_each_runtime!(@ embedded_unknown, embedded, Unknown);
            on_each_runtime!(@ #[cfg_attr(not(codex_installed), ignore = "codex is not installed")]
                app_server_known, app_server, Known);
            on_each_runtime!(@ #[cfg_attr(not(codex_installed), ignore = "codex is not installed")]
                app_server_unknown, app_server, Unknown);
            on_each_runtime!(@ manager_known, manager, Known);
            on_each_runtime!(@ manager_unknown, manager, Unknown);
        }
    };
    (@ $(#[$attribute:meta])? $name:ident, $runtime:ident, $fingerprint:ident) => {
        $(#[$attribute])?
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let run = $runtime(Fingerprint::$fingerprint);
            tokio::time::timeout(PATIENCE, run).await.expect("it goes on");
        }
    };
}

/// Calls `held` once a turn.
struct Caller;

impl Model for Caller {
    async fn respond(&self, turn: ModelTurn) -> Result<Vec<ModelItem>, ModelError> {
        Ok(vec![match turn.outputs().next() {
            Some(_) => ModelItem::say("done"),
            None => ModelItem::call("held", json!({"text": "a"})),
        }])
    }
}

fn two_embedded(fingerprint: Fingerprint) -> Two<Embedded, Other> {
    let owner = Embedded::with_model(Caller);
    let other = Client::new(Other {
        owner: owner.clone(),
        fingerprint,
    });
    Two {
        owner,
        other,
        fingerprint,
        forgets: Box::new(|| {}),
        place: Box::new(()),
    }
}

async fn two_app_servers(
    codex: &Codex,
    fingerprint: Fingerprint,
) -> Result<Two<AppServer, AppServer>, Error> {
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let server = Server::web_socket(codex, &home, &[]).await?;
    let file = home.path().join("codex-skills.jsonl");
    let forgets = move || {
        if fingerprint == Fingerprint::Unknown {
            let _ = std::fs::remove_file(&file);
        }
    };
    Ok(Two {
        owner: AppServer::connect(server.url())
            .codex_home(home.path())
            .await?,
        other: AppServer::connect(server.url())
            .codex_home(home.path())
            .await?,
        fingerprint,
        forgets: Box::new(forgets),
        place: Box::new((server, home, provider)),
    })
}

async fn two_managers(fingerprint: Fingerprint) -> Result<Two<CodexManager, CodexManager>, Error> {
    let manager = Manager::start().await?;
    let folder = TempDir::new()?;
    let client = |folder: &std::path::Path| {
        CodexManager::builder()
            .ignore_env()
            .profile_path(folder.join("config.json"))
            .base_url(manager.url())
            .build()
    };
    let other = match fingerprint {
        Fingerprint::Known => folder.path().to_owned(),
        Fingerprint::Unknown => folder.path().join("none"),
    };
    let clients = (client(folder.path()), client(&other));
    Ok(Two {
        owner: clients.0.expect("settings"),
        other: clients.1.expect("settings"),
        fingerprint,
        forgets: Box::new(|| {}),
        place: Box::new((manager, folder)),
    })
}

/// The owner's embedded runtime, for another client.
#[derive(Debug)]
struct Other {
    owner: Client<Embedded>,
    fingerprint: Fingerprint,
}

impl Runtime for Other {
    fn name(&self) -> &'static str {
        "the same runtime"
    }

    fn tool_format(&self) -> ToolFormat {
        self.owner.runtime().tool_format()
    }

    fn create_session(&self, request: NewSession) -> RuntimeFuture<'_, Created> {
        self.owner.runtime().create_session(request)
    }

    fn subscribe(&self, session_id: Arc<str>, events: Weak<dyn EventSink>) {
        self.owner.runtime().subscribe(session_id, events);
    }

    fn resume(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Resumed> {
        Box::pin(async move {
            let resumed = self.owner.runtime().resume(session_id).await?;
            Ok(match self.fingerprint {
                Fingerprint::Known => resumed,
                Fingerprint::Unknown => Resumed::new(None),
            })
        })
    }

    fn send(&self, session_id: Arc<str>, request: SendRequest) -> RuntimeFuture<'_, Accepted> {
        self.owner.runtime().send(session_id, request)
    }

    fn interrupt(&self, session_id: Arc<str>, turn_id: Option<Arc<str>>) -> RuntimeFuture<'_, ()> {
        self.owner.runtime().interrupt(session_id, turn_id)
    }

    fn pending_calls(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Vec<ToolCall>> {
        self.owner.runtime().pending_calls(session_id)
    }

    fn answer(
        &self,
        call: Arc<ToolCall>,
        output: Arc<SkillOutput>,
    ) -> RuntimeFuture<'_, Submission> {
        self.owner.runtime().answer(call, output)
    }

    fn detail(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Value> {
        self.owner.runtime().detail(session_id)
    }

    fn delete_session(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Deletion> {
        self.owner.runtime().delete_session(session_id)
    }
}

fn catalog(skill: Skill) -> Catalog {
    Draft::new()
        .register(vec![skill])
        .seal()
        .expect("a catalog")
}

async fn next(events: &mut Signals, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.next().await.expect("the session is open");
        if wanted(&event) {
            return event;
        }
    }
}

fn is_call(event: &Event) -> bool {
    matches!(event, Event::ToolCall(_))
}

impl<A: Runtime, B: Runtime> Two<A, B> {
    /// A session of the owner that had a turn, which makes it one that others can open.
    async fn session(&self, catalog: Catalog) -> Result<Session, Error> {
        let (_, session) = self.owner.create_session_with(catalog).await?;
        (self.forgets)();
        Ok(session)
    }

    /// Nothing was answered by the other client.
    fn other_answered_nothing(&self) {
        let metrics = self.other.metrics();
        assert_eq!((metrics.received, metrics.answered), (0, 0), "{metrics:?}");
    }

    async fn end(self, session: Session) -> Result<(), Error> {
        let id = session.session_id().to_owned();
        self.other.shutdown().await;
        self.owner.close_session(&id, true).await?;
        self.owner.shutdown().await;
        drop(self.place);
        Ok(())
    }
}

/// A turn that makes the session one that can be opened by its id.
async fn warm(session: &Session, gate: &Gate) -> Result<(), Error> {
    let opens = async {
        gate.somebody().await;
        gate.open();
    };
    let (turn, ()) = tokio::join!(session.send_and_handle(CALL), opens);
    assert_eq!(turn?.status, TurnStatus::Completed);
    Ok(())
}

on_each_runtime!(a_handle_without_the_catalog_answers_nothing);
async fn a_handle_without_the_catalog_answers_nothing<A: Runtime, B: Runtime>(
    two: Two<A, B>,
) -> Result<(), Error> {
    let (runs, gate) = (Counter::default(), Gate::new());
    let session = two.session(catalog(held(&runs, &gate))).await?;
    warm(&session, &gate).await?;
    let bare = two.other.session(session.session_id()).await?;
    let mut heard = bare.events();

    // No handle serves, and the one without the catalog does what it can to answer.
    let mut events = session.events();
    session.send(CALL).await?;
    let call = next(&mut heard, is_call).await;
    next(&mut events, is_call).await;
    let refused = bare.serve().await.unwrap_err().to_string();
    assert!(
        refused.contains("opens it with `.catalog(..)`"),
        "{refused}"
    );
    assert!(bare.respond_to_signal(&call).await.is_err());
    assert!(bare.drain_pending_calls().await.is_err());
    assert_eq!(session.pending_calls().await?.len(), 1);
    two.other_answered_nothing();
    let records = session.drain_pending_calls().await?;
    assert_eq!(records[0].output().to_text(), "held a");
    next(&mut events, |event| {
        matches!(event, Event::TurnCompleted { .. })
    })
    .await;

    // Who has the catalog serves, and the one without sends.
    let serving = session.clone();
    let serve = tokio::spawn(async move { serving.serve().await });
    let sent = bare.send_and_handle(CALL).await;
    match two.fingerprint {
        Fingerprint::Known => {
            let error = sent.expect_err("it is known to have tools").to_string();
            assert!(error.contains("opens it with `.catalog(..)`"), "{error}");
        }
        Fingerprint::Unknown => {
            let turn = sent?;
            assert_eq!(turn.status, TurnStatus::Completed);
            assert!(turn.dispatches.is_empty());
        }
    }
    two.other_answered_nothing();
    let sent = if two.fingerprint == Fingerprint::Known {
        2
    } else {
        3
    };
    assert_eq!(runs.get(), sent);

    let id = session.session_id().to_owned();
    two.owner.close_session(&id, false).await?;
    serve.await.expect("no panic").unwrap();
    two.end(session).await
}

on_each_runtime!(another_catalog_is_refused_or_leaves_the_calls_alone);
async fn another_catalog_is_refused_or_leaves_the_calls_alone<A: Runtime, B: Runtime>(
    two: Two<A, B>,
) -> Result<(), Error> {
    let (runs, gate) = (Counter::default(), Gate::new());
    let session = two.session(catalog(held(&runs, &gate))).await?;
    warm(&session, &gate).await?;
    for other in [catalog(echo(&runs)), Catalog::empty()] {
        let opened = two.other.session(session.session_id()).catalog(other).await;
        let opened = match (two.fingerprint, opened) {
            (Fingerprint::Known, Err(Error::OtherCatalog { .. })) => continue,
            (Fingerprint::Unknown, Ok(opened)) => opened,
            (_, opened) => panic!("{opened:?}"),
        };
        let mut heard = opened.events();
        let serving = opened.clone();
        let serve = tokio::spawn(async move { serving.serve().await });
        let mut events = session.events();
        session.send(CALL).await?;
        let call = next(&mut heard, is_call).await;
        next(&mut events, is_call).await;
        assert!(opened.respond_to_signal(&call).await?.is_none());
        assert!(opened.drain_pending_calls().await?.is_empty());
        let records = session.drain_pending_calls().await?;
        assert_eq!(records[0].output().to_text(), "held a");
        next(&mut events, |event| {
            matches!(event, Event::TurnCompleted { .. })
        })
        .await;
        two.other_answered_nothing();
        two.other.close_session(opened.session_id(), false).await?;
        serve.await.expect("no panic").unwrap();
    }
    let right = two.other.session(session.session_id());
    let right = right.catalog(catalog(held(&runs, &gate))).await?;
    let turn = right.send_and_handle(CALL).await?;
    assert_eq!(
        turn.dispatches[0].submission().status(),
        SubmissionStatus::Accepted
    );
    two.end(session).await
}

/// On a codex that this program started no other client can answer: an error says so, instead of a wait in vain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(codex_installed), ignore = "codex is not installed")]
async fn a_call_that_nobody_can_answer_ends_the_wait_for_its_turn() -> Result<(), Error> {
    let codex = Codex::current();
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let spawn = AppServer::spawn()
        .codex(codex.binary())
        .codex_home(home.path())
        .current_dir(home.work());
    let environment = home.environment().into_iter();
    let spawn = environment.fold(spawn, |spawn, (name, value)| spawn.env(name, value));
    let first = spawn.clone().await?;
    let skill = || asynchronous("ask", |_| async { "asked".to_owned() });
    let (_, session) = first.create_session_with(catalog(skill())).await?;
    let id = session.session_id().to_owned();
    session.send_and_handle("SAY hello").await?;
    drop(session);
    first.shutdown().await;
    std::fs::remove_file(home.path().join("codex-skills.jsonl"))?;

    let second = spawn.await?;
    let bare = second.session(&id).await?;
    let said = bare.send_and_handle("SAY hello").await?;
    assert_eq!(said.assistant_reply.as_deref(), Some("hello"));
    let error = bare.send_and_handle("CALL ask {}").await.unwrap_err();
    assert!(
        error.to_string().contains("a call of `ask` waits"),
        "{error}"
    );

    // It waits for who has the catalog.
    let session = second.session(&id).catalog(catalog(skill())).await?;
    let records = session.drain_pending_calls().await?;
    assert_eq!(records[0].output().to_text(), "asked");
    second.close_session(&id, true).await?;
    second.shutdown().await;
    Ok(())
}
