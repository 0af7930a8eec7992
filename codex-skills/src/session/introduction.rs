//! Whether the model was told what the tools of a session do not say: once, with the first request that was accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is remembered of it, shared by all who open the session with this client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Introduction(Arc<AtomicBool>);

impl Introduction {
    /// Notes that the model was told, by an earlier request or by another program.
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was told, or is being told.
    pub(crate) fn is_made(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes on the telling, unless it is done or somebody does it right now.
    pub(crate) fn take_on(&self) -> Option<Introducing> {
        let is_first = !self.0.swap(true, Ordering::Relaxed);
        is_first.then(|| Introducing(Some(self.clone())))
    }
}

/// The request that tells. Where it is not accepted, or its fate is unknown, the next one tells again: better twice
/// than never.
#[derive(Debug)]
pub(crate) struct Introducing(Option<Introduction>);

impl Introducing {
    /// The request was accepted.
    pub(crate) fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Introducing {
    fn drop(&mut self) {
        if let Some(introduction) = &self.0 {
            introduction.0.store(false, Ordering::Relaxed);
        }
    }
}
