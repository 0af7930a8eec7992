//! Creations, on a thread and a connection of their own.
//!
//! When `main` returns while a session is being created, the server may have made it, and only the answer names what is
//! to be deleted. On a connection of the tokio runtime that goes down that answer would never be read.
//!
//! The thread starts with the first creation and ends with its `Aside`. The lock guards plain data and is never held
//! across an await.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Method;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::exchange::{Holds, NAME, Request, Response};
use super::http::Http;
use crate::runtime::{RuntimeError, RuntimeErrorKind};

/// Completes the sentence "could not …".
pub(super) const OPERATION: &str = "create the session";

/// The thread that creates, once there is one.
#[derive(Default)]
pub(super) struct Aside(Mutex<Option<UnboundedSender<Creation>>>);

struct Creation {
    body: Vec<u8>,
    answer: oneshot::Sender<Result<Response, RuntimeError>>,
}

impl Aside {
    /// Has a session created. A creation that was begun goes on when this is dropped.
    pub(super) async fn create(
        &self,
        http: &Http,
        body: Vec<u8>,
    ) -> Result<Response, RuntimeError> {
        let (answer, answered) = oneshot::channel();
        let refused = self.queue(http, Creation { body, answer });
        if let Some(creation) = refused {
            // There is no thread to be had: here, then.
            return create(http, creation.body).await;
        }
        match answered.await {
            Ok(response) => response,
            Err(_) => Err(RuntimeError::new(
                NAME,
                OPERATION,
                RuntimeErrorKind::Unavailable,
                "the thread that creates sessions ended",
            )),
        }
    }

    /// Returns what finds no thread.
    fn queue(&self, http: &Http, creation: Creation) -> Option<Creation> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = match &*queue {
            Some(queue) => queue.send(creation).err()?.0,
            None => creation,
        };
        let (sender, creations) = unbounded_channel();
        if start(http, creations).is_none() {
            return Some(refused);
        }
        *queue = Some(sender.clone());
        sender.send(refused).err().map(|refused| refused.0)
    }
}

/// Starts the thread, with connections of its own.
fn start(http: &Http, creations: UnboundedReceiver<Creation>) -> Option<()> {
    let http = http.apart()?;
    // The tokio runtime is made on the thread: one may not be dropped on the caller's, where no thread is to be had.
    let serving = move || {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(tokio) = tokio {
            tokio.block_on(serve(Arc::new(http), creations));
        }
    };
    std::thread::Builder::new()
        .name("codex-skills-create".to_owned())
        .spawn(serving)
        .ok()
        .map(drop)
}

/// Creates until no more can come.
async fn serve(http: Arc<Http>, mut creations: UnboundedReceiver<Creation>) {
    let mut open = JoinSet::new();
    while let Some(Creation { body, answer }) = creations.recv().await {
        let http = http.clone();
        open.spawn(async move {
            // The one who waited may be gone.
            let _ = answer.send(create(&http, body).await);
        });
        while open.try_join_next().is_some() {}
    }
    while open.join_next().await.is_some() {}
}

async fn create(http: &Http, body: Vec<u8>) -> Result<Response, RuntimeError> {
    let request = Request {
        operation: OPERATION,
        method: Method::POST,
        path: "/sessions",
        body: Some(body),
        holds: Holds::Session,
    };
    http.call(request).await
}
