//! One parameter: where its value comes from, how it is named and documented, how it is passed on.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Expr, FnArg, LitStr, Meta, Pat, PatType, Type, TypeReference};

use super::docs::{self, Words};
use super::types::{find_impl, option_of, shared, single_argument, unwrapped, written};
use super::{borrowing, foreign, keys};
use crate::diagnostics::{Diagnostics, listed};
use crate::options::{self, Owner};

const OPTIONS: Owner = Owner {
    name: "`#[skill]` on a parameter",
    known: &["default", "rename"],
    text: Some("rename"),
    cures: &[
        ("about", DOCUMENT),
        ("desc", DOCUMENT),
        ("description", DOCUMENT),
        ("doc", DOCUMENT),
        ("docs", DOCUMENT),
        ("help", DOCUMENT),
        ("name", "write `rename = \"…\"`"),
        ("nullable", OPTIONAL),
        ("optional", OPTIONAL),
        (
            "required",
            "remove it: parameters are required unless they have a default or are an `Option`",
        ),
    ],
};
const DOCUMENT: &str = "write a doc comment before the parameter: `/// …`";
const OPTIONAL: &str = "take an `Option`, or give the value of an absent one: `default = …`";

/// One parameter of a skill.
pub(crate) struct Parameter {
    pub(crate) ident: Ident,
    pub(crate) source: Source,
    /// The type as it was written, for spans.
    pub(crate) written: TokenStream,
}

impl Parameter {
    /// The names by which documentation may mean it.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = vec![self.ident.to_string()];
        let unraw = self.ident.unraw().to_string();
        if names[0] != unraw {
            names.push(unraw);
        }
        if let Source::Argument(argument) = &self.source
            && !names.contains(&argument.name)
        {
            names.push(argument.name.clone());
        }
        names
    }

    /// Whether documentation means it by this name.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.names().iter().any(|own| own == name)
    }
}

/// Where the value comes from.
pub(crate) enum Source {
    /// The model.
    Argument(Box<Argument>),
    /// The state of the catalog, passed by reference or as the `Arc` itself.
    State { ty: TokenStream, shared: bool },
    /// The call, passed by reference or as a clone.
    Context { ty: TokenStream, cloned: bool },
}

/// A parameter that the model fills.
pub(crate) struct Argument {
    /// Its name on the wire and where that was said.
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) description: Option<Words>,
    /// The type that is decoded.
    pub(crate) ty: TokenStream,
    /// The same type, taken apart.
    pub(crate) parsed: Type,
    /// `T`, if the type is `Option<T>`.
    pub(crate) inside: Option<TokenStream>,
    pub(crate) pass: Pass,
    pub(crate) default: Option<Preset>,
    /// `#[serde]` and `#[schemars]` attributes.
    pub(crate) foreign: Vec<Attribute>,
}

/// How a decoded value becomes the argument of the call.
#[derive(Clone, Copy)]
pub(crate) enum Pass {
    Owned,
    Borrowed,
    BorrowedInside,
}

/// The value of an absent argument.
pub(crate) enum Preset {
    /// That of the type.
    OfType(Span),
    Given(Expr),
}

/// The attributes of a parameter, sorted by whom they are for.
#[derive(Default)]
struct Marks {
    docs: Vec<Attribute>,
    options: Vec<Attribute>,
    state: Option<Attribute>,
    context: Option<Attribute>,
    foreign: Vec<Attribute>,
}

impl Marks {
    fn place(&mut self, is_state: bool) -> &mut Option<Attribute> {
        if is_state {
            &mut self.state
        } else {
            &mut self.context
        }
    }
}

/// Reads a parameter and takes our attributes off it. `None` after a mistake that leaves nothing to
/// go on with.
pub(crate) fn read(parameter: &mut PatType, diagnostics: &mut Diagnostics) -> Option<Parameter> {
    let marks = take_marks(&mut parameter.attrs, diagnostics);
    let ident = name_of(&parameter.pat, diagnostics);
    let ty = unwrapped(&parameter.ty);
    let written = ty.to_token_stream();
    let opaque = find_impl(written.clone());
    if let Some(word) = &opaque {
        diagnostics.at(
            word,
            if marks.state.is_some() {
                "the state behind `#[state]` needs one type\nhelp: take `&dyn Trait` or `Arc<dyn Trait>`, or name the type"
            } else {
                "`impl Trait` cannot be the type of a parameter of a skill\nhelp: the schema needs one type; name it, for example `String` for `impl Into<String>`"
            },
        );
    }
    let source = match (&marks.state, &marks.context) {
        (Some(_), Some(context)) => {
            diagnostics.at(
                context,
                "a parameter is either `#[state]` or `#[context]`, not both\nhelp: remove one of the two",
            );
            None
        }
        (Some(_), None) => {
            refuse_options("#[state]", &marks, diagnostics);
            opaque.is_none().then(|| state(ty, diagnostics)).flatten()
        }
        (None, Some(_)) => {
            refuse_options("#[context]", &marks, diagnostics);
            opaque.is_none().then(|| context(ty, diagnostics)).flatten()
        }
        (None, None) => argument(ident.as_ref(), ty, &marks, opaque.is_some(), diagnostics),
    };
    Some(Parameter {
        ident: ident?,
        source: source?,
        written,
    })
}

fn argument(
    ident: Option<&Ident>,
    ty: &Type,
    marks: &Marks,
    opaque: bool,
    diagnostics: &mut Diagnostics,
) -> Option<Source> {
    let (default, rename) = read_options(&marks.options, diagnostics);
    let decoded = if opaque {
        None
    } else {
        decoded(ty, diagnostics)
    };
    let ident = ident?;
    foreign::check(
        &marks.foreign,
        default.is_some(),
        rename.is_some(),
        diagnostics,
    );
    let rename = rename.or_else(|| foreign::rename(&marks.foreign));
    let inside = option_of(ty).map(|inner| match unwrapped(inner) {
        Type::Reference(reference) => owned(reference).unwrap_or_default(),
        inner => inner.to_token_stream(),
    });
    let (decoded, pass) = decoded?;
    if let Some(key) = keys::not_a_name(ty) {
        diagnostics.at(
            key,
            format!(
                "`{}` cannot be the key of a map: the names in a JSON object are texts\nhelp: take a `Vec` of pairs, or a key that is a text, a number, a boolean or one of several words",
                written(key)
            ),
        );
    }
    Some(Source::Argument(Box::new(Argument {
        name: rename
            .as_ref()
            .map_or_else(|| ident.unraw().to_string(), LitStr::value),
        name_span: rename.as_ref().map_or(ident.span(), LitStr::span),
        description: docs::text(&marks.docs),
        parsed: syn::parse2(decoded.clone()).unwrap_or_else(|_| ty.clone()),
        ty: decoded,
        inside,
        pass,
        default,
        foreign: marks.foreign.clone(),
    })))
}

/// Sorts our attributes out; those of others stay on the parameter.
fn take_marks(attributes: &mut Vec<Attribute>, diagnostics: &mut Diagnostics) -> Marks {
    let mut marks = Marks::default();
    for attribute in std::mem::take(attributes) {
        let path = attribute.path();
        if path.is_ident("doc") {
            marks.docs.push(attribute);
        } else if path
            .segments
            .last()
            .is_some_and(|last| last.ident == "skill")
        {
            match misplaced_mark(&attribute) {
                Some(word) => {
                    diagnostics.at(
                        &word,
                        format!("`{word}` is a mark of its own\nhelp: write `#[{word}]` before the parameter"),
                    );
                    *marks.place(word == "state") = Some(attribute);
                }
                None => marks.options.push(attribute),
            }
        } else if path.is_ident("state") || path.is_ident("context") {
            if !matches!(attribute.meta, Meta::Path(_)) {
                let name = path.to_token_stream();
                diagnostics.at(
                    &attribute,
                    format!("`#[{name}]` takes no options\nhelp: write `#[{name}]`"),
                );
            }
            let is_state = path.is_ident("state");
            *marks.place(is_state) = Some(attribute);
        } else if path.is_ident("serde") || path.is_ident("schemars") {
            marks.foreign.push(attribute);
        } else if let Some(cure) = misplaced_option(&attribute) {
            let name = path.to_token_stream();
            diagnostics.at(
                &attribute,
                format!("`#[{name}]` is no attribute of a skill's parameter\nhelp: {cure}"),
            );
        } else if path.is_ident("cfg") || path.is_ident("cfg_attr") {
            diagnostics.at(
                &attribute,
                "the parameters of a skill cannot be conditional: they are its schema\nhelp: put `#[cfg(..)]` on two versions of the function",
            );
        } else {
            attributes.push(attribute);
        }
    }
    marks
}

/// The word of `#[skill(state)]` and `#[skill(context)]`.
fn misplaced_mark(attribute: &Attribute) -> Option<Ident> {
    let word: Ident = attribute.parse_args().ok()?;
    (word == "state" || word == "context").then_some(word)
}

/// What to write instead of an option that stands as an attribute of its own, as other tools have it.
fn misplaced_option(attribute: &Attribute) -> Option<String> {
    let name = attribute.path().get_ident()?.to_string();
    match name.as_str() {
        "default" | "rename" => {
            let value = match &attribute.meta {
                Meta::NameValue(value) => written(&value.value),
                Meta::List(list) => written(&list.tokens),
                Meta::Path(_) => "..".to_owned(),
            };
            Some(format!("write `#[skill({name} = {value})]`"))
        }
        "desc" | "description" | "arg" | "param" => Some(DOCUMENT.to_owned()),
        _ => None,
    }
}

fn name_of(pattern: &Pat, diagnostics: &mut Diagnostics) -> Option<Ident> {
    match pattern {
        Pat::Ident(plain) if plain.by_ref.is_none() && plain.subpat.is_none() => {
            Some(plain.ident.clone())
        }
        Pat::Paren(paren) => name_of(&paren.pat, diagnostics),
        _ => {
            diagnostics.at(
                pattern,
                "a parameter of a skill needs a name\nhelp: write `name: Type`, and take the value apart in the body",
            );
            None
        }
    }
}

fn read_options(
    attributes: &[Attribute],
    diagnostics: &mut Diagnostics,
) -> (Option<Preset>, Option<LitStr>) {
    let mut tokens = TokenStream::new();
    for attribute in attributes {
        match &attribute.meta {
            Meta::List(list) => {
                let inner = &list.tokens;
                tokens.extend(quote!(#inner,));
            }
            Meta::Path(_) | Meta::NameValue(_) => diagnostics.at(
                attribute,
                format!(
                    "`#[skill]` on a parameter needs an option in parentheses\nhelp: the options are {}, for example `#[skill(default = 5)]`",
                    listed(OPTIONS.known.iter().copied())
                ),
            ),
        }
    }
    let (mut default, mut rename) = (None, None);
    for given in options::read(&OPTIONS, tokens, diagnostics) {
        if given.name == "rename" {
            rename = given.text(diagnostics);
        } else {
            default = Some(match given.value {
                Some(value) => Preset::Given(value),
                None => Preset::OfType(given.name.span()),
            });
        }
    }
    (default, rename)
}

fn refuse_options(mark: &str, marks: &Marks, diagnostics: &mut Diagnostics) {
    for attribute in marks.options.iter().chain(&marks.foreign) {
        diagnostics.at(
            attribute,
            format!("`{mark}` parameters are not filled by the model, so this has no effect\nhelp: remove it"),
        );
    }
}

/// The type to decode, and how its value is passed to a parameter of type `ty`.
fn decoded(ty: &Type, diagnostics: &mut Diagnostics) -> Option<(TokenStream, Pass)> {
    if let Some((word, shared)) = shared(ty) {
        diagnostics.at(
            ty,
            format!(
                "a `{word}` is what a program shares, and the model cannot fill it\nhelp: write `#[state]` before the parameter, take `&{}`, and give the value with `state` or `shared_state`",
                written(shared)
            ),
        );
        return None;
    }
    if let Some(part) = borrowing::of_a_part(ty) {
        diagnostics.at(
            part,
            format!(
                "a skill cannot borrow a part of an argument\nhelp: take `{}`",
                borrowing::owned_text(ty)
            ),
        );
        return None;
    }
    if let Some(inner) = option_of(ty)
        && let Type::Reference(reference) = unwrapped(inner)
        && owned(reference).is_some()
        && plain(reference)
    {
        let owned = owned(reference);
        let option = quote_spanned!(ty.span()=> ::core::option::Option<#owned>);
        return Some((option, Pass::BorrowedInside));
    }
    if let Type::Array(array) = ty
        && is_long(&array.len)
    {
        let elem = borrowing::owned_text(&array.elem);
        diagnostics.at(
            ty,
            format!("serde reads arrays of up to 32 elements\nhelp: take `Vec<{elem}>`, and say its length with `#[schemars(length(equal = ..))]`"),
        );
        return None;
    }
    let Type::Reference(reference) = ty else {
        return Some((ty.to_token_stream(), Pass::Owned));
    };
    if let Some(owned) = owned(reference)
        && plain(reference)
    {
        return Some((owned, Pass::Borrowed));
    }
    let elem = written(&reference.elem);
    let is_context = elem.rsplit("::").next() == Some("SkillContext");
    let message = match owned(reference) {
        None if is_context => {
            "the model cannot fill the context of its own call\nhelp: write `#[context]` before the parameter".to_owned()
        }
        _ if reference.mutability.is_some() => format!(
            "a skill cannot borrow an argument mutably\nhelp: take `{}` by value, and declare it `mut`",
            borrowing::owned_text(&reference.elem)
        ),
        Some(_) => {
            "a skill can borrow its arguments for the call only\nhelp: remove the lifetime, or take the value itself".to_owned()
        }
        None => format!(
            "the model cannot fill a `&{elem}`\nhelp: take `{}` by value; if the program provides it, write `#[state]` before the parameter",
            borrowing::owned_text(&reference.elem)
        ),
    };
    diagnostics.at(reference, message);
    None
}

/// Whether an array is longer than those that serde reads.
fn is_long(len: &Expr) -> bool {
    let Some(syn::Lit::Int(number)) = options::literal(len) else {
        return false;
    };
    number.base10_parse::<u64>().is_ok_and(|len| len > 32)
}

fn plain(reference: &TypeReference) -> bool {
    // Other lifetimes than `'static` are reported with the generics that declare them.
    let lifetime = reference.lifetime.as_ref();
    lifetime.is_none_or(|name| name.ident != "static") && reference.mutability.is_none()
}

/// The owned type for `&str` and `&[T]`.
fn owned(reference: &TypeReference) -> Option<TokenStream> {
    let span = reference.span();
    match unwrapped(&reference.elem) {
        Type::Path(path) if path.qself.is_none() && path.path.is_ident("str") => {
            Some(quote_spanned!(span=> ::std::string::String))
        }
        Type::Slice(slice) => {
            let elem = &slice.elem;
            Some(quote_spanned!(span=> ::std::vec::Vec<#elem>))
        }
        _ => None,
    }
}

fn context(ty: &Type, diagnostics: &mut Diagnostics) -> Option<Source> {
    let Type::Reference(reference) = ty else {
        return Some(Source::Context {
            ty: ty.to_token_stream(),
            cloned: true,
        });
    };
    if reference.mutability.is_some() {
        diagnostics.at(
            ty,
            "the call is shared with those who watch it, and cannot be borrowed mutably\nhelp: take `&SkillContext`",
        );
        return None;
    }
    Some(Source::Context {
        ty: unwrapped(&reference.elem).to_token_stream(),
        cloned: false,
    })
}

fn state(ty: &Type, diagnostics: &mut Diagnostics) -> Option<Source> {
    if let Some(inner) = single_argument(ty, "Arc") {
        return Some(Source::State {
            ty: unwrapped(inner).to_token_stream(),
            shared: true,
        });
    }
    let elem = written(ty);
    match ty {
        Type::Reference(reference) if reference.mutability.is_some() => {
            diagnostics.at(
                ty,
                "state is shared between calls and cannot be borrowed mutably\nhelp: take `&T`, and keep what changes in a `Mutex` or an atomic",
            );
            None
        }
        Type::Reference(TypeReference {
            lifetime: Some(lifetime),
            elem: inner,
            ..
        }) if lifetime.ident == "static" => {
            let inner = written(inner);
            diagnostics.at(
                ty,
                format!("state is borrowed for the call, and not for the whole program\nhelp: take `&{inner}` or `Arc<{inner}>`"),
            );
            None
        }
        Type::Reference(reference) => Some(Source::State {
            ty: unwrapped(&reference.elem).to_token_stream(),
            shared: false,
        }),
        _ if option_of(ty).is_some() => {
            let whole = borrowing::owned_text(ty);
            diagnostics.at(
                ty,
                format!("state is there or it is not: a skill cannot be called without it\nhelp: give the catalog an `{whole}` and take `&{whole}`, or write two skills"),
            );
            None
        }
        _ => {
            diagnostics.at(
                ty,
                format!("state is shared between calls and cannot be taken by value\nhelp: take `&{elem}` or `Arc<{elem}>`"),
            );
            None
        }
    }
}

/// Takes our attributes off a parameter that is not read.
pub(crate) fn strip(argument: &mut FnArg) {
    let attributes = match argument {
        FnArg::Typed(typed) => &mut typed.attrs,
        FnArg::Receiver(receiver) => &mut receiver.attrs,
    };
    take_marks(attributes, &mut Diagnostics::default());
}
