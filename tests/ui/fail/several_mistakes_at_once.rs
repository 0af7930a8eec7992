use codex_skills::{skill, skills};

/// # Arguments
///
/// * `tiket` - the ticket
#[skill(name = "exec", timout = "30s", group = "")]
async fn lookup<T>(ticket: String, db: &u8, (a, b): (u8, u8), #[skill(defualt)] count: u8) -> impl Sized {
    let _ = (ticket, db, a, b, count);
}

fn caller() {
    // The function itself is there all the same.
    let _ = skills![lookup];
}

fn main() {
    caller();
}
