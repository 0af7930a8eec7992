//! The introduction of a session: the instruction text that goes once before a request, with the first that is
//! accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the introduction was made; shared by all handles of this client on the session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Introduction(Arc<AtomicBool>);

impl Introduction {
    /// Records that it was made, by an earlier request or by another program.
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was made, or a request that makes it is on its way.
    pub(crate) fn is_made(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Claims the introduction for a request, unless it was made or another request is making it.
    pub(crate) fn take_on(&self) -> Option<Introducing> {
        let is_first = !self.0.swap(true, Ordering::Relaxed);
        is_first.then(|| Introducing(Some(self.clone())))
    }
}

/// The claim of the request that makes the introduction. Dropped without [`done`](Self::done), when the request was
/// refused or its fate is unknown, it leaves the introduction to the next request: better twice than never.
#[derive(Debug)]
pub(crate) struct Introducing(Option<Introduction>);

impl Introducing {
    /// Records that the request was accepted.
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
