//! Codex version parsing and minimum versions.

use std::fmt;
use std::path::PathBuf;

/// A version of codex, without what follows its three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32, u32);

impl Version {
    /// The oldest supported version.
    pub(super) const OLDEST: Self = Self(0, 105, 0);
    pub(super) const OLDEST_TEXT: &'static str = "0.105.0";
    /// The first known to report which answers it took; the oldest supported one does not.
    pub(super) const TELLS_ANSWERS: Self = Self(0, 106, 0);
    /// The first that takes tools in the canonical form, and with it namespaces (contract §1.1).
    pub(super) const CANONICAL: Self = Self(0, 141, 0);

    /// The version in a user agent like `name/0.169.0 (Debian 12.0.0; x86_64) …`.
    pub(super) fn in_user_agent(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once('/')?;
        let version = rest.split_whitespace().next()?;
        let mut numbers = version.split(['.', '-', '+']).map(str::parse);
        match (numbers.next(), numbers.next(), numbers.next()) {
            // A build from source reports 0.0.0, and counts as newer than any release.
            (Some(Ok(0)), Some(Ok(0)), Some(Ok(0))) => None,
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch))) => Some(Self(major, minor, patch)),
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What codex said of itself in the handshake.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) version: Option<Version>,
    pub(super) home: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_user_agents() {
        let of = Version::in_user_agent;
        assert_eq!(
            of("codex-skills/0.169.0 (Debian 12.0.0; x86_64) xterm (codex-skills; 0.1.0)"),
            Some(Version(0, 169, 0))
        );
        assert_eq!(of("x/0.142.0-alpha.3 (y)"), Some(Version(0, 142, 0)));
        assert_eq!(of("x/0.0.0 (y)"), None);
        assert_eq!(of("x"), None);
        assert!(Version::OLDEST < Version::CANONICAL);
    }
}
