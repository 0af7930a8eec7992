//! Comments cite the contract by section: each citation is found in `codex-skills/docs/contract`.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

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
    let mut count = 0;
    for path in sources {
        // This file's own examples are no citations.
        if path.ends_with("contract_sections.rs") {
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
