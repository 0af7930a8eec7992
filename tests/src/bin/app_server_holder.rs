//! Holds a codex with a call that is never answered, for tests of what becomes of codex when a program ends badly.
//!
//! `app_server_holder CODEX HOW`, in the environment of a home; it says `ready` when the call is there, and `HOW` says how
//! it ends: `wait` for a signal, `abort`, `exit`, or `return` from main.

use std::future::pending;
use std::process::{abort, exit};
use std::{env, io};

use codex_skills::{AppServer, Error, skill, skills};
use tokio::sync::Notify;

static CALLED: Notify = Notify::const_new();

/// Never answer.
#[skill]
async fn hang() {
    CALLED.notify_one();
    pending::<()>().await;
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = env::args().skip(1);
    let (Some(codex), Some(how)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
    };
    let client = AppServer::spawn().codex(codex).await?;
    let register = |draft: codex_skills::Draft| draft.register(skills![hang]);
    let (_, session) = client.create_session(register).inject_skills(false).await?;
    let held = session.clone();
    tokio::spawn(async move { held.serve().await });
    session.send("CALL hang {}").await?;
    CALLED.notified().await;
    println!("ready");
    match how.as_str() {
        "abort" => abort(),
        "exit" => exit(0),
        "return" => Ok(()),
        _ => pending().await,
    }
}
