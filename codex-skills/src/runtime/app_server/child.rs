//! A child process, with those that it starts: a process group on Unix, a job on Windows. It ends when it is dropped.

use std::io;
use std::process::ExitStatus;

use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};

#[cfg(not(windows))]
type Inner = tokio::process::Child;
#[cfg(windows)]
type Inner = Box<dyn process_wrap::tokio::ChildWrapper>;

/// A process that was started.
pub(super) struct Child(Inner);

/// What is written to a process, and read of it.
pub(super) type Pipes = (ChildStdin, ChildStdout, ChildStderr);

#[cfg(not(windows))]
impl Child {
    /// Starts a process. Within a tokio runtime only.
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        // A group of its own: Ctrl-C in a terminal is for this program, which ends codex in good order.
        #[cfg(unix)]
        command.process_group(0);
        command.kill_on_drop(true).spawn().map(Self)
    }

    /// Takes the pipes out, of which there are three.
    pub(super) fn take_pipes(&mut self) -> Option<Pipes> {
        let child = &mut self.0;
        child
            .stdin
            .take()
            .zip(child.stdout.take())
            .zip(child.stderr.take())
            .map(|((stdin, stdout), stderr)| (stdin, stdout, stderr))
    }

    /// Waits for its end, not for that of what it started. Cancel safe.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }

    /// Tells it to end, with what it started.
    pub(super) fn tell(&self) {
        if let Some(id) = self.id() {
            terminate(id);
        }
    }

    /// Ends it, with what it started.
    pub(super) async fn kill(&mut self) -> io::Result<()> {
        #[cfg(unix)]
        if let Some(id) = self.id() {
            signal(id, rustix::process::Signal::KILL);
        }
        self.0.kill().await
    }
}

#[cfg(windows)]
impl Child {
    /// Starts a process. Within a tokio runtime only.
    ///
    /// It runs from when it is in the job on, so that none of its children is outside; the job ends with its last
    /// handle, which is ours.
    pub(super) fn start(command: Command) -> io::Result<Self> {
        use process_wrap::tokio::{CommandWrap, JobObject, KillOnDrop};
        let mut command = CommandWrap::from(command);
        command.wrap(KillOnDrop).wrap(JobObject);
        command.spawn().map(Self)
    }

    /// Takes the pipes out, of which there are three.
    pub(super) fn take_pipes(&mut self) -> Option<Pipes> {
        let stdin = self.0.stdin().take()?;
        let stdout = self.0.stdout().take()?;
        Some((stdin, stdout, self.0.stderr().take()?))
    }

    /// Waits for its end, not for that of what it started. Cancel safe.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        // The child within the job.
        self.0.inner_mut().wait().await
    }

    /// Nothing: a process without a window takes no such request. It saw its stdin closed.
    pub(super) fn tell(&self) {}

    /// Ends it, with what it started.
    pub(super) async fn kill(&mut self) -> io::Result<()> {
        self.0.start_kill()?;
        self.wait().await.map(drop)
    }
}

impl Child {
    /// The id of the process, while it has not ended.
    pub(super) fn id(&self) -> Option<u32> {
        self.0.id()
    }
}

/// Tells a process that is not waited for any more to end, with those that it started. On Windows they ended with
/// their job.
pub(super) fn terminate(id: u32) {
    #[cfg(unix)]
    signal(id, rustix::process::Signal::TERM);
    #[cfg(not(unix))]
    let _ = id;
}

#[cfg(unix)]
fn signal(group: u32, signal: rustix::process::Signal) {
    let group = i32::try_from(group)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // It may have ended meanwhile.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}
