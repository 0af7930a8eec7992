//! Many sessions on a connection that breaks all the time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use codex_skills::app_server::RestartPolicy;
use codex_skills::{AppServer, Error, RuntimeErrorKind, Session, Skill, TurnStatus};
use codex_skills_tests::codex::{Codex, Home, Server};
use codex_skills_tests::provider::Provider;
use codex_skills_tests::relay::Relay;
use codex_skills_tests::skills::Said;
use fastrand::Rng;
use futures_util::future::join_all;

use crate::support::{call, catalog, on_codex};

const SEED: u64 = 7;
const SESSIONS: usize = 6;
const TURNS: usize = 4;

/// How often each text was said.
type Runs = Arc<Mutex<BTreeMap<String, usize>>>;

/// A skill that takes a moment.
fn slow(runs: &Runs) -> Skill {
    let runs = runs.clone();
    Skill::builder("slow").handler(move |said: Said| {
        *runs
            .lock()
            .expect("no panic")
            .entry(said.text.clone())
            .or_default() += 1;
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, std::convert::Infallible>(said.text)
        }
    })
}

/// So many turns of three rounds that are completed, as far as this client knows.
async fn converse(session: &Session, name: usize) -> Result<(), Error> {
    let mut completed = 0;
    for turn in 0.. {
        let said = |round: usize| (0..2).map(move |at| format!("{name}-{turn}-{round}-{at}"));
        let rounds: Vec<String> = (0..3).map(|round| call("slow", said(round))).collect();
        match session.send_and_handle(rounds.join("\nTHEN\n")).await {
            Ok(turn) => completed += usize::from(turn.status == TurnStatus::Completed),
            // The request was on its way when the connection broke.
            Err(Error::Runtime(error)) if error.kind() == RuntimeErrorKind::Unavailable => {}
            Err(error) => return Err(error),
        }
        if completed == TURNS {
            break;
        }
    }
    Ok(())
}

on_codex!(no_call_runs_twice_and_none_hangs_while_connections_break: current);
async fn no_call_runs_twice_and_none_hangs_while_connections_break(
    codex: Codex,
) -> Result<(), Error> {
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut server = Server::web_socket(&codex, &home, &[]).await?;
    let relay = Relay::before(server.url()).await?;
    let client = AppServer::connect(relay.url())
        .restart(RestartPolicy {
            attempts: 100,
            delay: Duration::from_millis(2),
            max_delay: Duration::from_millis(20),
        })
        .await?;
    let runs = Runs::default();
    let skills = catalog([slow(&runs)]);
    let sessions = (0..SESSIONS).map(|_| client.create_session_with(skills.clone()));
    let sessions: Vec<(_, Session)> = join_all(sessions.map(IntoFuture::into_future))
        .await
        .into_iter()
        .collect::<Result<_, _>>()?;

    let talk = join_all(
        sessions
            .iter()
            .enumerate()
            .map(|(name, (_, session))| converse(session, name)),
    );
    let breaks = async {
        let mut rng = Rng::with_seed(SEED);
        loop {
            tokio::time::sleep(Duration::from_millis(rng.u64(20..200))).await;
            relay.cut();
        }
    };
    let talked = tokio::select! {
        talked = tokio::time::timeout(Duration::from_secs(120), talk) => talked.expect("a turn hangs"),
        () = breaks => Vec::new(),
    };
    talked.into_iter().collect::<Result<(), _>>()?;

    assert!(
        client.runtime().reconnects() > 3,
        "{}",
        client.runtime().reconnects()
    );
    let twice: Vec<(String, usize)> = runs
        .lock()
        .expect("no panic")
        .clone()
        .into_iter()
        .filter(|(_, runs)| *runs > 1)
        .collect();
    assert!(twice.is_empty(), "calls ran more than once: {twice:?}");
    for call in provider.calls() {
        assert!(
            provider.outputs(&call).len() <= 1,
            "{call:?} was answered twice"
        );
    }
    for (_, session) in &sessions {
        let report = client.close_session(session.session_id(), true).await?;
        assert!(report.deleted(), "{report}");
    }
    client.shutdown().await;
    server.process().terminate()?;
    server.process().ended().await?;
    home.until_no_process_is_left().await;
    assert!(home.rollouts().is_empty());
    Ok(())
}
