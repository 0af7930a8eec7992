//! A codex app-server that says anything, and asks after it whether calls are still answered.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use codex_skills::{AppServer, Catalog, Client, Draft, Session, Skill, SkillOutput};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf,
};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// The thread of the session.
const THREAD: &str = "01a20376-1b18-75a0-8c01-e6a677c63e7d";

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What codex said in the recorded exchanges, and the same in the thread of the session.
#[must_use]
pub fn recorded() -> Vec<Vec<u8>> {
    let traces = [
        include_str!("../../fixtures/app-server-0.105-turn-one-call.jsonl"),
        include_str!("../../fixtures/app-server-interrupt.jsonl"),
        include_str!("../../fixtures/app-server-parallel-calls.jsonl"),
        include_str!("../../fixtures/app-server-replay-after-reconnect.jsonl"),
        include_str!("../../fixtures/app-server-two-threads.jsonl"),
    ];
    let lines = traces.iter().flat_map(|trace| trace.lines());
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let said = lines.filter(|line| line["dir"] == "server->client");
    said.flat_map(|line| {
        let message = line["msg"].to_string();
        let thread = line["msg"]["params"]["threadId"].as_str();
        let own = thread.map(|thread| message.replace(thread, THREAD));
        [Some(message), own]
            .into_iter()
            .flatten()
            .map(String::into_bytes)
    })
    .collect()
}

/// Whether a line may close the session for good, so that nothing can be asked after it.
fn closes(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    text.contains("thread/deleted")
        || text.contains("thread/archived")
        || text.contains("thread/closed")
}

/// How often what the peer asked was answered, and the last answer.
type Answers = HashMap<String, (usize, Value)>;

/// A client, and the codex that it talks to.
pub struct Hostile {
    says: mpsc::Sender<Vec<u8>>,
    answers: watch::Receiver<Answers>,
    runs: Arc<AtomicU64>,
    probes: u64,
    client: Client<AppServer>,
    _session: Session,
}

impl Hostile {
    /// A session that is served, for [`probe`](Self::probe).
    ///
    /// # Errors
    /// With what is wrong.
    pub async fn start() -> Result<Self, String> {
        let runs = Arc::new(AtomicU64::new(0));
        let counted = runs.clone();
        let skill = Skill::builder("lookup_ticket")
            .input_schema(
                json!({"type": "object", "properties": {"ticket_id": {"type": "string"}}}),
            )
            .handler(move |_: Value| {
                counted.fetch_add(1, Ordering::Relaxed);
                async { Ok::<_, String>(SkillOutput::text("found")) }
            });
        let sealed = Draft::new().register(skill).seal();
        let mut hostile = Self::serving(sealed.map_err(|error| error.to_string())?).await?;
        hostile.runs = runs;
        Ok(hostile)
    }

    /// A session with the skills of a catalog.
    ///
    /// # Errors
    /// With what is wrong.
    pub async fn serving(catalog: Catalog) -> Result<Self, String> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reads, writes) = tokio::io::split(theirs);
        let (says, said) = mpsc::channel(16);
        tokio::spawn(write(writes, said));
        let (heard, answers) = watch::channel(Answers::new());
        tokio::spawn(read(reads, says.clone(), heard));
        let (reads, writes) = tokio::io::split(ours);
        let server = AppServer::over(reads, writes).await;
        let client = Client::new(server.map_err(|error| error.to_string())?);
        let created = client.create_session_with(catalog).await;
        let (_, session) = created.map_err(|error| error.to_string())?;
        let serving = session.clone();
        tokio::spawn(async move { serving.serve().await });
        Ok(Self {
            says,
            answers,
            runs: Arc::default(),
            probes: 0,
            client,
            _session: session,
        })
    }

    /// Says a line, unless it may close the session.
    ///
    /// # Errors
    /// When the client reads no more.
    pub async fn say(&self, line: &[u8]) -> Result<(), String> {
        if closes(line) {
            return Ok(());
        }
        self.write(line).await
    }

    async fn write(&self, line: &[u8]) -> Result<(), String> {
        let said = timeout(PATIENCE, self.says.send(line.to_vec())).await;
        match said {
            Ok(Ok(())) => Ok(()),
            _ => Err(format!(
                "the client reads no more, at {}",
                String::from_utf8_lossy(line)
            )),
        }
    }

    /// Makes a valid call in a turn of its own, twice: it runs once, and is answered.
    ///
    /// # Errors
    /// When it is not.
    pub async fn probe(&mut self) -> Result<(), String> {
        self.probes += 1;
        let id = format!("probe-{}", self.probes);
        let before = self.runs.load(Ordering::Relaxed);
        let call = json!({"method": "item/tool/call", "id": id, "params": {
            "threadId": THREAD, "turnId": id, "callId": id, "tool": "lookup_ticket", "arguments": {"ticket_id": "A"},
        }})
        .to_string();
        self.write(call.as_bytes()).await?;
        self.answer(&id).await?;
        self.write(call.as_bytes()).await?;
        let turn = json!({"method": "turn/completed", "params": {"threadId": THREAD, "turn": {"id": id, "status": "completed", "items": []}}});
        self.write(turn.to_string().as_bytes()).await?;
        // Answered by the reader, when everything before it was read.
        let read = format!("read-{}", self.probes);
        let time = json!({"method": "currentTime/read", "id": read, "params": {}}).to_string();
        self.write(time.as_bytes()).await?;
        self.answer(&read).await?;
        let answers = self.answers.borrow()[&id].0;
        let runs = self.runs.load(Ordering::Relaxed);
        if answers != 1 {
            return Err(format!("{id} was answered {answers} times"));
        }
        // Calls of the lines before may run as well.
        if runs == before {
            return Err(format!("{id} did not run"));
        }
        Ok(())
    }

    /// Calls a skill; returns whether it succeeded, and the text of its answer.
    ///
    /// # Errors
    /// When the call is not answered.
    pub async fn call(
        &mut self,
        tool: &str,
        arguments: &RawValue,
    ) -> Result<(bool, String), String> {
        self.probes += 1;
        let id = format!("probe-{}", self.probes);
        // The arguments as they are: a value may not hold them.
        let call = format!(
            r#"{{"method":"item/tool/call","id":"{id}","params":{{"threadId":"{THREAD}","turnId":"{id}","callId":"{id}","tool":"{tool}","arguments":{arguments}}}}}"#
        );
        self.write(call.replace('\n', " ").as_bytes()).await?;
        let result = self.answer(&id).await?;
        let text = result["contentItems"][0]["text"]
            .as_str()
            .unwrap_or_default();
        Ok((result["success"] == true, text.to_owned()))
    }

    /// Waits for the answer to what was asked with an id.
    async fn answer(&mut self, id: &str) -> Result<Value, String> {
        let answered = self.answers.wait_for(|answers| answers.contains_key(id));
        let answers = match timeout(PATIENCE, answered).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(_)) => return Err(format!("{id} is not answered: the client is gone")),
            Err(_) => return Err(format!("{id} is not answered")),
        };
        Ok(answers
            .get(id)
            .map(|(_, answer)| answer.clone())
            .unwrap_or_default())
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &Client<AppServer> {
        &self.client
    }
}

async fn write(mut writes: WriteHalf<DuplexStream>, mut said: mpsc::Receiver<Vec<u8>>) {
    while let Some(line) = said.recv().await {
        let wrote = async {
            writes.write_all(&line).await?;
            writes.write_all(b"\n").await
        };
        if wrote.await.is_err() {
            return;
        }
    }
}

/// Answers what the client asks, and counts what it answers.
async fn read(
    reads: ReadHalf<DuplexStream>,
    says: mpsc::Sender<Vec<u8>>,
    heard: watch::Sender<Answers>,
) {
    let mut lines = BufReader::new(reads).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // An id of the peer is echoed as it was, and may be none that a value holds.
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        let id = &message["id"];
        let result = match message["method"].as_str() {
            Some("initialize") => json!({"userAgent": "rig/0.171.0"}),
            Some("thread/start") => json!({"thread": {"id": THREAD}}),
            Some("initialized") => continue,
            Some(_) => json!({"thread": {"id": message["params"]["threadId"], "turns": []}}),
            None => {
                if let Some(id) = id
                    .as_str()
                    .filter(|id| id.starts_with("probe-") || id.starts_with("read-"))
                {
                    heard.send_modify(|answers| {
                        let (times, answer) = answers.entry(id.to_owned()).or_default();
                        (*times, *answer) = (*times + 1, message["result"].clone());
                    });
                }
                continue;
            }
        };
        let answer = json!({"id": id, "result": result}).to_string();
        // On a task of its own: the client may be busy with what is said meanwhile.
        let says = says.clone();
        tokio::spawn(async move { says.send(answer.into_bytes()).await });
    }
}
