//! The library under another name, and through a re-export.
extern crate codex_skills as renamed;

mod vendored {
    pub use renamed::*;
}

#[renamed::skill(crate = renamed)]
async fn lookup(id: &str, #[schemars(length(max = 3))] name: String) -> String {
    format!("{id}{name}")
}

#[vendored::skill(crate = crate::vendored)]
fn close(#[skill(default = 3)] id: u8) -> u8 {
    id
}

struct Desk;

#[renamed::skill(crate = vendored)]
impl Desk {
    #[skill]
    fn open(&self) {}
}

fn main() {
    let list = renamed::skills![lookup, close];
    assert_eq!(list.iter().count(), 2);
    assert_eq!(vendored::skills![Desk].iter().next().unwrap().name(), "open");
    close(1);
}
