use codex_skills::skill;

/// Look up a ticket.
///
/// # Arguments
///
/// * `tiket` - the ticket
/// * `colour` - an unused setting
/// * `db` - the database
#[skill]
fn lookup(ticket: String, #[state] db: &u8) {
    let _ = (ticket, db);
}

/// # Arguments
///
/// * `ticket` - the ticket
#[skill]
fn close() {}

fn main() {}
