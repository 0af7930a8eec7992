//! The options of `#[skill(..)]`, on functions and on `impl` blocks.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, Expr, Lit, LitStr};

use super::docs::{Documentation, Words};
use super::{duration, json, names};
use crate::diagnostics::Diagnostics;
use crate::hygiene::{ours, private};
use crate::options::{self, Given, Owner, literal};

const SKILL: Owner = Owner {
    name: "`#[skill]`",
    known: &[
        "name",
        "namespace",
        "defer",
        "description",
        "input_schema",
        "output_schema",
        "output_description",
        "group",
        "timeout",
        "inline",
        "exclusive",
        "read_only",
        "whole_answer",
        "crate",
    ],
    text: Some("name"),
    cures: &[
        (
            "context",
            "write `#[context]` before the parameter that takes the call",
        ),
        (
            "default",
            "write `#[skill(default = …)]` before the parameter",
        ),
        ("rename", "write `name = \"…\"`"),
        (
            "state",
            "write `#[state]` before the parameter that takes it",
        ),
        ("tool", "write `name = \"…\"`"),
    ],
};

const BLOCK: Owner = Owner {
    name: "`#[skill]` on an `impl` block",
    known: &["namespace", "defer", "group", "crate"],
    text: Some("namespace"),
    cures: &[(
        "name",
        "write it at the methods, or give all of them a `namespace = \"…\"`",
    )],
};

/// What `#[skill(..)]` says.
#[derive(Default)]
pub(crate) struct SkillArgs {
    pub(crate) name: Option<LitStr>,
    /// `name` was given, and reported.
    pub(crate) name_is_wrong: bool,
    pub(crate) namespace: Option<LitStr>,
    pub(crate) namespace_description: Option<Words>,
    pub(crate) defer: bool,
    pub(crate) description: Option<Words>,
    pub(crate) input_schema: Option<Expr>,
    pub(crate) output_schema: Option<Expr>,
    pub(crate) output_description: Option<Words>,
    pub(crate) group: Option<LitStr>,
    pub(crate) timeout_millis: Option<u64>,
    pub(crate) inline: Option<Span>,
    pub(crate) exclusive: bool,
    pub(crate) read_only: bool,
    pub(crate) whole_answer: bool,
    pub(crate) krate: Option<TokenStream>,
}

impl SkillArgs {
    /// Reads and checks the options, each on its own.
    pub(crate) fn read(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        let mut args = Self::default();
        let mut timeout = None;
        for given in options::read(&SKILL, tokens, diagnostics) {
            match given.name.to_string().as_str() {
                // Checked where its namespace is known.
                "name" => {
                    args.name = given.any_text(diagnostics);
                    args.name_is_wrong = args.name.is_none();
                }
                "namespace" => args.namespace = namespace(given, diagnostics),
                "defer" => args.defer = given.flag(diagnostics).is_some(),
                "description" => args.description = words(given, diagnostics),
                "input_schema" => args.input_schema = schema(given, diagnostics),
                "output_schema" => args.output_schema = schema(given, diagnostics),
                "output_description" => args.output_description = words(given, diagnostics),
                "group" => args.group = given.text(diagnostics),
                "timeout" => {
                    let name = given.name.span();
                    args.timeout_millis = duration(given, diagnostics);
                    // A wrong one is reported already.
                    timeout = args.timeout_millis.map(|_| name);
                }
                "inline" => args.inline = given.flag(diagnostics),
                "exclusive" => args.exclusive = given.flag(diagnostics).is_some(),
                "read_only" => args.read_only = given.flag(diagnostics).is_some(),
                "whole_answer" => args.whole_answer = given.flag(diagnostics).is_some(),
                _ => args.krate = krate(given, diagnostics),
            }
        }
        if let (Some(timeout), Some(_)) = (timeout, args.inline) {
            diagnostics.at_span(
                timeout,
                "`timeout` has no effect on an `inline` skill, which nothing can interrupt\nhelp: remove `inline` or `timeout`",
            );
        }
        args
    }
}

/// What `#[skill(..)]` on an `impl` block says.
#[derive(Default)]
pub(crate) struct BlockArgs {
    pub(crate) namespace: Option<LitStr>,
    /// What the documentation of the block says of its namespace.
    pub(crate) namespace_description: Option<Words>,
    pub(crate) defer: bool,
    pub(crate) group: Option<LitStr>,
    pub(crate) krate: Option<TokenStream>,
}

impl BlockArgs {
    /// Reads and checks the options, each on its own, and what the block says of its namespace.
    pub(crate) fn read(
        tokens: TokenStream,
        attributes: &[Attribute],
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut args = Self::default();
        for given in options::read(&BLOCK, tokens, diagnostics) {
            match given.name.to_string().as_str() {
                "namespace" => args.namespace = namespace(given, diagnostics),
                "defer" => args.defer = given.flag(diagnostics).is_some(),
                "group" => args.group = given.text(diagnostics),
                _ => args.krate = krate(given, diagnostics),
            }
        }
        if let Some(namespace) = &args.namespace {
            args.namespace_description = namespace_description(namespace, attributes, diagnostics);
        }
        args
    }
}

impl SkillArgs {
    /// Takes over from the block what is not said at the method.
    pub(crate) fn inherit(&mut self, block: &BlockArgs) {
        if self.namespace.is_none() {
            self.namespace.clone_from(&block.namespace);
            self.namespace_description
                .clone_from(&block.namespace_description);
        }
        if self.group.is_none() {
            self.group.clone_from(&block.group);
        }
        self.defer |= block.defer;
    }
}

/// The path of the library where nothing else is said.
pub(crate) fn default_crate() -> TokenStream {
    quote!(::codex_skills)
}

/// The namespace, also one that was reported: the skill is in one all the same.
fn namespace(given: Given, diagnostics: &mut Diagnostics) -> Option<LitStr> {
    let namespace = given.any_text(diagnostics)?;
    if let Some(objection) = names::namespace_objection(&namespace.value()) {
        diagnostics.at(&namespace, objection);
    }
    Some(namespace)
}

/// What the documentation of a block says of its namespace, as that of a function says what it does.
fn namespace_description(
    namespace: &LitStr,
    attributes: &[Attribute],
    diagnostics: &mut Diagnostics,
) -> Option<Words> {
    let docs = Documentation::read(attributes);
    let words = docs.in_place()?;
    if let Words::Known(text) = &words
        && let Some(objection) = names::description_objection(text)
    {
        diagnostics.at(namespace, objection);
    }
    Some(words)
}

/// Words for the model: a text, or any constant expression of one.
fn words(given: Given, diagnostics: &mut Diagnostics) -> Option<Words> {
    match given.value.as_ref().map(literal) {
        None | Some(Some(_)) => given
            .text(diagnostics)
            .map(|text| Words::Known(text.value())),
        Some(None) => {
            let (p, value) = (private(), given.expression(diagnostics)?);
            let value = quote_spanned!(value.span()=> #value);
            Some(Words::Constant(quote_spanned! {ours()=> {
                const __TEXT: &str = #value;
                ::core::option::Option::Some(#p::documentation::given(__TEXT))
            }}))
        }
    }
}

fn duration(given: Given, diagnostics: &mut Diagnostics) -> Option<u64> {
    if let Some(Lit::Int(number)) = given.value.as_ref().and_then(literal) {
        let message = format!(
            "`timeout` needs a unit\nhelp: write `timeout = \"{}s\"` for seconds",
            number.base10_digits()
        );
        diagnostics.at(number, message);
        return None;
    }
    let text = given.any_text(diagnostics)?;
    match duration::millis(&text.value()) {
        Ok(millis) => Some(millis),
        Err(message) => {
            diagnostics.at(&text, message);
            None
        }
    }
}

fn schema(given: Given, diagnostics: &mut Diagnostics) -> Option<Expr> {
    let name = given.name.to_string();
    let value = given.expression(diagnostics)?;
    if let Some(Lit::Str(text)) = literal(&value)
        && let Err(mistake) = json::check_object(&text.value())
    {
        diagnostics.at(
            text,
            format!(
                "`{name}` is not a JSON schema: expected {} at line {}, column {} of the text",
                mistake.expected, mistake.line, mistake.column
            ),
        );
        return None;
    }
    Some(value)
}

fn krate(given: Given, diagnostics: &mut Diagnostics) -> Option<TokenStream> {
    let value = given.expression(diagnostics)?;
    match &value {
        Expr::Path(path) if path.qself.is_none() => Some(path.path.to_token_stream()),
        _ => {
            diagnostics.at(
                &value,
                "`crate` takes the path of codex-skills\nhelp: write it without quotes, for example `crate = my_crate::codex_skills`",
            );
            None
        }
    }
}
