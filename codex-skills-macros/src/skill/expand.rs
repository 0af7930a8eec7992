//! The code for one skill: a block whose value is a reference to the skill's static descriptor.
//!
//! Names of ours begin with `__codex_skills`, and their spans come from the macro, so that neither the
//! user's names nor the user's lints meet them. What can fail because of the user's types is spanned on
//! these types, and sits ahead of the code that would fail as a consequence.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Expr;

use super::analysis::Skill;
use super::docs::{self, Words};
use super::parameter::{Argument, Parameter, Pass, Source};
use super::signature::Holder;
use super::slot::{self, value_name};
use super::{derived, location};
use crate::hygiene::{ends, ours, private, private_at};

impl Skill {
    /// `{ …; &DESCRIPTOR }`
    pub(crate) fn block(&self) -> TokenStream {
        let (krate, p) = (&self.krate, private());
        let slots = self.slots();
        let structure = derived::structure(self);
        let (call, handler) = self.handler();
        let (output, with_output) = self.output();
        let (input_schema, input) = self.input();
        let (state_checks, with_state) = self.state();
        let name = &self.name;
        let location = location::of(self.signature.ident.span(), krate);
        let metadata = self.metadata();
        let documentation = self.documentation();
        quote_spanned! {ours()=>
            {
                use #krate::__private as #p;
                #documentation
                #slots
                #structure
                #state_checks
                #input_schema
                #call
                #output
                static __CODEX_SKILLS_DESCRIPTOR: #krate::SkillDescriptor =
                    #krate::SkillDescriptor::new(#name, #location, #input, #p::Handler::#handler(__codex_skills_call))
                        #metadata #with_state #with_output;
                #p::inventory::submit! { &__CODEX_SKILLS_DESCRIPTOR }
                &__CODEX_SKILLS_DESCRIPTOR
            }
        }
    }

    /// The text of the documentation as a constant, where it is not known here, and the check of what it describes.
    fn documentation(&self) -> Option<TokenStream> {
        let (p, text, name) = (
            private(),
            self.docs.constant.as_ref()?,
            docs::constant_name(),
        );
        let names = self.signature.parameters.iter().flat_map(Parameter::names);
        Some(quote_spanned! {ours()=>
            const #name: &str = #text;
            const _: () = #p::documentation::check_arguments(#name, &[#(#names),*]);
        })
    }

    fn arguments(&self) -> impl Iterator<Item = (usize, &Argument)> {
        self.signature.arguments().enumerate()
    }

    /// The slots of the parameters that the model fills, as nested pairs in one constant: each item costs the
    /// compiler time.
    fn slots(&self) -> TokenStream {
        let presets = self
            .arguments()
            .filter_map(|(at, argument)| slot::preset(at, argument));
        let (mut types, mut values) = (quote!(()), quote!(()));
        for (at, argument) in self.slotted().rev() {
            let (ty, value) = slot::slot(at, argument);
            types = quote_spanned!(ours()=> (#ty, #types));
            values = quote_spanned!(ours()=> (#value, #values));
        }
        quote_spanned! {ours()=>
            #(#presets)*
            const __CODEX_SKILLS_SLOTS: #types = #values;
        }
    }

    /// The parameters that have a slot.
    fn slotted(&self) -> impl DoubleEndedIterator<Item = (usize, &Argument)> {
        let arguments: Vec<_> = self.arguments().collect();
        arguments
            .into_iter()
            .filter(|(_, argument)| !derived::decodes_otherwise(&argument.foreign))
    }

    /// The table of the parameters.
    fn table(&self) -> TokenStream {
        let mut rest = quote_spanned!(ours()=> __CODEX_SKILLS_SLOTS);
        let descriptors: Vec<TokenStream> = self
            .slotted()
            .map(|_| {
                let descriptor = quote_spanned!(ours()=> #rest.0.descriptor);
                rest = quote_spanned!(ours()=> #rest.1);
                descriptor
            })
            .collect();
        quote_spanned!(ours()=> &[#(#descriptors),*])
    }

    /// The function that serves a call, and the variant of `Handler` that it is for.
    fn handler(&self) -> (TokenStream, TokenStream) {
        let p = private();
        let (setup, passed) = self.decoding();
        let callee = &self.callee;
        let name_span = self.signature.ident.span();
        let answer =
            self.answer(quote_spanned!(name_span.resolved_at(ours())=> #callee(#(#passed),*)));
        let checks = self.state_types().map(state_check);
        let header = quote_spanned! {ours()=>
            use #p::Infallible as _;
            #(#checks)*
        };
        let allowed = self
            .deprecated
            .then(|| quote_spanned!(ours()=> #[allow(deprecated)]));
        if !self.signature.asynchronous {
            let variant = if self.args.inline.is_some() {
                quote!(Inline)
            } else {
                quote!(Blocking)
            };
            let call = quote_spanned! {ours()=>
                #allowed
                fn __codex_skills_call(__invocation: #p::Invocation) -> #p::Answer {
                    #header
                    #setup
                    #answer
                }
            };
            return (call, variant);
        }
        let future =
            quote_spanned!(name_span=> ::std::boxed::Box::pin(async move { #setup #answer }));
        let call = quote_spanned! {ours()=>
            #allowed
            fn __codex_skills_call(__invocation: #p::Invocation) -> #p::HandlerFuture {
                #header
                #future
            }
        };
        (call, quote!(Async))
    }

    /// The call, and its value turned into an answer. Errors point at the return type.
    fn answer(&self, call: TokenStream) -> TokenStream {
        let wait = self
            .signature
            .asynchronous
            .then(|| quote_spanned!(self.signature.ident.span().resolved_at(ours())=> .await));
        let (first, last) = match &self.signature.output {
            Some(ty) => ends(&quote!(#ty)),
            None => {
                let name = self.signature.ident.span().resolved_at(ours());
                (name, name)
            }
        };
        let p = private_at(first);
        let returned = quote_spanned!(first=> #p::Returned);
        let value = quote_spanned!(last=> (#call #wait));
        let method = quote_spanned!(first=> answer);
        quote_spanned! {ours()=>
            let __answer = #returned #value.#method();
            __answer
        }
    }

    /// Statements that take everything from the invocation, and the arguments of the call.
    fn decoding(&self) -> (TokenStream, Vec<TokenStream>) {
        let p = private();
        let values: Vec<Ident> = self.arguments().map(|(at, _)| value_name(at)).collect();
        let mut setup = if derived::applies(self) {
            derived::decoding(self)
        } else {
            let values = values.iter().rev();
            let pattern = values.fold(quote!(()), |rest, value| quote!((#value, #rest)));
            quote_spanned! {ours()=>
                let #pattern = #p::Slots::decode(
                    &__CODEX_SKILLS_SLOTS, &__invocation, &__CODEX_SKILLS_DESCRIPTOR,
                )?;
            }
        };
        let mut passed = Vec::new();
        if let (Some(holder), Some(ty)) = (self.signature.receiver, &self.self_ty) {
            let (name, span) = (format_ident!("__receiver", span = ours()), holder.span());
            setup.extend(quote_spanned!(ours()=> let #name = __invocation.state::<#ty>()?;));
            passed.push(match holder {
                Holder::Borrowed(_) => quote_spanned!(span.resolved_at(ours())=> &*#name),
                Holder::Shared(_) => quote!(#name),
            });
        }
        let mut position = 0;
        for (at, parameter) in self.signature.parameters.iter().enumerate() {
            let span = ends(&parameter.written).0;
            passed.push(match &parameter.source {
                Source::Argument(argument) => {
                    let value = value_name(position);
                    position += 1;
                    match argument.pass {
                        Pass::Owned => quote!(#value),
                        Pass::Borrowed => quote_spanned!(ours()=> &#value),
                        Pass::BorrowedInside => quote_spanned!(ours()=> #value.as_deref()),
                    }
                }
                Source::State { ty, shared } => {
                    let name = format_ident!("__state{at}", span = ours());
                    setup
                        .extend(quote_spanned!(ours()=> let #name = __invocation.state::<#ty>()?;));
                    if *shared {
                        quote!(#name)
                    } else {
                        quote_spanned!(ours()=> &*#name)
                    }
                }
                Source::Context { ty, cloned } => {
                    let context = quote_spanned!(span=> __codex_skills_context);
                    setup.extend(
                        quote_spanned!(ours()=> let #context = __invocation.context::<#ty>();),
                    );
                    if *cloned {
                        quote_spanned!(span=> ::core::clone::Clone::clone(#context))
                    } else {
                        context
                    }
                }
            });
        }
        (setup, passed)
    }

    /// The schema of the answer.
    fn output(&self) -> (TokenStream, TokenStream) {
        let p = private();
        if let Some(schema) = &self.args.output_schema {
            let function = written_schema("__codex_skills_output", schema);
            return (
                function,
                quote_spanned!(ours()=> .with_explicit_output(__codex_skills_output)),
            );
        }
        let Some(ty) = &self.signature.output else {
            return (TokenStream::new(), TokenStream::new());
        };
        let function = quote_spanned! {ours()=>
            fn __codex_skills_output(
                __generator: &mut #p::schemars::SchemaGenerator,
            ) -> ::core::option::Option<#p::schemars::Schema> {
                use #p::{NoSchema as _, Plain as _};
                #p::ReturnType::<#ty>::new().schema(__generator)
            }
        };
        (
            function,
            quote_spanned!(ours()=> .with_output(__codex_skills_output)),
        )
    }

    /// The input schema: items that it needs, and the expression.
    fn input(&self) -> (TokenStream, TokenStream) {
        let p = private();
        if let Some(schema) = &self.args.input_schema {
            let function = written_schema("__codex_skills_input", schema);
            let table = self.table();
            let expression =
                quote_spanned!(ours()=> #p::InputSchema::Explicit(__codex_skills_input, #table));
            return (function, expression);
        }
        let expression = if derived::applies(self) {
            derived::schema()
        } else {
            let table = self.table();
            quote_spanned!(ours()=> #p::InputSchema::Parameters(#table))
        };
        (TokenStream::new(), expression)
    }

    fn state_types(&self) -> impl Iterator<Item = &TokenStream> {
        let receiver = self
            .self_ty
            .as_ref()
            .filter(|_| self.signature.receiver.is_some());
        receiver
            .into_iter()
            .chain(self.signature.parameters.iter().filter_map(state_of))
    }

    /// The types of state that the skill needs.
    fn state(&self) -> (TokenStream, TokenStream) {
        let p = private();
        let keys: Vec<TokenStream> = self
            .state_types()
            .map(|ty| quote_spanned!(ours()=> #p::StateKey::of::<#ty>()))
            .collect();
        if keys.is_empty() {
            return (TokenStream::new(), TokenStream::new());
        }
        let count = keys.len();
        let table = quote_spanned!(ours()=> static __CODEX_SKILLS_STATE: [#p::StateKey; #count] = [#(#keys),*];);
        (
            table,
            quote_spanned!(ours()=> .with_state(&__CODEX_SKILLS_STATE)),
        )
    }

    /// The builder calls for everything that is plain data.
    fn metadata(&self) -> TokenStream {
        let args = &self.args;
        let description = args.description.as_ref().or(self.docs.description.as_ref());
        let mut calls = match description {
            Some(Words::Known(text)) => quote_spanned!(ours()=> .with_description(#text)),
            Some(Words::Constant(text)) => {
                quote_spanned!(ours()=> .with_documentation(#text))
            }
            None => {
                let text = format!("Remote skill {}", self.name);
                quote_spanned!(ours()=> .with_fallback_description(#text))
            }
        };
        match args
            .output_description
            .as_ref()
            .or(self.docs.returns.as_ref())
        {
            Some(Words::Known(text)) => {
                calls.extend(quote_spanned!(ours()=> .with_output_description(#text)));
            }
            Some(Words::Constant(text)) => {
                calls.extend(quote_spanned!(ours()=> .with_output_documentation(#text)));
            }
            None => {}
        }
        if let Some(namespace) = &args.namespace {
            calls.extend(quote_spanned!(ours()=> .with_namespace(#namespace)));
        }
        match &args.namespace_description {
            Some(Words::Known(text)) => {
                calls.extend(quote_spanned!(ours()=> .with_namespace_description(#text)));
            }
            Some(Words::Constant(text)) => {
                calls.extend(quote_spanned!(ours()=> .with_namespace_documentation(#text)));
            }
            None => {}
        }
        if args.defer {
            calls.extend(quote_spanned!(ours()=> .deferred()));
        }
        if let Some(group) = &args.group {
            calls.extend(quote_spanned!(ours()=> .with_group(#group)));
        }
        if let Some(millis) = args.timeout_millis {
            calls.extend(quote_spanned!(ours()=> .with_timeout_millis(#millis)));
        }
        if args.exclusive {
            calls.extend(quote_spanned!(ours()=> .exclusive()));
        }
        if args.read_only {
            calls.extend(quote_spanned!(ours()=> .read_only()));
        }
        if args.whole_answer {
            calls.extend(quote_spanned!(ours()=> .whole_answer()));
        }
        calls
    }
}

fn state_of(parameter: &Parameter) -> Option<&TokenStream> {
    match &parameter.source {
        Source::State { ty, .. } => Some(ty),
        Source::Argument(_) | Source::Context { .. } => None,
    }
}

/// A statement that fails to compile at the type if it cannot be shared between threads.
fn state_check(ty: &TokenStream) -> TokenStream {
    let (first, last) = ends(ty);
    let start = private_at(first);
    let start = quote_spanned!(first=> #start::StateKey);
    let check = quote_spanned!(last=> check);
    quote_spanned!(ours()=> #start::#check::<#ty>();)
}

fn written_schema(function: &str, schema: &Expr) -> TokenStream {
    let (p, function) = (private(), Ident::new(function, ours()));
    let (first, last) = ends(&quote!(#schema));
    let start = private_at(first);
    let start = quote_spanned!(first=> #start::WrittenSchema);
    let convert = quote_spanned!(last=> into_schema);
    quote_spanned! {ours()=>
        fn #function() -> ::core::result::Result<#p::serde_json::Value, ::std::string::String> {
            #start::#convert(#schema)
        }
    }
}
