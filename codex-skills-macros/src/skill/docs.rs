//! Documentation: what of a doc comment is for the model, and where.
//!
//! The text up to the first heading describes the skill, `# Arguments` its parameters, `# Returns` its
//! answer; the other sections are for people.

use proc_macro2::Span;
use syn::{Attribute, Lit, Meta};

use crate::options::literal;

/// One line of a doc comment and where it was written.
struct Line {
    text: String,
    span: Span,
}

/// An item of the `# Arguments` section.
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// What the doc comment of a function says.
#[derive(Default)]
pub(crate) struct Documentation {
    pub(crate) description: Option<String>,
    pub(crate) arguments: Vec<Item>,
    pub(crate) returns: Option<String>,
}

impl Documentation {
    /// Reads the `#[doc]` attributes among `attributes`.
    pub(crate) fn read(attributes: &[Attribute]) -> Self {
        let mut documentation = Self::default();
        for section in sections(lines(attributes)) {
            match section.heading.as_deref() {
                None => documentation.description = section.text(),
                Some("arguments" | "parameters" | "args" | "params") => {
                    documentation.arguments.extend(items(&section.lines));
                }
                Some("returns" | "return") => documentation.returns = section.text(),
                Some(_) => {}
            }
        }
        documentation
    }
}

/// The whole text of the `#[doc]` attributes, for parameters.
pub(crate) fn text(attributes: &[Attribute]) -> Option<String> {
    join(&lines(attributes))
}

fn lines(attributes: &[Attribute]) -> Vec<Line> {
    let mut lines = Vec::new();
    for attribute in attributes {
        let Some((text, span)) = doc_text(attribute) else {
            continue;
        };
        if text.contains('\n') {
            lines.extend(block(&text).into_iter().map(|text| Line { text, span }));
        } else {
            let text = text
                .strip_prefix(' ')
                .unwrap_or(&text)
                .trim_end()
                .to_owned();
            lines.push(Line { text, span });
        }
    }
    lines
}

/// The text of `#[doc = ".."]`. Anything else, such as `include_str!`, is not known here.
fn doc_text(attribute: &Attribute) -> Option<(String, Span)> {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match literal(&pair.value)? {
            Lit::Str(text) => Some((text.value(), text.span())),
            _ => None,
        },
        _ => None,
    }
}

/// The lines of a block comment, without the stars and the common indentation.
fn block(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let starred = lines
        .iter()
        .skip(1)
        .filter(|line| !line.trim().is_empty())
        .all(|line| line.trim_start().starts_with('*'));
    let mut lines: Vec<&str> = lines
        .into_iter()
        .enumerate()
        .map(|(at, line)| match line.trim_start().strip_prefix('*') {
            Some(rest) if starred && at > 0 => rest,
            _ => line,
        })
        .collect();
    if let Some(first) = lines.first_mut() {
        *first = first.trim_start();
    }
    let indentation = lines
        .iter()
        .skip(1)
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start_matches(' ').len())
        .min()
        .unwrap_or(0);
    lines
        .into_iter()
        .enumerate()
        .map(|(at, line)| {
            let kept = if at == 0 {
                line
            } else {
                line.get(indentation..).unwrap_or("")
            };
            kept.trim_end().to_owned()
        })
        .collect()
}

/// The lines under one heading; the first section has none.
struct Section {
    heading: Option<String>,
    lines: Vec<Line>,
}

impl Section {
    fn text(&self) -> Option<String> {
        join(&self.lines)
    }
}

fn sections(lines: Vec<Line>) -> Vec<Section> {
    let mut fence: Option<&'static str> = None;
    let mut finished = Vec::new();
    let mut current = Section {
        heading: None,
        lines: Vec::new(),
    };
    for line in lines {
        let start = line.text.trim_start();
        match fence {
            Some(mark) if start.starts_with(mark) => fence = None,
            Some(_) => {}
            None => {
                fence = ["```", "~~~"]
                    .into_iter()
                    .find(|mark| start.starts_with(mark));
                if let Some(heading) = heading(&line.text) {
                    let next = Section {
                        heading: Some(heading),
                        lines: Vec::new(),
                    };
                    finished.push(std::mem::replace(&mut current, next));
                    continue;
                }
            }
        }
        current.lines.push(line);
    }
    finished.push(current);
    finished
}

/// The name of a markdown heading (`# Name`, up to six signs), in lower case.
fn heading(line: &str) -> Option<String> {
    let start = line.trim_start_matches(' ');
    if line.len() - start.len() > 3 {
        return None;
    }
    let name = start.trim_start_matches('#');
    let signs = start.len() - name.len();
    if !(1..=6).contains(&signs) || !(name.is_empty() || name.starts_with([' ', '\t'])) {
        return None;
    }
    let name = name.trim().trim_end_matches(['#', ':']).trim_end();
    Some(name.to_lowercase())
}

fn join(lines: &[Line]) -> Option<String> {
    let lines: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let text = lines.join("\n");
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The list items that name something: `* name - text`, continued on indented lines.
fn items(lines: &[Line]) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut continues = false;
    for line in lines {
        if let Some(content) = bullet(&line.text) {
            continues = match named(content) {
                Some((name, text)) => {
                    items.push(Item {
                        name: name.to_owned(),
                        text: text.to_owned(),
                        span: line.span,
                    });
                    true
                }
                None => false,
            };
        } else if continues && !line.text.trim().is_empty() {
            if let Some(item) = items.last_mut() {
                if !item.text.is_empty() {
                    item.text.push(' ');
                }
                item.text.push_str(line.text.trim());
            }
        } else {
            continues = false;
        }
    }
    items
}

fn bullet(line: &str) -> Option<&str> {
    let start = line.trim_start_matches(' ');
    if line.len() - start.len() > 1 {
        return None;
    }
    start
        .strip_prefix(['*', '-', '+'])
        .and_then(|rest| rest.strip_prefix(' '))
        .map(str::trim_start)
}

/// The name at the start of an item, and the text after the separator.
fn named(content: &str) -> Option<(&str, &str)> {
    let (name, rest) = match content.strip_prefix('`') {
        Some(quoted) => quoted.split_once('`')?,
        None => content.split_at(
            content
                .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '#')))
                .unwrap_or(content.len()),
        ),
    };
    let rest = rest.trim_start();
    if name.is_empty() {
        return None;
    }
    if rest.is_empty() {
        return Some((name, ""));
    }
    rest.strip_prefix(['-', '–', '—', ':'])
        .map(|text| (name, text.trim_start_matches(['-', ' '])))
}

#[cfg(test)]
mod tests {
    use syn::{Attribute, parse_quote};

    use super::Documentation;

    fn read(text: &str) -> Documentation {
        let attributes: Vec<Attribute> = text
            .lines()
            .map(|line| {
                let line = format!(" {line}");
                parse_quote!(#[doc = #line])
            })
            .collect();
        Documentation::read(&attributes)
    }

    #[test]
    fn paragraphs_are_kept_and_headings_end_the_description() {
        let docs =
            read("Look up.\n\nBy id.\n  indented\n\n# Errors\nNever.\n# Returns\nThe ticket.\n");
        assert_eq!(
            docs.description.as_deref(),
            Some("Look up.\n\nBy id.\n  indented")
        );
        assert_eq!(docs.returns.as_deref(), Some("The ticket."));
    }

    #[test]
    fn a_fenced_comment_is_not_a_heading() {
        let docs = read("Run.\n```sh\n# not a heading\n```\nDone.\n#hashtag");
        assert_eq!(
            docs.description.as_deref(),
            Some("Run.\n```sh\n# not a heading\n```\nDone.\n#hashtag")
        );
    }

    #[test]
    fn items_have_names_separators_and_continuations() {
        let docs = read(
            "# Arguments\n\n* `a` - the first\n  one\n- b: second\n* c — third\n+ d – fourth\n\nProse - here.\n* just words\n* `e`",
        );
        let items: Vec<(&str, &str)> = docs
            .arguments
            .iter()
            .map(|item| (item.name.as_str(), item.text.as_str()))
            .collect();
        assert_eq!(
            items,
            [
                ("a", "the first one"),
                ("b", "second"),
                ("c", "third"),
                ("d", "fourth"),
                ("e", "")
            ]
        );
    }

    #[test]
    fn block_comments_lose_stars_and_indentation() {
        let attribute: Attribute =
            parse_quote!(#[doc = "\n     * Look up.\n     *\n     * By id.\n     "]);
        let docs = Documentation::read(&[attribute]);
        assert_eq!(docs.description.as_deref(), Some("Look up.\n\nBy id."));
        let attribute: Attribute =
            parse_quote!(#[doc = " Look up.\n\n    By id.\n      - deeper\n"]);
        let docs = Documentation::read(&[attribute]);
        assert_eq!(
            docs.description.as_deref(),
            Some("Look up.\n\nBy id.\n  - deeper")
        );
    }
}
