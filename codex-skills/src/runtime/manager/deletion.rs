//! Deletes a session with its sub-agents, whose threads the server would leave behind.

use std::sync::Arc;

use reqwest::Method;
use serde_json::Value;

use super::detail::Detail;
use super::exchange::{Holds, Request};
use super::link::LinkState;
use super::{CodexManager, session_path};
use crate::runtime::{Deletion, RuntimeError, RuntimeErrorKind};

/// Sub-agents of a session that are looked for in its history.
const READ_CHILDREN: usize = 256;

impl CodexManager {
    /// Deletes a session and the threads of its sub-agents, of which those are due that cannot be deleted now. One that
    /// is gone is not an error.
    pub(super) async fn delete(&self, session_id: &Arc<str>) -> Result<Deletion, RuntimeError> {
        self.remember_family(session_id).await;
        let deletion = self.delete_thread(session_id).await?;
        self.shared.registry().forget(session_id);
        self.shared.threads.notify_one();
        self.shared.fingerprints.set(session_id.clone(), None).await;
        self.shared.registry().leave_families(session_id);
        let family = self.shared.registry().family(session_id);
        let mut due = Vec::new();
        for child in family {
            match self.delete_thread(&child).await {
                Err(error) if error.kind() == RuntimeErrorKind::Unavailable => {
                    due.push(child);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(target: "codex_skills::manager", session = &*child, %error, "the session of a sub-agent was not deleted");
                }
                Ok(_) => {}
            }
            self.shared.registry().leave_families(&child);
        }
        Ok(deletion.with_due(due))
    }

    /// Notes the sub-agents that are to be deleted, before the session is forgotten with them.
    async fn remember_family(&self, session_id: &Arc<str>) {
        let is_up = self.shared.state() == LinkState::Up;
        let mut unread = match self.shared.registry().remember_family(session_id, is_up) {
            true => Vec::new(),
            false => vec![session_id.clone()],
        };
        let (mut read, mut failed) = (0, false);
        while let Some(thread_id) = unread.pop().filter(|_| read < READ_CHILDREN) {
            read += 1;
            let body = match self.read_thread(&thread_id, !failed).await {
                Ok(Some(body)) => body,
                Ok(None) => continue,
                Err(_) if failed => continue,
                Err(error) => {
                    failed = true;
                    tracing::warn!(target: "codex_skills::manager", session = &*thread_id, %error, "the sub-agents of a session that is deleted cannot be looked up: some may be left");
                    continue;
                }
            };
            let children = Detail::read(&body).children().into_iter();
            let spawned = children.filter_map(|(child, is_spawned)| is_spawned.then_some(child));
            let spawned = spawned.collect();
            let mut registry = self.shared.registry();
            unread.extend(registry.join_family(session_id, spawned));
        }
    }

    /// Reads a session, again where it may help; there is nothing to be read of one that is gone.
    async fn read_thread(
        &self,
        thread_id: &str,
        again: bool,
    ) -> Result<Option<String>, RuntimeError> {
        let operation = "read the session";
        let (http, method) = (&self.shared.http, Method::GET);
        let path = session_path(operation, thread_id, "")?;
        let request = Request {
            operation,
            method: method.clone(),
            path: &path,
            body: None,
            holds: Holds::History,
        };
        let response = match again {
            true => http.send_again(request).await?,
            false => http.send(request).await?,
        };
        match response.status.as_u16() {
            404 | 410 => Ok(None),
            _ if response.status.is_success() => Ok(Some(response.body)),
            _ => Err(http.refusal(operation, &method, &path, &response).await),
        }
    }

    async fn delete_thread(&self, thread_id: &str) -> Result<Deletion, RuntimeError> {
        let operation = "delete the session";
        let http = &self.shared.http;
        let path = session_path(operation, thread_id, "")?;
        let response = http
            .send_again(Request {
                operation,
                method: Method::DELETE,
                path: &path,
                body: None,
                holds: Holds::Word,
            })
            .await?;
        if response.status.is_server_error() && !is_thread_id(thread_id) {
            return Err(RuntimeError::new(
                super::exchange::NAME,
                operation,
                RuntimeErrorKind::NotFound,
                format!("`{thread_id}` is no id of a session"),
            ));
        }
        if !response.status.is_success() && !matches!(response.status.as_u16(), 404 | 410) {
            let method = &Method::DELETE;
            return Err(http.refusal(operation, method, &path, &response).await);
        }
        let payload = response.json();
        let status = payload.get("status").and_then(Value::as_str).unwrap_or("");
        Ok(Deletion::new(status, payload.clone()))
    }
}

/// Whether codex takes a text for the id of a thread. For others the server's error does not say what is wrong.
fn is_thread_id(id: &str) -> bool {
    let parts = id.split('-').map(str::len);
    let is_hex = |byte: u8| byte == b'-' || byte.is_ascii_hexdigit();
    parts.eq([8, 4, 4, 4, 12]) && id.bytes().all(is_hex)
}
