//! `#[serde(..)]` and `#[schemars(..)]` on a parameter. They go to a hidden struct, of which the user should never
//! read: a word that is unknown there is reported here, before the derives would fail.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Attribute, LitStr, Meta};

use crate::diagnostics::{Diagnostics, listed, nearest};

/// What serde takes on the field of a struct that is deserialized.
const SERDE: &[&str] = &[
    "alias",
    "borrow",
    "bound",
    "default",
    "deserialize_with",
    "flatten",
    "rename",
    "skip",
    "skip_deserializing",
    "skip_serializing",
    "skip_serializing_if",
    "serialize_with",
    "with",
];

/// What schemars takes there.
const SCHEMARS: &[&str] = &[
    "bound",
    "contains",
    "default",
    "description",
    "email",
    "example",
    "extend",
    "flatten",
    "inner",
    "ip",
    "ipv4",
    "ipv6",
    "length",
    "pattern",
    "range",
    "regex",
    "rename",
    "required",
    "schema_with",
    "serialize_with",
    "skip",
    "skip_deserializing",
    "skip_serializing",
    "skip_serializing_if",
    "title",
    "transform",
    "url",
    "with",
];

/// Reports unknown words, and what `#[skill(..)]` says as well.
pub(crate) fn check(
    attributes: &[Attribute],
    has_default: bool,
    is_renamed: bool,
    diagnostics: &mut Diagnostics,
) {
    for attribute in attributes {
        let is_serde = attribute.path().is_ident("serde");
        let (owner, known) = if is_serde {
            ("serde", SERDE)
        } else {
            ("schemars", SCHEMARS)
        };
        for word in words(attribute) {
            let name = word.to_string();
            if !known.contains(&name.as_str()) {
                let suggestion = nearest(&name, known.iter().copied())
                    .map(|nearest| format!(", did you mean `{nearest}`?"))
                    .unwrap_or_default();
                diagnostics.at(
                    &word,
                    format!(
                        "`#[{owner}(..)]` on a parameter has no `{name}`{suggestion}\nhelp: it takes {}",
                        listed(known.iter().copied())
                    ),
                );
            } else if name == "default" && has_default {
                diagnostics.at(
                    &word,
                    "the default is given twice\nhelp: remove one of the two",
                );
            } else if name == "rename" && is_renamed {
                diagnostics.at(
                    &word,
                    "the parameter is renamed twice\nhelp: keep `#[skill(rename = \"…\")]`",
                );
            }
        }
    }
}

/// The words at the outermost level of an attribute: what stands at its begin and behind each comma.
fn words(attribute: &Attribute) -> Vec<Ident> {
    let Meta::List(list) = &attribute.meta else {
        return Vec::new();
    };
    let mut words = Vec::new();
    let (mut begins, mut angles) = (true, 0_i32);
    for token in list.tokens.clone() {
        let is_begin = std::mem::take(&mut begins);
        match token {
            TokenTree::Ident(word) if is_begin => words.push(word),
            TokenTree::Punct(mark) => match mark.as_char() {
                // Of type arguments, as in `example = pair::<A, B>()`.
                '<' => angles += 1,
                '>' => angles -= 1,
                mark => begins = mark == ',' && angles == 0,
            },
            _ => {}
        }
    }
    words
}

/// The name that `#[serde(rename = "..")]` gives, if it is as simple as that.
pub(crate) fn rename(attributes: &[Attribute]) -> Option<LitStr> {
    let mut rename = None;
    for attribute in attributes.iter().filter(|a| a.path().is_ident("serde")) {
        // What serde makes of the values is serde's business, mistakes included.
        let _ = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("rename") {
                rename = meta.value()?.parse().ok();
            } else if let Ok(value) = meta.value() {
                value.parse::<syn::Expr>()?;
            }
            Ok(())
        });
    }
    rename
}

/// Whether one of the words stands anywhere in the attributes.
pub(crate) fn mentions(attributes: &[Attribute], words: &[&str]) -> bool {
    attributes
        .iter()
        .any(|attribute| stands_in(attribute.meta.to_token_stream(), words))
}

fn stands_in(tokens: TokenStream, words: &[&str]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => words.contains(&word.to_string().as_str()),
        TokenTree::Group(group) => stands_in(group.stream(), words),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
