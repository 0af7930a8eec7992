//! A client of a codex-manager of our own, with skills that say what they did.
#![allow(dead_code, reason = "not every test crate needs everything")]

use std::sync::Arc;
use std::time::Duration;

use codex_skills::manager::CodexManagerBuilder;
use codex_skills::{
    Catalog, Client, CodexManager, DispatchRecord, Draft, Error, Limits, RetryPolicy, Skill,
    SubmissionStatus, TurnIncomplete,
};
use codex_skills_tests::manager::{CallLog, Manager};
#[allow(unused_imports, reason = "not every test crate needs everything")]
pub(crate) use codex_skills_tests::skills::{Said, echo, held};

pub(crate) fn catalog(skills: Vec<Skill>) -> Catalog {
    Draft::new().register(skills).seal().expect("a catalog")
}

/// Settings with which nothing takes long.
pub(crate) fn builder(manager: &Manager) -> CodexManagerBuilder {
    CodexManager::builder()
        .ignore_env()
        .profile_path("/nowhere/config.json")
        .base_url(manager.url())
        .connect_timeout(Duration::from_secs(2))
        .heartbeat(Duration::from_millis(150))
        .reconnect_delays(Duration::from_millis(5), Duration::from_millis(100))
        .poll_intervals(Duration::from_millis(30), Duration::from_millis(200))
}

pub(crate) fn limits() -> Limits {
    Limits {
        submission: RetryPolicy {
            delay: Duration::from_millis(2),
            max_delay: Duration::from_millis(20),
            ..RetryPolicy::default()
        },
        ..Limits::default()
    }
}

pub(crate) fn client(manager: &Manager) -> Client<CodexManager> {
    builder(manager)
        .build()
        .expect("settings")
        .with_limits(limits())
}

pub(crate) async fn start() -> (Manager, Client<CodexManager>) {
    let manager = Manager::start().await.expect("a port");
    let client = client(&manager);
    (manager, client)
}

/// The only call that there was.
pub(crate) fn only(manager: &Manager) -> CallLog {
    let mut calls = manager.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.remove(0)
}

pub(crate) fn statuses(records: &[Arc<DispatchRecord>]) -> Vec<SubmissionStatus> {
    records
        .iter()
        .map(|record| record.submission().status())
        .collect()
}

/// What is known of a turn that was lost.
pub(crate) fn lost<T: std::fmt::Debug>(turn: Result<T, Error>) -> TurnIncomplete {
    match turn {
        Err(Error::TurnLost { turn }) => *turn,
        other => panic!("it was not lost: {other:?}"),
    }
}
