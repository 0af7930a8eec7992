//! The macros' output as a reviewer can read it: `expansions/NAME.rs` is what `NAME` below expands to.
//! `UPDATE_EXPANSIONS=1 cargo test -p codex-skills-macros` writes the files anew.

use std::path::Path;

use proc_macro2::TokenStream;
use quote::quote;

fn check(name: &str, expansion: TokenStream) -> Result<(), Box<dyn std::error::Error>> {
    let readable = prettyplease::unparse(&syn::parse2(expansion)?);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("expansions/{name}.rs"));
    if std::env::var_os("UPDATE_EXPANSIONS").is_some() {
        std::fs::write(&file, &readable)?;
    }
    let kept = std::fs::read_to_string(&file)?;
    assert_eq!(readable, kept, "{} differs", file.display());
    Ok(())
}

#[test]
fn of_a_function() -> Result<(), Box<dyn std::error::Error>> {
    check(
        "function",
        crate::skill::attribute::expand(
            quote!(group = "tickets", timeout = "20s", exclusive),
            quote! {
                /// Look up a ticket.
                ///
                /// # Returns
                /// The ticket.
                pub async fn lookup(
                    /// Stable ticket identifier.
                    ticket_id: &str,
                    #[skill(default = 5)] comments: u8,
                    #[state] db: &Db,
                    #[context] cx: &SkillContext,
                ) -> Result<Ticket, LookupError> {
                    db.find(ticket_id, comments).await
                }
            },
        ),
    )
}

#[test]
fn of_a_function_with_derived_arguments() -> Result<(), Box<dyn std::error::Error>> {
    check(
        "derived_arguments",
        crate::skill::attribute::expand(
            quote!(inline),
            quote! {
                fn page(#[schemars(range(min = 1, max = 20))] #[skill(default = 10)] size: u8) -> u8 {
                    size
                }
            },
        ),
    )
}

#[test]
fn of_an_impl_block() -> Result<(), Box<dyn std::error::Error>> {
    check(
        "impl_block",
        crate::methods::expand(
            quote!(group = "tickets", namespace = "tickets", defer),
            syn::parse_quote! {
                /// What customers complain about.
                impl Desk {
                    #[skill]
                    async fn close(&self, ticket: Ticket) -> Result<Self, DeskError> {
                        self.db.close(ticket).await
                    }

                    fn plain(&self) {}
                }
            },
        ),
    )
}

#[test]
fn of_a_lifecycle_block() -> Result<(), Box<dyn std::error::Error>> {
    let block = crate::lifecycle::expand(quote! {
        codex_skills; codex, skills: [lookup, tickets::close], state: Db::open(), cwd: ".", |run| {
            run.send_and_handle("Use lookup for ABC-123.").await
        }
    });
    check("lifecycle_block", quote!(fn block() { #block }))
}

#[test]
fn of_a_function_with_a_mistake() -> Result<(), Box<dyn std::error::Error>> {
    check(
        "mistake",
        crate::skill::attribute::expand(
            quote!(nmae = "find"),
            quote! {
                fn lookup(#[skill(default)] id: String) {}
            },
        ),
    )
}
