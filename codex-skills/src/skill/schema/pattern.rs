//! Whether a regular expression is well formed, judged alike with and without the engine that runs it: what
//! ECMA-262 has and the engine too.

/// Most repetitions that a pattern may ask for, and most groups within each other.
const MOST: u32 = 1_000;
const NESTED: usize = 50;

/// Checks a pattern.
///
/// # Errors
/// With what is wrong, as the end of a sentence about the pattern.
pub(super) fn check(pattern: &str) -> Result<(), &'static str> {
    let mut reader = Reader {
        rest: pattern.chars().collect(),
        at: 0,
    };
    reader.alternatives(0)?;
    match reader.peek() {
        None => Ok(()),
        Some(_) => Err("closes a group that is not open: write `\\)` for the character"),
    }
}

struct Reader {
    rest: Vec<char>,
    at: usize,
}

type Checked = Result<(), &'static str>;

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    fn eat(&mut self, text: &str) -> bool {
        let length = text.chars().count();
        let is_there = self
            .rest
            .get(self.at..self.at + length)
            .is_some_and(|found| found.iter().copied().eq(text.chars()));
        if is_there {
            self.at += length;
        }
        is_there
    }

    fn alternatives(&mut self, depth: usize) -> Checked {
        if depth > NESTED {
            return Err("has too many groups within each other");
        }
        loop {
            match self.peek() {
                None | Some(')') => return Ok(()),
                Some('|') => {
                    self.next();
                }
                Some(_) => self.term(depth)?,
            }
        }
    }

    fn term(&mut self, depth: usize) -> Checked {
        match self.next() {
            Some('*' | '+' | '?') => {
                return Err(
                    "repeats nothing: write `\\` before a `*`, `+` or `?` that is meant itself",
                );
            }
            Some('(') => self.group(depth)?,
            Some('[') => self.class()?,
            Some('\\') => self.escape()?,
            Some('^' | '$') => return Ok(()),
            Some(']') => {
                return Err("closes a class that is not open: write `\\]` for the character");
            }
            Some('{' | '}') => {
                return Err(
                    "has a brace that repeats nothing: write `\\{` or `\\}` for the character",
                );
            }
            _ => {}
        }
        self.repetition()
    }

    fn group(&mut self, depth: usize) -> Checked {
        if self.eat("?") {
            let is_known = ["=", "!", "<=", "<!", ":"]
                .iter()
                .any(|kind| self.eat(kind));
            if !is_known && self.eat("<") {
                let start = self.at;
                while self
                    .peek()
                    .is_some_and(|letter| letter.is_ascii_alphanumeric() || letter == '_')
                {
                    self.at += 1;
                }
                if self.at == start || !self.eat(">") {
                    return Err("has a group whose name is not of letters and digits");
                }
            } else if !is_known {
                return Err(
                    "has a group of an unknown kind: after `(?` comes `:`, `=`, `!`, `<=`, `<!` or `<name>`",
                );
            }
        }
        self.alternatives(depth + 1)?;
        if self.next() == Some(')') {
            Ok(())
        } else {
            Err("opens a group that it does not close: write `\\(` for the character")
        }
    }

    fn class(&mut self) -> Checked {
        const EMPTY: &str =
            "has a class of nothing: list characters in it; for any character write `[\\s\\S]`";
        self.eat("^");
        if self.peek() == Some(']') {
            return Err(EMPTY);
        }
        loop {
            let first = match self.next() {
                None => {
                    return Err(
                        "opens a class that it does not close: write `\\[` for the character",
                    );
                }
                Some(']') => return Ok(()),
                Some('[') => return Err("has a `[` in a class: write `\\[` for the character"),
                Some('\\') => {
                    self.escape()?;
                    None
                }
                Some('&') if self.peek() == Some('&') => {
                    return Err("has `&&` in a class: write `&` once");
                }
                Some(letter) => Some(letter),
            };
            let is_range = self.peek() == Some('-')
                && self.rest.get(self.at + 1).is_some_and(|end| *end != ']');
            if is_range {
                self.next();
                let end = match self.next() {
                    Some('\\') => {
                        self.escape()?;
                        None
                    }
                    end => end,
                };
                if let (Some(first), Some(end)) = (first, end)
                    && first > end
                {
                    return Err("has a range whose end is before its start");
                }
            }
        }
    }

    fn escape(&mut self) -> Checked {
        match self.next() {
            None => Err("ends with a `\\`: write `\\\\` for the character"),
            Some('u') => self.code(4),
            Some('x') => self.code(2),
            Some('p' | 'P') => self.property(),
            Some('k') => Err("refers to a group by its name: refer to it by its number"),
            Some('c') => match self.next() {
                Some(letter) if letter.is_ascii_alphabetic() => Ok(()),
                _ => Err("has `\\c` without a letter"),
            },
            Some(letter) if letter.is_ascii_digit() => Ok(()),
            Some(letter) if letter.is_ascii_alphabetic() => {
                if "dDwWsSbBnrtfv".contains(letter) {
                    Ok(())
                } else {
                    Err("escapes a letter that has no meaning then: leave out the `\\`")
                }
            }
            Some(_) => Ok(()),
        }
    }

    fn code(&mut self, digits: usize) -> Checked {
        const WRONG: &str =
            "has a character code that is not hexadecimal: `\\u` takes four digits, `\\x` two";
        if self.eat("{") {
            let start = self.at;
            while self.peek().is_some_and(|digit| digit.is_ascii_hexdigit()) {
                self.at += 1;
            }
            return if self.at > start && self.at <= start + 6 && self.eat("}") {
                Ok(())
            } else {
                Err(WRONG)
            };
        }
        for _ in 0..digits {
            if !self.next().is_some_and(|digit| digit.is_ascii_hexdigit()) {
                return Err(WRONG);
            }
        }
        Ok(())
    }

    fn property(&mut self) -> Checked {
        let is_named = self.eat("{") && {
            let start = self.at;
            while self
                .peek()
                .is_some_and(|letter| letter.is_ascii_alphanumeric() || "_=".contains(letter))
            {
                self.at += 1;
            }
            self.at > start && self.eat("}")
        };
        if is_named {
            Ok(())
        } else {
            Err("has `\\p` without a property in braces, as in `\\p{L}`")
        }
    }

    fn repetition(&mut self) -> Checked {
        match self.peek() {
            Some('*' | '+' | '?') => {
                self.next();
            }
            Some('{') => {
                self.next();
                self.bounds()?;
            }
            _ => return Ok(()),
        }
        self.eat("?");
        match self.peek() {
            Some('*' | '+' | '?' | '{') => Err("repeats a repetition: put it into a group"),
            _ => Ok(()),
        }
    }

    fn bounds(&mut self) -> Checked {
        const WRONG: &str = "has a `{` that is no repetition like `{2}`, `{2,}` or `{2,5}`: write `\\{` for the character";
        let least = self.number().ok_or(WRONG)?;
        let most = if self.eat(",") {
            self.number()
        } else {
            Some(least)
        };
        if !self.eat("}") {
            return Err(WRONG);
        }
        if least > MOST || most.is_some_and(|most| most > MOST) {
            return Err("repeats something more than 1000 times: say it with `maxLength`");
        }
        match most {
            Some(most) if most < least => Err("has a repetition whose end is before its start"),
            _ => Ok(()),
        }
    }

    fn number(&mut self) -> Option<u32> {
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|digit| digit.to_digit(10)) {
            number = Some(
                number
                    .unwrap_or(0_u32)
                    .saturating_mul(10)
                    .saturating_add(digit),
            );
            self.at += 1;
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn usual_patterns_are_well_formed() {
        for pattern in [
            "",
            "^a+$",
            r"^[A-Z]+-\d+$",
            r"^(?:\d{4}-\d{2}-\d{2}|today)$",
            r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$",
            r"^(?!.*\.\.)(?<name>[\w.]+)\1?$",
            r"[\s\S]*",
            r"^[a-zA-Z0-9_-]{1,64}$",
            r"\p{L}\u00e9\x20\u{1F600}",
            r"a*?b+?c??d{2,}?",
            r"[-a]|[a-]|[\]\\]",
        ] {
            assert_eq!(check(pattern), Ok(()), "{pattern}");
        }
    }

    #[test]
    fn what_no_engine_reads_is_refused() {
        for pattern in [
            "[^]", "[]", "[a", "(", ")", "(a", "a)", "*a", "a**", "a{2,1}", "a{", "}", r"\",
            r"\u12", r"\xZ0", "(?P<a>b)", "(?<>a)", "[b-a]", r"\y", r"\p", "a{5000}", "]", "(?i)a",
        ] {
            assert!(check(pattern).is_err(), "{pattern}");
        }
    }
}
