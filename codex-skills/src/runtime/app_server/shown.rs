//! How much of an answer codex shows its model, and how long code mode waits for it.

use std::time::Duration;

use crate::skill::{ContentItem, SkillOutput};

/// After how long code mode goes on without the answer of a call (contract §2.5).
pub(super) const CODE_MODE_PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of an answer that the model reads (contract §2.2): 12,000 by default, about 4.8 for each token of the limit.
pub(super) fn shown_bytes(token_limit: Option<u64>) -> usize {
    token_limit.map_or(12_000, |tokens| {
        usize::try_from(tokens.saturating_mul(24) / 5).unwrap_or(usize::MAX)
    })
}

/// How many bytes of an answer are text.
pub(super) fn text_bytes(output: &SkillOutput) -> usize {
    let texts = output.items().iter().map(|item| match item {
        ContentItem::Text { text } => text.len(),
        _ => 0,
    });
    texts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_reads_more_where_codex_is_told_so() {
        assert_eq!(shown_bytes(None), 12_000);
        assert_eq!(shown_bytes(Some(100_000)), 480_000);
    }
}
