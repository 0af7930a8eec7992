//! The wire of codex-manager: frames of its stream and rows of its lists, read in two steps, so that one odd payload
//! costs itself and nothing else.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::question::{self, Kind, Question};
use crate::runtime::read::{ID_BYTES, Id, Ids, LastWords, Text, each};
use crate::runtime::{TurnStatus, peer};
use crate::skill::{RequestId, ToolCall};

/// Calls that are read from one list at most.
const LISTED_CALLS: usize = 64 * 1024;

/// A frame of the stream that concerns sessions.
#[derive(Debug)]
pub(super) enum Frame {
    Ready,
    Pong,
    Call {
        thread_id: Arc<str>,
        call: PendingCall,
        /// It comes from the list of waiting calls, not from the stream.
        is_listed: bool,
    },
    /// A call waits no longer. Its answer was taken, or its turn, its session or its process is gone.
    Resolved {
        thread_id: Arc<str>,
        request_id: String,
        is_expired: bool,
    },
    TurnStarted {
        thread_id: Arc<str>,
        turn_id: Arc<str>,
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
    TurnCompleted {
        thread_id: Arc<str>,
        end: TurnEnd,
    },
    /// A thread has sub-agents, which are threads too.
    Children {
        parent_id: Arc<str>,
        thread_ids: Vec<Arc<str>>,
        /// Whether codex made them for it. Else it has to do with them, because its model named them.
        are_spawned: bool,
    },
    /// Codex asks something that is no call.
    Asked {
        thread_id: Arc<str>,
        question: Question,
    },
    /// Codex wants to know it no longer.
    Decided {
        thread_id: Arc<str>,
        kind: Kind,
        id: Arc<str>,
    },
    Deleted {
        session_id: Arc<str>,
    },
    /// A frame this client ignores.
    Other,
}

/// A call that waits for its answer.
#[derive(Debug, Clone)]
pub(super) struct PendingCall {
    pub(super) request_id: String,
    pub(super) turn_id: Option<Arc<str>>,
    pub(super) call_id: Option<Arc<str>>,
    pub(super) namespace: Option<Arc<str>>,
    pub(super) tool: Arc<str>,
    pub(super) arguments: Box<RawValue>,
}

impl PendingCall {
    pub(super) fn into_call(
        self,
        session_id: Arc<str>,
        thread_id: Arc<str>,
        generation: u64,
    ) -> ToolCall {
        let mut call = ToolCall::new(session_id.clone(), self.tool, self.arguments);
        call.thread_id = (thread_id != session_id).then_some(thread_id);
        call.turn_id = self.turn_id;
        call.call_id = self.call_id;
        call.namespace = self.namespace;
        call.request_id = Some(RequestId::from(self.request_id.as_str()));
        call.generation = generation;
        call
    }
}

/// How a turn ended.
#[derive(Debug, Clone)]
pub(super) struct TurnEnd {
    pub(super) turn_id: Arc<str>,
    pub(super) status: TurnStatus,
    pub(super) error: Option<String>,
    pub(super) reply: Option<String>,
    pub(super) payload: Arc<RawValue>,
}

impl TurnEnd {
    /// The end of a turn whose process is gone.
    pub(super) fn lost(turn_id: &Arc<str>, why: &str) -> Self {
        Self {
            turn_id: turn_id.clone(),
            status: TurnStatus::Lost,
            error: Some(why.to_owned()),
            reply: None,
            payload: RawValue::NULL.to_owned().into(),
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
    #[serde(rename = "threadId", default, deserialize_with = "some_id")]
    thread_id: Option<Arc<str>>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Payload<T> {
    params: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow)]
    request_id: Option<&'a RawValue>,
    #[serde(borrow)]
    params: CallParams<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallParams<'a> {
    #[serde(default, deserialize_with = "some_id")]
    turn_id: Option<Arc<str>>,
    #[serde(default, deserialize_with = "some_id")]
    call_id: Option<Arc<str>>,
    #[serde(default, deserialize_with = "some_id")]
    namespace: Option<Arc<str>>,
    tool: String,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow)]
    request_id: &'a RawValue,
    #[serde(default, deserialize_with = "some_id")]
    turn_id: Option<Arc<str>>,
    #[serde(default, deserialize_with = "some_id")]
    call_id: Option<Arc<str>>,
    tool: String,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(default)]
    details: Option<Details>,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default, deserialize_with = "some_id")]
    namespace: Option<Arc<str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TurnParams<'a> {
    #[serde(borrow)]
    turn: Turn<'a>,
}

#[derive(Deserialize)]
struct Turn<'a> {
    #[serde(deserialize_with = "id")]
    id: Arc<str>,
    #[serde(default)]
    status: String,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    items: LastWords,
}

/// An id that is short enough to be kept.
fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    Ok(Id::deserialize(deserializer)?.shared())
}

/// The same where it may be missing.
fn some_id<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Arc<str>>, D::Error> {
    let id: Option<Id<'de>> = Deserialize::deserialize(deserializer)?;
    Ok(id.map(|id| id.shared()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemParams<'a> {
    #[serde(deserialize_with = "id")]
    turn_id: Arc<str>,
    #[serde(borrow)]
    item: Item<'a>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(borrow, default)]
    tool: Option<&'a RawValue>,
    #[serde(rename = "receiverThreadIds", default)]
    receivers: Ids,
    #[serde(borrow, rename = "agentThreadId", default)]
    agent: Option<&'a RawValue>,
}

/// Whether an item is that of a new thread.
pub(super) fn is_spawn(kind: &str, tool: Option<&str>) -> bool {
    kind == "collabAgentToolCall" && tool == Some("spawnAgent")
}

impl Item<'_> {
    /// The tool that it is about.
    fn tool(&self) -> Option<&str> {
        let tool = self.tool?.get();
        tool.strip_prefix('"')?.strip_suffix('"')
    }

    /// The sub-agents that it tells of.
    fn children(&self) -> Vec<Arc<str>> {
        let mut children = self.receivers.0.clone();
        let agent = self
            .agent
            .and_then(|raw| serde_json::from_str::<Id<'_>>(raw.get()).ok());
        children.extend(agent.filter(|id| !id.0.is_empty()).map(|id| id.shared()));
        children
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeltaParams {
    #[serde(deserialize_with = "id")]
    turn_id: Arc<str>,
    delta: String,
}

#[derive(Deserialize)]
struct ThreadParams {
    thread: Thread,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thread {
    #[serde(deserialize_with = "id")]
    id: Arc<str>,
    #[serde(default, deserialize_with = "some_id")]
    parent_thread_id: Option<Arc<str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resolved<'a> {
    #[serde(borrow)]
    request_id: &'a RawValue,
    #[serde(borrow, default)]
    status: std::borrow::Cow<'a, str>,
}

/// Reads one frame.
pub(super) fn frame(text: &str) -> Result<Frame, serde_json::Error> {
    let envelope: Envelope<'_> = serde_json::from_str(text)?;
    let payload = envelope.payload.map_or("null", RawValue::get);
    let Some(thread_id) = envelope.thread_id else {
        return Ok(match &*envelope.kind {
            "ready" => Frame::Ready,
            "pong" => Frame::Pong,
            _ => Frame::Other,
        });
    };
    Ok(match &*envelope.kind {
        "ready" => Frame::Ready,
        "app_server.request.item.tool.call" => {
            let request: Request<'_> = serde_json::from_str(payload)?;
            let params = request.params;
            match call(
                request.request_id,
                params.turn_id,
                params.call_id,
                params.namespace,
                &params.tool,
                params.arguments,
            ) {
                Some(call) => Frame::Call {
                    thread_id,
                    call,
                    is_listed: false,
                },
                None => Frame::Other,
            }
        }
        "tool_call_requested" => match row(payload)? {
            Some(call) => Frame::Call {
                thread_id,
                call,
                is_listed: false,
            },
            None => Frame::Other,
        },
        "tool_call_resolved" => {
            let resolved: Resolved<'_> = serde_json::from_str(payload)?;
            Frame::Resolved {
                thread_id,
                request_id: bare(resolved.request_id),
                is_expired: resolved.status == "expired",
            }
        }
        "app_server.turn.started" => {
            let payload: Payload<TurnParams<'_>> = serde_json::from_str(payload)?;
            Frame::TurnStarted {
                thread_id,
                turn_id: payload.params.turn.id,
            }
        }
        "app_server.item.agent_message.delta" => {
            let payload: Payload<DeltaParams> = serde_json::from_str(payload)?;
            Frame::Delta {
                thread_id,
                turn_id: payload.params.turn_id,
                text: payload.params.delta,
            }
        }
        kind @ ("app_server.item.started" | "app_server.item.completed") => {
            let payload: Payload<ItemParams<'_>> = serde_json::from_str(payload)?;
            let item = payload.params.item;
            let children = item.children();
            let are_spawned = is_spawn(&item.kind, item.tool());
            match (item.kind.as_str(), item.text) {
                ("agentMessage", Some(text)) if kind.ends_with("completed") => Frame::Message {
                    thread_id,
                    turn_id: payload.params.turn_id,
                    text,
                },
                _ if !children.is_empty() => Frame::Children {
                    parent_id: thread_id,
                    thread_ids: children,
                    are_spawned,
                },
                _ => Frame::Other,
            }
        }
        "app_server.turn.completed" => {
            let whole = envelope.payload.unwrap_or(RawValue::NULL);
            let payload: Payload<TurnParams<'_>> = serde_json::from_str(payload)?;
            Frame::TurnCompleted {
                thread_id,
                end: turn_end(payload.params.turn, whole),
            }
        }
        "app_server.thread.started" => {
            let payload: Payload<ThreadParams> = serde_json::from_str(payload)?;
            let thread = payload.params.thread;
            match thread.parent_thread_id {
                Some(parent_id) => Frame::Children {
                    parent_id,
                    thread_ids: vec![thread.id],
                    are_spawned: true,
                },
                None => Frame::Other,
            }
        }
        kind @ ("approval" | "tool_user_input_requested") => Frame::Asked {
            question: question::question(kind_of(kind), payload)?,
            thread_id,
        },
        kind @ ("approval_resolved" | "tool_user_input_resolved") => Frame::Decided {
            id: question::decided(payload)?,
            kind: kind_of(kind),
            thread_id,
        },
        "session_deleted" => Frame::Deleted {
            session_id: thread_id,
        },
        _ => Frame::Other,
    })
}

fn kind_of(frame: &str) -> Kind {
    if frame.starts_with("approval") {
        Kind::Approval
    } else {
        Kind::Input
    }
}

/// The calls of a list; rows that cannot be read are left out and counted, with those beyond very many.
pub(super) fn pending_calls(body: &str) -> Result<(Vec<PendingCall>, usize), String> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow, default)]
        data: Option<&'a RawValue>,
        #[serde(borrow, default)]
        status: Option<Text<'a>>,
        #[serde(borrow, default)]
        code: Option<Text<'a>>,
    }
    let list: List<'_> = serde_json::from_str(body)
        .map_err(|error| format!("the list of tool calls is {}", peer::place(&error)))?;
    let Some(rows) = list.data.filter(|rows| rows.get().starts_with('[')) else {
        let said = |text: Option<Text<'_>>, what: &str| text.is_some_and(|text| text.0 == what);
        let is_gone = said(list.status, "deleted") || said(list.code, "system_session");
        return match is_gone {
            true => Ok((Vec::new(), 0)),
            false => Err("the list of tool calls has no `data`".to_owned()),
        };
    };
    let (mut calls, mut unread) = (Vec::new(), 0);
    each(rows, |raw| match row(raw.get()) {
        Ok(None) => {}
        Ok(Some(call)) if calls.len() < LISTED_CALLS => calls.push(call),
        Ok(Some(_)) | Err(_) => unread += 1,
    });
    Ok((calls, unread))
}

/// A turn that a session had before it was opened.
pub(super) struct KnownTurn {
    pub(super) id: Arc<str>,
    /// Whether it is over for certain: `interrupted` is also shown of turns that run.
    pub(super) is_over: bool,
}

fn turn_end(turn: Turn<'_>, payload: &RawValue) -> TurnEnd {
    TurnEnd {
        turn_id: turn.id,
        status: turn.status.as_str().into(),
        error: turn.error.and_then(error_of),
        reply: turn.items.0,
        payload: crate::runtime::detail(payload),
    }
}

/// What went wrong with a turn: a text, or something with a `message`.
pub(super) fn error_of(error: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Said<'a> {
        #[serde(borrow)]
        message: Text<'a>,
    }
    let raw = error.get();
    if raw == "null" {
        return None;
    }
    let text = serde_json::from_str::<Text<'_>>(raw);
    let text = text.or_else(|_| serde_json::from_str::<Said<'_>>(raw).map(|said| said.message));
    Some(text.map_or_else(|_| peer::shown(raw), |text| peer::shown(&text.0)))
}

fn row(text: &str) -> Result<Option<PendingCall>, serde_json::Error> {
    let row: Row<'_> = serde_json::from_str(text)?;
    Ok(call(
        Some(row.request_id),
        row.turn_id,
        row.call_id,
        row.details.unwrap_or_default().namespace,
        &row.tool,
        row.arguments,
    ))
}

fn call(
    request_id: Option<&RawValue>,
    turn_id: Option<Arc<str>>,
    call_id: Option<Arc<str>>,
    namespace: Option<Arc<str>>,
    tool: &str,
    arguments: Option<&RawValue>,
) -> Option<PendingCall> {
    let present = |id: Option<Arc<str>>| id.filter(|id| !id.trim().is_empty());
    let tool = tool.trim();
    // One whose ids are too long to be kept is nothing that codex makes.
    if tool.is_empty() || tool.len() > ID_BYTES || request_id?.get().len() > ID_BYTES {
        return None;
    }
    Some(PendingCall {
        request_id: bare(request_id?),
        turn_id: present(turn_id),
        call_id: present(call_id),
        namespace: present(namespace),
        tool: tool.into(),
        arguments: arguments.unwrap_or(RawValue::NULL).to_owned(),
    })
}

/// An id as text, whether it came as a number or as a string.
fn bare(raw: &RawValue) -> String {
    serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
}
