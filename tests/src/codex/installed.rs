//! The installed binaries. Tests that need one that is missing are ignored, by a `cfg` of the build script.

use std::path::{Path, PathBuf};

use super::versions::{self, CURRENT, OLD, PREVIOUS};

/// An installed codex.
#[derive(Clone, Debug)]
pub struct Codex {
    version: &'static str,
    binary: PathBuf,
}

impl Codex {
    /// The newest codex, or the binary that `CODEX_SKILLS_CODEX` names.
    ///
    /// # Panics
    /// Without it.
    #[must_use]
    pub fn current() -> Self {
        Self::of(CURRENT)
    }

    /// The codex before the newest.
    ///
    /// # Panics
    /// Without it.
    #[must_use]
    pub fn previous() -> Self {
        Self::of(PREVIOUS)
    }

    /// The old codex.
    ///
    /// # Panics
    /// Without it.
    #[must_use]
    pub fn old() -> Self {
        Self::of(OLD)
    }

    #[allow(
        clippy::panic,
        reason = "a test that runs without what it needs has failed"
    )]
    fn of(version: &'static str) -> Self {
        let Some(binary) = versions::binary(version) else {
            panic!("codex {version} is not installed: run tests/e2e/install.sh");
        };
        Self { version, binary }
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
