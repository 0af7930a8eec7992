mod weather {
    #[codex_skills::skill]
    pub fn weather() {}
}

use weather::weather;

fn main() {
    weather();
}
