fn main() {
    let draft = codex_skills::Draft::new();
    draft.send_prepared("Use lookup.");
}
