//! Documentation that only the compiler knows, such as that of `include_str!`: joined and read in constants, by the
//! same functions with which `#[skill]` reads what it sees.

mod sections {
    codex_skills_macros::documentation_sections!();
}

use sections::{Item, name, next_item, write_item};

/// Bytes that are left out at the end of a line.
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// Walks over the bytes of joined parts and returns their number; writes them where there is a place.
const fn write(parts: &[&str], to: &mut [u8]) -> usize {
    let (mut length, mut part) = (0, 0);
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        if part > 0 {
            if length < to.len() {
                to[length] = b'\n';
            }
            length += 1;
        }
        // As of a doc comment: a line of its own has a blank before it.
        let mut at = if is_a_line(bytes) && bytes[0] == b' ' {
            1
        } else {
            0
        };
        while at < bytes.len() {
            let mut end = at;
            while end < bytes.len() && is_blank(bytes[end]) {
                end += 1;
            }
            if end > at && (end == bytes.len() || bytes[end] == b'\n') {
                at = end;
                continue;
            }
            if length < to.len() {
                to[length] = bytes[at];
            }
            length += 1;
            at += 1;
        }
        part += 1;
    }
    length
}

const fn is_a_line(bytes: &[u8]) -> bool {
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'\n' {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty()
}

/// The length of parts that are joined by line breaks.
#[must_use]
pub const fn length(parts: &[&str]) -> usize {
    write(parts, &mut [])
}

/// Parts, joined by line breaks.
#[must_use]
pub const fn joined<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut bytes = [0; N];
    write(parts, &mut bytes);
    bytes
}

/// The text that bytes are which were taken from texts.
#[must_use]
pub const fn text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => "",
    }
}

/// The whole text, if it says something.
#[must_use]
pub const fn whole(text: &str) -> Option<&str> {
    let text = text.trim_ascii();
    if text.is_empty() { None } else { Some(text) }
}

/// A text that was given for the model.
///
/// # Panics
/// While compiling, if it is blank.
#[must_use]
#[allow(clippy::panic, reason = "while compiling only")]
pub const fn given(text: &str) -> &str {
    match whole(text) {
        Some(_) => text,
        None => panic!("a description is empty: write something, or leave it out"),
    }
}

/// A description for schemars, which takes no `None`: an empty one is left out of schemas.
#[must_use]
pub const fn or_none(text: Option<&'static str>) -> &'static str {
    match text {
        Some(text) => text,
        None => "",
    }
}

/// Returns the description at the beginning of a documentation.
#[must_use]
pub const fn first(text: &str) -> Option<&str> {
    sections::description(text)
}

/// Returns the description at the beginning of a skill's documentation.
///
/// ```compile_fail,E0080
/// #[doc = concat!("# Examples\n", "none")]
/// #[codex_skills::skill]
/// fn lookup() {}
/// ```
///
/// # Panics
/// While compiling, if there is none.
#[must_use]
#[allow(clippy::panic, reason = "while compiling only")]
pub const fn described(text: &str) -> &str {
    match sections::description(text) {
        Some(description) => description,
        None => panic!(
            "the documentation does not begin with what the skill does: write that above its first heading"
        ),
    }
}

/// Returns the description of the answer.
#[must_use]
pub const fn returns(text: &str) -> Option<&str> {
    sections::returns(text)
}

const fn is_named(text: &str, item: &Item, names: &[&str]) -> bool {
    let mut own = 0;
    while let Some(name) = name(text, item, own) {
        let mut at = 0;
        while at < names.len() {
            if is_equal(name.as_bytes(), names[at].as_bytes()) {
                return true;
            }
            at += 1;
        }
        own += 1;
    }
    false
}

const fn is_equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

const fn item_of(text: &str, names: &[&str]) -> Option<Item> {
    let mut start = 0;
    while let Some(item) = next_item(text, start) {
        if is_named(text, &item, names) {
            return Some(item);
        }
        start = item.end + 1;
    }
    None
}

/// The length of what the documentation says of a parameter that has one of these names.
#[must_use]
pub const fn argument_length(text: &str, names: &[&str]) -> usize {
    match item_of(text, names) {
        Some(item) => write_item(text, &item, &mut []),
        None => 0,
    }
}

/// Returns the text about an argument.
#[must_use]
pub const fn argument<const N: usize>(text: &str, names: &[&str]) -> [u8; N] {
    let mut bytes = [0; N];
    if let Some(item) = item_of(text, names) {
        write_item(text, &item, &mut bytes);
    }
    bytes
}

/// Checks that each item describes a parameter that there is.
///
/// ```compile_fail,E0080
/// #[doc = concat!("Close a ticket.\n", "# Arguments\n* `tiket` - the ticket")]
/// #[codex_skills::skill]
/// fn close(ticket: String) {}
/// ```
///
/// # Panics
/// While compiling, if one does not.
#[allow(clippy::panic, reason = "while compiling only")]
pub const fn check_arguments(text: &str, names: &[&str]) {
    let mut start = 0;
    while let Some(item) = next_item(text, start) {
        let mut own = 0;
        while let Some(name) = name(text, &item, own) {
            let mut is_known = false;
            let mut at = 0;
            while at < names.len() {
                is_known |= is_equal(name.as_bytes(), names[at].as_bytes());
                at += 1;
            }
            assert!(
                is_known,
                "the documentation describes what is not a parameter: look under `# Arguments`"
            );
            own += 1;
        }
        assert!(
            item.is_readable,
            "an item under `# Arguments` names no parameter: write it as \"* `name` - text\""
        );
        start = item.end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_line_by_line_without_blanks_at_the_ends() {
        let parts = [" Look up.", "", "a file \r\n  indented\t\n\nend", " more"];
        let mut bytes = vec![0; length(&parts)];
        write(&parts, &mut bytes);
        assert_eq!(text(&bytes), "Look up.\n\na file\n  indented\n\nend\nmore");
        assert_eq!(length(&[]), 0);
    }
}
