//! Texts of failed requests: the server's error, the state of its codex, and the remedy.

use std::sync::Arc;

use reqwest::Method;
use serde_json::Value;

use super::exchange::{NAME, Request, Response, is_transient};
use crate::runtime::{HttpFailure, RuntimeError, RuntimeErrorKind};

/// Bytes of a server's text that are repeated in a message.
const SAID_BYTES: usize = 1024;
/// Validation issues of the server that are repeated in a message.
const ISSUES: usize = 5;

/// A request that got no answer.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) how: How,
    error: RuntimeError,
}

/// At which point a request broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// There was no connection.
    Connect,
    /// No answer came in time.
    Timeout,
    /// The connection was lost.
    Cut,
    /// The connection was lost, most likely since the request of so many bytes is more than the server takes.
    Oversized(usize),
    /// The answer cannot be read.
    Other,
}

impl Broken {
    pub(super) fn new(request: &Request<'_>, how: How, problem: &str) -> Self {
        let message = format!("{} {}: {problem}", request.method, request.path);
        let kind = match how {
            // It is as long the next time.
            How::Other if request.method == Method::GET => RuntimeErrorKind::Refused,
            _ => RuntimeErrorKind::Unavailable,
        };
        Self {
            how,
            error: RuntimeError::new(NAME, request.operation, kind, message)
                .unsent(how == How::Connect),
        }
    }
}

impl From<Broken> for RuntimeError {
    fn from(broken: Broken) -> Self {
        broken.error
    }
}

/// The error for an answer that is none of the 2xx. `death`: how the server's codex ended, where it did.
pub(super) fn of(
    operation: &'static str,
    method: &Method,
    path: &str,
    response: &Response,
    death: Option<&str>,
) -> RuntimeError {
    let status = response.status;
    let kind = match status.as_u16() {
        404 | 410 => RuntimeErrorKind::NotFound,
        _ if is_transient(status) => RuntimeErrorKind::Unavailable,
        _ => RuntimeErrorKind::Refused,
    };
    let mut message = format!("{method} {path} answered {}", status.as_u16());
    if status.is_redirection() {
        let location = response.location.as_deref().unwrap_or("another address");
        message.push_str(&format!(
            " and points to {}: redirects are not followed, for whoever they name would get the request and its \
             tokens; set the address that answers itself",
            plain(location)
        ));
    } else {
        message.push_str(": ");
        message.push_str(&said(response));
    }
    if let Some(death) = death {
        message.push_str(&format!("; {death}"));
    }
    RuntimeError::new(NAME, operation, kind, message).with_http(Arc::new(HttpFailure::new(
        method.as_str(),
        path,
        status.as_u16(),
        &response.body,
    )))
}

/// Returns the server's error with its validation issues.
fn said(response: &Response) -> String {
    let body = response.json();
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let mut said = text("message")
        .or_else(|| text("status"))
        .map_or_else(|| cut(&response.body, 200).to_owned(), str::to_owned);
    let issues = body.get("issues").and_then(Value::as_array);
    let issues = issues.map_or(&[][..], Vec::as_slice);
    let shown = issues.iter().take(ISSUES).map(issue);
    let shown: Vec<String> = shown.collect();
    if !shown.is_empty() {
        said.push_str(&format!(" ({}", shown.join("; ")));
        match issues.len() - shown.len() {
            0 => said.push(')'),
            more => said.push_str(&format!("; and {more} more)")),
        }
    }
    plain(&said)
}

/// A complaint with its place: `dynamicTools[3].name: Too small`.
fn issue(issue: &Value) -> String {
    let mut place = String::new();
    for step in issue["path"].as_array().into_iter().flatten() {
        match step {
            Value::String(key) if place.is_empty() => place.push_str(key),
            Value::String(key) => place.push_str(&format!(".{key}")),
            at => place.push_str(&format!("[{at}]")),
        }
    }
    let message = issue["message"].as_str().unwrap_or("it is no good");
    if place.is_empty() {
        message.to_owned()
    } else {
        format!("{place}: {message}")
    }
}

/// How a codex process ended, and what to do about it.
pub(super) fn death(last_exit: &Value) -> String {
    let how = match (&last_exit["code"], last_exit["signal"].as_str()) {
        (_, Some(signal)) => format!(" (ended by {signal})"),
        (Value::Number(code), None) => format!(" (ended with code {code})"),
        _ => String::new(),
    };
    let when = last_exit["at"].as_str();
    let when = when.map_or_else(String::new, |at| format!(" since {at}"));
    let death = format!(
        "codex does not run any more{when}{how}: restart codex-manager, which never starts it again"
    );
    plain(&death)
}

/// A text of others, cut and on one line, without what a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::new();
    for letter in cut(text, SAID_BYTES).chars() {
        if letter.is_control()
            || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            plain.extend(letter.escape_default());
        } else {
            plain.push(letter);
        }
    }
    if text.len() > SAID_BYTES {
        plain.push('…');
    }
    plain
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..crate::boundary::before(text, bytes)]
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
    plain(&text)
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use serde_json::json;

    use super::*;

    fn error(status: u16, body: &Value, death: Option<&str>) -> RuntimeError {
        let response = Response {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
            retry_after: None,
            location: Some("http://elsewhere/\u{1b}[2J".to_owned()),
            body: body.to_string(),
        };
        of(
            "create the session",
            &Method::POST,
            "/sessions",
            &response,
            death,
        )
    }

    #[test]
    fn complaints_have_their_places_and_are_not_endless() {
        let one = json!({"path": ["dynamicTools", 3, "name"], "message": "Too small"});
        let body = json!({"message": "request validation failed", "issues": vec![one; 9]});
        let text = error(400, &body, None).to_string();
        assert!(
            text.contains("request validation failed (dynamicTools[3].name: Too small;"),
            "{text}"
        );
        assert!(text.ends_with("; and 4 more)"), "{text}");
    }

    #[test]
    fn what_a_server_says_is_cut_and_on_one_line() {
        let said = format!("first\nsecond\u{1b}[31m\u{202e}{}", "x".repeat(100_000));
        let error = error(400, &json!({"message": said, "issues": 7}), None);
        let text = error.to_string();
        assert!(
            text.contains(r"first\nsecond\u{1b}[31m\u{202e}xx"),
            "{text}"
        );
        assert!(text.len() < 1400, "{}", text.len());
        assert_eq!(error.http().map(|http| http.body().len()), Some(1024));
    }

    #[test]
    fn a_redirect_is_named_and_not_followed() {
        let error = error(307, &json!({}), None);
        assert_eq!(error.kind(), RuntimeErrorKind::Refused);
        let text = error.to_string();
        assert!(
            text.contains(r"points to http://elsewhere/\u{1b}[2J: redirects are not followed"),
            "{text}"
        );
    }

    #[test]
    fn a_dead_codex_is_told_of_with_how_it_ended() {
        for (exit, how) in [
            (
                json!({"code": null, "signal": "SIGKILL", "at": "noon"}),
                "since noon (ended by SIGKILL)",
            ),
            (
                json!({"code": 1, "signal": null}),
                "any more (ended with code 1)",
            ),
            (Value::Null, "any more: restart codex-manager"),
        ] {
            let text = error(500, &json!({}), Some(&death(&exit))).to_string();
            assert!(text.contains(how), "{text}");
        }
    }
}
