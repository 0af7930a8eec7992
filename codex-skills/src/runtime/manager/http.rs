//! Requests to codex-manager: one way to make them, and typed errors for what comes back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::profile::{ProfileError, Settings};
use crate::runtime::{HttpFailure, RuntimeError, RuntimeErrorKind};

pub(super) const NAME: &str = "codex-manager";

/// The largest body of an answer that is read, in bytes: that of a session has all that happened in it.
const BODY_BYTES: usize = 256 * 1024 * 1024;

/// An HTTP client with the settings applied.
#[derive(Debug)]
pub(super) struct Http {
    client: Mutex<Client>,
    connect: Duration,
    base: String,
    headers: HeaderMap,
    timeout: Duration,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: String,
}

impl Response {
    /// The body as JSON; `null` when it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// The longest time that a server's `Retry-After` is obeyed for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);
/// How often a request is sent that may be sent again, the first time included.
const RETRIED_ATTEMPTS: usize = 4;
/// The delay before the second time; it doubles.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// One request, named for messages.
#[derive(Clone)]
pub(super) struct Request<'a> {
    /// Completes the sentence "could not …".
    pub(super) operation: &'static str,
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) body: Option<Vec<u8>>,
}

impl Http {
    pub(super) fn new(settings: &Settings, connect: Duration) -> Result<Self, ProfileError> {
        let invalid = |origin: &str, reason: String| ProfileError::Invalid {
            origin: origin.to_owned(),
            value: "…".to_owned(),
            reason,
        };
        let client = client(connect).map_err(|error| invalid("HTTP client", error.to_string()))?;
        let mut headers = HeaderMap::new();
        let bearer = settings
            .bearer
            .as_ref()
            .map(|token| ("authorization".to_owned(), format!("Bearer {token}")));
        // The names that the server reads (contract, Authentication).
        let rbac = [
            ("x-codex-rbac-token", &settings.rbac_token),
            ("x-codex-role", &settings.rbac_role),
            ("x-codex-actor", &settings.rbac_actor),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        for (name, value) in settings
            .headers
            .clone()
            .into_iter()
            .chain(bearer)
            .chain(rbac)
        {
            let key = HeaderName::try_from(&name)
                .map_err(|error| invalid(&format!("header `{name}`"), error.to_string()))?;
            let mut value = HeaderValue::try_from(value)
                .map_err(|error| invalid(&format!("header `{name}`"), error.to_string()))?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        Ok(Self {
            client: Mutex::new(client),
            connect,
            base: format!("{}{}", settings.base_url, settings.api_prefix),
            headers,
            timeout: settings.timeout,
        })
    }

    /// Gives up the connections, whose tokio runtime goes down.
    pub(super) fn renew(&self) {
        if let Ok(client) = client(self.connect) {
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
        }
    }

    fn client(&self) -> Client {
        let client = self.client.lock();
        client.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The address of a path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A request with the client's headers, to be sent without its time-out.
    pub(super) fn upgrade(&self, path: &str) -> reqwest::RequestBuilder {
        self.client()
            .get(self.url(path))
            .headers(self.headers.clone())
    }

    /// Sends a request and reads the whole answer, whatever its status.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Response, RuntimeError> {
        let unavailable = |error: reqwest::Error| {
            let is_unsent = error.is_connect();
            RuntimeError::new(
                NAME,
                request.operation,
                RuntimeErrorKind::Unavailable,
                format!("{} {}: {}", request.method, request.path, chain(error)),
            )
            .unsent(is_unsent)
        };
        let mut builder = self
            .client()
            .request(request.method.clone(), self.url(request.path))
            .headers(self.headers.clone())
            .timeout(self.timeout);
        if let Some(body) = &request.body {
            builder = builder
                .header("content-type", "application/json")
                .body(body.clone());
        }
        let mut response = builder.send().await.map_err(unavailable)?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
            if body.len() + chunk.len() > BODY_BYTES {
                return Err(RuntimeError::new(
                    NAME,
                    request.operation,
                    RuntimeErrorKind::Unavailable,
                    format!(
                        "{} {}: the answer is over {BODY_BYTES} bytes",
                        request.method, request.path
                    ),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response {
            status,
            retry_after,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// Sends a request that does no more when it is done twice, again if it may not have arrived.
    pub(super) async fn send_again(&self, request: Request<'_>) -> Result<Response, RuntimeError> {
        let mut delay = RETRY_DELAY;
        for _ in 1..RETRIED_ATTEMPTS {
            let after = match self.send(request.clone()).await {
                Ok(response) if !is_transient(response.status) => return Ok(response),
                Ok(response) => response.retry_after,
                Err(_) => None,
            };
            tokio::time::sleep(after.unwrap_or(delay)).await;
            delay *= 2;
        }
        self.send(request).await
    }

    /// Sends a request whose every status but the 2xx is an error.
    pub(super) async fn call(&self, request: Request<'_>) -> Result<Response, RuntimeError> {
        let (operation, method, path) = (
            request.operation,
            request.method.clone(),
            request.path.to_owned(),
        );
        let response = self.send(request).await?;
        if response.status.is_success() {
            return Ok(response);
        }
        Err(failure(operation, &method, &path, &response))
    }
}

/// A client without connections.
fn client(connect: Duration) -> reqwest::Result<Client> {
    super::tls::client_builder()
        .connect_timeout(connect)
        // The server closes idle connections after 72 seconds: not the moment to send on one.
        .pool_idle_timeout(Duration::from_secs(30))
        .tcp_nodelay(true)
        // The stream's upgrade is HTTP/1.1, and so is the server.
        .http1_only()
        .build()
}

/// A path with a query of one parameter.
pub(super) fn with_query(path: &str, name: &str, value: &str) -> String {
    let query = reqwest::Url::parse_with_params("http://x", [(name, value)]);
    // The address parses, so there is one.
    let query = query.ok().and_then(|url| url.query().map(str::to_owned));
    format!("{path}?{}", query.unwrap_or_default())
}

/// Whether trying again may help.
pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500..=599)
}

/// The error for an answer that is none of the 2xx.
pub(super) fn failure(
    operation: &'static str,
    method: &Method,
    path: &str,
    response: &Response,
) -> RuntimeError {
    let status = response.status;
    let body = response.json();
    let said = body
        .get("message")
        .and_then(Value::as_str)
        .or_else(|| body.get("status").and_then(Value::as_str))
        .map_or_else(|| response.body.chars().take(200).collect(), str::to_owned);
    let kind = match status.as_u16() {
        404 | 410 => RuntimeErrorKind::NotFound,
        _ if is_transient(status) => RuntimeErrorKind::Unavailable,
        _ => RuntimeErrorKind::Refused,
    };
    RuntimeError::new(
        NAME,
        operation,
        kind,
        format!("{method} {path} answered {}: {said}", status.as_u16()),
    )
    .with_http(Arc::new(HttpFailure::new(
        method.as_str(),
        path,
        status.as_u16(),
        response.body.clone(),
    )))
}

/// An error with its causes, which reqwest's own text hides, and without the address, which may have a
/// password in it.
pub(super) fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
