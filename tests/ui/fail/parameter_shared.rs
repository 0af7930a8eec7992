use std::sync::{Arc, Mutex, RwLock};

use codex_skills::skill;

#[skill]
fn count(total: Arc<Mutex<u32>>) {
    drop(total);
}

#[skill]
fn look(names: std::sync::RwLock<Vec<String>>) {
    drop(names);
}

fn main() {
    let _: Option<RwLock<u8>> = None;
    count(Arc::default());
    look(Default::default());
}
