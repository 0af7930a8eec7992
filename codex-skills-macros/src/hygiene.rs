//! Whose code a token is: spans and names that keep what we expand apart from what the user wrote.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};

/// The span of code that is ours.
pub(crate) fn ours() -> Span {
    Span::mixed_site()
}

/// The name of the alias of the library's hidden module.
pub(crate) fn private() -> Ident {
    Ident::new("__codex_skills", ours())
}

/// The same alias, shown at the user's code.
pub(crate) fn private_at(span: Span) -> Ident {
    Ident::new("__codex_skills", span)
}

/// The same tokens as if the macro had written them, so that the user's lints pass over them.
pub(crate) fn respanned(tokens: TokenStream) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut token| {
            if let TokenTree::Group(group) = &token {
                let mut inner = Group::new(group.delimiter(), respanned(group.stream()));
                inner.set_span(group.span().resolved_at(ours()));
                return TokenTree::Group(inner);
            }
            token.set_span(token.span().resolved_at(ours()));
            token
        })
        .collect()
}

/// The first and the last span of some tokens.
pub(crate) fn ends(tokens: &TokenStream) -> (Span, Span) {
    let mut spans = tokens.clone().into_iter().map(|token| token.span());
    let first = spans.next().unwrap_or_else(Span::call_site);
    (first, spans.last().unwrap_or(first))
}

/// The same tokens, shown at another place.
pub(crate) fn located(tokens: TokenStream, span: Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut token| {
            if let TokenTree::Group(group) = &token {
                let inner = located(group.stream(), span);
                let mut moved = Group::new(group.delimiter(), inner);
                moved.set_span(group.span().located_at(span));
                return TokenTree::Group(moved);
            }
            token.set_span(token.span().located_at(span));
            token
        })
        .collect()
}
