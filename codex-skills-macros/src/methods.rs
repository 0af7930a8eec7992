//! `#[skill]` on an `impl` block: its annotated methods become the skills of the type.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::Parse;
use syn::{
    Attribute, FnArg, ImplItem, ImplItemFn, ItemImpl, LitStr, Meta, ReturnType, parse_quote,
};

use crate::diagnostics::Diagnostics;
use crate::hygiene::{located, ours};
use crate::skill::analysis::{Analysis, Skill};
use crate::skill::args::{BlockArgs, default_crate};
use crate::skill::attribute::{conditions, is_mark, refuse_second_mark};
use crate::skill::borrowing::refuse_unclear_answer;
use crate::skill::docs::is_for_rustc;
use crate::skill::parameter;

/// Expands `#[skill(ARGS)] impl TYPE { .. }`.
pub(crate) fn expand(args: TokenStream, mut block: ItemImpl) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let args = BlockArgs::read(args, &block.attrs, &mut diagnostics);
    block.attrs.retain(is_for_rustc);
    refuse_shapes(&block, &mut diagnostics);
    let krate = args.krate.clone().unwrap_or_else(default_crate);
    let context = Context {
        krate: krate.clone(),
        ty: block.self_ty.to_token_stream(),
        args,
    };
    let shaped = diagnostics.is_empty();
    let mut skills = Vec::new();
    let mut names = Vec::new();
    let mut any = false;
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        let Some(mark) = take_mark(&mut method.attrs) else {
            continue;
        };
        any = true;
        skills.extend(context.method(&mark, method, &mut names, &mut diagnostics));
    }
    if shaped && !any {
        diagnostics.at(
            &block.self_ty,
            "no method in this block is a skill\nhelp: write `#[skill]` before those that the model may call",
        );
    }
    if !diagnostics.is_empty() {
        skills.clear();
    }
    let ty = &context.ty;
    let carrier = (shaped).then(|| {
        quote_spanned! {ours()=>
            #[automatically_derived]
            impl #krate::SkillSet for #ty {
                const SKILLS: &'static [&'static #krate::SkillDescriptor] = &[#(#skills),*];
            }
        }
    });
    let errors = diagnostics.into_tokens();
    quote!(#block #carrier #errors)
}

fn refuse_shapes(block: &ItemImpl, diagnostics: &mut Diagnostics) {
    if let Some((path, _)) = &block.trait_ {
        diagnostics.at(
            path,
            "the skills of a type are methods of its own, not of a trait\nhelp: write an `impl` block without a trait; its methods can call these",
        );
    }
    if !block.generics.params.is_empty() {
        diagnostics.at(
            &block.generics.params,
            "the type behind skills cannot be generic: a skill has one schema\nhelp: name the types, for example `impl Desk<Postgres>`",
        );
    } else if let Some(clause) = &block.generics.where_clause {
        diagnostics.at(
            clause,
            "a block of skills cannot have a `where` clause\nhelp: remove it",
        );
    }
    if let Some(word) = &block.unsafety {
        diagnostics.at(
            word,
            "a block of skills cannot be `unsafe`\nhelp: remove `unsafe`",
        );
    }
}

/// Takes the first `#[skill]` off a method.
fn take_mark(attributes: &mut Vec<Attribute>) -> Option<Attribute> {
    let at = attributes.iter().position(is_mark)?;
    Some(attributes.remove(at))
}

/// The name of a skill in a block, and whether only some programs have the skill.
struct Named {
    namespace: Option<String>,
    name: String,
    conditional: bool,
}

impl Named {
    /// Whether both stand for sure in one catalog. Of conditional ones, sealing knows.
    fn collides(&self, other: &Self) -> bool {
        self.namespace == other.namespace
            && self.name == other.name
            && !self.conditional
            && !other.conditional
    }
}

/// What the methods of a block have in common.
struct Context {
    krate: TokenStream,
    ty: TokenStream,
    args: BlockArgs,
}

impl Context {
    /// One annotated method: the reference to its descriptor.
    fn method(
        &self,
        mark: &Attribute,
        method: &mut ImplItemFn,
        names: &mut Vec<Named>,
        diagnostics: &mut Diagnostics,
    ) -> Option<TokenStream> {
        refuse_second_mark(&mut method.attrs, diagnostics);
        let args = match &mark.meta {
            Meta::Path(_) => TokenStream::new(),
            Meta::List(list) => list.tokens.clone(),
            Meta::NameValue(pair) => {
                diagnostics.at(
                    pair,
                    "the options of `#[skill]` are written in parentheses\nhelp: write `#[skill(name = \"…\")]`",
                );
                TokenStream::new()
            }
        };
        if refuse_unclear_answer(&mut method.sig, diagnostics) {
            method.block = parse_quote!({ loop {} });
            method.attrs.push(parse_quote!(#[allow(unused_variables)]));
        }
        let mut signature = self.without_self(&method.sig);
        for input in &mut method.sig.inputs {
            parameter::strip(input);
        }
        let block = Some(&self.args);
        let analysis = Analysis::of(args, &method.attrs, &mut signature, block, diagnostics);
        method.attrs.retain(is_for_rustc);
        if let Some(krate) = &analysis.args.krate {
            diagnostics.at(
                krate,
                "the skills of a block share their `crate`\nhelp: move it to the `#[skill]` of the `impl` block",
            );
        }
        let named = Named {
            namespace: analysis.args.namespace.as_ref().map(LitStr::value),
            name: analysis.name.clone(),
            conditional: conditions(&method.attrs).next().is_some(),
        };
        if names.iter().any(|earlier| earlier.collides(&named)) {
            let place = analysis.args.name.as_ref().map_or_else(
                || method.sig.ident.to_token_stream(),
                ToTokens::to_token_stream,
            );
            diagnostics.at(
                place,
                format!(
                    "two skills of this block have the name `{}`\nhelp: give one of them another name with `name = \"…\"`",
                    analysis.name
                ),
            );
        }
        names.push(named);
        if !diagnostics.is_empty() {
            return None;
        }
        let (ty, mut ident) = (&self.ty, method.sig.ident.clone());
        ident.set_span(ident.span().resolved_at(ours()));
        let callee = quote_spanned!(ident.span()=> <#ty>::#ident);
        let mut skill = Skill::new(self.krate.clone(), callee, analysis);
        skill.self_ty = Some(ty.clone());
        let conditions = conditions(&method.attrs);
        let block = skill.block();
        Some(quote!(#(#conditions)* #block))
    }

    /// The signature with the type written out for `Self`, except in the receiver.
    fn without_self(&self, signature: &syn::Signature) -> syn::Signature {
        let mut signature = signature.clone();
        for input in &mut signature.inputs {
            if let FnArg::Typed(typed) = input
                && let Some(FnArg::Typed(replaced)) = self.replaced(&*typed)
            {
                *typed = replaced;
            }
        }
        if let ReturnType::Type(_, ty) = &mut signature.output
            && let Some(replaced) = self.replaced(&*ty)
        {
            *ty = replaced;
        }
        signature
    }

    fn replaced<T: Parse>(&self, part: &impl ToTokens) -> Option<T> {
        syn::parse2(write_out(part.to_token_stream(), &self.ty)).ok()
    }
}

/// Replaces `Self` by `ty`.
fn write_out(tokens: TokenStream, ty: &TokenStream) -> TokenStream {
    let mut written = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "Self" => {
                let ty = located(ty.clone(), word.span());
                let goes_on =
                    matches!(tokens.peek(), Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
                written.extend(if goes_on {
                    quote_spanned!(word.span()=> <#ty>)
                } else {
                    ty
                });
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), write_out(group.stream(), ty));
                inner.set_span(group.span());
                written.extend([TokenTree::Group(inner)]);
            }
            other => written.extend([other]),
        }
    }
    written
}
