fn main() {
    let draft = codex_skills::Draft::new();
    draft.prepare_catalog();
}
