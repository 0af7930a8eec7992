//! The prose of the house: citations of the contract are found in `codex-skills/docs/contract`, paths and functions of
//! `codex-skills/docs/architecture.md` in the sources, and comments use plain words.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files with an ending below a folder, build output and what is hidden excepted.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files(&path, ending, found);
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn architecture() -> String {
    fs::read_to_string(root().join("codex-skills/docs/architecture.md")).unwrap()
}

/// What is between backticks.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The file or folder of a path in the architecture: from the root of the repository, or from the sources of a crate.
fn found(path: &str) -> Option<PathBuf> {
    let crates = ["", "codex-skills/src", "codex-skills-macros/src"];
    let places = crates.map(|place| root().join(place).join(path));
    places.into_iter().find(|place| place.exists())
}

fn is_path(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let is_long = name.contains('/') || name.ends_with(".rs") || name.ends_with(".md");
    is_long && name.chars().all(is_plain)
}

fn is_module(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// The cells of the rows of a text's tables.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| `"));
    lines.map(|line| line.trim_matches('|').split('|').collect())
}

/// The number at the start of a text, such as `1.4` or `7`.
fn number(text: &str) -> String {
    let digits = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.');
    digits.collect::<String>().trim_end_matches('.').to_owned()
}

fn sections() -> BTreeSet<String> {
    let mut chapters = Vec::new();
    files(
        &root().join("codex-skills/docs/contract"),
        ".md",
        &mut chapters,
    );
    let texts = chapters
        .iter()
        .map(|path| fs::read_to_string(path).unwrap());
    texts
        .flat_map(|text| {
            let headings = text.lines().filter(|line| line.starts_with('#'));
            headings
                .map(|line| number(line.trim_start_matches('#').trim_start()))
                .collect::<Vec<_>>()
        })
        .filter(|section| !section.is_empty())
        .collect()
}

/// Every section that a line cites: `contract §1.2, §1.3`.
fn cited(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("contract §") {
        let rest = &text[at + "contract ".len()..];
        // The list goes on while sections are parted by commas, blanks, comment marks or `and`.
        for part in rest.split('§').skip(1) {
            found.push(number(part));
            let after = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            let joins = after.trim_matches(|c: char| c.is_whitespace() || "/!,".contains(c));
            if !(joins.is_empty() || joins == "and") {
                break;
            }
        }
    }
    found
}

#[test]
fn every_cited_section_of_the_contract_is_there() {
    let sections = sections();
    let mut sources = Vec::new();
    for folder in [
        "codex-skills/src",
        "codex-skills-macros/src",
        "tests",
        "examples",
    ] {
        files(&root().join(folder), ".rs", &mut sources);
    }
    sources.push(root().join("codex-skills/docs/architecture.md"));
    let mut count = 0;
    for path in sources {
        // This file's own examples are no citations.
        if path.ends_with("house.rs") {
            continue;
        }
        for section in cited(&fs::read_to_string(&path).unwrap()) {
            assert!(
                sections.contains(&section),
                "{} cites contract §{section}, which is in no chapter",
                path.display()
            );
            count += 1;
        }
    }
    assert!(count >= 30, "only {count} citations were found");
}

#[test]
fn lists_of_sections_are_read_to_their_end() {
    assert_eq!(
        cited("(contract §1.1, §1.2 and §4). See §9"),
        ["1.1", "1.2", "4"]
    );
}

#[test]
fn every_path_of_the_architecture_is_there() {
    let text = architecture();
    let paths: Vec<&str> = names(&text).filter(|name| is_path(name)).collect();
    for path in &paths {
        assert!(found(path).is_some(), "there is no `{path}`");
    }
    assert!(paths.len() > 60, "only {} paths were found", paths.len());
    for (at, _) in text.match_indices("](") {
        let link = text[at + 2..].split(')').next().unwrap_or_default();
        if !link.starts_with('#') {
            let file = root().join("codex-skills/docs").join(link);
            assert!(file.exists(), "there is no file of the link {link}");
        }
    }
}

#[test]
fn every_module_and_function_of_the_architecture_is_there() {
    let text = architecture();
    let (mut modules, mut functions) = (0, 0);
    for row in rows(&text) {
        let Some(path) = names(row[0]).next().filter(|name| is_path(name)) else {
            continue;
        };
        let place = found(path).unwrap();
        for name in names(row[1]).filter(|name| is_module(name)) {
            if place.is_dir() {
                let is_there =
                    place.join(name).is_dir() || place.join(name).with_extension("rs").exists();
                assert!(is_there, "there is no module `{name}` in `{path}`");
                modules += 1;
            } else {
                let source = fs::read_to_string(&place).unwrap();
                let is_there = ["(", "<"]
                    .iter()
                    .any(|after| source.contains(&format!("fn {name}{after}")));
                assert!(is_there, "there is no function `{name}` in `{path}`");
                functions += 1;
            }
        }
    }
    assert!(
        modules > 60 && functions > 10,
        "{modules} modules, {functions} functions"
    );
}

/// Words for people where a comment is to name a part of the program.
const VAGUE: [&str; 7] = [
    "anybody", "nobody", "somebody", "told", "whoever", "whomever", "whosever",
];

/// The comment in a line; the `//` of an address begins none.
fn comment(line: &str) -> Option<&str> {
    let mut starts = line.match_indices("//").map(|(at, _)| at);
    let start = starts.find(|at| !line[..*at].ends_with(':'))?;
    Some(&line[start..])
}

fn vague(comment: &str) -> Option<&str> {
    let mut words = comment.split(|c: char| !c.is_alphanumeric());
    words.find(|word| VAGUE.contains(&word.to_lowercase().as_str()))
}

#[test]
fn comments_name_the_parts_of_the_program() {
    let mut sources = Vec::new();
    for folder in ["codex-skills/src", "codex-skills-macros/src"] {
        files(&root().join(folder), ".rs", &mut sources);
    }
    let mut problems = Vec::new();
    for path in sources {
        let shown = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for (line, number) in text.lines().zip(1..) {
            if let Some(word) = comment(line).and_then(vague) {
                problems.push(format!(
                    "{shown}:{number}: name the part that is meant, not `{word}`"
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn vague_words_are_found_in_comments_alone() {
    let word = |line| comment(line).and_then(vague);
    assert_eq!(
        word("let x = 1; // Whoever waits is woken."),
        Some("Whoever")
    );
    assert_eq!(word("/// Tells nobody's session."), Some("nobody"));
    assert_eq!(word("let told = \"ws://somebody@host\";"), None);
    assert_eq!(word("/// Untold."), None);
}
