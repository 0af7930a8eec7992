//! The part of an answer that codex shows its model (contract §2.2), as measured on 0.169.0 and 0.171.0.
//!
//! Codex counts the bytes of an answer's texts, item by item. In direct mode it shows 12,000 bytes with a model that
//! it does not know, and 48,000 with one that it knows (`gpt-5.5`): the middle of the text that goes beyond is left
//! out, and each text after it. `tool_output_token_limit` makes it 4.8 bytes for each token. In code mode, the
//! program gets the whole answer, and what it prints is cut at 40,000 bytes, or where that setting says. Images pass.
//!
//! Which model a session has is not known here, so the estimate is the smaller one.

use std::fmt;

use super::limits::Limits;
use crate::skill::output::SHOWN_BYTES;
use crate::skill::{ContentItem, SkillOutput, ToolCall};

/// Bytes that codex shows of a program's output in code mode.
const PRINTED_BYTES: usize = 40_000;

/// An answer of which the model is shown a part.
///
/// ```
/// # use codex_skills::DispatchRecord;
/// fn warn(record: &DispatchRecord) {
///     if let Some(cut) = record.cut() {
///         eprintln!("{}: the model reads {} of {} bytes", record.tool(), cut.shown, cut.sent);
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cut {
    /// The bytes of its texts together.
    pub sent: usize,
    /// The bytes of them that the model is shown: an estimate, never more than codex shows with its default settings.
    /// In code mode: the bytes that it can be shown, if the program prints the answer.
    pub shown: usize,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes are shown", self.shown, self.sent)
    }
}

impl Cut {
    /// Returns the cut of an answer, if codex leaves out a part of it.
    pub(crate) fn of(output: &SkillOutput, limit: usize) -> Option<Self> {
        let texts = output.items().iter().map(|item| match item {
            ContentItem::Text { text } => text.len(),
            ContentItem::Image { .. } | ContentItem::Audio { .. } => 0,
        });
        let sent = texts.sum();
        (sent > limit).then_some(Self { sent, shown: limit })
    }
}

/// The limits of what is shown of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    direct: usize,
    printed: usize,
}

impl Shown {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            direct: limits.shown_bytes.unwrap_or(SHOWN_BYTES),
            printed: limits
                .shown_bytes
                .map_or(PRINTED_BYTES, |bytes| bytes.min(PRINTED_BYTES)),
        }
    }

    /// Returns the bytes of a call's answer that are shown.
    pub(crate) fn bytes(&self, in_code_mode: bool) -> usize {
        if in_code_mode {
            self.printed
        } else {
            self.direct
        }
    }
}

/// Whether a program in code mode makes the call: codex gives such calls ids of their own kind.
pub(crate) fn is_in_code_mode(call: &ToolCall) -> bool {
    call.call_id
        .as_deref()
        .is_some_and(|id| id.starts_with("exec-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skill::output::bytes_of_tokens;

    #[test]
    fn texts_count_together_and_images_do_not() {
        let image =
            SkillOutput::text("a".repeat(7_000)).with_image("data:image/png;base64,iVBORw==");
        let output = image.map(|output| output.with_text("é".repeat(2_500)));
        let Ok(output) = output else {
            unreachable!("it is an image");
        };
        assert_eq!(Cut::of(&output, 12_000), None);
        let cut = Cut {
            sent: 12_000,
            shown: 11_999,
        };
        assert_eq!(Cut::of(&output, 11_999), Some(cut));
        assert_eq!(cut.to_string(), "11999 of 12000 bytes are shown");
    }

    #[test]
    fn more_tokens_show_more_in_direct_mode_and_fewer_show_less_in_both() {
        let shown = |shown_bytes| {
            let shown = Shown::new(&Limits {
                shown_bytes,
                ..Limits::default()
            });
            (shown.bytes(false), shown.bytes(true))
        };
        assert_eq!(shown(None), (12_000, 40_000));
        assert_eq!(shown(Some(bytes_of_tokens(100_000))), (480_000, 40_000));
        assert_eq!(shown(Some(bytes_of_tokens(100))), (480, 480));
        assert_eq!(
            bytes_of_tokens(u64::MAX),
            usize::try_from(u64::MAX / 10).unwrap_or(usize::MAX)
        );
    }
}
