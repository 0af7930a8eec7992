//! Arguments read once: the kinds, places and sizes of their values, and no copies of them. Sixteen to
//! twenty bytes a value, whatever it is.

use std::borrow::Cow;
use std::cell::Cell;

/// How many levels of arrays and objects there may be, which is what serde_json decodes.
pub(super) const LEVELS: usize = 127;

/// The position of a value in its document. A value's children follow it.
pub(super) type At = u32;

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    /// A text without escapes.
    Plain,
    /// A text with escapes.
    Escaped,
    Array,
    Object,
    /// An array or object below the deepest level that can be decoded; its inside is not read.
    DeepArray,
    DeepObject,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    kind: Kind,
    start: u32,
    end: u32,
    /// Where the next value that is not inside this one stands.
    next: At,
}

thread_local! {
    /// The memory of the last document, which the next one on this thread begins with.
    static SPARE: Cell<Vec<Value>> = const { Cell::new(Vec::new()) };
}

/// The most values whose memory is kept.
const SPARED: usize = 1024;

/// JSON text and what is where in it.
#[derive(Debug)]
pub(super) struct Document<'a> {
    text: &'a str,
    values: Vec<Value>,
}

impl<'a> Document<'a> {
    /// Reads a text that is known to be JSON; `None` where it is not, or takes more than 4 GiB.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let end = u32::try_from(text.len()).ok()?;
        let mut values = SPARE.try_with(Cell::take).unwrap_or_default();
        values.clear();
        values.reserve((text.len() / 12).clamp(8, 4096));
        let mut reader = Reader {
            bytes: text.as_bytes(),
            values,
            open: [0; LEVELS],
            levels: 0,
        };
        reader.read()?;
        let values = reader.values;
        let root = values.first()?;
        (root.next as usize == values.len() && root.end <= end).then_some(Self { text, values })
    }

    /// The document of a text that was read before.
    pub(super) fn of(text: &'a str, values: Vec<Value>) -> Self {
        Self { text, values }
    }

    pub(super) fn into_values(mut self) -> Vec<Value> {
        std::mem::take(&mut self.values)
    }

    /// The number of values, names of members included.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    fn value(&self, at: At) -> Value {
        const NONE: Value = Value {
            kind: Kind::Null,
            start: 0,
            end: 0,
            next: At::MAX,
        };
        self.values.get(at as usize).copied().unwrap_or(NONE)
    }

    pub(super) fn kind(&self, at: At) -> Kind {
        self.value(at).kind
    }

    /// Where the value after this one and all that is in it stands.
    pub(super) fn after(&self, at: At) -> At {
        self.value(at).next
    }

    /// The text of a value.
    pub(super) fn text(&self, at: At) -> &'a str {
        let value = self.value(at);
        self.text
            .get(value.start as usize..value.end as usize)
            .unwrap_or_default()
    }

    /// Where the text of a value begins and ends.
    pub(super) fn span(&self, at: At) -> (usize, usize) {
        let value = self.value(at);
        (value.start as usize, value.end as usize)
    }

    /// What a text says; `None` where it is no text, or has half of a character.
    pub(super) fn string(&self, at: At) -> Option<Cow<'a, str>> {
        let text = self.text(at);
        match self.kind(at) {
            Kind::Plain => text.get(1..text.len() - 1).map(Cow::Borrowed),
            Kind::Escaped => serde_json::from_str(text).ok().map(Cow::Owned),
            _ => None,
        }
    }

    /// The items of an array.
    pub(super) fn items(&self, at: At) -> impl Iterator<Item = At> + use<'_, 'a> {
        let end = self.after(at);
        let mut here = at + 1;
        std::iter::from_fn(move || {
            let item = (here < end).then_some(here)?;
            here = self.after(item);
            Some(item)
        })
    }

    /// The members of an object: name and value.
    pub(super) fn members(&self, at: At) -> impl Iterator<Item = (At, At)> + use<'_, 'a> {
        let end = self.after(at);
        let mut name = at + 1;
        std::iter::from_fn(move || {
            let member = (name < end).then_some((name, name + 1))?;
            name = self.after(member.1);
            Some(member)
        })
    }

    /// The value of an object's member, the last of this name.
    pub(super) fn member(&self, at: At, name: &str) -> Option<At> {
        let mut members = self.members(at);
        members
            .by_ref()
            .filter(|(key, _)| self.is(*key, name))
            .map(|(_, value)| value)
            .last()
    }

    /// The second name of an object's member that is there several times.
    pub(super) fn again(&self, at: At, name: &str) -> Option<At> {
        let members = self.members(at).map(|(key, _)| key);
        members.filter(|key| self.is(*key, name)).nth(1)
    }

    /// The name of the last member that begins before a place of the text.
    pub(super) fn key_before(&self, place: usize) -> Option<At> {
        let mut objects: Vec<At> = (0..At::try_from(self.values.len()).ok()?).collect();
        objects.retain(|at| self.kind(*at) == Kind::Object && self.span(*at).0 < place);
        let keys = objects
            .iter()
            .flat_map(|at| self.members(*at).map(|(key, _)| key));
        keys.filter(|key| self.span(*key).0 < place)
            .max_by_key(|key| self.span(*key).0)
    }

    /// Whether a text says this.
    pub(super) fn is(&self, at: At, text: &str) -> bool {
        let own = self.text(at);
        match self.kind(at) {
            Kind::Plain => own.len() == text.len() + 2 && own.get(1..own.len() - 1) == Some(text),
            _ => self.string(at).is_some_and(|own| own == text),
        }
    }
}

impl Drop for Document<'_> {
    fn drop(&mut self) {
        if (1..=SPARED).contains(&self.values.capacity()) {
            let values = std::mem::take(&mut self.values);
            let _ = SPARE.try_with(|spare| spare.set(values));
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    values: Vec<Value>,
    /// The arrays and objects that are not closed yet.
    open: [At; LEVELS],
    levels: usize,
}

impl Reader<'_> {
    fn read(&mut self) -> Option<()> {
        let mut here = 0;
        while let Some(byte) = self.bytes.get(here) {
            here = match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => here + 1,
                b'"' => self.string(here)?,
                b'{' | b'[' => self.container(here)?,
                b'}' | b']' => {
                    self.close(here + 1)?;
                    here + 1
                }
                b't' | b'n' | b'f' => {
                    let kind = if *byte == b'n' {
                        Kind::Null
                    } else {
                        Kind::Bool
                    };
                    let end = here + if *byte == b'f' { 5 } else { 4 };
                    self.leaf(kind, here, end)?
                }
                b'-' | b'0'..=b'9' => {
                    let rest = self.bytes.get(here..)?;
                    let is_part = |byte: &u8| {
                        byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-')
                    };
                    let len = rest.iter().position(|byte| !is_part(byte));
                    self.leaf(Kind::Number, here, here + len.unwrap_or(rest.len()))?
                }
                _ => return None,
            };
        }
        (self.levels == 0).then_some(())
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) -> Option<At> {
        let at = At::try_from(self.values.len()).ok()?;
        self.values.push(Value {
            kind,
            start: u32::try_from(start).ok()?,
            end: u32::try_from(end).ok()?,
            next: at + 1,
        });
        Some(at)
    }

    fn leaf(&mut self, kind: Kind, start: usize, end: usize) -> Option<usize> {
        self.push(kind, start, end)?;
        Some(end)
    }

    fn string(&mut self, start: usize) -> Option<usize> {
        let (end, escaped) = string_end(self.bytes, start)?;
        let kind = if escaped { Kind::Escaped } else { Kind::Plain };
        self.leaf(kind, start, end)
    }

    fn container(&mut self, start: usize) -> Option<usize> {
        let is_object = self.bytes.get(start) == Some(&b'{');
        if self.levels >= LEVELS {
            let kind = if is_object {
                Kind::DeepObject
            } else {
                Kind::DeepArray
            };
            return self.leaf(kind, start, container_end(self.bytes, start)?);
        }
        let kind = if is_object { Kind::Object } else { Kind::Array };
        let at = self.push(kind, start, start)?;
        *self.open.get_mut(self.levels)? = at;
        self.levels += 1;
        Some(start + 1)
    }

    fn close(&mut self, end: usize) -> Option<()> {
        let next = At::try_from(self.values.len()).ok()?;
        self.levels = self.levels.checked_sub(1)?;
        let at = *self.open.get(self.levels)?;
        let value = self.values.get_mut(at as usize)?;
        value.end = u32::try_from(end).ok()?;
        value.next = next;
        Some(())
    }
}

/// Where the text that begins here ends, and whether it has escapes.
fn string_end(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let mut here = start + 1;
    let mut escaped = false;
    loop {
        match bytes.get(here)? {
            b'"' => return Some((here + 1, escaped)),
            b'\\' => {
                escaped = true;
                here += 2;
            }
            _ => here += 1,
        }
    }
}

/// Where the array or object that begins here ends.
fn container_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut here = start;
    let mut open = 0_usize;
    loop {
        match bytes.get(here)? {
            b'"' => {
                here = string_end(bytes, here)?.0;
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' => open -= 1,
            _ => {}
        }
        here += 1;
        if open == 0 {
            return Some(here);
        }
    }
}
