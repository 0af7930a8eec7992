//! A library of skills, for programs that take them from another crate.

use codex_skills::skill;

/// Say it loudly.
#[skill(group = "library")]
#[must_use]
pub fn shout(text: &str) -> String {
    text.to_uppercase()
}

/// Say it quietly.
#[skill(group = "library")]
#[allow(clippy::unused_async, reason = "a skill may be async")]
pub async fn whisper(text: String) -> String {
    text.to_lowercase()
}

/// A desk.
#[derive(Clone, Copy, Debug)]
pub struct Desk;

#[skill(group = "library")]
impl Desk {
    /// Greet a person.
    #[skill]
    #[must_use]
    pub fn greet(&self, name: &str) -> String {
        format!("Hello, {name}!")
    }
}
