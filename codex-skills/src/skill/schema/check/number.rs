//! Numbers as they are written: exactly, whatever their spelling.

use std::cmp::Ordering;

/// A whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) negative: bool,
    /// `None`: more than any integer type holds.
    pub(super) magnitude: Option<u128>,
}

impl Whole {
    /// Reads a number; `None` where it has a fraction.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        if digits.len() <= 18 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let magnitude: u64 = digits.parse().ok()?;
            return Some(Self::new(negative, Some(magnitude.into())));
        }
        Self::spelt(negative, digits)
    }

    /// `2.5e3`, `5.0`, `1e18`, and numbers of many digits.
    fn spelt(negative: bool, text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let (mut whole, mut fraction) = (whole.trim_start_matches('0'), fraction);
        if whole.is_empty() && fraction.is_empty() {
            return Some(Self::new(negative, Some(0)));
        }
        let mut exponent = exponent - i64::try_from(fraction.len()).ok()?;
        if fraction.is_empty() {
            let significant = whole.trim_end_matches('0');
            exponent += i64::try_from(whole.len() - significant.len()).ok()?;
            whole = significant;
        }
        if exponent < 0 {
            return None;
        }
        if whole.is_empty() {
            fraction = fraction.trim_start_matches('0');
        }
        let count = whole.len() + fraction.len();
        let magnitude = u32::try_from(exponent)
            .ok()
            .filter(|exponent| count + *exponent as usize <= 39)
            .and_then(|exponent| {
                let digits = format!("{whole}{fraction}");
                let digits: u128 = digits.parse().ok()?;
                digits.checked_mul(10_u128.checked_pow(exponent)?)
            });
        Some(Self::new(negative, magnitude))
    }

    fn new(negative: bool, magnitude: Option<u128>) -> Self {
        Self {
            negative: negative && magnitude != Some(0),
            magnitude,
        }
    }

    fn cmp(self, other: Self) -> Ordering {
        let magnitudes = match (self.magnitude, other.magnitude) {
            (Some(own), Some(other)) => own.cmp(&other),
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (None, None) => Ordering::Equal,
        };
        match (self.negative, other.negative) {
            (false, false) => magnitudes,
            (true, true) => magnitudes.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }

    /// The number in digits, where it fits an integer type.
    pub(super) fn digits(self) -> Option<String> {
        let sign = if self.negative { "-" } else { "" };
        Some(format!("{sign}{}", self.magnitude?))
    }
}

/// An exponent; one beyond all numbers becomes a large one.
fn exponent_of(text: &str) -> i64 {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.trim_start_matches('+')),
    };
    let size = digits
        .trim_start_matches('0')
        .parse()
        .unwrap_or(if digits.bytes().all(|byte| byte == b'0') {
            0
        } else {
            i64::MAX / 4
        })
        .min(i64::MAX / 4);
    if negative { -size } else { size }
}

/// Whether a number is spelt in digits alone, as integer types are decoded.
pub(super) fn is_plain(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit()) && text != "-0"
}

/// Whether a text is a decimal number.
pub(super) fn is_decimal(text: &str) -> bool {
    let rest = text.strip_prefix('-').unwrap_or(text);
    let starts = rest.starts_with(|c: char| c.is_ascii_digit());
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let ends = rest.ends_with(|c: char| c.is_ascii_digit());
    starts && ends && rest.len() <= 64 && is_json
}

/// A bound: a number with its spelling.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    text: String,
    whole: Option<Whole>,
    float: f64,
}

impl Bound {
    pub(super) fn new(text: String) -> Self {
        Self {
            whole: Whole::read(&text),
            float: text.parse().unwrap_or(f64::NAN),
            text,
        }
    }

    /// The number as it is shown.
    pub(super) fn shown(&self) -> &str {
        &self.text
    }

    /// How a number of this spelling compares, as floating-point numbers do that may have lost digits.
    pub(super) fn of_rounded(&self, text: &str) -> Option<Ordering> {
        text.parse::<f64>().ok()?.partial_cmp(&self.float)
    }

    /// How a number of this spelling compares.
    pub(super) fn of(&self, text: &str) -> Ordering {
        match (Whole::read(text), self.whole) {
            (Some(own), Some(bound)) => own.cmp(bound),
            _ => {
                let own: f64 = text.parse().unwrap_or(f64::NAN);
                own.partial_cmp(&self.float).unwrap_or(Ordering::Equal)
            }
        }
    }
}

/// Whether two spellings are of one number.
pub(super) fn are_equal(one: &str, other: &str) -> bool {
    one == other || Bound::new(other.to_owned()).of(one) == Ordering::Equal
}

/// Whether a number is a multiple of another: exactly for whole ones, as close as their digits for others.
pub(super) fn is_multiple(text: &str, step: &Bound) -> bool {
    if let (Some(own), Some(step)) = (Whole::read(text), step.whole) {
        return match (own.magnitude, step.magnitude) {
            (Some(own), Some(step)) => step != 0 && own % step == 0,
            _ => true,
        };
    }
    let Ok(own) = text.parse::<f64>() else {
        return true;
    };
    let times = own / step.float;
    (times - times.round()).abs() <= times.abs().max(1.0) * 4.0 * f64::EPSILON
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Option<Option<String>> {
        Whole::read(text).map(Whole::digits)
    }

    #[test]
    fn whole_numbers_are_read_exactly_in_any_spelling() {
        for (text, whole) in [
            ("5", "5"),
            ("-5", "-5"),
            ("5.0", "5"),
            ("-12.000", "-12"),
            ("5e0", "5"),
            ("5E+00", "5"),
            ("1e18", "1000000000000000000"),
            ("2.5e3", "2500"),
            ("12.50e2", "1250"),
            ("0.005e3", "5"),
            ("100e-2", "1"),
            ("-0", "0"),
            ("0.0", "0"),
            ("0e999999999999999999999", "0"),
            ("1.8446744073709551615e19", "18446744073709551615"),
            (
                "340282366920938463463374607431768211455",
                "340282366920938463463374607431768211455",
            ),
        ] {
            assert_eq!(digits(text), Some(Some(whole.to_owned())), "{text}");
        }
        for text in ["0.1", "5.5", "1e-1", "12.50", "1.0e-5", "1e-400"] {
            assert_eq!(digits(text), None, "{text}");
        }
        for text in ["1e39", "340282366920938463463374607431768211456", "1e400"] {
            assert_eq!(digits(text), Some(None), "{text}");
        }
        assert_eq!(digits("1e99999999999999999999"), Some(None));
    }

    #[test]
    fn numbers_compare_by_their_value() {
        for (one, other, ordering) in [
            ("255.0", "255", Ordering::Equal),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("-1", "0", Ordering::Less),
            ("0.5", "1", Ordering::Less),
            ("1e400", "18446744073709551615", Ordering::Greater),
            ("-1e400", "0", Ordering::Less),
        ] {
            assert_eq!(Bound::new(other.to_owned()).of(one), ordering, "{one}");
        }
    }

    #[test]
    fn multiples_are_found_among_fractions_too() {
        for (text, step, is) in [
            ("10", "5", true),
            ("7", "5", false),
            ("0.3", "0.1", true),
            ("0.35", "0.1", false),
            ("1e30", "7", false),
        ] {
            assert_eq!(
                is_multiple(text, &Bound::new(step.to_owned())),
                is,
                "{text}"
            );
        }
    }
}
