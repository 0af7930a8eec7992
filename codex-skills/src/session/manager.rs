//! Clients of codex-manager, whose runtime knows nothing of clients itself.

use super::client::Client;
use crate::runtime::manager::{CodexManager, CodexManagerBuilder, ProfileError};

impl CodexManager {
    /// A client with the settings of a profile in the profile file, overridden by the environment.
    ///
    /// The file is `$XDG_CONFIG_HOME/codex-manager/cli/config.json`, by default in `~/.config`; without it
    /// there is one profile, `local`, at `http://127.0.0.1:3001/api`. The variables are
    /// `CODEX_MANAGER_API_BASE`, `_API_PREFIX`, `_TIMEOUT_MS`, `_BEARER_TOKEN`, `_RBAC_TOKEN`,
    /// `_RBAC_ROLE` and `_RBAC_ACTOR`. The `Debug` text of the client shows what came of it.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::CodexManager::from_profile("local")?;
    /// println!("{codex:?}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the file is malformed, the profile unknown, or a setting no good: naming file and key.
    pub fn from_profile(name: &str) -> Result<Client<Self>, ProfileError> {
        Self::builder().profile(name).build()
    }

    /// A client with the settings of the current profile, overridden by the environment.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::CodexManager::from_env()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`from_profile`](Self::from_profile).
    pub fn from_env() -> Result<Client<Self>, ProfileError> {
        Self::builder().build()
    }

    /// A client with settings of your own, which win over environment and profile.
    pub fn builder() -> CodexManagerBuilder {
        CodexManagerBuilder::default()
    }
}

impl CodexManagerBuilder {
    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    /// When a setting is no good: naming file, variable or method.
    pub fn build(self) -> Result<Client<CodexManager>, ProfileError> {
        Ok(Client::new(self.into_runtime()?))
    }
}
