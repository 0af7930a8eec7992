//! A codex at the other end of a pipe in memory: it writes lines and reads lines, and costs next to nothing.

use std::io::{Error, Result};

use codex_skills::{AppServer, Catalog, Client, Limits, Session};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{
    AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf,
};

use crate::skills::ARGUMENTS;

/// How many bytes wait in the pipe.
pub const PIPE: usize = 64 * 1024;

/// How many calls a turn has, at least.
const TURN: u64 = 16;

/// A line with numbers in it that are written anew for each call, all of them nine digits long.
struct Template {
    line: Vec<u8>,
    places: Vec<usize>,
}

impl Template {
    fn new(line: &str) -> Self {
        let places = line.match_indices("#########").map(|(at, _)| at).collect();
        let mut line = line.as_bytes().to_vec();
        line.push(b'\n');
        Self { line, places }
    }

    fn with(&mut self, numbers: &[u64]) -> &[u8] {
        for (place, number) in self.places.iter().zip(numbers) {
            let mut number = 100_000_000 + number % 900_000_000;
            for digit in (0..9).rev() {
                self.line[place + digit] = b'0' + u8::try_from(number % 10).unwrap_or(0);
                number /= 10;
            }
        }
        &self.line
    }
}

/// The line of one call, as codex writes it.
pub fn call_line(tool: &str) -> String {
    format!(
        r#"{{"method":"item/tool/call","id":#########,"params":{{"threadId":"01a20376-1b18-75a0-8c01-e6a677c63e7d","turnId":"01a20376-1b2b-7c51-9d8a-#########","callId":"call_#########","namespace":null,"tool":"{tool}","arguments":{ARGUMENTS}}}}}"#
    )
}

/// What matters of a request, or of a notification, which has no id.
#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    id: Value,
    method: String,
}

/// A line protocol's client.
pub struct Lines {
    read: BufReader<ReadHalf<DuplexStream>>,
    write: WriteHalf<DuplexStream>,
    line: Vec<u8>,
    call: Template,
    /// What is written when a turn begins and ends, where there are turns.
    turn: Option<(Template, Template)>,
    calls: u64,
    turns: u64,
    in_turn: u64,
}

impl Lines {
    /// Writes `call` for each call.
    pub fn new(pipe: DuplexStream, call: &str) -> Self {
        let (read, write) = tokio::io::split(pipe);
        Self {
            read: BufReader::with_capacity(PIPE, read),
            write,
            line: Vec::new(),
            call: Template::new(call),
            turn: None,
            calls: 0,
            turns: 0,
            in_turn: 0,
        }
    }

    /// Reads one line.
    pub async fn read(&mut self) -> Result<&[u8]> {
        self.line.clear();
        if self.read.read_until(b'\n', &mut self.line).await? == 0 {
            return Err(Error::other("the other side is gone"));
        }
        Ok(&self.line)
    }

    /// Reads the answer of a call. A client may resume its threads at any time, which is no answer.
    async fn read_answer(&mut self) -> Result<usize> {
        loop {
            let line = self.read().await?;
            let id = line.iter().position(|byte| *byte == b',').unwrap_or(0);
            if !line[id..].starts_with(b",\"method\"") {
                return Ok(line.len());
            }
            let request: Value = serde_json::from_slice(line)?;
            self.resumed(&request).await?;
        }
    }

    /// Answers that a thread was resumed.
    async fn resumed(&mut self, request: &Value) -> Result<()> {
        let (id, thread) = (&request["id"], &request["params"]["threadId"]);
        self.write(&format!(
            r#"{{"id":{id},"result":{{"thread":{{"id":{thread},"turns":[]}}}}}}"#
        ))
        .await
    }

    /// Writes one line.
    pub async fn write(&mut self, line: &str) -> Result<()> {
        self.write.write_all(format!("{line}\n").as_bytes()).await
    }

    /// Writes a call.
    pub async fn send(&mut self) -> Result<()> {
        if let Some((started, _)) = &mut self.turn
            && self.in_turn == 0
        {
            self.turns += 1;
            self.write.write_all(started.with(&[self.turns])).await?;
        }
        self.calls += 1;
        self.in_turn += 1;
        let line = self.call.with(&[self.calls, self.turns, self.calls]);
        self.write.write_all(line).await
    }

    /// Ends the turn, where it is long enough: no call may be unanswered.
    async fn rest(&mut self) -> Result<()> {
        if let Some((_, completed)) = &mut self.turn
            && self.in_turn >= TURN
        {
            self.in_turn = 0;
            self.write.write_all(completed.with(&[self.turns])).await?;
        }
        Ok(())
    }

    /// One call and its answer.
    pub async fn round_trip(&mut self) -> Result<usize> {
        self.send().await?;
        let bytes = self.read_answer().await?;
        self.rest().await?;
        Ok(bytes)
    }

    /// So many calls, of which at most so many are outstanding at the same time.
    pub async fn pipelined(&mut self, calls: usize, outstanding: usize) -> Result<()> {
        let mut sent = 0;
        for answered in 0..calls {
            while sent < calls && sent - answered < outstanding {
                self.send().await?;
                sent += 1;
            }
            self.read_answer().await?;
        }
        self.rest().await
    }

    /// Answers requests as codex does until so many threads were started.
    async fn start_threads(&mut self, threads: usize) -> Result<()> {
        let mut started = 0;
        while started < threads {
            let line = self.read().await?;
            // Most of them carry many tools, which are skipped here.
            let Request { id, method } = serde_json::from_slice(line)?;
            let result = match &*method {
                "initialize" => r#"{"userAgent":"rig/0.169.0 (Debian 12.0.0; x86_64)"}"#.to_owned(),
                "thread/start" => {
                    started += 1;
                    if started == 1 {
                        r#"{"thread":{"id":"01a20376-1b18-75a0-8c01-e6a677c63e7d"}}"#.to_owned()
                    } else {
                        format!(r#"{{"thread":{{"id":"01a20376-1b18-75a0-8c01-{started:012}"}}}}"#)
                    }
                }
                "thread/resume" => {
                    let request = serde_json::from_slice(line)?;
                    self.resumed(&request).await?;
                    continue;
                }
                _ => continue,
            };
            self.write(&format!(r#"{{"id":{id},"result":{result}}}"#))
                .await?;
        }
        Ok(())
    }
}

/// A client, its sessions of one catalog, and the codex that calls the first of them.
pub struct Rig {
    pub client: Client<AppServer>,
    pub sessions: Vec<Session>,
    pub codex: Lines,
}

impl Rig {
    /// Opens sessions of the catalog and has their calls answered. `tool` is the one that is called.
    pub async fn open(
        catalog: &Catalog,
        tool: &str,
        sessions: usize,
    ) -> std::result::Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Self::open_within(catalog, tool, sessions, Limits::default()).await
    }

    /// The same with limits of one's own.
    pub async fn open_within(
        catalog: &Catalog,
        tool: &str,
        sessions: usize,
        limits: Limits,
    ) -> std::result::Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let mut codex = Lines::new(theirs, &call_line(tool));
        let thread = r#""threadId":"01a20376-1b18-75a0-8c01-e6a677c63e7d""#;
        let turn = r#""id":"01a20376-1b2b-7c51-9d8a-#########","items":[],"error":null"#;
        codex.turn = Some((
            Template::new(&format!(
                r#"{{"method":"turn/started","params":{{{thread},"turn":{{{turn},"status":"inProgress"}}}}}}"#
            )),
            Template::new(&format!(
                r#"{{"method":"turn/completed","params":{{{thread},"turn":{{{turn},"status":"completed"}}}}}}"#
            )),
        ));
        let starting = tokio::spawn(async move {
            codex.start_threads(sessions).await?;
            Ok::<_, Error>(codex)
        });
        let (read, write) = tokio::io::split(ours);
        let client = Client::new(AppServer::over(read, write).await?).with_limits(limits);
        let mut opened = Vec::with_capacity(sessions);
        for _ in 0..sessions {
            let (_, session) = client.create_session_with(catalog.clone()).cwd("/").await?;
            opened.push(session);
        }
        let codex = starting.await??;
        if let Some(session) = opened.first().cloned() {
            tokio::spawn(async move { session.serve().await });
            tokio::task::yield_now().await;
        }
        Ok(Self {
            client,
            sessions: opened,
            codex,
        })
    }
}
