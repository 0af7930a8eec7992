//! Codex behind a WebSocket, over TCP or a Unix socket.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;
use tungstenite::client::IntoClientRequest as _;
use tungstenite::protocol::WebSocketConfig;

use super::error::AppServerError;
use super::transport::{MESSAGE_BYTES, Reader, Writer};
use crate::runtime::peer;

/// The largest message that codex reads from a socket, 16 MiB (contract §4), less some for safety.
pub(super) const SENT_BYTES: usize = 16 * 1024 * 1024 - 1024;

/// How long a signed token is good. Each connection signs its own.
const TOKEN_LIFE: Duration = Duration::from_secs(300);

/// The address of a socket, and its credentials.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) place: Place,
    pub(super) token: Option<Token>,
}

#[derive(Clone)]
pub(super) enum Place {
    /// `ws://host:port`.
    Tcp(String),
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are no Unix sockets"))]
    Unix(PathBuf),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(url) => f.write_str(&peer::address(url)),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// Credentials for the WebSocket handshake.
#[derive(Clone)]
pub(super) enum Token {
    Capability(String),
    Signed {
        secret: String,
        issuer: Option<String>,
        audience: Option<String>,
    },
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Token {
    fn bearer(&self) -> Result<String, AppServerError> {
        match self {
            Self::Capability(token) => Ok(token.clone()),
            Self::Signed {
                secret,
                issuer,
                audience,
            } => signed(secret, issuer.as_deref(), audience.as_deref()),
        }
    }
}

/// A JSON Web Token, signed by HMAC with SHA-256.
fn signed(
    secret: &str,
    issuer: Option<&str>,
    audience: Option<&str>,
) -> Result<String, AppServerError> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut claims = json!({
        "iat": now.as_secs(),
        "exp": now.saturating_add(TOKEN_LIFE).as_secs(),
    });
    for (name, value) in [("iss", issuer), ("aud", audience)] {
        if let Some(value) = value {
            claims[name] = value.into();
        }
    }
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let mut token = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|error| {
        AppServerError::InvalidOption {
            option: "signed_bearer",
            reason: error.to_string(),
        }
    })?;
    mac.update(token.as_bytes());
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
    Ok(token)
}

impl Address {
    /// The address as a user knows it.
    pub(super) fn shown(&self) -> String {
        match &self.place {
            Place::Tcp(url) => peer::address(url),
            Place::Unix(path) => format!("unix://{}", path.display()),
        }
    }

    /// Refuses an invalid address, and warns of one whose traffic can be read or changed on the way.
    pub(super) fn check(&self) -> Result<(), AppServerError> {
        if let Some(Token::Signed { secret, .. }) = &self.token
            && secret.len() < 32
        {
            return Err(AppServerError::InvalidOption {
                option: "signed_bearer",
                reason: "codex takes secrets of 32 bytes and more".to_owned(),
            });
        }
        let Place::Tcp(url) = &self.place else {
            return Ok(());
        };
        let (host, _) = self.host(url)?;
        let loopback = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        if !loopback && self.token.is_none() {
            tracing::warn!(
                target: "codex_skills::app_server",
                host,
                "codex app-server is given no token: whoever reaches it can answer calls"
            );
        }
        Ok(())
    }

    fn host(&self, url: &str) -> Result<(String, u16), AppServerError> {
        let invalid = |reason: &str| AppServerError::InvalidOption {
            option: "connect",
            reason: format!("`{}` {reason}", peer::address(url)),
        };
        if url.starts_with("unix:") {
            return Err(invalid(
                "is a Unix socket: use `AppServer::connect_unix(path)`",
            ));
        }
        let uri: tungstenite::http::Uri = url
            .parse()
            .map_err(|_| invalid("is no address: write `ws://127.0.0.1:4500`"))?;
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(AppServerError::InvalidOption {
                option: "connect",
                reason:
                    "codex knows no users in addresses: give its token by `.capability_token(..)`"
                        .to_owned(),
            });
        }
        match uri.scheme_str() {
            Some("ws") => {}
            Some("wss") => {
                return Err(invalid(
                    "asks for TLS, which codex app-server does not speak: put a tunnel between, and connect to \
                     its `ws://` end",
                ));
            }
            Some("http" | "https") => {
                return Err(invalid(
                    "is an address of HTTP: codex app-server listens at one like `ws://127.0.0.1:4500`, and \
                     codex-manager is reached by `CodexManager::builder().base_url(..)`",
                ));
            }
            _ => {
                return Err(invalid("must begin with `ws://`"));
            }
        }
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| invalid("names no host: write `ws://127.0.0.1:4500`"))?;
        let port = uri
            .port_u16()
            .ok_or_else(|| invalid("names no port: write `ws://127.0.0.1:4500`"))?;
        Ok((host.to_owned(), port))
    }

    /// Opens the socket.
    pub(super) async fn open(&self) -> Result<(Reader, Writer), AppServerError> {
        let unreachable = |error: std::io::Error| AppServerError::Unreachable {
            address: self.shown(),
            why: error.to_string(),
        };
        match &self.place {
            Place::Tcp(url) => {
                let (host, port) = self.host(url)?;
                let stream = TcpStream::connect((host.trim_matches(['[', ']']), port))
                    .await
                    .map_err(unreachable)?;
                // An answer is one small packet, which must not wait for more data (Nagle's algorithm).
                stream.set_nodelay(true).map_err(unreachable)?;
                self.upgrade(url, stream).await
            }
            #[cfg(unix)]
            Place::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path)
                    .await
                    .map_err(unreachable)?;
                self.upgrade("ws://localhost/", stream).await
            }
            #[cfg(not(unix))]
            Place::Unix(_) => Err(unreachable(std::io::ErrorKind::Unsupported.into())),
        }
    }

    async fn upgrade<S>(&self, url: &str, stream: S) -> Result<(Reader, Writer), AppServerError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let unreachable = |why: String| AppServerError::Unreachable {
            address: self.shown(),
            why: peer::shown(&why),
        };
        let mut request = url
            .into_client_request()
            .map_err(|error| unreachable(error.to_string()))?;
        if let Some(token) = &self.token {
            let bearer = format!("Bearer {}", token.bearer()?);
            let mut bearer = tungstenite::http::HeaderValue::from_str(&bearer).map_err(|_| {
                AppServerError::InvalidOption {
                    option: "capability_token",
                    reason: "the token has characters that no header carries".to_owned(),
                }
            })?;
            bearer.set_sensitive(true);
            request
                .headers_mut()
                .insert(tungstenite::http::header::AUTHORIZATION, bearer);
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES))
            .max_frame_size(Some(MESSAGE_BYTES));
        let upgraded =
            tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
        let socket = match upgraded {
            Ok((socket, _)) => socket,
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                let said = peer::shown(String::from_utf8_lossy(body).trim());
                return Err(if response.status().as_u16() == 401 {
                    AppServerError::Unauthorized {
                        address: self.shown(),
                        message: if said.is_empty() {
                            response.status().to_string()
                        } else {
                            said
                        },
                    }
                } else {
                    let answered = format!("it answered {} {said}", response.status());
                    AppServerError::Refused {
                        message: format!(
                            "something else may listen at {}: {}",
                            self.shown(),
                            answered.trim_end()
                        ),
                    }
                });
            }
            Err(error) => return Err(unreachable(error.to_string())),
        };
        let (outlet, frames) = socket.split();
        Ok((Reader::socket(frames), Writer::Socket(Box::pin(outlet))))
    }
}
