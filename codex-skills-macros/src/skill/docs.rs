//! Documentation: what of a doc comment is for the model, and where.
//!
//! The text up to the first heading describes the skill, `# Arguments` its parameters, `# Returns` its
//! answer; the other sections are for people. A text that is seen here is read here; one that only the compiler knows,
//! such as that of `include_str!`, is read by the same functions in constants.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, Expr, Lit, Meta};

use super::sections;
use crate::hygiene::{ours, private};
use crate::options::literal;

/// Words for the model.
#[derive(Clone)]
pub(crate) enum Words {
    /// Known here.
    Known(String),
    /// An expression of the type `Option<&'static str>`.
    Constant(TokenStream),
}

impl Words {
    /// An expression of the type `Option<&'static str>`.
    pub(crate) fn optional(&self) -> TokenStream {
        match self {
            Self::Known(text) => quote_spanned!(ours()=> ::core::option::Option::Some(#text)),
            Self::Constant(text) => text.clone(),
        }
    }
}

/// A part of a documentation: some lines, or an expression.
enum Part {
    Lines(Vec<(String, Span)>),
    Expression(Expr),
}

/// An item of the `# Arguments` section.
pub(crate) struct Item {
    pub(crate) names: Vec<String>,
    pub(crate) text: String,
    pub(crate) span: Span,
    /// Whether it names something.
    pub(crate) is_readable: bool,
}

/// What the doc comment of a function says.
#[derive(Default)]
pub(crate) struct Documentation {
    pub(crate) description: Option<Words>,
    pub(crate) arguments: Vec<Item>,
    pub(crate) returns: Option<Words>,
    /// The whole text as an expression of the type `&'static str`, where it is not known here.
    pub(crate) constant: Option<TokenStream>,
    /// Where it has text, and none of it says what the skill does.
    pub(crate) headings_only: Option<Span>,
}

/// The name of the constant that holds a documentation that is not known here.
pub(crate) fn constant_name() -> TokenStream {
    quote_spanned!(ours()=> __CODEX_SKILLS_DOCS)
}

impl Documentation {
    /// What it says first, where its text need not have a constant of its own.
    pub(crate) fn in_place(self) -> Option<Words> {
        match self.constant {
            Some(docs) => {
                let p = private();
                Some(Words::Constant(
                    quote_spanned!(ours()=> #p::documentation::first(#docs)),
                ))
            }
            None => self.description,
        }
    }

    /// Reads the `#[doc]` attributes among `attributes`.
    pub(crate) fn read(attributes: &[Attribute]) -> Self {
        let parts = parts(attributes);
        if parts.iter().any(|part| matches!(part, Part::Expression(_))) {
            let (p, docs) = (private(), constant_name());
            return Self {
                description: Some(Words::Constant(quote_spanned! {ours()=>
                    ::core::option::Option::Some(#p::documentation::described(#docs))
                })),
                returns: Some(Words::Constant(
                    quote_spanned!(ours()=> #p::documentation::returns(#docs)),
                )),
                constant: Some(joined(&parts)),
                ..Self::default()
            };
        }
        let lines: Vec<(String, Span)> = parts.into_iter().flat_map(Part::lines).collect();
        let text = text_of(&lines);
        let description = sections::description(&text).map(|text| Words::Known(text.to_owned()));
        let first = lines.iter().find(|(line, _)| !line.trim().is_empty());
        Self {
            headings_only: first
                .filter(|_| description.is_none())
                .map(|(_, span)| *span),
            description,
            arguments: items(&text, &lines),
            returns: sections::returns(&text).map(|text| Words::Known(text.to_owned())),
            constant: None,
        }
    }
}

/// The whole text of the `#[doc]` attributes, for parameters.
pub(crate) fn text(attributes: &[Attribute]) -> Option<Words> {
    let parts = parts(attributes);
    if parts.iter().any(|part| matches!(part, Part::Expression(_))) {
        let (p, text) = (private(), joined(&parts));
        return Some(Words::Constant(
            quote_spanned!(ours()=> #p::documentation::whole(#text)),
        ));
    }
    let lines: Vec<(String, Span)> = parts.into_iter().flat_map(Part::lines).collect();
    let text = text_of(&lines);
    let text = text.trim();
    (!text.is_empty()).then(|| Words::Known(text.to_owned()))
}

/// Whether `rustc` takes the value of a `#[doc]`: a literal, or a macro that becomes one.
pub(crate) fn is_for_rustc(attribute: &Attribute) -> bool {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => {
            literal(&pair.value).is_some() || is_macro(&pair.value)
        }
        _ => true,
    }
}

fn is_macro(value: &Expr) -> bool {
    match value {
        Expr::Macro(_) => true,
        Expr::Group(group) => is_macro(&group.expr),
        _ => false,
    }
}

/// An expression of the type `&'static str` that joins parts, line by line.
fn joined(parts: &[Part]) -> TokenStream {
    let p = private();
    let parts = parts.iter().map(|part| match part {
        Part::Lines(lines) => text_of(lines).to_token_stream(),
        // Its type is reported at its place.
        Part::Expression(value) => quote_spanned!(value.span()=> #value),
    });
    quote_spanned! {ours()=> {
        const __PARTS: &[&str] = &[#(#parts),*];
        const __TEXT: [u8; #p::documentation::length(__PARTS)] = #p::documentation::joined(__PARTS);
        #p::documentation::text(&__TEXT)
    }}
}

/// What the text of function's documentation says of the parameter that has one of these names.
pub(crate) fn argument(names: &[String]) -> Words {
    let (p, docs) = (private(), constant_name());
    let names = quote!(&[#(#names),*]);
    Words::Constant(quote_spanned! {ours()=> {
        const __TEXT: [u8; #p::documentation::argument_length(#docs, #names)] =
            #p::documentation::argument(#docs, #names);
        #p::documentation::whole(#p::documentation::text(&__TEXT))
    }})
}

fn parts(attributes: &[Attribute]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for attribute in attributes {
        let Meta::NameValue(pair) = &attribute.meta else {
            continue;
        };
        if !pair.path.is_ident("doc") {
            continue;
        }
        let written = match literal(&pair.value) {
            Some(Lit::Str(text)) => lines(&text.value(), text.span()),
            Some(_) => continue,
            None => {
                parts.push(Part::Expression(pair.value.clone()));
                continue;
            }
        };
        match parts.last_mut() {
            Some(Part::Lines(lines)) => lines.extend(written),
            _ => parts.push(Part::Lines(written)),
        }
    }
    parts
}

impl Part {
    fn lines(self) -> Vec<(String, Span)> {
        match self {
            Self::Lines(lines) => lines,
            Self::Expression(_) => Vec::new(),
        }
    }
}

fn lines(text: &str, span: Span) -> Vec<(String, Span)> {
    if text.contains('\n') {
        return block(text).into_iter().map(|line| (line, span)).collect();
    }
    let line = text.strip_prefix(' ').unwrap_or(text);
    vec![(line.trim_end().to_owned(), span)]
}

fn text_of(lines: &[(String, Span)]) -> String {
    let lines: Vec<&str> = lines.iter().map(|(line, _)| line.as_str()).collect();
    lines.join("\n")
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

/// The items that name something: `* name - text`, continued on further lines.
fn items(text: &str, lines: &[(String, Span)]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut start = 0;
    while let Some(item) = sections::next_item(text, start) {
        let mut written = vec![0; sections::write_item(text, &item, &mut [])];
        sections::write_item(text, &item, &mut written);
        let line = text
            .get(..item.start)
            .unwrap_or_default()
            .matches('\n')
            .count();
        items.push(Item {
            names: (0..)
                .map_while(|at| sections::name(text, &item, at).map(str::to_owned))
                .collect(),
            text: String::from_utf8_lossy(&written).into_owned(),
            span: lines
                .get(line)
                .map_or_else(Span::call_site, |(_, span)| *span),
            is_readable: item.is_readable,
        });
        start = item.end + 1;
    }
    items
}

#[cfg(test)]
mod tests {
    use syn::{Attribute, parse_quote};

    use super::{Documentation, Words};

    fn said(words: &Option<Words>) -> Option<&str> {
        match words {
            Some(Words::Known(text)) => Some(text),
            _ => None,
        }
    }

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
            said(&docs.description),
            Some("Look up.\n\nBy id.\n  indented")
        );
        assert_eq!(said(&docs.returns), Some("The ticket."));
    }

    #[test]
    fn a_fenced_comment_is_not_a_heading() {
        let docs = read("Run.\n```sh\n# not a heading\n```\nDone.\n#hashtag");
        assert_eq!(
            said(&docs.description),
            Some("Run.\n```sh\n# not a heading\n```\nDone.\n#hashtag")
        );
    }

    #[test]
    fn items_have_names_separators_and_continuations() {
        let docs = read(concat!(
            "# Arguments\n\n* `a` - the first\n  one\n- b: second\n* c — third\n+ d – fourth\n\nProse - here.\n",
            "* just words\n* `e`\n* **delta** - the fifth\n* `zeta` (string): the sixth\n* `eta`, `theta`: both\n",
            "1. one - numbered\n2) `two` numbered\n* **`bold`:** text\n* [`link`] - text\n\n`bare`: text\n",
            "* x, y - a place\n* `ticket-id` = its id\n* größe - how tall",
        ));
        let items: Vec<(String, &str, bool)> = docs
            .arguments
            .iter()
            .map(|item| (item.names.join("+"), item.text.as_str(), item.is_readable))
            .collect();
        let items: Vec<(&str, &str, bool)> = items
            .iter()
            .map(|(names, text, readable)| (names.as_str(), *text, *readable))
            .collect();
        assert_eq!(
            items,
            [
                ("a", "the first one", true),
                ("b", "second", true),
                ("c", "third", true),
                ("d", "fourth", true),
                ("just", "words", false),
                ("e", "", true),
                ("delta", "the fifth", true),
                ("zeta", "the sixth", true),
                ("eta+theta", "both", true),
                ("one", "numbered", true),
                ("two", "numbered", true),
                ("bold", "text", true),
                ("link", "text", true),
                ("bare", "text", true),
                ("x+y", "a place", true),
                ("ticket-id", "its id", true),
                ("größe", "how tall", true),
            ]
        );
    }

    #[test]
    fn a_heading_at_the_start_is_a_title_unless_it_is_that_of_a_section() {
        for (text, description) in [
            (
                "# Weather\n\nTells it.\n\n# Returns\nIt.",
                Some("Weather\n\nTells it."),
            ),
            ("# Weather", Some("Weather")),
            ("## Weather\n### Details\nMore.", Some("Weather")),
            (
                "#3171 the uri that a\nsource has.",
                Some("#3171 the uri that a\nsource has."),
            ),
            ("# Examples", None),
            ("# Returns\nThe ticket.", None),
            ("# Arguments:\n* a - b", None),
            ("", None),
        ] {
            let docs = read(text);
            assert_eq!(said(&docs.description), description, "{text}");
            let says_nothing = description.is_none() && !text.is_empty();
            assert_eq!(docs.headings_only.is_some(), says_nothing, "{text}");
        }
    }

    #[test]
    fn block_comments_lose_stars_and_indentation() {
        let attribute: Attribute =
            parse_quote!(#[doc = "\n     * Look up.\n     *\n     * By id.\n     "]);
        let docs = Documentation::read(&[attribute]);
        assert_eq!(said(&docs.description), Some("Look up.\n\nBy id."));
        let attribute: Attribute =
            parse_quote!(#[doc = " Look up.\n\n    By id.\n      - deeper\n"]);
        let docs = Documentation::read(&[attribute]);
        assert_eq!(
            said(&docs.description),
            Some("Look up.\n\nBy id.\n  - deeper")
        );
    }
}
