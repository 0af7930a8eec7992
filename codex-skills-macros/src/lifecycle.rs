//! `lifecycle!(client, name: value, .., |run| { .. })`: reading what was written.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens as _, quote};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, Lit, Pat, Token, Type};

use crate::diagnostics::{Diagnostics, listed, nearest};
use crate::list;
use crate::options::literal;

mod expand;

const OPTIONS: [&str; 26] = [
    "skills",
    "catalog",
    "discover",
    "register",
    "state",
    "shared_state",
    "namespace",
    "cwd",
    "model",
    "approval_policy",
    "network_access",
    "filesystem_sandbox",
    "ephemeral",
    "config",
    "on_request",
    "keep_session",
    "inject_skills",
    "repeat_tools",
    "limits",
    "call_timeout",
    "max_concurrent_calls",
    "whole_answers",
    "ignore_cleanup_errors",
    "sync_runtime_on_cleanup",
    "require_documentation",
    "on_close",
];

const SHAPE: &str =
    "help: the shape is `lifecycle!(codex, skills: [lookup], cwd: \".\", |run| { … }).await`";

/// What was written.
struct Lifecycle {
    krate: TokenStream,
    runtime: Expr,
    options: Vec<Setting>,
    block: Block,
}

/// `name: value`
struct Setting {
    name: Ident,
    value: Value,
}

/// The value of an option, read as far as the option needs it.
enum Value {
    /// The expression for the list of skills.
    Skills(TokenStream),
    /// `None` for all.
    Groups(Option<Vec<TokenStream>>),
    Several(Vec<Expr>),
    Plain(Expr),
}

/// `|run| -> Type { .. }`
struct Block {
    parameter: Pat,
    output: Option<Type>,
    body: TokenStream,
}

/// Expands `CRATE; RUNTIME, OPTIONS, BLOCK`.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let (krate, rest) = list::split_crate(input);
    let reader = |input: ParseStream<'_>| Ok(read(krate, input, &mut diagnostics));
    match reader.parse2(rest) {
        Ok(Some(lifecycle)) if diagnostics.is_empty() => lifecycle.into_tokens(),
        result => {
            if let Err(error) = result {
                diagnostics.push(error);
            }
            let errors = diagnostics.into_tokens();
            quote!({ #errors })
        }
    }
}

fn read(
    krate: TokenStream,
    input: ParseStream<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Lifecycle> {
    let runtime = runtime(input, diagnostics);
    let mut options: Vec<Setting> = Vec::new();
    let mut block = None;
    while !input.is_empty() {
        let mistakes = diagnostics.len();
        if input.peek(Ident::peek_any) && input.peek2(Token![:]) && !input.peek2(Token![::]) {
            options.extend(setting(&krate, &options, input, diagnostics));
        } else if starts_block(input) {
            let (given, start) = (block.is_some(), input.span());
            match read_block(input) {
                Ok(_) if given => diagnostics.at_span(start, format!("a second block\n{SHAPE}")),
                Ok(read) => block = Some(Some(read)),
                Err(error) => {
                    block = Some(None);
                    diagnostics.push(error);
                }
            }
        } else {
            diagnostics.push(misplaced(input));
            if input.peek(syn::token::Brace) {
                block = Some(None);
            }
        }
        next(input, mistakes, diagnostics);
    }
    refuse_two_sources(&options, diagnostics);
    if block.is_none() {
        let message = "the block of the session is missing\nhelp: end with `|run| { … }`; it runs while the session lives, and the session is closed after it";
        match options.last() {
            Some(last) if runtime.is_some() => diagnostics.at(&last.name, message),
            _ if runtime.is_some() => diagnostics.at(&runtime, message),
            _ => {}
        }
    }
    Some(Lifecycle {
        krate,
        runtime: runtime?,
        options,
        block: block??,
    })
}

/// What to say about something that is neither an option nor the block.
fn misplaced(input: ParseStream<'_>) -> syn::Error {
    if input.peek(syn::token::Brace) {
        return input.error("the block of the session has no parameter\nhelp: write `|run| { … }`: `run` is the open session");
    }
    let ahead = input.fork();
    if let Ok(name) = Ident::parse_any(&ahead)
        && ahead.peek(Token![=])
    {
        return input.error(format!(
            "options of `lifecycle!` are written with a colon\nhelp: write `{name}: …`"
        ));
    }
    input.error(format!(
        "expected an option (`name: value`) or the block (`|run| {{ … }}`)\n{SHAPE}"
    ))
}

/// Goes to the next part: behind the comma. What stands before it is a mistake, unless one was reported since there were
/// so many.
fn next(input: ParseStream<'_>, mistakes: usize, diagnostics: &mut Diagnostics) {
    if !input.is_empty() && !input.peek(Token![,]) && diagnostics.len() == mistakes {
        diagnostics.push(input.error(format!("expected `,`\n{SHAPE}")));
    }
    while !input.is_empty() {
        if input
            .parse::<Option<Token![,]>>()
            .is_ok_and(|comma| comma.is_some())
        {
            return;
        }
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}

fn runtime(input: ParseStream<'_>, diagnostics: &mut Diagnostics) -> Option<Expr> {
    let is_option =
        input.peek(Ident::peek_any) && input.peek2(Token![:]) && !input.peek2(Token![::]);
    if input.is_empty() || is_option || starts_block(input) {
        diagnostics.at_span(
            input.span(),
            format!("the client comes first, for example `Embedded::demo()`\n{SHAPE}"),
        );
        return None;
    }
    let mistakes = diagnostics.len();
    let runtime = diagnostics.keep(input.parse());
    next(input, mistakes, diagnostics);
    runtime
}

fn starts_block(input: ParseStream<'_>) -> bool {
    let closure = |ahead: ParseStream<'_>| ahead.peek(Token![|]) || ahead.peek(Token![||]);
    let ahead = input.fork();
    while ahead.peek(Token![async]) || ahead.peek(Token![move]) {
        if ahead.parse::<TokenTree>().is_err() {
            return false;
        }
    }
    closure(&ahead)
}

fn setting(
    krate: &TokenStream,
    before: &[Setting],
    input: ParseStream<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Setting> {
    let name = diagnostics.keep(Ident::parse_any(input))?;
    diagnostics.keep(input.parse::<Token![:]>())?;
    let text = name.to_string();
    if !OPTIONS.contains(&text.as_str()) {
        let suggestion = nearest(&text, OPTIONS)
            .map(|nearest| format!(", did you mean `{nearest}`?"))
            .unwrap_or_default();
        diagnostics.at(
            &name,
            format!(
                "unknown option `{text}` of `lifecycle!`{suggestion}\nhelp: the options are {}",
                listed(OPTIONS)
            ),
        );
        // Its value may contain commas, or be no expression at all.
        let ahead = input.fork();
        if ahead.parse::<Expr>().is_ok() {
            diagnostics.keep(input.parse::<Expr>());
        }
        return None;
    }
    if before.iter().any(|earlier| earlier.name == name) {
        diagnostics.at(
            &name,
            format!("`{name}` is given twice\nhelp: remove one of the two"),
        );
    }
    if input.is_empty() || input.peek(Token![,]) {
        diagnostics.at(&name, format!("the value of `{name}` is missing"));
        return None;
    }
    let value = match text.as_str() {
        "skills" => skills(krate, input, diagnostics)?,
        "discover" => groups(diagnostics.keep(input.parse())?, diagnostics)?,
        "state" | "shared_state" => several(diagnostics.keep(input.parse())?),
        _ => Value::Plain(diagnostics.keep(input.parse())?),
    };
    Some(Setting { name, value })
}

fn skills(
    krate: &TokenStream,
    input: ParseStream<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Value> {
    if !input.peek(syn::token::Bracket) {
        let start = input.span();
        let remedy = match input.fork().parse::<Expr>() {
            Ok(Expr::Path(path)) => format!("`skills: [{}]`", path.to_token_stream()),
            _ => "`skills: [lookup, tickets::close]`; a sealed catalog goes to `catalog: …`"
                .to_owned(),
        };
        diagnostics.at_span(
            start,
            format!("`skills` takes a list in brackets\nhelp: write {remedy}"),
        );
        return None;
    }
    let group: Group = diagnostics.keep(input.parse())?;
    Some(Value::Skills(list::list(
        krate,
        group.stream(),
        diagnostics,
    )))
}

fn groups(value: Expr, diagnostics: &mut Diagnostics) -> Option<Value> {
    let text = |value: &Expr| match literal(value) {
        Some(Lit::Str(text)) => Some(text.to_token_stream()),
        _ => None,
    };
    let groups = match &value {
        Expr::Path(path) if path.path.is_ident("all") => return Some(Value::Groups(None)),
        Expr::Array(array) => array.elems.iter().map(text).collect::<Option<Vec<_>>>(),
        other => text(other).map(|group| vec![group]),
    };
    if groups.is_none() {
        diagnostics.at(
            &value,
            "`discover` takes `all`, or the name of a group\nhelp: write `discover: all` or `discover: \"tickets\"`",
        );
    }
    groups.map(|groups| Value::Groups(Some(groups)))
}

fn several(value: Expr) -> Value {
    Value::Several(match value {
        Expr::Array(array) => array.elems.into_iter().collect(),
        other => vec![other],
    })
}

fn read_block(input: ParseStream<'_>) -> syn::Result<Block> {
    if input.peek(Token![async]) {
        return Err(input.error(
            "the block is asynchronous as it is\nhelp: remove `async`: write `|run| { … }`",
        ));
    }
    if input.peek(Token![move]) {
        return Err(input.error(
            "the block borrows from its surroundings, or takes what it uses by value, as an `async` block does\nhelp: remove `move`: write `|run| { … }`",
        ));
    }
    const PARAMETER: &str = "help: it is the open session: write `|run| { … }`, or `|_| { … }` if the block does not need it";
    if input.peek(Token![||]) {
        return Err(input.error(format!("the block takes one parameter\n{PARAMETER}")));
    }
    input.parse::<Token![|]>()?;
    if input.peek(Token![|]) {
        return Err(input.error(format!("the block takes one parameter\n{PARAMETER}")));
    }
    let parameter = Pat::parse_single(input)?;
    if input.peek(Token![:]) {
        return Err(input.error("the type of the parameter is known\nhelp: write `|run| { … }`"));
    }
    input.parse::<Option<Token![,]>>()?;
    if !input.peek(Token![|]) {
        return Err(input.error(format!("the block takes one parameter only\n{PARAMETER}")));
    }
    input.parse::<Token![|]>()?;
    let output = if input.peek(Token![->]) {
        input.parse::<Token![->]>()?;
        Some(input.parse()?)
    } else {
        None
    };
    if input.peek(Token![async]) {
        return Err(input.error(
            "the block is asynchronous as it is\nhelp: remove `async`: write `|run| { … }`, and end with `Ok(..)`",
        ));
    }
    // A body in braces is left to the compiler, whose messages are better.
    let body = if input.peek(syn::token::Brace) {
        input.parse::<TokenTree>()?.into_token_stream()
    } else {
        input.parse::<Expr>()?.into_token_stream()
    };
    Ok(Block {
        parameter,
        output,
        body,
    })
}

fn refuse_two_sources(options: &[Setting], diagnostics: &mut Diagnostics) {
    const DRAFTED: [&str; 7] = [
        "skills",
        "discover",
        "register",
        "state",
        "shared_state",
        "namespace",
        "require_documentation",
    ];
    if !options.iter().any(|option| option.name == "catalog") {
        return;
    }
    for option in options {
        let name = option.name.to_string();
        if DRAFTED.contains(&name.as_str()) {
            diagnostics.at(
                &option.name,
                format!("`{name}` has no effect together with `catalog`, which is sealed\nhelp: remove one of the two"),
            );
        }
    }
}
