use codex_skills::skill;

struct Ticket;

#[skill]
async fn lookup() -> Ticket {
    Ticket
}

#[skill]
fn find() -> Result<Ticket, String> {
    Ok(Ticket)
}

fn main() {}
