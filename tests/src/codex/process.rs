//! Processes of codex.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::{Codex, Home, PATIENCE};

/// A `codex app-server`, in a process group of its own. It is killed with its children when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    id: Option<Pid>,
}

impl Process {
    /// Starts one with piped streams.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(codex: &Codex, home: &Home, arguments: &[&str]) -> io::Result<Self> {
        let child = Command::new(codex.binary())
            .arg("app-server")
            .args(arguments)
            .envs(home.environment())
            .current_dir(home.work())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok(Self { child, id })
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its id, of the process and of its group.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks it to end.
    ///
    /// # Errors
    /// When it is gone.
    pub fn terminate(&self) -> io::Result<()> {
        let id = self.id.ok_or(io::ErrorKind::NotFound)?;
        Ok(kill_process(id, Signal::TERM)?)
    }

    /// Kills it without notice.
    ///
    /// # Errors
    /// When it is gone.
    pub fn kill(&self) -> io::Result<()> {
        let id = self.id.ok_or(io::ErrorKind::NotFound)?;
        Ok(kill_process_group(id, Signal::KILL)?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        tokio::time::timeout(PATIENCE, self.child.wait()).await?
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A `codex app-server` that listens.
#[derive(Debug)]
pub struct Server {
    process: Process,
    url: String,
}

impl Server {
    /// One that listens on a port of loopback, with these arguments besides.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub async fn web_socket(codex: &Codex, home: &Home, arguments: &[&str]) -> io::Result<Self> {
        Self::web_socket_at(codex, home, "127.0.0.1:0", arguments).await
    }

    /// One that listens at this address.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub async fn web_socket_at(
        codex: &Codex,
        home: &Home,
        address: &str,
        arguments: &[&str],
    ) -> io::Result<Self> {
        let url = format!("ws://{address}");
        let listen = [&["--listen", &url], arguments].concat();
        let mut process = Process::spawn(codex, home, &listen)?;
        let stderr = process
            .child()
            .stderr
            .take()
            .ok_or(io::ErrorKind::BrokenPipe)?;
        let mut lines = BufReader::new(stderr).lines();
        let address = async {
            while let Some(line) = lines.next_line().await? {
                if let Some((_, url)) = line.split_once("listening on: ") {
                    return Ok(url.trim().to_owned());
                }
            }
            Err(io::Error::other("codex ended before it listened"))
        };
        let url = tokio::time::timeout(PATIENCE, address).await??;
        // It goes on to say things, and must not wait for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { process, url })
    }

    /// One that listens on a socket at a path.
    ///
    /// # Errors
    /// When no server listens there.
    pub async fn unix_socket(codex: &Codex, home: &Home, path: &Path) -> io::Result<Self> {
        let url = format!("unix://{}", path.display());
        let mut process = Process::spawn(codex, home, &["--listen", &url])?;
        let stderr = process
            .child()
            .stderr
            .take()
            .ok_or(io::ErrorKind::BrokenPipe)?;
        let mut lines = BufReader::new(stderr).lines();
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let path = PathBuf::from(path);
        let listening = async {
            // It does not say when it begins.
            while UnixStream::connect(&path).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, listening).await?;
        Ok(Self { process, url })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address in it.
    #[must_use]
    pub fn address(&self) -> &str {
        self.url
            .split_once("://")
            .map_or("", |(_, address)| address)
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
