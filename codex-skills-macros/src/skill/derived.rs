//! Skills with `#[serde]` or `#[schemars]` attributes on a parameter: their arguments are a hidden
//! struct with these attributes on its fields. It costs more compile time than the parameter table, so
//! it is made only where it is asked for.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::Attribute;
use syn::ext::IdentExt as _;

use super::analysis::Skill;
use super::docs::Words;
use super::foreign::mentions;
use super::parameter::{Argument, Preset, Source};
use super::slot::{preset_name, value_name};
use crate::hygiene::{ours, private};

/// Whether the skill needs such a struct.
pub(crate) fn applies(skill: &Skill) -> bool {
    skill
        .signature
        .arguments()
        .any(|argument| !argument.foreign.is_empty())
}

/// Whether the type itself need not be one that the model can fill.
pub(crate) fn decodes_otherwise(foreign: &[Attribute]) -> bool {
    const WORDS: [&str; 7] = [
        "with",
        "deserialize_with",
        "schema_with",
        "skip",
        "skip_deserializing",
        "from",
        "try_from",
    ];
    mentions(foreign, &WORDS)
}

fn name() -> Ident {
    Ident::new("__CodexSkillsArguments", ours())
}

/// The struct, where the skill needs one.
pub(crate) fn structure(skill: &Skill) -> Option<TokenStream> {
    if !applies(skill) {
        return None;
    }
    let (p, krate, name) = (private(), &skill.krate, name());
    let flattened = skill
        .signature
        .arguments()
        .any(|argument| mentions(&argument.foreign, &["flatten"]));
    let closed = (!flattened && skill.args.input_schema.is_none())
        .then(|| quote_spanned!(ours()=> #[serde(deny_unknown_fields)]));
    let descriptions = fields(skill).enumerate().filter_map(|(at, (_, argument))| {
        let Some(Words::Constant(words)) = &argument.description else {
            return None;
        };
        let name = description_name(at);
        Some(quote_spanned! {ours()=>
            const #name: ::core::option::Option<&str> = #words;
        })
    });
    let fields = fields(skill)
        .enumerate()
        .map(|(at, (ident, argument))| field(at, ident, argument));
    let serde = format!("{}::__private::serde", path_text(krate));
    let schemars = format!("{}::__private::schemars", path_text(krate));
    Some(quote_spanned! {ours()=>
        #(#descriptions)*
        #[derive(#p::serde::Deserialize, #p::schemars::JsonSchema)]
        #[serde(crate = #serde)]
        #closed
        #[schemars(crate = #schemars)]
        struct #name { #(#fields)* }
    })
}

fn description_name(at: usize) -> Ident {
    quote::format_ident!("__CODEX_SKILLS_DESCRIPTION{at}", span = ours())
}

fn path_text(path: &TokenStream) -> String {
    path.to_string().replace(' ', "")
}

fn fields(skill: &Skill) -> impl Iterator<Item = (&Ident, &Argument)> {
    skill
        .signature
        .parameters
        .iter()
        .filter_map(|parameter| match &parameter.source {
            Source::Argument(argument) => Some((&parameter.ident, &**argument)),
            Source::State { .. } | Source::Context { .. } => None,
        })
}

fn field(at: usize, ident: &Ident, argument: &Argument) -> TokenStream {
    let Argument {
        ty, foreign, name, ..
    } = argument;
    let described = mentions(foreign, &["description"]);
    // The type may say something of itself, which a doc comment would take the place of.
    let is_whole = !mentions(foreign, &["flatten"]);
    let description = match &argument.description {
        Some(Words::Known(text)) if is_whole && !described => {
            Some(quote_spanned!(ours()=> #[schemars(extend("x-codex-skills-own" = #text))]))
        }
        Some(Words::Known(text)) => Some(quote_spanned!(ours()=> #[doc = #text])),
        Some(Words::Constant(_)) if !described => {
            let (p, name) = (private(), description_name(at));
            let text = quote_spanned!(ours()=> #p::documentation::or_none(#name));
            Some(if is_whole {
                quote_spanned!(ours()=> #[schemars(extend("x-codex-skills-own" = #text))])
            } else {
                quote_spanned!(ours()=> #[schemars(description = #text)])
            })
        }
        _ => None,
    };
    let renamed_by_serde = mentions(foreign, &["rename"]);
    let rename = (ident.unraw() != name.as_str() && !renamed_by_serde)
        .then(|| quote_spanned!(ours()=> #[serde(rename = #name)]));
    let default = argument.default.as_ref().map(|preset| match preset {
        Preset::OfType(_) => quote_spanned!(ours()=> #[serde(default)]),
        Preset::Given(_) => {
            let function = preset_name(at).to_string();
            quote_spanned!(ours()=> #[serde(default = #function)])
        }
    });
    quote!(#description #rename #default #(#foreign)* #ident: #ty,)
}

/// The statement that decodes the struct and takes it apart.
pub(crate) fn decoding(skill: &Skill) -> TokenStream {
    let (p, name) = (private(), name());
    let arguments: Vec<(&Ident, &Argument)> = fields(skill).collect();
    let bindings = arguments.iter().enumerate().map(|(at, (ident, _))| {
        let value = value_name(at);
        quote!(#ident: #value)
    });
    quote_spanned! {ours()=>
        let #name { #(#bindings,)* } = #p::decode_struct::<#name>(&__invocation)?;
    }
}

/// The input schema of the struct.
pub(crate) fn schema() -> TokenStream {
    let (p, name) = (private(), name());
    quote_spanned!(ours()=> #p::InputSchema::derived::<#name>())
}
