use codex_skills::skill;

/// Find tickets.
#[skill]
fn find(
    #[serde(defalt)] limit: u8,
    #[schemars(rnge(min = 1))] page: u8,
    #[schemars(example = pair::<u8, u8>(), length(min = 1))] name: String,
) -> u8 {
    limit + page
}

/// What is given twice.
#[skill]
fn twice(
    #[skill(default = 3)]
    #[serde(default)]
    limit: u8,
    #[skill(rename = "first")]
    #[serde(rename = "begin")]
    page: u8,
) -> u8 {
    limit + page
}

fn main() {}
