//! Bounded reading of a peer's messages: short ids, the beginning of long lists, the last of many texts.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The longest id or name that is taken, in bytes: these are kept long after their messages.
pub(crate) const ID_BYTES: usize = 1024;

/// Ids that are read from one list at most.
const LISTED: usize = 1024;

/// A text that is borrowed where it has no escapes.
#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// An id or a name: a text that is short enough to be kept.
#[derive(Debug)]
pub(crate) struct Id<'a>(pub(crate) Cow<'a, str>);

impl Id<'_> {
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::from(&*self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        if text.len() > ID_BYTES {
            return Err(D::Error::custom("an id is too long"));
        }
        Ok(Self(text))
    }
}

/// The ids of a list, as many as are taken. What is no id is left out.
#[derive(Debug, Default)]
pub(crate) struct Ids(pub(crate) Vec<Arc<str>>);

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        let mut json = serde_json::Deserializer::from_str(raw.get());
        Ok(json.deserialize_seq(Listed).unwrap_or_default())
    }
}

struct Listed;

impl<'de> Visitor<'de> for Listed {
    type Value = Ids;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of ids")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Ids, A::Error> {
        let mut ids = Vec::new();
        while let Some(raw) = list.next_element::<&RawValue>()? {
            if ids.len() == LISTED {
                continue;
            }
            let id = serde_json::from_str::<Id<'_>>(raw.get());
            ids.extend(id.ok().filter(|id| !id.0.is_empty()).map(|id| id.shared()));
        }
        Ok(Ids(ids))
    }
}

/// Looks at the elements of a list, one after the other, and keeps none. What is no list has none.
#[cfg(feature = "manager")]
pub(crate) fn each<'a>(list: &'a RawValue, look: impl FnMut(&'a RawValue)) {
    struct Each<F>(F);

    impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for Each<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
            while let Some(raw) = list.next_element::<&RawValue>()? {
                (self.0)(raw);
            }
            Ok(())
        }
    }

    // A raw value is JSON: it fails only where it is no list.
    let _ = serde_json::Deserializer::from_str(list.get()).deserialize_seq(Each(look));
}

/// The last thing that the assistant said in a list of a turn's items.
#[derive(Debug, Default)]
pub(crate) struct LastWords(pub(crate) Option<String>);

impl<'de> Deserialize<'de> for LastWords {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        let mut json = serde_json::Deserializer::from_str(raw.get());
        Ok(json.deserialize_seq(Items).unwrap_or_default())
    }
}

struct Items;

impl<'de> Visitor<'de> for Items {
    type Value = LastWords;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<LastWords, A::Error> {
        #[derive(serde::Deserialize)]
        struct Item<'a> {
            #[serde(borrow)]
            r#type: Text<'a>,
            #[serde(borrow)]
            text: Text<'a>,
        }
        let mut last = None;
        while let Some(raw) = items.next_element::<&RawValue>()? {
            if raw.get().starts_with('{')
                && let Ok(item) = serde_json::from_str::<Item<'_>>(raw.get())
                && item.r#type.0 == "agentMessage"
                && !item.text.0.trim().is_empty()
            {
                last = Some(raw);
            }
        }
        let last = last.and_then(|raw| serde_json::from_str::<Item<'_>>(raw.get()).ok());
        Ok(LastWords(last.map(|item| item.text.0.into_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_escapes_do_not_matter() {
        let read = |json: &str| serde_json::from_str::<Id<'_>>(json).map(|id| id.shared());
        assert_eq!(read(r#""a\\b""#).ok().as_deref(), Some("a\\b"));
        for (bytes, is_id) in [(ID_BYTES, true), (ID_BYTES + 1, false)] {
            let json = format!("\"{}\"", "x".repeat(bytes));
            assert_eq!(read(&json).is_ok(), is_id);
        }
    }

    #[test]
    fn a_list_is_taken_as_far_as_it_is_of_use() {
        let read = |json: &str| serde_json::from_str::<Ids>(json).map(|ids| ids.0);
        let long = "x".repeat(ID_BYTES + 1);
        let odd = read(&format!(
            "[\"a\", 5, null, \"\", [\"b\"], \"{long}\", \"c\"]"
        ));
        assert_eq!(odd.unwrap_or_default(), ["a".into(), "c".into()]);
        let many = format!("[{}\"z\"]", "\"a\",".repeat(5 * LISTED));
        assert_eq!(read(&many).unwrap_or_default().len(), LISTED);
        for none in ["null", "5", "\"a\"", "{}", "[]"] {
            assert_eq!(read(none).unwrap_or_default().len(), 0, "{none}");
        }
    }

    #[test]
    fn the_last_words_are_found_among_whatever_there_is() {
        let read = |json: &str| serde_json::from_str::<LastWords>(json).map(|words| words.0);
        let said = |text: &str| format!(r#"{{"type":"agentMessage","id":"x","text":"{text}"}}"#);
        let items = format!(
            "[0, {}, null, {}, {}, {{\"type\":\"agentMessage\"}}]",
            said("first"),
            said("l\\u00e4st"),
            said(" ")
        );
        assert_eq!(read(&items).ok().flatten().as_deref(), Some("läst"));
        for none in ["[]", "null", "5", "{}", "[0,0]"] {
            assert_eq!(read(none).ok().flatten(), None, "{none}");
        }
    }
}
