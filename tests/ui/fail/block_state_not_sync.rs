use codex_skills::skill;

struct Desk(std::cell::RefCell<u8>);

#[skill]
impl Desk {
    #[skill]
    async fn lookup(&self) -> u8 {
        *self.0.borrow()
    }

    #[skill]
    fn close(&self) -> u8 {
        *self.0.borrow()
    }
}

fn main() {}
