//! No name of the prelude is taken for granted.
#![no_implicit_prelude]

mod shadows {
    #![allow(dead_code)]
    pub struct String;
    pub struct Option;
    pub struct Result;
    pub struct Vec;
    pub struct Box;
    pub struct Some;
    pub struct Send;
    pub enum None {}
    pub enum Ok {}
    pub enum Err {}
    pub mod core {}
    pub mod std {}
    pub mod codex_skills {}
    pub mod serde {}
    pub mod schemars {}
    #[allow(non_camel_case_types)]
    pub struct bool;
}
#[allow(unused_imports)]
use shadows::*;

/// Look up a ticket.
#[::codex_skills::skill(timeout = "3s", group = "tickets")]
async fn lookup(
    id: &str,
    ids: &[u8],
    name: ::std::string::String,
    #[skill(default = "x")] default: ::std::string::String,
    #[skill(default)] count: u8,
    note: ::core::option::Option<&str>,
    #[state] state: &u8,
    #[context] context: &::codex_skills::SkillContext,
) -> ::core::result::Result<u8, ::std::string::String> {
    let _ = (id, ids, name, default, count, note, state, context);
    ::core::result::Result::Ok(1)
}

#[::codex_skills::skill(inline, output_schema = "{}", input_schema = "{}")]
fn sum(id: u8) -> u8 {
    id
}

struct Desk;

#[::codex_skills::skill]
impl Desk {
    #[skill]
    fn close(&self, other: u8) -> u8 {
        other
    }
}

fn main() {
    let list = ::codex_skills::skills![lookup, sum, Desk];
    ::std::assert_eq!(::std::iter::Iterator::count(list.iter()), 3);
    sum(1);
}
