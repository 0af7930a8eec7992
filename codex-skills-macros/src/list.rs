//! `skills![a, b::c]`: skills by path.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens as _, quote_spanned};
use syn::parse::{ParseStream, Parser as _};
use syn::{Path, Token};

use crate::diagnostics::Diagnostics;
use crate::hygiene::ours;

/// Expands `CRATE; PATHS`.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let (krate, paths) = split_crate(input);
    let list = list(&krate, paths, &mut diagnostics);
    let errors = diagnostics.into_tokens();
    if errors.is_empty() {
        return list;
    }
    // The errors are statements, so that the value still has the right type.
    quote_spanned!(ours()=> { #errors #list })
}

/// Takes the path of the library off the input: everything up to the first `;`.
pub(crate) fn split_crate(input: TokenStream) -> (TokenStream, TokenStream) {
    let mut rest = input.into_iter();
    let krate = rest
        .by_ref()
        .take_while(|token| !matches!(token, TokenTree::Punct(mark) if mark.as_char() == ';'))
        .collect();
    (krate, rest.collect())
}

/// The expression for a list of paths; mistakes in it are reported and left out.
pub(crate) fn list(
    krate: &TokenStream,
    paths: TokenStream,
    diagnostics: &mut Diagnostics,
) -> TokenStream {
    let mut read: Vec<Path> = Vec::new();
    let reader = |input: ParseStream<'_>| {
        while !input.is_empty() {
            match item(input) {
                Ok(path) => add(path, &mut read, diagnostics),
                Err(error) => diagnostics.push(error),
            }
            while !input.is_empty() && !input.peek(Token![,]) {
                input.parse::<TokenTree>()?;
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    };
    if let Err(error) = reader.parse2(paths) {
        diagnostics.push(error);
    }
    quote_spanned! {ours()=>
        #krate::__private::SkillList::new(&[#(<#read as #krate::SkillSet>::SKILLS),*])
    }
}

fn item(input: ParseStream<'_>) -> syn::Result<Path> {
    const HELP: &str =
        "help: write the function's name or path, for example `skills![lookup, tickets::close]`";
    let path: Path = input.parse().map_err(|error| {
        syn::Error::new(
            error.span(),
            format!("expected the path of a skill\n{HELP}"),
        )
    })?;
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(path);
    }
    let name = path.to_token_stream().to_string().replace(' ', "");
    Err(input.error(if input.peek(syn::token::Paren) {
        format!("a skill is named here, not called\nhelp: write `{name}` without parentheses")
    } else {
        format!("expected `,` after `{name}`\n{HELP}")
    }))
}

fn add(path: Path, read: &mut Vec<Path>, diagnostics: &mut Diagnostics) {
    let written = path.to_token_stream().to_string();
    if read
        .iter()
        .any(|earlier| earlier.to_token_stream().to_string() == written)
    {
        let name = written.replace(' ', "");
        diagnostics.at(
            &path,
            format!("`{name}` is in this list twice\nhelp: remove one of the two"),
        );
    } else {
        read.push(path);
    }
}
