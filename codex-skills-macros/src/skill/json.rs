//! A strict syntax check of JSON, for schemas that are written as string literals.

/// Where a text stops being what it should be, and what was expected there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) expected: &'static str,
}

/// Checks that the text is JSON with an object at its root.
pub(crate) fn check_object(text: &str) -> Result<(), Mistake> {
    let mut reader = Reader { text, at: 0 };
    let result = reader.document();
    result.map_err(|expected| {
        let before = text.get(..reader.at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Mistake {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            expected,
        }
    })
}

type Checked = Result<(), &'static str>;

const DEEPEST: usize = 100;

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn document(&mut self) -> Checked {
        self.blanks();
        if self.peek() != Some(b'{') {
            return Err("an object at the root: `{`");
        }
        self.value(0)?;
        self.blanks();
        self.peek().map_or(Ok(()), |_| Err("the end of the text"))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Checked {
        if depth > DEEPEST {
            return Err("less nesting");
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => self.members(b'}', "a string or `}`", "`,` or `}`", |reader| {
                reader.string()?;
                reader.blanks();
                if !reader.take(b':') {
                    return Err("`:`");
                }
                reader.value(depth + 1)
            }),
            Some(b'[') => self.members(b']', "a value or `]`", "`,` or `]`", |reader| {
                reader.value(depth + 1)
            }),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn members(
        &mut self,
        close: u8,
        first: &'static str,
        next: &'static str,
        mut member: impl FnMut(&mut Self) -> Checked,
    ) -> Checked {
        self.at += 1;
        self.blanks();
        if self.take(close) {
            return Ok(());
        }
        if self.peek().is_none() {
            return Err(first);
        }
        loop {
            self.blanks();
            member(self)?;
            self.blanks();
            if self.take(close) {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(next);
            }
        }
    }

    fn string(&mut self) -> Checked {
        if !self.take(b'"') {
            return Err("a string");
        }
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(0..=0x1f) | None => return Err("the end of the string: `\"`"),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Checked {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err("four hexadecimal digits");
                    }
                    self.at += 1;
                }
            }
            _ => return Err("one of `\"\\/bfnrtu` after the backslash"),
        }
        Ok(())
    }

    fn number(&mut self) -> Checked {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Checked {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err("a digit");
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn word(&mut self) -> Checked {
        for word in ["true", "false", "null"] {
            if self
                .text
                .get(self.at..)
                .is_some_and(|rest| rest.starts_with(word))
            {
                self.at += word.len();
                return Ok(());
            }
        }
        Err("a value")
    }
}

#[cfg(test)]
mod tests {
    use super::{Mistake, check_object};

    #[test]
    fn objects_pass() {
        for text in [
            "{}",
            r#" { "a" : [ 1, -0.5e+3, true, null, "\u00e9\n", {} ], "b": {"c": []} } "#,
        ] {
            assert_eq!(check_object(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_mistake_is_located_by_line_and_column() {
        for (text, line, column, expected) in [
            ("", 1, 1, "an object at the root: `{`"),
            ("[]", 1, 1, "an object at the root: `{`"),
            ("{\n  \"a\": 01}", 2, 9, "`,` or `}`"),
            ("{\"a\": 1,}", 1, 9, "a string"),
            ("{\"a\" 1}", 1, 6, "`:`"),
            ("{\"ä\": x}", 1, 7, "a value"),
            ("{} {}", 1, 4, "the end of the text"),
            ("{\"a", 1, 4, "the end of the string: `\"`"),
            (
                "{\"\\x\":1}",
                1,
                4,
                "one of `\"\\/bfnrtu` after the backslash",
            ),
            ("{", 1, 2, "a string or `}`"),
        ] {
            let mistake = Mistake {
                line,
                column,
                expected,
            };
            assert_eq!(check_object(text), Err(mistake), "{text}");
        }
    }
}
