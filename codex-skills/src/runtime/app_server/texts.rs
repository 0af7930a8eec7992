//! Texts that come again and again: the names and ids of calls, kept once instead of once a call.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// How many texts are kept.
const PLACES: usize = 64;

/// The longest text that is kept, in bytes.
const LONGEST: usize = 128;

/// The texts that were seen lately. Each has one place, where the next one that belongs there takes over.
#[derive(Debug)]
pub(super) struct Texts {
    places: [Option<Arc<str>>; PLACES],
    hasher: RandomState,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            places: [const { None }; PLACES],
            hasher: RandomState::default(),
        }
    }
}

impl Texts {
    /// The text, shared with the last one that was the same.
    pub(super) fn share(&mut self, text: &str) -> Arc<str> {
        if text.len() > LONGEST {
            return text.into();
        }
        // A remainder of 64 fits.
        let at = usize::try_from(self.hasher.hash_one(text) % PLACES as u64).unwrap_or(0);
        let Some(place) = self.places.get_mut(at) else {
            return text.into();
        };
        match place {
            Some(known) if **known == *text => known.clone(),
            _ => place.insert(text.into()).clone(),
        }
    }
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
