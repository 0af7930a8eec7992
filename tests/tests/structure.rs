//! The structure of the library: which files use which, without circles but for those that are listed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A path of a module or an item below the root of its crate.
type Place = Vec<String>;

/// The files of a crate, by module.
struct Sources {
    files: BTreeMap<Place, String>,
    texts: BTreeMap<Place, String>,
    /// What `pub use` gives another name, and what it stands for.
    aliases: BTreeMap<Place, Place>,
}

impl Sources {
    fn read(root: &Path) -> Self {
        let mut sources = Self {
            files: BTreeMap::new(),
            texts: BTreeMap::new(),
            aliases: BTreeMap::new(),
        };
        sources.read_folder(root, root);
        for module in sources.files.keys().cloned().collect::<Vec<_>>() {
            for import in sources.imports(&module) {
                if import.is_public {
                    let mut name = module.clone();
                    name.push(import.name);
                    sources.aliases.insert(name, import.target);
                }
            }
        }
        sources
    }

    fn read_folder(&mut self, root: &Path, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.read_folder(root, &path);
                continue;
            }
            let file = path.strip_prefix(root).unwrap().to_str().unwrap();
            let Some(stem) = file.strip_suffix(".rs") else {
                continue;
            };
            let mut module: Place = stem.split('/').map(str::to_owned).collect();
            if module
                .iter()
                .any(|name| name == "tests" || name.ends_with("_tests"))
            {
                continue;
            }
            module.pop_if(|name| name == "mod" || name == "lib");
            self.texts
                .insert(module.clone(), code(&fs::read_to_string(&path).unwrap()));
            self.files.insert(module, file.to_owned());
        }
    }

    /// What the `use` items of a file name, from the root of the crate.
    fn imports(&self, module: &Place) -> Vec<Import> {
        let mut imports = Vec::new();
        for item in self.texts[module].split(';') {
            let Some((before, tree)) = item.rsplit_once("use ") else {
                continue;
            };
            let before = before.trim_end_matches(['\n', ' ']);
            let before = before.rsplit(['\n', '}', '{']).next().unwrap().trim();
            if !(before.is_empty() || before.starts_with("pub")) {
                continue;
            }
            for (path, name) in flat(&mut tree.trim(), &[]) {
                if let Some(target) = self.absolute(module, &path) {
                    imports.push(Import {
                        name,
                        target,
                        is_public: !before.is_empty(),
                    });
                }
            }
        }
        imports
    }

    /// A path from the root of the crate; `None` for other crates and for items of the file itself.
    fn absolute(&self, module: &Place, path: &[String]) -> Option<Place> {
        let mut base = module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => return Some(path[1..].to_vec()),
            "self" => rest = &path[1..],
            "super" => {
                while let Some((first, after)) = rest.split_first()
                    && first == "super"
                {
                    base.pop();
                    rest = after;
                }
            }
            first => {
                base.push(first.to_owned());
                if !self.files.contains_key(&base) {
                    return None;
                }
                rest = &path[1..];
            }
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    /// The module that an item is in.
    fn module_of(&self, item: &Place) -> Option<Place> {
        let mut item = item.clone();
        'again: for _ in 0..20 {
            for length in (0..=item.len()).rev() {
                let (start, rest) = item.split_at(length);
                if let Some(target) = self.aliases.get(start) {
                    item = [target.as_slice(), rest].concat();
                    continue 'again;
                }
                if self.files.contains_key(start) {
                    return Some(start.to_vec());
                }
            }
            return None;
        }
        None
    }

    /// The paths in a file's code that begin with `crate::` or `super::`.
    fn paths(&self, module: &Place) -> Vec<Place> {
        let text = &self.texts[module];
        let mut found = Vec::new();
        for start in ["crate::", "super::"] {
            for (at, _) in text.match_indices(start) {
                let before = text[..at].chars().next_back();
                if before.is_some_and(|c| c == ':' || c == '$' || c == '_' || c.is_alphanumeric()) {
                    continue;
                }
                let end = text[at..].find(|c: char| !(c == ':' || c == '_' || c.is_alphanumeric()));
                let path = text[at..][..end.unwrap_or(text.len() - at)].trim_end_matches(':');
                let path: Place = path.split("::").map(str::to_owned).collect();
                // Before a list, or a star, there is no more than the beginning.
                if path.iter().any(|name| name != "super" && name != "crate") {
                    found.extend(self.absolute(module, &path));
                }
            }
        }
        found
    }

    /// Which files use which.
    fn uses(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut uses = BTreeMap::new();
        for (module, file) in &self.files {
            let imported = self.imports(module).into_iter().map(|import| import.target);
            let used = imported
                .chain(self.paths(module))
                .filter_map(|item| self.module_of(&item));
            let others = used.filter(|used| used != module);
            let others: BTreeSet<&str> = others.map(|used| self.files[&used].as_str()).collect();
            uses.insert(file.as_str(), others);
        }
        uses
    }
}

struct Import {
    name: String,
    target: Place,
    is_public: bool,
}

/// Code without comments and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("\nmod tests {").next().unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("#["))
        .map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths of a `use` tree, each with the name that it has in the file.
fn flat(tree: &mut &str, prefix: &[String]) -> Vec<(Vec<String>, String)> {
    let mut path = prefix.to_vec();
    loop {
        *tree = tree.trim_start();
        if let Some(list) = tree.strip_prefix('{') {
            let mut paths = Vec::new();
            *tree = list;
            loop {
                *tree = tree.trim_start_matches([',', ' ', '\n']);
                if let Some(rest) = tree.strip_prefix('}') {
                    *tree = rest;
                    return paths;
                }
                if tree.is_empty() {
                    return paths;
                }
                paths.extend(flat(tree, &path));
            }
        }
        let end = tree.find(|c: char| !(c == '_' || c.is_alphanumeric()));
        let (name, rest) = tree.split_at(end.unwrap_or(tree.len()));
        path.push(name.to_owned());
        match rest.strip_prefix("::") {
            Some(rest) => *tree = rest,
            None => {
                let alias = rest.trim_start().strip_prefix("as ").map(str::trim_start);
                let end = rest.find([',', '}']).unwrap_or(rest.len());
                *tree = &rest[end..];
                path.pop_if(|name| name == "self");
                let name = alias.map_or_else(
                    || path.last().cloned(),
                    |alias| alias.split([',', '}', ' ', '\n']).next().map(str::to_owned),
                );
                return vec![(path, name.unwrap_or_default())];
            }
        }
    }
}

/// The files that can be reached from one.
fn reached<'a>(uses: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &'a str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut left = vec![from];
    while let Some(file) = left.pop() {
        for next in uses.get(file).into_iter().flatten() {
            if found.insert(*next) {
                left.push(next);
            }
        }
    }
    found
}

/// The sets of files that use each other, each by its folder and its number of files.
fn circles(root: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(root);
    let sources = Sources::read(&root);
    let uses = sources.uses();
    let reach: BTreeMap<&str, BTreeSet<&str>> = uses
        .keys()
        .map(|file| (*file, reached(&uses, file)))
        .collect();
    let mut circles = BTreeSet::new();
    for (file, others) in &reach {
        let circle: Vec<&str> = others
            .iter()
            .copied()
            .filter(|other| reach[other].contains(file))
            .collect();
        if circle.len() > 1 {
            circles.insert(circle.join(" "));
        }
    }
    circles.into_iter().collect()
}

#[test]
fn no_files_of_the_macros_use_each_other() {
    assert_eq!(circles("codex-skills-macros/src"), Vec::<String>::new());
}

/// The folders in which files still use each other. A new circle anywhere else fails.
const OPEN: [&str; 3] = ["runtime/manager/", "session/", "skill/"];

#[test]
fn no_files_of_the_library_use_each_other_outside_of_the_folders_listed() {
    let circles = circles("codex-skills/src");
    for circle in &circles {
        let listed = OPEN.iter().any(|folder| {
            circle
                .split(' ')
                .filter(|file| *file != "error.rs")
                .all(|file| file.starts_with(folder))
        });
        assert!(listed, "these files use each other: {circle}");
    }
    for folder in OPEN {
        let is_open = circles.iter().any(|circle| circle.contains(folder));
        assert!(
            is_open,
            "nothing in {folder} uses each other any more: take it off the list"
        );
    }
}

#[test]
fn a_circle_is_found_through_what_is_exported_under_another_name() {
    let folder = std::env::temp_dir().join(format!("structure-{}", std::process::id()));
    fs::create_dir_all(folder.join("inner")).unwrap();
    for (file, text) in [
        ("lib.rs", "mod inner;\nmod other;\n"),
        (
            "inner/mod.rs",
            "mod first;\npub use first::{First as Renamed, helper};\n",
        ),
        (
            "inner/first.rs",
            "use crate::other::Other;\npub struct First;\n",
        ),
        (
            "other.rs",
            "use crate::{\n    inner::{Renamed},\n};\npub struct Other; // crate::lost\n",
        ),
    ] {
        fs::write(folder.join(file), text).unwrap();
    }
    let circles = circles(folder.to_str().unwrap());
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(circles, ["inner/first.rs other.rs"]);
}
