//! Where the binaries are, and what becomes of tests where they are not.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{env, fs, io};

/// The version that is worked with.
pub const CURRENT: &str = "0.169.0";

/// An old version, which shows what drifts.
pub const OLD: &str = "0.105.0";

/// An installed codex.
#[derive(Clone, Debug)]
pub struct Codex {
    version: &'static str,
    binary: PathBuf,
}

impl Codex {
    /// The codex that is worked with, or the binary that `CODEX_SKILLS_CODEX` names.
    ///
    /// Without it this says how to install it, and the test that asks has nothing to do.
    ///
    /// # Panics
    /// Without it where `CI` is set.
    #[must_use]
    pub fn current() -> Option<Self> {
        let binary = env::var_os("CODEX_SKILLS_CODEX").map(PathBuf::from);
        Self::found(CURRENT, binary.or_else(|| installed(CURRENT)))
    }

    /// The old codex. Without it the same happens.
    ///
    /// # Panics
    /// Without it where `CI` is set.
    #[must_use]
    pub fn old() -> Option<Self> {
        Self::found(OLD, installed(OLD))
    }

    #[allow(
        clippy::panic,
        reason = "where it must be there, tests fail without it"
    )]
    fn found(version: &'static str, binary: Option<PathBuf>) -> Option<Self> {
        if let Some(binary) = binary {
            return Some(Self { version, binary });
        }
        let how = format!(
            "codex {version} is not installed, which this test runs: install it with tests/e2e/install.sh"
        );
        assert!(!is_required(), "{how}");
        skipped(version, &how);
        None
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// Its native binary.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Whether this is the old one.
    #[must_use]
    pub fn is_old(&self) -> bool {
        self.version == OLD
    }
}

/// Nobody reads what is skipped there.
fn is_required() -> bool {
    env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false")
}

/// Says it once a version and program, and past the harness, which shows nothing of tests that pass.
fn skipped(version: &'static str, how: &str) {
    static SAID: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    if SAID
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(version)
    {
        let _ = writeln!(io::stderr(), "SKIPPED: {how}");
    }
}

/// Where `tests/e2e/install.sh` puts it.
fn installed(version: &str) -> Option<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let target = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(target);
    let packages = target
        .join("codex")
        .join(version)
        .join("node_modules/@openai");
    let platforms = fs::read_dir(packages).ok()?.flatten();
    let vendors =
        platforms.filter_map(|platform| fs::read_dir(platform.path().join("vendor")).ok());
    vendors
        .flat_map(Iterator::flatten)
        .flat_map(|vendor| ["bin/codex", "codex/codex"].map(|file| vendor.path().join(file)))
        .find(|binary| binary.is_file())
}
