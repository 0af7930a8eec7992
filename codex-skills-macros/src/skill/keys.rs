//! Keys of maps. The names in a JSON object are texts, from which not every key can be read: serde would say so
//! when the skill is called, and its schema nothing.

use syn::{GenericArgument, PathArguments, Type};

use super::types::unwrapped;

const MAPS: [&str; 3] = ["BTreeMap", "HashMap", "IndexMap"];
const COLLECTIONS: [&str; 7] = [
    "BTreeMap", "BTreeSet", "HashMap", "HashSet", "IndexMap", "Vec", "VecDeque",
];

/// The first key in a type, as it is written, that no text can be.
pub(crate) fn not_a_name(ty: &Type) -> Option<&Type> {
    match unwrapped(ty) {
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let PathArguments::AngleBracketed(arguments) = &last.arguments else {
                return None;
            };
            let mut types = arguments.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            let first = types.next()?;
            if MAPS.iter().any(|map| last.ident == map) && is_composed(first) {
                return Some(first);
            }
            not_a_name(first).or_else(|| types.find_map(not_a_name))
        }
        Type::Reference(reference) => not_a_name(&reference.elem),
        Type::Slice(slice) => not_a_name(&slice.elem),
        Type::Array(array) => not_a_name(&array.elem),
        Type::Tuple(tuple) => tuple.elems.iter().find_map(not_a_name),
        _ => None,
    }
}

/// Whether the values of a type are written as arrays, objects or `null`.
fn is_composed(ty: &Type) -> bool {
    match unwrapped(ty) {
        Type::Tuple(_) | Type::Array(_) | Type::Slice(_) => true,
        Type::Path(path) => path.path.segments.last().is_some_and(|last| {
            let is_generic = !last.arguments.is_none();
            is_generic && COLLECTIONS.iter().any(|name| last.ident == name)
        }),
        _ => false,
    }
}
