//! What a call costs where nothing is promised: JSON in, JSON out.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use subject::codex::{Lines, PIPE, call_line};
use subject::skills::{Lookup, answer};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[allow(dead_code)]
    method: &'a str,
    params: Params<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Params<'a> {
    thread_id: &'a str,
    turn_id: &'a str,
    call_id: &'a str,
    tool: &'a str,
    arguments: Lookup,
}

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a RawValue,
    result: Output<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Output<'a> {
    content_items: [Item<'a>; 1],
    success: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "inputText")]
struct Item<'a> {
    text: &'a str,
}

/// serde_json into the arguments, the handler, and the answer line by serde_json.
pub fn dispatch(line: &[u8], answers: &mut Vec<u8>) -> serde_json::Result<()> {
    let call: Call<'_> = serde_json::from_slice(line)?;
    let Lookup {
        ticket_id,
        comments,
        verbose,
    } = call.params.arguments;
    let text = answer(&ticket_id, comments, verbose);
    let items = [Item { text: &text }];
    let result = Output {
        content_items: items,
        success: true,
    };
    let id = call.id;
    serde_json::to_writer(&mut *answers, &Answer { id, result })?;
    answers.push(b'\n');
    Ok(())
}

/// One line, as it is dispatched without a pipe.
pub fn line() -> String {
    call_line("lookup").replace("#########", "100000001")
}

/// A server of lines that spawns a task for each call.
pub fn serve() -> Lines {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let (read, mut write) = tokio::io::split(ours);
    let (answers, mut queue) = mpsc::channel::<Vec<u8>>(256);
    tokio::spawn(async move {
        while let Some(answer) = queue.recv().await {
            if write.write_all(&answer).await.is_err() {
                break;
            }
        }
    });
    tokio::spawn(async move {
        let mut read = BufReader::with_capacity(PIPE, read);
        let mut line = Vec::new();
        while read.read_until(b'\n', &mut line).await.is_ok_and(|n| n > 0) {
            let (call, answers) = (std::mem::take(&mut line), answers.clone());
            tokio::spawn(async move {
                let mut answer = Vec::with_capacity(256);
                if dispatch(&call, &mut answer).is_ok() {
                    // The other side may be gone.
                    let _ = answers.send(answer).await;
                }
            });
        }
    });
    Lines::new(theirs, &call_line("lookup"))
}
