//! A codex that does what the real one cannot be made to do on demand. What it does is in `FAKE_CODEX`, several things with
//! blanks between; everything that it reads is appended to the file in `FAKE_CODEX_HEARD`.
//!
//! | word | what it does |
//! |---|---|
//! | `old` | says that it is 0.90.0 |
//! | `refuses` | refuses the handshake |
//! | `silent` | answers nothing |
//! | `dies` | says why on its stderr, and ends |
//! | `junk` | writes unreadable lines before each message |
//! | `overloaded` | has no time for the first two requests for a thread |
//! | `forgets` | does not answer requests for threads |
//! | `elsewhere` | has another turn active than it is asked to interrupt, the first time |
//! | `asks` | asks for everything that it can ask, in its first turn |
//! | `odd-ids` | numbers its calls in odd ways |
//! | `crashes` | ends as soon as it was greeted |
//! | `faints` | ends once its first turn has begun, and when it is to resume a thread |
//! | `leaves` | starts a program that holds its output open, and does not wait for it |
//! | `deaf` | does not answer when it is to resume a thread |
//! | `vast` | has a number in its turns that is too large |
//! | `stubborn` | does not end with its input; a shell around it ignores SIGTERM |

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, Write as _};
use std::{env, process, thread};

use serde_json::{Value, json};

const THREAD: &str = "11111111-1111-7111-8111-111111111111";
const TURN: &str = "22222222-2222-7222-8222-222222222222";

struct Fake {
    words: Vec<String>,
    threads: usize,
    interrupts: usize,
    /// How many answers end the turn.
    open: usize,
}

fn main() -> io::Result<()> {
    let words = env::var("FAKE_CODEX").unwrap_or_default();
    let mut fake = Fake {
        words: words.split_whitespace().map(str::to_owned).collect(),
        threads: 0,
        interrupts: 0,
        open: 0,
    };
    if fake.does("dies") {
        eprintln!("\u{1b}[31mERROR\u{1b}[0m the config is no good");
        process::exit(3);
    }
    if fake.does("leaves") {
        process::Command::new("sleep").arg("10").spawn()?;
    }
    for line in io::stdin().lock().lines() {
        let line = line?;
        if let Some(path) = env::var_os("FAKE_CODEX_HEARD") {
            let mut heard = OpenOptions::new().create(true).append(true).open(path)?;
            writeln!(heard, "{line}")?;
        }
        let message = serde_json::from_str(&line)?;
        fake.take(&message)?;
    }
    if fake.does("stubborn") {
        loop {
            thread::park();
        }
    }
    Ok(())
}

impl Fake {
    fn does(&self, word: &str) -> bool {
        self.words.iter().any(|does| does == word)
    }

    fn say(&self, message: &Value) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.does("junk") {
            for junk in ["", "not JSON", "{\"id\":null}", "[1]", "{\"method\":7}"] {
                writeln!(out, "{junk}")?;
            }
            out.write_all(b"{\"method\":\"\xff\"}\n")?;
            writeln!(out, "{{\"method\":\"turn/completed\",\"params\":{{}}}}")?;
        }
        writeln!(out, "{message}")?;
        out.flush()
    }

    fn take(&mut self, message: &Value) -> io::Result<()> {
        let id = &message["id"];
        let refuse =
            |code: i64, text: &str| json!({"id": id, "error": {"code": code, "message": text}});
        match message["method"].as_str() {
            _ if self.does("silent") => Ok(()),
            Some("initialize") if self.does("refuses") => {
                self.say(&refuse(-32600, "no room for another client"))
            }
            Some("initialize") => {
                let version = if self.does("old") {
                    "0.90.0"
                } else {
                    "0.169.0"
                };
                let agent = format!("codex-skills/{version} (fake)");
                self.say(
                    &json!({"id": id, "result": {"userAgent": agent, "codexHome": "/nowhere"}}),
                )
            }
            Some("thread/resume") if self.does("faints") => process::exit(1),
            Some("thread/start") => {
                self.threads += 1;
                if self.does("overloaded") && self.threads < 3 {
                    return self.say(&refuse(-32001, "Server overloaded; retry later."));
                }
                if self.does("forgets") {
                    return Ok(());
                }
                let thread = json!({"id": THREAD, "ephemeral": false, "status": {"type": "idle"}});
                self.say(&json!({"id": id, "result": {"thread": thread}}))
            }
            Some("initialized") if self.does("crashes") => process::exit(1),
            Some("thread/resume") if self.does("deaf") => Ok(()),
            Some("turn/start") => {
                let turn = json!({"id": TURN, "status": "inProgress", "items": [], "error": null});
                self.say(&json!({"id": id, "result": {"turn": turn}}))?;
                if self.does("faints") {
                    process::exit(1);
                }
                self.begin()
            }
            Some("turn/interrupt") => {
                self.interrupts += 1;
                if self.does("elsewhere") && self.interrupts == 1 {
                    let text = format!("expected active turn id {TURN} but found other-turn");
                    return self.say(&refuse(-32600, &text));
                }
                self.say(&json!({"id": id, "result": {}}))?;
                self.end("interrupted")
            }
            Some(_) if !id.is_null() => self.say(&json!({"id": id, "result": {}})),
            Some(_) => Ok(()),
            None => {
                self.open = self.open.saturating_sub(1);
                if self.open == 0 {
                    self.end("completed")?;
                }
                Ok(())
            }
        }
    }

    /// Asks what there is to ask in a turn.
    fn begin(&mut self) -> io::Result<()> {
        let mut requests = Vec::new();
        if self.does("asks") {
            let methods = [
                "item/commandExecution/requestApproval",
                "item/fileChange/requestApproval",
                "item/permissions/requestApproval",
                "item/tool/requestUserInput",
                "mcpServer/elicitation/request",
                "account/chatgptAuthTokens/refresh",
                "attestation/generate",
                "currentTime/read",
                "execCommandApproval",
                "something/new",
            ];
            for (number, method) in methods.iter().enumerate() {
                requests
                    .push(json!({"method": method, "id": number, "params": {"threadId": THREAD}}));
            }
        }
        if self.does("odd-ids") {
            for (number, id) in [json!(0), json!("0"), json!(-7), json!("a\"b")]
                .into_iter()
                .enumerate()
            {
                let params = json!({
                    "threadId": THREAD, "turnId": TURN, "callId": format!("call-{number}"),
                    "namespace": null, "tool": "echo", "arguments": {"text": number.to_string()},
                });
                requests.push(json!({"method": "item/tool/call", "id": id, "params": params}));
            }
        }
        self.open = requests.len();
        for request in requests {
            self.say(&request)?;
        }
        if self.open == 0 && !self.does("elsewhere") {
            self.end("completed")?;
        }
        Ok(())
    }

    fn end(&self, status: &str) -> io::Result<()> {
        let turn = json!({"id": TURN, "status": status, "items": [], "error": null});
        let end = json!({"method": "turn/completed", "params": {"threadId": THREAD, "turn": turn}});
        if self.does("vast") {
            let end = end.to_string().replace("[]", "[{\"n\":1e+400}]");
            return writeln!(io::stdout(), "{end}");
        }
        self.say(&end)
    }
}
