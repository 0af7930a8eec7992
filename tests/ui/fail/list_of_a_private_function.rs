mod tickets {
    #[codex_skills::skill]
    fn close(id: u64) {}
}

fn main() {
    let _ = codex_skills::skills![tickets::close];
}
