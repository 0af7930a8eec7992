//! Requests to codex-manager: one way to make them, and typed errors for what comes back.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, Proxy, Url};
use serde_json::Value;

use super::address;
use super::exchange::{Holds, REQUEST_BYTES, Request, Response, is_transient};
use super::failure::{self, Broken, How};
use super::profile::{self, ProfileError, Settings};
use crate::runtime::RuntimeError;

/// Bytes of an error's body that are read at most.
const ERROR_BYTES: usize = 64 * 1024;

/// The way of requests to the server: through a proxy or without.
#[derive(Clone, Default)]
pub(super) struct Way {
    /// The proxy to go through.
    pub(super) proxy: Option<String>,
    /// Whether to go through the proxy that the environment or the system names, without one of our own.
    pub(super) system_proxy: bool,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way")
            .field("proxy", &self.proxy.as_deref().map(profile::shown))
            .field("system_proxy", &self.system_proxy)
            .finish()
    }
}

/// An HTTP client with the settings applied.
#[derive(Debug)]
pub(super) struct Http {
    client: Mutex<Client>,
    way: Way,
    connect: Duration,
    base: String,
    headers: HeaderMap,
    timeout: Duration,
    /// The largest body of a request that the server takes, as far as is known.
    request_bytes: usize,
    /// The most that is read of an answer with all of a session.
    history_bytes: usize,
}

/// The longest time that a server's `Retry-After` is obeyed for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);
/// Attempts at an idempotent request, the first included.
const RETRIED_ATTEMPTS: usize = 4;
/// The delay before the second time; it doubles.
const RETRY_DELAY: Duration = Duration::from_millis(50);

impl Http {
    pub(super) fn new(
        settings: &Settings,
        way: &Way,
        connect: Duration,
        answer_bytes: usize,
        history_bytes: usize,
    ) -> Result<Self, ProfileError> {
        let base = address::api(settings);
        let client = client(&base, way, connect)?;
        let mut headers = HeaderMap::new();
        let bearer = settings
            .bearer
            .as_ref()
            .map(|token| ("authorization".to_owned(), format!("Bearer {token}")));
        // The names that the server reads (contract §9.1).
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
            way: way.clone(),
            connect,
            base,
            headers,
            timeout: settings.timeout,
            // A program that sends larger answers has set the server up for them.
            request_bytes: REQUEST_BYTES.max(answer_bytes),
            history_bytes,
        })
    }

    /// Makes the same requests on connections of its own.
    pub(super) fn apart(&self) -> Option<Self> {
        Some(Self {
            client: Mutex::new(client(&self.base, &self.way, self.connect).ok()?),
            way: self.way.clone(),
            connect: self.connect,
            base: self.base.clone(),
            headers: self.headers.clone(),
            timeout: self.timeout,
            request_bytes: self.request_bytes,
            history_bytes: self.history_bytes,
        })
    }

    /// Gives up the connections, whose tokio runtime goes down.
    pub(super) fn renew(&self) {
        if let Ok(client) = client(&self.base, &self.way, self.connect) {
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

    /// Sends a request and reads the whole answer, whatever its status. One of which the server most likely took no more
    /// than its head since it is too large is answered so.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Response, RuntimeError> {
        match self.exchange(request).await {
            Err(Broken {
                how: How::Oversized(bytes),
                ..
            }) => Ok(Response::too_large(bytes)),
            other => Ok(other?),
        }
    }

    /// Like [`send`](Self::send), with the kind of a failure.
    pub(super) async fn exchange(&self, request: Request<'_>) -> Result<Response, Broken> {
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
        let response = match builder.send().await {
            Ok(response) => response,
            Err(error) => {
                let mut broken = self.broken(&request, error);
                let bytes = request.body.as_ref().map_or(0, Vec::len);
                // The server refuses a body that is too large while it is being written, and closes the connection:
                // whether the refusal can be read is a matter of luck.
                if broken.how == How::Cut && bytes > self.request_bytes {
                    broken.how = How::Oversized(bytes);
                }
                return Err(broken);
            }
        };
        self.read(&request, response).await
    }

    async fn read(
        &self,
        request: &Request<'_>,
        mut response: reqwest::Response,
    ) -> Result<Response, Broken> {
        let header = |name| response.headers().get(name)?.to_str().ok();
        let retry_after = header(RETRY_AFTER)
            .and_then(|value| value.trim().parse().ok())
            .map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER));
        let location = header(LOCATION).map(str::to_owned);
        let status = response.status();
        // Read no more of an error than is shown or examined.
        let limit = if status.is_success() {
            request.holds.most(self.history_bytes)
        } else {
            ERROR_BYTES
        };
        let is_cut = !status.is_success() || request.holds == Holds::Beginning;
        let mut body = Vec::new();
        loop {
            let chunk = response.chunk().await;
            let Some(chunk) = chunk.map_err(|error| self.broken(request, error))? else {
                break;
            };
            if body.len() + chunk.len() > limit {
                if is_cut {
                    body.extend_from_slice(&chunk[..limit - body.len()]);
                    break;
                }
                let problem = request.holds.too_long(limit);
                return Err(Broken::new(request, How::Other, &problem));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response {
            status,
            retry_after,
            location,
            body: text(body),
        })
    }

    fn broken(&self, request: &Request<'_>, error: reqwest::Error) -> Broken {
        if error.is_connect() {
            let address = profile::shown(&self.base);
            let problem = format!(
                "nothing answers at {address} ({}): start codex-manager's API there, or set another address with a \
                 profile, `CODEX_MANAGER_API_BASE` or `CodexManager::builder().base_url(..)`",
                failure::chain(error)
            );
            return Broken::new(request, How::Connect, &problem);
        }
        if error.is_timeout() {
            let problem = format!("no answer within {:?}", self.timeout);
            return Broken::new(request, How::Timeout, &problem);
        }
        Broken::new(request, How::Cut, &failure::chain(error))
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
        Err(self.refusal(operation, &method, &path, &response).await)
    }

    /// The error for an answer that is none of the 2xx, with what the server knows of its codex where that may be why.
    pub(super) async fn refusal(
        &self,
        operation: &'static str,
        method: &Method,
        path: &str,
        response: &Response,
    ) -> RuntimeError {
        let mut process = None;
        if response.status.is_server_error() {
            process = self.process().await.ok();
        }
        let dead = process.and_then(|process| process.death);
        failure::of(operation, method, path, response, dead.as_deref())
    }

    /// The codex process behind the server, as it is now.
    pub(super) async fn process(&self) -> Result<Process, RuntimeError> {
        let (operation, path) = ("ask for its health", "/health");
        let request = Request {
            operation,
            method: Method::GET,
            path,
            body: None,
            holds: Holds::Word,
        };
        let response = self.send(request).await?;
        if response.status.is_redirection() || is_transient(response.status) {
            let method = &Method::GET;
            return Err(failure::of(operation, method, path, &response, None));
        }
        Ok(Process::of(&response.json()))
    }
}

/// State of the codex process, as the server reports it.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) id: Option<u64>,
    /// How it ended, where it does not run any more.
    pub(super) death: Option<String>,
}

impl Process {
    fn of(health: &Value) -> Self {
        let is_dead = health.pointer("/codex/running") == Some(&Value::Bool(false));
        Self {
            id: health.pointer("/codex/pid").and_then(Value::as_u64),
            death: is_dead.then(|| failure::death(&health["codex"]["lastExit"])),
        }
    }
}

/// A body as text, without a copy where it is one.
fn text(body: Vec<u8>) -> String {
    String::from_utf8(body)
        .unwrap_or_else(|odd| String::from_utf8_lossy(odd.as_bytes()).into_owned())
}

/// Sends a client's requests the way that was asked for. Those to this machine go straight there.
fn go(client: ClientBuilder, base: &str, way: &Way) -> Result<ClientBuilder, ProfileError> {
    if Url::parse(base).is_ok_and(|url| address::is_loopback(&url)) {
        return Ok(client.no_proxy());
    }
    match &way.proxy {
        Some(proxy) => {
            let proxy = Proxy::all(proxy).map_err(|error| ProfileError::Invalid {
                origin: "CodexManagerBuilder::proxy".to_owned(),
                value: profile::shown(proxy),
                reason: failure::chain(error),
            })?;
            Ok(client.no_proxy().proxy(proxy))
        }
        None if way.system_proxy => Ok(client),
        None => Ok(client.no_proxy()),
    }
}

fn invalid(origin: &str, reason: String) -> ProfileError {
    ProfileError::Invalid {
        origin: origin.to_owned(),
        value: "…".to_owned(),
        reason,
    }
}

/// A client without connections.
fn client(base: &str, way: &Way, connect: Duration) -> Result<Client, ProfileError> {
    go(super::tls::client_builder(), base, way)?
        .connect_timeout(connect)
        // Another host cannot answer for this one, and would receive our tokens.
        .redirect(Policy::none())
        // The server closes idle connections after 72 seconds: not the moment to send on one.
        .pool_idle_timeout(Duration::from_secs(30))
        .tcp_nodelay(true)
        // The stream's upgrade is HTTP/1.1, and so is the server.
        .http1_only()
        .build()
        .map_err(|error| invalid("HTTP client", error.to_string()))
}

/// A path with a query of one parameter.
pub(super) fn with_query(path: &str, name: &str, value: &str) -> String {
    let query = reqwest::Url::parse_with_params("http://x", [(name, value)]);
    // The address parses, so there is one.
    let query = query.ok().and_then(|url| url.query().map(str::to_owned));
    format!("{path}?{}", query.unwrap_or_default())
}
