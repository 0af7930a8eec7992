//! What a program can read in its logs, and what it must never find there.

#[path = "manager/support.rs"]
mod support;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use codex_skills::embedded::Step;
use codex_skills::{Embedded, Error, Skill, SubmissionStatus};
use codex_skills_tests::faulty::{Faulty, Operation};
use codex_skills_tests::manager::{Fault, Manager};
use codex_skills_tests::skills::asynchronous;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::support::{Said, builder, catalog, limits};

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).expect("text")
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

const SECRETS: [&str; 12] = [
    "secret-bearer",
    "secret-rbac",
    "secret-header",
    "secret-password",
    "secret-request",
    "secret-argument",
    "secret-answer",
    "secret-failure",
    "secret-panic",
    "secret-misfit",
    "secret-frame",
    "secret-large",
];

const REQUEST: &str = r#"secret-request
CALL tell {"text":"secret-argument"}
CALL fail {"text":"secret-argument"}
CALL panics {}
CALL tell {"text":{"secret-misfit":1}}
CALL tell {"secret-misfit":1}
CALL large {}"#;

/// One line of the log, with everything that it should say.
fn line<'a>(log: &'a str, parts: &[&str]) -> &'a str {
    log.lines()
        .find(|line| parts.iter().all(|part| line.contains(part)))
        .unwrap_or_else(|| panic!("no line has {parts:?}:\n{log}"))
}

/// Plays turns in which much goes wrong, and returns the ids of the session and of the first turn.
async fn play(manager: &Manager) -> Result<(String, String), Error> {
    let url = manager.url().replace("://", "://somebody:secret-password@");
    let client = builder(manager)
        .base_url(url)
        .bearer("secret-bearer")
        .rbac("secret-rbac", "role", "actor")
        .header("x-key", "secret-header")
        .build()
        .expect("settings")
        .with_limits(limits());
    let tell = Skill::builder("tell").handler(|said: Said| async move {
        tracing::info!(target: "handler", "it runs");
        Ok::<_, std::convert::Infallible>(format!("{} secret-answer", said.text))
    });
    let fail = Skill::builder("fail").handler(|said: Said| async move {
        Err::<String, _>(io::Error::other(format!("{} secret-failure", said.text)))
    });
    let panics = asynchronous("panics", |_| async { panic!("secret-panic") });
    let large = asynchronous("large", |_| async { "secret-large".repeat(100_000) });
    let run = client
        .lifecycle_with(catalog(vec![tell, fail, panics, large]))
        .await?;
    manager.force(Fault::ErrorBefore, 2);
    manager.force(Fault::TooManyRequests, 1);
    manager.force(Fault::Malformed, 1);
    let turn = run.send_and_handle(REQUEST).await?;
    for payload in [json!("secret-frame"), json!({"params": "secret-frame"})] {
        let frame = json!({
            "type": "app_server.request.item.tool.call", "threadId": run.session_id(), "payload": payload,
        });
        manager.emit(&frame);
    }
    // Once this turn is over, those frames were read.
    run.send_and_handle("secret-request").await?;
    manager.cut_connections();
    manager
        .until("there is another stream", |manager| {
            manager.count("GET", "/api/stream") == 2
        })
        .await;
    run.send_and_handle("secret-request").await?;
    run.send_and_handle("CALL panics {}")
        .timeout(Duration::from_secs(30))
        .await?;
    let session_id = run.session_id().to_owned();
    tracing::trace!(target: "debug", ?client, ?run, "as a program would log them");
    run.close().await?;
    client.shutdown().await;
    Ok((session_id, turn.turn_id))
}

#[test]
fn logs_have_spans_with_ids_and_outcomes_and_no_secret_at_any_level() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(log.clone())
        .init();
    // The panic of the handler is the program's to print or not.
    std::panic::set_hook(Box::new(|_| {}));
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let (session, turn) = tokio.block_on(async {
        let manager = Manager::start().await.expect("a port");
        play(&manager).await.expect("turns")
    });
    drop(tokio);
    drop(std::panic::take_hook());
    let log = log.text();
    for secret in SECRETS {
        assert!(
            !log.contains(secret),
            "{secret}:\n{}",
            line(&log, &[secret])
        );
    }
    let in_session = format!("session{{session=\"{session}\" runtime=\"codex-manager\" skills=4");
    let in_turn = format!(":turn{{session=\"{session}\" turn=\"{turn}\"");
    let ended = format!("{in_session} outcome=");
    let ended = line(&log, &[" INFO ", &ended, "codex_skills::session: close"]);
    assert!(ended.contains(" duration_ms="), "{ended}");
    let ended = format!("{in_turn} outcome=completed duration_ms=");
    line(&log, &[" INFO ", &in_session, &ended, "close"]);
    for (tool, outcome) in [
        ("tell", "completed"),
        ("fail", "failed"),
        ("panics", "panicked"),
        ("tell", "invalid arguments"),
        ("large", "too large"),
    ] {
        let (tool, outcome) = (
            format!(":call{{tool=\"{tool}\""),
            format!("outcome={outcome}"),
        );
        let parts = [" INFO ", &in_session, &in_turn, &tool, &outcome, "close"];
        let ended = line(&log, &parts);
        for field in ["call=\"call_", "submission=", "waited_ms=", "ran_ms="] {
            assert!(ended.contains(field), "{field}: {ended}");
        }
    }
    line(
        &log,
        &[
            &in_session,
            &in_turn,
            ":call{tool=\"tell\"",
            "handler: it runs",
        ],
    );
    line(
        &log,
        &[
            "WARN",
            "codex_skills::manager",
            "cannot be read",
            "not of the expected form",
        ],
    );
    line(&log, &["codex_skills::manager", "the stream is down"]);
}

/// Panics when it hears how a call ended.
#[derive(Clone, Default)]
struct Horrified(Arc<AtomicUsize>);

impl<S> Layer<S> for Horrified
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    fn on_record(
        &self,
        id: &tracing::span::Id,
        _: &tracing::span::Record<'_>,
        context: Context<'_, S>,
    ) {
        if context.span(id).is_some_and(|span| span.name() == "call") {
            self.0.fetch_add(1, Ordering::SeqCst);
            assert!(std::thread::panicking(), "in a subscriber");
        }
    }
}

#[tokio::test]
async fn a_subscriber_that_panics_settles_no_call_twice() {
    let horrified = Horrified::default();
    let subscriber = tracing_subscriber::registry().with(horrified.clone());
    let _horrified = tracing::subscriber::set_default(subscriber);
    let codex = Embedded::scripted([Step::call("ping", json!({}))]);
    let ping = asynchronous("ping", |_| async { "pong".to_owned() });
    let session = codex.create_session(|draft| draft.register([ping])).await;
    let turn = session.expect("a session").1.send_and_handle("go").await;
    let dispatches = turn.expect("a turn").dispatches;
    assert_eq!(dispatches.len(), 1);
    let status = dispatches[0].submission().status();
    assert_eq!(status, SubmissionStatus::Accepted);
    assert_eq!(horrified.0.load(Ordering::SeqCst), 1);
    let metrics = codex.metrics();
    assert_eq!((metrics.running, metrics.answered), (0, 1));
    assert_eq!(
        (metrics.undelivered.total(), metrics.failed.total()),
        (0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn deletions_that_stay_due_are_written_to_the_log_now_and_then() {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::WARN)
        .with_writer(log.clone())
        .finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let client = Faulty::client(Embedded::demo());
    let runtime = client.runtime();
    runtime.set_broken(Operation::Delete, true);
    for _ in 0..3 {
        let run = client
            .lifecycle_with(catalog(Vec::new()))
            .await
            .expect("a session");
        assert!(run.close().await.expect("a report").is_due());
    }
    let asked = runtime.count(Operation::Delete);
    tokio::time::sleep(HOUR).await;
    let attempts = runtime.count(Operation::Delete) - asked;
    let lines = |log: &Log| log.text().matches("was not deleted yet").count();
    assert!(attempts > 100, "{attempts}");
    assert!((5..=5 * 13).contains(&lines(&log)), "{} lines", lines(&log));
    assert!(log.text().contains("due=3"), "{}", log.text());
    runtime.set_broken(Operation::Delete, false);
    client.shutdown().await;
}
