//! The wire of codex app-server: JSON-RPC messages without the version member, one a line or a frame.
//!
//! Messages are read in two steps: the envelope, with its payload as raw JSON, then the payload as its method demands.
//! So an odd payload costs itself and nothing else. A tool call written as codex writes it is read in one step
//! ([`whole_call`]); the result is the same.
//!
//! Invariants: unknown methods, members and item types pass; ids are bounded (`ID_BYTES`); request ids are echoed as
//! the bytes that came. No I/O, no state but the interned texts of one connection, no locks.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::intern::Texts;
use crate::runtime::read::{ID_BYTES, Id, Ids, LastWords, Text};
use crate::runtime::{TakenAnswer, TokenUsage, Tokens, TurnStatus, detail, peer};
use crate::skill::{RequestId, SkillOutput, ToolCall};

/// The envelope of a message, with its payload as it came.
#[derive(Debug, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Text<'a>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// A member that is there, `null` included.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// A refusal of codex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RpcError {
    pub(super) code: i64,
    pub(super) message: String,
}

impl RpcError {
    /// Reads an error of any shape.
    fn read(raw: &RawValue) -> Self {
        #[derive(Default, Deserialize)]
        struct Said<'a> {
            #[serde(borrow, default)]
            code: Option<&'a RawValue>,
            #[serde(borrow, default)]
            message: Option<&'a RawValue>,
        }
        let said: Said<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
        let code = said.code.and_then(|code| code.get().parse().ok());
        let message = said.message.map(RawValue::get);
        let message = message.and_then(|message| serde_json::from_str::<Text<'_>>(message).ok());
        let message = message.as_ref().map_or(raw.get(), |message| &*message.0);
        Self {
            code: code.unwrap_or(0),
            message: peer::beginning(message).to_owned(),
        }
    }
}

/// One message of codex.
#[derive(Debug)]
pub(super) enum Message<'a> {
    /// The answer to a request of ours.
    Response {
        id: u64,
        outcome: Result<&'a RawValue, RpcError>,
    },
    /// A request of codex, which wants an answer.
    Request {
        id: RequestId,
        method: Cow<'a, str>,
        params: &'a RawValue,
    },
    /// A notification.
    Notification {
        method: Cow<'a, str>,
        params: &'a RawValue,
    },
    /// A message this client ignores.
    Other,
}

/// Reads the envelope of a message.
pub(super) fn message(bytes: &[u8]) -> Result<Message<'_>, serde_json::Error> {
    let envelope: Envelope<'_> = serde_json::from_slice(bytes)?;
    let params = envelope.params.unwrap_or(RawValue::NULL);
    if envelope.id.is_some_and(|id| id.get().len() > ID_BYTES) {
        return Ok(Message::Other);
    }
    Ok(match (envelope.method, envelope.id) {
        (Some(method), Some(id)) => Message::Request {
            id: RequestId::from_json(id),
            method: method.0,
            params,
        },
        (Some(method), None) => Message::Notification {
            method: method.0,
            params,
        },
        (None, Some(id)) => match (id.get().parse(), envelope.result, envelope.error) {
            (Ok(id), _, Some(error)) => Message::Response {
                id,
                outcome: Err(RpcError::read(error)),
            },
            (Ok(id), Some(result), None) => Message::Response {
                id,
                outcome: Ok(result),
            },
            _ => Message::Other,
        },
        (None, None) => Message::Other,
    })
}

/// The beginning of a call as codex writes it.
const CALL: &[u8] = br#"{"method":"item/tool/call","#;

/// Reads a call in one step, where it is written as codex writes calls. Returns `None` for anything else, which
/// [`message`] then reads and reports.
pub(super) fn whole_call(bytes: &[u8], generation: u64, texts: &mut Texts) -> Option<ToolCall> {
    #[derive(Deserialize)]
    struct Whole<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
        #[serde(borrow)]
        params: CallParams<'a>,
    }
    if !bytes.starts_with(CALL) {
        return None;
    }
    // Checked as a whole, and not text by text.
    let text = std::str::from_utf8(bytes).ok()?;
    let whole: Whole<'_> = serde_json::from_str(text).ok()?;
    if whole.id.get().len() > ID_BYTES {
        return None;
    }
    let id = RequestId::from_json(whole.id);
    Some(whole.params.into_call(id, generation, texts))
}

/// The parameters of `item/tool/call`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallParams<'a> {
    #[serde(borrow)]
    thread_id: Id<'a>,
    #[serde(borrow, default)]
    turn_id: Option<Id<'a>>,
    #[serde(borrow, default)]
    call_id: Option<Id<'a>>,
    #[serde(borrow, default)]
    namespace: Option<Id<'a>>,
    #[serde(borrow)]
    tool: Id<'a>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

/// Reads `serverRequest/resolved`: the thread and id of a request that any client has answered, or that needs no
/// answer.
pub(super) fn resolved(params: &RawValue) -> Option<(Arc<str>, RequestId)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Resolved<'a> {
        #[serde(borrow)]
        thread_id: Id<'a>,
        #[serde(borrow)]
        request_id: &'a RawValue,
    }
    let resolved: Resolved<'_> = serde_json::from_str(params.get()).ok()?;
    let id = RequestId::from_json(resolved.request_id);
    Some((resolved.thread_id.shared(), id))
}

/// Reads a call. Its session is the calling thread, until the registry finds the thread to be a sub-agent.
pub(super) fn call(
    id: RequestId,
    params: &RawValue,
    generation: u64,
    texts: &mut Texts,
) -> Result<ToolCall, serde_json::Error> {
    let params: CallParams<'_> = serde_json::from_str(params.get())?;
    Ok(params.into_call(id, generation, texts))
}

impl CallParams<'_> {
    fn into_call(self, id: RequestId, generation: u64, texts: &mut Texts) -> ToolCall {
        let arguments = self.arguments.unwrap_or(RawValue::NULL).to_owned();
        let mut call = ToolCall::new(
            texts.share(&self.thread_id.0),
            texts.share(&self.tool.0),
            arguments,
        );
        call.turn_id = self.turn_id.map(|id| texts.share(&id.0));
        call.call_id = self.call_id.as_ref().map(Id::shared);
        call.namespace = self
            .namespace
            .filter(|namespace| !namespace.0.is_empty())
            .map(|namespace| texts.share(&namespace.0));
        call.request_id = Some(id);
        call.generation = generation;
        call
    }
}

/// Returns the thread that a request or notification names.
pub(super) fn thread_of(params: &RawValue) -> Option<Arc<str>> {
    #[derive(Deserialize)]
    struct About<'a> {
        #[serde(borrow, default, alias = "conversationId")]
        #[serde(rename = "threadId")]
        thread_id: Option<Id<'a>>,
    }
    let about: About<'_> = serde_json::from_str(params.get()).ok()?;
    about.thread_id.as_ref().map(Id::shared)
}

/// A notification that concerns sessions.
#[derive(Debug)]
pub(super) enum Notice {
    /// Threads are the sub-agents of another.
    Children {
        parent_id: Arc<str>,
        thread_ids: Vec<Arc<str>>,
    },
    TurnStarted {
        thread_id: Arc<str>,
        turn_id: Arc<str>,
        /// The turn that it was begun for; for a sub-agent, the turn of its session.
        root_turn_id: Option<Arc<str>>,
    },
    TurnCompleted {
        thread_id: Arc<str>,
        end: TurnEnd,
    },
    Delta {
        thread_id: Arc<str>,
        turn_id: Arc<str>,
        text: String,
    },
    Message {
        thread_id: Arc<str>,
        turn_id: Arc<str>,
        text: String,
    },
    ToolStarted {
        thread_id: Arc<str>,
        turn_id: Arc<str>,
        call_id: Arc<str>,
        namespace: Option<Arc<str>>,
        tool: Arc<str>,
    },
    ToolCompleted {
        thread_id: Arc<str>,
        turn_id: Arc<str>,
        call_id: Arc<str>,
        namespace: Option<Arc<str>>,
        tool: Arc<str>,
        success: bool,
        /// The answer that codex took, where it reports one.
        answer: Option<TakenAnswer>,
    },
    Usage {
        thread_id: Arc<str>,
        turn_id: Arc<str>,
        usage: TokenUsage,
    },
    /// The thread was deleted, archived or unloaded.
    Gone {
        thread_id: Arc<str>,
        reason: &'static str,
    },
    Warning {
        thread_id: Option<Arc<str>>,
        text: String,
    },
}

/// How a turn ended.
#[derive(Clone, Debug)]
pub(super) struct TurnEnd {
    pub(super) turn_id: Arc<str>,
    pub(super) status: TurnStatus,
    pub(super) error: Option<String>,
    /// The assistant's last message, where this description of the turn has it.
    pub(super) reply: Option<String>,
    pub(super) detail: Arc<RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TurnParams<'a> {
    #[serde(borrow)]
    thread_id: Id<'a>,
    #[serde(borrow)]
    turn: &'a RawValue,
}

/// The members of a turn that are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Turn<'a> {
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(borrow, default)]
    root_turn_id: Option<Id<'a>>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    items: LastWords,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeltaParams<'a> {
    #[serde(borrow)]
    thread_id: Id<'a>,
    #[serde(borrow)]
    turn_id: Id<'a>,
    delta: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemParams<'a> {
    #[serde(borrow)]
    thread_id: Id<'a>,
    #[serde(borrow)]
    turn_id: Id<'a>,
    #[serde(borrow)]
    item: Item<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(default)]
    text: Option<String>,
    #[serde(borrow, default)]
    namespace: Option<Id<'a>>,
    #[serde(borrow, default)]
    tool: Option<Id<'a>>,
    #[serde(default)]
    success: Option<bool>,
    #[serde(borrow, default)]
    content_items: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sender_thread_id: Option<Id<'a>>,
    #[serde(default)]
    receiver_thread_ids: Ids,
}

impl Item<'_> {
    /// Returns the answer that codex took for a call of a dynamic tool, where it reports one.
    fn answer(&self) -> Option<TakenAnswer> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Content<'a> {
            #[serde(borrow)]
            r#type: Text<'a>,
            #[serde(borrow, alias = "imageUrl", alias = "audioUrl")]
            text: Text<'a>,
        }
        if *self.r#type.0 != *"dynamicToolCall" {
            return None;
        }
        let (success, items) = (self.success?, self.content_items?);
        let items: Vec<Content<'_>> = serde_json::from_str(items.get()).ok()?;
        let items = items.iter().map(|item| (&*item.r#type.0, &*item.text.0));
        Some(TakenAnswer::new(success, items))
    }
}

/// Returns the answers that codex took for the calls of a turn, from its description of the turn.
pub(super) fn answers_in(turn: &RawValue) -> Vec<(Arc<str>, TakenAnswer)> {
    #[derive(Deserialize)]
    struct Turn<'a> {
        #[serde(borrow, default)]
        items: Vec<&'a RawValue>,
    }
    let turn: Option<Turn<'_>> = serde_json::from_str(turn.get()).ok();
    let items = turn.into_iter().flat_map(|turn| turn.items);
    let answer = |item: &RawValue| {
        let item: Item<'_> = serde_json::from_str(item.get()).ok()?;
        Some((item.id.shared(), item.answer()?))
    };
    items.filter_map(answer).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageParams<'a> {
    #[serde(borrow)]
    thread_id: Id<'a>,
    #[serde(borrow)]
    turn_id: Id<'a>,
    token_usage: WireUsage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUsage {
    total: WireTokens,
    last: WireTokens,
    #[serde(default)]
    model_context_window: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct WireTokens {
    total_tokens: u64,
    input_tokens: u64,
    cached_input_tokens: u64,
    output_tokens: u64,
    reasoning_output_tokens: u64,
}

impl From<WireTokens> for Tokens {
    fn from(wire: WireTokens) -> Self {
        Self {
            total: wire.total_tokens,
            input: wire.input_tokens,
            cached_input: wire.cached_input_tokens,
            output: wire.output_tokens,
            reasoning_output: wire.reasoning_output_tokens,
        }
    }
}

/// Reads a notification; `None` for notifications we do not handle.
pub(super) fn notice(method: &str, params: &RawValue) -> Result<Option<Notice>, serde_json::Error> {
    let params = params.get();
    Ok(Some(match method {
        "turn/started" => {
            let params: TurnParams<'_> = serde_json::from_str(params)?;
            let turn: Turn<'_> = serde_json::from_str(params.turn.get())?;
            Notice::TurnStarted {
                thread_id: params.thread_id.shared(),
                turn_id: turn.id.shared(),
                root_turn_id: turn.root_turn_id.as_ref().map(Id::shared),
            }
        }
        "turn/completed" => {
            let params: TurnParams<'_> = serde_json::from_str(params)?;
            Notice::TurnCompleted {
                thread_id: params.thread_id.shared(),
                end: turn_end(params.turn)?,
            }
        }
        "item/agentMessage/delta" => {
            let params: DeltaParams<'_> = serde_json::from_str(params)?;
            Notice::Delta {
                thread_id: params.thread_id.shared(),
                turn_id: params.turn_id.shared(),
                text: params.delta,
            }
        }
        "item/started" | "item/completed" => {
            let params: ItemParams<'_> = serde_json::from_str(params)?;
            let (thread_id, turn_id) = (params.thread_id.shared(), params.turn_id.shared());
            let item = params.item;
            let answer = item.answer();
            let completed = method == "item/completed";
            match (&*item.r#type.0, item.tool) {
                ("agentMessage", _) if completed => Notice::Message {
                    thread_id,
                    turn_id,
                    text: item.text.unwrap_or_default(),
                },
                ("dynamicToolCall", Some(tool)) => {
                    let call_id = item.id.shared();
                    let namespace = item.namespace.as_ref().map(Id::shared);
                    let tool = tool.shared();
                    if completed {
                        Notice::ToolCompleted {
                            thread_id,
                            turn_id,
                            call_id,
                            namespace,
                            tool,
                            success: item.success.unwrap_or(false),
                            answer,
                        }
                    } else {
                        Notice::ToolStarted {
                            thread_id,
                            turn_id,
                            call_id,
                            namespace,
                            tool,
                        }
                    }
                }
                ("collabAgentToolCall", _) => Notice::Children {
                    parent_id: item.sender_thread_id.map_or(thread_id, |id| id.shared()),
                    thread_ids: item.receiver_thread_ids.0,
                },
                _ => return Ok(None),
            }
        }
        "thread/tokenUsage/updated" => {
            let params: UsageParams<'_> = serde_json::from_str(params)?;
            let usage = TokenUsage {
                session: params.token_usage.total.into(),
                last: params.token_usage.last.into(),
                context_window: params.token_usage.model_context_window,
            };
            Notice::Usage {
                thread_id: params.thread_id.shared(),
                turn_id: params.turn_id.shared(),
                usage,
            }
        }
        "thread/deleted" => gone(params, "it was deleted")?,
        "thread/archived" => gone(params, "it was archived")?,
        "thread/closed" => gone(params, "codex unloaded it")?,
        "error" => {
            #[derive(Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Failure<'a> {
                #[serde(borrow, default)]
                thread_id: Option<Id<'a>>,
                #[serde(borrow)]
                error: &'a RawValue,
            }
            let failure: Failure<'_> = serde_json::from_str(params)?;
            Notice::Warning {
                thread_id: failure.thread_id.as_ref().map(Id::shared),
                text: RpcError::read(failure.error).message,
            }
        }
        "warning" | "configWarning" | "guardianWarning" | "deprecationNotice" => {
            #[derive(Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Warning<'a> {
                #[serde(borrow, default)]
                thread_id: Option<Id<'a>>,
                #[serde(default, alias = "summary")]
                message: String,
            }
            let warning: Warning<'_> = serde_json::from_str(params)?;
            Notice::Warning {
                thread_id: warning.thread_id.as_ref().map(Id::shared),
                text: warning.message,
            }
        }
        _ => return Ok(None),
    }))
}

fn gone(params: &str, reason: &'static str) -> Result<Notice, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Gone<'a> {
        #[serde(borrow)]
        thread_id: Id<'a>,
    }
    let gone: Gone<'_> = serde_json::from_str(params)?;
    Ok(Notice::Gone {
        thread_id: gone.thread_id.shared(),
        reason,
    })
}

/// Reads the parent thread from the answer to `thread/read`.
pub(super) fn parent(answer: &RawValue) -> Option<Arc<str>> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        thread: Thread<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Thread<'a> {
        #[serde(borrow, default)]
        parent_thread_id: Option<Id<'a>>,
    }
    let answer: Answer<'_> = serde_json::from_str(answer.get()).ok()?;
    answer.thread.parent_thread_id.as_ref().map(Id::shared)
}

/// Reads the state of a turn from codex's description of it. What cannot be read of the rest costs the detail at most.
pub(super) fn turn_end(raw: &RawValue) -> Result<TurnEnd, serde_json::Error> {
    let turn: Turn<'_> = serde_json::from_str(raw.get())?;
    let status = turn.status.as_ref().map_or("", |status| &*status.0);
    Ok(TurnEnd {
        turn_id: turn.id.shared(),
        status: TurnStatus::from(status),
        error: turn
            .error
            .map(|error| peer::shown(&RpcError::read(error).message)),
        reply: turn.items.0,
        detail: detail(raw),
    })
}

/// Writes a request of this client.
pub(super) fn request(
    id: u64,
    method: &str,
    params: &impl serde::Serialize,
) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(serde::Serialize)]
    struct Request<'a, P> {
        id: u64,
        method: &'a str,
        params: &'a P,
    }
    serde_json::to_vec(&Request { id, method, params })
}

/// The notification that ends the handshake.
pub(super) const INITIALIZED: &[u8] = br#"{"method":"initialized"}"#;

/// Writes the answer to a call. The id is echoed as it came: codex takes `"0"` for another id than `0`.
pub(super) fn answer(id: &RequestId, output: &SkillOutput) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::with_capacity(128 + output.content_len());
    bytes.extend_from_slice(b"{\"id\":");
    bytes.extend_from_slice(id.as_json().as_bytes());
    bytes.extend_from_slice(b",\"result\":");
    serde_json::to_writer(&mut bytes, &output.as_wire())?;
    bytes.push(b'}');
    Ok(bytes)
}

/// Writes the answer to another request.
pub(super) fn result(id: &RequestId, result: &Value) -> Vec<u8> {
    format!("{{\"id\":{},\"result\":{result}}}", id.as_json()).into_bytes()
}

/// Writes a refusal: the request has no result.
pub(super) fn refusal(id: &RequestId, message: &str) -> Vec<u8> {
    let message = Value::from(message);
    format!(
        "{{\"id\":{},\"error\":{{\"code\":-32601,\"message\":{message}}}}}",
        id.as_json()
    )
    .into_bytes()
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
#[path = "wire_tests.rs"]
mod tests;
