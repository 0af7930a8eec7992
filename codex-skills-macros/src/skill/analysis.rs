//! What is known of one annotated function: the stage between reading it and writing code for it.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt as _;
use syn::{Attribute, LitStr};

use super::args::{BlockArgs, SkillArgs};
use super::docs::Documentation;
use super::names;
use super::signature::Signature;
use crate::diagnostics::Diagnostics;

/// The result of the reading stages for one annotated function, before code is generated.
pub(crate) struct Analysis {
    pub(crate) args: SkillArgs,
    pub(crate) signature: Signature,
    pub(crate) docs: Documentation,
    pub(crate) name: String,
    /// The function is `#[deprecated]`: generated calls must not warn about it.
    pub(crate) deprecated: bool,
}

impl Analysis {
    /// Reads and checks one function, and takes our attributes off its parameters.
    pub(crate) fn of(
        args: TokenStream,
        attributes: &[Attribute],
        signature: &mut syn::Signature,
        block: Option<&BlockArgs>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut args = SkillArgs::read(args, diagnostics);
        if let Some(block) = block {
            args.inherit(block);
        }
        let mut signature = Signature::read(signature, block.is_some(), diagnostics);
        let docs = Documentation::read(attributes);
        signature.describe(&docs, diagnostics);
        if let (Some(span), None, true) = (
            docs.headings_only,
            &args.description,
            diagnostics.is_empty(),
        ) {
            diagnostics.at_span(
                span,
                "the documentation does not begin with what the skill does\nhelp: write that above the first heading, or give it with `#[skill(description = \"…\")]`",
            );
        }
        let name = wire_name(&args, &signature.ident, diagnostics);
        if let (true, Some(inline)) = (signature.asynchronous, args.inline) {
            diagnostics.at_span(
                inline,
                "`inline` on an async function: those never occupy a thread of their own\nhelp: remove `inline`",
            );
        }
        Self {
            args,
            signature,
            docs,
            name,
            deprecated: attributes
                .iter()
                .any(|attribute| attribute.path().is_ident("deprecated")),
        }
    }
}

/// Everything that is known of one skill.
pub(crate) struct Skill {
    /// The path of the library.
    pub(crate) krate: TokenStream,
    /// The function to call.
    pub(crate) callee: TokenStream,
    /// The name of the tool.
    pub(crate) name: String,
    /// The type of `self`, for methods.
    pub(crate) self_ty: Option<TokenStream>,
    pub(crate) args: SkillArgs,
    pub(crate) docs: Documentation,
    pub(crate) signature: Signature,
    /// Whether the function is deprecated.
    pub(crate) deprecated: bool,
}

impl Skill {
    /// A skill that calls `callee`.
    pub(crate) fn new(krate: TokenStream, callee: TokenStream, analysis: Analysis) -> Self {
        let Analysis {
            args,
            signature,
            docs,
            name,
            deprecated,
        } = analysis;
        Self {
            krate,
            callee,
            name,
            self_ty: None,
            args,
            docs,
            signature,
            deprecated,
        }
    }
}

/// The name of the tool, checked. A bad name of the function is reported unless `name` replaces it.
fn wire_name(args: &SkillArgs, ident: &Ident, diagnostics: &mut Diagnostics) -> String {
    let namespace = args.namespace.as_ref().map(LitStr::value);
    let namespace = namespace.as_deref();
    if let Some(name) = &args.name {
        if let Some(objection) = names::objection(&name.value(), namespace, true) {
            diagnostics.at(name, objection);
        }
        return name.value();
    }
    let name = ident.unraw().to_string();
    if !args.name_is_wrong
        && let Some(objection) = names::objection(&name, namespace, false)
    {
        diagnostics.at(ident, objection);
    }
    name
}
