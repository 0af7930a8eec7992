//! Checks of a skill's return type: refuses types whose answer would read as something else.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Type, TypeParamBound};

use super::keys;
use super::types::{arguments, find_impl, unwrapped, written};
use crate::diagnostics::Diagnostics;

/// Reports what the answer cannot be.
pub(crate) fn check(ty: &Type, asynchronous: bool, diagnostics: &mut Diagnostics) {
    if let Some(future) = future(ty) {
        let output = future
            .output
            .map_or_else(|| "T".to_owned(), |output| written(&output));
        let help = if asynchronous {
            "return what it gives: `.await` it in the body".to_owned()
        } else {
            format!("make it an `async fn` that returns `{output}`")
        };
        diagnostics.at(
            ty,
            format!("a future cannot be the answer of a skill\nhelp: {help}"),
        );
        return;
    }
    if let Some(word) = find_impl(ty.to_token_stream()) {
        diagnostics.at(
            word,
            "`impl Trait` cannot be the answer of a skill\nhelp: the output schema needs one type; name it",
        );
    }
    let value = inside(ty, "Result").unwrap_or(ty);
    if let Some(hidden) = hidden_result(value, value_is_of_result(ty)) {
        diagnostics.at(
            hidden.ty,
            format!(
                "a skill fails with the `Result` that it returns, not with one inside\nhelp: return {}",
                hidden.remedy
            ),
        );
    }
    if let Some(key) = keys::not_a_name(value) {
        diagnostics.at(
            key,
            format!(
                "`{}` cannot be the key of a map in an answer: the names in a JSON object are texts\nhelp: return a `Vec` of pairs, or a key that is a text, a number, a boolean or one of several words",
                written(key)
            ),
        );
    }
}

/// A type that is known to be a future, and what comes of it, where that is written.
struct Future {
    output: Option<TokenStream>,
}

fn future(ty: &Type) -> Option<Future> {
    const NAMES: [&str; 4] = ["BoxFuture", "JoinHandle", "LocalBoxFuture", "Task"];
    let bounds = match unwrapped(ty) {
        Type::ImplTrait(opaque) => &opaque.bounds,
        Type::TraitObject(object) => &object.bounds,
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            if last.ident == "Pin" || last.ident == "Box" {
                return arguments(&last.arguments).find_map(future);
            }
            let output = arguments(&last.arguments).next();
            return NAMES.iter().any(|name| last.ident == name).then(|| Future {
                output: output.map(ToTokens::to_token_stream),
            });
        }
        _ => return None,
    };
    let last = bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last(),
        _ => None,
    })?;
    (last.ident == "Future").then(|| Future {
        output: bound_output(&last.arguments),
    })
}

/// `T` in `Future<Output = T>`.
fn bound_output(arguments: &PathArguments) -> Option<TokenStream> {
    let PathArguments::AngleBracketed(list) = arguments else {
        return None;
    };
    list.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(bound) if bound.ident == "Output" => {
            Some(bound.ty.to_token_stream())
        }
        _ => None,
    })
}

struct Hidden<'a> {
    ty: &'a Type,
    remedy: &'static str,
}

fn value_is_of_result(ty: &Type) -> bool {
    inside(ty, "Result").is_some()
}

/// A `Result` that stands for the value, in another one or in an `Option`.
fn hidden_result(value: &Type, in_result: bool) -> Option<Hidden<'_>> {
    let value = unwrapped(value);
    if in_result && inside(value, "Result").is_some() {
        return Some(Hidden {
            ty: value,
            remedy: "one `Result`, for example with `?` on the inner one",
        });
    }
    let mut within = inside(value, "Option")?;
    while let Some(deeper) = inside(within, "Option") {
        within = deeper;
    }
    inside(within, "Result").is_some().then_some(Hidden {
        ty: within,
        remedy: "`Result<Option<T>, E>`, for example by `.transpose()`",
    })
}

/// `T`, if the type is `NAME<T>` or `NAME<T, ..>` under any path.
fn inside<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = unwrapped(ty) else {
        return None;
    };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(inner)) if last.ident == name => Some(inner),
        _ => None,
    }
}
