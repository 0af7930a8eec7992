//! `#[skill]` on a function: the driver of the pipeline.
//!
//! Stages, each of which uses only those before it: `args` reads the attribute's options; `types` and `docs` read tokens
//! and documentation; `names`, `keys`, `borrowing`, `answer` and `duration` check; `parameter` and `signature` read the
//! function with them; `analysis` is the result; `expand` writes the code. What comes out is the user's function, our
//! attributes taken off its parameters, and beside it the type that carries the descriptor.
//!
//! Invariants: the user's function is emitted whatever is wrong with it, so that one mistake gives one error; stages
//! only add to [`Diagnostics`], and with any error nothing else is generated. The body is never parsed. Expanded code
//! names public items and `codex_skills::__private` only.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::{Attribute, Token, Visibility, parse_quote};

use super::analysis::{Analysis, Skill};
use super::args::default_crate;
use super::borrowing::refuse_unclear_answer;
use super::docs::is_for_rustc;
use super::signature::OUTSIDE;
use super::types::find_word;
use crate::diagnostics::Diagnostics;
use crate::hygiene::{ours, respanned};

/// A function item whose body is kept as opaque tokens.
struct Function {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: syn::Signature,
    body: Option<Group>,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        let body = match input.parse::<TokenTree>()? {
            TokenTree::Group(body) => Some(body),
            _ => None,
        };
        Ok(Self {
            attributes,
            visibility,
            signature,
            body,
        })
    }
}

/// Expands `#[skill(ARGS)] ITEM` for anything but an `impl` block.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let mut function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            diagnostics.push(not_a_function(&item).unwrap_or(error));
            let errors = diagnostics.into_tokens();
            return quote!(#item #errors);
        }
    };
    refuse_second_mark(&mut function.attributes, &mut diagnostics);
    if refuse_unclear_answer(&mut function.signature, &mut diagnostics) {
        function.body = Some(without_value());
        function
            .attributes
            .push(parse_quote!(#[allow(unused_variables)]));
    }
    let analysis = Analysis::of(
        args,
        &function.attributes,
        &mut function.signature,
        None,
        &mut diagnostics,
    );
    if function.body.is_none() {
        diagnostics.at(
            &function.signature.ident,
            "a skill needs a body\nhelp: annotate the function that implements it, not a declaration",
        );
    }
    let receiver = function.signature.receiver().is_some();
    let word = (!receiver).then(|| find_word("Self", function.signature.to_token_stream()));
    let word = word.flatten();
    if let Some(word) = &word {
        diagnostics.at(word, OUTSIDE);
    }
    let reemitted = function.to_tokens();
    if receiver || word.is_some() || function.body.is_none() {
        // Inside an `impl` or `trait` block nothing but the function may follow.
        let errors = diagnostics.into_tokens();
        return quote!(#reemitted #errors);
    }
    let krate = analysis.args.krate.clone().unwrap_or_else(default_crate);
    let skills = if diagnostics.is_empty() {
        let callee = respanned(function.signature.ident.to_token_stream());
        let block = Skill::new(krate.clone(), callee, analysis).block();
        quote_spanned!(ours()=> &[#block])
    } else {
        quote_spanned!(ours()=> &[])
    };
    let carrier = function.carrier(&krate, &skills);
    let errors = diagnostics.into_tokens();
    quote!(#reemitted #carrier #errors)
}

/// The body of a function that fits every signature.
fn without_value() -> Group {
    Group::new(Delimiter::Brace, quote_spanned!(ours()=> loop {}))
}

/// Whether an attribute is `#[skill]`, under any path.
pub(crate) fn is_mark(attribute: &Attribute) -> bool {
    let last = attribute.path().segments.last();
    last.is_some_and(|last| last.ident == "skill")
}

/// The conditions under which the function exists.
pub(crate) fn conditions(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
}

/// Takes further `#[skill]` attributes off a function that has one.
pub(crate) fn refuse_second_mark(attributes: &mut Vec<Attribute>, diagnostics: &mut Diagnostics) {
    attributes.retain(|attribute| {
        let second = is_mark(attribute);
        if second {
            diagnostics.at(
                attribute,
                "the function is annotated twice\nhelp: put all options into one `#[skill(..)]`",
            );
        }
        !second
    });
}

impl Function {
    fn to_tokens(&self) -> TokenStream {
        let Self {
            attributes,
            visibility,
            signature,
            body,
        } = self;
        // What is a constant for us is an error for rustc.
        let attributes = attributes
            .iter()
            .filter(|attribute| is_for_rustc(attribute));
        let body = body
            .as_ref()
            .map_or_else(|| quote!(;), |body| quote!(#body));
        quote!(#(#attributes)* #visibility #signature #body)
    }

    /// The type of the function's own name, and its implementation of `SkillSet`.
    fn carrier(&self, krate: &TokenStream, skills: &TokenStream) -> TokenStream {
        let visibility = respanned(self.visibility.to_token_stream());
        let mut ident = self.signature.ident.clone();
        ident.set_span(ident.span().resolved_at(ours()));
        let conditions: Vec<&Attribute> = conditions(&self.attributes).collect();
        let summary = format!(
            " The skill `{}`, to be named in lists of skills.",
            ident.unraw()
        );
        quote_spanned! {ours()=>
            #(#conditions)*
            #[doc = #summary]
            #visibility struct #ident {}
            #(#conditions)*
            #[automatically_derived]
            impl #krate::SkillSet for #ident {
                const SKILLS: &'static [&'static #krate::SkillDescriptor] = #skills;
            }
        }
    }
}

/// What to say about an item that is no function.
fn not_a_function(item: &TokenStream) -> Option<syn::Error> {
    let keyword = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        if input.peek(Token![unsafe]) {
            input.parse::<Token![unsafe]>()?;
        }
        let keyword = input.call(Ident::parse_any)?;
        input.parse::<TokenStream>()?;
        Ok(keyword)
    };
    let keyword: Ident = keyword.parse2(item.clone()).ok()?;
    let remedy = match keyword.to_string().as_str() {
        "struct" | "enum" | "union" => "annotate functions, or an `impl` block of the type",
        "mod" => "annotate the functions inside the module",
        "trait" | "const" | "static" | "type" | "use" | "macro_rules" | "extern" => {
            "annotate a function"
        }
        _ => return None,
    };
    Some(syn::Error::new(
        keyword.span(),
        format!("`#[skill]` belongs on a function\nhelp: {remedy}"),
    ))
}
