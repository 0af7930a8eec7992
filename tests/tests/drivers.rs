//! A tokio runtime that lacks something is refused with what it lacks, wherever something is opened, and nothing panics.

use std::fmt::Display;
use std::future::IntoFuture;

use codex_skills::embedded::Step;
use codex_skills::{AppServer, Client, CodexManager, Draft, Embedded, Error, RequestHandler};
use futures_util::FutureExt as _;
use tokio::runtime::{Builder, Runtime};

/// A tokio runtime, or none.
#[derive(Clone, Copy, Debug)]
enum Lacks {
    Everything,
    Time,
    Io,
}

impl Lacks {
    fn runtime(self) -> Option<Runtime> {
        let mut builder = Builder::new_current_thread();
        match self {
            Self::Everything => return None,
            Self::Time => builder.enable_io(),
            Self::Io => builder.enable_time(),
        };
        Some(builder.build().unwrap())
    }

    /// What the error says of it.
    fn said(self) -> &'static str {
        match self {
            Self::Everything => {
                "there is no tokio runtime here: use `#[tokio::main]`, or `codex_skills::blocking`"
            }
            Self::Time => {
                "this tokio runtime has no time, which deadlines need: build it with `enable_all()`"
            }
            Self::Io => {
                "this tokio runtime has no I/O, which connections need: build it with `enable_all()`"
            }
        }
    }

    /// Has `work` fail for it, with an error that begins so.
    fn refuses<T, E: Display>(self, beginning: &str, work: impl IntoFuture<Output = Result<T, E>>) {
        let work = work.into_future();
        let outcome = match self.runtime() {
            Some(tokio) => tokio.block_on(work),
            None => work.now_or_never().expect("it fails at once"),
        };
        let error = outcome.err().expect("it fails").to_string();
        assert_eq!(error, format!("{beginning}: {}", self.said()));
    }
}

fn manager() -> Client<CodexManager> {
    let builder = CodexManager::builder().base_url("http://127.0.0.1:1/api");
    builder.build().unwrap()
}

#[test]
fn an_embedded_session_needs_time() {
    for lacks in [Lacks::Everything, Lacks::Time] {
        let codex = Embedded::demo();
        let created = codex.create_session(|draft: Draft| draft);
        lacks.refuses("the embedded runtime could not create the session", created);
        let opened = codex.session("01a2");
        lacks.refuses("the embedded runtime could not open the session", opened);
    }
}

#[test]
fn an_embedded_session_needs_no_io() {
    let tokio = Lacks::Io.runtime().unwrap();
    tokio.block_on(async {
        let codex = Embedded::scripted([Step::say("Done.")]);
        let run = codex.lifecycle(|draft| draft).await.unwrap();
        let turn = run.send_and_handle("Go.").require_reply().await.unwrap();
        assert_eq!(turn.assistant_reply, "Done.");
        assert!(run.close().await.unwrap().deleted());
    });
}

#[test]
fn an_app_server_needs_time_and_io() {
    for lacks in [Lacks::Everything, Lacks::Time, Lacks::Io] {
        let beginning = "codex app-server cannot be used here";
        lacks.refuses(beginning, AppServer::spawn());
        lacks.refuses(beginning, AppServer::connect("ws://127.0.0.1:1"));
        lacks.refuses(beginning, AppServer::connect_unix("/no/such/socket"));
    }
}

#[test]
fn a_codex_manager_needs_time_and_io() {
    for lacks in [Lacks::Everything, Lacks::Time, Lacks::Io] {
        let codex = manager();
        let created = codex.create_session(|draft: Draft| draft);
        lacks.refuses("codex-manager could not create the session", created);
        let opened = codex.session("01a2").on_request(RequestHandler::refuse());
        lacks.refuses("codex-manager could not open the session", opened);
        let runtime = codex.runtime();
        lacks.refuses(
            "codex-manager could not ask for its health",
            runtime.health(),
        );
        let listed = runtime.list_sessions(None);
        lacks.refuses("codex-manager could not list the sessions", listed);
    }
}

#[test]
fn the_blocking_client_brings_its_own() {
    let failed = AppServer::spawn().codex("/no/such/codex").wait();
    let error = failed.err().map(|error: Error| error.to_string()).unwrap();
    assert!(error.contains("codex was not found"), "{error}");
}
