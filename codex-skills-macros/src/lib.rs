//! The macros of codex-skills. Use them through `codex_skills`.

mod diagnostics;
#[cfg(test)]
mod expansions;
mod hygiene;
mod lifecycle;
mod list;
mod methods;
mod options;
mod skill;

use proc_macro::TokenStream;

/// Makes a function, or the methods of a type, skills that the model can call.
///
/// ```
/// use codex_skills::{SkillSet, skill};
///
/// # #[derive(Clone, serde::Serialize, schemars::JsonSchema)]
/// # struct Ticket(String);
/// # struct Db(Vec<Ticket>);
/// /// Look up a ticket by its stable id.
/// ///
/// /// # Returns
/// /// The ticket and its current status.
/// #[skill(timeout = "20s")]
/// async fn lookup_ticket(
///     /// Stable ticket identifier, for example `ABC-123`.
///     ticket_id: String,
///     /// How many comments to include.
///     #[skill(default = 5)]
///     comments: u8,
///     #[state] db: &Db,
/// ) -> Result<Ticket, String> {
///     # let _ = comments;
///     let found = db.0.iter().find(|ticket| ticket.0 == ticket_id);
///     found.cloned().ok_or(format!("there is no ticket {ticket_id}"))
/// }
///
/// let skill = lookup_ticket::SKILLS[0];
/// assert_eq!(skill.description(), "Look up a ticket by its stable id.");
/// assert_eq!(skill.parameters().len(), 2);
/// ```
///
/// The function stays as it is, and can be called and tested. Beside it comes a type of the same name,
/// so that `use tickets::lookup_ticket`, `skills![lookup_ticket]` and `skills: [lookup_ticket]` name the function and
/// the skill at once. (It takes the name among types and modules: a module beside it needs another name.)
/// The skill registers itself for discovery.
///
/// A function that is not `async` runs on the pool for blocking code.
///
/// # Options of a function
///
/// | option | meaning |
/// |---|---|
/// | `name = "lookup-ticket"` | the name of the tool; otherwise that of the function |
/// | `namespace = "tickets"` | the namespace of the tool, which the model calls as `tickets.lookup`; otherwise that of the draft, if it has one. A tool in a namespace of its own may have the name of one of codex's |
/// | `defer` | keep the tool off the list that the model reads, which finds it by searching its tools; needs a namespace, of its own or of the draft, which sealing checks |
/// | `description = "…"` | what the model reads, as any constant expression; otherwise the documentation |
/// | `input_schema = …` | a schema that replaces the one of the parameters: JSON text, a `serde_json::Value` or a `schemars::Schema`, as any expression |
/// | `output_schema = …` | a schema that replaces the one of the return type |
/// | `output_description = "…"` | what the answer means, as any constant expression; otherwise the section `# Returns` |
/// | `group = "tickets"` | the group for discovery |
/// | `timeout = "1m30s"` | the deadline of a call, in `ms`, `s`, `m` and `h`; otherwise the session's |
/// | `inline` | run a function that is not `async` on the spot: for those that neither block nor compute for long, since no deadline can interrupt them |
/// | `exclusive` | run calls of this skill one at a time, in the order of their arrival; waiting counts against the deadline |
/// | `read_only` | a hint that the skill changes nothing |
/// | `whole_answer` | an answer of which codex would show its model a part is a failure that asks for less |
/// | `crate = path` | where the library is, unless at `::codex_skills` |
///
/// # Parameters
///
/// The model fills parameters of types that implement `serde::Deserialize` and `schemars::JsonSchema`, and `&str`,
/// `&[T]`, `Option<&str>` and `Option<&[T]>`. `Option` parameters may be left out.
///
/// | on a parameter | meaning |
/// |---|---|
/// | `/// words` | its description for the model |
/// | `#[skill(default)]`, `#[skill(default = 5)]` | may be left out, and has this value then, which the schema shows; for an `Option`, a literal is what is in it |
/// | `#[skill(rename = "ticketId")]` | its name for the model |
/// | `#[serde(..)]`, `#[schemars(..)]` | as on the field of a struct, for example `#[schemars(range(min = 1, max = 20))]` |
/// | `#[state]` | given by the program and not by the model: `&T`, `&dyn Trait` or `Arc<T>` |
/// | `#[context]` | the call itself: `&SkillContext` or `SkillContext` |
///
/// # Documentation
///
/// The model reads the doc comment up to its first heading, and where it begins with a title, that and what is below
/// it. The list items of `# Arguments` (``* `name` - text``) describe parameters without a doc comment of their own,
/// `# Returns` describes the answer, and other sections are not for the model. Texts of `#[doc = include_str!(..)]`,
/// `#[doc = concat!(..)]` and constants are read like those of doc comments.
///
/// # Answers
///
/// `String` and `&str` are sent as they are, `()` and `None` as `null`, other `serde::Serialize` types as compact JSON, and
/// `SkillOutput` carries images, audio and several items. In a `Result`, the error must implement `Display`: that is
/// what the model reads.
///
/// # Methods
///
/// On an `impl` block (one a type), `#[skill]` takes the options `namespace`, `defer` and `group`, which count for all
/// skills in it that do not say otherwise, and `crate`. The methods annotated in the block are skills with the
/// value behind `&self` (or `self: Arc<Self>`) as their state, and the type itself is their name in lists. The
/// documentation of a block with a namespace tells the model what that is for.
///
/// ```
/// use codex_skills::skill;
/// # struct Desk;
///
/// #[skill(group = "tickets")]
/// impl Desk {
///     /// Close a ticket.
///     #[skill]
///     async fn close(&self, ticket_id: String) -> bool {
///         self.knows(&ticket_id)
///     }
///
///     fn knows(&self, ticket_id: &str) -> bool {
///         ticket_id.contains('-')
///     }
/// }
///
/// assert_eq!(codex_skills::skills![Desk].iter().count(), 1);
/// ```
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

/// The list of names that codex keeps, and what asks it, as items: so both crates have one list, and each can be
/// packaged alone.
#[doc(hidden)]
#[proc_macro]
pub fn built_in_tools(_: TokenStream) -> TokenStream {
    include_str!("skill/built_in.rs")
        .parse()
        .unwrap_or_default()
}

/// What reads documentation, as items: for texts that only the compiler knows.
#[doc(hidden)]
#[proc_macro]
pub fn documentation_sections(_: TokenStream) -> TokenStream {
    include_str!("skill/sections.rs")
        .parse()
        .unwrap_or_default()
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
