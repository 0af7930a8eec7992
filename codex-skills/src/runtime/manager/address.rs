//! Addresses: where a codex-manager is, paths that have ids in them, and who may listen on the way.

use reqwest::Url;

use super::exchange::NAME;
use super::profile::Settings;
use crate::runtime::{RuntimeError, RuntimeErrorKind};

/// The address of the API. A base that ends in the prefix has it already.
pub(super) fn api(settings: &Settings) -> String {
    let (base, prefix) = (&settings.base_url, &settings.api_prefix);
    let has_prefix = Url::parse(base).is_ok_and(|url| url.path().ends_with(prefix.as_str()));
    if has_prefix {
        base.clone()
    } else {
        format!("{base}{prefix}")
    }
}

/// The path of something that an id names, like `/sessions/{id}/messages`. The id is percent-encoded: whatever is in it,
/// it is one segment.
pub(super) fn path(
    operation: &'static str,
    before: &str,
    id: &str,
    after: &str,
) -> Result<String, RuntimeError> {
    // A segment of dots would name the path above it, however it is written.
    if matches!(id, "" | "." | "..") {
        return Err(RuntimeError::new(
            NAME,
            operation,
            RuntimeErrorKind::NotFound,
            format!("`{id}` is no id that codex-manager gives"),
        ));
    }
    let mut path = format!("{before}/");
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path.push_str(after);
    Ok(path)
}

/// Whether a host is this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    match address {
        Ok(address) => {
            let address = address.to_canonical();
            address.is_loopback() || address.is_unspecified()
        }
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Warns of what others may read or do on the way to a server that is not on this machine.
pub(super) fn warn_off_loopback(settings: &Settings) {
    let Ok(url) = Url::parse(&settings.base_url) else {
        return;
    };
    if is_loopback(&url) {
        return;
    }
    let host = url.host_str().unwrap_or_default();
    if settings.has_secrets() && url.scheme() != "https" {
        tracing::warn!(
            target: "codex_skills::manager",
            host,
            "tokens and headers are sent over plain HTTP: who is on the way reads them; use an `https` address, or a \
             tunnel that ends on loopback"
        );
    }
    if settings.bearer.is_none() {
        tracing::warn!(
            target: "codex_skills::manager",
            host,
            "codex-manager asks nobody who they are: whoever reaches it can answer calls"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment_whatever_is_in_it() {
        for (id, segment) in [
            (
                "01a2036a-0000-7000-8000-000000000001",
                "01a2036a-0000-7000-8000-000000000001",
            ),
            ("a?x=1", "a%3Fx%3D1"),
            ("a#x", "a%23x"),
            ("a/b", "a%2Fb"),
            ("../agents", "..%2Fagents"),
            ("%2e%2e", "%252e%252e"),
            ("a b\n", "a%20b%0A"),
            ("...", "..."),
            ("é", "%C3%A9"),
        ] {
            let path = path("read it", "/sessions", id, "/messages").ok();
            assert_eq!(path, Some(format!("/sessions/{segment}/messages")), "{id}");
        }
        for id in ["", ".", ".."] {
            let path = path("read it", "/sessions", id, "");
            let kind = path.err().map(|error| error.kind());
            assert_eq!(kind, Some(RuntimeErrorKind::NotFound), "{id}");
        }
    }

    #[test]
    fn a_base_that_has_the_prefix_gets_no_second_one() {
        for (base, prefix, api_address) in [
            ("http://h:1", "/api", "http://h:1/api"),
            ("http://h:1/api", "/api", "http://h:1/api"),
            ("http://h/x/api", "/api", "http://h/x/api"),
            ("http://h/api", "/v1", "http://h/api/v1"),
            ("http://api", "/api", "http://api/api"),
            ("http://h/xapi", "/api", "http://h/xapi/api"),
            ("http://h/api", "", "http://h/api"),
        ] {
            let settings = Settings {
                base_url: base.to_owned(),
                api_prefix: prefix.to_owned(),
                ..Settings::default()
            };
            assert_eq!(api(&settings), api_address);
        }
    }

    #[test]
    fn this_machine_has_many_names() {
        let is = |url: &str| Url::parse(url).is_ok_and(|url| is_loopback(&url));
        for url in [
            "http://localhost:1",
            "http://LOCALHOST.",
            "http://a.localhost",
            "http://127.0.0.1",
            "http://127.9.9.9",
            "http://127.1",
            "http://2130706433",
            "http://[::1]",
            "http://[::ffff:127.0.0.1]",
            "http://0.0.0.0",
        ] {
            assert!(is(url), "{url}");
        }
        for url in [
            "http://128.0.0.1",
            "http://localhost.example",
            "http://[::2]",
            "http://notlocalhost",
            "http://10.0.0.1",
        ] {
            assert!(!is(url), "{url}");
        }
    }
}
