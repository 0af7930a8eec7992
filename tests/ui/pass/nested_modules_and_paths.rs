//! A path names the function and the skill at once.
use codex_skills::skills;

mod tickets {
    pub mod lookup {
        /// Look up.
        #[codex_skills::skill]
        pub(in crate::tickets) fn by_id(id: super::Id) -> u64 {
            id.0
        }

        /// Look up by name.
        #[codex_skills::skill]
        pub(crate) fn by_name(name: String) -> String {
            name
        }
    }

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    pub struct Id(pub u64);

    pub(super) use lookup::by_name as find;

    pub(crate) fn all() -> usize {
        codex_skills::skills![lookup::by_id, self::lookup::by_name].iter().count()
    }

    pub fn call() -> u64 {
        lookup::by_id(Id(3))
    }
}

use tickets::find;

fn main() {
    let names: Vec<_> = skills![find, crate::tickets::lookup::by_name].iter().map(|s| s.name()).collect();
    assert_eq!(names, ["by_name", "by_name"]);
    assert_eq!(tickets::all(), 2);
    assert_eq!(tickets::call(), 3);
    assert_eq!(find("a".into()), "a");
}
