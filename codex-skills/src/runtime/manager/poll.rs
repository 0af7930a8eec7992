//! When to ask, beside the stream and in its place: sessions while it is down, and while nothing is heard of them;
//! whether codex runs, and whether the stream is there.

use std::sync::Arc;

use tokio::time::Instant;

use super::catch_up::Because;
use super::link::LinkState;
use super::registry::Which;
use super::shared::{Pulse, Shared};

/// Stands in for the stream while it is down, and asks about sessions of which nothing is heard while it
/// is up.
pub(super) async fn keep_asking(shared: &Arc<Shared>) {
    let mut state = shared.state.subscribe();
    let mut rechecked = Instant::now();
    loop {
        let link = &shared.link;
        let (interval, which) = match *state.borrow_and_update() {
            // There may be children whose frames do not come.
            LinkState::Up if shared.stream_per_session => (link.recheck, Which::Active),
            LinkState::Up => (link.recheck, Which::Quiet),
            LinkState::Connecting | LinkState::Down => (link.poll, Which::Active),
        };
        let is_up = *state.borrow() == LinkState::Up;
        let pause = if is_up { link.pulse } else { interval };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // The sender is in `shared`.
            _ = state.changed() => {
                rechecked = Instant::now();
                continue;
            }
        }
        let which = if !is_up || rechecked.elapsed() >= interval {
            rechecked = Instant::now();
            Some(which)
        } else {
            None
        };
        let silence = if is_up { listen(shared) } else { Silence::None };
        let shared = shared.clone();
        // A task of its own, so that the reader's has nothing to do but read.
        let asked = tokio::spawn(async move {
            match (which, silence) {
                (Some(which), _) => shared.catch_up(&which, Because::Silent).await,
                (None, Silence::Deep) => shared.catch_up(&Which::Active, Because::Silent).await,
                (None, Silence::Ordinary) => shared.check_codex().await,
                (None, Silence::None) => {}
            }
        });
        if let Err(error) = asked.await {
            tracing::error!(target: "codex_skills::manager", %error, "asking about sessions failed");
        }
    }
}

/// How silent it is while turns are active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Silence {
    /// Something was heard of each.
    None,
    /// Nothing was heard of one, which may well think.
    Ordinary,
    /// And its stream does not even say that it is there.
    Deep,
}

/// Looks for sessions that are silent although a turn is active, and has their sockets asked whether they are there.
fn listen(shared: &Shared) -> Silence {
    let quiet = shared.registry().quiet();
    let mut silence = Silence::None;
    let mut asked: Vec<Arc<Pulse>> = Vec::new();
    for session_id in &quiet {
        silence = silence.max(Silence::Ordinary);
        let Some(pulse) = shared.pulse_of(session_id) else {
            continue;
        };
        if asked.iter().all(|other| !Arc::ptr_eq(other, &pulse)) {
            if pulse.ask() {
                silence = Silence::Deep;
            }
            asked.push(pulse);
        }
    }
    silence
}
