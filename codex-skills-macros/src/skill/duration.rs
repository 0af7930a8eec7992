//! Durations as `timeout` takes them: `500ms`, `30s`, `2m`, `1h`, and their combinations.

const MAXIMUM_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// The milliseconds of a duration, or what is wrong with it and how it should be written.
pub(crate) fn millis(text: &str) -> Result<u64, String> {
    let total = sum(text).ok_or_else(|| {
        format!(
            "`{text}` is not a duration\nhelp: write a number and a unit, for example `500ms`, `30s`, `2m`, `1h` or `1m30s`"
        )
    })?;
    if total == 0 {
        return Err(
            "a timeout of zero would fail every call\nhelp: give it a positive duration, or leave `timeout` out to take the session's".to_owned(),
        );
    }
    if total > MAXIMUM_MILLIS {
        return Err(format!(
            "`{text}` is longer than a day\nhelp: the model waits for the answer of a call; at most `24h` are allowed"
        ));
    }
    Ok(total)
}

fn sum(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let after = after.trim_start();
        let end = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let factor = match unit {
            "ms" => 1,
            "s" | "sec" => 1000,
            "m" | "min" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            _ => return None,
        };
        let number: u64 = number.parse().ok()?;
        total = total.checked_add(number.checked_mul(factor)?)?;
        rest = after.trim_start();
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::millis;

    #[test]
    fn units_and_their_combinations_are_understood() {
        for (text, expected) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("2m", 120_000),
            ("2min", 120_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
            ("1h 5s", 3_605_000),
            ("24h", 86_400_000),
        ] {
            assert_eq!(millis(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            " ",
            "30",
            "s",
            "0s",
            "-1s",
            "1.5s",
            "1d",
            "25h",
            "99999999999999999999s",
            "18446744073709551615h",
            "1s30",
        ] {
            assert!(millis(text).is_err(), "{text}");
        }
    }
}
