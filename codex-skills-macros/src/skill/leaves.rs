//! The named types inside of well-known ones: `Inner` in `Vec<Option<Inner>>`. An error about a parameter belongs
//! there.

use syn::{PathArguments, Type, TypePath};

use super::types::{arguments, unwrapped, written};

/// Types that the model can fill for sure.
const FILLABLE: [&str; 17] = [
    "String", "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8",
    "u16", "u32", "u64", "u128", "usize",
];

/// Types that the model can fill if it can fill what is in them.
const CONTAINERS: [&str; 11] = [
    "Arc",
    "BTreeMap",
    "BTreeSet",
    "Box",
    "HashMap",
    "HashSet",
    "LinkedList",
    "Option",
    "Rc",
    "Vec",
    "VecDeque",
];

/// Whether the model can fill a type for sure, as far as its name tells.
pub(crate) fn is_fillable(ty: &Type) -> bool {
    match container(ty) {
        Some(mut inside) => inside.all(is_fillable),
        None => matches!(
            unwrapped(ty),
            Type::Path(path) if FILLABLE.iter().any(|name| path.path.is_ident(name)) || is_string(path)
        ),
    }
}

/// Whether a type is the `::std::string::String` that we write for `str`.
fn is_string(path: &TypePath) -> bool {
    path.path.leading_colon.is_some() && written(path) == "::std::string::String"
}

/// The types to ask about before the whole one is: none, if it is no container.
pub(crate) fn of(ty: &Type) -> Vec<&Type> {
    let mut found = Vec::new();
    if let Some(inside) = parts(ty) {
        inside.for_each(|part| collect(part, &mut found));
    }
    found
}

fn collect<'a>(ty: &'a Type, found: &mut Vec<&'a Type>) {
    if is_fillable(ty) || is_unsized(ty) {
        return;
    }
    match parts(ty) {
        Some(inside) => inside.for_each(|part| collect(part, found)),
        None => found.push(ty),
    }
}

/// Whether a type stands behind a pointer only, as in `Box<str>`: then the pointer is what deserializes or not.
fn is_unsized(ty: &Type) -> bool {
    const NAMES: [&str; 4] = ["CStr", "OsStr", "Path", "str"];
    match unwrapped(ty) {
        Type::TraitObject(_) => true,
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| NAMES.iter().any(|name| last.ident == name)),
        _ => false,
    }
}

type Parts<'a> = Box<dyn Iterator<Item = &'a Type> + 'a>;

/// The parts of anything that has some, also where it has too many to be filled.
fn parts(ty: &Type) -> Option<Parts<'_>> {
    match unwrapped(ty) {
        Type::Tuple(tuple) if !tuple.elems.is_empty() => Some(Box::new(tuple.elems.iter())),
        Type::Array(array) => Some(Box::new(std::iter::once(&*array.elem))),
        Type::Slice(slice) => Some(Box::new(std::iter::once(&*slice.elem))),
        ty => container(ty),
    }
}

/// The type arguments of a container. Others than the first are hashers or allocators, except for maps.
fn container(ty: &Type) -> Option<Parts<'_>> {
    let Type::Path(path) = unwrapped(ty) else {
        return None;
    };
    let last = path.path.segments.last()?;
    let is_generic = matches!(last.arguments, PathArguments::AngleBracketed(_));
    if !is_generic || !CONTAINERS.iter().any(|name| last.ident == name) {
        return None;
    }
    let count = if last.ident.to_string().ends_with("Map") {
        2
    } else {
        1
    };
    Some(Box::new(arguments(&last.arguments).take(count)))
}
