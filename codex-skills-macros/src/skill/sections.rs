// The sections of a documentation: what of it is for the model, and where. Texts that the macro sees are read by it,
// and texts that only the compiler knows, such as that of `include_str!`, in constants: so all of this is `const fn`,
// a module here, and one of codex-skills by `documentation_sections!`, which is why no doc comment heads it.

/// How many names an item of a list may have.
const NAMES: usize = 8;

/// What a section is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// It describes parameters.
    Arguments,
    /// It describes the answer.
    Returns,
    /// It is for people.
    Other,
    /// Its heading is a title, which says something of the skill.
    Title,
}

/// A heading: its line, and its name.
#[derive(Clone, Copy)]
struct Heading {
    start: usize,
    end: usize,
    name_start: usize,
    name_end: usize,
}

/// An item of a list: `` * `name` - text ``, with the lines that continue it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// Where it begins.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    names: [(usize, usize); NAMES],
    count: usize,
    text: usize,
    /// Whether it names something.
    pub(super) is_readable: bool,
}

/// The part of a text from `start` to `end`, which are at characters.
const fn part(text: &str, start: usize, end: usize) -> &str {
    text.split_at(end).0.split_at(start).1
}

/// The same without blanks around it, if there is more.
const fn trimmed(text: &str, mut start: usize, mut end: usize) -> Option<&str> {
    let bytes = text.as_bytes();
    while start < end && bytes[start].is_ascii_whitespace() {
        start += 1;
    }
    while start < end && bytes[end - 1].is_ascii_whitespace() {
        end -= 1;
    }
    if start == end {
        return None;
    }
    Some(part(text, start, end))
}

/// The end of the line that begins at `start`, without its break.
const fn line_end(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    while end < bytes.len() && bytes[end] != b'\n' {
        end += 1;
    }
    end
}

const fn skip(bytes: &[u8], mut at: usize, end: usize, letter: u8) -> usize {
    while at < end && bytes[at] == letter {
        at += 1;
    }
    at
}

const fn has(bytes: &[u8], at: usize, end: usize, word: &[u8]) -> bool {
    if at + word.len() > end {
        return false;
    }
    let mut offset = 0;
    while offset < word.len() {
        if bytes[at + offset] != word[offset] {
            return false;
        }
        offset += 1;
    }
    true
}

/// The heading that a line is, with up to three blanks and up to six signs before it.
const fn heading(bytes: &[u8], start: usize, end: usize) -> Option<Heading> {
    let signs = skip(bytes, start, end, b' ');
    let after = skip(bytes, signs, end, b'#');
    if signs - start > 3 || after == signs || after - signs > 6 {
        return None;
    }
    if after < end && bytes[after] != b' ' && bytes[after] != b'\t' {
        return None;
    }
    let (mut name_start, mut name_end) = (after, end);
    while name_start < name_end && bytes[name_start].is_ascii_whitespace() {
        name_start += 1;
    }
    while name_start < name_end
        && (bytes[name_end - 1].is_ascii_whitespace() || matches!(bytes[name_end - 1], b'#' | b':'))
    {
        name_end -= 1;
    }
    Some(Heading {
        start,
        end,
        name_start,
        name_end,
    })
}

/// The first heading from `start` on, which is no comment in a fenced block.
const fn next_heading(bytes: &[u8], mut start: usize) -> Option<Heading> {
    let mut fence = 0;
    while start < bytes.len() {
        let end = line_end(bytes, start);
        let mut at = start;
        while at < end && bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        let mark = if has(bytes, at, end, b"```") {
            b'`'
        } else if has(bytes, at, end, b"~~~") {
            b'~'
        } else {
            0
        };
        if fence != 0 {
            if mark == fence {
                fence = 0;
            }
        } else if mark != 0 {
            fence = mark;
        } else if let Some(heading) = heading(bytes, start, end) {
            return Some(heading);
        }
        start = end + 1;
    }
    None
}

const fn is_named(bytes: &[u8], heading: Heading, word: &str) -> bool {
    let word = word.as_bytes();
    if heading.name_end - heading.name_start != word.len() {
        return false;
    }
    let mut offset = 0;
    while offset < word.len() {
        if bytes[heading.name_start + offset].to_ascii_lowercase() != word[offset] {
            return false;
        }
        offset += 1;
    }
    true
}

const fn is_one_of(bytes: &[u8], heading: Heading, words: &[&str]) -> bool {
    let mut at = 0;
    while at < words.len() {
        if is_named(bytes, heading, words[at]) {
            return true;
        }
        at += 1;
    }
    false
}

const fn section(bytes: &[u8], heading: Heading) -> Section {
    const OTHER: [&str; 13] = [
        "",
        "errors",
        "error",
        "panics",
        "panic",
        "safety",
        "examples",
        "example",
        "notes",
        "note",
        "see also",
        "cancel safety",
        "aborts",
    ];
    if is_one_of(
        bytes,
        heading,
        &["arguments", "parameters", "args", "params"],
    ) {
        Section::Arguments
    } else if is_one_of(bytes, heading, &["returns", "return"]) {
        Section::Returns
    } else if is_one_of(bytes, heading, &OTHER) {
        Section::Other
    } else {
        Section::Title
    }
}

/// Returns what a documentation says first: the text above its first heading, or that heading and what is below it,
/// where the heading is a title.
pub(super) const fn description(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let Some(first) = next_heading(bytes, 0) else {
        return trimmed(text, 0, bytes.len());
    };
    if let Some(before) = trimmed(text, 0, first.start) {
        return Some(before);
    }
    if !matches!(section(bytes, first), Section::Title) {
        return None;
    }
    match next_heading(bytes, first.end) {
        Some(next) => trimmed(text, first.name_start, next.start),
        None => trimmed(text, first.name_start, bytes.len()),
    }
}

/// Returns what a documentation says of the answer.
pub(super) const fn returns(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut found = next_heading(bytes, 0);
    while let Some(current) = found {
        let next = next_heading(bytes, current.end);
        let end = match next {
            Some(next) => next.start,
            None => bytes.len(),
        };
        if matches!(section(bytes, current), Section::Returns)
            && let Some(text) = trimmed(text, current.end, end)
        {
            return Some(text);
        }
        found = next;
    }
    None
}

/// Returns the next item of the lists that describe parameters, from `start` on.
pub(super) const fn next_item(text: &str, start: usize) -> Option<Item> {
    let bytes = text.as_bytes();
    let mut found = next_heading(bytes, 0);
    while let Some(current) = found {
        let next = next_heading(bytes, current.end);
        let end = match next {
            Some(next) => next.start,
            None => bytes.len(),
        };
        if end > start && matches!(section(bytes, current), Section::Arguments) {
            let begin = if start > current.end {
                start
            } else {
                current.end + 1
            };
            if let Some(item) = item_within(bytes, begin, end) {
                return Some(item);
            }
        }
        found = next;
    }
    None
}

const fn item_within(bytes: &[u8], mut start: usize, end: usize) -> Option<Item> {
    while start < end {
        let line = line_end(bytes, start);
        if let Some(content) = bullet(bytes, start, line, true) {
            let mut item = named(bytes, start, content, line);
            let is_bare = skip(bytes, start, line, b' ') == content;
            let mut after = line + 1;
            while after < end {
                let line = line_end(bytes, after);
                if trimmed_is_empty(bytes, after, line)
                    || bullet(bytes, after, line, is_bare).is_some()
                {
                    break;
                }
                item.end = line;
                after = line + 1;
            }
            return Some(item);
        }
        start = line + 1;
    }
    None
}

const fn trimmed_is_empty(bytes: &[u8], mut start: usize, end: usize) -> bool {
    while start < end {
        if !bytes[start].is_ascii_whitespace() {
            return false;
        }
        start += 1;
    }
    true
}

/// Where the content of a line begins that is the first of an item: `* `, `- `, `+ `, `1. `, `1) `, or bare, a name
/// in backquotes at its very start.
const fn bullet(bytes: &[u8], start: usize, end: usize, bare: bool) -> Option<usize> {
    let at = skip(bytes, start, end, b' ');
    if at - start > 1 || at == end {
        return None;
    }
    let after = match bytes[at] {
        b'*' | b'-' | b'+' => at + 1,
        b'`' if bare => return Some(at),
        b'0'..=b'9' => {
            let mut after = at;
            while after < end && bytes[after].is_ascii_digit() {
                after += 1;
            }
            if after == end || !matches!(bytes[after], b'.' | b')') {
                return None;
            }
            after + 1
        }
        _ => return None,
    };
    if after == end || bytes[after] != b' ' {
        return None;
    }
    Some(skip(bytes, after, end, b' '))
}

const fn is_decoration(letter: u8) -> bool {
    matches!(letter, b'*' | b'`' | b'[' | b']' | b'"')
}

const fn skip_decoration(bytes: &[u8], mut at: usize, end: usize) -> usize {
    while at < end && is_decoration(bytes[at]) {
        at += 1;
    }
    at
}

const fn is_letter_of_a_name(letter: u8) -> bool {
    letter.is_ascii_alphanumeric() || letter == b'_' || letter == b'#' || letter >= 0x80
}

/// The length of a mark between names and text; a dash of any length.
const fn separator(bytes: &[u8], at: usize, end: usize) -> usize {
    if at < end && matches!(bytes[at], b'-' | b':' | b'=') {
        return 1;
    }
    if has(bytes, at, end, "–".as_bytes()) || has(bytes, at, end, "—".as_bytes()) {
        return 3;
    }
    0
}

/// Reads names and the place of the text: `a - ..`, `` `a`: ..``, `**a** (text) - ..`, `` `a`, `b`: ..``.
const fn named(bytes: &[u8], start: usize, content: usize, end: usize) -> Item {
    let mut item = Item {
        start,
        end,
        names: [(0, 0); NAMES],
        count: 0,
        text: end,
        is_readable: false,
    };
    let mut at = content;
    let mut is_marked = false;
    loop {
        let name = skip_decoration(bytes, at, end);
        is_marked |= name > at;
        let is_quoted = name > at && bytes[name - 1] == b'`';
        let mut after = name;
        while after < end {
            let is_in = if is_quoted {
                bytes[after] != b'`'
            } else {
                is_letter_of_a_name(bytes[after]) && separator(bytes, after, end) == 0
            };
            if !is_in {
                break;
            }
            after += 1;
        }
        if after == name || item.count == NAMES {
            return item;
        }
        item.names[item.count] = (name, after);
        item.count += 1;
        at = skip(bytes, skip_decoration(bytes, after, end), end, b' ');
        if at < end && bytes[at] == b'(' {
            while at < end && bytes[at] != b')' {
                at += 1;
            }
            let after = if at < end { at + 1 } else { at };
            at = skip(bytes, after, end, b' ');
        }
        if at < end && matches!(bytes[at], b',' | b'/' | b'&') {
            at = skip(bytes, at + 1, end, b' ');
        } else if has(bytes, at, end, b"and ") && is_marked {
            at = skip(bytes, at + 4, end, b' ');
        } else {
            break;
        }
    }
    let separator = separator(bytes, at, end);
    item.is_readable = at == end || separator > 0 || is_marked;
    at += separator;
    while at < end && matches!(bytes[at], b'-' | b' ' | b'*') {
        at += 1;
    }
    item.text = at;
    item
}

/// Returns a name of an item.
pub(super) const fn name<'a>(text: &'a str, item: &Item, at: usize) -> Option<&'a str> {
    if at >= item.count {
        return None;
    }
    Some(part(text, item.names[at].0, item.names[at].1))
}

/// Writes the text of an item, its lines joined by blanks, and returns its length. With an empty buffer, only returns
/// the length.
pub(super) const fn write_item(text: &str, item: &Item, to: &mut [u8]) -> usize {
    let bytes = text.as_bytes();
    let (mut length, mut start) = (0, item.text);
    while start < item.end {
        let end = line_end(bytes, start);
        let end = if end < item.end { end } else { item.end };
        if let Some(line) = trimmed(text, start, end) {
            let line = line.as_bytes();
            if length > 0 {
                if length < to.len() {
                    to[length] = b' ';
                }
                length += 1;
            }
            let mut at = 0;
            while at < line.len() {
                if length < to.len() {
                    to[length] = line[at];
                }
                length += 1;
                at += 1;
            }
        }
        start = end + 1;
    }
    length
}
