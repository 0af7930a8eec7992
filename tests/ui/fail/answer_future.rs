use std::future::Future;
use std::pin::Pin;

use codex_skills::skill;

/// Boxed.
#[skill]
fn boxed(id: u8) -> Pin<Box<dyn Future<Output = u8> + Send>> {
    Box::pin(async move { id })
}

/// Opaque.
#[skill]
fn opaque(id: u8) -> impl Future<Output = Result<u8, String>> {
    async move { Ok(id) }
}

/// A task.
#[skill]
async fn task(id: u8) -> tokio::task::JoinHandle<u8> {
    tokio::spawn(async move { id })
}

fn main() {}
