//! The smallest client of `codex app-server` over stdio: it answers each call at once, and nothing can be faster.

use std::fmt;
use std::io;
use std::process::ExitStatus;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout};

use super::{Codex, Home, PATIENCE, Process};

type Answer = Box<dyn FnMut(&Value) -> Value + Send>;

/// A connected client.
pub struct RawClient {
    process: Process,
    to: Option<ChildStdin>,
    from: Lines<BufReader<ChildStdout>>,
    requests: u64,
    answer: Answer,
    heard: Option<Vec<Value>>,
}

/// A request that codex refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind it is.
    pub code: i64,
    /// What codex says.
    pub message: String,
}

/// A turn that ended.
#[derive(Clone, Debug)]
pub struct Turn {
    /// What `turn/completed` says of it.
    pub turn: Value,
    /// The last message of the model.
    pub reply: Option<String>,
    /// How many calls were answered.
    pub calls: usize,
}

impl Turn {
    /// How it ended.
    #[must_use]
    pub fn status(&self) -> &str {
        self.turn["status"].as_str().unwrap_or_default()
    }
}

impl RawClient {
    /// Starts a codex and shakes hands with it.
    ///
    /// # Errors
    /// When it cannot be started, or does not answer.
    pub async fn start(codex: &Codex, home: &Home) -> io::Result<Self> {
        let mut process = Process::spawn(codex, home, &[])?;
        let child = process.child();
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let from = from.ok_or(io::ErrorKind::BrokenPipe)?;
        if let Some(stderr) = child.stderr.take() {
            let mut lines = BufReader::new(stderr).lines();
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        }
        let mut client = Self {
            process,
            to,
            from: BufReader::new(from).lines(),
            requests: 0,
            answer: Box::new(|params| {
                let text = format!("ok:{}", params["arguments"]);
                json!({"contentItems": [{"type": "inputText", "text": text}], "success": true})
            }),
            heard: None,
        };
        let hello = json!({
            "clientInfo": {"name": "raw", "title": "Raw", "version": "0.0.1"},
            "capabilities": {"experimentalApi": true},
        });
        client
            .request("initialize", hello)
            .await?
            .map_err(io::Error::other)?;
        client.write(&json!({"method": "initialized"})).await?;
        Ok(client)
    }

    /// Answers calls with the result that is made of their parameters.
    #[must_use]
    pub fn answering(mut self, answer: impl FnMut(&Value) -> Value + Send + 'static) -> Self {
        self.answer = Box::new(answer);
        self
    }

    /// Keeps what codex says from now on.
    #[must_use]
    pub fn listening(mut self) -> Self {
        self.heard = Some(Vec::new());
        self
    }

    /// What codex said since this was asked.
    pub fn heard(&mut self) -> Vec<Value> {
        self.heard.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Makes a request and waits for what becomes of it. Calls that come are answered.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn request(
        &mut self,
        method: &str,
        params: Value,
    ) -> io::Result<Result<Value, Refusal>> {
        self.requests += 1;
        let id = self.requests;
        let request = json!({"id": id, "method": method, "params": params});
        self.write(&request).await?;
        loop {
            let mut message = self.read().await?;
            if message.get("method").is_some() {
                self.serve(&message).await?;
            } else if message["id"] == id {
                return Ok(match message.get("error") {
                    Some(error) => Err(Refusal {
                        code: error["code"].as_i64().unwrap_or_default(),
                        message: error["message"].as_str().unwrap_or_default().to_owned(),
                    }),
                    None => Ok(message["result"].take()),
                });
            }
        }
    }

    /// Starts a thread with these tools, and returns its id.
    ///
    /// # Errors
    /// When codex refuses it, or the connection is lost.
    pub async fn start_thread(&mut self, tools: Value) -> io::Result<String> {
        let started = self
            .request("thread/start", json!({"dynamicTools": tools}))
            .await?;
        let started = started.map_err(io::Error::other)?;
        let id = started["thread"]["id"].as_str();
        Ok(id
            .ok_or_else(|| io::Error::other("a thread without an id"))?
            .to_owned())
    }

    /// Says something in a thread, and waits for the end of the turn. Calls are answered at once.
    ///
    /// # Errors
    /// When codex refuses it, or the connection is lost.
    pub async fn turn(&mut self, thread_id: &str, text: &str) -> io::Result<Turn> {
        let input = json!([{"type": "text", "text": text}]);
        let params = json!({"threadId": thread_id, "input": input});
        self.requests += 1;
        let id = self.requests;
        let request = json!({"id": id, "method": "turn/start", "params": params});
        self.write(&request).await?;
        let (mut reply, mut calls) = (None, 0);
        loop {
            let mut message = self.read().await?;
            if message["id"] == id && message.get("error").is_some() {
                return Err(io::Error::other(message["error"].to_string()));
            }
            match message["method"].as_str() {
                Some("turn/completed") if message["params"]["threadId"] == thread_id => {
                    let turn = message["params"]["turn"].take();
                    return Ok(Turn { turn, reply, calls });
                }
                Some("item/completed") => {
                    let item = &message["params"]["item"];
                    if item["type"] == "agentMessage" {
                        reply = item["text"].as_str().map(str::to_owned);
                    }
                }
                Some(_) => calls += usize::from(self.serve(&message).await?),
                None => {}
            }
        }
    }

    /// Closes the connection and waits for the end of codex.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn close(mut self) -> io::Result<ExitStatus> {
        drop(self.to.take());
        // What it still says must not block it.
        let drain = async { while let Ok(Some(_)) = self.from.next_line().await {} };
        let (ended, ()) = tokio::join!(self.process.ended(), drain);
        ended
    }

    /// Answers a request of codex; whether it was a call.
    async fn serve(&mut self, message: &Value) -> io::Result<bool> {
        let Some(id) = message.get("id") else {
            return Ok(false);
        };
        if message["method"] == "item/tool/call" {
            let result = (self.answer)(&message["params"]);
            self.write(&json!({"id": id, "result": result})).await?;
            return Ok(true);
        }
        let error = json!({"code": -32601, "message": "only calls of tools are answered"});
        self.write(&json!({"id": id, "error": error})).await?;
        Ok(false)
    }

    async fn write(&mut self, message: &Value) -> io::Result<()> {
        let to = self.to.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        to.write_all(format!("{message}\n").as_bytes()).await?;
        to.flush().await
    }

    async fn read(&mut self) -> io::Result<Value> {
        let line = tokio::time::timeout(PATIENCE, self.from.next_line()).await??;
        let line = line.ok_or(io::ErrorKind::UnexpectedEof)?;
        let message: Value = serde_json::from_str(&line)?;
        if let Some(heard) = &mut self.heard {
            heard.push(message.clone());
        }
        Ok(message)
    }
}

impl fmt::Debug for RawClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawClient")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "codex refuses it ({}): {}", self.code, self.message)
    }
}

impl std::error::Error for Refusal {}
