//! A home of codex for one test.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::PATIENCE;
use crate::provider::Provider;

/// How long it takes to look again whether processes are gone.
const PAUSE: Duration = Duration::from_millis(5);

/// A home whose model is a provider of ours, and a directory to work in. They are gone when it is dropped, and what
/// works for it still is killed.
#[derive(Debug)]
pub struct Home {
    directory: TempDir,
}

impl Home {
    /// A home for this provider.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn new(provider: &Provider) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("codex-skills-").tempdir()?;
        let home = Self { directory };
        fs::create_dir(home.path())?;
        fs::create_dir(home.work())?;
        let configuration = configuration(&provider.url());
        fs::write(home.path().join("config.toml"), configuration)?;
        Ok(home)
    }

    /// What codex knows as `CODEX_HOME`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// Where it works.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    /// A path for a socket, at which nothing is yet.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// What the environment of a codex has besides ours. No proxy is between it and its provider.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let directory = |path: &Path| path.display().to_string();
        vec![
            ("CODEX_HOME".to_owned(), directory(&self.path())),
            ("HOME".to_owned(), directory(self.directory.path())),
            ("NO_PROXY".to_owned(), "127.0.0.1".to_owned()),
            ("no_proxy".to_owned(), "127.0.0.1".to_owned()),
        ]
    }

    /// The threads that are stored, archived ones too.
    #[must_use]
    pub fn rollouts(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![
            self.path().join("sessions"),
            self.path().join("archived_sessions"),
        ];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    open.push(path);
                } else if path
                    .extension()
                    .is_some_and(|extension| extension == "jsonl")
                {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// The processes that work for this home, of whatever program.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let mark = format!("CODEX_HOME={}", self.path().display());
        let is_ours = |id: &u32| {
            let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark.as_bytes())
        };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(is_ours)
            .collect()
    }

    /// The codex that works for this home: the process that no other of them started.
    #[must_use]
    pub fn codex(&self) -> Option<u32> {
        let all = self.processes();
        let parent = |id: &u32| -> Option<u32> {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            // The name before it may contain anything.
            let (_, rest) = stat.rsplit_once(") ")?;
            rest.split_whitespace().nth(1)?.parse().ok()
        };
        let is_first = |id: &u32| parent(id).is_some_and(|parent| !all.contains(&parent));
        all.iter().copied().find(is_first)
    }

    /// Waits until no process works for this home.
    ///
    /// # Panics
    /// When one still does after a minute.
    #[allow(clippy::panic, reason = "a test that waits in vain has failed")]
    pub async fn until_no_process_is_left(&self) {
        let wait = async {
            // The end of another process's child is no event for us.
            while !self.processes().is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("processes of codex are left: {:?}", self.processes());
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // A process that still writes would leave a part of the directory behind.
        for _ in 0..200 {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            for id in left
                .into_iter()
                .filter_map(|id| Pid::from_raw(id.cast_signed()))
            {
                let _ = kill_process(id, Signal::KILL);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

fn configuration(url: &str) -> String {
    format!(
        r#"model = "mock-model"
model_provider = "mock"
approval_policy = "never"
sandbox_mode = "read-only"
check_for_update_on_startup = false

[model_providers.mock]
name = "mock"
base_url = "{url}"
wire_api = "responses"
requires_openai_auth = false
request_max_retries = 0
stream_max_retries = 0

[analytics]
enabled = false

[features]
plugins = false
"#
    )
}
