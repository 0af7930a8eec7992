//! The part of a skill's answer that the model is shown.

use crate::skill::{ContentItem, SkillOutput};

/// What the model is shown of an answer (contract §2.2): texts, cut where they go beyond the limit together, and
/// a word for everything else. Not whether it succeeded.
pub(super) fn shown(answer: &SkillOutput, limit: usize) -> String {
    let items = answer.items();
    let (mut left, mut omitted) = (limit, 0);
    let mut shown: Vec<String> = Vec::with_capacity(items.len());
    for item in items {
        match item {
            // Among others, codex drops it.
            ContentItem::Text { text } if text.is_empty() && items.len() > 1 => {}
            ContentItem::Text { .. } if left == 0 && items.len() > 1 => omitted += 1,
            ContentItem::Text { text } => {
                shown.push(cut(text, left));
                left = left.saturating_sub(text.len());
            }
            ContentItem::Image { image_url } if image_url.starts_with("http") => shown.push(
                "remote image URLs are not supported; use an inline data URL instead".to_owned(),
            ),
            ContentItem::Image { .. } => shown.push("[image]".to_owned()),
            ContentItem::Audio { .. } => shown
                .push("audio content omitted because you do not support audio input".to_owned()),
        }
    }
    if omitted > 0 {
        shown.push(format!("[omitted {omitted} text items ...]"));
    }
    if shown.is_empty() {
        return "[]".to_owned();
    }
    shown.join("\n")
}

fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let head = crate::boundary::before(text, limit / 2);
    let tail = crate::boundary::after(text, text.len() - limit / 2);
    format!(
        "{}…{} tokens truncated…{}",
        &text[..head],
        (tail - head).div_ceil(4),
        &text[tail..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skill::output::{SHOWN_BYTES, bytes_of_tokens};

    /// As codex 0.171.0 was seen to do it.
    #[test]
    fn long_answers_are_cut_as_codex_does() {
        let answer = |lengths: &[usize]| {
            let texts = lengths.iter().map(|length| "a".repeat(*length));
            texts.fold(SkillOutput::new(), SkillOutput::with_text)
        };
        let a = |length| "a".repeat(length);
        for (lengths, text) in [
            (&[12_000][..], a(12_000)),
            (
                &[12_001],
                format!("{}…1 tokens truncated…{}", a(6_000), a(6_000)),
            ),
            (
                &[20_000],
                format!("{}…2000 tokens truncated…{}", a(6_000), a(6_000)),
            ),
            (&[6_000, 6_000], format!("{}\n{}", a(6_000), a(6_000))),
            (
                &[5_000, 5_000, 5_000],
                format!("{0}\n{0}\n{1}…750 tokens truncated…{1}", a(5_000), a(1_000)),
            ),
            (
                &[12_000, 1, 1],
                format!("{}\n[omitted 2 text items ...]", a(12_000)),
            ),
            (&[0, 1], a(1)),
            (&[0], String::new()),
            (&[], "[]".to_owned()),
        ] {
            assert_eq!(shown(&answer(lengths), SHOWN_BYTES), text, "{lengths:?}");
        }
        let few = format!("{}…2130 tokens truncated…{}", a(240), a(240));
        assert_eq!(shown(&answer(&[9_000]), bytes_of_tokens(100)), few);
    }
}
