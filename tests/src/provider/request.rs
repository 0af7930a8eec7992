//! A request of codex, and what it says.

use axum::http::HeaderMap;
use serde_json::Value;

/// A request for a response.
#[derive(Clone, Debug)]
pub struct Request {
    thread_id: String,
    body: Value,
}

/// What a call returned, as the model reads it.
#[derive(Clone, Debug)]
pub struct Output {
    call_id: String,
    value: Value,
}

impl Request {
    pub(super) fn new(headers: &HeaderMap, body: Value) -> Self {
        // codex 0.105 has no such header, and no threads that share a cache.
        let thread_id = headers
            .get("thread-id")
            .and_then(|id| id.to_str().ok())
            .or_else(|| body["prompt_cache_key"].as_str())
            .unwrap_or_default()
            .to_owned();
        Self { thread_id, body }
    }

    /// The thread that asks.
    #[must_use]
    pub fn thread_id(&self) -> &str {
        &self.thread_id
    }

    /// All of it.
    #[must_use]
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The tools that the model sees.
    #[must_use]
    pub fn tools(&self) -> &[Value] {
        self.body["tools"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The tools of this name at the top level.
    #[must_use]
    pub fn tools_named(&self, name: &str) -> Vec<&Value> {
        let named = |tool: &&Value| tool["name"] == name;
        self.tools().iter().filter(named).collect()
    }

    /// What the user said last.
    #[must_use]
    pub fn text(&self) -> String {
        self.last_message()
            .map(|(_, text)| text)
            .unwrap_or_default()
    }

    /// What the calls returned since the user said something.
    #[must_use]
    pub fn outputs(&self) -> Vec<Output> {
        let after = self.last_message().map_or(0, |(at, _)| at + 1);
        self.input()
            .iter()
            .skip(after)
            .filter_map(Output::of)
            .collect()
    }

    /// What all calls of the thread returned that it remembers.
    #[must_use]
    pub fn all_outputs(&self) -> Vec<Output> {
        self.input().iter().filter_map(Output::of).collect()
    }

    fn input(&self) -> &[Value] {
        self.body["input"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The last message of the user and its place. Those that codex writes itself are left out.
    fn last_message(&self) -> Option<(usize, String)> {
        let input = self.input().iter().enumerate().rev();
        input
            .filter(|(_, item)| item["type"] == "message" && item["role"] == "user")
            .map(|(at, item)| (at, text_of(&item["content"])))
            .find(|(_, text)| !text.starts_with('<') && !text.starts_with("# AGENTS"))
    }
}

impl Output {
    fn of(item: &Value) -> Option<Self> {
        let kind = item["type"].as_str()?;
        if !["function_call_output", "custom_tool_call_output"].contains(&kind) {
            return None;
        }
        Some(Self {
            call_id: item["call_id"].as_str()?.to_owned(),
            value: item["output"].clone(),
        })
    }

    /// Which call it answers.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// A text, or a list of texts and images.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Its texts. An image is `[image]`.
    #[must_use]
    pub fn text(&self) -> String {
        text_of(&self.value)
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let text = |item: &Value| item["text"].as_str().map(str::to_owned);
            let texts = items.iter().map(|item| {
                let image = || item["image_url"].as_str().map(|_| "[image]".to_owned());
                text(item).or_else(image).unwrap_or_default()
            });
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
