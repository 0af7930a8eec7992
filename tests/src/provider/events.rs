//! The server-sent events of a response, in the order in which codex expects them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::script::{Ending, Item};

/// The pieces in which a message comes.
const PIECES: usize = 3;

/// The items of a response as they are on the wire. Their ids are unique to the provider.
pub(super) fn items(number: usize, items: &[Item]) -> Vec<Value> {
    let on_the_wire = |(at, item): (usize, &Item)| match item {
        Item::Say(text) => json!({
            "type": "message", "id": format!("msg_{number}_{at}"), "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }),
        Item::Call {
            namespace,
            tool,
            arguments,
        } => {
            let mut call = json!({
                "type": "function_call", "id": format!("fc_{number}_{at}"),
                "call_id": format!("call_{number}_{at}"), "name": tool, "arguments": arguments,
                "status": "completed",
            });
            if let Some(namespace) = namespace {
                call["namespace"] = json!(namespace);
            }
            call
        }
        Item::Exec(program) => json!({
            "type": "custom_tool_call", "id": format!("ctc_{number}_{at}"),
            "call_id": format!("call_{number}_{at}"), "namespace": "functions", "name": "exec",
            "input": program, "status": "completed",
        }),
    };
    items.iter().enumerate().map(on_the_wire).collect()
}

/// Writes events with their numbers.
#[derive(Debug, Default)]
pub(super) struct Written {
    events: usize,
}

impl Written {
    /// The first event.
    pub(super) fn begin(&mut self, number: usize) -> String {
        let mut text = String::new();
        let response = response(number, "in_progress", &[]);
        self.event(&mut text, "response.created", json!({"response": response}));
        text
    }

    /// The others.
    pub(super) fn rest(&mut self, number: usize, items: &[Value], ending: &Ending) -> String {
        let mut text = String::new();
        match ending {
            Ending::Complete | Ending::Status(_) => {
                self.items(&mut text, items);
                let mut response = response(number, "completed", items);
                response["usage"] = json!({
                    "input_tokens": 100, "input_tokens_details": {"cached_tokens": 20},
                    "output_tokens": 10, "output_tokens_details": {"reasoning_tokens": 3},
                    "total_tokens": 110,
                });
                self.event(
                    &mut text,
                    "response.completed",
                    json!({"response": response}),
                );
            }
            Ending::Fail(message) => {
                let mut response = response(number, "failed", &[]);
                response["error"] = json!({"code": "server_error", "message": message});
                self.event(&mut text, "response.failed", json!({"response": response}));
            }
            Ending::Break => {}
        }
        text
    }

    fn items(&mut self, text: &mut String, items: &[Value]) {
        for (at, item) in items.iter().enumerate() {
            let mut added = item.clone();
            added["status"] = json!("in_progress");
            if item["type"] == "message" {
                added["content"] = json!([]);
            }
            let event = json!({"output_index": at, "item": added});
            self.event(text, "response.output_item.added", event);
            for piece in pieces(item["content"][0]["text"].as_str().unwrap_or_default()) {
                let event = json!({
                    "item_id": item["id"], "output_index": at, "content_index": 0, "delta": piece,
                });
                self.event(text, "response.output_text.delta", event);
            }
            let event = json!({"output_index": at, "item": item});
            self.event(text, "response.output_item.done", event);
        }
    }

    fn event(&mut self, text: &mut String, name: &str, mut event: Value) {
        event["type"] = json!(name);
        event["sequence_number"] = json!(self.events);
        self.events += 1;
        // Writing to a string does not fail.
        let _ = write!(text, "event: {name}\ndata: {event}\n\n");
    }
}

fn response(number: usize, status: &str, output: &[Value]) -> Value {
    json!({
        "id": format!("resp_{number}"), "object": "response", "created_at": 1_795_000_000,
        "model": "mock-model", "status": status, "output": output,
    })
}

/// A text in a few pieces, none of them empty.
fn pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let size = letters.len().div_ceil(PIECES).max(1);
    letters
        .chunks(size)
        .map(|piece| piece.iter().collect())
        .collect()
}
