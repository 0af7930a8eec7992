use codex_skills::skill;

#[skill]
fn lookup<const N: usize>(ids: [u8; N]) {
    let _ = ids;
}

fn main() {}
