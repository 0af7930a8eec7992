//! One parameter that the model fills: its name, type, description and default.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Expr, Lit, UnOp};

use super::leaves;
use super::parameter::{Argument, Preset};
use crate::hygiene::{ends, ours, private, private_at};
use crate::options::literal;

pub(crate) fn value_name(at: usize) -> Ident {
    format_ident!("__value{at}", span = ours())
}

/// `None` or `Some(text)`.
pub(crate) fn optional(text: Option<&str>) -> TokenStream {
    match text {
        Some(text) => quote_spanned!(ours()=> ::core::option::Option::Some(#text)),
        None => quote_spanned!(ours()=> ::core::option::Option::None),
    }
}

/// One parameter: its type and the value for it, which fails to compile at the type if the model cannot fill
/// it.
pub(crate) fn slot(at: usize, argument: &Argument) -> (TokenStream, TokenStream) {
    let (p, ty) = (private(), &argument.ty);
    let (first, last) = ends(ty);
    let name = Literal::string(&argument.name);
    let description = match &argument.description {
        Some(words) => words.optional(),
        None => optional(None),
    };
    let start = private_at(first);
    let values = quote_spanned!(last=> (#name, #description));
    let value = if leaves::is_fillable(&argument.parsed) {
        let start = quote_spanned!(first=> #start::Slot);
        let new = quote_spanned!(last=> new);
        quote_spanned!(ours()=> #start::#new #values)
    } else {
        let inside = leaves::of(&argument.parsed);
        let checks = inside.iter().map(|leaf| {
            let (first, last) = ends(&leaf.to_token_stream());
            let (start, has) = (private_at(first), asked(leaf));
            let start = quote_spanned!(first=> #start::Parameter);
            let check = quote_spanned!(last=> check());
            quote_spanned!(ours()=> #start::<#has, #leaf>::#check;)
        });
        let own = asked(ty);
        let mut has = own.clone();
        if !inside.is_empty() {
            let inside = inside.iter().map(asked);
            has = quote_spanned!(ours()=> { #p::after(#(#inside)&*, #own) });
        }
        let start = quote_spanned!(first=> #start::Parameter);
        let slot = quote_spanned!(last=> slot);
        quote_spanned!(ours()=> { #(#checks)* #start::<#has, #ty>::#slot #values })
    };
    let with_default = argument.default.as_ref().map(|_| {
        let (function, shown) = (preset_name(at), shown_name(at));
        quote_spanned!(ours()=> .with_default(#function, #shown))
    });
    (
        quote_spanned!(ours()=> #p::Slot<#ty>),
        quote_spanned!(ours()=> #value #with_default),
    )
}

/// What a type has of what the model needs to fill it, as an expression.
fn asked(ty: impl ToTokens) -> TokenStream {
    let p = private();
    let ty = ty.to_token_stream();
    let (first, last) = ends(&ty);
    let (start, has) = (private_at(first), quote_spanned!(last=> HAS));
    let reads = quote_spanned!(first=> #start::Reads);
    let described = quote_spanned!(first=> #start::Described);
    quote_spanned!(ours()=> { use #p::Lacking as _; #reads::<#ty>::#has | #described::<#ty>::#has })
}

/// The functions behind a default value: what makes it, and what shows it.
pub(crate) fn preset(at: usize, argument: &Argument) -> Option<TokenStream> {
    let value = preset_value(argument)?;
    let (p, ty) = (private(), &argument.ty);
    let (function, shown) = (preset_name(at), shown_name(at));
    Some(quote_spanned! {ours()=>
        fn #function() -> #ty {
            // The `let` has the compiler say that a value is of the wrong type, and not that a function returns it.
            let __default: #ty = #value;
            __default
        }
        fn #shown() -> ::core::option::Option<#p::serde_json::Value> {
            use #p::NotShown as _;
            #p::DefaultValue(#function()).shown()
        }
    })
}

pub(crate) fn preset_name(at: usize) -> Ident {
    format_ident!("__codex_skills_default{at}", span = ours())
}

fn shown_name(at: usize) -> Ident {
    format_ident!("__codex_skills_shown{at}", span = ours())
}

fn preset_value(argument: &Argument) -> Option<TokenStream> {
    Some(match argument.default.as_ref()? {
        Preset::OfType(span) => quote_spanned!(*span=> ::core::default::Default::default()),
        Preset::Given(value) => match &argument.inside {
            Some(inner) if is_literal(value) => {
                let value = converted(value, inner);
                // The `let` has the compiler say that a value of the wrong type is no `inner`.
                quote_spanned! {ours()=> {
                    let __inside: #inner = #value;
                    ::core::option::Option::Some(__inside)
                }}
            }
            _ => converted(value, &argument.ty),
        },
    })
}

/// A value, with texts converted to types that they convert to.
fn converted(value: &Expr, ty: &TokenStream) -> TokenStream {
    match literal(value) {
        Some(Lit::Str(text)) if !is_primitive(ty) => {
            quote_spanned!(text.span()=> ::core::convert::Into::into(#text))
        }
        _ => quote!(#value),
    }
}

/// Whether a value is a literal or a negative number, which no `Option` is.
fn is_literal(value: &Expr) -> bool {
    match value {
        Expr::Unary(unary) => matches!(unary.op, UnOp::Neg(_)) && is_literal(&unary.expr),
        Expr::Group(group) => is_literal(&group.expr),
        Expr::Paren(paren) => is_literal(&paren.expr),
        _ => literal(value).is_some(),
    }
}

/// Whether a type is a number, `bool` or `char`, which no text converts into.
fn is_primitive(ty: &TokenStream) -> bool {
    const NAMES: [&str; 16] = [
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16",
        "u32", "u64", "u128", "usize",
    ];
    NAMES.contains(&ty.to_string().as_str())
}
