//! What of the documentation is for the model.
use codex_skills::{SkillSet, skill};

/// Look up a ticket.
///
/// By its id:
/// ```sh
/// # not a heading
/// ```
///
/// # Arguments
///
/// * `id` - the id,
///   with a dash
/// - count: how many
///
/// # Errors
///
/// Never.
///
/// # Returns
///
/// The ticket.
///
/// And its status.
#[skill]
fn lookup(
    id: String,
    /// Its own words.
    count: u8,
    plain: bool,
) -> String {
    format!("{id}{count}{plain}")
}

/** Close a ticket.

    By its id.

    # Panics

    Never.
*/
#[skill]
fn close() {}

#[doc = "Open"]
#[doc = " a ticket."]
#[doc = concat!("Or ", "two.")]
#[skill]
fn open() {}

#[skill]
fn silent() {}

/// # Open a drawer
///
/// ## Examples
#[skill]
fn headings_only() {}

fn main() {
    let [skill] = lookup::SKILLS else { panic!() };
    assert_eq!(
        skill.description(),
        "Look up a ticket.\n\nBy its id:\n```sh\n# not a heading\n```"
    );
    assert_eq!(skill.output_description(), Some("The ticket.\n\nAnd its status."));
    let descriptions: Vec<_> = skill.parameters().iter().map(|p| p.description()).collect();
    assert_eq!(descriptions, [Some("the id, with a dash"), Some("Its own words."), None]);

    assert_eq!(close::SKILLS[0].description(), "Close a ticket.\n\nBy its id.");
    assert_eq!(open::SKILLS[0].description(), "Open\na ticket.\nOr two.");
    assert_eq!(silent::SKILLS[0].description(), "Remote skill silent");
    assert!(!silent::SKILLS[0].is_documented());
    assert_eq!(headings_only::SKILLS[0].description(), "Open a drawer");
    close();
    open();
    silent();
    headings_only();
    lookup(String::new(), 1, true);
}
