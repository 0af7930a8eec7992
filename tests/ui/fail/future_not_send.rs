use codex_skills::skill;

use std::rc::Rc;

async fn wait() {}

#[skill]
async fn lookup(id: String) -> usize {
    let id = Rc::new(id);
    wait().await;
    id.len()
}

fn main() {}
