//! A client of a codex of its own, and what must be so when it is done.

use std::time::Duration;

use codex_skills::app_server::SpawnAppServer;
use codex_skills::{AppServer, Catalog, Client, Draft, Error, Event, Signals, Skill};
use codex_skills_tests::codex::{Codex, Home};
use codex_skills_tests::provider::Provider;
use serde_json::json;

/// Runs a test on the versions that are named.
macro_rules! on_codex {
    ($test:ident: $($which:ident),+) => {
        mod $test {
            $($crate::support::on_codex!(@$which $test);)+
        }
    };
    (@current $test:ident) => {
        $crate::support::on_codex!(@run codex_installed, current, $test);
    };
    (@previous $test:ident) => {
        $crate::support::on_codex!(@run previous_codex_installed, previous, $test);
    };
    (@old $test:ident) => {
        $crate::support::on_codex!(@run old_codex_installed, old, $test);
    };
    (@run $installed:ident, $which:ident, $test:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[cfg_attr(not($installed), ignore = "this codex is not installed: run tests/e2e/install.sh")]
        async fn $which() -> Result<(), codex_skills::Error> {
            super::$test(codex_skills_tests::codex::Codex::$which()).await
        }
    };
}
pub(crate) use on_codex;

pub(crate) struct Rig {
    pub(crate) client: Client<AppServer>,
    pub(crate) home: Home,
    pub(crate) provider: Provider,
    pub(crate) codex: Codex,
}

impl Rig {
    pub(crate) async fn start(codex: Codex) -> Result<Self, Error> {
        Self::with(codex, |spawn| spawn).await
    }

    /// One whose codex is started with more options.
    pub(crate) async fn with(
        codex: Codex,
        options: impl FnOnce(SpawnAppServer) -> SpawnAppServer,
    ) -> Result<Self, Error> {
        let provider = Provider::start().await?;
        let home = Home::new(&provider)?;
        let client = options(spawn(&codex, &home)).await?;
        Ok(Self {
            codex,
            provider,
            home,
            client,
        })
    }

    /// Returns the outputs that the model read, one for each call.
    pub(crate) fn answers(&self) -> Vec<String> {
        answers(&self.provider)
    }

    /// Ends it: each call was answered once, and neither a process nor a thread is left.
    pub(crate) async fn end(self) -> Result<(), Error> {
        self.answers();
        self.end_unanswered().await
    }

    /// The same where turns ended before the model read the outputs of their calls.
    pub(crate) async fn end_unanswered(self) -> Result<(), Error> {
        let report = self.client.shutdown().await;
        assert!(report.runtime_error.is_none(), "{report:?}");
        assert_eq!(report.cancelled_calls, 0, "{report:?}");
        self.home.until_no_process_is_left().await;
        let mut left = self.home.rollouts();
        if self.codex.is_old() {
            // It cannot delete threads.
            left.retain(|path| {
                !path
                    .components()
                    .any(|part| part.as_os_str() == "archived_sessions")
            });
        }
        assert!(left.is_empty(), "threads are left: {left:?}");
        Ok(())
    }
}

/// A codex in this home.
pub(crate) fn spawn(codex: &Codex, home: &Home) -> SpawnAppServer {
    let spawn = AppServer::spawn()
        .codex(codex.binary())
        .codex_home(home.path())
        .current_dir(home.work());
    let environment = home.environment().into_iter();
    environment.fold(spawn, |spawn, (name, value)| spawn.env(name, value))
}

/// Returns the outputs that the models read, one for each call.
pub(crate) fn answers(provider: &Provider) -> Vec<String> {
    let answer = |call| {
        let outputs = provider.outputs(call);
        assert_eq!(outputs.len(), 1, "{call:?}: {outputs:?}");
        outputs[0].text()
    };
    provider.calls().iter().map(answer).collect()
}

pub(crate) fn catalog(skills: impl IntoIterator<Item = Skill>) -> Catalog {
    let skills: Vec<Skill> = skills.into_iter().collect();
    Draft::new().register(skills).seal().expect("a catalog")
}

/// The lines of a script that call a skill with these texts at the same time.
pub(crate) fn call(skill: &str, texts: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    let lines = texts
        .into_iter()
        .map(|text| format!("CALL {skill} {{\"text\":\"{text}\"}}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The line of a script that runs a command, which codex does only when it is allowed to.
pub(crate) fn command(line: &str) -> String {
    let arguments =
        json!({"cmd": line, "sandbox_permissions": "require_escalated", "justification": "a test"});
    format!("CALL exec_command {arguments}")
}

/// Waits for what no event tells of.
pub(crate) async fn until(what: &str, so: impl Fn() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
    assert!(waited.is_ok(), "waited in vain until {what}");
}

/// Waits for an event.
pub(crate) async fn next(events: &mut Signals, wanted: impl Fn(&Event) -> bool) {
    while let Some(event) = events.next().await {
        if wanted(&event) {
            return;
        }
    }
    panic!("the session is closed");
}
