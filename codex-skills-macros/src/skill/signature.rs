//! The signature of a skill: what the function takes and returns, and what a skill cannot be.

use proc_macro2::{Ident, Span};
use quote::ToTokens as _;
use syn::{FnArg, GenericParam, Receiver, ReceiverKind, ReturnType, Safety, Type};

use super::answer;
use super::docs::{self, Documentation, Words};
use super::parameter::{self, Argument, Parameter, Source};
use super::types::unwrapped;
use crate::diagnostics::{Diagnostics, listed, nearest};

/// What to say about a method in a block that is not annotated.
pub(crate) const OUTSIDE: &str = "a method is a skill only in an `impl` block that is annotated as well\nhelp: write `#[skill]` before the `impl` block, too, unless it is of a trait: then write a method of the type that calls this one";

/// What a function takes and returns.
pub(crate) struct Signature {
    pub(crate) ident: Ident,
    pub(crate) asynchronous: bool,
    pub(crate) receiver: Option<Holder>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) output: Option<Type>,
}

/// How a method takes the value that it belongs to.
#[derive(Clone, Copy)]
pub(crate) enum Holder {
    /// `&self`
    Borrowed(Span),
    /// `self: Arc<Self>`
    Shared(Span),
}

impl Holder {
    /// Where `self` was written.
    pub(crate) fn span(self) -> Span {
        match self {
            Self::Borrowed(span) | Self::Shared(span) => span,
        }
    }
}

impl Signature {
    /// Reads a signature and takes our attributes off its parameters. `methods` says whether a
    /// receiver is allowed.
    pub(crate) fn read(
        signature: &mut syn::Signature,
        methods: bool,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        refuse_qualifiers(signature, diagnostics);
        refuse_generics(&signature.generics, diagnostics);
        let mut holder = None;
        let mut parameters = Vec::new();
        for input in &mut signature.inputs {
            match input {
                FnArg::Receiver(_) => {
                    parameter::strip(input);
                    if let FnArg::Receiver(receiver) = input {
                        holder = read_receiver(receiver, methods, diagnostics);
                    }
                }
                FnArg::Typed(typed) => parameters.extend(parameter::read(typed, diagnostics)),
            }
        }
        refuse_duplicates(&parameters, diagnostics);
        let output = match &signature.output {
            ReturnType::Default => None,
            ReturnType::Type(_, ty) => Some(unwrapped(ty).clone()),
        };
        if let Some(ty) = &output {
            answer::check(ty, signature.asyncness.is_some(), diagnostics);
        }
        Self {
            ident: signature.ident.clone(),
            asynchronous: signature.asyncness.is_some(),
            receiver: holder,
            parameters,
            output,
        }
    }

    /// The parameters that the model fills.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Argument> {
        self.parameters
            .iter()
            .filter_map(|parameter| match &parameter.source {
                Source::Argument(argument) => Some(&**argument),
                Source::State { .. } | Source::Context { .. } => None,
            })
    }

    /// Gives the `# Arguments` items to the parameters without a doc comment of their own, and
    /// reports items that name no parameter.
    pub(crate) fn describe(&mut self, docs: &Documentation, diagnostics: &mut Diagnostics) {
        if docs.constant.is_some() {
            self.describe_later();
        }
        for item in &docs.arguments {
            for name in &item.names {
                let found = self
                    .parameters
                    .iter_mut()
                    .find(|parameter| parameter.is_named(name));
                match found.map(|parameter| &mut parameter.source) {
                    Some(Source::Argument(argument))
                        if argument.description.is_none() && !item.text.is_empty() =>
                    {
                        argument.description = Some(Words::Known(item.text.clone()));
                    }
                    Some(_) => {}
                    None if item.is_readable => {
                        diagnostics.at_span(item.span, self.no_such_parameter(name));
                    }
                    None => {}
                }
            }
            let is_lost = item.names.iter().all(|name| {
                !self
                    .parameters
                    .iter()
                    .any(|parameter| parameter.is_named(name))
            });
            if !item.is_readable && is_lost {
                diagnostics.at_span(
                    item.span,
                    "an item under `# Arguments` names no parameter, so the model would not read it\nhelp: write it as \"* `name` - text\", or put it above the heading",
                );
            }
        }
    }

    /// The same where the text of the documentation is not known here.
    fn describe_later(&mut self) {
        for parameter in &mut self.parameters {
            let names = parameter.names();
            if let Source::Argument(argument) = &mut parameter.source
                && argument.description.is_none()
            {
                argument.description = Some(docs::argument(&names));
            }
        }
    }

    fn no_such_parameter(&self, name: &str) -> String {
        let names: Vec<&str> = self
            .arguments()
            .map(|argument| argument.name.as_str())
            .collect();
        let suggestion = nearest(name, names.iter().copied())
            .map(|nearest| format!(", did you mean `{nearest}`?"))
            .unwrap_or_default();
        let help = if names.is_empty() {
            "the skill has no parameters".to_owned()
        } else {
            format!("the parameters are {}", listed(names))
        };
        format!(
            "the documentation describes `{name}`, which is not a parameter{suggestion}\nhelp: {help}"
        )
    }
}

fn refuse_qualifiers(signature: &syn::Signature, diagnostics: &mut Diagnostics) {
    if let Safety::Unsafe(word) = &signature.safety {
        diagnostics.at(
            word,
            "a skill cannot be `unsafe`: the model calls it with any arguments\nhelp: check the arguments in a safe function that calls this one",
        );
    }
    if let Some(abi) = &signature.abi {
        diagnostics.at(
            abi,
            "a skill cannot be `extern`\nhelp: annotate a Rust function that calls this one",
        );
    }
    if let Some(word) = &signature.constness {
        diagnostics.at(word, "a skill cannot be `const`\nhelp: remove `const`");
    }
    if let Some(variadic) = &signature.variadic {
        diagnostics.at(variadic, "a skill cannot be variadic\nhelp: take a `Vec`");
    }
}

fn refuse_generics(generics: &syn::Generics, diagnostics: &mut Diagnostics) {
    for parameter in &generics.params {
        match parameter {
            GenericParam::Lifetime(lifetime) => diagnostics.at(
                lifetime,
                "a skill cannot have lifetime parameters\nhelp: `&str` and `&[T]` need none; take anything else by value, and return an owned value",
            ),
            GenericParam::Type(_) | GenericParam::Const(_) => diagnostics.at(
                parameter,
                "a skill cannot be generic: it has one schema\nhelp: name the type; several skills can share a generic function that is none",
            ),
        }
    }
    if let Some(clause) = &generics.where_clause
        && generics.params.is_empty()
    {
        diagnostics.at(
            clause,
            "a skill cannot have a `where` clause\nhelp: remove it",
        );
    }
}

fn read_receiver(
    receiver: &Receiver,
    methods: bool,
    diagnostics: &mut Diagnostics,
) -> Option<Holder> {
    if !methods {
        diagnostics.at(receiver, OUTSIDE);
        return None;
    }
    let span = receiver.self_token.span;
    let shape: String = match &receiver.kind {
        ReceiverKind::Reference(_, _, None) => return Some(Holder::Borrowed(span)),
        ReceiverKind::Typed(_, ty) => ty.to_token_stream().to_string().replace(' ', ""),
        _ => String::new(),
    };
    match shape.as_str() {
        "&Self" => Some(Holder::Borrowed(span)),
        "Arc<Self>" | "std::sync::Arc<Self>" | "::std::sync::Arc<Self>" | "sync::Arc<Self>" => {
            Some(Holder::Shared(span))
        }
        _ => {
            diagnostics.at(
                receiver,
                "the value behind a skill is shared between calls\nhelp: take `&self`, and keep what changes in a `Mutex` or an atomic",
            );
            None
        }
    }
}

fn refuse_duplicates(parameters: &[Parameter], diagnostics: &mut Diagnostics) {
    let mut seen: Vec<&str> = Vec::new();
    for parameter in parameters {
        let Source::Argument(argument) = &parameter.source else {
            continue;
        };
        if seen.contains(&argument.name.as_str()) {
            diagnostics.at_span(
                argument.name_span,
                format!(
                    "two parameters have the name `{}` for the model\nhelp: give one of them another name with `#[skill(rename = \"…\")]`",
                    argument.name
                ),
            );
        } else {
            seen.push(&argument.name);
        }
    }
}
