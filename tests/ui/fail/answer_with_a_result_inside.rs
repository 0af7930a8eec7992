use codex_skills::skill;

#[skill]
fn nested() -> Result<Result<u8, String>, String> {
    Ok(Err("bad".to_owned()))
}

#[skill]
async fn optional() -> Option<Result<u8, String>> {
    Some(Err("bad".to_owned()))
}

#[skill]
fn deep() -> Result<Option<Option<Result<u8, String>>>, String> {
    Ok(None)
}

fn main() {}
