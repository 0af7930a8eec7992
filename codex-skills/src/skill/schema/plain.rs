//! Types whose decoding enforces all that their schema says, so that a call of them needs no check before.

use crate::skill::descriptor::ParameterDescriptor;

/// Types that read exactly what their schema allows. No `f32`, which reads what is beyond it, and nothing with members.
const LEAVES: [&str; 13] = [
    "bool",
    "i8",
    "i16",
    "i32",
    "i64",
    "isize",
    "u8",
    "u16",
    "u32",
    "u64",
    "usize",
    "f64",
    "alloc::string::String",
];

/// Whether decoding enforces all that the parameters' schemas say.
pub(super) fn are_enforced(parameters: &[ParameterDescriptor]) -> bool {
    !parameters.is_empty()
        && parameters
            .iter()
            .all(|parameter| is_enforced((parameter.type_name)()))
}

/// By its name, of which the compiler makes no promise: an unknown one is checked before it is decoded.
fn is_enforced(name: &str) -> bool {
    let inner = |container: &str| name.strip_prefix(container)?.strip_suffix('>');
    let inner = inner("core::option::Option<").or_else(|| inner("alloc::vec::Vec<"));
    LEAVES.contains(&name) || inner.is_some_and(is_enforced)
}

#[cfg(test)]
mod tests {
    use super::is_enforced;

    #[test]
    fn std_types_are_known_by_their_names_and_no_others() {
        let name = std::any::type_name::<Option<Vec<Option<String>>>>();
        assert!(is_enforced(name), "{name}");
        assert!(is_enforced(std::any::type_name::<usize>()));
        for name in [
            std::any::type_name::<f32>(),
            std::any::type_name::<u128>(),
            std::any::type_name::<std::num::NonZeroU8>(),
            std::any::type_name::<Vec<(u8, u8)>>(),
            std::any::type_name::<serde_json::Value>(),
            "alloc::vec::Vec<u8",
        ] {
            assert!(!is_enforced(name), "{name}");
        }
    }
}
