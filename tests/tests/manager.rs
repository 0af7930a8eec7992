//! Sessions of a codex-manager, over real sockets.

#[path = "manager/support.rs"]
mod support;

#[path = "manager/answers.rs"]
mod answers;
#[path = "manager/children.rs"]
mod children;
#[path = "manager/contract.rs"]
mod contract;
#[path = "manager/errors.rs"]
mod errors;
#[path = "manager/network.rs"]
mod network;
#[path = "manager/recorded.rs"]
mod recorded;
#[path = "manager/requests.rs"]
mod requests;
#[path = "manager/restarts.rs"]
mod restarts;
#[path = "manager/settings.rs"]
mod settings;
#[path = "manager/silences.rs"]
mod silences;
#[path = "manager/streams.rs"]
mod streams;
#[path = "manager/turns.rs"]
mod turns;
