//! The methods of a type as skills, and what may stand beside them.
use std::sync::Arc;

use codex_skills::{SkillSet, skill};

#[derive(Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Ticket(String);

struct Desk<T>(T);

#[skill(group = "desk")]
impl Desk<Ticket> {
    const LIMIT: usize = 3;

    /// Look up.
    #[skill]
    async fn lookup(&self, #[skill(default = Self::LIMIT)] limit: usize) -> Result<Ticket, std::fmt::Error> {
        let _ = limit;
        Ok(self.0.clone())
    }

    /// Compare.
    #[skill(name = "compare-tickets", group = "other", inline)]
    pub fn compare(self: &Self, others: [Ticket; Self::LIMIT]) -> bool {
        self.plain(&others[0].0)
    }

    /// Keep.
    #[skill]
    async fn keep(self: Arc<Self>, #[state] other: Arc<Desk<u8>>) -> u8 {
        other.0
    }

    /// Has no receiver.
    #[skill]
    fn version(#[state] desk: &Self) -> String {
        desk.0.0.clone()
    }

    #[cfg(any())]
    #[skill]
    fn never(&self, x: DoesNotExist) {}

    fn plain(&self, id: &str) -> bool {
        self.0.0 == id
    }
}

fn main() {
    let skills = <Desk<Ticket> as SkillSet>::SKILLS;
    let names: Vec<_> = skills.iter().map(|s| (s.name(), s.group().unwrap())).collect();
    assert_eq!(
        names,
        [("lookup", "desk"), ("compare-tickets", "other"), ("keep", "desk"), ("version", "desk")]
    );
    let list = codex_skills::skills![Desk::<Ticket>];
    assert_eq!(list.iter().count(), 4);
}
