//! Options of a session, fixed when it is created.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// Options of a new session. What is `None` is left to the runtime.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionOptions {
    /// The working directory of the session.
    pub cwd: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// When codex asks before it runs something.
    pub approval_policy: Option<ApprovalPolicy>,
    /// Whether commands of codex reach the network.
    pub network_access: Option<NetworkAccess>,
    /// What commands of codex may touch.
    pub filesystem_sandbox: Option<FilesystemSandbox>,
    /// Whether the session is never written to disk. For codex app-server only.
    pub ephemeral: Option<bool>,
    /// Settings of codex in the place of those in its `config.toml`, by dotted path. For codex app-server only.
    pub config: BTreeMap<String, Value>,
}

/// Leaves out the values of codex's settings, which may be secrets.
impl fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionOptions")
            .field("cwd", &self.cwd)
            .field("model", &self.model)
            .field("approval_policy", &self.approval_policy)
            .field("network_access", &self.network_access)
            .field("filesystem_sandbox", &self.filesystem_sandbox)
            .field("ephemeral", &self.ephemeral)
            .field("config", &self.config.keys())
            .finish()
    }
}

macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant),* }

        impl $name {
            /// The spelling on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

wire_enum! {
    /// When codex asks before it runs a command.
    ///
    /// ```
    /// use codex_skills::ApprovalPolicy;
    ///
    /// assert_eq!(ApprovalPolicy::OnRequest.as_str(), "on-request");
    /// ```
    ApprovalPolicy {
        /// For everything that is not known to be harmless.
        Untrusted = "untrusted",
        /// When a sandboxed command failed. Newer codex versions (0.169) refuse sessions with it.
        OnFailure = "on-failure",
        /// When the model asks for it.
        OnRequest = "on-request",
        /// Never.
        Never = "never",
    }
}

wire_enum! {
    /// Whether commands that codex runs reach the network.
    ///
    /// ```
    /// use codex_skills::{Embedded, NetworkAccess, lifecycle};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// lifecycle!(Embedded::demo(), network_access: NetworkAccess::Restricted, |run| {
    ///     run.send_and_handle("hello").await
    /// })
    /// .await?;
    /// # Ok(())
    /// # }
    /// ```
    NetworkAccess {
        /// They don't.
        Restricted = "restricted",
        /// They do.
        Enabled = "enabled",
    }
}

wire_enum! {
    /// What commands that codex runs may touch. Skills run in your process: no sandbox covers them.
    ///
    /// ```
    /// use codex_skills::FilesystemSandbox;
    ///
    /// assert_eq!(FilesystemSandbox::WorkspaceWrite.to_string(), "workspace-write");
    /// ```
    FilesystemSandbox {
        /// Read only.
        ReadOnly = "read-only",
        /// Write in the working directory.
        WorkspaceWrite = "workspace-write",
        /// Everything.
        DangerFullAccess = "danger-full-access",
    }
}
