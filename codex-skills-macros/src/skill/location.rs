//! Where a skill was written: the file, line and column of the function's name.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use crate::hygiene::ours;

/// The location as an expression. `line!()` would name the outermost macro call instead.
pub(crate) fn of(span: Span, krate: &TokenStream) -> TokenStream {
    if !proc_macro::is_available() {
        return quote_spanned!(ours()=> #krate::Location { file: "", line: 0, column: 0 });
    }
    // Not that of an `Option`: the span as the compiler has it, which exists inside of a macro.
    let span = span.unwrap();
    let file = span.file();
    let line = u32::try_from(span.line()).unwrap_or(u32::MAX);
    let column = u32::try_from(span.column()).unwrap_or(u32::MAX);
    quote_spanned!(ours()=> #krate::Location { file: #file, line: #line, column: #column })
}
