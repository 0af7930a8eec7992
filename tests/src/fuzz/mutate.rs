//! Changes of a line that parsers dislike.

/// Values and pieces of JSON, whole and broken.
const PIECES: &[&str] = &[
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "\"\"",
    "0",
    "-0",
    "-0.0",
    "1e400",
    "-1e400",
    "5.0",
    "0.1",
    "255",
    "-1",
    "65536",
    "9007199254740993",
    "18446744073709551616",
    "340282366920938463463374607431768211455",
    "1e19",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\"\u{0}\"",
    "\"\u{feff}\"",
    "\"5\"",
    "\"a\":1,\"a\":2",
    "{\"\":0}",
    "[[[[[[[[1]]]]]]]]",
    "{\"a\":{\"a\":{\"a\":{}}}}",
    ",",
    ":",
    "\"",
    "\\",
    "\r",
    "\u{2028}",
    "}",
    "{",
    "]",
    "[",
    "NaN",
    "//",
];

/// A line with one to three changes, which stays a line.
pub fn mutate(random: &mut fastrand::Rng, line: &[u8]) -> Vec<u8> {
    let mut bytes = line.to_vec();
    for _ in 0..random.usize(1..4) {
        change(random, &mut bytes);
    }
    bytes.retain(|byte| *byte != b'\n');
    bytes
}

fn change(random: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    let len = bytes.len();
    let at = random.usize(0..=len);
    let to = (at + random.usize(0..24)).min(len);
    match random.u8(0..9) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..to)),
        2 => {
            let part = bytes[at..to].to_vec();
            bytes.splice(at..at, part);
        }
        3 if at < len => bytes[at] ^= 1 << random.u8(0..8),
        4 => bytes.insert(at, random.u8(..)),
        5..=7 => {
            let piece = PIECES[random.usize(0..PIECES.len())].bytes();
            // In the place of a whole value.
            let before = bytes[..at]
                .iter()
                .rposition(|byte| matches!(byte, b':' | b'[' | b','));
            let from = before.map_or(at, |before| before + 1);
            let mut rest = bytes[from..].iter();
            let until = rest.position(|byte| matches!(byte, b',' | b'}' | b']'));
            bytes.splice(from..until.map_or(len, |until| from + until), piece);
        }
        _ => {
            let other = random.usize(0..=len);
            let part = bytes[other..(other + 40).min(len)].to_vec();
            bytes.splice(at..to, part);
        }
    }
}
