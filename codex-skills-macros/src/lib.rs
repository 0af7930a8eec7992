//! The macros of codex-skills. Use them through `codex_skills`.

mod diagnostics;
mod lifecycle;
mod list;
mod methods;
mod options;
mod skill;

use proc_macro::TokenStream;

/// Makes a function a skill.
#[proc_macro_attribute]
pub fn skill(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    diagnostics::guarded("#[skill]", item.clone(), || {
        match syn::parse2::<syn::ItemImpl>(item.clone()) {
            Ok(block) => methods::expand(args.into(), block),
            Err(_) => skill::attribute::expand(args.into(), item),
        }
    })
    .into()
}

#[doc(hidden)]
#[proc_macro]
pub fn skills_list(input: TokenStream) -> TokenStream {
    diagnostics::guarded("skills!", proc_macro2::TokenStream::new(), || {
        list::expand(input.into())
    })
    .into()
}

#[doc(hidden)]
#[proc_macro]
pub fn lifecycle_block(input: TokenStream) -> TokenStream {
    diagnostics::guarded("lifecycle!", proc_macro2::TokenStream::new(), || {
        lifecycle::expand(input.into())
    })
    .into()
}
