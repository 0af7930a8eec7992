use codex_skills::skill;

#[skill(input_schema = r#"{
    "type": "object",
    "properties": {,}
}"#)]
fn lookup() {}

#[skill(output_schema = "[]")]
fn close() {}

fn main() {}
