use codex_skills::skill;

/// # Returns
///
/// The ticket.
#[skill]
fn lookup() -> u8 {
    1
}

/// # Returns
/// The ticket.
#[skill(description = "Look up a ticket.")]
fn fine() {}

#[skill(description = 5 + 5)]
fn number() {}

fn main() {}
