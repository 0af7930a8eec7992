//! Texts of a peer on their way into errors and logs: cut, and without anything that a terminal or a log obeys.

use std::fmt::Write as _;

/// Bytes of a peer's text in an error or a log line at most.
pub(crate) const TEXT_BYTES: usize = 1024;

/// Returns the beginning of a text as one line: cut, with control characters escaped.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(TEXT_BYTES));
    for (at, char) in text.char_indices() {
        if shown.len() >= TEXT_BYTES {
            // Writing to a text does not fail.
            let _ = write!(shown, "… ({} bytes more)", text.len() - at);
            break;
        }
        if is_obeyed(char) {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    shown
}

/// Whether a character has an effect instead of a shape: controls, line ends, changes of direction.
fn is_obeyed(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Returns the beginning of a text as it came, cut at a character.
pub(crate) fn beginning(text: &str) -> &str {
    &text[..crate::boundary::before(text, TEXT_BYTES)]
}

/// Returns the end of a text as it came, cut at a character.
#[cfg(feature = "app-server")]
pub(crate) fn end(text: &str) -> &str {
    &text[crate::boundary::after(text, text.len().saturating_sub(TEXT_BYTES))..]
}

/// Describes an error in a JSON text without quoting the text, which may have arguments or answers in it.
#[cfg(any(feature = "app-server", feature = "manager"))]
pub(crate) fn place(error: &serde_json::Error) -> String {
    use serde_json::error::Category;

    let what = match error.classify() {
        Category::Io | Category::Syntax => "no JSON",
        Category::Eof => "cut off",
        Category::Data => "not of the expected form",
    };
    format!("{what} at column {}", error.column())
}

/// Returns an address without what may be secret in it: a name and a password, and the query.
#[cfg(any(feature = "app-server", feature = "manager"))]
pub(crate) fn address(url: &str) -> String {
    let (url, query) = match url.find(['?', '#']) {
        Some(at) => (&url[..at], format!("{}…", &url[at..=at])),
        None => (url, String::new()),
    };
    match url.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("//").map_or("", |(scheme, _)| scheme);
            shown(&format!("{scheme}//…@{host}{query}"))
        }
        None => shown(&format!("{url}{query}")),
    }
}

/// A line of the log that a peer may cause: a few at a stretch, and after a pause a few more with the number of those left
/// out.
#[derive(Debug, Default)]
pub(crate) struct Sparse(std::sync::Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    since: Option<tokio::time::Instant>,
    written: u64,
    left_out: u64,
}

impl Sparse {
    /// Lines written at a stretch.
    const STRETCH: u64 = 5;
    /// Pause after which another stretch may be written.
    #[cfg(any(feature = "app-server", feature = "manager"))]
    const PAUSE: std::time::Duration = std::time::Duration::from_secs(10);

    /// Claims a line of the log; returns how many were left out before it, or `None` if this one is left out.
    #[cfg(any(feature = "app-server", feature = "manager"))]
    pub(crate) fn line(&self) -> Option<u64> {
        self.line_after(Self::PAUSE)
    }

    /// Like `line`, with another pause between stretches.
    pub(crate) fn line_after(&self, pause: std::time::Duration) -> Option<u64> {
        let now = tokio::time::Instant::now();
        let mut lines = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if lines.since.is_none_or(|since| now - since >= pause) {
            (lines.since, lines.written) = (Some(now), 0);
        }
        if lines.written == Self::STRETCH {
            lines.left_out += 1;
            return None;
        }
        lines.written += 1;
        Some(std::mem::take(&mut lines.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_that_nothing_obeys() {
        assert_eq!(
            shown("\u{1b}[31mred\n\u{7}FAKE\u{202e}\u{2028}\t"),
            "\\u{1b}[31mred\\n\\u{7}FAKE\\u{202e}\\u{2028}\\t"
        );
        assert_eq!(shown("grün"), "grün");
    }

    #[test]
    fn a_long_text_is_cut_whatever_is_in_it() {
        for text in [
            "x".repeat(5000),
            "ä".repeat(5000),
            "\n".repeat(5000),
            "\u{1b}".repeat(5000),
        ] {
            let shown = shown(&text);
            assert!(shown.len() < TEXT_BYTES + 40, "{}", shown.len());
            assert!(shown.ends_with("bytes more)"));
            assert!(beginning(&text).len() <= TEXT_BYTES);
            #[cfg(feature = "app-server")]
            assert!(end(&text).len() <= TEXT_BYTES);
        }
    }

    #[cfg(any(feature = "app-server", feature = "manager"))]
    #[test]
    fn addresses_hide_names_passwords_and_queries() {
        for (url, is) in [
            ("http://user:SECRET@host:1/path", "http://…@host:1/path"),
            ("ws://SECRET@host:1", "ws://…@host:1"),
            ("ws://host:1/?token=SECRET", "ws://host:1/?…"),
            ("http://host/#SECRET", "http://host/#…"),
            ("http://a:b@SECRET@host", "http://…@host"),
            ("http://127.0.0.1:3001", "http://127.0.0.1:3001"),
        ] {
            assert_eq!(address(url), is);
        }
    }

    #[cfg(any(feature = "app-server", feature = "manager"))]
    #[tokio::test(start_paused = true)]
    async fn a_flood_of_lines_is_written_sparsely() {
        let sparse = Sparse::default();
        let written = (0..1000).filter(|_| sparse.line().is_some()).count();
        assert_eq!(written, 5);
        tokio::time::advance(Sparse::PAUSE).await;
        assert_eq!(sparse.line(), Some(995));
        assert_eq!(sparse.line(), Some(0));
    }
}
