//! The answer that a runtime reports to have taken for a call, whichever client gave it.

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Arc, LazyLock};

use foldhash::fast::RandomState;

use crate::skill::{ContentItem, SkillOutput};

/// A call that the runtime reports as complete.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CompletedCall {
    /// The turn.
    pub turn_id: Arc<str>,
    /// The model's id of the call.
    pub call_id: Arc<str>,
    /// The thread, where it is a sub-agent's.
    pub thread_id: Option<Arc<str>>,
    /// The answer that was taken.
    pub answer: TakenAnswer,
}

impl CompletedCall {
    /// A call of a session's own thread.
    #[must_use]
    pub fn new(turn_id: Arc<str>, call_id: Arc<str>, answer: TakenAnswer) -> Self {
        Self {
            turn_id,
            call_id,
            thread_id: None,
            answer,
        }
    }
}

/// Digest of an answer that a runtime took, to compare it with others. Meaningful within this process only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenAnswer {
    digest: u64,
    /// Whether it is the failure without content that stands for a call that was cancelled.
    is_nothing: bool,
}

impl TakenAnswer {
    /// An answer with these items: the name of each item's type on the wire, and its text or address.
    pub fn new<'a>(success: bool, items: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);
        let mut hasher = HASHER.build_hasher();
        let mut count = 0_usize;
        for (kind, content) in items {
            count += 1;
            for part in [kind, content] {
                hasher.write_usize(part.len());
                hasher.write(part.as_bytes());
            }
        }
        hasher.write_usize(count);
        hasher.write_u8(success.into());
        Self {
            digest: hasher.finish(),
            is_nothing: !success && count == 0,
        }
    }

    /// Whether it stands for a call that was cancelled.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.is_nothing
    }
}

impl From<&SkillOutput> for TakenAnswer {
    fn from(output: &SkillOutput) -> Self {
        let items = output.items().iter().map(|item| match item {
            ContentItem::Text { text } => ("inputText", &**text),
            ContentItem::Image { image_url } => ("inputImage", &**image_url),
            ContentItem::Audio { audio_url } => ("inputAudio", &**audio_url),
        });
        Self::new(output.is_success(), items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_differ_by_success_and_each_item() {
        let text = |texts: &[&'static str], success| {
            TakenAnswer::new(success, texts.iter().map(|text| ("inputText", *text)))
        };
        let own = TakenAnswer::from(&SkillOutput::text("ab"));
        assert_eq!(own, text(&["ab"], true));
        for other in [
            text(&["ab"], false),
            text(&["a", "b"], true),
            text(&["ab", ""], true),
            text(&[], true),
            TakenAnswer::new(true, [("inputImage", "ab")]),
        ] {
            assert_ne!(own, other);
        }
        assert!(text(&[], false).is_nothing() && !text(&[], true).is_nothing());
    }
}
