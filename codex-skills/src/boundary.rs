//! Where a text can be cut, next to a byte.

/// Returns the last boundary of characters that is not behind the byte.
pub(crate) fn before(text: &str, byte: usize) -> usize {
    let at = byte.min(text.len());
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// Returns the first boundary of characters that is not before the byte.
pub(crate) fn after(text: &str, byte: usize) -> usize {
    (byte..text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::{after, before};

    #[test]
    fn a_text_is_cut_between_characters() {
        let text = "aé漢🍵";
        let boundaries = [0, 1, 3, 6, 10];
        for byte in 0..=text.len() + 2 {
            let last = boundaries.iter().rev().find(|at| **at <= byte);
            assert_eq!(Some(&before(text, byte)), last, "{byte}");
            let next = boundaries.iter().find(|at| **at >= byte);
            assert_eq!(after(text, byte), next.copied().unwrap_or(10), "{byte}");
        }
    }
}
