fn main() {
    let draft = codex_skills::Draft::new();
    draft.sync_runtime();
}
