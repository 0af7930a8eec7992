//! Names, types, documentation and values that come through `macro_rules!`.
use codex_skills::{skill, skills};

macro_rules! getter {
    ($(#[$meta:meta])* $vis:vis $name:ident($parameter:ident: $ty:ty = $default:expr) -> $output:ty, $tool:literal, $description:expr) => {
        $(#[$meta])*
        #[skill(name = $tool, description = $description)]
        $vis async fn $name(id: String, #[skill(default = $default)] $parameter: $ty) -> $output {
            let _ = id;
            $parameter.clone().into()
        }
    };
}

getter!(#[doc = "x"] pub get_count(count: u8 = 3) -> u64, "count", "Get a count.");
getter!(get_name(name: String = "x") -> Option<String>, "name", "Get a name.");

macro_rules! fixed {
    () => {
        #[skill]
        fn fixed(id: &str) -> String {
            id.to_owned()
        }
    };
}
fixed!();

macro_rules! listed {
    ($($path:path),*) => { skills![$($path),*] };
}

fn main() {
    let list = listed![get_count, self::get_name, fixed];
    let found: Vec<_> = list.iter().map(|skill| (skill.name(), skill.description())).collect();
    assert_eq!(
        found,
        [("count", "Get a count."), ("name", "Get a name."), ("fixed", "Remote skill fixed")]
    );
    assert_eq!(list.iter().next().unwrap().parameters()[1].name(), "count");
    fixed("");
}
