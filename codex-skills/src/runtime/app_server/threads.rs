//! Requests about threads: start, resume, fork, send, interrupt, delete.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::connection::{Connection, NAME, RequestError};
use super::lost_send;
use super::registry::Fate;
use super::server::AppServer;
use super::shared::tell;
use super::supervisor;
use super::wire;
use crate::drivers;
use crate::runtime::{
    Accepted, Created, Deletion, NetworkAccess, NewSession, Resumed, RuntimeError,
    RuntimeErrorKind, SendRequest, TurnStatus, peer,
};

fn unavailable(operation: &'static str, why: impl Into<String>) -> RuntimeError {
    RuntimeError::new(NAME, operation, RuntimeErrorKind::Unavailable, why)
}

impl AppServer {
    async fn connection(&self, operation: &'static str) -> Result<Arc<Connection>, RuntimeError> {
        let is_lost = self.shared.has_no_keeper() && !self.shared.stop.is_cancelled();
        if is_lost && let Err(lacks) = drivers::with_io() {
            return Err(unavailable(operation, lacks));
        }
        let tokio = tokio::runtime::Handle::current().id();
        if is_lost && let Some(keeper) = self.shared.succeed_keeper(tokio) {
            supervisor::start(&self.shared, keeper, None);
        }
        let patience = self.shared.settings.request_timeout;
        let up = self.shared.up(patience).await;
        up.map_err(|why| unavailable(operation, why))
    }

    async fn ask(
        &self,
        connection: &Connection,
        method: &str,
        params: &Value,
    ) -> Result<Value, RequestError> {
        let timeout = self.shared.settings.request_timeout;
        let answer = connection.request(method, params, timeout).await?;
        read(&answer)
    }

    pub(super) async fn start_thread(&self, request: NewSession) -> Result<Created, RuntimeError> {
        let operation = "create the session";
        let connection = self.connection(operation).await?;
        let params = self.thread_params(&request, operation)?;
        let started = self.ask(&connection, "thread/start", &params).await;
        // A thread without a turn is in codex's memory only, and gone with a process of our own.
        let is_gone =
            matches!(started, Err(RequestError::Lost)) && !self.shared.settings.target.is_shared();
        let payload = started.map_err(|error| {
            if is_gone {
                error.into_runtime(operation)
            } else {
                not_created(error, operation)
            }
        })?;
        let thread_id = thread_id(&payload, operation)?;
        let fate = if payload["thread"]["ephemeral"] == true {
            Fate::Ephemeral
        } else {
            Fate::Unwritten
        };
        self.shared.registry().created(&thread_id, fate);
        if fate != Fate::Ephemeral && request.fingerprint.is_some() {
            let (_, fingerprints) = self.shared.server();
            fingerprints
                .set(thread_id.clone(), request.fingerprint)
                .await;
        }
        Ok(Created::new(thread_id, payload))
    }

    fn thread_params(
        &self,
        request: &NewSession,
        operation: &'static str,
    ) -> Result<Value, RuntimeError> {
        let settings = &self.shared.settings;
        let options = &request.options;
        let mut params = Map::new();
        let texts = [
            ("cwd", self.directory(options.cwd.as_deref())),
            ("model", options.model.clone().or(settings.model.clone())),
            (
                "approvalPolicy",
                options
                    .approval_policy
                    .or(settings.approval_policy)
                    .map(|policy| policy.to_string()),
            ),
            (
                "sandbox",
                options
                    .filesystem_sandbox
                    .or(settings.sandbox)
                    .map(|sandbox| sandbox.to_string()),
            ),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                params.insert(name.to_owned(), text.into());
            }
        }
        if options.ephemeral.unwrap_or(settings.ephemeral) {
            params.insert("ephemeral".to_owned(), true.into());
        }
        let mut config: Map<String, Value> = options.config.clone().into_iter().collect();
        if let Some(limit) = settings.token_limit {
            config
                .entry("tool_output_token_limit")
                .or_insert_with(|| limit.into());
        }
        if let Some(access) = options.network_access {
            config
                .entry("sandbox_workspace_write.network_access")
                .or_insert_with(|| (access == NetworkAccess::Enabled).into());
        }
        if !config.is_empty() {
            params.insert("config".to_owned(), config.into());
        }
        if let Some(tools) = &request.dynamic_tools {
            let tools = serde_json::from_str(tools.get()).map_err(|error| {
                RuntimeError::new(
                    NAME,
                    operation,
                    RuntimeErrorKind::Refused,
                    error.to_string(),
                )
            })?;
            params.insert("dynamicTools".to_owned(), tools);
        }
        Ok(params.into())
    }

    /// The directory of a session: as this program sees it, where codex runs on the same machine.
    fn directory(&self, cwd: Option<&str>) -> Option<String> {
        let cwd = cwd?;
        if self.shared.settings.target.is_shared() {
            return Some(cwd.to_owned());
        }
        let absolute = std::path::absolute(cwd).ok();
        absolute
            .and_then(|path| path.into_os_string().into_string().ok())
            .or_else(|| Some(cwd.to_owned()))
    }

    pub(super) async fn resume_thread(&self, thread_id: Arc<str>) -> Result<Resumed, RuntimeError> {
        let operation = "resume the session";
        let connection = self.connection(operation).await?;
        let (_, fingerprints) = self.shared.server();
        let fingerprint = fingerprints.get(thread_id.clone()).await;
        let resumed = self.shared.resume(&connection, &thread_id, true).await;
        match resumed.and_then(|resumed| read(&resumed)) {
            Ok(payload) => {
                let mut fate = Fate::Persisted;
                if payload["thread"]["ephemeral"] == true {
                    fate = Fate::Ephemeral;
                }
                self.shared.registry().set_fate(&thread_id, fate);
                self.shared.registry().set_subscribed(&thread_id, true);
                if payload["thread"]["status"]["type"] == "active" {
                    self.find_active(&connection, &thread_id).await;
                }
                // The first request is what codex shows of a thread in lists.
                let preview = payload["thread"]["preview"].as_str().unwrap_or_default();
                Ok(Resumed::new(fingerprint).with_requests((!preview.is_empty()).then_some(true)))
            }
            // A thread in codex's memory that this connection has still.
            Err(error)
                if error.says("no rollout found")
                    && self.shared.registry().fate(&thread_id) != Fate::Persisted =>
            {
                let is_heard = self.shared.registry().is_subscribed(&thread_id);
                let fate = self.shared.registry().fate(&thread_id);
                if fate == Fate::Ephemeral && !is_heard {
                    // Codex reports it on the connection that made it only.
                    return Err(error.into_runtime(operation));
                }
                let params = json!({"threadId": &*thread_id});
                self.ask(&connection, "thread/read", &params)
                    .await
                    .map_err(|_| error.into_runtime(operation))?;
                let waiting = self.shared.registry().again(&thread_id);
                tell(waiting);
                Ok(Resumed::new(fingerprint))
            }
            Err(error) if error.says("no rollout found") => Err(RuntimeError::new(
                NAME,
                operation,
                RuntimeErrorKind::NotFound,
                format!(
                    "codex's home has no thread {thread_id}: it is another home or another id, or the thread was \
                     deleted, was ephemeral, or never had a turn"
                ),
            )),
            Err(error) => Err(error.into_runtime(operation)),
        }
    }

    /// Notes the turn that runs in a thread that was just resumed.
    async fn find_active(&self, connection: &Connection, thread_id: &Arc<str>) {
        let turns = self.shared.turns(connection, thread_id).await;
        let turns = turns.unwrap_or_default();
        let mut turns = turns.iter().filter_map(|turn| wire::turn_end(turn).ok());
        if let Some(turn) = turns.find(|turn| turn.status == TurnStatus::InProgress) {
            self.shared.registry().began(thread_id, &turn.turn_id);
        }
    }

    pub(super) async fn fork_thread(&self, thread_id: Arc<str>) -> Result<Created, RuntimeError> {
        let operation = "fork the session";
        let connection = self.connection(operation).await?;
        let params = json!({"threadId": &*thread_id, "excludeTurns": true});
        let forked = self.ask(&connection, "thread/fork", &params).await;
        let payload = forked.map_err(|error| {
            if error.says("no rollout found") {
                let why = "codex has no history of it: run a turn first; an ephemeral session cannot be forked";
                return RuntimeError::new(NAME, operation, RuntimeErrorKind::Refused, why);
            }
            not_created(error, operation)
        })?;
        let fork_id = self::thread_id(&payload, operation)?;
        let fate = if payload["thread"]["ephemeral"] == true {
            Fate::Ephemeral
        } else {
            Fate::Persisted
        };
        self.shared.registry().created(&fork_id, fate);
        let (_, fingerprints) = self.shared.server();
        if let Some(fingerprint) = fingerprints.get(thread_id).await {
            fingerprints.set(fork_id.clone(), Some(fingerprint)).await;
        }
        Ok(Created::new(fork_id, payload))
    }

    pub(super) async fn start_turn(
        &self,
        thread_id: Arc<str>,
        request: SendRequest,
    ) -> Result<Accepted, RuntimeError> {
        let operation = "send the request";
        let connection = self.connection(operation).await?;
        let before = self.shared.registry().before(&thread_id);
        let message = lost_send::Message::new(request.text, before);
        let params = json!({
            "threadId": &*thread_id,
            "clientUserMessageId": message.id(),
            "input": [{"type": "text", "text": message.text()}],
        });
        let payload = match self.ask(&connection, "turn/start", &params).await {
            Ok(payload) => payload,
            Err(RequestError::Lost) => {
                return self.look_up(&connection, &thread_id, &message, true).await;
            }
            Err(RequestError::Silent(_) | RequestError::Unreadable(_)) => {
                return self.look_up(&connection, &thread_id, &message, false).await;
            }
            Err(error) => return Err(error.into_runtime(operation)),
        };
        let turn_id: Arc<str> = match payload["turn"]["id"].as_str() {
            Some(id) if !id.is_empty() => id.into(),
            // It was taken, and the thread says by which turn.
            _ => return self.look_up(&connection, &thread_id, &message, false).await,
        };
        self.shared.registry().took(&thread_id, &turn_id);
        if !self.shared.registry().is_subscribed(&thread_id) {
            self.subscribe_again(&connection, &thread_id, &turn_id)
                .await;
        }
        Ok(Accepted::new(turn_id, payload))
    }

    /// Subscribes to a thread that could not be resumed before, because nothing had been sent to it.
    async fn subscribe_again(
        &self,
        connection: &Arc<Connection>,
        thread_id: &Arc<str>,
        turn_id: &Arc<str>,
    ) {
        match self.shared.resume(connection, thread_id, false).await {
            Ok(resumed) => {
                self.shared.registry().set_subscribed(thread_id, true);
                // It may have ended by now.
                let (thread_id, turn_id) = (thread_id.clone(), turn_id.clone());
                self.shared
                    .look_after(connection, thread_id, turn_id, &resumed);
            }
            Err(error) => {
                let error = error.into_runtime("resume the session");
                self.shared.close_thread(thread_id, &error.to_string());
            }
        }
    }

    pub(super) async fn interrupt_turn(
        &self,
        thread_id: Arc<str>,
        turn_id: Option<Arc<str>>,
    ) -> Result<(), RuntimeError> {
        let operation = "interrupt the turn";
        let connection = self.connection(operation).await?;
        let active = self.shared.registry().active(&thread_id);
        if let Some(turn_id) = &turn_id
            && self.shared.registry().has_ended(&thread_id, turn_id)
        {
            return Ok(());
        }
        if turn_id.is_none() && active.is_none() && self.shared.registry().is_subscribed(&thread_id)
        {
            return Err(RuntimeError::new(
                NAME,
                operation,
                RuntimeErrorKind::NotFound,
                "there is no active turn",
            ));
        }
        // An empty id is codex's word for the turn that runs.
        let wanted = turn_id.clone().or(active).unwrap_or_else(|| "".into());
        let interrupt = |turn_id: Arc<str>| {
            let (connection, thread_id) = (&connection, &thread_id);
            async move {
                let params = json!({"threadId": &**thread_id, "turnId": &*turn_id});
                self.ask(connection, "turn/interrupt", &params).await
            }
        };
        let mut interrupted = interrupt(wanted.clone()).await;
        if let Err(error) = &interrupted
            && let Some(found) = found_instead(error)
        {
            // The known active turn was out of date. A turn that was named is over when another one runs.
            if turn_id.is_some() && self.shared.registry().has_ended(&thread_id, &wanted) {
                return Ok(());
            }
            let again = turn_id.unwrap_or(found);
            interrupted = interrupt(again).await;
        }
        match interrupted {
            Ok(_) => Ok(()),
            Err(error) => Err(error.into_runtime(operation)),
        }
    }

    /// Interrupts every turn, as far as codex takes it in time: a call without an answer holds up its end.
    pub(super) async fn interrupt_all(&self, patience: Duration) {
        let Some(connection) = self.shared.state.borrow().connection().cloned() else {
            return;
        };
        let live = self.shared.registry().live();
        let active = live
            .into_iter()
            .filter_map(|live| Some((live.thread_id, live.active?)));
        let interrupts = active.map(|(thread_id, turn_id)| {
            let connection = &connection;
            async move {
                let params = json!({"threadId": &*thread_id, "turnId": &*turn_id});
                let interrupted = connection.request("turn/interrupt", &params, patience).await;
                if let Err(error) = interrupted {
                    tracing::debug!(target: "codex_skills::app_server", session = &*thread_id, ?error, "a turn was not interrupted");
                }
            }
        });
        futures_util::future::join_all(interrupts).await;
    }

    pub(super) async fn read_thread(&self, thread_id: Arc<str>) -> Result<Value, RuntimeError> {
        let operation = "read the session";
        let connection = self.connection(operation).await?;
        let params = json!({"threadId": &*thread_id});
        let read = self.ask(&connection, "thread/read", &params).await;
        read.map_err(|error| error.into_runtime(operation))
    }

    pub(super) async fn delete_thread(
        &self,
        thread_id: Arc<str>,
    ) -> Result<Deletion, RuntimeError> {
        let operation = "delete the session";
        let connection = self.connection(operation).await?;
        let fate = self.shared.registry().fate(&thread_id);
        let params = json!({"threadId": &*thread_id});
        let is_shared = self.shared.settings.target.is_shared();
        let (status, payload) = if fate == Fate::Ephemeral {
            self.let_go(&connection, &thread_id, &params).await
        } else {
            match self.ask(&connection, "thread/delete", &params).await {
                // Another process has it still, like one that was just killed.
                Err(error) if error.says("active writer") => {
                    return Err(unavailable(operation, "another codex holds the thread"));
                }
                Ok(payload) => Ok(("deleted", payload)),
                Err(error) if is_missing(&error) => Ok(("not_found", said(&error))),
                // Killed before it wrote the thread: codex does not list it, and cannot read it to delete it.
                Err(error) if error.says_empty() && !is_shared => Ok(("not_found", said(&error))),
                Err(error) if error.says("not persisted") => {
                    self.let_go(&connection, &thread_id, &params).await
                }
                // A thread that others were forked from, or a codex that cannot delete.
                Err(error) if error.says("forked history") || error.says("unknown variant") => {
                    let archived = self.ask(&connection, "thread/archive", &params).await;
                    match archived {
                        Ok(_) => Ok(("archived", said(&error))),
                        // Nothing was sent to it, so there is nothing on disk.
                        Err(missing) if is_missing(&missing) && fate == Fate::Unwritten => {
                            Ok(("not_persisted", said(&missing)))
                        }
                        Err(missing)
                            if is_missing(&missing) || missing.says_empty() && !is_shared =>
                        {
                            Ok(("not_found", said(&missing)))
                        }
                        Err(error) => Err(error),
                    }
                }
                Err(error) => Err(error),
            }
        }
        .map_err(|error| error.into_runtime(operation))?;
        self.shared.registry().forget(&thread_id);
        if matches!(status, "deleted" | "not_found") {
            let (_, fingerprints) = self.shared.server();
            fingerprints.set(thread_id.clone(), None).await;
        }
        let payload = json!({"status": status, "threadId": &*thread_id, "answer": payload});
        Ok(Deletion::new(status, payload))
    }

    /// Unsubscribes from a thread that is in codex's memory only: codex evicts it later.
    async fn let_go(
        &self,
        connection: &Connection,
        thread_id: &Arc<str>,
        params: &Value,
    ) -> Result<(&'static str, Value), RequestError> {
        // An empty id is codex's word for the turn that runs.
        let interrupt = json!({"threadId": &**thread_id, "turnId": ""});
        if let Err(error) = self.ask(connection, "turn/interrupt", &interrupt).await {
            tracing::debug!(target: "codex_skills::app_server", session = &**thread_id, ?error, "the turn of a session that is let go was not interrupted");
        }
        match self.ask(connection, "thread/unsubscribe", params).await {
            Ok(payload) => Ok(("unsubscribed", payload)),
            // A codex that keeps it until it ends.
            Err(error) if error.says("unknown variant") => Ok(("not_persisted", said(&error))),
            Err(error) if is_missing(&error) => Ok(("not_found", said(&error))),
            Err(error) => Err(error),
        }
    }
}

/// The largest answer that is read as a whole, in bytes: as JSON values it takes many times as much.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

fn read(answer: &RawValue) -> Result<Value, RequestError> {
    let bytes = answer.get().len();
    if bytes > ANSWER_BYTES {
        let why = format!("codex answered with {bytes} bytes, and {ANSWER_BYTES} are read at most");
        return Err(RequestError::Unreadable(why));
    }
    serde_json::from_str(answer.get())
        .map_err(|error| RequestError::Unreadable(peer::place(&error)))
}

/// Returns the error of a thread that was not created. Where no answer came, codex may have made one without an owner,
/// and another attempt would make another.
fn not_created(error: RequestError, operation: &'static str) -> RuntimeError {
    if !error.is_unclear() {
        return error.into_runtime(operation);
    }
    let why = error.into_runtime(operation);
    unknown_creation(operation, why.message())
}

fn unknown_creation(operation: &'static str, why: &str) -> RuntimeError {
    tracing::warn!(target: "codex_skills::app_server", operation, why, "codex may have made a session that nothing owns, since its answer was lost");
    let text = format!("{why}; there may be one now that nothing owns");
    RuntimeError::new(NAME, operation, RuntimeErrorKind::Unknown, text)
}

fn is_missing(error: &RequestError) -> bool {
    ["no rollout found", "thread not found", "not loaded"]
        .iter()
        .any(|words| error.says(words))
}

fn said(error: &RequestError) -> Value {
    match error {
        RequestError::Refused(error) => error.message.as_str().into(),
        _ => Value::Null,
    }
}

/// The turn that runs instead of the one that was to be interrupted.
fn found_instead(error: &RequestError) -> Option<Arc<str>> {
    let RequestError::Refused(error) = error else {
        return None;
    };
    let (_, rest) = error.message.split_once("expected active turn id")?;
    let (_, found) = rest.split_once("but found")?;
    let found = found.trim().trim_matches(['`', '"', '\'', '.']);
    (!found.is_empty()).then(|| found.into())
}

fn thread_id(payload: &Value, operation: &'static str) -> Result<Arc<str>, RuntimeError> {
    match payload["thread"]["id"].as_str() {
        Some(id) if !id.is_empty() => Ok(id.into()),
        _ => Err(unknown_creation(operation, "the answer has no thread.id")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::RpcError;
    use super::*;

    #[test]
    fn the_turn_that_runs_is_read_from_the_refusal() {
        let refused = |message: &str| {
            found_instead(&RequestError::Refused(RpcError {
                code: -32600,
                message: message.to_owned(),
            }))
        };
        assert_eq!(
            refused("expected active turn id a-1 but found b-2").as_deref(),
            Some("b-2")
        );
        assert_eq!(
            refused("expected active turn id `a` but found `b`").as_deref(),
            Some("b")
        );
        assert_eq!(refused("no active turn to interrupt"), None);
        assert_eq!(found_instead(&RequestError::Lost), None);
    }
}
