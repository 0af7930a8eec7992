//! Options that several builders have, each passed on to the builder within.

/// Options that are those of the builder within.
macro_rules! options {
    ($($(#[$meta:meta])* $name:ident($value:ident: $ty:ty);)*) => {$(
        $(#[$meta])*
        pub fn $name(mut self, $value: $ty) -> Self {
            self.inner = self.inner.$name($value);
            self
        }
    )*};
}
macro_rules! session_options {
    () => {
        options! {
            /// The working directory of the session. It must be there where sessions see this machine's folders.
            cwd(directory: impl AsRef<Path>);
            /// The model.
            model(model: impl Into<String>);
            /// When codex asks before it runs a command. Skills are called without an approval.
            approval_policy(policy: ApprovalPolicy);
            /// Whether commands of codex reach the network.
            network_access(access: NetworkAccess);
            /// What commands of codex may touch. No sandbox covers skills.
            filesystem_sandbox(sandbox: FilesystemSandbox);
            /// Whether the session is never written to disk. For codex app-server only.
            ephemeral(ephemeral: bool);
            /// Settings of codex in the place of those in its `config.toml`, by dotted path. For codex app-server
            /// only.
            config(settings: impl IntoIterator<Item = (impl Into<String>, impl Into<Value>)>);
        }
    };
}

macro_rules! dispatch_options {
    () => {
        options! {
            /// The bounds of the session, instead of the client's.
            limits(limits: Limits);
            /// The deadline of calls whose skill has none of its own; see [`Limits::call_timeout`].
            call_timeout(timeout: Duration);
            /// How many handlers run at the same time; see [`Limits::concurrent_calls`].
            max_concurrent_calls(calls: usize);
            /// Whether an answer of which codex would show its model a part is a failure that asks for less; see
            /// [`Limits::whole_answers`].
            whole_answers(whole: bool);
            /// Who answers what codex asks in the session and is no tool call, like approvals. Default: it is
            /// refused.
            on_request(handler: RequestHandler);
            /// Whether each request begins with what the tools do not say, or none. Default: only the first does.
            inject_skills(inject: bool);
            /// Whether requests repeat the dynamic tools (default: they do).
            repeat_tools(repeat: bool);
        }
    };
}

macro_rules! cleanup_options {
    ($($(#[$meta:meta])* ignore_cleanup_errors;)*) => {
        options! {
            $($(#[$meta])* ignore_cleanup_errors(ignore: bool);)*
            /// Accepted for compatibility with the reference SDK; does nothing, as there.
            sync_runtime_on_cleanup(sync: bool);
        }
    };
}

pub(super) use {cleanup_options, dispatch_options, options, session_options};
