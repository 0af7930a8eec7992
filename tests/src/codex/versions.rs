//! The versions of codex that tests run, and where `e2e/install.sh` puts them. The build script reads this file too.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The newest version, which most tests run.
pub const CURRENT: &str = "0.171.0";

/// The version before it.
pub const PREVIOUS: &str = "0.169.0";

/// An old version, which shows what drifts.
pub const OLD: &str = "0.105.0";

/// Names another binary to take the place of the newest version.
pub(crate) const OVERRIDE: &str = "CODEX_SKILLS_CODEX";

/// The folder that has a folder for each version.
pub(crate) fn folder() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(target)
        .join("codex")
}

/// The native binary of a version, where it is installed.
pub(crate) fn binary(version: &str) -> Option<PathBuf> {
    if version == CURRENT
        && let Some(other) = env::var_os(OVERRIDE)
    {
        return Some(other.into());
    }
    let packages = folder().join(version).join("node_modules/@openai");
    let platforms = fs::read_dir(packages).ok()?.flatten();
    let vendors =
        platforms.filter_map(|platform| fs::read_dir(platform.path().join("vendor")).ok());
    vendors
        .flat_map(Iterator::flatten)
        .flat_map(|vendor| ["bin/codex", "codex/codex"].map(|file| vendor.path().join(file)))
        .find(|binary| binary.is_file())
}
