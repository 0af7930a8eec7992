use codex_skills::skill;

#[skill]
fn search(
    #[default = 5] limit: u32,
    #[rename = "perPage"] size: u8,
    #[default] page: u8,
    #[description = "what to look for"] text: String,
) -> String {
    format!("{text} {limit} {size} {page}")
}

fn main() {}
