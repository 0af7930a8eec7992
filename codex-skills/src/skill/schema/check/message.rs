//! One message of all that is wrong, made of a line for each thing: what is missing and what is misspelt first, since it
//! explains much of the rest.

/// The most things that are said in full, and how long these lines may be together, in bytes.
const LINES: usize = 24;
const LONGEST: usize = 5_000;
/// How long the names of what is missing besides may be together.
const NAMES: usize = 1_500;

/// What is said of one thing that is wrong.
#[derive(Clone, Debug)]
pub(super) struct Line {
    text: String,
    about: About,
}

#[derive(Clone, Debug)]
enum About {
    /// A member that is missing, by its path.
    Missing(String),
    /// A member that has no place, and what is said of it where the names that there are were listed before.
    Unknown(Option<String>),
    Value,
}

impl Line {
    /// Says that a member is missing.
    pub(super) fn of_missing(text: String, name: String) -> Self {
        let about = About::Missing(name);
        Self { text, about }
    }

    /// Says that a member has no place.
    pub(super) fn of_unknown(text: String, again: Option<String>) -> Self {
        let about = About::Unknown(again);
        Self { text, about }
    }

    /// Says what is wrong with a value.
    pub(super) fn of_value(text: String) -> Self {
        let about = About::Value;
        Self { text, about }
    }
}

/// One message of several lines, and of `more` things that have none.
pub(super) fn message<'a>(lines: impl IntoIterator<Item = &'a Line>, mut more: usize) -> String {
    let mut lines: Vec<&Line> = lines.into_iter().collect();
    lines.sort_by_key(|line| matches!(line.about, About::Value));
    let (mut said, mut length) = (Vec::<&str>::new(), 0);
    let (mut missing, mut names) = (Vec::<&str>::new(), 0);
    let mut are_listed = false;
    for line in lines {
        let text = match &line.about {
            About::Unknown(Some(again)) if std::mem::replace(&mut are_listed, true) => again,
            _ => &line.text,
        };
        if said.contains(&text.as_str()) {
            continue;
        }
        let is_short = said.is_empty() || length + text.len() <= LONGEST;
        if said.len() < LINES && is_short {
            length += text.len();
            said.push(text);
            continue;
        }
        match &line.about {
            About::Missing(name) if names + name.len() <= NAMES => {
                names += name.len();
                missing.push(name);
            }
            _ => more += 1,
        }
    }
    let mut message = said.join("; ").replace(".; ", "; ");
    if !missing.is_empty() {
        message.push_str(&format!("; `{}` are missing, too", missing.join("`, `")));
    }
    if more > 0 {
        message.push_str(&format!("; and {more} more"));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_first_and_is_named_however_much_it_is() {
        let missing =
            (0..60).map(|at| Line::of_missing(format!("`m{at}` is missing"), format!("m{at}")));
        let wrong = (0..30).map(|at| Line::of_value(format!("`w{at}`: wrong")));
        let lines: Vec<Line> = wrong.chain(missing).collect();

        let said = message(&lines, 7);

        assert!(
            said.starts_with("`m0` is missing; `m1` is missing; "),
            "{said}"
        );
        assert!(
            (0..60).all(|at| said.contains(&format!("`m{at}`"))),
            "{said}"
        );
        assert!(
            said.ends_with("`m59` are missing, too; and 37 more"),
            "{said}"
        );
    }

    #[test]
    fn a_message_is_short_however_long_its_lines_are() {
        let long = "é".repeat(400);
        let lines: Vec<Line> = (0..1_000)
            .map(|at| Line::of_missing(format!("`{at}{long}` is missing"), format!("{at}{long}")))
            .collect();

        let said = message(&lines, 0);

        assert!(said.len() < 8 * 1024, "{}", said.len());
        assert!(said.ends_with(" more"), "{said}");
    }
}
