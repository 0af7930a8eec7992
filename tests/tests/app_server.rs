//! Sessions on the real codex, through `AppServer`. What is beside a test's name is the version that it runs on.

#[path = "app_server/support.rs"]
mod support;

#[path = "app_server/calls.rs"]
mod calls;
#[path = "app_server/chaos.rs"]
mod chaos;
#[path = "app_server/code_mode.rs"]
mod code_mode;
#[path = "app_server/cut.rs"]
mod cut;
#[path = "app_server/introduction.rs"]
mod introduction;
#[path = "app_server/loss.rs"]
mod loss;
#[path = "app_server/orphans.rs"]
mod orphans;
#[path = "app_server/requests.rs"]
mod requests;
#[path = "app_server/sockets.rs"]
mod sockets;
#[path = "app_server/threads.rs"]
mod threads;
#[path = "app_server/turns.rs"]
mod turns;
