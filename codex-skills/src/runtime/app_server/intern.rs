//! Interning of texts that repeat, such as the names and ids of calls.

use std::sync::Arc;

/// Texts kept at most.
const PLACES: usize = 64;

/// The longest text that is kept, in bytes.
const LONGEST: usize = 128;

/// The texts that were seen lately. Each hashes to one slot; a new text replaces the one in its slot.
#[derive(Debug)]
pub(super) struct Texts([Option<Arc<str>>; PLACES]);

impl Default for Texts {
    fn default() -> Self {
        Self([const { None }; PLACES])
    }
}

impl Texts {
    /// The text, shared with the last one that was the same.
    pub(super) fn share(&mut self, text: &str) -> Arc<str> {
        if text.len() > LONGEST {
            return text.into();
        }
        match self.0.get_mut(place_of(text)) {
            Some(Some(known)) if **known == *text => known.clone(),
            Some(place) => place.insert(text.into()).clone(),
            None => text.into(),
        }
    }
}

/// A place by the length and the end, where names and ids differ most.
fn place_of(text: &str) -> usize {
    let end = text.as_bytes().iter().rev().take(4);
    end.fold(text.len(), |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
    }) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_kept_once_and_long_ones_are_not() {
        let mut texts = Texts::default();
        assert!(Arc::ptr_eq(&texts.share("tool"), &texts.share("tool")));
        let long = "x".repeat(LONGEST + 1);
        assert!(!Arc::ptr_eq(&texts.share(&long), &texts.share(&long)));
    }

    #[test]
    fn more_texts_than_places_are_told_apart() {
        let mut texts = Texts::default();
        for number in (0..4 * PLACES).chain(0..4 * PLACES) {
            let text = number.to_string();
            assert_eq!(&*texts.share(&text), text);
        }
    }
}
