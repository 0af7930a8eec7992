//! `tests/README.md` maps behaviours and weaknesses of the reference SDK to tests: those must exist.

use std::fs;
use std::path::{Path, PathBuf};

fn directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn map() -> String {
    fs::read_to_string(directory().join("README.md")).unwrap()
}

/// What is between backticks.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The text of the files in which a test of this path may be: `tests/file.rs`, `tests/file/part.rs`, or any
/// file of the directory `tests/file`.
fn source(modules: &[&str]) -> Option<String> {
    let tests = directory().join("tests");
    let path = modules.iter().fold(tests, |path, module| path.join(module));
    let mut files: Vec<PathBuf> = vec![path.with_extension("rs")];
    if let Ok(entries) = fs::read_dir(&path) {
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    let texts: Vec<String> = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect();
    (!texts.is_empty()).then(|| texts.concat())
}

/// What is wrong with a name in the map.
fn problem(name: &str) -> Option<String> {
    if let Some(program) = name.strip_prefix("ui/") {
        // A beginning stands for all programs whose names begin so.
        let (folder, program) = program.split_once('/')?;
        let beginning = program.trim_end_matches('…');
        let mut programs = fs::read_dir(directory().join("ui").join(folder)).ok()?;
        let found = programs.any(|entry| {
            let file = entry.unwrap().file_name().into_string().unwrap();
            match file.strip_suffix(".rs") {
                Some(stem) if beginning == program => stem == program,
                Some(stem) => stem.starts_with(beginning),
                None => false,
            }
        });
        return (!found).then(|| format!("there is no program `{name}`"));
    }
    let parts: Vec<&str> = name.split("::").collect();
    let (test, modules) = parts.split_last()?;
    if modules.is_empty() || modules[0].contains(|c: char| !c.is_ascii_lowercase() && c != '_') {
        return None;
    }
    let Some(source) = source(modules) else {
        return Some(format!("there is no file of `{name}`"));
    };
    let is_there = *test == "*" || source.contains(&format!("fn {test}("));
    (!is_there).then(|| format!("there is no test `{name}`"))
}

#[test]
fn every_test_in_the_map_exists() {
    let map = map();
    // The prose above the tables explains how names are written.
    let tables = map.split_once("\n## ").expect("tables").1;
    let problems: Vec<String> = names(tables).filter_map(problem).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(names(tables).filter(|name| name.contains("::")).count() > 150);
}

#[test]
fn every_behaviour_and_every_weakness_has_a_row_with_a_test_or_a_reason() {
    let map = map();
    let (behaviours, weaknesses) = map.split_once("\n## Weaknesses").expect("two tables");
    for (table, count) in [(behaviours, 44), (weaknesses, 26)] {
        for number in 1..=count {
            let row = table
                .lines()
                .find(|line| line.starts_with(&format!("| {number} |")))
                .unwrap_or_else(|| panic!("there is no row {number}"));
            let shown = row.split('|').nth(3).unwrap_or_default();
            let is_shown = names(shown).any(|name| name.contains("::") || name.contains("ui/"));
            assert!(is_shown || shown.contains("impossible"), "{row}");
        }
    }
}
