//! Collects what is wrong with independent parts of the input, so that all of it is reported at once.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Diagnostics {
    errors: Option<syn::Error>,
}

impl Diagnostics {
    /// Adds a mistake.
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.errors {
            Some(errors) => errors.combine(error),
            None => self.errors = Some(error),
        }
    }

    /// Adds a mistake that covers `tokens`.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds a mistake at one token.
    pub(crate) fn at_span(&mut self, span: Span, message: impl Display) {
        self.push(syn::Error::new(span, message));
    }

    /// The value, or its mistake kept for the report.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_none()
    }

    /// How much is wrong so far.
    pub(crate) fn len(&self) -> usize {
        self.errors.iter().flatten().count()
    }

    /// The report: a `compile_error!` for each mistake.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.errors
            .map(|errors| errors.to_compile_error())
            .unwrap_or_default()
    }
}

/// Runs a macro. A panic in it becomes an error that asks for a report, after `fallback`: the item as
/// the user wrote it.
pub(crate) fn guarded(
    name: &str,
    fallback: TokenStream,
    expand: impl FnOnce() -> TokenStream,
) -> TokenStream {
    catch_unwind(AssertUnwindSafe(expand)).unwrap_or_else(|_| {
        let message = format!(
            "{name} failed in a way that it should not\nhelp: this is a defect of codex-skills; please report it with the code above"
        );
        let error = syn::Error::new(Span::call_site(), message).to_compile_error();
        quote!(#fallback #error)
    })
}

/// The entry of `known` that `given` was probably meant to be.
pub(crate) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(name, given), name))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// Names for a message: `` `a`, `b` ``.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::guarded;

    #[test]
    fn a_panic_leaves_the_item_and_asks_for_a_report() {
        let expansion = guarded(
            "#[skill]",
            quote!(
                fn lookup() {}
            ),
            || std::panic::resume_unwind(Box::new(())),
        );
        let expansion = expansion.to_string();
        assert!(expansion.starts_with("fn lookup () { }"), "{expansion}");
        assert!(expansion.contains("please report it"), "{expansion}");
    }
}
