//! What the compiler says to users: one mistake, one error, at the token that is wrong.

#[test]
fn mistakes_are_explained_by_the_compiler() {
    trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
}

#[test]
fn odd_but_legal_programs_compile_and_hold() {
    trybuild::TestCases::new().pass("ui/pass/*.rs");
}
