//! The packages that we build on: their licences, where they come from, and which of them come twice. The lists are
//! those of `deny.toml`, so that this holds where cargo-deny is not installed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

struct Package {
    name: String,
    version: String,
    license: String,
    source: Option<String>,
}

/// Everything that is built into a program that uses codex-skills with all of its features, on this platform.
fn packages() -> Vec<Package> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let host = host();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1"])
        .args(["--all-features", "--filter-platform", &host])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes: BTreeMap<&str, &Value> = list(&metadata["resolve"]["nodes"])
        .map(|node| (text(&node["id"]), node))
        .collect();
    let all: BTreeMap<&str, &Value> = list(&metadata["packages"])
        .map(|package| (text(&package["id"]), package))
        .collect();
    let ours = all
        .values()
        .find(|package| package["name"] == "codex-skills");
    let mut waiting = vec![text(&ours.unwrap()["id"])];
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        for dependency in list(&nodes[id]["deps"]) {
            if list(&dependency["dep_kinds"]).any(|kind| kind["kind"] != "dev") {
                waiting.push(text(&dependency["pkg"]));
            }
        }
    }
    seen.iter()
        .map(|id| {
            let package = all[id];
            Package {
                name: text(&package["name"]).to_owned(),
                version: text(&package["version"]).to_owned(),
                license: text(&package["license"]).to_owned(),
                source: package["source"].as_str().map(str::to_owned),
            }
        })
        .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap().to_owned()
}

/// The quoted texts on the lines of `deny.toml` that begin so, up to the end of the list.
fn quoted(begin: &str) -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deny.toml");
    let all = std::fs::read_to_string(file).unwrap();
    let from = all.find(begin).unwrap() + begin.len();
    let until = from + all[from..].find(']').unwrap();
    let texts = all[from..until].split('"').skip(1).step_by(2);
    texts.map(str::to_owned).collect()
}

/// Whether a licence expression is fulfilled by the licences in the list.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    // All that is joined by AND is needed; of what is joined by OR, one suffices. None here nests them deeper.
    plain.split(" AND ").all(|needed| {
        needed
            .split(" OR ")
            .any(|license| allowed.contains(license.trim()))
    })
}

#[test]
fn licences_are_known_and_sources_are_crates_io() {
    let allowed = quoted("allow = [");
    assert!(allowed.contains("MIT"), "{allowed:?}");
    let packages = packages();
    assert!(packages.len() > 50, "{}", packages.len());
    for package in packages {
        let Package { name, license, .. } = &package;
        assert!(is_allowed(license, &allowed), "{name} is under {license}");
        let is_ours = name.starts_with("codex-skills");
        let source = package.source.as_deref();
        assert!(
            is_ours || source == Some(CRATES_IO),
            "{name} is of {source:?}"
        );
    }
}

#[test]
fn no_package_comes_in_two_versions_but_those_that_are_known() {
    let known = quoted("skip = [");
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        versions
            .entry(package.name)
            .or_default()
            .insert(package.version);
    }
    let doubled: BTreeSet<String> = versions
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(doubled, known, "mend `skip` of deny.toml");
}

#[test]
fn an_expression_is_judged_as_it_is_read() {
    let allowed = BTreeSet::from(["MIT".to_owned(), "Unicode-3.0".to_owned()]);
    assert!(is_allowed("MIT OR GPL-3.0", &allowed));
    assert!(is_allowed("Apache-2.0/MIT", &allowed));
    assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0", &allowed));
    assert!(!is_allowed("MIT AND GPL-3.0", &allowed));
    assert!(!is_allowed("", &allowed));
}

/// A registry shows the README without the repository around it.
#[test]
fn each_link_of_the_readme_is_absolute_and_leads_to_a_file() {
    const REPOSITORY: [&str; 2] = [
        "https://github.com/codex-skills/codex-skills/blob/main/",
        "https://raw.githubusercontent.com/codex-skills/codex-skills/main/",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let defined = readme
        .lines()
        .filter(|line| line.starts_with('['))
        .filter_map(|line| line.split_once("]: "))
        .map(|(_, target)| target);
    let inline = readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target);
    let targets: Vec<&str> = defined.chain(inline).collect();
    assert!(targets.len() > 10, "{targets:?}");
    for target in targets {
        assert!(target.starts_with("https://"), "{target}");
        let path = REPOSITORY.iter().find_map(|base| target.strip_prefix(base));
        if let Some(path) = path {
            assert!(root.join(path).is_file(), "{path} is not there");
        }
    }
}
