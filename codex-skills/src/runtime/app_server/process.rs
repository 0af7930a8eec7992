//! The codex process: finds it, starts it, ends it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::child::Child;
use super::error::AppServerError;
use super::locate;
use crate::runtime::peer;

/// Lines of stderr kept for the error about a process that does not start.
const STDERR_LINES: usize = 10;
/// Bytes kept of a line of stderr.
const STDERR_BYTES: u64 = 4096;

/// The command line and environment of codex.
#[derive(Clone, Default)]
pub(super) struct Program {
    pub(super) codex: Option<PathBuf>,
    pub(super) home: Option<PathBuf>,
    pub(super) directory: Option<PathBuf>,
    pub(super) overrides: Vec<String>,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
}

/// Leaves out the values of settings and variables, which may be secrets.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = |setting: &String| setting.split('=').next().map(str::to_owned);
        let settings: Vec<_> = self.overrides.iter().filter_map(key).collect();
        let variables: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("Program")
            .field("codex", &self.codex)
            .field("codex_home", &self.home)
            .field("current_dir", &self.directory)
            .field("config", &settings)
            .field("env", &variables)
            .finish_non_exhaustive()
    }
}

/// A running codex, with what reads and writes it taken out.
pub(super) struct Process {
    child: Child,
    stderr: Arc<Mutex<VecDeque<String>>>,
    logging: JoinHandle<()>,
}

impl Program {
    /// The program itself. It looks at files, and so blocks.
    pub(super) fn find(&self) -> Result<PathBuf, AppServerError> {
        locate::find(self.codex.as_deref())
    }

    /// The home that codex is given by name.
    pub(super) fn named_home(&self) -> Option<PathBuf> {
        self.home.as_ref().map(|home| self.seen_by_codex(home))
    }

    /// The home that codex has unless it is given one by name.
    pub(super) fn inherited_home(&self) -> Option<PathBuf> {
        let set = |variable: &str| {
            let own = self.environment.iter().rev();
            let own = own
                .filter(|(name, _)| name == variable)
                .map(|(_, value)| value.clone());
            let value = own.chain(std::env::var_os(variable)).next()?;
            (!value.is_empty()).then(|| PathBuf::from(value))
        };
        let home = set("CODEX_HOME").or_else(|| {
            let user = set("HOME").or_else(std::env::home_dir)?;
            Some(user.join(".codex"))
        })?;
        Some(self.seen_by_codex(&home))
    }

    /// A path as codex sees it, from where it runs.
    fn seen_by_codex(&self, path: &Path) -> PathBuf {
        let path = match &self.directory {
            Some(directory) => directory.join(path),
            None => path.to_owned(),
        };
        std::path::absolute(&path).unwrap_or(path)
    }

    /// Starts `codex app-server`. Within a tokio runtime only.
    pub(super) fn start(
        &self,
        path: &Path,
    ) -> Result<(Process, ChildStdin, ChildStdout), AppServerError> {
        let mut command = Command::new(path);
        for setting in &self.overrides {
            command.arg("-c").arg(setting);
        }
        for (name, _) in std::env::vars_os() {
            if is_credential(&name) {
                command.env_remove(name);
            }
        }
        command
            .arg("app-server")
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(home) = &self.home {
            command.env("CODEX_HOME", home);
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let mut child = Child::start(command).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound && self.directory.is_none() {
                AppServerError::NotFound {
                    looked_for: self.codex.clone(),
                }
            } else {
                AppServerError::CannotStart {
                    path: path.to_owned(),
                    error,
                }
            }
        })?;
        let Some((stdin, stdout, stderr)) = child.take_pipes() else {
            return Err(AppServerError::CannotStart {
                path: path.to_owned(),
                error: std::io::Error::other("its pipes are missing"),
            });
        };
        let lines = Arc::default();
        let logging = tokio::spawn(log(stderr, Arc::clone(&lines)));
        let process = Process {
            child,
            stderr: lines,
            logging,
        };
        Ok((process, stdin, stdout))
    }
}

/// Whether a variable holds a credential of this library, which no command of a model is to read.
fn is_credential(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    let ours = ["CODEX_MANAGER_", "CODEX_SKILLS_"];
    let secret = ["TOKEN", "SECRET", "PASSWORD", "KEY"];
    ours.iter().any(|prefix| name.starts_with(prefix))
        && secret.iter().any(|suffix| name.ends_with(suffix))
}

impl Process {
    /// The id of the process, while it has not ended.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for its end, and says how it ended.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// The end of what it wrote to its stderr, once it has ended.
    pub(super) async fn last_words(&mut self, grace: Duration) -> String {
        // A child of its own may hold the pipe open.
        let _ = tokio::time::timeout(grace, &mut self.logging).await;
        let lines = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = Vec::from_iter(lines.iter().map(String::as_str)).join("\n");
        peer::end(&lines).to_owned()
    }

    /// Ends it in three steps of `grace` each: waits, since its stdin is closed already, which a healthy codex follows;
    /// then SIGTERM; then SIGKILL.
    pub(super) async fn end(mut self, grace: Duration) {
        for step in [Step::Wait, Step::Tell, Step::Make] {
            match step {
                Step::Wait => {}
                Step::Tell => {
                    tracing::debug!(target: "codex_skills::app_server", "codex does not end, and is told to");
                    self.child.tell();
                }
                Step::Make => {
                    tracing::warn!(target: "codex_skills::app_server", "codex does not end, and is killed");
                    if let Err(error) = self.child.kill().await {
                        tracing::warn!(target: "codex_skills::app_server", %error, "codex cannot be killed");
                    }
                }
            }
            if tokio::time::timeout(grace, self.child.wait()).await.is_ok() {
                return;
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Step {
    Wait,
    Tell,
    Make,
}

/// Writes stderr to the log, line by line.
async fn log(stderr: ChildStderr, kept: Arc<Mutex<VecDeque<String>>>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    let mut is_trace = false;
    loop {
        line.clear();
        match (&mut stderr)
            .take(STDERR_BYTES)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = plain(&String::from_utf8_lossy(&line));
        tracing::debug!(target: "codex_skills::app_server::stderr", "{text}");
        // What follows is a backtrace of codex, which does not say why it failed.
        is_trace |= text.starts_with("Stack backtrace");
        if is_trace || text.is_empty() {
            continue;
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == STDERR_LINES {
            kept.pop_front();
        }
        kept.push_back(text);
    }
}

/// A line without the escapes that colour it.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.trim_end().chars();
    while let Some(char) = rest.next() {
        if char == '\u{1b}' {
            // Up to the letter that ends the escape.
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else if !char.is_control() {
            text.push(char);
        }
    }
    text
}
