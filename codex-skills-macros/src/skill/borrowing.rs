//! References inside of types: what cannot be borrowed of an argument, or of an answer, and the type to write
//! instead.

use proc_macro2::{Group, Punct, Spacing, TokenStream, TokenTree};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{FnArg, GenericArgument, PathArguments, ReturnType, Type, TypeReference};

use super::types::{arguments, unwrapped, written};
use crate::diagnostics::Diagnostics;

/// The first reference below the outermost one: arguments are decoded into values, of which no part can
/// borrow. `&str`, `&[T]`, and an `Option` of one of them, borrow from the value that was decoded.
pub(crate) fn of_a_part(ty: &Type) -> Option<&TypeReference> {
    match unwrapped(ty) {
        Type::Reference(reference) => inside(&reference.elem),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let only = match &last.arguments {
                PathArguments::AngleBracketed(list) if list.args.len() == 1 => list.args.first(),
                _ => None,
            };
            match only {
                Some(GenericArgument::Type(inner)) if last.ident == "Option" => {
                    match unwrapped(inner) {
                        Type::Reference(reference) if is_viewed(&reference.elem) => {
                            inside(&reference.elem)
                        }
                        _ => first(inner),
                    }
                }
                _ => inside(ty),
            }
        }
        _ => inside(ty),
    }
}

/// Whether a reference to the type is a view of a `String` or a `Vec`.
fn is_viewed(ty: &Type) -> bool {
    match unwrapped(ty) {
        Type::Path(path) => path.path.is_ident("str"),
        Type::Slice(_) => true,
        _ => false,
    }
}

/// The first reference in a type.
fn first(ty: &Type) -> Option<&TypeReference> {
    match unwrapped(ty) {
        Type::Reference(reference) => Some(reference),
        _ => inside(ty),
    }
}

/// The first reference in the parts of a type.
fn inside(ty: &Type) -> Option<&TypeReference> {
    match unwrapped(ty) {
        Type::Path(path) => path
            .path
            .segments
            .iter()
            .flat_map(|segment| arguments(&segment.arguments))
            .find_map(first),
        Type::Tuple(tuple) => tuple.elems.iter().find_map(first),
        Type::Array(array) => first(&array.elem),
        Type::Slice(slice) => first(&slice.elem),
        _ => None,
    }
}

/// The type as it is written without references: `Vec<String>` for `&[&str]`.
pub(crate) fn owned_text(ty: &Type) -> String {
    written(&owned(ty))
}

fn owned(ty: &Type) -> TokenStream {
    match unwrapped(ty) {
        Type::Reference(reference) => owned(&reference.elem),
        Type::Slice(slice) => {
            let elem = owned(&slice.elem);
            quote!(Vec<#elem>)
        }
        Type::Tuple(tuple) => {
            let elems = tuple.elems.iter().map(owned);
            quote!((#(#elems),*))
        }
        Type::Array(array) => {
            let (elem, len) = (owned(&array.elem), &array.len);
            quote!([#elem; #len])
        }
        Type::Path(path) if path.path.is_ident("str") => quote!(String),
        Type::Path(path) => {
            let Some(last) = path.path.segments.last() else {
                return path.to_token_stream();
            };
            let PathArguments::AngleBracketed(list) = &last.arguments else {
                return path.to_token_stream();
            };
            let mut bare = path.clone();
            if let Some(last) = bare.path.segments.last_mut() {
                last.arguments = PathArguments::None;
            }
            let arguments = list.args.iter().map(|argument| match argument {
                GenericArgument::Type(ty) => owned(ty),
                argument => argument.to_token_stream(),
            });
            quote!(#bare<#(#arguments),*>)
        }
        ty => ty.to_token_stream(),
    }
}

/// Refuses an answer that borrows where the compiler could not say from which parameter. Its own message proposes
/// lifetime parameters, which a skill cannot have; so the signature that goes on to it says `'static`. Returns
/// whether the body fits the signature no more.
pub(crate) fn refuse_unclear_answer(
    signature: &mut syn::Signature,
    diagnostics: &mut Diagnostics,
) -> bool {
    let ReturnType::Type(_, ty) = &mut signature.output else {
        return false;
    };
    let Some(place) = elided(ty.to_token_stream()) else {
        return false;
    };
    let mut borrowed = 0;
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(_) => return false,
            FnArg::Typed(typed) => borrowed += count(typed.ty.to_token_stream()),
        }
    }
    if borrowed == 1 {
        return false;
    }
    diagnostics.at(
        &place,
        format!(
            "the answer borrows, and nothing says from which parameter\nhelp: return an owned value: `{}`",
            owned_text(ty)
        ),
    );
    if let Ok(fixed) = syn::parse2(with_static(ty.to_token_stream())) {
        **ty = fixed;
    }
    true
}

/// The first place where a lifetime is left out, as the reference or the `'_`.
fn elided(tokens: TokenStream) -> Option<TokenTree> {
    places(tokens).into_iter().next()
}

fn count(tokens: TokenStream) -> usize {
    places(tokens).len()
}

fn places(tokens: TokenStream) -> Vec<TokenTree> {
    let mut found = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Punct(mark) if mark.as_char() == '&' => match tokens.peek() {
                Some(TokenTree::Punct(next)) if next.as_char() == '\'' => {}
                _ => found.push(token),
            },
            TokenTree::Punct(mark) if mark.as_char() == '\'' => {
                if let Some(name @ TokenTree::Ident(_)) = tokens.next()
                    && name.to_string() == "_"
                {
                    found.push(name);
                }
            }
            TokenTree::Group(group) => found.extend(places(group.stream())),
            _ => {}
        }
    }
    found
}

/// The same type with `'static` wherever a lifetime is left out.
fn with_static(tokens: TokenStream) -> TokenStream {
    let mut written = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == '&' => {
                let span = mark.span();
                written.extend([TokenTree::Punct(mark)]);
                if !matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == '\'')
                {
                    written.extend(quote_spanned!(span=> 'static));
                }
            }
            TokenTree::Punct(mark) if mark.as_char() == '\'' => {
                let name = tokens.next();
                let span = mark.span();
                written.extend([TokenTree::Punct(Punct::new('\'', Spacing::Joint))]);
                match name {
                    Some(TokenTree::Ident(name)) if name == "_" => {
                        written.extend([TokenTree::Ident(proc_macro2::Ident::new("static", span))]);
                    }
                    name => written.extend(name),
                }
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), with_static(group.stream()));
                inner.set_span(group.span());
                written.extend([TokenTree::Group(inner)]);
            }
            token => written.extend([token]),
        }
    }
    written
}
