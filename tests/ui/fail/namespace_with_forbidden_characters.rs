use codex_skills::skill;

#[skill(namespace = "help desk")]
fn lookup() {}

struct Desk;

#[skill(namespace = "help.desk")]
impl Desk {
    #[skill]
    fn close(&self) {}

    #[skill]
    fn wait(&self) {}
}

fn main() {}
