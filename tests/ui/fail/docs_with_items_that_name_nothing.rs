use codex_skills::skill;

/// Look up a ticket.
///
/// # Arguments
///
/// * just words about the arguments
/// * `ticket` - the ticket
#[skill]
fn lookup(ticket: String) {
    drop(ticket);
}

fn main() {}
