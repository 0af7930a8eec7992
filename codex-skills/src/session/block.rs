//! Functions that the expansion of `lifecycle!` calls. Hidden: the macro is the interface.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use futures_util::FutureExt as _;

use super::cleanup::checked;
use super::client::Client;
use super::lifecycle::Lifecycle;
use super::report::CleanupReport;
use crate::catalog::Draft;
use crate::error::Error;
use crate::runtime::Runtime;

/// The first argument of `lifecycle!`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a client of codex",
    label = "expected a `Client`",
    note = "`lifecycle!` begins with a client, for example `codex_skills::Embedded::demo()`"
)]
pub trait AsClient {
    /// The runtime.
    type Runtime: Runtime;

    /// The client.
    fn as_client(&self) -> &Client<Self::Runtime>;
}

impl<R: Runtime> AsClient for Client<R> {
    type Runtime = R;

    fn as_client(&self) -> &Client<R> {
        self
    }
}

impl<C: AsClient + ?Sized> AsClient for &C {
    type Runtime = C::Runtime;

    fn as_client(&self) -> &Client<C::Runtime> {
        (**self).as_client()
    }
}

impl<C: AsClient + ?Sized> AsClient for Arc<C> {
    type Runtime = C::Runtime;

    fn as_client(&self) -> &Client<C::Runtime> {
        (**self).as_client()
    }
}

/// Applies the register callback of a block to what its other options put into the draft.
pub fn then_register<D>(draft: Draft, register: impl FnOnce(Draft) -> D) -> D {
    register(draft)
}

/// Fixes the error type of a block that does not name one.
pub fn fallible<T, E, F: Future<Output = Result<T, E>>>(body: F) -> F {
    body
}

/// Fixes the type of a block that names it.
pub fn returning<T, F: Future<Output = T>>(body: F) -> F {
    body
}

/// Runs a block, panics included.
pub async fn catch_panic<F: Future>(body: F) -> Result<F::Output, Box<dyn Any + Send>> {
    AssertUnwindSafe(body).catch_unwind().await
}

/// Closes the guard of a block and hands on what the block came to. The block's error wins over the
/// cleanup's, and a panic goes on.
pub async fn finish_lifecycle<T, E: From<Error>>(
    mut guard: Lifecycle,
    outcome: Result<Result<T, E>, Box<dyn Any + Send>>,
    on_close: impl FnOnce(&CleanupReport),
) -> Result<T, E> {
    let ignore = guard.ignores_cleanup_errors();
    let report = guard.finish().await;
    match outcome {
        Ok(result) => {
            on_close(&report);
            let value = result?;
            checked(report, ignore)?;
            Ok(value)
        }
        Err(panic) => {
            on_close(&report);
            resume_unwind(panic)
        }
    }
}
