//! Lists of options in attributes: `flag, name = value`. Knows no option; recovers after each mistake.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, Lit, LitStr, Token};

use crate::diagnostics::{Diagnostics, listed, nearest};

/// One option as it was written.
pub(crate) struct Given {
    pub(crate) name: Ident,
    pub(crate) value: Option<Expr>,
}

/// What takes options, and what it says of mistakes.
pub(crate) struct Owner {
    /// What it is, for messages.
    pub(crate) name: &'static str,
    /// Its options.
    pub(crate) known: &'static [&'static str],
    /// The option that a text alone was probably meant for.
    pub(crate) text: Option<&'static str>,
    /// What to do instead of some options that do not exist.
    pub(crate) cures: &'static [(&'static str, &'static str)],
}

/// Reads the options of `owner`. Unknown and repeated ones are reported and left out.
pub(crate) fn read(
    owner: &Owner,
    tokens: TokenStream,
    diagnostics: &mut Diagnostics,
) -> Vec<Given> {
    let mut all: Vec<Given> = Vec::new();
    let reader = |input: ParseStream<'_>| {
        while !input.is_empty() {
            match option(owner, input) {
                Ok(given) => match objection(owner, &all, &given) {
                    Some(error) => diagnostics.push(error),
                    None => all.push(given),
                },
                Err(error) => {
                    diagnostics.push(error);
                    skip_to_comma(input)?;
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    };
    if let Err(error) = reader.parse2(tokens) {
        diagnostics.push(error);
    }
    all
}

fn option(owner: &Owner, input: ParseStream<'_>) -> syn::Result<Given> {
    if let (Some(name), true) = (owner.text, input.peek(LitStr)) {
        let text: LitStr = input.parse()?;
        let help = format!("write `{name} = {}`", text.to_token_stream());
        return Err(syn::Error::new(
            text.span(),
            format!("expected the name of an option\nhelp: {help}"),
        ));
    }
    if !input.peek(syn::Ident::peek_any) {
        return Err(input.error(
            "expected the name of an option\nhelp: options are written `name = value`, or `name` for a flag",
        ));
    }
    let name = Ident::parse_any(input)?;
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(Given { name, value: None });
    }
    if !input.peek(Token![=]) {
        return Err(input.error(format!(
            "expected `=` or `,` after `{name}`\nhelp: options are written `{name} = value`, or `{name}` for a flag"
        )));
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(syn::Error::new(
            name.span(),
            format!("the value of `{name}` is missing after `=`"),
        ));
    }
    Ok(Given {
        value: Some(input.parse()?),
        name,
    })
}

fn skip_to_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

fn objection(owner: &Owner, before: &[Given], given: &Given) -> Option<syn::Error> {
    let name = given.name.to_string();
    if !owner.known.contains(&name.as_str()) {
        let cure = owner.cures.iter().find(|(wrong, _)| *wrong == name);
        let message = match cure {
            Some((_, cure)) => format!("unknown option `{name}` of {}\nhelp: {cure}", owner.name),
            None => unknown(owner.name, &name, owner.known),
        };
        return Some(syn::Error::new(given.name.span(), message));
    }
    before
        .iter()
        .any(|earlier| earlier.name == given.name)
        .then(|| {
            syn::Error::new(
                given.name.span(),
                format!("`{name}` is given twice\nhelp: remove one of the two"),
            )
        })
}

/// What to say about an option that does not exist.
pub(crate) fn unknown(owner: &str, name: &str, known: &[&str]) -> String {
    let suggestion = nearest(name, known.iter().copied())
        .map(|nearest| format!(", did you mean `{nearest}`?"))
        .unwrap_or_default();
    format!(
        "unknown option `{name}` of {owner}{suggestion}\nhelp: the options are {}",
        listed(known.iter().copied())
    )
}

impl Given {
    /// A flag: given without a value.
    pub(crate) fn flag(&self, diagnostics: &mut Diagnostics) -> Option<Span> {
        let name = &self.name;
        if let Some(value) = &self.value {
            let remedy = match literal(value) {
                Some(Lit::Bool(literal)) if !literal.value => {
                    format!("leave `{name}` out to switch it off")
                }
                _ => format!("write `{name}`"),
            };
            diagnostics.at(
                value,
                format!("`{name}` is a flag and takes no value\nhelp: {remedy}"),
            );
            return None;
        }
        Some(name.span())
    }

    /// The value, which must be there.
    pub(crate) fn expression(self, diagnostics: &mut Diagnostics) -> Option<Expr> {
        if self.value.is_none() {
            let name = &self.name;
            diagnostics.at_span(
                name.span(),
                format!("`{name}` needs a value\nhelp: write `{name} = …`"),
            );
        }
        self.value
    }

    /// A string literal, which must not be blank.
    pub(crate) fn text(self, diagnostics: &mut Diagnostics) -> Option<LitStr> {
        let name = self.name.clone();
        let text = self.any_text(diagnostics)?;
        if text.value().trim().is_empty() {
            diagnostics.at(
                &text,
                format!("`{name}` is empty\nhelp: write something, or leave `{name}` out"),
            );
            return None;
        }
        Some(text)
    }

    /// A string literal.
    pub(crate) fn any_text(self, diagnostics: &mut Diagnostics) -> Option<LitStr> {
        let name = self.name;
        let Some(value) = self.value else {
            diagnostics.at_span(
                name.span(),
                format!("`{name}` needs a value\nhelp: write `{name} = \"…\"`"),
            );
            return None;
        };
        match literal(&value) {
            Some(Lit::Str(text)) => Some(text.clone()),
            _ => {
                diagnostics.at(
                    &value,
                    format!("`{name}` takes a string literal\nhelp: write `{name} = \"…\"`"),
                );
                None
            }
        }
    }
}

/// The literal that an expression is, if it is one; macros may have wrapped it in a group.
pub(crate) fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(literal) => Some(&literal.lit),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}
