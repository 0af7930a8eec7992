//! Names of types as their author wrote them.

/// The name of a state's type, without the paths that make it hard to read.
pub(super) fn short_type_name(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    // Where the path that is being read starts, and those around it.
    let (mut start, mut around) = (0, Vec::new());
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ':' if letters.peek() == Some(&':') => {
                letters.next();
                short.truncate(start);
            }
            '<' | '(' | '[' => {
                short.push(letter);
                around.push(start);
                start = short.len();
            }
            '>' if short.ends_with('-') => {
                short.push(letter);
                start = short.len();
            }
            '>' | ')' | ']' => {
                short.push(letter);
                start = around.pop().unwrap_or_default();
            }
            ' ' | ',' | ';' | '&' | '*' => {
                short.push(letter);
                start = short.len();
            }
            _ => short.push(letter),
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::short_type_name;

    #[test]
    fn types_are_named_without_paths_whatever_they_are_inside_of() {
        for (name, short) in [
            ("app::Db", "Db"),
            ("Db", "Db"),
            ("app::main::{{closure}}::Db", "Db"),
            (
                "app::main::{{closure}}::{{closure}}::Pool<app::f::{{closure}}::Db>",
                "Pool<Db>",
            ),
            ("<app::Desk as app::Work>::run::{{closure}}::Db", "Db"),
            ("<app::Desk<app::X>>::run::Db", "Db"),
            ("app::{impl#3}::run::Db", "Db"),
            ("dyn app::Store + core::marker::Send", "dyn Store + Send"),
            ("&'static [a::B]", "&'static [B]"),
            ("alloc::vec::Vec<(a::B, c::D)>", "Vec<(B, D)>"),
            (
                "fn(a::B) -> core::option::Option<c::D>",
                "fn(B) -> Option<D>",
            ),
            ("[a::B; 3]", "[B; 3]"),
            ("*const a::B", "*const B"),
            ("str", "str"),
        ] {
            assert_eq!(short_type_name(name), short, "{name}");
        }
    }
}
