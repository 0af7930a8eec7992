//! The supervisor of the connection to codex: opens it, reads it, and replaces it when it is lost.
//!
//! Invariant: one connection at a time. Before the next is opened, the previous one is written out and its process ended,
//! as far as `grace` allows. A reading task that outlives it changes nothing: each connection has a `generation`, and what
//! an old one brings is recognised by it.
//!
//! Life cycle: [`open`] connects and shakes hands; [`start`] spawns the keeper, which ends when the client is stopped,
//! or is dropped with its tokio runtime; then the next request spawns another. When the attempts of the
//! [`RestartPolicy`] are spent, the keeper waits for a restart that the program asks for.
//!
//! Locks: it holds none of its own, and takes those of [`Shared`] for one statement each.

use std::future::pending;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::connection::{Connection, RequestError};
use super::error::AppServerError;
use super::intern::Texts;
use super::process::Process;
use super::settings::{RestartPolicy, Settings, Target};
use super::shared::{Shared, State};
use super::transport::{Read, Reader, Writer};
use super::version::Server;
use super::version::Version;
use super::{socket, wire};
use crate::runtime::peer;

/// A connection after its handshake, and the task that reads it.
pub(super) struct Opened {
    pub(super) connection: Arc<Connection>,
    pub(super) server: Server,
    /// The reading task; its result is why the connection ended.
    reading: AbortOnDropHandle<String>,
    process: Option<Process>,
}

/// Starts codex or connects to it, and shakes hands.
pub(super) async fn open(shared: &Arc<Shared>) -> Result<Opened, AppServerError> {
    let settings = &shared.settings;
    let limit = settings.start_timeout;
    let (reader, writer, process, message_limit) = match &settings.target {
        Target::Program(program) => {
            let program = program.clone();
            let found =
                tokio::task::spawn_blocking(move || program.find().map(|path| (program, path)));
            let (program, path) = found.await.map_err(|error| AppServerError::Refused {
                message: error.to_string(),
            })??;
            let (process, stdin, stdout) = program.start(&path)?;
            (
                Reader::lines(Box::pin(stdout)),
                Writer::Lines(Box::pin(stdin)),
                Some(process),
                None,
            )
        }
        Target::Socket(address) => {
            let opened = tokio::time::timeout(limit, address.open()).await;
            let (reader, writer) = opened.map_err(|_| AppServerError::Silent {
                waiting_for: "take the connection",
                after: limit,
            })??;
            (reader, writer, None, Some(socket::SENT_BYTES))
        }
        Target::Streams(streams) => {
            let (source, drain) = streams.take().ok_or_else(|| AppServerError::Unreachable {
                address: settings.target.shown(),
                why: "its streams ended, and there are no others".to_owned(),
            })?;
            (Reader::lines(source), Writer::Lines(drain), None, None)
        }
    };
    let connection = Arc::new(Connection::new(
        shared.next_generation(),
        message_limit,
        writer,
    ));
    let reading = tokio::spawn(read(shared.clone(), connection.clone(), reader));
    let reading = AbortOnDropHandle::new(reading);
    let mut opened = Opened {
        connection,
        server: Server::default(),
        reading,
        process,
    };
    match handshake(shared, &opened.connection).await {
        Ok(server) => {
            opened.connection.leads_to(server.version);
            opened.server = server;
            Ok(opened)
        }
        Err(error) => Err(opened.fail(shared, error).await),
    }
}

impl Opened {
    /// Closes a connection whose handshake failed; returns the error to report.
    async fn fail(self, shared: &Shared, error: Handshake) -> AppServerError {
        self.connection.close();
        let settings = &shared.settings;
        let Some(mut process) = self.process else {
            return match error {
                Handshake::Error(error) => error,
                Handshake::Lost => {
                    let why = tokio::time::timeout(settings.grace, self.reading).await;
                    AppServerError::Unreachable {
                        address: settings.target.shown(),
                        why: why
                            .ok()
                            .and_then(Result::ok)
                            .unwrap_or_else(|| "it cannot be written to".to_owned()),
                    }
                }
            };
        };
        match error {
            Handshake::Error(error) => {
                process.end(settings.grace).await;
                error
            }
            Handshake::Lost => {
                let status = tokio::time::timeout(settings.grace, process.ended()).await;
                // Another task reads its stderr.
                let stderr = process.last_words(settings.grace).await;
                process.end(settings.grace).await;
                AppServerError::Ended {
                    status: status.unwrap_or_else(|_| "it closed its output".to_owned()),
                    stderr,
                }
            }
        }
    }
}

enum Handshake {
    Error(AppServerError),
    Lost,
}

async fn handshake(shared: &Shared, connection: &Connection) -> Result<Server, Handshake> {
    let limit = shared.settings.start_timeout;
    let params = json!({
        "clientInfo": {
            "name": "codex-skills",
            "title": "codex-skills",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "capabilities": {"experimentalApi": true},
    });
    let answer = connection.request("initialize", &params, limit).await;
    let answer = answer.map_err(|error| match error {
        RequestError::Refused(error) => Handshake::Error(AppServerError::Refused {
            message: peer::shown(&error.message),
        }),
        RequestError::Silent(after) => Handshake::Error(AppServerError::Silent {
            waiting_for: "answer the handshake",
            after,
        }),
        _ => Handshake::Lost,
    })?;
    let server = server(answer.get());
    if let Some(version) = &server.version
        && *version < Version::OLDEST
    {
        return Err(Handshake::Error(AppServerError::TooOld {
            version: version.to_string(),
            minimum: Version::OLDEST_TEXT,
        }));
    }
    if !connection.write(wire::INITIALIZED.to_vec()).await {
        return Err(Handshake::Lost);
    }
    Ok(server)
}

fn server(answer: &str) -> Server {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    #[derive(Default)]
    struct Initialized {
        user_agent: String,
        codex_home: Option<std::path::PathBuf>,
    }
    let initialized: Initialized = serde_json::from_str(answer).unwrap_or_default();
    let version = Version::in_user_agent(&initialized.user_agent);
    if version.is_none() {
        tracing::warn!(
            target: "codex_skills::app_server",
            user_agent = peer::shown(&initialized.user_agent),
            "codex does not say its version: it is taken for a new one"
        );
    }
    Server {
        version,
        home: initialized.codex_home,
    }
}

/// Reads until the connection ends; returns why it did.
async fn read(shared: Arc<Shared>, connection: Arc<Connection>, mut reader: Reader) -> String {
    let heartbeat = reader.is_socket().then_some(shared.settings.heartbeat);
    let (mut silent, mut texts) = (0, Texts::default());
    let why = loop {
        let next = match heartbeat {
            None => reader.next().await,
            Some(heartbeat) => match tokio::time::timeout(heartbeat, reader.next()).await {
                Ok(read) => {
                    silent = 0;
                    read
                }
                Err(_) if silent == 2 => break "nothing was heard for too long".to_owned(),
                Err(_) => {
                    silent += 1;
                    connection.ping();
                    continue;
                }
            },
        };
        match next {
            Read::Message(bytes) => {
                // Values of the program may be dropped here, and their destructors may panic.
                let taken = AssertUnwindSafe(|| shared.take(&connection, bytes, &mut texts));
                if std::panic::catch_unwind(taken).is_err() {
                    tracing::error!(target: "codex_skills::app_server", "a panic while a message of codex was taken");
                }
            }
            Read::Nothing => {}
            Read::TooLarge => {
                shared.count_malformed();
                if let Some(left_out) = shared.unread.line() {
                    tracing::warn!(target: "codex_skills::app_server", left_out, "a message of codex is too large and is left out");
                }
            }
            Read::End(why) => break why,
        }
    };
    connection.set_lost();
    why
}

/// Spawns the keeper on the caller's tokio runtime, with an open connection or to open one.
pub(super) fn start(shared: &Arc<Shared>, keeper: u64, opened: Option<Opened>) {
    // Before the spawn: a task that is dropped before its first poll has run nothing.
    let guard = KeeperGuard {
        shared: shared.clone(),
        number: keeper,
        is_over: false,
    };
    tokio::spawn(keep(guard, opened));
}

/// Keeps the connection until the client is stopped.
async fn keep(mut keeper: KeeperGuard, opened: Option<Opened>) {
    let shared = keeper.shared.clone();
    let (mut attempts, is_up) = (0, opened.is_some());
    let opened = match opened {
        Some(opened) => Some(opened),
        None => again(&shared, "its tokio runtime ended", &mut attempts, true).await,
    };
    if let Some(opened) = opened {
        keep_on(&shared, opened, is_up, attempts).await;
    }
    keeper.is_over = true;
    let why = "the client was shut down";
    shared.close_all(why);
    shared.set_state(State::Gone(why.into()));
    shared.ended.cancel();
}

/// Reports that the keeper's task was dropped before its end, as when its tokio runtime ends.
struct KeeperGuard {
    shared: Arc<Shared>,
    number: u64,
    is_over: bool,
}

impl Drop for KeeperGuard {
    fn drop(&mut self) {
        if !self.is_over {
            self.shared.keeper_dropped(self.number);
        }
    }
}

/// Keeps a connection and each that replaces it. `is_up`: its sessions are resumed already.
async fn keep_on(shared: &Arc<Shared>, mut opened: Opened, mut is_up: bool, mut attempts: usize) {
    loop {
        let (since, mut asked) = (Instant::now(), false);
        let grace = shared.settings.grace;
        let is_new = !std::mem::take(&mut is_up);
        shared.set_process(opened.process.as_ref().and_then(Process::id));
        let up = async {
            if is_new {
                shared
                    .serve(&opened.connection, opened.server.clone())
                    .await;
            }
            pending::<()>().await;
        };
        let why = tokio::select! {
            biased;
            () = shared.stop.cancelled() => None,
            why = &mut opened.reading => Some(why.unwrap_or_else(|error| error.to_string())),
            // A child process of codex may hold its output open after codex has ended.
            status = ended(opened.process.as_mut()) => {
                let rest = tokio::time::timeout(grace, &mut opened.reading).await;
                drop(rest);
                Some(format!("codex app-server ended ({status})"))
            }
            () = opened.connection.closed() => {
                let why = tokio::time::timeout(grace, &mut opened.reading).await;
                let why = why.ok().and_then(Result::ok);
                Some(why.unwrap_or_else(|| "codex cannot be written to".to_owned()))
            }
            () = shared.again.notified() => {
                asked = true;
                Some("it is started again".to_owned())
            }
            () = up => None,
        };
        let is_over = why.is_none();
        let why = why.unwrap_or_else(|| "the client was shut down".to_owned());
        let why = end(shared, opened, why, is_over).await;
        shared.set_process(None);
        if is_over {
            return;
        }
        shared.count_reconnect();
        tracing::warn!(target: "codex_skills::app_server", why, "codex is gone");
        attempts = fewer(&shared.settings, attempts, since.elapsed());
        match again(shared, &why, &mut attempts, asked).await {
            Some(new) => opened = new,
            None => return,
        }
    }
}

/// Waits for the end of the process; for ever without one.
async fn ended(process: Option<&mut Process>) -> String {
    match process {
        Some(process) => process.ended().await,
        None => pending().await,
    }
}

/// Returns the attempts still counted after a connection that lasted for `lasted`: a process that keeps dying is given
/// up; a socket that keeps closing is tried for ever, after a delay.
fn fewer(settings: &Settings, attempts: usize, lasted: Duration) -> usize {
    let policy = &settings.restart;
    if lasted >= policy.max_delay {
        0
    } else if settings.target.is_shared() {
        attempts.min(1)
    } else {
        attempts
    }
}

/// Closes a connection, and ends its process; returns why it ended, with the exit status where there is one.
async fn end(shared: &Arc<Shared>, mut opened: Opened, mut why: String, is_over: bool) -> String {
    let settings = &shared.settings;
    shared.set_state(State::Down(why.as_str().into()));
    opened.connection.close();
    if tokio::time::timeout(settings.grace, opened.connection.closed())
        .await
        .is_err()
    {
        tracing::debug!(target: "codex_skills::app_server", "not everything was written before the end");
        opened.connection.set_lost();
    }
    // Messages read before the end are handled before it is reported.
    if !opened.reading.is_finished() {
        opened.reading.abort();
        let aborted = tokio::time::timeout(settings.grace, &mut opened.reading).await;
        drop(aborted);
    }
    if let Some(mut process) = opened.process {
        if !is_over && let Ok(status) = tokio::time::timeout(settings.grace, process.ended()).await
        {
            why = format!("codex app-server ended ({status})");
        }
        process.end(settings.grace).await;
        // Its calls and turns went with it.
        shared.process_lost(&why);
    }
    why
}

/// Reconnects, as the policy allows and whenever a restart is requested. `attempts` counts those in a row.
async fn again(
    shared: &Arc<Shared>,
    why: &str,
    attempts: &mut usize,
    mut asked: bool,
) -> Option<Opened> {
    let policy = &shared.settings.restart;
    let mut last = why.to_owned();
    loop {
        if !asked && *attempts >= policy.attempts {
            if *attempts > 0 {
                last = format!("{last}, after {attempts} attempts to have it back");
            }
            shared.close_all(&last);
            shared.set_state(State::Gone(last.as_str().into()));
            tokio::select! {
                () = shared.again.notified() => asked = true,
                () = shared.stop.cancelled() => return None,
            }
        } else if !asked {
            tokio::select! {
                () = tokio::time::sleep(delay(policy, *attempts)) => {}
                () = shared.again.notified() => asked = true,
                () = shared.stop.cancelled() => return None,
            }
        }
        if std::mem::take(&mut asked) {
            *attempts = 0;
        }
        *attempts = attempts.saturating_add(1);
        let opened = tokio::select! {
            opened = open(shared) => opened,
            // Dropping the attempt kills a process that it started.
            () = shared.stop.cancelled() => return None,
        };
        match opened {
            Ok(opened) => return Some(opened),
            Err(error) => {
                last = error.to_string();
                tracing::warn!(target: "codex_skills::app_server", %error, "codex cannot be had back yet");
            }
        }
    }
}

/// The delay before an attempt: none before the first, then doubling, each between half of it and all.
fn delay(policy: &RestartPolicy, attempts: usize) -> Duration {
    let Some(doublings) = attempts.checked_sub(1) else {
        return Duration::ZERO;
    };
    let factor = 1_u32.checked_shl(u32::try_from(doublings).unwrap_or(u32::MAX));
    let delay = policy
        .delay
        .saturating_mul(factor.unwrap_or(u32::MAX))
        .min(policy.max_delay);
    delay.mul_f64(0.5 + random() / 2.0)
}

/// A number from 0 to 1.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    // 32 bits fit.
    f64::from(u32::try_from(bits).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_begin_at_nothing_double_and_end_somewhere() {
        let policy = RestartPolicy {
            attempts: 100,
            delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(1),
        };
        assert_eq!(delay(&policy, 0), Duration::ZERO);
        for (attempts, longest) in [
            (1, 100),
            (2, 200),
            (3, 400),
            (4, 800),
            (5, 1000),
            (99, 1000),
        ] {
            let longest = Duration::from_millis(longest);
            let delay = delay(&policy, attempts);
            assert!(
                delay >= longest / 2 && delay <= longest,
                "{attempts}: {delay:?}"
            );
        }
    }
}
