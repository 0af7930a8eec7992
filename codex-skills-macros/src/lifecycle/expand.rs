//! `lifecycle!`: the code.
//!
//! An async block and no closure, so that the body may borrow from its surroundings, `?` finds its error
//! type, and the whole is `Send` where the body is.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};

use super::{Lifecycle, Setting, Value};
use crate::hygiene::{ends, ours, private, private_at};

impl Lifecycle {
    pub(super) fn into_tokens(self) -> TokenStream {
        let Self {
            krate,
            runtime,
            options,
            block,
        } = &self;
        let session = self.session();
        let settings = options.iter().filter_map(setting);
        let on_close = self.plain("on_close").map_or_else(
            || quote_spanned!(ours()=> |_| {}),
            |callback| quote!(#callback),
        );
        let (parameter, body) = (&block.parameter, unbraced(block.body.clone()));
        let output = match &block.output {
            Some(ty) => quote!(#ty),
            None => quote_spanned!(ours()=> ::core::result::Result<_, #krate::Error>),
        };
        let typed = match &block.output {
            Some(ty) => quote_spanned!(ours()=> returning::<#ty, _>),
            None => quote_spanned!(ours()=> fallible::<_, #krate::Error, _>),
        };
        let states = options.iter().flat_map(states);
        let p = private();
        // One span for the whole call, so that a runtime that is none gives one error, at itself.
        let place = ends(&quote!(#runtime)).0;
        let codex = Ident::new("__codex_skills_client", place);
        let alias = private_at(place);
        let client = quote_spanned!(place=> #alias::AsClient::as_client(#codex));
        // The type of the value is said before it, so that an error about it points at the value. A
        // `let` around the value would do, were it not for blocks that end in `panic!` or `todo!`.
        quote_spanned! {ours()=>
            async {
                use #krate::__private as #p;
                let #codex = &(#runtime);
                #(#states)*
                let __opened = #client #session #(#settings)* .await;
                match __opened {
                    ::core::result::Result::Ok(__guard) => {
                        let __outcome = #p::catch_panic(
                            #p::#typed(async {
                                let #parameter = &__guard;
                                {
                                    let __typed: ::core::option::Option<#output> =
                                        ::core::option::Option::None;
                                    if let ::core::option::Option::Some(__value) = __typed {
                                        return __value;
                                    }
                                }
                                #body
                            })
                        ).await;
                        #p::finish_lifecycle(__guard, __outcome, #on_close).await
                    }
                    ::core::result::Result::Err(__error) => {
                        ::core::result::Result::Err(::core::convert::From::from(__error))
                    }
                }
            }
        }
    }

    fn find(&self, name: &str) -> Option<&Value> {
        let option = self.options.iter().find(|option| option.name == name)?;
        Some(&option.value)
    }

    fn plain(&self, name: &str) -> Option<TokenStream> {
        match self.find(name)? {
            Value::Plain(value) => Some(quote!(#value)),
            Value::Skills(_) | Value::Groups(_) | Value::Several(_) => None,
        }
    }

    /// The call that starts the session: with a sealed catalog, or with a callback that drafts one.
    fn session(&self) -> TokenStream {
        if let Some(catalog) = self.plain("catalog") {
            return quote_spanned!(ours()=> .lifecycle_with(#catalog));
        }
        let draft = Ident::new("__draft", ours());
        let steps = self
            .options
            .iter()
            .flat_map(|option| draft_calls(option, &draft));
        let callback = self.plain("register");
        let last = match &callback {
            Some(callback) => {
                let p = private();
                quote_spanned!(ours()=> #p::then_register(#draft, #callback))
            }
            None => quote!(#draft),
        };
        let body = quote_spanned!(ours()=> #(#steps)* #last);
        // What the callback returns decides whether this closure is one that can register.
        let span = callback
            .as_ref()
            .map_or_else(ours, |callback| ends(callback).0);
        quote_spanned!(span=> .lifecycle(|#draft| { #body }))
    }
}

/// A body without warnings about braces that the user had to write.
fn unbraced(body: TokenStream) -> TokenStream {
    body.into_iter()
        .map(|token| match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                let mut braces = Group::new(Delimiter::Brace, group.stream());
                braces.set_span(group.span().resolved_at(ours()));
                TokenTree::Group(braces)
            }
            other => other,
        })
        .collect()
}

/// The statements that compute the state: outside of the callback, so that it may be awaited.
fn states(option: &Setting) -> Vec<TokenStream> {
    let Value::Several(values) = &option.value else {
        return Vec::new();
    };
    values
        .iter()
        .enumerate()
        .map(|(at, value)| {
            let name = state_name(&option.name, at);
            quote_spanned!(ours()=> let #name = #value;)
        })
        .collect()
}

fn state_name(option: &Ident, at: usize) -> Ident {
    format_ident!("__{option}{at}", span = ours())
}

/// The statements by which an option changes the draft.
fn draft_calls(option: &Setting, draft: &Ident) -> Vec<TokenStream> {
    let name = &option.name;
    let calls: Vec<TokenStream> = match &option.value {
        Value::Skills(list) => vec![quote_spanned!(name.span()=> register(#list))],
        Value::Groups(None) => vec![quote_spanned!(name.span()=> discover())],
        Value::Groups(Some(groups)) => groups
            .iter()
            .map(|group| quote_spanned!(name.span()=> discover_group(#group)))
            .collect(),
        Value::Several(values) => (0..values.len())
            .map(|at| {
                let value = state_name(name, at);
                quote_spanned!(name.span()=> #name(#value))
            })
            .collect(),
        Value::Plain(value) if name == "require_documentation" => {
            return vec![quote_spanned! {ours()=>
                let #draft = if #value { #draft.require_documentation() } else { #draft };
            }];
        }
        Value::Plain(value) if name == "namespace" => {
            vec![quote_spanned!(name.span()=> namespace(#value))]
        }
        Value::Plain(_) => Vec::new(),
    };
    calls
        .into_iter()
        .map(|call| quote_spanned!(ours()=> let #draft = #draft.#call;))
        .collect()
}

/// The call by which an option changes the session, for those that do.
fn setting(option: &Setting) -> Option<TokenStream> {
    let name = &option.name;
    match &option.value {
        Value::Plain(value)
            if [
                "catalog",
                "register",
                "namespace",
                "on_close",
                "require_documentation",
            ]
            .iter()
            .all(|other| name != other) =>
        {
            Some(quote!(.#name(#value)))
        }
        _ => None,
    }
}
