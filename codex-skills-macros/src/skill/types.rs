//! Questions about types, as tokens.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Type};

/// The type inside invisible groups and parentheses.
pub(crate) fn unwrapped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => unwrapped(&group.elem),
        Type::Paren(paren) => unwrapped(&paren.elem),
        _ => ty,
    }
}

/// `T`, if the type is `NAME<T>` under any path.
pub(crate) fn single_argument<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = ty else { return None };
    let last = path
        .path
        .segments
        .last()
        .filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match (arguments.args.first(), arguments.args.len()) {
        (Some(GenericArgument::Type(inner)), 1) => Some(inner),
        _ => None,
    }
}

/// `T`, if the type is `Option<T>` under any path.
pub(crate) fn option_of(ty: &Type) -> Option<&Type> {
    single_argument(ty, "Option")
}

/// Types with inner mutability, which a program shares and nothing fills.
const SHARED: [&str; 7] = [
    "Mutex", "RwLock", "RefCell", "Cell", "OnceCell", "OnceLock", "LazyLock",
];

/// The name of a type with inner mutability, with the type itself, where this one is it, or an `Arc` or `Rc` of it.
pub(crate) fn shared(ty: &Type) -> Option<(Ident, &Type)> {
    let Type::Path(path) = unwrapped(ty) else {
        return None;
    };
    let last = path.path.segments.last()?;
    if last.ident == "Arc" || last.ident == "Rc" {
        return arguments(&last.arguments).next().and_then(shared);
    }
    SHARED
        .iter()
        .any(|name| last.ident == name)
        .then(|| (last.ident.clone(), ty))
}

/// The types among the arguments of a path.
pub(crate) fn arguments(arguments: &PathArguments) -> impl Iterator<Item = &Type> {
    let list = match arguments {
        PathArguments::AngleBracketed(list) => Some(&list.args),
        _ => None,
    };
    list.into_iter().flatten().filter_map(|argument| {
        let GenericArgument::Type(ty) = argument else {
            return None;
        };
        Some(ty)
    })
}

/// The first `impl` in a type.
pub(crate) fn find_impl(tokens: TokenStream) -> Option<Ident> {
    find_word("impl", tokens)
}

/// The first such word.
pub(crate) fn find_word(wanted: &str, tokens: TokenStream) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(word) if word == wanted => Some(word),
        TokenTree::Group(group) => find_word(wanted, group.stream()),
        _ => None,
    })
}

/// A type as it is written by hand: tokens alone are printed with a blank between any two.
pub(crate) fn written(tokens: &impl ToTokens) -> String {
    [
        (" :: ", "::"),
        (":: ", "::"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
    ]
    .iter()
    .fold(tokens.to_token_stream().to_string(), |text, (from, to)| {
        text.replace(from, to)
    })
}
