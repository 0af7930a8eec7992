use codex_skills::skill;

/// Check a signature.
#[skill]
fn check(signature: [u8; 64]) -> bool {
    signature[0] == 0
}

fn main() {}
